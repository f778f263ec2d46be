"""Expression values as scGPT reads them: bins of a cell's own quantiles, and what its embedding code feeds.

`bin_values` is `scgpt.preprocess.binning`, `read_cell` and `collate_cells` what `scgpt.tasks.cell_emb` and its
`DataCollator` do (github.com/bowang-lab/scGPT, commit cebd6fa). Equal counts spread at random over the bins that they
fill, so every draw comes from a generator that the caller gives.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

MOST_TOKENS = 1200  # of a cell, <cls> included, in the official embedding code


class Draws(Protocol):
    """What draws uniform numbers: NumPy's `Generator` or `RandomState`."""

    def random(self, size: int) -> Any:
        """So many numbers from 0 up to 1."""


def bin_values(row: np.ndarray, bins: int, draws: Draws) -> np.ndarray:
    """Bin of each value of a cell [genes], in the type of `row`: 0 for zeros, 1 ... `bins` - 1 by quantile of the rest.

    Edges are the quantiles 0, 1/(bins - 2), ... 1 of the non-zero values. A value between edges has one bin; one that
    equals several edges any of those that they bound, all alike probable.
    """
    if not row.size or row.max() == 0:
        return np.zeros_like(row)
    counted = row.nonzero() if row.min() <= 0 else slice(None)
    values = row[counted]
    edges = np.quantile(values, np.linspace(0, 1, bins - 1))
    left, right = np.digitize(values, edges), np.digitize(values, edges, right=True)
    binned = np.zeros(row.shape, dtype=np.int64)
    binned[counted] = np.ceil(draws.random(len(values)) * (right - left) + left)
    return binned.astype(row.dtype)


def read_cell(
    values: np.ndarray, ids: np.ndarray, cls_id: int, cls_value: float, bins: int, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
    """(ids, values) of a cell's non-zero genes that have a token, in their order, <cls> in front; float32 values.

    `values` and `ids` [genes]; an id of -1 is no token. Values are binned, or left as they are where `bins` is 0.
    """
    kept = (values != 0) & (ids >= 0)
    found = values[kept].astype(np.float32)
    if bins:
        found = bin_values(found, bins, draws)
    return np.r_[cls_id, ids[kept]].astype(np.int64), np.r_[cls_value, found].astype(np.float32)


def collate_cells(
    cells: Sequence[tuple[np.ndarray, np.ndarray]],
    pad_id: int,
    pad_value: float,
    most: int = MOST_TOKENS,
    draws: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, values and mask (1: a token) of cells, padded on the right, each [cells, tokens].

    Of a cell with more than `most` tokens a random part is kept, <cls> always; the first ones where no generator is
    given.
    """
    width = min(most, max(len(ids) for ids, _ in cells))
    every_id = np.full((len(cells), width), pad_id, dtype=np.int64)
    every_value = np.full((len(cells), width), pad_value, dtype=np.float32)
    mask = np.zeros((len(cells), width), dtype=np.int64)
    for row, (ids, values) in enumerate(cells):
        places: Any = slice(0, width)
        if len(ids) > width and draws is not None:
            places = np.r_[0, 1 + draws.permutation(len(ids) - 1)[: width - 1]]
        count = min(len(ids), width)
        every_id[row, :count], every_value[row, :count], mask[row, :count] = ids[places], values[places], 1
    return every_id, every_value, mask
