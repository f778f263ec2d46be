"""Temperature scaling and split-conformal sets, of class probabilities; both are fitted on validation rows alone."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

LEVEL = 0.9  # share of items whose class a conformal set shall hold
SMALLEST = float(np.finfo(np.float64).eps)  # probability that a likelihood counts at least, as scikit-learn's log_loss
HOTTEST = 50.0  # temperatures lie between its inverse and it: of rows that are all right the best would be 0


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Class probabilities [n, classes] whose logarithms were divided by `temperature`, as a softmax of them.

    Logits are known up to a constant that a softmax does not see, so this is scaling of logits (Guo et al. 2017,
    arXiv:1706.04599). Which class is most probable stays.
    """
    logits = np.log(np.maximum(probabilities, SMALLEST)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def log_losses(truth: Places, probabilities: Floats) -> Floats:
    """Negative log likelihood [n], in nats, of the true classes [n] (places of columns)."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], SMALLEST)))


def brier_scores(truth: Places, probabilities: Floats) -> Floats:
    """Squared errors [n], summed over classes and halved for two, as `metrics.calibration` has their mean."""
    errors = np.array(probabilities, dtype=np.float64)
    errors[np.arange(len(truth)), truth] -= 1
    return np.asarray((errors**2).sum(axis=1) / (2 if errors.shape[1] == 2 else 1))


def fit_temperature(truth: Places, probabilities: Floats) -> float:
    """The temperature of the greatest likelihood of validation rows, between 1 / `HOTTEST` and `HOTTEST`.

    The loss is convex in its inverse, so the bounded search has one minimum to find.
    """
    from scipy import optimize

    def loss(inverse: float) -> float:
        return float(log_losses(truth, tempered(probabilities, 1 / inverse)).mean())

    found = optimize.minimize_scalar(loss, bounds=(1 / HOTTEST, HOTTEST), method="bounded", options={"xatol": 1e-6})
    return float(1 / found.x)


def threshold(truth: Places, probabilities: Floats, level: float = LEVEL) -> float:
    """The least probability that a class of a conformal set has; -infinity where rows are too few: all classes belong.

    Least ambiguous sets (Sadinle, Lei and Wasserman 2019, doi:10.1080/01621459.2017.1395341): the score of a row is 1
    less the probability of its class, and the limit its k-th smallest of n, k = ceil((n + 1) level). Sets then hold the
    true class of at least `level` of new rows, if these are exchangeable with the validation rows.
    """
    order = rank(len(truth), level)
    if order > len(truth):
        return -np.inf
    return float(-np.sort(-probabilities[np.arange(len(truth)), truth])[order - 1])


def rank(n: int, level: float = LEVEL) -> int:
    """Which of n ordered scores is the limit, from 1; n + 1 where none is."""
    return int(np.ceil(np.round((n + 1) * level, 9)))


def expected_coverage(calibrating: int, tested: int, level: float = LEVEL) -> tuple[float, float]:
    """The middle 95 % of the share of `tested` rows that sets cover, where all rows are exchangeable.

    Beta-binomial, for scores without ties (Angelopoulos and Bates 2021, arXiv:2107.07511, section 3.2).
    """
    from scipy import stats

    k = rank(calibrating, level)
    if k > calibrating:
        return 1.0, 1.0
    low, high = stats.betabinom(tested, k, calibrating + 1 - k).ppf([0.025, 0.975]) / tested
    return float(low), float(high)
