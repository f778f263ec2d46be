"""Metrics equal scikit-learn's and scipy's, with and without weights, at the edges too."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from foundationless.errors import UserError
from foundationless.evaluation import metrics
from foundationless.study.vocabulary import CLASS_METRICS, COUNT_METRICS, METRICS, RANK_METRICS

SKLEARN = {
    "mcc": sk.matthews_corrcoef,
    "accuracy": sk.accuracy_score,
    "macro_f1": lambda y, p, **kw: sk.f1_score(y, p, average="macro", zero_division=0, **kw),
    "weighted_f1": lambda y, p, **kw: sk.f1_score(y, p, average="weighted", zero_division=0, **kw),
}


def draw(seed: int, n: int, k: int):
    generator = np.random.default_rng(seed)
    classes = [f"class{j}" for j in range(k)]
    truth = generator.integers(k, size=n)
    logits = generator.normal(size=(n, k)) + 1.5 * np.eye(k)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.array(classes)[truth], scores, classes


@pytest.mark.parametrize("k", [2, 3, 9])
@pytest.mark.parametrize("metric", COUNT_METRICS)
def test_counts_equal_sklearn_under_weights(k, metric):
    labels, scores, classes = draw(k, 60, k)
    predicted = np.array(classes)[scores.argmax(axis=1)]
    weights = np.random.default_rng(1).poisson(1, size=(5, 60))
    cells = metrics.confusion(labels, predicted, classes)
    counts = (weights @ np.eye(k * k)[cells]).reshape(5, k, k)
    found = metrics.from_confusion(counts, metric)
    for weight, value in zip(weights, found, strict=True):
        kept = np.repeat(np.arange(60), weight)
        assert value == pytest.approx(SKLEARN[metric](labels[kept], predicted[kept]), abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 9])
def test_evaluate_equals_sklearn(k):
    labels, scores, classes = draw(10 + k, 200, k)
    found = metrics.evaluate(labels, scores, classes)
    assert set(found) == set(CLASS_METRICS) == set(metrics._FUNCTIONS)
    if k == 2:
        assert found["auroc"] == pytest.approx(sk.roc_auc_score(labels == "class1", scores[:, 1]))
    else:
        assert found["auroc"] == pytest.approx(sk.roc_auc_score(labels, scores, multi_class="ovr", labels=classes))
    macro = [sk.average_precision_score(labels == name, scores[:, j]) for j, name in enumerate(classes)]
    assert found["auprc"] == pytest.approx(macro[1] if k == 2 else np.mean(macro))
    predicted = np.array(classes)[scores.argmax(axis=1)]
    for metric, function in SKLEARN.items():
        assert found[metric] == pytest.approx(function(labels, predicted), abs=1e-12)
    ones = np.ones((1, 200))
    for metric in RANK_METRICS:
        assert metrics.from_probabilities(labels, scores, classes, ones, metric)[0] == pytest.approx(found[metric])


@pytest.mark.parametrize("metric, oracle", [("auroc", sk.roc_auc_score), ("auprc", sk.average_precision_score)])
@pytest.mark.parametrize("decimals", [1, 12])
def test_weighted_ranks_equal_sklearn_with_and_without_ties(metric, oracle, decimals):
    generator = np.random.default_rng(3)
    positive = generator.random(80) < 0.3
    scores = np.round(generator.normal(size=80) + positive, decimals)
    weights = generator.poisson(1, size=(20, 80)).astype(float)
    found = metrics.from_ranking(positive, scores, weights, metric)
    assert found == pytest.approx([oracle(positive, scores, sample_weight=weight) for weight in weights], abs=1e-12)


def test_degenerate_sets_have_defined_values():
    assert metrics.from_confusion([[5, 0], [3, 0]], "mcc") == 0.0
    assert metrics.from_confusion([[5, 0, 0], [0, 5, 0], [0, 0, 0]], "macro_f1") == 1.0
    assert np.isnan(metrics.from_confusion(np.zeros((2, 2)), "accuracy"))
    assert np.isnan(metrics.evaluate(["a", "a"], [[0.9, 0.1], [0.2, 0.8]], ["a", "b"])["auroc"])
    assert np.isnan(metrics.evaluate_ranking([True, True], [1.0, 2.0])["auroc"])
    assert metrics.evaluate_ranking([False, True], [1.0, 2.0]) == {"auroc": 1.0, "auprc": 1.0}


def test_spearman_equals_scipy_and_skips_missing_values():
    generator = np.random.default_rng(4)
    first, second = np.round(generator.normal(size=(2, 50)), 1)
    expected = scipy.stats.spearmanr(first, second).statistic
    assert metrics.spearman(first, second) == pytest.approx(expected)
    assert metrics.spearman(np.r_[first, np.nan], np.r_[second, 1.0]) == pytest.approx(expected)
    assert np.isnan(metrics.spearman([1, 1, 1], [1, 2, 3]))


def test_label_order_does_not_matter_to_confusion():
    classes = ["b", "a", "c"]
    assert metrics.confusion(["b", "a", "c"], ["a", "a", "b"], classes).tolist() == [0 * 3 + 1, 1 * 3 + 1, 2 * 3 + 0]


@pytest.mark.parametrize(
    "labels, scores",
    [(["a"], [[0.5, 0.5], [1, 0]]), (["x"], [[0.5, 0.5]]), (["a"], [[0.5, 0.2, 0.3]]), (["a"], [[np.nan, 1]])],
)
def test_wrong_input_is_one_sentence(labels, scores):
    with pytest.raises(UserError, match="not finite" if np.isnan(scores).any() else None):
        metrics.evaluate(labels, scores, ["a", "b"])
    with pytest.raises(UserError):
        metrics.confusion(["z"], ["a"], ["a", "b"])


@pytest.mark.parametrize("classes", [2, 3, 9])
def test_calibration_is_scikit_learns(classes):
    from sklearn.calibration import calibration_curve

    generator = np.random.default_rng(classes)
    names = [f"c{i}" for i in range(classes)]
    probabilities = generator.dirichlet(np.full(classes, 0.5), size=400)
    labels = np.array(names)[generator.integers(classes, size=400)]
    found = metrics.calibration(labels, probabilities, names)
    if classes == 2:
        expected = sk.brier_score_loss(labels == "c1", probabilities[:, 1])
    else:
        expected = sk.brier_score_loss(labels, probabilities, labels=names)
    assert found["brier"] == pytest.approx(expected)
    counts, confidence, right = metrics.reliability(labels, probabilities, names).T
    top = np.array(names)[probabilities.argmax(axis=1)] == labels
    accuracy, mean = calibration_curve(top, probabilities.max(axis=1), n_bins=metrics.BINS)
    kept = counts > 0
    assert counts.sum() == 400
    np.testing.assert_allclose(right[kept] / counts[kept], accuracy)
    np.testing.assert_allclose(confidence[kept] / counts[kept], mean)
    assert found["ece"] == pytest.approx(np.sum(counts[kept] / 400 * np.abs(accuracy - mean)))


def test_calibration_tells_the_certain_from_the_overconfident():
    labels = np.array(["a", "b"] * 50)
    right = np.stack([labels == "a", labels == "b"], axis=1).astype(float)
    assert metrics.calibration(labels, right, ["a", "b"]) == {"ece": 0.0, "brier": 0.0}
    assert metrics.calibration(labels, right[:, ::-1], ["a", "b"]) == {"ece": 1.0, "brier": 1.0}
    blind = metrics.calibration(labels, np.full((100, 2), 0.5), ["a", "b"])
    assert blind["ece"] == pytest.approx(0) and blind["brier"] == pytest.approx(0.25)


def test_margins_of_two_even_classes_are_the_same_number_of_errors():
    """What the reasons of MCC and F1 say: the margin of accuracy in errors is theirs, by scikit-learn."""
    truth = np.repeat([0, 1], 500)

    def errors(count: int) -> np.ndarray:
        guess = truth.copy()
        guess[: count // 2], guess[500 : 500 + count // 2] = 1, 0
        return guess

    before, after = errors(200), errors(200 - int(1000 * METRICS["accuracy"].margin))
    for metric, score in SKLEARN.items():
        assert score(truth, after) - score(truth, before) == pytest.approx(METRICS[metric].margin, rel=0.01)
