"""Fine-tuning on numbers, and on zeros and ones: losses, scaling, what is missing, and the whole job."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold

from foundationless.data.outputs import format_outputs, parse_outputs
from foundationless.errors import UserError
from foundationless.evaluation.outputs.metrics import evaluate_outputs
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise
from foundationless.study.vocabulary import LABELS, TRACKS, VALUES
from foundationless.training import finetuning, learned, loop, stacking
from foundationless.training.classifier import Classifier, Examples, prepare_examples
from foundationless.training.compute import Compute
from foundationless.training.learned import Classes, validation_score
from foundationless.training.stacking import Alone, Stack, optimizer, refusal
from foundationless.training.sweep import Fold, Settings, split_folds
from support.fine_tuning import at_call, job, merge, metric_of, outputs, part, planted, planted_outputs, same, send
from support.networks import CNN, HYENA, TINY, save_model

METRIC = {VALUES: "pearson", TRACKS: "macro_auroc"}
BOTH = pytest.mark.parametrize("labels", [VALUES, TRACKS])
CPU = Compute("cpu", token_budget=300)


@pytest.fixture(scope="module")
def hyena(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


@pytest.fixture(scope="module")
def cnn(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "cnn", "cnn", CNN, "character")


def classifier_of(frame: pd.DataFrame, folds: list[Fold], family: str = "cnn") -> tuple[Classifier, Examples]:
    config, tokenizer = {"cnn": (CNN, "character"), "hyenadna": (HYENA, "hyenadna")}[family]
    tokens_of = load_tokenizer(tokenizer)
    examples = prepare_examples(frame, "toy", tokens_of, 66).fitted(folds, "toy")
    torch.manual_seed(1)
    model = Classifier(initialise(family, config, 3), tokens_of, examples.learned.width, "max", 16).double().train()
    return model, examples


def targets_of(frame: pd.DataFrame) -> np.ndarray:
    return parse_outputs(frame["label"], ["first", "second"])


def plain_loss(kind: str, logits: torch.Tensor, targets: np.ndarray, train: np.ndarray) -> torch.Tensor:
    """The loss of a batch by its definition, one known number after another."""
    losses = []
    for output in range(targets.shape[1]):
        own = train[:, output][~np.isnan(train[:, output])]
        for row, target in enumerate(targets[:, output]):
            if np.isnan(target):
                continue
            said = logits[row, output]
            if kind == VALUES:
                losses.append((said - (target - own.mean()) / own.std()) ** 2)
            else:
                one = torch.sigmoid(said + np.log(own.mean() / (1 - own.mean())))
                losses.append(-torch.log(one if target else 1 - one))
    return torch.stack(losses).mean()


@BOTH
def test_an_epoch_is_that_of_a_plain_loop(labels):
    """In float64: losses and weights of steps of torch's own AdamW, in passes of any size."""
    frame = planted_outputs(labels, 160, missing=0.4)
    fold = Fold(-1, np.arange(100, 160), np.arange(80, 100))
    targets = targets_of(frame)
    classifier, examples = classifier_of(frame, [fold])
    initial = stacking.changeable(classifier)
    batches = np.array_split(np.random.default_rng(0).permutation(fold.train), 4)
    plain = torch.optim.AdamW(classifier.parameters(), lr=0.01, weight_decay=0.1)
    losses = []
    for batch in batches:
        logits = torch.cat([classifier(*classifier.inputs([examples.tokens[row]])) for row in batch])
        loss = plain_loss(labels, logits, targets[batch], targets[fold.train])
        plain.zero_grad()
        loss.backward()
        plain.step()
        losses.append(loss.item())
    expected = stacking.changeable(classifier)
    for budget in (1, 300, 10_000):
        network = Alone(classifier)
        network.restore(0, initial)
        made = optimizer(network, [0.01], 0.1, [[]])
        for batch, loss in zip(batches, losses, strict=True):
            found = network.gradient(examples, {-1: batch}, [-1], Compute("cpu", token_budget=budget))
            assert found == pytest.approx([loss], rel=1e-9)
            made.step()
        for name, value in stacking.changeable(classifier).items():
            torch.testing.assert_close(value, expected[name], atol=1e-9, rtol=1e-7, msg=name)


@BOTH
def test_predictions_and_the_loss_of_a_race_are_scaled_as_the_fold_was(labels):
    frame = planted_outputs(labels, 200)
    folds = [Fold(3, np.arange(100, 150), np.arange(80, 100)), Fold(7, np.arange(140, 200), np.arange(80, 100))]
    classifier, examples = classifier_of(frame, folds)
    rows, targets = np.arange(30), targets_of(frame)
    classifier.eval()
    with torch.inference_mode():
        logits = torch.cat([classifier(*classifier.inputs([examples.tokens[row]])) for row in rows]).numpy()
    both = Stack(classifier, 2).probabilities(examples, {0: rows}, [0, 0], CPU, fitted=[3, 7])
    for fold, found in zip(folds, both, strict=True):
        own = targets[fold.train]
        mean, spread = np.nanmean(own, axis=0), np.nanstd(own, axis=0)
        odds = logits + np.log(mean / (1 - mean)) if labels == TRACKS else logits
        expected = 1 / (1 + np.exp(-odds)) if labels == TRACKS else logits * spread + mean
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        known = ~np.isnan(targets[rows])
        loss = float((((expected - targets[rows]) / spread) ** 2)[known].mean())
        if labels == TRACKS:
            loss = log_loss(targets[rows][known], expected[known])
        assert examples.learned.mean_loss(examples.targets[rows], found, fold.number) == pytest.approx(loss, rel=1e-4)
        broken = found * np.nan
        assert np.isinf(examples.learned.mean_loss(examples.targets[rows], broken, fold.number))
        assert np.isnan(validation_score(examples.labels[rows], broken, examples.learned, METRIC[labels]))
    assert not np.allclose(both[0], both[1], rtol=1e-3), "the folds are scaled alike"


@BOTH
def test_a_stack_of_several_folds_computes_what_its_runs_compute_alone(labels, monkeypatch):
    """In float64; each fold has its own scaling, its own share of missing outputs, and as many rows as it likes."""
    monkeypatch.setattr(torch.Tensor, "float", lambda value: value)
    frame = planted_outputs(labels, 160, missing=0.4)
    first = np.random.default_rng(0).permutation(np.arange(80, 160))
    folds = [Fold(3, first[:40], first[40:]), Fold(7, first[20:], first[:20])]
    classifier, examples = classifier_of(frame, folds, "hyenadna")
    assert refusal(classifier, examples.as_if(3), first[:4], CPU, True) == ""
    initial = stacking.changeable(classifier)

    def trained(network, numbers: list[int], rates: list[float]) -> tuple[list[dict], list[np.ndarray]]:
        made = optimizer(network, rates, 0.0, [[] for _ in rates])
        for step in range(3):
            rows = {3: first[step * 9 : step * 9 + 9], 7: first[20 + step * 8 : 28 + step * 8]}
            network.gradient(examples, rows, numbers, CPU)
            made.step()
        found = network.probabilities(examples, {0: np.arange(17)}, [0] * len(rates), CPU, fitted=numbers)
        classifier.train()
        return [network.copy(run) for run in range(len(rates))], found

    states, found = trained(Stack(classifier, 2), [3, 7], [0.01, 0.003])
    for run, (number, rate) in enumerate([(3, 0.01), (7, 0.003)]):
        alone = Alone(classifier)
        alone.restore(0, initial)
        (state,), (expected,) = trained(alone, [number], [rate])
        for name, value in states[run].items():
            torch.testing.assert_close(value, state[name], atol=1e-9, rtol=1e-7, msg=name)
        np.testing.assert_allclose(found[run], expected, rtol=1e-5)


@BOTH
def test_what_stands_where_nothing_is_known_changes_no_bit(tmp_path, cnn, labels, monkeypatch):
    frame, flags = planted_outputs(labels, 160, missing=0.5), {"metric": METRIC[labels], "pack": 2}
    assert job(tmp_path / "whole", cnn, frame, **flags) == 0
    monkeypatch.setattr(learned, "_ABSENT", 1.0)
    assert job(tmp_path / "other", cnn, frame, **flags) == 0
    same(tmp_path / "whole", tmp_path / "other")


@BOTH
def test_labels_of_rows_that_are_not_trained_on_change_no_weight(tmp_path, cnn, labels, monkeypatch):
    weights: list[list[torch.Tensor]] = []
    validate = loop.Pack._validate

    def spy(pack):
        weights.append([value.clone() for value in pack.classifier.state_dict().values()])
        validate(pack)

    def trained(name: str, frame: pd.DataFrame) -> list[torch.Tensor]:
        weights.clear()
        assert job(tmp_path / name, cnn, frame, metric=METRIC[labels], learning_rates=[0.01]) == 0
        return [value for epoch in weights for value in epoch]

    monkeypatch.setattr(loop.Pack, "_validate", spy)
    frame = planted_outputs(labels, 160)
    before = trained("before", frame)
    for split in ("validation", "test", "train"):
        values, held = targets_of(frame), (frame["split"] == split).to_numpy()
        values[held] = 1 - values[held] if labels == TRACKS else values[held] ** 2 + 1
        after = trained(split, frame.assign(label=format_outputs(values)))
        assert all(map(torch.equal, before, after)) == (split != "train")


def test_other_units_give_the_same_predictions_in_those_units(tmp_path, cnn):
    """Exactly for a power of two, otherwise within what rounding of the standardised targets does."""
    frame, flags = planted_outputs(VALUES, 160), {"metric": "pearson", "learning_rates": [0.003]}
    found = []
    for number, (scale, shift) in enumerate([(1.0, 0.0), (4.0, 0.0), (0.37, 5.1)]):
        other = frame.assign(label=format_outputs(targets_of(frame) * scale + shift))
        assert job(tmp_path / str(number), cnn, other, **flags) == 0
        found.append((np.stack(outputs(tmp_path / str(number))[1]["values"]).astype(float) - shift) / scale)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_allclose(found[2], found[0], atol=0.05)
    assert found[0].std(axis=0).min() > 1


@BOTH
def test_a_network_learns_what_was_planted_and_the_record_says_it_in_full(tmp_path, cnn, labels):
    """The random CNN, by the lines that fine-tune every model; Pearson and AUROC by scipy and scikit-learn."""
    frame = planted_outputs(labels, 900)
    flags = {"metric": METRIC[labels], "epochs": 10, "learning_rates": [0.01], "batch_size": 16}
    assert job(tmp_path, cnn, frame, **flags) == 0
    record, table = outputs(tmp_path)
    assert list(table.columns) == [
        "id", "group", "label", "values", "run", "fold", "selected", "selected_paper", "split",
    ]  # fmt: skip
    assert table.attrs == {} and len(table) == 80
    predicted, truth = np.stack(table["values"]), targets_of(table)
    assert predicted.dtype == np.float32
    scores = []
    for output in range(2):
        known = ~np.isnan(truth[:, output])
        own, guess = truth[known, output], predicted[known, output]
        scores.append(pearsonr(own, guess)[0] if labels == VALUES else roc_auc_score(own, guess))
    (value,) = metric_of(record, "validation", metric=METRIC[labels])
    assert value == pytest.approx(np.mean(scores), abs=1e-9) and value > 0.9
    reported = {r["metric"]: r["value"] for r in record["results"] if r["selection"] == "validation"}
    assert reported == pytest.approx(evaluate_outputs(labels, truth, predicted), abs=1e-12)
    assert set(reported) == set(LABELS[labels])
    settings = record["settings"]
    assert settings["labels"] == labels and settings["outputs"] == ["first", "second"] and "classes" not in settings
    if labels == VALUES:
        assert reported["rmse"] < 30 and 90 < predicted[:, 0].min() < 130, "predictions are in the units of the labels"


JOB = {"folds": [0, 2], "fold_count": 4, "epochs": 3, "learning_rates": [0.003, 0.01, 1e25]}


@BOTH
def test_a_job_in_packs_killed_or_in_parts_is_one_job(tmp_path, hyena, labels, capsys):
    frame, flags = planted_outputs(labels, 160), JOB | {"metric": METRIC[labels]}
    whole, alone, broken, cut = (tmp_path / name for name in ("whole", "alone", "broken", "cut"))
    assert job(whole, hyena, frame, pack=6, **flags) == 0
    assert "up to 6 runs at once" in capsys.readouterr().err
    assert job(alone, hyena, frame, pack=1, **flags) == 0
    (record, table), (other, others) = outputs(whole), outputs(alone)
    values, expected = np.stack(table["values"]), np.stack(others["values"])
    assert np.isfinite(values).all() and list(table["selected"]) == list(others["selected"])
    np.testing.assert_allclose(values, expected, rtol=2e-3)
    assert len(record["results"]) == len(other["results"])
    with at_call(loop.Pack, "_pause", 5, send(signal.SIGUSR1)), pytest.raises(SystemExit) as ended:
        job(broken, hyena, frame, pack=6, **flags)
    assert ended.value.code == 143
    assert job(broken, hyena, frame, pack=6, **flags) == 0
    same(whole, broken)
    cut.mkdir()
    (cut / "set.parquet").write_bytes((alone / "set.parquet").read_bytes())
    for number in range(6):
        assert part(cut, hyena, number, 3, 2, **flags) == 0
    assert merge(cut, hyena, 3, 2, **flags) == 0
    same(alone, cut)


@BOTH
@pytest.mark.parametrize("family", ["nt_v2", "caduceus_ph"])
def test_all_ways_of_training_serve_outputs(tmp_path, family, labels):
    """Races, further rates, adapters, rates by depth, unfreezing, bfloat16, blocks computed again, both strands."""
    weights = save_model(tmp_path / family, family, TINY[family], "nt_v2" if family == "nt_v2" else "caduceus")
    frame = planted_outputs(labels, 140)
    flags = {"metric": METRIC[labels], "pooling": "mean"}
    ways = {
        "raced": {"rungs": [1], "extend": 1, "epochs": 2},
        "adapted": {"lora_rank": 2, "lora_dropout": 0.1},
        "by_depth": {"layer_rates": 0.5, "unfreeze": 1},
        "last": {"trainable": "last_1", "precision": "bf16", "weight_precision": "bf16"},
    }
    for name, way in ways.items():
        assert job(tmp_path / name, weights, frame, **flags | way) == 0
        values = np.stack(outputs(tmp_path / name)[1]["values"])
        assert np.isfinite(values).all() and values.std() > 0
    assert any(s["what"] == "rung" for s in outputs(tmp_path / "raced")[0]["selections"])
    kept = [json.loads(path.read_text()) for path in (tmp_path / "raced/runs").glob("*.json")]
    assert all(0 < loss < 10 for one in kept for loss in one["losses"])
    for name, way in {"plain": {}, "again": {"gradient_checkpointing": []}}.items():
        assert job(tmp_path / name, weights, frame, **flags | way) == 0
    plain, again = (np.stack(outputs(tmp_path / name)[1]["values"]) for name in ("plain", "again"))
    np.testing.assert_array_equal(plain, again)


def test_folds_of_outputs_keep_groups_whole_without_strata():
    frame = planted_outputs(VALUES, 100)
    frame["split"] = ["test"] * 20 + ["train"] * 80
    assert split_folds(frame, 5, [1])[1].startswith("KFold(5")
    frame["group"] = [f"gene{index // 4}" for index in range(100)]
    folds, how = split_folds(frame, 5, range(5))
    rows = np.arange(20, 100)
    cuts = GroupKFold(5, shuffle=True, random_state=42).split(rows, groups=frame["group"].iloc[rows])
    assert how == "GroupKFold(5, shuffled, seed 42)"
    for fold, (train, validation) in zip(folds, cuts, strict=True):
        assert fold.train.tolist() == rows[train].tolist() and fold.validation.tolist() == rows[validation].tolist()
        assert not set(frame["group"].iloc[fold.train]) & set(frame["group"].iloc[fold.validation])


def test_weights_of_classes_are_those_of_torch_and_only_where_asked_for(tmp_path, hyena, monkeypatch):
    """Against cross-entropy with torch's weights, summed and divided by the rows of the batch."""
    frame = planted(200)
    frame.loc[frame.index[120:200:3], "label"] = "rare"
    fold = Fold(-1, np.arange(120, 200), np.arange(80, 120))
    tokens_of = load_tokenizer("character")
    examples = prepare_examples(frame, "toy", tokens_of, 66, "balanced").fitted([fold], "toy")
    classifier = Classifier(initialise("cnn", CNN, 3), tokens_of, 3, "max", 16).double()
    counts = frame["label"].iloc[fold.train].value_counts()
    weight = torch.tensor([len(fold.train) / (3 * counts[name]) for name in sorted(counts.index)]).double()
    rows = fold.train[:23]
    logits = torch.cat([classifier(*classifier.inputs([examples.tokens[row]])) for row in rows])
    summed = torch.nn.CrossEntropyLoss(weight, reduction="sum")(logits, torch.from_numpy(examples.targets[rows]))
    gradient = torch.autograd.grad(summed / len(rows), classifier.head.weight)[0]
    assert Alone(classifier).gradient(examples, {-1: rows}, [-1], CPU) == pytest.approx([summed.item() / len(rows)])
    torch.testing.assert_close(classifier.head.weight.grad, gradient)
    probabilities = torch.softmax(logits, 1).detach().numpy()
    weights = weight.numpy()[examples.targets[rows]]
    expected = log_loss(examples.targets[rows], probabilities, sample_weight=weights) * weights.mean()
    assert examples.learned.mean_loss(examples.targets[rows], probabilities, -1) == pytest.approx(expected)
    plain = Classes(["a", "b"]).fit(np.array([0, 0, 0, 1]), [Fold(0, np.arange(4), np.arange(4))], "toy")
    assert plain.answers(np.array([[0, 1]]), np.ones((1, 2)), [0], torch.float64).weights.tolist() == [[1, 1]]
    decisive = []
    original = finetuning.fingerprint
    monkeypatch.setattr(finetuning, "fingerprint", lambda parts: decisive.append(parts) or original(parts))
    for name, flags in (("plain", {}), ("balanced", {"class_weights": "balanced"})):
        decisive.clear()
        assert job(tmp_path / name, hyena, frame, epochs=1, **flags) == 0
        said = outputs(tmp_path / name)[0]["settings"]
        assert all(("class_weights" in parts) == bool(flags) for parts in [*decisive, said])
    assert not np.array_equal(*(np.stack(outputs(tmp_path / n)[1]["probabilities"]) for n in ("plain", "balanced")))


def test_a_rare_class_is_more_probable_with_weights(tmp_path, cnn):
    """One row in eleven: after an epoch its class has about that probability, unless the classes weigh as much."""
    frame = planted(1000)
    rare = frame["label"].eq("bound") & (np.arange(1000) % 20 == 0)
    frame = frame[rare | frame["label"].eq("free")].reset_index(drop=True)
    found = {}
    for weights in ("", "balanced"):
        flags = {"class_weights": weights} if weights else {}
        where = tmp_path / (weights or "plain")
        assert job(where, cnn, frame, epochs=1, learning_rates=[0.003], metric="macro_f1", **flags) == 0
        table = outputs(where)[1]
        found[weights] = np.stack(table["probabilities"])[:, 0].mean()
    assert found["balanced"] > 2 * found[""]


SPLIT = "the published split"
MISTAKES = {  # expected -> kind, flags, (rows, output, value) of a change
    "--metric mcc does not score values, its labels; use pearson, spearman, r2": (VALUES, {"metric": "mcc"}, None),
    "--metric r2 does not score tracks, its labels; use macro_auroc, macro_auprc": (TRACKS, {"metric": "r2"}, None),
    "--metric rmse": (VALUES, {"metric": "rmse"}, None),
    "--class-weights: --metric pearson is of values": (VALUES, {"class_weights": "balanced"}, None),
    "--class-weights: --metric macro_auroc is of tracks": (TRACKS, {"class_weights": "balanced"}, None),
    f"'second' needs two values that differ among the training rows of {SPLIT}": (VALUES, {}, ("train", 1, 3.5)),
    f"'first' needs a 0 and a 1 among the training rows of {SPLIT}": (TRACKS, {}, ("train", 0, 1)),
    "'first' needs a 0": (TRACKS, {}, ("train", 0, np.nan)),
    "no output has two values that differ among the validation rows": (VALUES, {}, ("validation", [0, 1], 2.0)),
    "no output has a 0 and a 1 among the validation rows": (TRACKS, {}, ("validation", [0, 1], 0)),
    "holds 2; each is 0, 1, or empty": (TRACKS, {}, ("test", 0, 2)),
    "sequence 's80' has no label": (VALUES, {}, ("validation", [0, 1], np.nan)),
    "give them in other units": (VALUES, {}, ("spread", 0, 1e300)),
    "output 'second' are too large, too small or too close to each other": (VALUES, {}, ("further", 1, 1e8)),
}


@pytest.mark.parametrize("expected", MISTAKES)
def test_mistakes_end_in_one_sentence(tmp_path, hyena, capsys, expected):
    labels, flags, change = MISTAKES[expected]
    frame = planted_outputs(labels, 160, missing=0.0)
    if change is not None:
        rows, output, value = change
        values = targets_of(frame)
        chosen = np.arange(160) == 130 if rows == "spread" else (frame["split"] == rows).to_numpy()
        if rows == "further":
            values[:, output] += value
        else:
            values[np.ix_(chosen, np.atleast_1d(output))] = value
        frame["label"] = format_outputs(values)
    assert job(tmp_path, hyena, frame, **{"metric": METRIC[labels]} | flags) == 2
    said = capsys.readouterr().err
    assert expected in said and "Traceback" not in said
    assert not (tmp_path / "record.json").exists()


def test_a_prediction_that_is_not_finite_is_no_result():
    with pytest.raises(UserError, match="not finite"):
        learned.evaluate(np.zeros((2, 1)), np.array([[np.nan], [0]]), learned.Values(["a"]))


def test_settings_take_what_judges_a_task():
    for metric in ("mcc", "auprc", "pearson", "r2", "macro_auprc"):
        assert Settings(metric, (0.1,), 1, 1, "mean", 0).class_weights == ""
    with pytest.raises(UserError, match="--class-weights some"):
        Settings("mcc", (0.1,), 1, 1, "mean", 0, class_weights="some")
