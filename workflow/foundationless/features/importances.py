"""What a classifier went by: the weight of each feature, as a bounded table beside the record of a baseline."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.runtime.files import atomic_path

MOST = 200  # features that are kept per class
COLUMNS = (
    "analysis", "task", "model", "init", "seed", "run", "selected", "kind", "class", "rank", "feature", "importance",
    "features",
)  # fmt: skip


class Importances(NamedTuple):
    """Weights of the features of a classifier.

    Attributes:
        kind: what a weight is: `coefficient` (of a standardised feature), `gain` (sum over all splits on a feature, of
            the loss), `impurity` (mean decrease of Gini's), `nats` (log-odds of the class against all others, times how
            often a training sequence has the feature), `information` (nats that a feature adds about the class, behind
            those above it).
        classes: the class, or the output, that each row of weights speaks for; `""` for all at once.
        weights: [classes, features]; not a number: the feature says nothing of that class.
        names: of the features; None: those that the features were made with.
    """

    kind: str
    classes: Sequence[str]
    weights: np.ndarray
    names: Sequence[str] | None = None


def largest(found: Importances, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The `MOST` features of greatest weight, by magnitude, per class, as rows of `importances.parquet`.

    The column `features` says how many had a weight other than 0; ties stand in the order of the features.
    """
    named = found.names if found.names is not None else names
    parts = []
    for label, weights in zip(found.classes, np.atleast_2d(found.weights), strict=True):
        size = np.abs(np.nan_to_num(weights))
        order = np.argsort(-size, kind="stable")[: min(MOST, int((size > 0).sum()))]
        known = [str(i + 1) for i in order] if named is None else [str(named[i]) for i in order]
        part = {"kind": found.kind, "class": str(label), "rank": np.arange(1, len(order) + 1), "feature": known}
        parts.append(pd.DataFrame(part | {"importance": weights[order].astype(float), "features": (size > 0).sum()}))
    return pd.concat(parts, ignore_index=True)


def write_importances(path: Path, tables: Iterable[pd.DataFrame], identity: Mapping[str, Any]) -> None:
    """Write `importances.parquet` with the columns `COLUMNS`; a classifier without weights has no rows there."""
    # Without a row first, columns would have no type.
    texts = {name: "string" for name in ("run", "kind", "class", "feature")}
    types = texts | {"selected": "bool", "rank": "int64", "importance": "float64", "features": "int64"}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
    whole = pd.concat([empty, *tables], ignore_index=True).astype(types)
    whole = whole.assign(**identity).astype({"seed": "int64"} | dict.fromkeys(COLUMNS[:4], "string"))
    with atomic_path(path) as part:
        whole[list(COLUMNS)].to_parquet(part, index=False)
