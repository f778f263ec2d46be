"""Tables of predicted effects: a row per perturbation, and how well interactions of pairs are found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundationless.evaluation.bootstrap import Run
from foundationless.evaluation.effects.interactions import (
    CALLED,
    CLASSES,
    GRID,
    Null,
    classify,
    find,
    fit_null,
    rate_predictions,
)
from foundationless.evaluation.effects.predictions import NUMBERS
from foundationless.evaluation.task_results import KEYS, Name, TaskResults

EFFECTS = [*KEYS, "selection", "fold", "perturbation", "kind", "seeds", *NUMBERS, "group"]
INTERACTIONS = [
    *KEYS, "selection", "what", "name", "x", "y", "n", "sd", "folds", "seeds", "threshold_low", "threshold_high",
]  # fmt: skip
OBSERVED = "observed"  # model and init of the rows that are of no prediction
SELECTION = "validation"

Rows = list[dict[str, Any]]


def by_perturbation(results: TaskResults) -> Rows:
    """Every metric of every test perturbation in each split, mean over seeds, of runs that validation chose.

    `l2_mean` is the error of the mean of the training perturbations; `l2_mean_top` and `pearson_delta_top` are, as
    `l2_top`, of the genes that are highest in control alone, as many as the screen's `top` says; `norm_observed` and
    `norm_predicted` are lengths of changes, `l2_n10` and `l2_de10` errors of the ten genes that are highest in control,
    and that change most.
    """
    rows: Rows = []
    for arm in results.order if results.of_effects else []:
        for fold, runs in _by_fold(results, arm):
            shared = results.identity(arm) | {"selection": SELECTION, "fold": fold, "seeds": len(runs)}
            ids = _ids(runs[0])
            means = {name: np.mean([(run.effects or {})[name] for run in runs], axis=0) for name in NUMBERS}
            rows += [
                shared | {"perturbation": str(one), "group": str(group), "kind": str(kind)}
                | {name: float(values[place]) for name, values in means.items()}
                for place, (one, group, kind) in enumerate(zip(ids, runs[0].groups, runs[0].labels, strict=True))
            ]  # fmt: skip
    return rows


def interactions(results: TaskResults) -> Rows:
    """How interactions of doubles are found: by arm, mean over splits and seeds, of runs that validation chose.

    The null is fitted once to all doubles of the task that any split tests. `what` is `class` (how many, `y`, of the
    `n` pairs of a gene and a double are of the kind `name`: as observed, where model and init say so, or predicted);
    `called` (of the `CALLED` predictions farthest from additive, how many are of a predicted and an observed kind,
    `buffering/other`); `tpr_fdp`, `pr` and `roc` (curves, `y` at `x`; see `rate_predictions`); `auc` (`name` auroc or
    auprc, `sd` over splits); or `example` (the double `name` with most interactions: observed and predicted change of
    gene `n`).
    """
    doubles = _doubles(results)
    if not doubles:
        return []
    null = fit_null(np.concatenate([double.gap for double in doubles.values()]))
    shared = {"selection": SELECTION, "threshold_low": null.low, "threshold_high": null.high}
    example = max(doubles, key=lambda name: int(find(doubles[name].gap, null).sum()))
    kinds = np.concatenate([double.kinds(null) for double in doubles.values()])
    observed = results.identity(results.order[0]) | {"model": OBSERVED, "init": OBSERVED} | shared
    rows = [observed | row for row in _count("class", kinds)]
    for arm in results.order:
        identity = results.identity(arm) | shared
        by_fold = [
            _averaged([_of_run(run.pairs, null) for run in runs if run.pairs is not None])
            for _, runs in _by_fold(results, arm)
        ]
        rows += [identity | row for row in _averaged([fold for fold in by_fold if fold], "folds")]
        if arm[1] in ("pretrained", "baseline"):
            rows += [identity | row for row in _example(results.runs(arm, SELECTION), example)]
    return rows


def _by_fold(results: TaskResults, arm: Name) -> Iterator[tuple[int, list[Run]]]:
    """Runs of the seeds of an arm in each split, items in the same order."""
    folds: dict[int, list[Run]] = {}
    for run in results.runs(arm, SELECTION):
        folds.setdefault(run.fold, []).append(run)
    yield from sorted(folds.items())


def _ids(run: Run) -> NDArray[np.str_]:
    return run.groups if run.ids is None else run.ids


class Double(NamedTuple):
    """Observed and additive changes of a double [genes], and where both singles move a gene the same way."""

    observed: NDArray[np.float64]
    additive: NDArray[np.float64]
    alike: NDArray[np.bool_]

    @property
    def gap(self) -> NDArray[np.float64]:
        """Observed minus additive change."""
        return self.observed - self.additive

    def kinds(self, null: Null) -> NDArray[np.int64]:
        """Kinds of the genes that are known."""
        return classify(self.observed, self.additive, null, self.alike)[np.isfinite(self.gap)]


def _doubles(results: TaskResults) -> dict[str, Double]:
    """Every double that is tested, once, from the run that knows most of its genes, where some reading drops genes."""
    known: dict[str, Double] = {}
    for arm in results.order if results.of_effects else []:
        for run in results.runs(arm, SELECTION):
            if run.pairs is None:
                continue
            observed, additive = (run.pairs[name].astype(np.float64) for name in ("observed", "additive"))
            alike, counts = _alike(run.pairs), np.isfinite(observed - additive).sum(axis=1)
            for place, name in enumerate(_ids(run).tolist()):
                if counts[place] > (np.isfinite(known[name].gap).sum() if name in known else 0):
                    known[name] = Double(observed[place], additive[place], alike[place])
    return known


def _alike(pairs: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Where both singles move a gene the same way; everywhere, if the first one's change is not told."""
    if "first" not in pairs:
        return np.ones(pairs["additive"].shape, dtype=bool)
    return np.asarray(np.sign(pairs["first"]) == np.sign(pairs["additive"] - pairs["first"]))


def _count(what: str, kinds: NDArray[np.int64]) -> Rows:
    counts = np.bincount(kinds, minlength=len(CLASSES))
    return [
        {"what": what, "name": name, "y": float(count), "n": len(kinds)}
        for name, count in zip(CLASSES, counts, strict=True)
    ]


def _of_run(pairs: Mapping[str, NDArray[Any]], null: Null) -> Rows:
    """Rows of one run, in an order that is the same for all."""
    profiles = (pairs[name].astype(np.float64) for name in ("observed", "predicted", "additive"))
    observed, predicted, additive = profiles
    gaps, alike = predicted - additive, _alike(pairs)
    known = np.isfinite(observed - additive) & np.isfinite(gaps)
    total = int(known.sum())
    kinds = classify(observed, additive, null, alike)
    rows = _count("class", classify(predicted, additive, null, alike)[known])
    any_gap = Null(np.nan, np.nan, np.nan, 0.0, 0.0)  # of a prediction that is called
    called = np.argsort(-np.where(known, np.abs(gaps), -1.0), axis=None, kind="stable")[: min(CALLED, total)]
    said = classify(predicted, additive, any_gap, alike).ravel()[called]
    table = np.zeros((len(CLASSES), len(CLASSES)))
    np.add.at(table, (said, kinds.ravel()[called]), 1)
    rows += [
        {"what": "called", "name": f"{CLASSES[i]}/{CLASSES[j]}", "y": float(count), "n": len(called)}
        for (i, j), count in np.ndenumerate(table)
    ]
    rated = rate_predictions(observed - additive, gaps, null)
    for what in ("tpr_fdp", "pr", "roc"):
        points = zip(GRID, rated[what], strict=True)
        rows += [{"what": what, "name": "", "x": float(x), "y": float(y), "n": total} for x, y in points]
    return rows + [{"what": "auc", "name": name, "y": rated[name], "n": total} for name in ("auroc", "auprc")]


def _averaged(found: Sequence[Rows], counted: str = "seeds") -> Rows:
    """Means over seeds or over folds, which are counted; of folds the sd too."""
    rows = []
    for several in zip(*found, strict=True):
        values, sizes = ([row[name] for row in several] for name in ("y", "n"))
        known = [value for value in values if np.isfinite(value)]
        row = several[0] | {"y": float(np.mean(known)) if known else np.nan, "n": float(np.mean(sizes))}
        row |= {counted: len(several)}
        if counted == "folds" and len(known) > 1:
            row["sd"] = float(np.std(known, ddof=1))
        rows.append(row)
    return rows


def _example(runs: Sequence[Run], name: str) -> Rows:
    """Observed and predicted changes of every gene of a double, from the first run that tests it."""
    for run in runs:
        places = np.flatnonzero(_ids(run) == name)
        if run.pairs is None or not len(places):
            continue
        profiles = zip(*(run.pairs[key][places[0]].tolist() for key in ("observed", "predicted")), strict=True)
        return [
            {"what": "example", "name": name, "x": x, "y": y, "n": gene}
            for gene, (x, y) in enumerate(profiles)
            if np.isfinite([x, y]).all()
        ]
    return []
