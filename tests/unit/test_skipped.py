"""The last line of `make test`: what was skipped by any of its pytest runs, and the one command that runs it."""

import os
import subprocess
import sys

from support import ROOT
from support.skipped import TOOLS, summary


def test_every_reason_is_counted_and_brought_by_one_command():
    shared = "shared test data (/somewhere/shared) is not on this machine"
    reasons = [shared, "mmseqs is not on this machine", shared, "bcftools is not on this machine"]
    assert summary(reasons) == (
        "Skipped 4 tests: 2 for want of shared test data, 1 for want of mmseqs, 1 for want of bcftools. "
        "To run them: sudo apt-get install -y bcftools mmseqs2 && FOUNDATIONLESS_SHARED=DIRECTORY make test"
    )
    assert summary(["no small disk: mount"]) == "Skipped 1 tests: 1 for want of no small disk: mount."
    assert summary([]) == "Nothing was skipped."


def test_several_runs_leave_one_line(tmp_path):
    """Here and over several processes, each reason is noted once."""
    kept = tmp_path / "skipped.txt"
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment |= {"FOUNDATIONLESS_SHARED": str(tmp_path / "none"), "FOUNDATIONLESS_SKIPPED": str(kept)}
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/golden/test_committed_part.py"]
    for workers in ([], ["-n", "2"]):
        subprocess.run([*run, "-k", "script", *workers], cwd=ROOT, env=environment, check=True, capture_output=True)
    line = subprocess.run(
        [sys.executable, "tests/support/skipped.py", str(kept)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert line.startswith("Skipped 2 tests: 2 for want of shared test data. To run them: ") and line.count("\n") == 1


def test_tools_that_tests_ask_for_are_known():
    """What `tool(...)` skips without is installed by .ci/run, which reads the same table."""
    known = {line.split("\t")[0] for line in TOOLS.read_text().splitlines()[1:]}
    asked = subprocess.run(
        ["git", "grep", "-ohE", r'tool\("[a-z]+"\)', "--", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert asked and {word.split('"')[1] for word in asked} <= known
    assert "tests/field_tools.tsv" in (ROOT / ".ci/run").read_text()
