"""Predictions of effects: vectors of genes as a file has them, read once and left as numbers of each perturbation.

A file has, beside the columns of all predictions, lists of float32 [genes]: `observed`, `predicted` and `mean` (what
the mean of the training perturbations predicts), of doubles also `additive` and, where the rule writes it, `first` (the
change of the first single alone); all are changes from the control's mean. `condense` makes of them the metrics of
every row and what tables, interactions and verification need, and drops the rest: tens of megabytes a file.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.effects.profiles import CURVE, correlate, curves, length, measure
from foundationless.study.vocabulary import EFFECT_METRICS

VECTORS = ("observed", "predicted", "mean")
PAIRED = ("observed", "predicted", "additive", "first")  # vectors that rows of doubles keep, of the first genes
NEEDED = (*VECTORS, "targets")
OTHERS = (
    *(f"l2_n{n}" for n in CURVE), *(f"l2_de{n}" for n in CURVE), "l2_mean", "l2_mean_top", "pearson_delta_top",
    "norm_observed", "norm_predicted",
)  # fmt: skip
NUMBERS = (*EFFECT_METRICS, *OTHERS)
DIGEST = "digest"  # column: of the bytes of a predicted profile
OBSERVED = b"observed"  # of the schema's metadata: run -> its `Prints`
_SEED = 20

Floats = NDArray[np.float64]


def pair_column(name: str) -> str:
    """The column of condensed predictions that has a vector of `PAIRED`."""
    return f"pair_{name}"


def is_raw(table: pa.Table) -> bool:
    """Whether predictions are of effects, with their vectors."""
    return "observed" in table.column_names and not is_condensed(table)


def is_condensed(table: pa.Table) -> bool:
    """Whether predictions are of effects, as `condense` leaves them."""
    return DIGEST in table.column_names


def condense(table: pa.Table) -> pa.Table:
    """Predictions of effects without their vectors; a `UserError`, without the file, for vectors that fit nothing.

    Columns that join: `NUMBERS`, `DIGEST`, and for rows whose run validation chose and that have an additive
    expectation the vectors of `PAIRED` (`pair_column`), cut to the first `top` genes. Runs are named with their fold,
    for a candidate has the same name in each. Rows that name no split are of the test set; the metrics of a row are
    those of its run and split, among whose perturbations it is ranked.
    """
    stated = json.loads((table.schema.metadata or {}).get(b"foundationless", b"{}"))
    folds, runs = (table[key].to_pylist() for key in ("fold", "run"))
    names = [f"fold{fold} {run}" for fold, run in zip(folds, runs, strict=True)]
    splits = table["split"].to_pylist() if "split" in table.column_names else ["test"] * table.num_rows
    keys = np.array([f"{split} {name}" for split, name in zip(splits, names, strict=True)], dtype=np.str_)
    values = {name: np.full(table.num_rows, np.nan) for name in NUMBERS}
    digests = np.full(table.num_rows, "", dtype=object)
    prints: dict[str, dict[str, Any]] = {}
    paired = [name for name in PAIRED if name in table.column_names] if "additive" in table.column_names else []
    kept: dict[str, list[Any]] = {name: [None] * table.num_rows for name in paired}
    for key in dict.fromkeys(keys.tolist()):
        places = np.flatnonzero(keys == key)
        rows = table.take(places)
        vectors = _vectors(rows, key)
        genes = vectors["observed"].shape[1]
        top = int(stated.get("top", genes))
        found = _numbers(vectors, rows["targets"].to_pylist(), top)
        for name, column in found.items():
            values[name][places] = column
        for place, profile in zip(places, vectors["predicted"], strict=True):
            digests[place] = hashlib.sha256(profile.tobytes()).hexdigest()
        prints[key] = _prints(vectors["observed"], rows["id"].to_pylist())
        _keep(kept, places, rows, vectors, top)
    columns = {name: table[name] for name in table.column_names if name not in (*VECTORS, *PAIRED, "targets", "run")}
    columns |= {"run": pa.array(names, pa.string())}
    columns |= {name: pa.array(column, pa.float64()) for name, column in values.items()}
    columns |= {DIGEST: pa.array(digests.tolist(), pa.string())}
    columns |= {pair_column(name): pa.array(lists, pa.list_(pa.float32())) for name, lists in kept.items()}
    return pa.table(columns).replace_schema_metadata({OBSERVED: json.dumps(prints).encode()})


def _numbers(vectors: Mapping[str, NDArray[Any]], targets: list[Any], top: int) -> dict[str, Floats]:
    observed, predicted, mean = (vectors[name] for name in VECTORS)
    named = [[place for place in places or () if place < observed.shape[1]] for places in targets]
    known = np.isfinite(observed)
    found = measure(observed, predicted, mean, named, top) | curves(observed, predicted)
    away = np.where(known, observed.astype(np.float64) - mean, 0.0)
    norms = {"norm_observed": length(observed), "norm_predicted": length(predicted)}
    highest = {"l2_mean_top": length(away[:, :top])}
    highest["pearson_delta_top"] = correlate(observed[:, :top], predicted[:, :top])
    return found | {"l2_mean": length(away)} | highest | norms


def _vectors(rows: pa.Table, key: str) -> dict[str, NDArray[Any]]:
    """The vectors of a run: name -> float32 [n, genes]; all are unknown (NaN) at the same genes, or it diverged."""
    found = {}
    for name in VECTORS:
        column = rows[name].combine_chunks()
        lengths = pc.unique(pc.list_value_length(column))
        if column.null_count or len(lengths) != 1 or column.flatten().null_count:
            raise UserError(f"'{name}' of {key} is not one number a gene for every perturbation")
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        found[name] = flat.reshape(len(column), -1)
    if len({each.shape for each in found.values()}) != 1:
        raise UserError(f"observed and predicted profiles of {key} are not of the same genes")
    unknown = [np.isnan(each) for each in found.values()]
    beyond = any(np.isinf(each).any() for each in found.values())
    if beyond or any(not np.array_equal(unknown[0], each) for each in unknown[1:]):
        raise UserError(f"a predicted change of {key} is not finite; the model that made it diverged")
    return found


def _keep(
    kept: dict[str, list[Any]], places: NDArray[np.int64], rows: pa.Table, vectors: Mapping[str, NDArray[Any]], top: int
) -> None:
    """Vectors of the doubles of a run that validation chose, of the first genes."""
    if not kept:
        return
    marked = np.asarray(rows["selected"].to_pylist(), dtype=bool) & rows["additive"].is_valid().to_numpy()
    for place in np.flatnonzero(marked).tolist():
        for name, lists in kept.items():
            if name in vectors:
                lists[places[place]] = vectors[name][place, :top]
            elif rows[name][place].is_valid:
                lists[places[place]] = rows[name][place].values.to_numpy(zero_copy_only=False)[:top].astype(np.float32)


class Prints(NamedTuple):
    """Numbers for the bits of what a run is held against: one a gene, over all items, and one an item, over all genes.

    `genes` is 0 where a gene is unknown. Two runs that know other genes are compared gene by gene, two that have other
    items item by item.
    """

    genes: NDArray[np.uint64]
    items: NDArray[np.uint64]
    ids: tuple[str, ...]


def _prints(observed: NDArray[Any], ids: list[str]) -> dict[str, Any]:
    """`Prints` of observed changes [n, genes] as JSON has them, items in the order of their ids."""
    order = np.argsort(np.asarray(ids, dtype=np.str_), kind="stable")
    bits = (observed[order] + np.float32(0.0)).view(np.uint32).astype(np.uint64)  # of both zeros the same
    known = ~np.isnan(observed).any(axis=0)
    by_item, by_gene = (_factors(count) for count in bits.shape)
    genes = (bits * by_item[:, None]).sum(axis=0, dtype=np.uint64) | np.uint64(1)
    genes[~known] = 0
    items = (bits[:, known] * by_gene[known]).sum(axis=1, dtype=np.uint64)
    coded = [base64.b64encode(each.astype("<u8").tobytes()).decode() for each in (genes, items)]
    return {"genes": coded[0], "items": coded[1], "ids": [ids[place] for place in order]}


def _factors(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(_SEED).integers(1, 2**63, size=count, dtype=np.uint64) | np.uint64(1)


def observed_prints(table: pa.Table) -> dict[str, Prints]:
    """Run (with its fold) -> prints of what it was held against on the test set."""
    stated = json.loads((table.schema.metadata or {}).get(OBSERVED, b"{}"))
    found = {}
    for key, said in stated.items():
        if key.startswith("test "):
            genes, items = (np.frombuffer(base64.b64decode(said[name]), dtype="<u8") for name in ("genes", "items"))
            found[key.removeprefix("test ")] = Prints(genes, items, tuple(said["ids"]))
    return found


def same_observed(one: Prints, other: Prints) -> bool | None:
    """Whether two runs were held against the same numbers, on the genes and items that both know.

    None: they differ both in their genes and in their items, and the prints do not say.
    """
    first, second = one.genes, other.genes
    if first.shape != second.shape:
        return False
    if one.ids == other.ids:
        return bool((first == second)[(first != 0) & (second != 0)].all())
    if not np.array_equal(first == 0, second == 0):
        return None
    theirs = dict(zip(other.ids, other.items.tolist(), strict=True))
    return all(theirs.get(item, mine) == mine for item, mine in zip(one.ids, one.items.tolist(), strict=True))
