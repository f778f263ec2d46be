"""Classifiers on fixed features: XGBoost as the study ran it, logistic regression, and the majority class.

Embeddings (`probe`) and cheap features (`fit_baseline`) take the same path from a feature matrix to the record. Each
pair of classifier and feature matrix is a run, `xgboost_max` for instance. Runs are chosen by the validation split;
a set without one reports the run that was named first as chosen, and its settings say so.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from foundationless.errors import UserError
from foundationless.files import atomic_path
from foundationless.metrics import METRICS, evaluate
from foundationless.records import Result, Stopwatch, write_record
from foundationless.sequences import COLUMNS, read_sequences

STRENGTHS = (0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of the classifiers; defaults are the study's for biotype (depth 3, rate 0.1, 1,000 trees, hist).

    Its ancestry task has `colsample` 0.5 and `early_stopping` 100 (rounds without a lower validation loss; 0: never).
    """

    metric: str
    seed: int
    rounds: int = 1000
    depth: int = 3
    eta: float = 0.1
    colsample: float = 1.0
    early_stopping: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.rounds < 1 or self.depth < 1 or self.early_stopping < 0 or self.seed < 0 or self.threads < 1:
            raise UserError(
                "--rounds, --depth and --threads must be at least 1; --early-stopping and --seed at least 0."
            )
        if not 0 < self.eta <= 1 or not 0 < self.colsample <= 1:
            raise UserError("--eta and --colsample lie above 0 and at most at 1.")


@dataclass(frozen=True)
class Samples:
    """What a probe reads: `frame` (id, label, split, group; one row per sample) and {name: float32 [n, d]}."""

    frame: pd.DataFrame
    features: dict[str, np.ndarray]
    classes: list[str] = field(init=False)

    def __post_init__(self) -> None:
        for column in ("label", "split"):
            if self.frame[column].isna().any():
                name = self.frame.loc[self.frame[column].isna(), "id"].iloc[0]
                raise UserError(f"sequence '{name}' has no {column}; a probe needs one for every sequence.")
        object.__setattr__(self, "classes", sorted(self.frame["label"].astype(str).unique()))
        if len(self.classes) < 2:
            raise UserError(f"the set has the one class '{self.classes[0]}'; a probe needs two or more.")
        labels = self.frame["label"].astype(str)
        for split in ("train", "test"):
            if not (self.frame["split"] == split).any():
                raise UserError(f"the set has no {split} split; a probe trains on train and is judged on test.")
        untaught = sorted(set(labels) - set(labels[self.frame["split"] == "train"]))
        if untaught:
            raise UserError(f"class '{untaught[0]}' has no training sequence; split the set by stratum.")
        for name, matrix in self.features.items():
            if len(matrix) != len(self.frame):
                raise UserError(
                    f"features '{name}' have {len(matrix)} rows for {len(self.frame)} samples; embed again."
                )
            if not np.isfinite(matrix).all():
                worst = self.frame["id"].iloc[int((~np.isfinite(matrix)).any(axis=1).argmax())]
                raise UserError(f"features '{name}' of '{worst}' are not finite; embed with --precision fp32.")

    def rows(self, split: str) -> np.ndarray:
        """Positions [m] of the rows of a split."""
        return np.flatnonzero(self.frame["split"] == split)


def align(ids: Sequence[str], vectors: Mapping[str, np.ndarray], frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Rows of `vectors` in the order of `frame`; an id without its vector is a `UserError`."""
    position = pd.Series(np.arange(len(ids)), index=pd.Index(ids))
    order = position.reindex(frame["id"])
    if order.isna().any():
        raise UserError(f"sequence '{order.index[order.isna()][0]}' has no embedding; embed this very set again.")
    rows = order.to_numpy(dtype=np.int64)
    return {name: matrix[rows] for name, matrix in vectors.items()}


def aggregate(frame: pd.DataFrame, features: Mapping[str, np.ndarray], column: str) -> Samples:
    """Average the features of rows that share `column` (the two haplotypes of a person), which becomes the id.

    Label, split and group must agree within a sample. Samples stand in the order of their first rows.
    """
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
    averaged = {}
    for name, matrix in features.items():
        total = np.zeros((len(names), matrix.shape[1]))
        np.add.at(total, codes, matrix)
        averaged[name] = (total / counts).astype(np.float32)
    first = frame.drop_duplicates(column)[["label", "split", "group"]].reset_index(drop=True)
    return Samples(first.assign(id=[str(name) for name in names]), averaged)


def read_samples(
    path: Path,
    column: str | None,
    featurise: Callable[[pd.DataFrame], Mapping[str, np.ndarray]],
    strict_alphabet: bool = True,
) -> Samples:
    """Samples of a sequence set: `featurise(frame)` gives the features of its rows, averaged by `column` if given."""
    frame = read_sequences(path, strict_alphabet=strict_alphabet)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise UserError(f"{path}: not a sequence set (no column {absent[0]}); build it again.")
    if column is not None:
        return aggregate(frame, featurise(frame), column)
    return Samples(frame[["id", "label", "split", "group"]].reset_index(drop=True), dict(featurise(frame)))


def fit(kind: str, matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> tuple[np.ndarray, dict[str, Any]]:
    """Train one classifier on the train split; float32 probabilities [n, classes] of all rows, and what it chose."""
    labels = np.searchsorted(samples.classes, samples.frame["label"].astype(str).to_numpy(dtype=str))
    if kind == "majority":
        share = np.bincount(labels[samples.rows("train")], minlength=len(samples.classes))
        return np.tile((share / share.sum()).astype(np.float32), (len(labels), 1)), {}
    fitter = {"xgboost": _fit_xgboost, "logistic": _fit_logistic}[kind]
    return fitter(matrix, labels, samples, settings)


@contextmanager
def _without_sklearn() -> Iterator[None]:
    """Inside, `import xgboost` leaves out its scikit-learn interface: unused here, and most of a small job's time."""
    hidden = "sklearn" not in sys.modules
    if hidden:
        sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["sklearn"]


def _fit_xgboost(
    matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings
) -> tuple[np.ndarray, dict[str, Any]]:
    with _without_sklearn():
        import xgboost

    class Progress(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            bar.update()
            return False

    train, validation = samples.rows("train"), samples.rows("validation")
    if settings.early_stopping and not len(validation):
        raise UserError("early stopping needs a validation split, and the set has none; use --early-stopping 0.")
    parameters = {
        "objective": "multi:softprob",  # its argmax is multi:softmax; the curves need the probabilities
        "num_class": len(samples.classes),
        "tree_method": "hist",
        "max_depth": settings.depth,
        "eta": settings.eta,
        "colsample_bytree": settings.colsample,
        "seed": settings.seed,
        "nthread": settings.threads,
    }
    data = xgboost.DMatrix(matrix[train], labels[train], nthread=settings.threads)
    watched = []
    if settings.early_stopping:
        watched = [(xgboost.DMatrix(matrix[validation], labels[validation], nthread=settings.threads), "validation")]
    interval = 0.1 if sys.stderr.isatty() else 10
    with tqdm(total=settings.rounds, desc="xgboost", unit="round", mininterval=interval) as bar:
        booster = xgboost.train(
            parameters,
            data,
            settings.rounds,
            evals=watched,
            early_stopping_rounds=settings.early_stopping or None,
            verbose_eval=False,
            callbacks=[Progress()],
        )
    rounds = booster.best_iteration + 1 if settings.early_stopping else settings.rounds
    every = xgboost.DMatrix(matrix, nthread=settings.threads)
    return booster.predict(every, iteration_range=(0, rounds)).astype(np.float32), {"epoch": rounds}


def _fit_logistic(
    matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings
) -> tuple[np.ndarray, dict[str, Any]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    train, validation = samples.rows("train"), samples.rows("validation")
    scaler = StandardScaler().fit(matrix[train].astype(np.float64))
    scaled = scaler.transform(matrix.astype(np.float64))
    best: tuple[float, np.ndarray, dict[str, Any]] | None = None
    with threadpool_limits(settings.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` tells it in the record
        for strength in STRENGTHS if len(validation) else (1.0,):
            model = LogisticRegression(C=strength, max_iter=1000).fit(scaled[train], labels[train])
            found = model.predict_proba(scaled).astype(np.float32)
            score = _score(samples, validation, found, settings.metric) if len(validation) else 0.0
            if best is None or score > best[0]:
                best = score, found, {"strength": strength, "converged": bool(model.n_iter_.max() < 1000)}
    assert best is not None
    return best[1], best[2]


def _score(samples: Samples, rows: np.ndarray, probabilities: np.ndarray, metric: str) -> float:
    """The metric on some rows; an undefined one counts as the lowest, so that it is never chosen."""
    truth = samples.frame["label"].astype(str).to_numpy()[rows]
    value = evaluate(truth, probabilities[rows], samples.classes)[metric]
    return value if math.isfinite(value) else -math.inf


def run_probes(
    samples: Samples, kinds: Sequence[str], settings: ProbeSettings
) -> tuple[list[Result], pd.DataFrame, str]:
    """Fit every classifier on every feature matrix.

    Args:
        samples: features, labels and splits.
        kinds: of `xgboost`, `logistic`, `majority`.
        settings: hyperparameters, the metric that chooses, seed and threads.

    Returns:
        (results, predictions, choice): results and per-sample predictions of the test split as `records` describes
        them; `choice` says what chose the selected run, `validation` or `first named`.
    """
    if settings.metric not in METRICS or settings.metric == "spearman":
        raise UserError(f"metric '{settings.metric}' is none of a classifier; choose among {', '.join(METRICS[:-1])}.")
    test, validation = samples.rows("test"), samples.rows("validation")
    runs: dict[str, tuple[np.ndarray, dict[str, Any]]] = {}
    for kind in kinds:
        for name, matrix in samples.features.items():
            runs[f"{kind}_{name}"] = fit(kind, matrix, samples, settings)
    on_test = {run: _score(samples, test, found, settings.metric) for run, (found, _) in runs.items()}
    on_validation = {}
    if len(validation):
        on_validation = {run: _score(samples, validation, found, settings.metric) for run, (found, _) in runs.items()}
    selected = max(on_validation, key=on_validation.__getitem__) if on_validation else next(iter(runs))
    selected_paper = max(on_test, key=on_test.__getitem__)  # ties: the run named first

    results = []
    frames = []
    frame = samples.frame.iloc[test]
    names = np.asarray(samples.classes)
    for run, (found, chosen) in runs.items():
        extra = {"run": run, "epoch": None, **chosen, "selected": run == selected}
        for split, scores, n in (("validation", on_validation, len(validation)), ("test", on_test, len(test))):
            if scores:
                results.append(Result(settings.metric, _finite(scores[run]), n, split, "run", extra=extra))
        frames.append(
            pd.DataFrame(
                {
                    "id": frame["id"].to_numpy(),
                    "group": frame["group"].to_numpy(),
                    "label": frame["label"].astype(str).to_numpy(),
                    "predicted": names[found[test].argmax(axis=1)],
                    "probabilities": list(found[test]),
                    "run": run,
                    "fold": -1,
                    "selected": run == selected,
                    "selected_paper": run == selected_paper,
                    "split": "test",
                }
            )
        )
    truth = frame["label"].astype(str).to_numpy()
    for protocol, run in (("corrected", selected), ("paper", selected_paper)):
        for metric, value in evaluate(truth, runs[run][0][test], samples.classes).items():
            results.append(Result(metric, _finite(value), len(test), "test", protocol, extra={"run": run}))
    return results, pd.concat(frames, ignore_index=True), "validation" if on_validation else "first named"


def run_job(
    featurise: Callable[[pd.DataFrame], Mapping[str, np.ndarray]],
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
    record: Path,
    predictions: Path,
) -> None:
    """Read samples, run the classifiers and write predictions and then the record, which vouches for them.

    `identity` has analysis, task, model, init and seed; `details` and `cost` join the record's settings and cost; the
    others are as in `read_samples` and `run_probes`.
    """
    watch = Stopwatch()
    samples = read_samples(sequences, aggregate, featurise, strict_alphabet)
    results, rows, choice = run_probes(samples, list(dict.fromkeys(kinds)), settings)
    with atomic_path(predictions) as part:
        rows.to_parquet(part, index=False)
    hyperparameters = {key: value for key, value in asdict(settings).items() if key not in ("seed", "threads")}
    chosen = {"probes": list(kinds), "classes": samples.classes, "chosen_by": choice, "aggregate": aggregate}
    write_record(
        record,
        **identity,
        parameters=parameters,
        settings={**details, **chosen, **hyperparameters},
        results=results,
        cost=watch.cost() | dict(cost),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
