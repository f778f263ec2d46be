"""A study that a command writes: checked as a whole, and never over another one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path
from foundationless.study.checks import read_study
from foundationless.study.config import check_schema, read_schema, read_yaml, yaml_text

Hint = Callable[[Any], str]


def read_base(study: Path) -> dict[str, Any]:
    """The study in a file, into which something is put; `UserError` where the file holds none."""
    config = read_yaml(study)
    check_schema(config, read_schema("config"), str(study))
    return dict(config)


def keep_study(study: Mapping[str, Any], output: Path, command: str, hint: Hint = lambda _: "delete it, or") -> None:
    """Check a study with its tables and write it; a file that says the same is left alone.

    `UserError` where the file holds another study; `hint` says, of that, what to do besides giving another name.
    """
    read_study(study)
    if output.is_file():
        held = read_yaml(output)
        if held == study:
            return
        raise UserError(f"{output}: exists already and says something else; {hint(held)} give another --name.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(output) as part:
        part.write_text(f"# Written by `python -m foundationless {command}`.\n{yaml_text(dict(study))}")
