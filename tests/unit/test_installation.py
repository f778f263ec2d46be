"""An installed copy, not an editable one: what is read beside the code (schemas, the report's page) came with it."""

import os
import subprocess
import sys

import pytest

from support import ROOT
from support.studies import checkout

CODE = """
import foundationless
from pathlib import Path
package = Path(foundationless.__file__).parent
print(package)
print(*sorted(path.name for path in (package / "study/schemas").glob("*.yaml")))
print(*sorted(path.name for path in (package / "reporting/page").iterdir() if path.suffix in {".html", ".css", ".js"}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Directory that a wheel of the working tree was installed into."""
    source = checkout(tmp_path_factory.mktemp("source"))
    target = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--root-user-action=ignore", "--target", str(target), str(source)],
        check=True,
    )  # fmt: skip
    return target


@pytest.fixture
def python(installed, tmp_path):
    """Run Python, by default in an empty directory, with the installed copy alone before the libraries."""

    def run(*arguments: str, directory=tmp_path) -> str:
        environment = os.environ | {"PYTHONPATH": str(installed)}
        answer = subprocess.run(
            [sys.executable, *arguments], cwd=directory, env=environment, capture_output=True, text=True
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    return run


def test_commands_run(python):
    from foundationless import __version__

    assert __version__ in python("-m", "foundationless", "--version")
    for command in ("plan", "verdict", "finetune_model"):
        assert f"foundationless {command}" in python("-m", "foundationless", command, "--help")


def test_what_is_read_beside_the_code_is_there(python, installed):
    place, schemas, page = python("-c", CODE).splitlines()
    package = ROOT / "workflow/foundationless"
    assert place.startswith(str(installed))
    assert schemas.split() == sorted(path.name for path in (package / "study/schemas").iterdir())
    files = [path.name for path in (package / "reporting/page").iterdir() if path.suffix in (".html", ".css", ".js")]
    assert page.split() == sorted(files) and files


def test_a_study_is_checked_and_planned(python):
    sizes = ("--sizes", "resources/lists/task_sizes.tsv")
    out = python("-m", "foundationless", "plan", "--configfile", "config/config.yaml", *sizes, directory=ROOT)
    assert "finetune" in out
