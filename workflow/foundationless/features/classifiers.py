"""Classifiers on fixed features, each trained on train rows and tuned on validation rows.

`xgboost`    as the paper ran it (Tables 12 and 15)
`logistic`   logistic regression on standardised features
`svm`        linear support vector machine (squared hinge) on standardised features
`knn`        votes of the nearest training rows
`prototype`  the nearest class mean
`random_forest`  votes of trees grown on bootstrapped rows and random features (Breiman 2001)
`majority`   the class shares of the training rows

Of labels with outputs (numbers, or zeros and ones of which several may be one) the fitters are in `features.outputs`.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.data.outputs import lost_in_rounding, parse_outputs
from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate
from foundationless.evaluation.outputs.metrics import evaluate_outputs
from foundationless.evaluation.records import ORDERED, beyond, edge_of, finite
from foundationless.features.importances import Importances
from foundationless.runtime.log import progress
from foundationless.study.vocabulary import CLASSES, LEARNED_METRICS, TRACKS, labels_of
from foundationless.tasks.sequence_sets import WEIGHT, labels_in

# Of logistic regression and of the support vector machine, weak to strong, each fit starting where the last one ended.
# Thousands of k-mers want 1e-5 to 1e-3, a few informative features 1 and more; without a validation split 1 and 0.01.
STRENGTHS = tuple(float(f"1e{power}") for power in range(-6, 5))
EXTENT = (1e-10, 1e8)  # so far by decades where validation chose an edge of these
NEIGHBOURS = (1, 3, 5, 10, 20, 50, 100, 200, 500)  # 5 without a validation split
LEAVES = (1, 3, 10, 30)  # fewest training rows in a leaf of a random forest; 1 without a validation split
TREES = 300  # of a random forest
# Single precision reads half the memory, which is what a step costs. Sums of thousands of products keep six digits.
_PRECISION = np.float32
_STEPS = 1000  # at most for one strength; `converged` says that fewer were enough
_TOLERANCE = 1e-5  # largest slope of the mean loss where a fit ends; at 1e-4 a few validation rows change sides


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of the classifiers; defaults are the paper's for biotype (depth 3, rate 0.1, 1,000 trees, hist).

    Its ancestry task has `colsample` 0.5 and `early_stopping` 100 (rounds without a lower validation loss; 0: never).
    `pca` names widths that features are reduced to, beside themselves; `cv_folds` (0: none) cuts all rows into folds.
    `class_weights`: `balanced` weighs a row of a logistic regression on classes by how rare its class is among the
    training rows (King and Zeng 2001), empty weighs none.
    """

    metric: str
    seed: int
    rounds: int = 1000
    depth: int = 3
    eta: float = 0.1
    colsample: float = 1.0
    early_stopping: int = 0
    pca: tuple[int, ...] = ()
    cv_folds: int = 0
    class_weights: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.metric not in LEARNED_METRICS:
            known = ", ".join(LEARNED_METRICS)
            raise UserError(f"metric '{self.metric}' is none of a classifier; choose among {known}.")
        if self.rounds < 1 or self.depth < 1 or self.early_stopping < 0 or self.seed < 0 or self.threads < 1:
            raise UserError(
                "--rounds, --depth and --threads must be at least 1; --early-stopping and --seed at least 0."
            )
        if self.cv_folds < 0 or self.cv_folds in (1, 2):
            raise UserError("--cv-folds is at least 3: one fold tests, another chooses and the others train; 0: none.")
        if self.class_weights not in ("", "balanced") or (self.class_weights and labels_of(self.metric) != CLASSES):
            raise UserError("--class-weights is balanced, and of classes; leave it out otherwise.")
        if any(width < 1 for width in self.pca):
            raise UserError("--pca is a number of components, at least 1.")
        if not 0 < self.eta <= 1 or not 0 < self.colsample <= 1:
            raise UserError("--eta and --colsample lie above 0 and at most at 1.")


@dataclass(frozen=True)
class Samples:
    """What a probe reads: `frame` (id, label, split, group; one row per sample) and {name: features}.

    Features are float32 [n, d], or `bases.Bases`. `labels` is the kind of the labels (of `vocabulary.LABELS`), as the
    frame's `attrs` have it: `classes` are the names of classes, or `outputs` those of the numbers of a label, which
    `observed` [n, outputs] holds (NaN: not known; of classes no column).
    """

    frame: pd.DataFrame
    features: Mapping[str, Any]
    classes: list[str] = field(init=False)
    labels: str = field(init=False)
    outputs: list[str] = field(init=False)
    observed: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        for column in ("label", "split"):
            if self.frame[column].isna().any():
                name = self.frame.loc[self.frame[column].isna(), "id"].iloc[0]
                raise UserError(f"sequence '{name}' has no {column}; a probe needs one for every sequence.")
        kind, outputs = labels_in(self.frame)
        texts = self.frame["label"].astype(str)
        classes = [] if outputs else sorted(texts.unique())
        observed = _parse_labels(self.frame, kind, outputs) if outputs else np.empty((len(texts), 0))
        known = {"labels": kind, "outputs": outputs, "classes": classes, "observed": observed}
        for attribute, value in known.items():
            object.__setattr__(self, attribute, value)
        if len(classes) == 1:
            raise UserError(f"the set has the one class '{classes[0]}'; a probe needs two or more.")
        for split in ("train", "test"):
            if not (self.frame["split"] == split).any():
                raise UserError(f"the set has no {split} split; a probe trains on train and is judged on test.")
        untaught = [] if outputs else sorted(set(texts) - set(texts[self.frame["split"] == "train"]))
        if untaught:
            raise UserError(f"class '{untaught[0]}' has no training sequence; split the set by stratum.")
        _check_taught(observed[self.rows("train")], outputs)
        self._check_features()

    def _check_features(self) -> None:
        for name, matrix in self.features.items():
            if len(matrix) != len(self.frame):
                raise UserError(
                    f"features '{name}' have {len(matrix)} rows for {len(self.frame)} samples; embed again."
                )
            if isinstance(matrix, np.ndarray) and not np.isfinite(matrix).all():
                worst = self.frame["id"].iloc[int((~np.isfinite(matrix)).any(axis=1).argmax())]
                raise UserError(f"features '{name}' of '{worst}' are not finite; embed with --precision fp32.")

    def rows(self, split: str) -> np.ndarray:
        """Positions [m] of the rows of a split."""
        return np.flatnonzero(self.frame["split"] == split)

    @property
    def weights(self) -> np.ndarray | None:
        """What each train row weighs [train rows], where the set says it."""
        return self.frame[WEIGHT].to_numpy(dtype=np.float64)[self.rows("train")] if WEIGHT in self.frame else None

    def means(self) -> np.ndarray:
        """Means [outputs] of the labels that are known among train rows: of zeros and ones, the prevalences."""
        means: np.ndarray = np.nanmean(self.observed[self.rows("train")], axis=0)
        return means


def _parse_labels(frame: pd.DataFrame, kind: str, outputs: Sequence[str]) -> np.ndarray:
    """Values [n, outputs] of labels with outputs (NaN: not known); `UserError` for what is no number, or no track."""
    values = parse_outputs(frame["label"], outputs)
    if kind == TRACKS and (odd := ~(np.isnan(values) | (values == 0) | (values == 1))).any():
        row, column = np.argwhere(odd)[0]
        raise UserError(
            f"sequence '{frame['id'].iloc[row]}' has {values[row, column]:g} for '{outputs[column]}'; labels of "
            "tracks are 0, 1, or empty where they are not known."
        )
    return values


def _check_taught(observed: np.ndarray, outputs: Sequence[str]) -> None:
    """`UserError` for an output that no train row knows, or that varies by too little for its size, and where none
    varies among them [train rows, outputs]."""
    untaught = np.isnan(observed).all(axis=0)
    if untaught.any():
        raise UserError(f"output '{outputs[int(untaught.argmax())]}' is known of no training sequence; leave it out.")
    if not outputs:
        return
    varied = np.nanmax(observed, axis=0) > np.nanmin(observed, axis=0)
    if not varied.any():
        raise UserError("the labels of the training sequences are all the same; a probe needs two values or more.")
    with np.errstate(over="ignore", invalid="ignore"):
        lost = varied & lost_in_rounding(np.nanmean(observed, axis=0), np.nanstd(observed, axis=0))
    if lost.any():
        raise UserError(
            f"values of output '{outputs[int(lost.argmax())]}' are too close to each other for their size; subtract a "
            "number from all of them."
        )


class Fitted(NamedTuple):
    """A trained classifier: probabilities [n, classes] (float32) of all rows, what it settled on, and how.

    Of labels with outputs, `probabilities` [n, outputs] are what is predicted: in the units of values, or probabilities
    of each track. `selection` (None: nothing was tried) has what, split, metric, tried and chosen, as
    `records.write_record` takes it; or, where every output has its own, `by_output`: these by the output's name.
    `importances`: what it went by (None: it has no weights of features).
    """

    probabilities: np.ndarray
    chosen: dict[str, Any]
    selection: dict[str, Any] | None = None
    importances: Importances | None = None


def fit(kind: str, matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Train the classifier `kind` of `vocabulary.CLASSIFIERS` on the train rows of `matrix` [n, d]."""
    labels = np.searchsorted(samples.classes, samples.frame["label"].astype(str).to_numpy(dtype=str))
    if kind == "majority":
        share = np.bincount(labels[samples.rows("train")], samples.weights, minlength=len(samples.classes))
        return Fitted(np.tile((share / share.sum()).astype(np.float32), (len(labels), 1)), {})
    if not matrix.shape[1]:
        raise UserError(f"classifier {kind} has no features to read; use the classifier majority.")
    fitter: Callable[..., Fitted] = globals()[f"_fit_{kind}"]
    return fitter(matrix, labels, samples, settings)


def reduce_width(
    matrix: np.ndarray, width: int, samples: Samples, settings: ProbeSettings
) -> tuple[np.ndarray, dict[str, Any]]:
    """The first `width` principal components [n, components] of standardised features, fitted on the train rows.

    There are never more components than features, or than train rows less one. Also returns their number and the share
    of the train rows' variance that they explain.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    train = samples.rows("train")
    scaled = _standardise(matrix, train)
    components = min(width, matrix.shape[1], len(train) - 1)
    solver = "covariance_eigh" if len(train) > matrix.shape[1] else "full"  # both exact: no seed decides
    with threadpool_limits(settings.threads):
        model = PCA(components, svd_solver=solver).fit(scaled[train])
        reduced = model.transform(scaled).astype(np.float32)
    return reduced, {"components": components, "explained": round(float(model.explained_variance_ratio_.sum()), 6)}


def evaluate_rows(samples: Samples, rows: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Every metric of the kind of the labels, of what is predicted of all rows [n, classes or outputs], on some."""
    if samples.outputs:
        return evaluate_outputs(samples.labels, samples.observed[rows], predicted[rows])
    return evaluate(samples.frame["label"].astype(str).to_numpy()[rows], predicted[rows], samples.classes)


def score_rows(samples: Samples, rows: np.ndarray, probabilities: np.ndarray, metric: str) -> float:
    """The metric on some rows; an undefined one counts as the lowest, so that it is never chosen."""
    value = evaluate_rows(samples, rows, probabilities)[metric]
    return value if math.isfinite(value) else -math.inf


def _tune(
    what: str,
    candidates: Sequence[float],
    default: float,
    train: Callable[[Any], tuple[np.ndarray, dict[str, Any]]],
    samples: Samples,
    metric: str,
    extent: tuple[float, float] | None = None,
    most: float = math.inf,
) -> Fitted:
    """Train with each candidate and keep the best on validation (ties: the first), or train once with the default.

    As long as the best is an edge of the grid and the next one lies within `extent` (None: the grid is not extended),
    that one is tried too. `most`: the largest candidate that there can be.
    """
    validation = samples.rows("validation")
    if not len(validation):
        probabilities, facts = train(default)
        return Fitted(probabilities, {what: default, **facts})
    best: tuple[float, np.ndarray, dict[str, Any]] | None = None
    tried: dict[float, float | None] = {}
    waiting = list(candidates)
    while waiting:
        candidate = waiting.pop(0)
        probabilities, facts = train(candidate)
        score = score_rows(samples, validation, probabilities, metric)
        tried[candidate] = finite(score)
        if best is None or score > best[0]:
            best = score, probabilities, {what: candidate, **facts}
        if extent and not waiting:
            further = beyond(tried, best[2][what])
            waiting = [further] if further is not None and extent[0] <= further <= extent[1] else []
    assert best is not None
    edge = edge_of(tried, best[2][what], ORDERED[what], most)
    selection = {"what": what, "split": "validation", "metric": metric, "tried": tried, "chosen": best[2][what]}
    return Fitted(best[1], best[2], selection | {"edge": edge})


def _standardise(matrix: np.ndarray, train: np.ndarray) -> np.ndarray:
    from sklearn.preprocessing import StandardScaler

    scaled: np.ndarray = StandardScaler().fit(matrix[train].astype(np.float64)).transform(matrix.astype(np.float64))
    return scaled


def directions(matrix: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Features less the mean of the train rows, at unit length: what few rows can stand on.

    With one row per class a feature's variance says nothing, so these are not standardised (SimpleShot, CL2N: Wang et
    al. 2019, arXiv:1911.04623).
    """
    centred = matrix.astype(np.float64) - matrix[train].mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    directions: np.ndarray = centred / np.where(length > 0, length, 1.0)
    return directions


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: np.ndarray = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


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


class Boosted(NamedTuple):
    """Boosted trees: what they predict of all rows (float32), rounds that are read, gains of the features [d].

    `losses` of validation by round, under the name `loss`, where early stopping watched them.
    """

    predicted: np.ndarray
    rounds: int
    gains: np.ndarray
    loss: str = ""
    losses: Sequence[float] = ()

    def selection(self, settings: ProbeSettings) -> dict[str, Any] | None:
        """The choice of the number of rounds; None where nothing was watched."""
        if not self.losses:
            return None
        tried = {number: round(loss, 6) for number, loss in enumerate(self.losses, start=1)}
        selection = {"what": "epoch", "split": "validation", "metric": self.loss, "tried": tried, "chosen": self.rounds}
        return selection | {"edge": edge_of(range(1, settings.rounds + 1), self.rounds, ORDERED["epoch"])}


def boost(
    matrix: np.ndarray,
    truth: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    objective: Mapping[str, Any],
    settings: ProbeSettings,
    bar: Any,
    weights: np.ndarray | None = None,
) -> Boosted:
    """Boosted trees that learn `truth` [n] on some rows and, with early stopping, are watched on others (`rows`).

    `weights` are those of the rows that are learned. Nothing is watched where there are no such rows. `bar` is told of
    every round.
    """
    with _without_sklearn():
        import xgboost

    class Progress(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            bar.update()
            return False

    parameters = {
        **objective,
        "tree_method": "hist",
        "max_depth": settings.depth,
        "eta": settings.eta,
        "colsample_bytree": settings.colsample,
        "seed": settings.seed,
        "nthread": settings.threads,
    }
    train, validation = rows
    data = xgboost.DMatrix(matrix[train], truth[train], weight=weights, nthread=settings.threads)
    watched = []
    if settings.early_stopping and len(validation):
        held = xgboost.DMatrix(matrix[validation], truth[validation], nthread=settings.threads)
        watched = [(held, "validation")]
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        parameters,
        data,
        settings.rounds,
        evals=watched,
        evals_result=history,
        early_stopping_rounds=settings.early_stopping if watched else None,
        verbose_eval=False,
        callbacks=[Progress()],
    )
    rounds = booster.best_iteration + 1 if watched else settings.rounds
    every = xgboost.DMatrix(matrix, nthread=settings.threads)
    predicted = booster.predict(every, iteration_range=(0, rounds)).astype(np.float32)
    gains = booster[:rounds].get_score(importance_type="total_gain")
    gain = np.array([gains.get(f"f{column}", 0.0) for column in range(matrix.shape[1])])
    if not watched:
        return Boosted(predicted, rounds, gain)
    ((loss, losses),) = history["validation"].items()
    return Boosted(predicted, rounds, gain, loss, losses)


def check_stopping(samples: Samples, settings: ProbeSettings) -> None:
    """`UserError` where early stopping has no validation split to watch."""
    if settings.early_stopping and not len(samples.rows("validation")):
        raise UserError("early stopping needs a validation split, and the set has none; use --early-stopping 0.")


def _fit_xgboost(matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    check_stopping(samples, settings)
    rows = samples.rows("train"), samples.rows("validation")
    # The argmax of multi:softprob is multi:softmax; the curves need the probabilities.
    objective = {"objective": "multi:softprob", "num_class": len(samples.classes)}
    with progress(settings.rounds, "xgboost", "round") as bar:
        found = boost(matrix, labels, rows, objective, settings, bar, samples.weights)
    weights = Importances("gain", [""], found.gains[None])
    return Fitted(found.predicted, {"epoch": found.rounds}, found.selection(settings), weights)


def fit_logistic(matrix: np.ndarray, samples: Samples, settings: ProbeSettings, strength: float) -> Fitted:
    """Logistic regression at a given strength, of samples without a validation split."""
    labels = np.searchsorted(samples.classes, samples.frame["label"].astype(str).to_numpy(dtype=str))
    return _fit_logistic(matrix, labels, samples, settings, strength)


def _fit_logistic(
    matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings, default: float = 1.0
) -> Fitted:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    rows = samples.rows("train")
    scaled = _standardise(matrix, rows).astype(_PRECISION)
    own, truth = scaled[rows], labels[rows]
    weighed = settings.class_weights or None
    model = LogisticRegression(C=0.0, max_iter=_STEPS, tol=_TOLERANCE, class_weight=weighed)
    weights: dict[float, np.ndarray] = {}

    def train(strength: float) -> tuple[np.ndarray, dict[str, Any]]:
        # below the grid its solution is nearer to zero than to that of the grid's end
        model.set_params(warm_start=0 < model.C < strength, C=strength).fit(own, truth, samples.weights)
        weights[strength] = model.coef_.copy()  # the next fit starts from it, and may write over it
        return model.predict_proba(scaled).astype(np.float32), {"converged": bool(model.n_iter_.max() < _STEPS)}

    with threadpool_limits(settings.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` tells it in the record
        tuned = _tune("strength", STRENGTHS, default, train, samples, settings.metric, EXTENT)
        return _with_weights(tuned, weights, samples)


def _fit_svm(matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """One class against the rest; the softmax of the margins stands for probabilities, which it does not calibrate.

    The machine is scikit-learn's `LinearSVC` (squared hinge, the intercept penalised like a weight). Its solver,
    coordinate by coordinate, knows no warm start and takes minutes at large strengths; the loss is smooth.
    """
    from threadpoolctl import threadpool_limits

    rows = samples.rows("train")
    weights: dict[float, np.ndarray] = {}
    scaled = _standardise(matrix, rows)
    scaled = np.column_stack([scaled, np.ones(len(scaled))]).astype(_PRECISION)
    codes = np.arange(len(samples.classes)) if len(samples.classes) > 2 else np.array([1])
    sides = np.where(labels[rows, None] == codes, 1, -1).astype(_PRECISION)
    own = scaled[rows]
    reached, before = np.zeros((own.shape[1], len(codes))), 0.0

    def train(strength: float) -> tuple[np.ndarray, dict[str, Any]]:
        nonlocal reached, before
        start = reached if before < strength else np.zeros_like(reached)
        reached, converged = squared_hinge(own, sides, strength, start)
        before = strength
        weights[strength] = reached[:-1].T  # the last row is the intercept
        margins = scaled @ reached.astype(_PRECISION)
        if margins.shape[1] == 1:
            margins = np.column_stack([np.zeros(len(margins)), margins])
        return _softmax(margins.astype(np.float64)), {"converged": converged}

    # not below: margins shrink with the strength, until their softmax is a tie in single precision
    extent = STRENGTHS[0], EXTENT[1]
    with threadpool_limits(settings.threads):
        tuned = _tune("strength", STRENGTHS, 0.01, train, samples, settings.metric, extent)
    return _with_weights(tuned, weights, samples)


def squared_hinge(
    features: np.ndarray, sides: np.ndarray, strength: float, start: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Weights [d, k] least in |w|^2 / 2 + strength * sum max(0, 1 - side * x w)^2, and whether the search ended there.

    features: [n, d]; sides: [n, k], 1 or -1, one column a machine. L-BFGS from `start`; the machines share its steps.
    """
    from scipy.optimize import minimize

    scale = 1 / (2 * strength * len(features))  # of a mean loss, so that one tolerance fits all strengths

    def slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        margins = sides * (features @ weights.astype(features.dtype))
        missing = sides * np.maximum(1 - margins, 0)
        # less the loss of no weights, beside which that of small ones would vanish in single precision
        less = np.where(margins < 1, margins * (margins - 2), -1).sum(dtype=np.float64)
        loss = flat @ flat / 2 + strength * less
        return loss * scale, (flat - 2 * strength * (features.T @ missing).ravel()) * scale

    options = {"maxiter": _STEPS, "gtol": _TOLERANCE, "ftol": 64 * np.finfo(float).eps, "maxls": 50}
    reached = minimize(slope, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return reached.x.reshape(start.shape), bool(reached.success)


def _with_weights(fitted: Fitted, weights: Mapping[Any, np.ndarray], samples: Samples) -> Fitted:
    """The same with the coefficients of the chosen strength: a row per class, or of two classes the second's alone."""
    chosen = weights[fitted.chosen["strength"]]
    classes = samples.classes[1:] if len(chosen) == 1 else samples.classes
    return fitted._replace(importances=Importances("coefficient", classes, chosen))


def _fit_random_forest(matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Breiman 2001 (doi:10.1023/A:1010933404324), the square root of the features being looked at in each split."""
    from sklearn.ensemble import RandomForestClassifier

    rows = samples.rows("train")
    weights: dict[int, np.ndarray] = {}

    def train(leaf: int) -> tuple[np.ndarray, dict[str, Any]]:
        model = RandomForestClassifier(
            TREES, min_samples_leaf=leaf, n_jobs=settings.threads, random_state=settings.seed
        ).fit(matrix[rows], labels[rows])
        weights[leaf] = model.feature_importances_[None]
        return model.predict_proba(matrix).astype(np.float32), {}

    fitted = _tune("leaf", LEAVES, 1, train, samples, settings.metric)
    return fitted._replace(importances=Importances("impurity", [""], weights[fitted.chosen["leaf"]]))


def _fit_knn(matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Shares of the classes among the k nearest train rows; distances between centred rows of unit length."""
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    rows = samples.rows("train")
    candidates = [k for k in NEIGHBOURS if k <= len(rows)]
    unit = directions(matrix, rows)
    with threadpool_limits(settings.threads):
        model = NearestNeighbors(n_neighbors=candidates[-1], algorithm="brute").fit(unit[rows])
        nearest = labels[rows][model.kneighbors(unit, return_distance=False)]

    def train(k: int) -> tuple[np.ndarray, dict[str, Any]]:
        votes = nearest[:, :k, None] == np.arange(len(samples.classes))
        return votes.mean(axis=1).astype(np.float32), {}

    most = len(rows)  # all of them vote
    return _tune("neighbours", candidates, min(5, candidates[-1]), train, samples, settings.metric, most=most)


def _fit_prototype(matrix: np.ndarray, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Softmax of the negative squared distances to the class means (prototypical networks, arXiv:1703.05175)."""
    rows = samples.rows("train")
    unit = directions(matrix, rows)
    means = np.stack([unit[rows][labels[rows] == code].mean(axis=0) for code in range(len(samples.classes))])
    # |x - m|^2 without |x|^2, which is the same for every class
    return Fitted(_softmax(2 * unit @ means.T - (means**2).sum(axis=1)), {})
