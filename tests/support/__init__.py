"""Builders that several tests use: studies, tables, models, a hub, a browser, a SLURM."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Conformance vectors, a mirror of public files and real data, which a stranger's clone has not.
SHARED = Path(os.environ.get("FOUNDATIONLESS_SHARED", ROOT.parent / "shared"))
