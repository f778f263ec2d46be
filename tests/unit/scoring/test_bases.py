"""Bits per base: Markov models reach the entropy of a chain that is known, networks what their own softmax says."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from foundationless.models.weights import load_weights
from foundationless.scoring.bases.bits import _result, model_bits, score_bases
from foundationless.scoring.bases.markov import STRENGTH, fit_markov, markov_bits
from foundationless.scoring.likelihood_ratios import STRIDE
from support.networks import ESM, HYENA, save_model

COMPUTE = {"token_budget": 4096, "device": "cpu", "precision": "fp32"}


def chain(length, generator):
    """A chain of order 2 that reads the same on both strands on average: each base repeats the last but one, mostly."""
    codes = generator.integers(4, size=length)
    for at in range(2, length):
        codes[at] = codes[at - 2] if generator.random() < 0.7 else codes[at]
    return "".join("ACGT"[code] for code in codes)


def test_the_order_of_a_chain_is_enough_and_less_is_not():
    generator = np.random.default_rng(0)
    tables = fit_markov([chain(60_000, generator)], 4)
    bits, bases = markov_bits(tables, [chain(4000, generator), "ACGNA", "A"])
    rates = bits[:, 0] / bases[0]
    same, other = 0.7 + 0.3 / 4, 0.3 / 4
    entropy = -(same * np.log2(same) + 3 * other * np.log2(other))
    assert rates[1] == pytest.approx(2, abs=0.02) and rates[2:] == pytest.approx(entropy, abs=0.05)
    assert bases.tolist() == [3999, 3, 0], "neither the first base nor N is predicted"


def test_probabilities_are_counts_smoothed_by_the_order_below():
    """The oracle counts words in a text and its other strand one by one."""
    text = "ACGTTGCANACCAGT"
    strands = [text, text[::-1].translate(str.maketrans("ACGTN", "TGCAN"))]
    words = [strand[at : at + 3] for strand in strands for at in range(len(text) - 2) if "N" not in strand[at : at + 3]]

    def chance(context, base):
        if len(context) == 0:
            below, own = 0.25, [word[2] for word in words]
        else:
            below = chance(context[1:], base)
            own = [word[2] for word in words if word[2 - len(context) : 2] == context]
        return (own.count(base) + STRENGTH * below) / (len(own) + STRENGTH)

    table = 2 ** fit_markov([text], 2)[2].astype(float)
    wanted = [[chance("".join(context), base) for base in "ACGT"] for context in product("ACGT", repeat=2)]
    assert table == pytest.approx(np.array(wanted), rel=1e-5)
    assert table.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(("family", "config", "tokenizer"), [("hyenadna", HYENA, "hyenadna"), ("nt_v1", ESM, "nt_v1")])
def test_a_network_takes_the_bits_that_its_softmax_says(tmp_path, family, config, tokenizer):
    weights = load_weights(save_model(tmp_path / "w", family, config, tokenizer))
    generator = np.random.default_rng(1)
    sequences = ["".join(generator.choice(list("ACGT"), length)) for length in (40, 64)] + ["ACGTNNNNNNACGTACGTACGT"]
    bits, bases = model_bits(weights, sequences, COMPUTE)
    for row, sequence in enumerate(sequences):
        ids = weights.tokenizer.encode(sequence)
        spans = weights.tokenizer.spans(ids, sequence=sequence)
        places = [k for k, (low, high) in enumerate(spans) if high > low and "N" not in sequence[low:high]]
        total = 0.0
        with torch.no_grad():
            if weights.model.objective == "causal":
                places = [k for k in places if k]
                scores = weights.model.project(weights.model.encode(torch.from_numpy(ids.astype(np.int64))[None], None))
                total = -sum(scores[0, k - 1].log_softmax(0)[int(ids[k])].item() for k in places)
            for turn in range(STRIDE) if weights.model.objective != "causal" else ():
                hidden = np.array(ids, dtype=np.int64)
                hidden[places[turn::STRIDE]] = weights.tokenizer.mask_id
                scores = weights.model.project(weights.model.encode(torch.from_numpy(hidden)[None], None))[0]
                total -= sum(scores[k].log_softmax(0)[int(ids[k])].item() for k in places[turn::STRIDE])
        assert bits[row] == pytest.approx(total / np.log(2), rel=1e-4)
        assert bases[row] == sum(int(np.diff(spans[k])[0]) for k in places)


def test_results_are_ratios_of_sums_by_label_with_markov_models_beside(tmp_path):
    weights = load_weights(save_model(tmp_path / "w", "hyenadna", HYENA, "hyenadna"))
    generator = np.random.default_rng(2)
    rows = [
        {"id": f"s{k}", "sequence": chain(60, generator), "label": "ab"[k % 2], "group": f"g{k // 2}",
         "split": "test" if k < 24 else "train"}
        for k in range(60)
    ]  # fmt: skip
    results, predictions = score_bases(weights, pd.DataFrame(rows), 0, COMPUTE, None, markov=True)
    found = {(result.extra["label"], result.extra["condition"]): result for result in results}
    assert len(found) == 3 * 12 and set(predictions["id"]) == {f"s{k}" for k in range(24)}
    for (label, condition), result in found.items():
        own = predictions[
            (predictions["condition"] == condition)
            & predictions["label"].isin(["a", "b"] if label == "all" else [label])
        ]
        assert result.value == pytest.approx(own["bits"].sum() / own["bases"].sum())
        assert result.extra["low"] <= result.value <= result.extra["high"]
    assert found["all", "order 2"].value < found["all", "order 1"].value
    assert found["all", "order 2"].extra["fitted_to"] == "train rows" and "fitted_to" not in found["all", "model"].extra


def test_a_row_without_a_group_counts_as_a_group_of_its_own():
    values = np.random.default_rng(3).integers(20, 200, size=30)
    rows = pd.DataFrame({"id": [f"s{k}" for k in range(30)], "bits": 1.0 * values, "bases": 100})
    rows["group"] = [f"g{k}" if k < 25 else None for k in range(30)]
    result = _result(rows, {}, np.random.default_rng(0))
    assert result.value == pytest.approx(values.mean() / 100) and result.n == 30


@pytest.mark.parametrize("train", [[], ["ACGTACGTACG", "ACGTNACGT"]])
def test_markov_models_of_nothing_are_left_out_and_told(tmp_path, train, capsys):
    weights = load_weights(save_model(tmp_path / "w", "hyenadna", HYENA, "hyenadna"))
    rows = [(f"s{k}", text, "a", None, "train") for k, text in enumerate(train)] + [
        ("t", "ACGTT" * 6, "a", "g", "test")
    ]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "group", "split"])
    results, _ = score_bases(weights, frame, 0, COMPUTE, None, markov=True)
    assert {result.extra["condition"] for result in results} == {"model"}
    assert "Markov models are left out" in capsys.readouterr().err
