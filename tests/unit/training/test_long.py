"""Fine-tuning in chunks: pooled as stated, with the gradient and the draws of one pass, in memory that stays."""

import signal

import numpy as np
import pandas as pd
import pytest
import torch

from foundationless.models.batching import cut_in_chunks
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise
from foundationless.training import loop
from foundationless.training.classifier import Classifier, prepare_examples
from foundationless.training.compute import Compute
from foundationless.training.long import chunks as long
from foundationless.training.long.chunks import Chunked
from foundationless.training.stacking import Alone
from support.fine_tuning import MOTIF, at_call, job, metric_of, outputs, planted, same, send
from support.networks import CNN, HYENA, TINY, save_model

LIMIT = 24  # tokens of a chunk
NETWORKS = {
    "cnn": ("character", TINY["cnn"]),
    "nt_v1": ("nt_v1", TINY["nt_v1"] | {"token_dropout": False}),
    "hyenadna": ("hyenadna", HYENA),
    "caduceus_ph": ("caduceus", TINY["caduceus_ph"]),
    "bert": ("character", TINY["bert"]),  # with dropout
}


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def made(family: str, chunks: str, pooling: str = "mean") -> tuple[Chunked, object]:
    """A classifier of three classes in float64, its numbers large enough to matter."""
    tokenizer, config = NETWORKS[family]
    model = initialise(family, config, 3)
    torch.manual_seed(5)
    classifier = Chunked(model, load_tokenizer(tokenizer), 3, pooling, 8, attended=chunks == "attention").double()
    for parameter in classifier.parameters():
        parameter.data *= 3 if parameter.ndim > 1 else 1
    if classifier.query is not None:
        classifier.query.data.normal_(generator=torch.Generator().manual_seed(1))
    return classifier, load_tokenizer(tokenizer)


def a_set(lengths: list[int], tokenizer: object, chunks: str, limit: int = LIMIT):
    rows = [(f"s{n}", dna(length, n), "abc"[n % 3], "test" if n < 3 else "train") for n, length in enumerate(lengths)]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split"]).assign(group="g")
    return prepare_examples(frame, "set", tokenizer, limit, chunks=chunks), frame


def gradients(classifier: Classifier, examples, budget: int) -> tuple[float, dict[str, torch.Tensor]]:
    network, rows = Alone(classifier.train()), np.arange(len(examples.tokens))
    torch.manual_seed(7)
    network.clear()
    (loss,) = network.gradient(examples, {0: rows}, [0], Compute("cpu", 1, "fp32", budget))
    return loss, {name: value.grad.clone() for name, value in network.trained.items() if value.grad is not None}


@pytest.mark.parametrize("chunks", ["mean", "attention"])
@pytest.mark.parametrize("pooling", ["mean", "max", "first", "last"])
def test_logits_are_those_of_the_stated_pooling(chunks, pooling):
    """Worked by hand in numpy, each chunk by itself."""
    classifier, tokenizer = made("nt_v1", chunks, pooling)
    examples, frame = a_set([700, 50, 133, 20, 400], tokenizer, chunks)
    head = classifier.head.weight.detach().numpy()
    expected = []
    for sequence in frame["sequence"]:
        vectors, counts = [], []
        for ids in cut_in_chunks(tokenizer, sequence, LIMIT):
            with torch.inference_mode():
                states = classifier.eval().backbone.encode(torch.from_numpy(ids)[None])[0, 1:].numpy()  # without <cls>
            one = {"mean": states.mean(0), "max": states.max(0), "first": states[0], "last": states[-1]}[pooling]
            vectors.append(one)
            counts.append(len(states))
        vectors = np.stack(vectors)
        shares = np.tile(np.array(counts, dtype=float)[:, None], 3)
        if chunks == "attention":
            shares *= np.exp(vectors @ classifier.query.detach().numpy().T / np.sqrt(vectors.shape[1]))
        expected.append((shares / shares.sum(0) * (vectors @ head.T)).sum(0))
    for budget in (24, 60, 10**6):
        with torch.inference_mode():
            found = classifier.eval()(*classifier.inputs(examples.tokens, budget))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)
    assert examples.truncated == 0 and examples.at_once.max() <= LIMIT < examples.lengths.max()


@pytest.mark.parametrize("chunks", ["mean", "attention"])
@pytest.mark.parametrize("family", ["cnn", "nt_v1", "hyenadna", "caduceus_ph"])
def test_the_gradient_of_several_passes_is_that_of_one(family, chunks, monkeypatch):
    monkeypatch.setattr(long, "TURNED", 1.0)  # else strands are drawn pass by pass, as without chunks
    classifier, tokenizer = made(family, chunks)
    width = 6 if family == "nt_v1" else 1
    examples, _ = a_set([width * n for n in (90, 15, 200, 44, 20, 130)], tokenizer, chunks)
    loss, whole = gradients(classifier, examples, 10**6)
    assert "head.weight" in whole and ("query" in whole) == (chunks == "attention")
    largest = max(value.abs().max() for value in whole.values())
    for budget in (30, 100):
        other, parts = gradients(classifier, examples, budget)
        assert other == pytest.approx(loss, abs=1e-7)
        for name, value in whole.items():
            assert (value - parts[name]).abs().max() <= 1e-6 * largest, name


@pytest.mark.parametrize("family", ["bert", "caduceus_ph", "cnn"])
def test_what_is_computed_again_has_the_same_draws_and_nothing_else_changes(family, monkeypatch):
    """With dropout, and strands that are drawn: the same passes, kept instead of computed again."""
    classifier, tokenizer = made(family, "attention")
    examples, _ = a_set([90, 15, 200, 44, 20, 130], tokenizer, "attention")
    loss, again = gradients(classifier, examples, 50)
    monkeypatch.setattr("torch.utils.checkpoint.checkpoint", lambda read, *given, use_reentrant: read(*given))
    other, kept = gradients(classifier, examples, 50)
    assert loss == other
    for name, value in kept.items():
        assert torch.equal(value, again[name]), name


def test_one_pass_equals_a_plain_classifier_where_everything_fits():
    classifier, tokenizer = made("cnn", "mean")
    plain = Classifier(classifier.backbone, tokenizer, 3, "mean", 8).double()
    plain.head = classifier.head
    examples, _ = a_set([20, 12, 21, 18, 9], tokenizer, "mean")
    others, _ = a_set([20, 12, 21, 18, 9], tokenizer, "none")
    assert all(len(row) == 1 for row in examples.tokens)
    one, other = gradients(classifier, examples, 10**6), gradients(plain, others, 10**6)
    assert one[0] == pytest.approx(other[0], abs=1e-12)
    for name, value in other[1].items():
        torch.testing.assert_close(one[1][name], value)


def test_a_model_of_one_strand_predicts_the_same_of_both():
    from foundationless.data.dna import reverse_complement

    classifier, tokenizer = made("caduceus_ph", "attention")
    sequence = dna(23 * 5, 1)  # cut alike from either end
    rows = [cut_in_chunks(tokenizer, text, LIMIT) for text in (sequence, reverse_complement(sequence))]
    with torch.inference_mode():
        one, other = classifier.eval()(*classifier.inputs(rows, 50))
    np.testing.assert_allclose(one, other, atol=1e-10)


def test_memory_grows_by_a_vector_a_chunk():
    """Most bytes of tensors at once, forward and backward, at 10 times the length under one budget."""
    model = initialise("cnn", CNN | {"width": 32, "depth": 4}, 3)
    tokenizer = load_tokenizer("character")
    classifier = Chunked(model, tokenizer, 3, "mean", 8, attended=True)
    peaks, chunks = [], []
    for length in (2000, 20_000):
        examples, _ = a_set([length] * 3, tokenizer, "attention", 66)
        gradients(classifier, examples, 1000)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as trace:
            gradients(classifier, examples, 1000)
        changes = [event.nbytes() for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
        peaks.append(float(np.cumsum(changes).max()))
        chunks.append(len(examples.tokens[0]))
    vector = 4 * 32
    assert peaks[1] - peaks[0] < 6 * vector * (chunks[1] - chunks[0]) < 0.5 * peaks[0], (peaks, chunks)


# ---- whole jobs


def beyond(count: int = 360) -> pd.DataFrame:
    """Random sequences of 96 to 110 nt that end, or not, in a motif: far beyond the first 24 tokens."""
    generator = np.random.default_rng(3)
    rows = []
    for index in range(count):
        text = dna(int(generator.integers(70, 85)), 1000 + index)
        text += MOTIF + dna(15, 5000 + index) if index % 2 else dna(len(MOTIF) + 15, 9000 + index)
        split = "test" if index < 100 else "validation" if index < 160 else "train"
        rows.append((f"s{index}", text, "bound" if index % 2 else "free", split, f"g{index}"))
    return pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("weights") / "cnn", "cnn", CNN, "character")


FLAGS = dict(max_tokens=40, learning_rates=[0.01], epochs=8, pooling="max", batch_size=16, token_budget=100)


def test_what_lies_beyond_the_limit_is_found_in_chunks_alone(tmp_path, weights):
    frame, reached = beyond(), {}
    for chunks in ("none", "mean", "attention"):
        assert job(tmp_path / chunks, weights, frame, **FLAGS | {"token_budget": 2000}, chunks=chunks) == 0
        record, _ = outputs(tmp_path / chunks)
        (reached[chunks],) = metric_of(record, "validation")
        assert record["settings"].get("chunks") == (None if chunks == "none" else chunks)
        assert record["settings"]["truncated"] == (len(frame) if chunks == "none" else 0)
    assert abs(reached["none"]) < 0.3, reached
    assert min(reached["mean"], reached["attention"]) > 0.6, reached
    sizes = [outputs(tmp_path / chunks)[0]["settings"]["trainable_parameters"] for chunks in ("mean", "attention")]
    assert sizes[1] - sizes[0] == 2 * CNN["width"]


@pytest.mark.parametrize("chunks", ["mean", "attention"])
def test_a_job_that_was_ended_goes_on_to_the_same_bits(tmp_path, weights, chunks, capsys):
    flags = FLAGS | dict(epochs=3, chunks=chunks, learning_rates=[0.003, 0.01])
    frame = beyond(120).assign(split=["test", "validation", "train"] * 40)
    assert job(tmp_path / "whole", weights, frame, **flags) == 0
    with at_call(loop, "validation_score", 2, send(signal.SIGTERM)), pytest.raises(SystemExit):
        job(tmp_path / "ended", weights, frame, **flags)
    assert job(tmp_path / "ended", weights, frame, **flags) == 0
    assert "continued in epoch" in capsys.readouterr().err
    same(tmp_path / "whole", tmp_path / "ended")


def test_runs_go_one_after_another_and_say_so(tmp_path, weights, capsys):
    flags = FLAGS | dict(epochs=1, learning_rates=[0.003, 0.01])
    assert job(tmp_path / "packed", weights, planted(160), **flags, chunks="mean", pack=2) == 0
    assert "one after another, for sequences in chunks cannot be stacked" in capsys.readouterr().err
    assert job(tmp_path / "single", weights, planted(160), **flags, chunks="mean") == 0
    same(tmp_path / "packed", tmp_path / "single")


def test_outputs_are_learned_in_chunks_too(tmp_path, weights):
    from support.fine_tuning import planted_outputs

    flags = FLAGS | dict(max_tokens=30, epochs=2, metric="pearson")
    assert job(tmp_path / "values", weights, planted_outputs("values"), **flags, chunks="attention") == 0
    record, table = outputs(tmp_path / "values")
    assert record["settings"]["chunks"] == "attention" and np.isfinite(np.stack(table["values"])).all()


def test_refusals_are_sentences(tmp_path, weights, capsys):
    assert job(tmp_path / "short", weights, planted(160), **FLAGS | {"max_tokens": 2}, chunks="mean") == 2
    assert "a chunk of 2 tokens holds nothing beside 2 special ones" in capsys.readouterr().err
    read = save_model(tmp_path / "read", "cnn", CNN, "character", reading="as_in_paper")
    assert job(tmp_path / "paper", read, planted(160), **FLAGS, chunks="mean") == 2
    assert "--chunks mean: these weights are read as in the paper" in capsys.readouterr().err
