"""Fine-tuning: what must not change a prediction, what must be learned, and who chooses what."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold

from foundationless.commands import finetune_model
from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.training import classifier as sequence_classifier
from foundationless.training import compute as training
from foundationless.training import loop, sweep
from foundationless.training.classifier import Classifier, prepare_examples, tokenise
from foundationless.training.compute import Compute
from foundationless.training.learned import Classes, validation_score
from foundationless.training.stacking import Alone
from foundationless.training.sweep import Fold, run_name, split_folds
from support.fine_tuning import arguments, at_call, fail, job, metric_of, outputs, planted, same, send
from support.networks import CNN, ESM, HYENA, PAD, TINY, save_model

PLAIN = {"hyenadna": (HYENA, "hyenadna"), "nt_v1": (ESM, "nt_v1"), "cnn": (CNN, "character")}
PLAIN["dilated_cnn"] = (TINY["dilated_cnn"], "character")
ONE = {"epochs": 1, "learning_rates": [0.01]}


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


def loud(family: str, reading: str = "published") -> torch.nn.Module:
    """Published initialisations are small; make every path matter."""
    model = initialise(family, PLAIN[family][0], 3, reading)
    for parameter in model.parameters():
        parameter.data *= 3 if parameter.ndim > 1 else 1
    return model


def company(family: str, pooling: str, padding: str | None = None) -> float:
    """Largest change of a row's logits between being alone and being in a batch, over three token budgets."""
    tokens_of, model = load_tokenizer(PLAIN[family][1]), loud(family)
    model.padding = padding or model.padding
    classifier = Classifier(model, tokens_of, 3, pooling, 2).eval()
    generator = np.random.default_rng(0)
    sequences = ["".join(generator.choice(list("ACGTN"), n)) for n in (60, 7, 31, 32, 12, 60, 1)]
    tokens, _ = tokenise(tokens_of, sequences, model.max_tokens)
    lengths = np.array([len(ids) for ids in tokens])
    with torch.inference_mode():
        alone = torch.cat([classifier(*classifier.inputs([ids])) for ids in tokens])
        changes = [
            float((classifier(*classifier.inputs([tokens[row] for row in batch], length)) - alone[batch]).abs().max())
            for budget in (1, 70, 10_000)
            for batch, length in classifier.passes(lengths, budget)
        ]
    return max(changes)


@pytest.mark.parametrize("pooling", ["max", "mean", "first", "last"])
@pytest.mark.parametrize(("family", "padding"), [*((family, None) for family in PLAIN), ("cnn", "equal")])
def test_batch_mates_and_padding_do_not_change_predictions(family, padding, pooling):
    assert company(family, pooling, padding) < 5e-5


def test_the_check_of_padding_sees_padding(monkeypatch):
    """Both ways in which a pad can leak: through the network and, as in the study, through pooling."""
    assert company("cnn", "max", padding="right") > 1e-3
    monkeypatch.setattr(sequence_classifier, "pool", lambda hidden, mask, method: hidden.amax(dim=1))
    assert company("hyenadna", "max") > 1e-3


@pytest.mark.parametrize("reading", ["published", "as_in_paper"])
@pytest.mark.parametrize("family", PLAIN)
def test_probabilities_are_those_of_a_plain_computation(family, reading):
    """Corrected: each row alone, its special tokens not pooled. Paper: rows in threes, padded and pooled with all."""
    tokenizer, model = load_tokenizer(PLAIN[family][1]), loud(family, reading)
    torch.manual_seed(0)
    classifier = Classifier(model, tokenizer, 2, "max", 3).eval()
    examples = prepare_examples(planted(120), "toy", tokenizer, 66)
    rows = np.arange(90, 100)
    pooled = []
    for start in range(0, 10, 3):
        batch = [torch.from_numpy(examples.tokens[row]) for row in rows[start : start + 3]]
        longest = max(map(len, batch))
        for ids in batch:
            if reading == "published":
                hidden = model.encode(ids[None])[0]
                pooled.append(hidden[[int(i) not in tokenizer.special_ids for i in ids]].amax(dim=0))
                continue
            left = longest - len(ids) if family == "hyenadna" else 0
            padding = (left, longest - len(ids) - left)
            padded = torch.nn.functional.pad(ids, padding, value=PAD[family])
            mask = torch.nn.functional.pad(torch.ones_like(ids), padding) if family == "nt_v1" else None
            pooled.append(model.encode(padded[None], None if mask is None else mask[None])[0].amax(dim=0))
    expected = torch.softmax(classifier.head(torch.stack(pooled)), dim=1).detach().numpy()
    for budget in (1, 100, 10_000):
        (found,) = Alone(classifier).probabilities(examples, {0: rows}, [0], Compute("cpu", token_budget=budget))
        np.testing.assert_allclose(found, expected, atol=2e-5)
    assert len({len(examples.tokens[row]) for row in rows}) > 3
    if reading == "as_in_paper":
        (reordered,) = Alone(classifier).probabilities(examples, {0: rows[::-1]}, [0], Compute("cpu"))
        assert np.abs(reordered[::-1] - found).max() > 1e-4, "predictions must depend on batch mates"


def test_paper_batches_are_split_for_memory_without_a_change():
    tokenizer = load_tokenizer("hyenadna")
    examples = prepare_examples(planted(160), "toy", tokenizer, 66)
    classifier = Classifier(initialise("hyenadna", HYENA, 0, "as_in_paper"), tokenizer, 2, "max", 20)
    gradients = []
    for budget in (1, 300, 10_000):
        classifier.zero_grad()
        Alone(classifier).gradient(examples, {0: np.arange(100, 120)}, [0], Compute("cpu", token_budget=budget))
        gradients.append(torch.cat([p.grad.flatten() for p in classifier.parameters() if p.grad is not None]))
    for gradient in gradients[:2]:
        torch.testing.assert_close(gradient, gradients[2], atol=1e-6, rtol=1e-3)


def test_paper_weights_are_fine_tuned_as_the_study_did(tmp_path):
    """The whole job, from the card on: the same weights under both readings give different predictions."""
    for reading in ("published", "as_in_paper"):
        model = save_model(tmp_path / f"{reading}_model", "hyenadna", HYENA, "hyenadna", reading=reading)
        assert job(tmp_path / reading, model, planted(160), **ONE) == 0
    published, as_in_paper = (probabilities(tmp_path / reading) for reading in ("published", "as_in_paper"))
    assert np.abs(published - as_in_paper).max() > 1e-3


def probabilities(directory: Path) -> np.ndarray:
    return np.stack(outputs(directory)[1]["probabilities"])


LORA = {"lora_rank": 2, "lora_alpha": 4, "lora_dropout": 0.1}


def test_adapters_are_trained_in_place_of_the_model(tmp_path, weights, monkeypatch):
    """Rank 2 on every linear map of HYENA, and the head; the model's own weights stay."""
    states = []

    def spied(original):
        def spy(pack, *given):
            original(pack, *given)
            states.append({name: value.clone() for name, value in pack.classifier.state_dict().items()})

        return spy

    for method in ("_enter", "_epoch"):
        monkeypatch.setattr(loop.Pack, method, spied(getattr(loop.Pack, method)))
    assert job(tmp_path, weights, planted(160), epochs=1, pack=1, **LORA) == 0
    for before, after in zip(states[::2], states[1::2], strict=True):
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed == {name for name in before if ".lora_" in name or name == "head.weight"}
    first, _, second, _ = states
    assert all(torch.equal(first[name], second[name]) for name in first), "every run of a job starts alike"
    record = outputs(tmp_path)[0]
    shapes = [(16, 48), (16, 16), (3, 8), (8, 8), (8, 16), (16, 32), (32, 16)]
    assert record["settings"]["trainable_parameters"] == 2 * sum(map(sum, shapes)) + 2 * 16
    assert record["settings"]["lora_rank"] == 2 and record["parameters"] == 3216
    tested, validated = (metric_of(record, "run", split) for split in ("test", "validation"))
    assert len(tested) == len(validated) == 2


def test_planted_signal_is_learned_and_permuted_labels_are_not(tmp_path, weights):
    frame = planted(400)
    flags = {"epochs": 12, "learning_rates": [0.01], "batch_size": 16}
    assert job(tmp_path, weights, frame, **flags) == 0
    assert metric_of(outputs(tmp_path)[0], "validation")[0] > 0.7
    shuffled = tmp_path / "shuffled"
    frame["label"] = np.random.default_rng(5).permutation(frame["label"])
    assert job(shuffled, weights, frame, **flags) == 0
    assert abs(metric_of(outputs(shuffled)[0], "validation")[0]) < 0.35  # 3 standard errors of 80 test rows


def test_record_and_predictions_hold_every_run_and_both_selections(tmp_path, weights):
    assert job(tmp_path, weights, planted(), folds=[0, 2], fold_count=4) == 0
    record, table = outputs(tmp_path)
    sweep = [f"fold{fold}_lr{rate}" for fold in (0, 2) for rate in ("0.003", "0.01")]
    assert list(dict.fromkeys(table["run"])) == sweep and len(table) == 4 * 80
    assert set(table["fold"]) == {0, 2} and set(table["split"]) == {"test"}
    assert table.groupby("fold")[["selected", "selected_paper"]].sum().eq(80).all(axis=None)
    probabilities = np.stack(table["probabilities"])
    assert probabilities.dtype == np.float32 and np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (table["predicted"] == np.array(["bound", "free"])[probabilities.argmax(axis=1)]).all()
    assert len(metric_of(record, "run")) == len(metric_of(record, "run", "validation")) == 4
    by_test, by_validation = metric_of(record, "test"), metric_of(record, "validation")
    assert len(by_test) == 2 and all(a >= b for a, b in zip(by_test, by_validation, strict=True))
    for fold in (0, 2):
        tested = [r for r in record["results"] if r["split"] == "test" and r["fold"] == fold and r["metric"] == "mcc"]
        (row,) = (r for r in tested if r["selection"] == "test")
        assert row["value"] == max(r["value"] for r in tested if r["selection"] == "run")
    reported = {r["metric"] for r in record["results"] if r["selection"] == "validation"}
    assert reported == {"mcc", "macro_f1", "weighted_f1", "accuracy", "auroc", "auprc"}
    assert record["settings"]["splitter"].startswith("KFold(4") and record["settings"]["truncated"] == 0


def test_every_choice_can_be_traced_to_what_was_tried(tmp_path, weights):
    job(tmp_path, weights, planted(), learning_rates=[0.001, 0.01], folds=[0, 5], epochs=3)
    record, predictions = outputs(tmp_path)
    selections = record["selections"]
    assert [s["what"] for s in selections].count("epoch") == 4, "one per fold and learning rate"
    for selection in selections:
        tried = {name: -np.inf if value is None else value for name, value in selection["tried"].items()}
        best = max(tried.values())
        assert selection["chosen"] == next(name for name, value in tried.items() if value == best)
    by_run = {(r["extra"]["run"], r["split"]): r for r in record["results"] if r["selection"] == "run"}
    for selection in selections:
        if selection["what"] == "epoch":
            assert len(selection["tried"]) == 3 and selection["split"] == "validation"
            result = by_run[selection["within"], "validation"]
            assert result["extra"]["epoch"] == int(selection["chosen"])
            assert result["value"] == selection["tried"][selection["chosen"]]
    rates = {(s["within"], s["split"]): s for s in selections if s["what"] == "learning_rate"}
    assert set(rates) == {(f"fold{fold}", split) for fold in (0, 5) for split in ("validation", "test")}
    for (fold, split), selection in rates.items():
        values = {rate: by_run[f"{fold}_lr{rate}", split]["value"] for rate in ("0.001", "0.01")}
        assert selection["tried"] == values
        column = "selected" if split == "validation" else "selected_paper"
        chosen = predictions.loc[predictions[column] & (predictions["fold"] == int(fold[4:])), "run"]
        assert set(chosen) == {f"{fold}_lr{selection['chosen']}"}


def test_validation_chooses_the_run_even_where_the_test_set_disagrees(tmp_path):
    """With the labels of validation swapped, the run that learned validates worst and tests best."""
    weights = save_model(tmp_path / "cnn", "cnn", CNN, "character")
    frame = planted(600)
    swapped = frame["split"] == "validation"
    frame.loc[swapped, "label"] = frame.loc[swapped, "label"].map({"bound": "free", "free": "bound"})
    flags = {"learning_rates": [0.01, 1e-7], "epochs": 1, "batch_size": 8, "metric": "auroc"}
    assert job(tmp_path, weights, frame, **flags) == 0
    record, table = outputs(tmp_path)
    assert set(table.loc[table["selected"], "run"]) == {"published_lr0.0000001"}
    assert set(table.loc[table["selected_paper"], "run"]) == {"published_lr0.01"}
    (corrected,), (paper,) = metric_of(record, "validation", metric="auroc"), metric_of(record, "test", metric="auroc")
    assert paper > 0.8 and corrected < 0.7
    untrained, trained = metric_of(record, "run", "validation", "auroc")
    assert untrained > trained and trained < 0.2
    assert [r["extra"]["selected"] for r in record["results"] if r["selection"] == "run"] == [True, True, False, False]


def test_choice_reads_one_split_and_ties_go_to_the_smaller_learning_rate():
    fold = Fold(0, np.arange(2), np.arange(2))
    plan = [(fold, 0.1), (fold, 0.2), (fold, 0.3)]
    values = {0.1: (0.5, 0.1), 0.2: (0.9, 0.2), 0.3: (0.9, 0.8)}
    kept = {run_name(fold, r): {"validation": {"mcc": v}, "test": {"mcc": t}} for r, (v, t) in values.items()}
    assert sweep.choose(plan, kept, "validation", "mcc") == {0: "fold0_lr0.2"}
    assert sweep.choose(plan, kept, "test", "mcc") == {0: "fold0_lr0.3"}
    kept["fold0_lr0.2"]["validation"]["mcc"] = None
    assert sweep.choose(plan, kept, "validation", "mcc") == {0: "fold0_lr0.3"}


def test_best_epoch_is_the_earliest_of_equals_and_patience_ends_the_run(tmp_path, weights, monkeypatch):
    monkeypatch.setattr(loop, "validation_score", lambda *given: 0.25)
    assert job(tmp_path, weights, planted(160), epochs=9, patience=2, learning_rates=[0.001]) == 0
    kept = json.loads((tmp_path / "runs" / "published_lr0.001.json").read_text())
    assert kept["epoch"] == 1 and kept["history"] == [0.25] * 3


def test_the_test_set_is_read_with_the_weights_of_the_best_epoch(tmp_path, weights, monkeypatch):
    seen: list[dict[str, float]] = []

    def falling(labels, probabilities, classes, metric):
        seen.append(loop.evaluate(labels, probabilities, classes))
        return -abs(len(seen) - 2.0)

    monkeypatch.setattr(loop, "validation_score", falling)
    assert job(tmp_path, weights, planted(160), epochs=4, learning_rates=[0.02]) == 0
    kept = json.loads((tmp_path / "runs" / "published_lr0.02.json").read_text())
    assert kept["epoch"] == 2 and kept["validation"] == seen[1] != seen[3]


def test_batches_are_shared_by_learning_rates_and_arms_but_not_by_seeds_and_folds(tmp_path, weights, monkeypatch):
    seen: list[tuple[int, ...]] = []
    original = Alone.gradient

    def spy(network, examples, rows, folds, compute):
        seen.append(tuple(rows[folds[0]]))
        return original(network, examples, rows, folds, compute)

    monkeypatch.setattr(Alone, "gradient", spy)
    frame = planted(160)
    other = save_model(tmp_path / "other", "hyenadna", HYENA | {"d_model": 8}, "hyenadna", seed=9)
    orders = []
    for number, (used, seed) in enumerate([(weights, 1), (other, 1), (weights, 2)]):
        seen.clear()
        assert job(tmp_path / str(number), used, frame, seed=seed, epochs=1, folds=[0, 1], fold_count=3, pack=1) == 0
        quarter = len(seen) // 4
        first, second, third, _ = (seen[k * quarter : (k + 1) * quarter] for k in range(4))
        assert first == second and first != third
        orders.append(list(seen))
    assert orders[0] == orders[1] != orders[2]


def test_heads_are_shared_by_arms_and_independent_of_random_weights_of_the_same_seed(tmp_path, monkeypatch):
    config = {**CNN, "width": 64}
    heads, original = [], loop.Pack.train

    def spy(pack):
        heads.append(pack.classifier.head.weight.detach().flatten().clone())
        original(pack)

    monkeypatch.setattr(loop.Pack, "train", spy)
    for number, (weight_seed, seed) in enumerate([(1, 1), (2, 1), (2, 2)]):
        used = save_model(tmp_path / f"cnn{number}", "cnn", config, "character", seed=weight_seed)
        assert job(tmp_path / str(number), used, planted(), seed=seed, **ONE) == 0
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[1], heads[2])
    for parameter in initialise("cnn", config, 1).parameters():
        first = parameter.detach().flatten()[: len(heads[0])]
        if len(first) == len(heads[0]):
            assert abs(torch.corrcoef(torch.stack([first, heads[0]]))[0, 1]) < 0.5


def test_gradient_accumulation_gives_the_gradient_of_the_batch_mean():
    tokenizer = load_tokenizer("character")
    examples = prepare_examples(planted(160), "toy", tokenizer, 66)
    classifier = Classifier(initialise("cnn", CNN, 0), tokenizer, 2, "max", 32)
    rows = np.arange(100, 123)
    logits = torch.cat([classifier(*classifier.inputs([examples.tokens[row]])) for row in rows])
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(examples.targets[rows]))
    gradient = torch.autograd.grad(expected, classifier.head.weight)[0]
    for budget in (1, 300, 10_000):
        classifier.zero_grad()
        compute = Compute("cpu", token_budget=budget)
        losses = Alone(classifier).gradient(examples, {0: rows}, [0], compute)
        assert losses == pytest.approx([expected.item()], abs=1e-6)
        torch.testing.assert_close(classifier.head.weight.grad, gradient, atol=1e-6, rtol=1e-4)


def test_a_job_that_failed_between_runs_continues_to_the_same_result(tmp_path, weights, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert job(whole, weights, planted(), pack=1) == 0
    original, trained = loop.Pack.train, []

    def train(pack):
        trained.append(pack.waiting[0][0].rate)
        if len(trained) == 2:
            fail()
        original(pack)

    monkeypatch.setattr(loop.Pack, "train", train)
    with pytest.raises(RuntimeError, match="injected"):
        job(broken, weights, planted(), pack=1)
    assert not (broken / "record.json").exists()
    assert job(broken, weights, planted(), pack=1) == 0
    assert trained == [0.003, 0.01, 0.01]
    same(whole, broken)


@pytest.mark.parametrize("lora", [False, True])
def test_sigterm_keeps_the_epoch_and_the_job_continues_to_the_same_result(tmp_path, weights, capsys, lora):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    flags = {"epochs": 4, "learning_rates": [0.01]} | (LORA if lora else {})
    assert job(whole, weights, planted(), **flags) == 0
    with at_call(loop, "validation_score", 2, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
        job(broken, weights, planted(), **flags)
    assert ended.value.code == 143 and (broken / "runs" / "published_lr0.01_1.checkpoint").exists()
    assert job(broken, weights, planted(), **flags) == 0
    assert "continued in epoch 3 after step 0" in capsys.readouterr().err
    assert not (broken / "runs" / "published_lr0.01_1.checkpoint").exists()
    same(whole, broken)


def test_the_edge_that_validation_chose_is_extended_as_far_as_allowed(tmp_path, weights, monkeypatch):
    """Validation values are planted: the larger the rate the better, up to 0.009; the test set has the same choice."""
    optimum = {"rate": 0.009}

    def planted_value(labels, probabilities, classes, metric):
        return 1 - abs(float(np.log(current[0] / optimum["rate"])))

    current: list[float] = []
    enter = loop.Pack._use

    def use(pack, runs, moments):
        current[:] = [runs[0].rate]
        enter(pack, runs, moments)

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "validation_score", planted_value)
    monkeypatch.setattr(
        loop,
        "evaluate",
        lambda labels, values, classes: (
            evaluate(labels, values, classes)
            | {"mcc": planted_value(labels, values, classes, "mcc") if len(labels) == 40 else current[0]}
        ),
    )
    monkeypatch.setattr(loop.Pack, "_use", use)
    flags = {"learning_rates": [0.0001, 0.001], "epochs": 1}
    for extend, rates, edge in (
        (0, [], "high"), (1, [0.01], "high"), (3, [0.01, 0.1], ""),
    ):  # fmt: skip
        where = tmp_path / str(extend)
        assert job(where, weights, planted(160), extend=extend, **flags) == 0
        record, table = outputs(where)
        validated, tested = (s for s in record["selections"] if s["what"] == "learning_rate")
        assert [float(rate) for rate in validated["tried"]] == [0.0001, 0.001, *rates] and validated["edge"] == edge
        assert list(tested["tried"]) == list(validated["tried"]) and tested["edge"] == "high"
        assert tested["chosen"] == list(tested["tried"])[-1], "on test the larger the rate the better"
        assert set(table.loc[table["selected"], "run"]) == {f"published_lr{validated['chosen']}"}
        assert set(table.loc[table["selected_paper"], "run"]) == {f"published_lr{tested['chosen']}"}
        assert table["run"].nunique() == 2 + len(rates)
        if extend:
            assert record["settings"]["extended"] == {"published": rates} and record["settings"]["extend"] == extend
        else:
            assert not {"extend", "extended"} & record["settings"].keys()
    optimum["rate"] = 1e-6
    assert job(tmp_path / "low", weights, planted(160), extend=2, **flags) == 0
    tried = next(s for s in outputs(tmp_path / "low")[0]["selections"] if s["what"] == "learning_rate")
    assert list(tried["tried"]) == ["0.0001", "0.001", "1e-05", "1e-06"] and tried["edge"] == "low"


@pytest.mark.parametrize("pack", [1, 2])
def test_a_job_killed_beyond_the_edge_ends_in_the_same_bits(tmp_path, weights, capsys, pack):
    """Two folds, one rate beyond each: killed in its first epoch, in its second, and before it began."""
    whole, flags = tmp_path / "whole", {"learning_rates": [1e-5, 1e-4], "epochs": 2, "extend": 1, "pack": pack}
    flags |= {"folds": [0, 2], "fold_count": 4, "metric": "auroc", "batch_size": 8}
    frame = planted(160)
    assert job(whole, weights, frame, **flags) == 0
    record = outputs(whole)[0]
    beyond = {fold: rates for fold, rates in record["settings"]["extended"].items() if rates}
    assert beyond, "nothing was extended"
    calls = 2 * 2 * 2 + 1  # validations before the first run beyond, and its first
    with at_call(loop, "validation_score", calls, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
        job(tmp_path / "broken", weights, frame, **flags)
    assert ended.value.code == 143 and list((tmp_path / "broken" / "runs").glob("*.checkpoint"))
    capsys.readouterr()
    assert job(tmp_path / "broken", weights, frame, **flags) == 0
    assert "continued in epoch" in capsys.readouterr().err
    same(whole, tmp_path / "broken")
    plain = tmp_path / "plain"
    assert job(plain, weights, frame, **flags | {"extend": 0}) == 0
    assert job(plain, weights, frame, **flags) == 0, "the runs of the grid serve the wider job"
    same(whole, plain)
    alone = tmp_path / "alone"  # a run beyond is the run that a grid with its rate would have had
    rates = sorted({rate for some in beyond.values() for rate in some})
    assert job(alone, weights, frame, **flags | {"extend": 0, "learning_rates": [1e-5, 1e-4, *rates], "pack": 1}) == 0
    table, wide = outputs(whole)[1], outputs(alone)[1]
    if pack == 1:
        for run in table["run"].unique():
            ours, theirs = (np.stack(one.loc[one["run"] == run, "probabilities"]) for one in (table, wide))
            np.testing.assert_array_equal(ours, theirs)


def test_a_diverged_run_beyond_the_edge_is_kept_and_not_chosen(tmp_path, weights):
    assert job(tmp_path, weights, planted(160), learning_rates=[1e-12, 0.01], extend=1, epochs=2) == 0
    record, table = outputs(tmp_path)
    chosen = next(s for s in record["selections"] if s["what"] == "learning_rate")
    assert chosen["chosen"] in chosen["tried"] and table["run"].nunique() == len(chosen["tried"])


def test_kept_runs_are_used_only_if_nothing_that_matters_changed(tmp_path, weights, monkeypatch):
    trained = []
    original = loop.Pack.train
    monkeypatch.setattr(loop.Pack, "train", lambda pack: trained.append(1) or original(pack))

    def count(used=weights, drawn=0, **flags) -> int:
        trained.clear()
        assert job(tmp_path, used, planted(160, drawn), **ONE | flags) == 0
        return len(trained)

    assert count() == 1
    assert count() == 0
    assert count(token_budget=500, task="renamed") == 0
    assert count(lora_alpha=4, lora_dropout=0.1) == 0  # of nothing
    assert count(trainable="all", layer_rates=1, unfreeze=0) == 0  # as it was before there was a choice
    assert count(trainable="last_1") == count(layer_rates=0.5) == count(unfreeze=1) == count() == 1
    assert count(lora_rank=2) == count(lora_rank=2, lora_alpha=4) == count(lora_rank=3, lora_alpha=4) == 1
    assert count(lora_rank=3, lora_alpha=4) == 0
    assert count() == 1
    assert count(learning_rates=[0.01, 0.02]) == 1
    assert count(batch_size=16) == 1
    assert count(batch_size=16, seed=2) == 1
    other = save_model(tmp_path / "other", "hyenadna", HYENA, "hyenadna", seed=4)
    assert count(other, batch_size=16, seed=2) == 1
    assert count(other, 3, batch_size=16, seed=2) == 1
    (tmp_path / "runs" / "published_lr0.01.parquet").write_bytes(b"cut")
    assert count(other, 3, batch_size=16, seed=2) == 1
    monkeypatch.setattr(finetune_model, "RECIPE", finetune_model.RECIPE + 1)
    assert count(other, 3, batch_size=16, seed=2) == 1


def test_folds_are_the_studys_and_never_cut_a_group():
    frame = planted(100)
    frame["split"] = ["test"] * 20 + ["validation"] * 10 + ["train"] * 70
    rows = np.arange(20, 100)
    expected = list(KFold(10, shuffle=True, random_state=42).split(rows))
    folds, how = split_folds(frame, 10, [0, 5, 9])
    for fold in folds:
        np.testing.assert_array_equal(fold.validation, rows[expected[fold.number][1]])
        np.testing.assert_array_equal(fold.train, rows[expected[fold.number][0]])
    assert how.startswith("KFold(10")
    frame["group"] = [f"gene{index // 4}" for index in range(100)]
    folds, how = split_folds(frame, 5, range(5))
    assert how.startswith("StratifiedGroupKFold(5")
    assert sorted(np.concatenate([fold.validation for fold in folds])) == list(rows)
    for fold in folds:
        assert not set(frame["group"].iloc[fold.train]) & set(frame["group"].iloc[fold.validation])
    published, how = split_folds(frame, 5, [])
    assert published[0].number == -1 and list(published[0].validation) == list(range(20, 30))


def test_long_sequences_are_cut_counted_and_stay_closed_and_bfloat16_trains(tmp_path, weights):
    tokenizer = load_tokenizer("hyenadna")
    tokens, truncated = tokenise(tokenizer, ["ACGT" * 10, "ACGT"], 8)
    assert truncated == 1 and [len(ids) for ids in tokens] == [8, 5]
    assert tokens[0].tolist() == tokenizer.encode("ACGTACG").tolist()
    assert job(tmp_path, weights, planted(160), max_tokens=50, precision="bf16", **ONE) == 0
    settings = outputs(tmp_path)[0]["settings"]
    assert settings["truncated"] == sum(planted(160)["sequence"].str.len() > 49)
    assert settings["max_tokens"] == 50 and settings["precision"] == "bf16"


def test_a_diverged_run_is_kept_without_winning(tmp_path, weights):
    assert job(tmp_path, weights, planted(160), learning_rates=[0.01, 1e25], epochs=2) == 0
    record, table = outputs(tmp_path)
    assert set(table.loc[table["selected"], "run"]) == {"published_lr0.01"}
    assert np.isfinite(np.stack(table["probabilities"])).all()
    assert all(value is not None for value in metric_of(record, "validation"))


def test_the_optimizer_is_torchs():
    def trained(optimizer_class) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1))
        optimizer = optimizer_class(network.parameters(), lr=0.01, betas=training.BETAS, weight_decay=0.1, fused=True)
        for step in range(12):
            if step == 6:
                state, optimizer = optimizer.state_dict(), optimizer_class(network.parameters(), lr=1.0, fused=True)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            network(torch.randn(4, 5)).square().sum().backward()
            optimizer.step()
        return [parameter.detach() for parameter in network.parameters()]

    for own, torchs in zip(trained(training.AdamW), trained(torch.optim.AdamW), strict=True):
        assert torch.equal(own, torchs)


def test_a_job_imports_only_what_it_needs(tmp_path, weights):
    """Most of a small job is imports: torch's compiler, scikit-learn, scipy and transformers are a second each."""
    write_sequences(tmp_path / "set.parquet", planted(160))
    code = (
        f"import sys; from foundationless.__main__ import main; assert main({arguments(tmp_path, weights)!r}) == 0; "
        "print(*({'torch._dynamo', 'sklearn', 'scipy', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


MISTAKES: dict[str, dict[str, object]] = {
    "--metric rmse": {"metric": "rmse"},
    "--metric spearman does not score classes": {"metric": "spearman"},
    "--learning-rates": {"learning_rates": [0.1, 0.1]},
    "--extend": {"extend": -1},
    "--folds": {"folds": [10]},
    "--fold-count 300": {"folds": [0], "fold_count": 300},
    "--epochs": {"epochs": 0},
    "--device": {"device": "cuda:77"},
    "--lora-rank": {"lora_rank": -1},
    "--pack": {"pack": -1},
    "--trainable some": {"trainable": "some"},
    "--trainable lora: adapters need a rank": {"trainable": "lora"},
    "last_2: family 'hyenadna' has 1 blocks": {"trainable": "last_2"},
    "--trainable head: nothing lies below": {"trainable": "head", "unfreeze": 1},
    "--layer-rates": {"layer_rates": 0},
    "--lora-targets: nothing is adapted": {"lora_targets": "in_proj"},
    "all are trained, which stay in float32": {"weight_precision": "bf16"},
    "give --precision bf16, too": {"weight_precision": "bf16", "trainable": "head"},
    "--lora-dropout": {"lora_rank": 1, "lora_dropout": 1.0},
    "no token left": {"max_tokens": 1},
}
BROKEN = {  # expected -> (column, rows, value) of a change of the set
    "has no label": ("label", "id == 's0'", None),
    "class 'rare' has no training row": ("label", "id == 's0'", "rare"),
    "every label": ("label", "id != ''", "one"),
    "no test rows": ("split", "split == 'test'", "train"),
    "no validation rows": ("split", "split == 'validation'", "train"),
}


@pytest.mark.parametrize("expected", [*MISTAKES, *BROKEN])
def test_mistakes_end_in_one_sentence(tmp_path, weights, capsys, expected):
    frame = planted(160)
    if expected in BROKEN:
        column, rows, value = BROKEN[expected]
        frame.loc[frame.eval(rows), column] = value
    assert job(tmp_path, weights, frame, **MISTAKES.get(expected, {})) == 2
    said = capsys.readouterr().err
    assert expected in said and "Traceback" not in said
    assert not (tmp_path / "record.json").exists()


@pytest.mark.parametrize("flags", [{"threads": 0}, {"token_budget": 0}, {"device": "abacus"}])
def test_impossible_compute_is_the_users_mistake(flags):
    with pytest.raises(UserError, match="--"):
        Compute(**({"device": "cpu"} | flags))


@pytest.mark.parametrize("metric", ["mcc", "macro_f1", "weighted_f1", "accuracy", "auroc", "auprc"])
def test_validation_score_is_the_reported_metric(metric):
    generator = np.random.default_rng(0)
    classes = ["a", "b", "c"]
    labels, probabilities = generator.choice(classes, 50), generator.dirichlet([1, 1, 1], 50)
    expected, learned = evaluate(labels, probabilities, classes)[metric], Classes(classes)
    assert validation_score(labels, probabilities, learned, metric) == pytest.approx(expected, abs=1e-12)
    probabilities[3] = np.nan
    assert np.isnan(validation_score(labels, probabilities, learned, metric))


def test_budgets_given_or_halved_for_memory_do_not_change_the_result(tmp_path, weights, monkeypatch, capsys):
    """A GPU that holds 800 tokens: the same batches, gradients of the same mean."""
    original = Classifier.inputs

    def small_memory(self, tokens, length=0):
        if len(tokens) * max(map(len, tokens)) > 800:
            raise torch.OutOfMemoryError("injected")
        return original(self, tokens, length)

    assert job(tmp_path / "large", weights, planted(160)) == 0
    assert job(tmp_path / "small", weights, planted(160), token_budget=100) == 0
    monkeypatch.setattr(Classifier, "inputs", small_memory)
    assert job(tmp_path, weights, planted(160), token_budget=4000) == 0
    assert "halved to 500" in capsys.readouterr().err
    for other in (tmp_path, tmp_path / "small"):
        np.testing.assert_allclose(probabilities(other), probabilities(tmp_path / "large"), atol=2e-3)
    assert job(tmp_path, weights, planted(160), token_budget=10, batch_size=1) == 0
    monkeypatch.setattr(Classifier, "inputs", lambda self, tokens, length=0: small_memory(self, tokens * 50))
    assert job(tmp_path, weights, planted(160), batch_size=2) == 2
    assert "out of memory with one sequence" in capsys.readouterr().err
