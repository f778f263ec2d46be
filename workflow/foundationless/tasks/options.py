"""What a reader is given, checked against its declaration (`foundationless.study.readers`) and read from text.

An option names the kind of its value; `KINDS` has the function that reads it.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from foundationless.data.variant_kinds.alleles import named_kinds
from foundationless.errors import UserError
from foundationless.study.readers import DEALS, WEIGHTINGS, Reader
from foundationless.study.vocabulary import LABELS


def check_sources(reader: Reader, given: Collection[str]) -> None:
    """`UserError` for a source that the reader does not know, and for one that it needs and was not given."""
    for name in given:
        if not reader.knows(name):
            raise UserError(f"source '{name}' is not known to this reader; it takes {', '.join(reader.sources)}.")
    for name in reader.missing(given):
        raise UserError(f"source '{name}' is missing ({reader.sources[name]}); add --source {name}=PATH.")


def parse_options(reader: Reader, given: Mapping[str, str]) -> dict[str, Any]:
    """Every option of the reader: the value `given`, read by its kind, or else the default."""
    settings = {name: option.default for name, option in reader.options.items()}
    for name, value in given.items():
        if name not in reader.options:
            raise UserError(
                f"option '{name}' is not known to this reader; it takes {', '.join(reader.options) or 'none'}."
            )
        option = reader.options[name]
        try:
            settings[name] = KINDS[option.kind](value)
        except ValueError:
            raise UserError(f"option {name}={value} is not understood: {option.help}.") from None
    return settings


def words(value: str) -> list[str]:
    """`IV,XII` to ["IV", "XII"]."""
    return [word for word in (part.strip() for part in value.split(",")) if word]


def whole_numbers(value: str) -> list[int]:
    """`1,64,128` to [1, 64, 128]."""
    return [int(word) for word in words(value)]


def numbers(value: str) -> list[float]:
    """`0.72,0.08,0.2` to finite floats."""
    each = [float(word) for word in words(value)]
    if not np.isfinite(each).all():
        raise ValueError(value)
    return each


def number(value: str) -> float:
    """A finite number."""
    if not np.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def share(value: str) -> float:
    """A number from 0 to below 1."""
    if not 0 <= float(value) < 1:
        raise ValueError(value)
    return float(value)


def at_least(least: int, value: str) -> int:
    """A whole number from `least`."""
    if int(value) < least:
        raise ValueError(value)
    return int(value)


def yes_or_no(value: str) -> bool:
    """`yes` or `no`."""
    if value not in {"yes", "no"}:
        raise ValueError(value)
    return value == "yes"


def label_map(value: str) -> dict[str, str]:
    """`0:none,1:promoter` to {"0": "none", "1": "promoter"}."""
    pairs = [item.partition(":") for item in words(value)]
    if any(not colon or not old or not new for old, colon, new in pairs):
        raise ValueError(value)
    return {old: new for old, _, new in pairs}


def merged_classes(value: str) -> dict[str, str]:
    """`strong+weak:enhancer` to {"strong": "enhancer", "weak": "enhancer"}; several are separated by commas."""
    merged = {}
    for item in words(value):
        names, colon, label = item.partition(":")
        if not colon or not label or not names:
            raise ValueError(item)
        merged.update(dict.fromkeys(names.split("+"), label))
    return merged


def class_counts(value: str) -> dict[str, int]:
    """`TEC:1056,lncRNA:3000` to {"TEC": 1056, "lncRNA": 3000}."""
    counts = {name: at_least(1, number) for name, _, number in (item.partition(":") for item in words(value))}
    if "" in counts:
        raise ValueError(value)
    return counts


def deal(value: str) -> str:
    """A way to draw splits."""
    if value not in DEALS:
        raise ValueError(value)
    return value


def weighting(value: str) -> str:
    """A way to weight rows to learn from."""
    if value not in WEIGHTINGS:
        raise ValueError(value)
    return value


def label_kind(value: str) -> str:
    """A kind of labels."""
    if value not in LABELS:
        raise ValueError(value)
    return value


def row_filter(value: str) -> tuple[str, str]:
    """`task=H3` to ("task", "H3")."""
    column, equals, wanted = value.partition("=")
    if not column or not equals or not wanted:
        raise ValueError(value)
    return column, wanted


def row_filters(value: str) -> dict[str, list[str]]:
    """`type=shRNA/vector,dose=1` to {"type": ["shRNA", "vector"], "dose": ["1"]}."""
    filters = {}
    for item in words(value):
        column, wanted = row_filter(item)
        if column in filters:
            raise ValueError(value)
        filters[column] = [word.strip() for word in wanted.split("/")]
    return filters


def variant_kinds(value: str) -> list[str]:
    """`snv,indel` to the kinds that are meant (`data.variant_kinds.alleles.KINDS`)."""
    return named_kinds(words(value))


_NAMED = (
    words,
    whole_numbers,
    numbers,
    number,
    share,
    yes_or_no,
    label_map,
    merged_classes,
    class_counts,
    deal,
    weighting,
    label_kind,
    row_filter,
    row_filters,
    variant_kinds,
)
KINDS: dict[str, Callable[[str], Any]] = {
    **{kind.__name__: kind for kind in _NAMED},
    **{"text": str, "whole_number": int, "at_least_one": partial(at_least, 1), "at_least_zero": partial(at_least, 0)},
}
