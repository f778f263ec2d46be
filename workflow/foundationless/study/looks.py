"""What looks at a study whose seeds are `{from, to}` said: the files of the rule `look`, read without pandas."""

import json
from pathlib import Path
from typing import Any

from foundationless.study.plan import Cell, Plan

STOP, GO_ON = "stop", "go on"


def look_path(results: Path, seeds: int) -> Path:
    """The file of the look after so many seeds."""
    return results / "looks" / f"seeds{seeds}.json"


def read_look(path: Path) -> dict[str, Any] | None:
    """What a look said; None where there is none, or it is torn."""
    try:
        look = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return look if isinstance(look, dict) and look.get("decision") in (STOP, GO_ON) else None


def says_stop(path: Path) -> bool:
    """Whether a look ends the study."""
    return (read_look(path) or {}).get("decision") == STOP


def last_look(plan: Plan, results: Path) -> dict[str, Any] | None:
    """The look that ended the study, or the last one before which none is missing."""
    last = None
    for seeds in plan.looks:
        look = read_look(look_path(results, seeds))
        if look is None:
            return last
        last = look
        if look["decision"] == STOP:
            return last
    return last


def cells_so_far(plan: Plan, results: Path) -> tuple[Cell, ...]:
    """Cells of a study that it has in the end, or until its next look; all of a fixed design."""
    if not plan.looks:
        return plan.cells
    look = last_look(plan, results)
    if look is None:
        return plan.cells_until(plan.looks[0])
    return plan.cells_until(int(look["seeds"]) + (look["decision"] == GO_ON))
