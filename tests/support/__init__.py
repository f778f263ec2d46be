"""Builders that several tests use: studies, tables, models, a hub, a browser, a SLURM."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
