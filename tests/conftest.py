"""Shared data of the tests: conformance vectors, real data and field tools, which a stranger's clone may not have."""

import os
import shutil
from pathlib import Path

import pytest

from support import SHARED
from support.skipped import SHARED_DATA, tell


def _missing(what: str) -> None:
    """Fail under CI, where everything is there; skip, saying so, on a machine that cannot have it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Directory of the conformance data (`golden/`), the mirror of public files and fixtures derived from it."""
    if not SHARED.is_dir():
        _missing(f"{SHARED_DATA} ({SHARED})")
    return SHARED


@pytest.fixture(scope="session")
def golden(request, tmp_path_factory) -> Path:
    """Directory of the golden sets: the full ones, or the committed part in the same layout; CI must have the full."""
    if SHARED.is_dir() or os.environ.get("CI"):
        return request.getfixturevalue("shared") / "golden"
    from support.golden_data import unpack  # takes torch, which few tests need

    return unpack(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def tool():
    """Path of a field tool (bcftools, bedtools, samtools) used as an oracle: `tool("bcftools")`."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            _missing(name)
        return str(path)

    return find


def pytest_terminal_summary(terminalreporter) -> None:
    """Say what was skipped, or leave it to `make test`; under xdist, the process that sees all reports does."""
    if hasattr(terminalreporter.config, "workerinput"):
        return
    reports = terminalreporter.stats.get("skipped", [])
    tell([report.longrepr[2].removeprefix("Skipped: ") for report in reports], terminalreporter.write_line)
