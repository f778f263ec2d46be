"""Rows of the ledger and of the task table that a study has under its own `datasets` and `tasks`, and local files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from foundationless.errors import UserError

SUITE = "own"  # of tasks of one's own: the verdict says which arm to use for each
LEDGER = ("name", "file", "url", "sha256", "bytes", "md5", "checksums", "index", "licence", "description")
_DEFAULTS = {"suite": SUITE, "suite_label": "Own data", "group": "Own data", "metric": "mcc", "paper_task": ""}

Row = dict[str, Any]


def is_path(url: str) -> bool:
    """Whether what stands in place of a URL is the path of a file, which is read where it lies."""
    return "://" not in url


def own_datasets(config: Mapping[str, Any], ledger: str, taken: set[str]) -> list[Row]:
    """Rows of the ledger for a config's own files; `UserError` for a name that the ledger has."""
    rows = []
    for name, given in config.get("datasets", {}).items():
        _check_new("dataset", name, taken, ledger)
        place = given.get("path") or given["url"]
        file = given.get("file") or Path(urlsplit(place).path if "url" in given else place).name
        own = {"name": name, "file": file, "url": place, "licence": "not stated"}
        rows.append(dict.fromkeys(LEDGER, "") | own | {key: given[key] for key in given if key in LEDGER})
    return rows


def own_tasks(config: Mapping[str, Any], table: str, taken: set[str]) -> list[Row]:
    """Rows of the task table for a config's own tasks; `sources` and `options` stay mappings."""
    rows = []
    for name, given in config.get("tasks", {}).items():
        _check_new("task", name, taken, table)
        row = {"task": name, "label": name, **_DEFAULTS, "twin": "", "options": {}, "description": ""} | dict(given)
        rows.append({"family": row["label"]} | row)
    return rows


def _check_new(kind: str, name: str, taken: set[str], table: str) -> None:
    if name in taken:
        raise UserError(f"{kind} '{name}': {table} has a row of that name; give yours another.")


def as_text(rows: list[Row]) -> str:
    """Rows as JSON for commands that read a table: every cell is text, as in the table."""
    cells = [{key: _cell(value) for key, value in row.items()} for row in rows]
    return json.dumps(cells, separators=(",", ":"))


def _cell(value: Any) -> str:
    return ";".join(f"{key}={each}" for key, each in value.items()) if isinstance(value, Mapping) else str(value)


def read_text(text: str, where: str) -> list[dict[str, str]]:
    """Rows of `as_text`; `UserError` for other text."""
    try:
        rows = [{str(key): str(value) for key, value in row.items()} for row in json.loads(text)]
    except (json.JSONDecodeError, AttributeError, TypeError) as error:
        raise UserError(f"{where}: not a JSON list of rows ({error}).") from None
    return rows
