"""Classifiers on frozen features, from a sequence set and its features to predictions and a record.

Embeddings (`probe`) and cheap features (`fit_baseline`) take the same path. Each pair of classifier and feature matrix
is a candidate (`run` in files): `xgboost_max`, or `xgboost_max_pca64` where features were first reduced to 64
components. The validation split chooses among candidates; a set without one reports the first, and its settings say so.
Under selection `test` the first is reported: the paper had one classifier and one pooling. What was tried and chosen,
here and within a candidate, stands in the record's `selections`.

Of a network whose inner layers were kept, every layer is a candidate too, and validation chooses the layer with the
head and the pooling. Only the last layer and what won are tried on the test split: the others are never asked about it.
The best candidate of the last layer is reported beside the winner (`vocabulary.LAST_LAYER`).

Labels are classes, or have outputs (`Samples.labels`): numbers, or zeros and ones. Of these the predictions are a
column `values` in place of `predicted` and `probabilities`, and the record's settings have `labels` and `outputs` in
place of `classes`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.records import SELECTED_BY, Result, finite, hash_files, write_record
from foundationless.features import sequence_classifiers
from foundationless.features.bases import Bases
from foundationless.features.classifiers import (
    Fitted,
    ProbeSettings,
    Samples,
    evaluate_rows,
    fit,
    reduce_width,
    score_rows,
)
from foundationless.features.importances import Importances, largest, write_importances
from foundationless.features.layers import Lazy
from foundationless.features.outputs import fitters
from foundationless.runtime.files import atomic_path
from foundationless.runtime.usage import JobUsage
from foundationless.study.vocabulary import (
    CLASSIFIERS,
    LABELS,
    LAST_LAYER,
    LEARNED_METRICS,
    SEQUENCE_CLASSIFIERS,
    WEIGHING,
    labels_of,
)
from foundationless.tasks.sequence_sets import COLUMNS, WEIGHT, labels_in, read_sequences
from foundationless.tasks.weights.importance import effective_rows


def align(ids: Sequence[str], vectors: Mapping[str, np.ndarray], frame: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """Rows of `vectors` in the order of `frame`, lazy if they are; an id without its vector is a `UserError`."""
    position = pd.Series(np.arange(len(ids)), index=pd.Index(ids))
    order = position.reindex(frame["id"])
    if order.isna().any():
        raise UserError(f"sequence '{order.index[order.isna()][0]}' has no embedding; embed this very set again.")
    rows = order.to_numpy(dtype=np.int64)
    if isinstance(vectors, Lazy):
        return vectors.each(lambda matrix: matrix[rows])
    return {name: matrix[rows] for name, matrix in vectors.items()}


def aggregate(frame: pd.DataFrame, features: Mapping[str, Any], column: str) -> Samples:
    """Average the features of rows that share `column` (the two haplotypes of a person), which becomes the id.

    Label, split and group must agree within a sample, whose label is a class. Samples stand in the order of their first
    rows.
    """
    if labels_in(frame)[1]:
        raise UserError(f"averages by {column} are for classes, and the set has other labels; leave out --aggregate.")
    if WEIGHT in frame.columns:
        raise UserError(f"rows of the set have weights, which averages by {column} have not; leave out --aggregate.")
    if column not in frame.columns:
        raise UserError(f"the set has no column '{column}' to aggregate by; name one that it has.")
    if frame[column].isna().any():
        raise UserError(f"sequence '{frame.loc[frame[column].isna(), 'id'].iloc[0]}' has no {column}; fill the column.")
    for other in ("label", "split", "group"):
        differing = frame.groupby(column, sort=False)[other].nunique(dropna=False)
        if (differing > 1).any():
            raise UserError(f"{column} '{differing.idxmax()}' has more than one {other}; its rows must agree.")
    codes, names = pd.factorize(frame[column])
    counts = np.bincount(codes)[:, None]

    def average(matrix: Any) -> np.ndarray:
        if isinstance(matrix, Bases):
            raise UserError(f"these features are sequences, which have no average by {column}; use k-mers.")
        total = np.zeros((len(names), matrix.shape[1]))
        np.add.at(total, codes, matrix)
        return np.asarray((total / counts).astype(np.float32))

    averaged: Mapping[str, Any] = {}
    if isinstance(features, Lazy):
        averaged = features.each(average)
    else:
        averaged = {name: average(matrix) for name, matrix in features.items()}
    first = frame.drop_duplicates(column)[["label", "split", "group"]].reset_index(drop=True)
    return Samples(first.assign(id=[str(name) for name in names]), averaged)


def read_samples(
    path: Path,
    column: str | None,
    featurise: Callable[[pd.DataFrame], Mapping[str, Any]],
    strict_alphabet: bool = True,
) -> Samples:
    """Samples of a sequence set: `featurise(frame)` gives the features of its rows, averaged by `column` if given."""
    frame = read_sequences(path, strict_alphabet=strict_alphabet)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise UserError(f"{path}: not a sequence set (no column {absent[0]}); build it again.")
    if column is not None:
        return aggregate(frame, featurise(frame), column)
    features = featurise(frame)
    known = ["id", "label", "split", "group", *([WEIGHT] if WEIGHT in frame.columns else [])]
    plain = frame[known].reset_index(drop=True)
    return Samples(plain, features if isinstance(features, Lazy) else dict(features))


class Outcome(NamedTuple):
    """What the probes of a set gave.

    `results` are as `records` describes them; `predictions` are of the test split and of the validation split, so that
    the values that chose can be computed again (of what was not tried on the test split, of validation alone); `choice`
    says what chose the selected candidate, `validation` or `first named`; `selections` are what was tried and chosen;
    `importances` are those of the candidates that have any, by name; `settings` join those of the record.
    """

    results: list[Result]
    predictions: pd.DataFrame
    choice: str
    selections: list[dict[str, Any]]
    importances: dict[str, Importances]
    settings: Mapping[str, Any] = MappingProxyType({})


def _fit_candidates(
    samples: Samples, kinds: Sequence[str], settings: ProbeSettings, layers: Mapping[str, int]
) -> dict[str, Fitted]:
    """Every classifier on every feature matrix and its reductions, by name; one matrix after the other is read.

    `layers` (empty: the last alone) says which layer a matrix is of: it joins what is `chosen`, as does its `depth`,
    the share of the network that lies before it.
    """
    _check_labels(samples, kinds, settings.metric)
    by_kind: dict[str, dict[str, Fitted]] = {kind: {} for kind in kinds}
    last = max(layers.values(), default=0)
    for name, matrix in samples.features.items():
        for kind in kinds:
            _check_reads(kind, name, isinstance(matrix, Bases))
        views: dict[str, tuple[Any, dict[str, Any]]] = {name: (matrix, {})}
        for width in dict.fromkeys(settings.pca) if not isinstance(matrix, Bases) else ():
            views[f"{name}_pca{width}"] = reduce_width(matrix, width, samples, settings)
        place = {"layer": layers[name], "depth": round(layers[name] / max(1, last), 6)} if layers else {}
        for kind, mine in by_kind.items():
            on_columns = fitters.fit if samples.outputs else fit
            train = sequence_classifiers.fit if kind in SEQUENCE_CLASSIFIERS else on_columns
            for view, (features, facts) in views.items():
                fitted = train(kind, features, samples, settings)
                mine[f"{kind}_{view}"] = fitted._replace(chosen=fitted.chosen | facts | place)
    return {name: one for mine in by_kind.values() for name, one in mine.items()}


def _check_labels(samples: Samples, kinds: Sequence[str], metric: str) -> None:
    """`UserError` for a metric of another kind of labels than the set has, or a classifier that does not learn it."""
    if labels_of(metric) != samples.labels:
        judged = f"judges {labels_of(metric)}, and labels of the set are {samples.labels}"
        able = ", ".join(name for name in LABELS[samples.labels] if name in LEARNED_METRICS)
        raise UserError(f"metric {metric} {judged}; choose among {able}.")
    for kind in kinds:
        if samples.labels not in CLASSIFIERS[kind].serves:
            able = ", ".join(name for name, each in CLASSIFIERS.items() if samples.labels in each.serves)
            raise UserError(f"classifier {kind} does not learn {samples.labels}, as the set has; choose among {able}.")
        if samples.weights is not None and kind not in WEIGHING:
            raise UserError(f"classifier {kind} weighs no rows, as the set asks; choose among {', '.join(WEIGHING)}.")


def _check_reads(kind: str, name: str, of_sequences: bool) -> None:
    """`UserError` for a classifier of sequences on a matrix, or one of matrices on sequences."""
    if (kind in SEQUENCE_CLASSIFIERS) != of_sequences:
        read = "sequences (family bases)" if kind in SEQUENCE_CLASSIFIERS else "features in columns"
        raise UserError(f"classifier {kind} reads {read}, not features '{name}'; choose another classifier or family.")


def _score(samples: Samples, split: str, candidates: Mapping[str, Fitted], metric: str) -> dict[str, float]:
    """The metric of every candidate on a split; nothing where the set has no such split."""
    rows = samples.rows(split)
    if not len(rows):
        return {}
    return {name: score_rows(samples, rows, one.probabilities, metric) for name, one in candidates.items()}


def _selection(split: str, metric: str, scores: Mapping[str, float], within: str | None = None) -> dict[str, Any]:
    """The choice of a candidate as the record tells it; ties: the first."""
    tried = {name: finite(score) for name, score in scores.items()}
    chosen = max(scores, key=scores.__getitem__)
    return {"what": "run", "within": within, "split": split, "metric": metric, "tried": tried, "chosen": chosen}


def _settled(candidates: Mapping[str, Fitted], where: str = "") -> list[dict[str, Any]]:
    """What was chosen within each candidate, or within each of its outputs; `where` begins what it says of that."""
    found = []
    for name, one in candidates.items():
        by_output = (one.selection or {}).get("by_output", {})
        mine = {f"{name}, {output}": selection for output, selection in by_output.items()}
        if one.selection and not by_output:
            mine = {name: one.selection}
        found += [{**selection, "within": where + within} for within, selection in mine.items()]
    return found


def _of_last(candidates: Mapping[str, Fitted], layers: Mapping[str, int]) -> list[str]:
    """Candidates on the last layer: all, where no other was kept."""
    last = max(layers.values(), default=None)
    return [name for name, one in candidates.items() if one.chosen.get("layer") == last]


def _layer_selection(
    chosen: str, on_validation: Mapping[str, float], candidates: Mapping[str, Fitted]
) -> dict[str, Any]:
    """The choice of a layer: each at its best candidate on validation, in the order in which ties are broken."""
    best: dict[int, str] = {}
    for name, score in on_validation.items():
        layer = candidates[name].chosen["layer"]
        if layer not in best or score > on_validation[best[layer]]:
            best[layer] = name
    names = list(on_validation)
    order = sorted(best, key=lambda layer: names.index(best[layer]))
    tried = {layer: finite(on_validation[best[layer]]) for layer in order}
    return {"what": "layer", "within": None, "tried": tried, "chosen": candidates[chosen].chosen["layer"]}


def run_probes(
    samples: Samples, kinds: Sequence[str], settings: ProbeSettings, layers: Mapping[str, int] | None = None
) -> Outcome:
    """Fit every classifier of `kinds` (of `vocabulary.CLASSIFIERS`) on every feature matrix; validation chooses one.

    `layers` says of which layer of a network each matrix is, the last one first; without it they are of the last.
    """
    layers = layers or {}
    candidates = _fit_candidates(samples, kinds, settings, layers)
    on_validation = _score(samples, "validation", candidates, settings.metric)
    selections = _settled(candidates)
    # The paper had one classifier on one pooling: to choose among ours by test score was not its error.
    selected = selected_paper = selected_last = next(iter(candidates))
    of_last = _of_last(candidates, layers)
    if on_validation:
        selections.append(_selection("validation", settings.metric, on_validation))
        selected = selections[-1]["chosen"]
    if on_validation and layers:
        said = {"split": "validation", "metric": settings.metric}
        selections.append(said | _layer_selection(selected, on_validation, candidates))
        among = {name: on_validation[name] for name in of_last}
        selections.append(_selection("validation", settings.metric, among, LAST_LAYER))
        selected_last = selections[-1]["chosen"]
    tested = {name: one for name, one in candidates.items() if name == selected or name in of_last}
    chosen = {"validation": selected, "test": selected_paper} | ({LAST_LAYER: selected_last} if layers else {})
    results, predictions = _report(samples, candidates, tested, chosen, settings.metric)
    choice = "validation" if on_validation else "first named"
    weights = {name: one.importances for name, one in candidates.items() if one.importances}
    return Outcome(results, predictions, choice, selections, weights)


Runner = Callable[[Samples, Sequence[str], ProbeSettings, Mapping[str, int] | None], Outcome]


def _report(
    samples: Samples,
    candidates: Mapping[str, Fitted],
    tested: Mapping[str, Fitted],
    chosen: Mapping[str, str],
    metric: str,
) -> tuple[list[Result], pd.DataFrame]:
    """Results and predictions of all candidates on validation, of those `tested` on the test split as well.

    `chosen` names the candidate of each selection (of `records.SELECTED_BY`), whose results have every metric.
    """
    test, validation = samples.rows("test"), samples.rows("validation")
    scored = {"validation": _score(samples, "validation", candidates, metric)}
    scored["test"] = _score(samples, "test", tested, metric)
    results, frames = [], []
    for name, one in candidates.items():
        rows = np.concatenate([test, validation]) if name in tested else validation
        extra = {"run": name, "epoch": None, **one.chosen, "selected": name == chosen["validation"]}
        for split, n in (("validation", len(validation)), ("test", len(test))):
            if name in scored[split]:
                results.append(Result(metric, finite(scored[split][name]), n, split, "run", extra=extra))
        marks = {column: name == chosen[by] for by, column in SELECTED_BY.items() if by in chosen}
        own = samples.frame.iloc[rows][["id", "group", "label", "split"]].astype({"label": str}).assign(
            **_columns(samples, one.probabilities[rows]),
            run=name,
            fold=-1,
            **marks,
        )  # fmt: skip
        own.attrs = {}
        frames.append(own[[*(column for column in own if column != "split"), "split"]])
    for selection, name in chosen.items():
        for each, value in evaluate_rows(samples, test, candidates[name].probabilities).items():
            results.append(Result(each, finite(value), len(test), "test", selection, extra={"run": name}))
    return results, pd.concat(frames, ignore_index=True)


def _columns(samples: Samples, predicted: np.ndarray) -> dict[str, Any]:
    """Columns of the predictions of some rows [n, classes or outputs]."""
    if samples.outputs:
        return {"values": list(predicted)}
    return {"predicted": np.asarray(samples.classes)[predicted.argmax(axis=1)], "probabilities": list(predicted)}


def cross_validate(
    samples: Samples, kinds: Sequence[str], settings: ProbeSettings, layers: Mapping[str, int] | None = None
) -> tuple[list[Result], list[dict[str, Any]]]:
    """The probes under cross-validation over all rows, beside the paper's one split.

    Rows of train, validation and test are cut into `settings.cv_folds` folds, stratified by class, groups kept
    together. In turn a fold tests, the next one chooses hyperparameters and candidate, and the others train: nothing is
    chosen on what is tested. Of inner `layers` only the candidate that is chosen is tested. Returns results of
    selection `crossvalidation`, `fold` numbering the tested fold, and the selections: the main metric of every
    candidate, and every metric of the one chosen in each fold, as run `chosen`.
    """
    folds = _folds(samples.frame, settings)
    results, selections = [], []
    for fold in range(settings.cv_folds):
        following = (fold + 1) % settings.cv_folds
        split = np.where(folds == fold, "test", np.where(folds == following, "validation", "train"))
        lacking = set(samples.classes) - set(samples.frame["label"].astype(str)[split == "train"])
        if lacking:
            raise UserError(
                f"class '{min(lacking)}' has too few groups for cross-validation in {settings.cv_folds} folds: none is "
                f"left to train on beside fold {fold} and the one that chooses; take other --cv-folds, or 0."
            )
        part = Samples(samples.frame.assign(split=split), samples.features)
        candidates = _fit_candidates(part, kinds, settings, layers or {})
        where = f"crossvalidation fold {fold}"
        scores = _score(part, "validation", candidates, settings.metric)
        chosen = _selection("validation", settings.metric, scores, where)
        selections += [*_settled(candidates, f"{where}, "), chosen]
        test = part.rows("test")
        of_last = _of_last(candidates, layers or {})
        for name, one in ((name, candidates[name]) for name in candidates if name in {*of_last, chosen["chosen"]}):
            extra = {"run": name, "epoch": None, **one.chosen, "selected": name == chosen["chosen"]}
            for metric, value in evaluate_rows(part, test, one.probabilities).items():
                result = Result(metric, finite(value), len(test), "test", "crossvalidation", fold, extra=extra)
                for told in [name] * (metric == settings.metric) + ["chosen"] * extra["selected"]:
                    results.append(replace(result, extra=extra | {"run": told}))
    return results, selections


def _folds(frame: pd.DataFrame, settings: ProbeSettings) -> np.ndarray:
    """Number [n] of the fold of every row; labels with outputs are no strata."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = frame["group"].where(frame["group"].notna(), frame["id"]).astype(str)
    outputs = labels_in(frame)[1]
    labels = pd.Series("", index=frame.index) if outputs else frame["label"].astype(str)
    if groups.nunique() < settings.cv_folds:
        raise UserError(
            f"cross-validation in {settings.cv_folds} folds keeps groups together, and the set has "
            f"{groups.nunique()}; take fewer --cv-folds, or 0."
        )
    if not outputs and labels.value_counts().min() < settings.cv_folds:
        scarce = labels.value_counts().idxmin()
        raise UserError(f"class '{scarce}' has fewer rows than --cv-folds {settings.cv_folds}; take fewer folds, or 0.")
    options = {"n_splits": settings.cv_folds, "shuffle": True, "random_state": settings.seed}
    if groups.nunique() == len(groups):  # nothing to keep together; the grouped cutter is slow on ten thousands
        cuts = StratifiedKFold(**options).split(np.zeros(len(frame)), labels)
    else:
        cuts = StratifiedGroupKFold(**options).split(np.zeros(len(frame)), labels, groups)
    numbers = np.zeros(len(frame), dtype=np.int64)
    for fold, (_, rows) in enumerate(cuts):
        numbers[rows] = fold
    return numbers


def run_job(
    featurise: Callable[[pd.DataFrame], Mapping[str, Any]],
    kinds: Sequence[str],
    *,
    sequences: Path,
    strict_alphabet: bool,
    aggregate: str | None,
    settings: ProbeSettings,
    identity: Mapping[str, Any],
    parameters: int,
    details: Mapping[str, Any],
    cost: Mapping[str, Any],
    hashes: Mapping[str, str],
    record: Path,
    predictions: Path,
    layers: Mapping[str, int] | None = None,
    importances: Path | None = None,
    names: Callable[[], Sequence[str] | None] = lambda: None,
    run: Runner = run_probes,
) -> None:
    """Read samples, run the classifiers and write predictions and then the record, which vouches for them.

    `run`: what makes predictions of them, such as `shots.heads.run_drawn`.

    `layers`: of which layer of a network each matrix of features is, where several were kept.
    `importances`: where to write what the classifiers went by; `names()` are those of the features.

    `identity` has analysis, task, model, init and seed; `details`, `cost` and `hashes` join the record's settings, cost
    and hashes; the others are as in `read_samples` and `run_probes`.
    """
    usage = JobUsage(threads=settings.threads)
    samples = read_samples(sequences, aggregate, featurise, strict_alphabet)
    kinds = list(dict.fromkeys(kinds))
    outcome = run(samples, kinds, settings, layers)
    results, rows, selections = outcome.results, outcome.predictions, outcome.selections
    if settings.cv_folds:
        folded = cross_validate(samples, kinds, settings, layers)
        results, selections = results + folded[0], selections + folded[1]
    with atomic_path(predictions) as part:
        rows.to_parquet(part, index=False)
    if importances is not None:
        _write_importances(importances, outcome, names(), identity)
    unsaid = {"seed", "threads"} | ({"class_weights"} if not settings.class_weights else set())
    hyperparameters = {key: value for key, value in asdict(settings).items() if key not in unsaid}
    learned: dict[str, Any] = {"classes": samples.classes}
    if samples.outputs:
        learned = {"labels": samples.labels, "outputs": samples.outputs}
    if samples.weights is not None:
        learned["effective_rows"] = round(effective_rows(samples.weights), 1)
    chosen = {"probes": kinds, **learned, "chosen_by": outcome.choice, "aggregate": aggregate}
    write_record(
        record,
        **identity,
        parameters=parameters,
        settings={**details, **chosen, **hyperparameters, **outcome.settings},
        results=results,
        selections=selections,
        hashes=hash_files(predictions=predictions, sequences=sequences) | dict(hashes),
        cost=usage.cost() | dict(cost),
    )


def _write_importances(path: Path, outcome: Outcome, names: Sequence[str] | None, identity: Mapping[str, Any]) -> None:
    """The largest weights of every candidate; components of a reduced matrix are named by their numbers."""
    selected = set(outcome.predictions.loc[outcome.predictions["selected"], "run"])
    tables = []
    for run, weights in outcome.importances.items():
        named = names if names is not None and len(names) == np.atleast_2d(weights.weights).shape[1] else None
        tables.append(largest(weights, named).assign(run=run, selected=run in selected))
    write_importances(path, tables, identity)
