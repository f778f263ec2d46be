"""Readers of raw data: one module per kind of source, declared in `foundationless.study.readers`.

A reader is a function of sources `{role: path}`, settings `{option: value}` and a seed; it returns a sequence set as
`foundationless.tasks.sequence_sets` describes.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.study.readers import READERS
from foundationless.tasks.options import check_sources, parse_options
from foundationless.tasks.outputs.labels import check_outputs
from foundationless.tasks.splits import legible

Read = Callable[[dict[str, Path], dict[str, Any], int], pd.DataFrame]


def build_set(name: str, sources: Mapping[str, Path], options: Mapping[str, str], seed: int) -> pd.DataFrame:
    """The sequence set that reader `name` makes, without sequences of nothing but N.

    `UserError` for sources and options that it does not know, and for an output that cannot be learned or tested.
    """
    reader = READERS[name]
    check_sources(reader, sources)
    settings = parse_options(reader, options)
    module, _, function = reader.function.partition(":")
    read: Read = getattr(import_module(f"{__name__}.{module}"), function)
    frame = legible(read(dict(sources), settings, seed))
    check_outputs(frame)
    return frame
