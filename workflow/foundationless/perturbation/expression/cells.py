"""The single cells behind a screen's effects: log-normalised values, and which condition each cell is of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from foundationless.errors import UserError
from foundationless.perturbation.effects import Effects
from foundationless.perturbation.expression.build import read_rows, resolved_targets
from foundationless.perturbation.expression.matrix import log_normalised
from foundationless.study.readers import EFFECT_READERS
from foundationless.tasks.options import check_sources, parse_options


@dataclass(frozen=True)
class Cells:
    """`values` are on the scale of the effects; `rows`: those of each of their conditions, in the file's order."""

    values: NDArray[np.float32] | sparse.csr_matrix  # [cells, genes]
    rows: tuple[NDArray[np.int64], ...]


def read_cells(sources: Mapping[str, Path], options: Mapping[str, Any], effects: Effects) -> Cells:
    """The cells from which `build.read` made these effects, by the same sources and options."""
    where = sources["matrix"].name
    expression, told, names = read_rows(sources, options)
    if expression.genes != effects.genes:
        raise UserError(
            f"{where}: has other genes than the effects ({len(expression.genes)} and {len(effects.genes)}); give the "
            "sources and options that the effects were made with."
        )
    normal = log_normalised(expression)
    place = {frozenset(targets): condition for condition, targets in enumerate(effects.targets)}
    rows: list[list[int]] = [[] for _ in effects.conditions]
    for row, genes in enumerate(resolved_targets(expression, told, names)[1]):
        if genes is not None and frozenset(genes) in place:
            rows[place[frozenset(genes)]].append(row)
    counts = np.array([len(own) for own in rows], dtype=np.int64)
    if other := np.flatnonzero(counts != effects.cells).tolist():
        name = effects.conditions[other[0]]
        raise UserError(
            f"{where}: has {counts[other[0]]} cells of '{name}', and the effects are of {effects.cells[other[0]]}; "
            "give the sources and options that the effects were made with."
        )
    return Cells(normal.matrix, tuple(np.array(own, dtype=np.int64) for own in rows))


def cells_reader(name: str, sources: Mapping[str, Path], options: Mapping[str, str]) -> Callable[[Effects], Cells]:
    """A function that reads the cells behind effects, with what `build_effects` was told; options are text.

    What a reader does not know is refused at once.
    """
    check_sources(EFFECT_READERS[name], sources)
    settings = parse_options(EFFECT_READERS[name], dict(options))
    return lambda effects: read_cells(sources, settings, effects)
