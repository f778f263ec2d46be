"""The card of a weight directory (`weights.json`): whose weights these are, and how they are read."""

from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.runtime.files import read_json

# Cards of before said `protocol` for the reading, and the first ones nothing.
_READINGS_OF_BEFORE = {"corrected": "published", "paper": "as_in_paper"}


def read_card(path: str | Path) -> dict[str, Any]:
    """The card in a file, in today's words; `UserError` for what is none."""
    card = read_json(path)
    if not isinstance(card, dict):
        raise UserError(f"{path}: not the card of a weight directory; make the weights again.")
    before = str(card.pop("protocol", None))
    return {"reading": _READINGS_OF_BEFORE.get(before, "published")} | card
