"""`transfer`: learn on one task, be tested on another: another species, mark or assay (beyond the paper)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks.outputs.labels import SHOWN, labelled, labels_of_values, output_values
from foundationless.tasks.sequence_sets import JOINED, WEIGHT, labels_in, read_sequences
from foundationless.tasks.weights.importance import effective_rows, importance


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """Train and validation rows of the set `train`, test rows of the set `test`, whose classes, or outputs, must be the
    same.

    Ids and groups say which set they come from. What stands in both sets, on either strand, is taken out of training
    and validation, so that the score is one of transfer and not of memory.

    With `target_rows` so many training rows of the set `test` join those to learn from, as evenly from its classes as
    can be; fewer are the first of more. With `weighting` a column says what each training row of the set `train` weighs
    (`tasks.weights`). Validation, which chooses, stays as it is: what an application has few or no labels of chooses
    nothing.
    """
    columns = ["id", "sequence", "label", "split", "group"]
    learned, other = (read_sequences(sources[name], columns)[columns] for name in ("train", "test"))
    learned, asked = learned[learned["split"] != "test"], other[other["split"] == "test"]
    near = other[other["split"] == "train"]
    kind, outputs = labels_in(learned)
    if labels_in(asked)[0] != kind:
        raise UserError(
            f"{sources['test'].name}: its labels are {labels_in(asked)[0]}, and those of {sources['train'].name} {kind}"
            "; transfer is between tasks of the same labels."
        )
    rename = _same_classes if kind == CLASSES else _same_outputs
    asked = rename(learned, asked, options["labels"], sources)
    if options["target_rows"]:
        given = _drawn(rename(learned, near, options["labels"], sources), kind, options["target_rows"], sources, seed)
        learned, given = learned.assign(**{JOINED: False}), given.assign(**{JOINED: True})
        given["group"] = given["group"].where(given["group"].notna(), given["id"])
        learned = pd.concat([learned, given.assign(**{key: "target:" + given[key] for key in ("id", "group")})])

    def both_strands(frame: pd.DataFrame) -> pd.Series:
        return frame["sequence"].map(lambda text: min(text, reverse_complement(text)))

    shared = both_strands(learned).isin(set(both_strands(asked))).to_numpy()
    tell(f"{len(learned)} rows to learn from, {int(shared.sum())} of them left out: they stand in the test set")
    learned = learned.reset_index(drop=True)
    if options["weighting"]:
        learned = learned.assign(**{WEIGHT: _weights(learned, shared, near, kind, sources)})
    usual = {name: value for name, value in ((JOINED, False), (WEIGHT, 1.0)) if name in learned.columns}
    asked = asked.assign(**usual)
    parts = [part.assign(**{key: f"{where}:" + part[key].astype(str) for key in ("id", "group")})
             for where, part in (("train", learned[~shared]), ("test", asked))]  # fmt: skip
    return labelled(pd.concat(parts, ignore_index=True), kind, outputs)


def _drawn(near: pd.DataFrame, kind: str, count: int, sources: dict[str, Path], seed: int) -> pd.DataFrame:
    """The first `count` rows of a shuffled order in which classes take turns."""
    if len(near) < count:
        raise UserError(
            f"target_rows={count}: {sources['test'].name} has {len(near)} training rows; take fewer, or make it larger."
        )
    order = near.iloc[np.random.default_rng([seed, 2]).permutation(len(near))]
    if kind == CLASSES:
        turn = order.groupby("label").cumcount()
        order = order.iloc[np.argsort(turn.to_numpy(), kind="stable")]
    return order.head(count).reset_index(drop=True)


def _weights(
    learned: pd.DataFrame, shared: np.ndarray, near: pd.DataFrame, kind: str, sources: dict[str, Path]
) -> np.ndarray:
    """Weights of all rows to learn from: of training rows by their k-mers, of others 1."""
    if kind != CLASSES:
        raise UserError(f"weighting: labels of {sources['train'].name} are {kind}; it is for classes alone.")
    weights, own = np.ones(len(learned)), (learned["split"] == "train").to_numpy() & ~shared
    own &= ~learned[JOINED].to_numpy(dtype=bool) if JOINED in learned.columns else True
    weights[own] = importance(learned["sequence"][own].tolist(), near["sequence"].tolist())
    effective = effective_rows(weights[own])
    tell(f"{int(own.sum())} training rows are weighted as those of the test set are: worth {effective:.1f} rows")
    return weights


def _same_classes(
    learned: pd.DataFrame, asked: pd.DataFrame, names: dict[str, str], sources: dict[str, Path]
) -> pd.DataFrame:
    """The test rows with their labels as the training set has them."""
    asked = asked.assign(label=asked["label"].map(lambda label: names.get(label, label)))
    taught, wanted = set(learned["label"].dropna()), set(asked["label"].dropna())
    if not wanted or not wanted <= taught:
        odd = ", ".join(sorted(wanted - taught)) or "none"
        raise UserError(
            f"{sources['test'].name}: its test labels ({odd}) are no classes of {sources['train'].name} "
            f"({', '.join(sorted(taught)[:8])}); transfer is between tasks of the same classes."
        )
    return asked


def _same_outputs(
    learned: pd.DataFrame, asked: pd.DataFrame, names: dict[str, str], sources: dict[str, Path]
) -> pd.DataFrame:
    """The test rows with their outputs in the order of the training set's."""
    taught, wanted = labels_in(learned)[1], [names.get(name, name) for name in labels_in(asked)[1]]
    if sorted(taught) != sorted(wanted):
        odd = ", ".join(sorted(set(wanted) ^ set(taught))[:SHOWN]) or "one twice"
        raise UserError(
            f"{sources['test'].name}: its outputs are not those of {sources['train'].name} ({odd}); transfer is "
            "between tasks of the same outputs: name them alike by the option labels."
        )
    values = output_values(asked)[:, [wanted.index(name) for name in taught]]
    return asked.assign(label=pd.Series(labels_of_values(values), index=asked.index, dtype=object))
