"""Layers of a network: which of its states are kept, and features of many of them, one in memory at a time.

A network of L layers has L + 1 states: 0 is the embedding, L the last state, which `encode` gives. The last one is
always kept, under the name of its pooling; an inner one is kept under `names.layer_column`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foundationless.errors import UserError
from foundationless.features.embedding_files import read_vectors
from foundationless.study.names import layer_column


def inner_layers(words: Iterable[int | str], states: int) -> tuple[int, ...]:
    """The inner layers that words name (`all`, `last`, or numbers from 0), of a network with so many states.

    Raises `UserError` for a layer that the network does not have.
    """
    last, chosen = states - 1, set[int]()
    for word in words:
        if word == "all":
            chosen |= set(range(last))
        elif isinstance(word, int):
            if not 0 <= word <= last:
                raise UserError(f"layer {word}: this network has layers 0 (its embedding) to {last}; choose of them.")
            chosen |= {word} - {last}
    return tuple(sorted(chosen))


def columns_of_layers(poolings: Sequence[str], inner: Sequence[int], last: int) -> dict[str, int]:
    """Name of a column -> its layer: the last one first, in every pooling, then inner ones from the embedding on."""
    columns = dict.fromkeys(poolings, last)
    return columns | {layer_column(pooling, layer): layer for layer in inner for pooling in poolings}


def kept_columns(
    path: Path, facts: Mapping[str, Any], poolings: Sequence[str], words: Sequence[int | str]
) -> dict[str, int]:
    """Column of an embedding file -> its layer, of the layers that words name; `UserError` if one is not kept.

    `facts` are those of `embedding_files.read_embeddings`.
    """
    kept, last = facts.get("layers"), facts.get("last_layer")
    if not isinstance(kept, list) or not isinstance(last, int):
        raise UserError(f"{path}: holds the last layer alone; run embed with --layers.")
    inner = inner_layers(words, last + 1)
    if absent := sorted({*inner} - {*kept}):
        raise UserError(f"{path}: holds no layer {absent[0]}; run embed with --layers {absent[0]}.")
    return columns_of_layers(poolings, inner, last)


class Lazy(Mapping[str, np.ndarray]):
    """Matrices by name, each made when it is asked for and kept by nobody: the memory of one at a time."""

    def __init__(self, names: Sequence[str], make: Callable[[str], np.ndarray]) -> None:
        self._names, self._make = tuple(names), make

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Lazy":
        """The same matrices, each changed when it is made."""
        return Lazy(self._names, lambda name: change(self._make(name)))


def columns_in_file(path: Path, columns: Iterable[str]) -> Lazy:
    """Columns of an embedding file, which stays where it is."""
    return Lazy(list(columns), partial(read_vectors, path))
