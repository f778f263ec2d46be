"""Windows of a genome as items of a set: what is drawn together, and how splits are dealt."""

from typing import Any

import numpy as np
import pandas as pd

from foundationless.tasks.splits import draw_splits, named_by_text, shares, split_rows

BLOCK = 1_000_000  # bases of a contig that are drawn together: chromatin is alike over hundreds of thousands


def centred(places: pd.DataFrame, length: int) -> pd.DataFrame:
    """The places with `start` and `end` of windows of `length` around their middles; an odd base is on the right."""
    start = (places["start"] + places["end"]) // 2 - length // 2
    return places.assign(start=start, end=start + length)


def with_groups(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows (`sequence`, `contig`, `start`) with the block that each lies in as its `group`; of identical sequences
    it is that of the first."""
    named = frame["contig"].astype(str) + ":" + (frame["start"] // BLOCK).astype(str)
    return frame.assign(group=named_by_text(frame["sequence"], named))


def split_by_place(frame: pd.DataFrame, options: dict[str, Any], seed: int, where: str) -> pd.DataFrame:
    """The rows (`sequence`, `contig`, `group`) with a split: by contigs where `test_contigs` names them, else by
    `fractions`, and then no group is torn."""
    if options["test_contigs"]:
        return split_rows(frame, options, seed, where)
    return frame.assign(split=draw_splits(np.full(len(frame), ""), frame["group"], shares(options["fractions"]), seed))
