"""Embeddings must depend on the sequence alone: not on padding, batch mates, budget or what else is in the set."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.features.embedding import cut_sequences, embed_sequences
from foundationless.features.embedding_files import read_embeddings, write_embeddings
from foundationless.models import inference
from foundationless.models.inference import choose_device, run_network
from foundationless.models.pooling import pool, site_tokens
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights, initialise, save_weights
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import words
from support.networks import TINY

PH = TINY["caduceus_ph"] | {"initializer_cfg": {"initializer_range": 1.0}}
COMPUTE = {"token_budget": 300, "device": "cpu", "precision": "fp32"}
CONFIGS = {
    "cnn": ("character", {"width": 8, "depth": 2, "kernel_size": 5, "vocab_size": 10, "max_tokens": 64}),
    "nt_v1": ("nt_v1", TINY["nt_v1"] | {"hidden_size": 8, "num_attention_heads": 2, "max_position_embeddings": 42}),
    "hyenadna": ("hyenadna", TINY["hyenadna"] | {"d_model": 8, "d_inner": 16}),
}


def make_weights(family: str) -> Weights:
    tokenizer, config = (CONFIGS | {"caduceus_ph": ("caduceus", PH)})[family]
    model = initialise(family, config, 1)
    card = {"model": "tiny", "family": family, "tokenizer": tokenizer, "init": "random", "seed": 1, "source": "test"}
    return Weights(model, load_tokenizer(tokenizer), card | {"parameters": 1})


@pytest.fixture(scope="module", params=list(CONFIGS))
def weights(request) -> Weights:
    return make_weights(request.param)


def dna(length: int, seed: int, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def alone(weights: Weights, ids: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return weights.model.encode(torch.from_numpy(ids)[None])[0]


def close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], atol: float = 1e-5) -> None:
    for pooling, vectors in found.items():
        np.testing.assert_allclose(vectors, expected[pooling], atol=atol, err_msg=pooling)


def test_pool_by_hand():
    hidden = torch.tensor([[[1.0, -1.0], [5.0, 7.0], [2.0, -3.0], [torch.inf, torch.nan]]])
    mask = torch.tensor([[1, 0, 1, 0]])
    expected = {"max": [2.0, -1.0], "mean": [1.5, -2.0], "first": [1.0, -1.0], "last": [2.0, -3.0]}
    for method, value in expected.items():
        assert pool(hidden, mask, method).tolist() == [value], method
    with pytest.raises(ValueError, match="unknown pooling"):
        pool(hidden, mask, "median")


@pytest.mark.parametrize("side", ["left", "right"])
def test_pool_ignores_padding_on_either_side(side):
    hidden = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0))
    junk = torch.full((1, 4, 3), 1e9)
    parts = [junk, hidden] if side == "left" else [hidden, junk]
    marks = [torch.zeros(1, 4), torch.ones(1, 5)]
    mask = torch.cat(marks if side == "left" else marks[::-1], dim=1)
    for method in ("max", "mean", "first", "last"):
        assert torch.equal(pool(torch.cat(parts, 1), mask, method), pool(hidden, torch.ones(1, 5), method))


def test_batch_mates_budget_and_order_do_not_matter(weights):
    sequences = [dna(length, length, "ACGTN" if length % 3 else "ACGT") for length in (7, 30, 31, 60, 12, 60, 1, 55)]
    together = embed_sequences(weights, sequences, ["max", "mean", "cls"], **COMPUTE)
    singly = embed_sequences(weights, sequences[::-1], ["max", "mean", "cls"], **COMPUTE | {"token_budget": 1})
    for pooling, vectors in together.items():
        assert vectors.dtype == np.float32 and vectors.shape == (8, weights.model.width)
        np.testing.assert_allclose(vectors, singly[pooling][::-1], atol=1e-5, err_msg=pooling)


def test_official_encoding_without_special_tokens_in_the_pool(weights):
    sequence = dna(40, 4)
    ids = weights.tokenizer.encode(sequence)
    hidden = alone(weights, ids).numpy()
    inner = weights.tokenizer.spans(ids)[:, 0] >= 0
    assert not inner.all()
    found = embed_sequences(weights, [sequence], ["max", "mean", "cls", "site"], sites=[[17, 18]], **COMPUTE)
    np.testing.assert_allclose(found["max"][0], hidden[inner].max(0), atol=1e-5)
    np.testing.assert_allclose(found["mean"][0], hidden[inner].mean(0), atol=1e-5)
    first = weights.card["family"] != "hyenadna"
    np.testing.assert_allclose(found["cls"][0], hidden[0 if first else -1], atol=1e-5)
    tokens = site_tokens(weights.tokenizer, sequence, ids, [17, 18])
    assert len(tokens) == 2  # two characters, or two 6-mers, the boundary being at 18
    np.testing.assert_allclose(found["site"][0], hidden[tokens].mean(0), atol=1e-5)


@pytest.mark.parametrize("sequence", [dna(333, 5), dna(120, 5) * 2 + dna(207, 6)], ids=["distinct", "repeating"])
def test_chunks_equal_the_rule_worked_by_hand(weights, sequence):
    limit = 20  # tokens; 120 nucleotides are whole chunks of both characters and 6-mers
    found = embed_sequences(weights, [sequence], ["max", "mean"], max_tokens=limit, **COMPUTE)
    ids = weights.tokenizer.encode(sequence, special=False)
    parts = [alone(weights, ids[start : start + limit]).numpy() for start in range(0, len(ids), limit)]
    assert len(parts) > 2 and len(parts[-1]) < limit
    for pooling, reduce in (("max", np.max), ("mean", np.mean)):
        expected = np.mean([reduce(part, axis=0) for part in parts], axis=0)
        np.testing.assert_allclose(found[pooling][0], expected, atol=1e-5)


def test_a_model_of_one_strand_gives_both_strands_one_embedding():
    """Caduceus-Ph, whole and in chunks; and each strand by itself has another one."""
    weights = make_weights("caduceus_ph")
    sequences = [dna(40, seed, "ACGTN") for seed in (1, 2)]
    others = [reverse_complement(sequence) for sequence in sequences]
    for more in ({}, {"max_tokens": 20}):  # of which the whole is a multiple
        poolings = ["max", "mean"]
        one, other = (embed_sequences(weights, side, poolings, **more, **COMPUTE) for side in (sequences, others))
        close(one, other)
        assert np.abs(one["mean"][0] - one["mean"][1]).max() > 1e-3
    plain = [alone(weights, weights.tokenizer.encode(side[0])).mean(0) for side in (sequences, others)]
    assert (plain[0] - plain[1]).abs().max() > 1e-3


def test_identical_sequences_and_chunks_run_once_and_give_the_same(weights):
    repeat = dna(120, 6)
    sequences = [repeat + dna(120, 7), repeat + dna(120, 8), repeat * 3, dna(30, 9), dna(30, 9)]
    limit = 20  # tokens; 120 nucleotides are whole chunks of both characters and 6-mers
    chunks = cut_sequences(weights, sequences, limit)
    kmers = weights.tokenizer.k != 1
    assert kmers or len(chunks.inputs) == 6 + 6 + 6 + 2
    own = sum(len(weights.tokenizer.encode(s, special=False)) for s in sequences)
    assert chunks.tokens == own + (2 if kmers else 0)  # the two that fit carry one special token each
    assert chunks.unique_fraction < 0.8
    together = embed_sequences(weights, sequences, ["max", "mean"], max_tokens=limit, **COMPUTE)
    for index, sequence in enumerate(sequences):
        single = embed_sequences(weights, [sequence], ["max", "mean"], max_tokens=limit, **COMPUTE)
        close({pooling: vectors[[index]] for pooling, vectors in together.items()}, single)


def test_what_fits_only_without_special_tokens_is_one_chunk_and_merges_with_its_equal():
    sequence = dna(100, 1)
    chunks = cut_sequences(make_weights("cnn"), [sequence, sequence[:64], sequence[:62]], 64)
    assert chunks.parts.tolist() == [2, 1, 1]
    assert chunks.special == [False, False, True] and chunks.owners[0] == {0: 1, 1: 1}


def test_as_in_paper_embeds_without_special_tokens_and_never_pads_the_unmasked(tmp_path, monkeypatch):
    weights = make_weights("cnn")
    weights.model.reading = "as_in_paper"
    sequences = [dna(length, length) for length in (20, 33, 20, 150)]
    flags = prepared(tmp_path, weights, sequences)
    masks = record_calls(monkeypatch, weights)
    assert main(words("embed", **flags, poolings="max")) == 0
    _, vectors, facts = read_embeddings(tmp_path / "out.parquet", ["max"])
    assert facts["reading"] == "as_in_paper"
    assert masks and not any(masked for _, masked in masks)
    monkeypatch.undo()
    for sequence, vector in zip(sequences, vectors["max"], strict=True):
        ids = weights.tokenizer.encode(sequence, special=False)
        parts = [alone(weights, ids[start : start + 64]).amax(0).numpy() for start in range(0, len(ids), 64)]
        np.testing.assert_allclose(vector, np.mean(parts, axis=0), atol=1e-5)


def prepared(directory, weights: Weights, sequences: list[str]) -> dict[str, object]:
    """Write the weights and a set of sequences; flags of the command that embeds them."""
    save_weights(directory / "weights", weights.model, weights.card)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(len(sequences))], "sequence": sequences})
    write_sequences(directory / "set.parquet", frame.assign(label="x", split="test", group="g"))
    places = {"weights": "weights", "sequences": "set.parquet", "output": "out.parquet"}
    return {flag: directory / name for flag, name in places.items()}


def record_calls(monkeypatch, weights: Weights) -> list[tuple[tuple[int, int], bool]]:
    """(Shape, whether with a mask) of every later call of the network."""
    calls = []
    whole = type(weights.model).encode

    def encode(model, ids, mask=None):
        calls.append((tuple(ids.shape), mask is not None))
        return whole(model, ids, mask)

    monkeypatch.setattr(type(weights.model), "encode", encode)
    return calls


def test_only_batches_of_several_lengths_carry_a_mask(monkeypatch):
    weights = make_weights("nt_v1")
    calls = record_calls(monkeypatch, weights)
    sequences = [dna(60, seed) for seed in range(4)] + [dna(30, 5), dna(35, 6)]
    embed_sequences(weights, sequences, ["max"], **COMPUTE | {"token_budget": 44})
    assert calls == [((4, 11), False), ((2, 11), True)]  # 5 6-mers; 5 6-mers and 5 letters


def test_a_cpu_takes_no_batch_beyond_its_caches(monkeypatch):
    weights = make_weights("cnn")
    sequences = [dna(40 + seed, seed) for seed in range(8)]
    expected = embed_sequences(weights, sequences, ["max", "mean"], **COMPUTE)
    monkeypatch.setattr(inference, "CACHED", 100 * weights.model.width)
    calls = record_calls(monkeypatch, weights)
    found = embed_sequences(weights, sequences, ["max", "mean"], **COMPUTE | {"token_budget": 10**6})
    assert [rows for (rows, _), _ in calls] == [2] * 4
    close(found, expected, 1e-6)


def test_an_input_beyond_the_budget_is_said(capsys):
    embed_sequences(make_weights("cnn"), [dna(60, 1)], ["max"], **COMPUTE | {"token_budget": 20})
    assert "an input of 62 tokens exceeds --token-budget 20" in capsys.readouterr().err


def test_results_are_fetched_while_the_next_batch_runs():
    events = []

    def handle(rows, ids, mask, hidden):
        assert ids.shape == mask.shape == hidden.shape[:2] and len(rows) == len(ids)
        assert not torch.is_autocast_enabled("cpu")
        events.append(("batch", int(rows[0])))
        return lambda: events.append(("fetch", int(rows[0])))

    inputs = [np.arange(5, 9, dtype=np.uint8) for _ in range(3)]
    run_network(make_weights("cnn"), inputs, handle, **COMPUTE | {"token_budget": 4, "precision": "bf16"})
    assert events == [("batch", 0), ("batch", 1), ("fetch", 0), ("batch", 2), ("fetch", 1), ("fetch", 2)]


class CountCasts(TorchDispatchMode):
    """How many tensors of two dimensions become bfloat16."""

    def __init__(self, shapes: set[torch.Size]) -> None:
        super().__init__()
        self.shapes, self.count = shapes, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._to_copy.default and args[0].shape in self.shapes
        return func(*args, **(kwargs or {}))


def test_bf16_casts_every_weight_once_and_stays_near_fp32(weights):
    sequences = [dna(40 + seed, seed) for seed in range(8)]
    shapes = {module.weight.shape for module in weights.model.modules() if isinstance(module, torch.nn.Linear)}
    casts = {}
    for budget in (1, 10**4):
        compute = COMPUTE | {"precision": "bf16", "token_budget": budget}
        with CountCasts(shapes) as counted:
            found = embed_sequences(weights, sequences, ["max", "mean"], **compute)
        casts[budget] = counted.count
    assert casts[1] == casts[10**4]
    expected = embed_sequences(weights, sequences, ["max", "mean"], **COMPUTE)
    for pooling, vectors in found.items():
        assert vectors.dtype == np.float32
        error = np.linalg.norm(vectors - expected[pooling], axis=1) / np.linalg.norm(expected[pooling], axis=1)
        assert 0 < error.max() < 0.03, pooling


def test_mean_of_bf16_states_is_summed_and_counted_in_float32():
    hidden = torch.full((1, 1001, 2), 1.0, dtype=torch.bfloat16)
    assert pool(hidden, torch.ones(1, 1001), "mean").tolist() == [[1.0, 1.0]]
    assert pool(hidden, torch.ones(1, 1001), "max").dtype == torch.float32


LONG = 20_002  # tokens
ROOMY = {
    "cnn": {"width": 16, "depth": 3, "max_tokens": LONG},
    "hyenadna": {"d_model": 16, "d_inner": 64, "max_seq_len": LONG},
    "nt_v1": {"hidden_size": 64, "intermediate_size": 256, "max_position_embeddings": 252},
}


def peak_memory(weights: Weights, sequences: list[str], **compute) -> float:
    """Most bytes of tensors at once while embedding, by the allocator's reports."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as trace:
        embed_sequences(weights, sequences, ["max", "mean"], device="cpu", precision="fp32", **compute)
    changes = [event.nbytes() for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    return float(np.cumsum(changes).max())


@pytest.mark.parametrize("family", list(ROOMY))
def test_memory_follows_the_budget_and_not_the_lengths(family, monkeypatch):
    tokenizer, config = CONFIGS[family]
    weights = Weights(initialise(family, config | ROOMY[family], 1), load_tokenizer(tokenizer), {})
    monkeypatch.setattr(inference, "CACHED", 10**9)  # whole batches, as on a GPU
    peaks = {}
    for length in (50, 1000, LONG - 2):
        amount = 2 * LONG * (weights.tokenizer.k or 1) // length  # two batches
        sequences = [dna(length, seed) for seed in range(amount)]
        peaks[length] = peak_memory(weights, sequences, token_budget=LONG)
    assert max(peaks.values()) < 1.1 * peaks[50], peaks
    half = peak_memory(weights, [dna(50, seed) for seed in range(800)], token_budget=LONG // 4)
    assert half < 0.5 * peaks[50]


def test_two_megabases_stream_through_in_constant_memory():
    weights = make_weights("hyenadna")
    sequence = dna(2_000_000, 3)
    chunks = cut_sequences(weights, [sequence])
    assert chunks.parts.tolist() == [-(-2_000_000 // 66)] and {part.dtype for part in chunks.inputs} == {np.dtype("u1")}
    short = peak_memory(weights, [sequence[:40_000]], token_budget=8192)
    assert peak_memory(weights, [sequence], token_budget=8192) < 1.02 * short


def test_site_tokens_of_characters_and_kmers():
    kmer, character = load_tokenizer("nt_v2"), load_tokenizer("character")
    sequence = "ACGTACGTACGTAC"  # two 6-mers, two letters
    ids = kmer.encode(sequence)
    assert site_tokens(kmer, sequence, ids, [0, 5, 6]).tolist() == [1, 2]
    assert site_tokens(kmer, sequence, ids, [13]).tolist() == [4]
    assert site_tokens(character, sequence, character.encode(sequence), [0, 13]).tolist() == [1, 14]


@pytest.mark.parametrize(
    ("poolings", "options", "message"),
    [
        (["median"], {}, "choose among"),
        (["site"], {}, "needs a list of sites"),
        (["site"], {"sites": [[99]]}, "no token covers"),
        (["cls"], {"max_tokens": 10}, "needs whole sequences"),
        (["max"], {"max_tokens": 100000}, "the model reads"),
        (["max"], {"max_tokens": 0}, "the model reads"),
    ],
)
def test_wrong_requests_are_sentences(poolings, options, message):
    with pytest.raises(UserError, match=message):
        embed_sequences(make_weights("cnn"), [dna(40, 1)], poolings, **COMPUTE | options)


def test_absent_devices_are_sentences():
    assert choose_device("cpu").type == "cpu"
    for name in ("tpu9", "cuda:99"):
        with pytest.raises(UserError, match="no such"):
            choose_device(name)


def test_short_gpu_memory_halves_the_budget_and_changes_nothing(monkeypatch, capsys):
    weights = make_weights("cnn")
    sequences = [dna(50, seed) for seed in range(20)]
    expected = embed_sequences(weights, sequences, ["mean", "max"], **COMPUTE | {"token_budget": 104})
    whole = type(weights.model).encode

    def small(model, ids, mask=None):
        if ids.numel() > 110:
            raise torch.cuda.OutOfMemoryError("no memory")
        return whole(model, ids, mask)

    monkeypatch.setattr(type(weights.model), "encode", small)
    found = embed_sequences(weights, sequences, ["mean", "max"], **COMPUTE | {"token_budget": 1000})
    close(found, expected, 1e-6)
    assert "--token-budget" in capsys.readouterr().err
    monkeypatch.setattr(type(weights.model), "encode", lambda *_: small(None, torch.zeros(200)))
    with pytest.raises(UserError, match="does not fit"):
        embed_sequences(weights, sequences[:1], ["max"], **COMPUTE)


def test_command_writes_what_the_reader_reads(tmp_path):
    weights = make_weights("cnn")
    sequences = [dna(30 + 40 * i, i % 4) for i in range(6)]
    flags = prepared(tmp_path, weights, sequences)
    assert main(words("embed", **flags, poolings=["max", "mean"])) == 0
    ids, vectors, facts = read_embeddings(tmp_path / "out.parquet", ["mean", "max"])
    assert ids == [f"s{i}" for i in range(6)] and set(vectors) == {"mean", "max"}
    expected = embed_sequences(weights, sequences, ["mean", "max"], **COMPUTE)
    np.testing.assert_allclose(vectors["mean"], expected["mean"], atol=1e-5)
    assert facts["parameters"] == sum(p.numel() for p in weights.model.parameters())
    assert facts["cost"]["tokens"] > 0 and 0 < facts["cost"]["unique_fraction"] <= 1
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert str(schema.field("max").type).startswith("fixed_size_list<") and schema.field("max").type.list_size == 8
    before = (tmp_path / "out.parquet").read_bytes()
    assert main(words("embed", **flags, poolings="cls")) == 2 and (tmp_path / "out.parquet").read_bytes() == before


def test_foreign_embedding_files_are_sentences(tmp_path):
    path = tmp_path / "e.parquet"
    with pytest.raises(UserError, match="no such file"):
        read_embeddings(path, ["max"])
    write_embeddings(path, ["a"], {"max": np.ones((1, 3), np.float32)}, {})
    with pytest.raises(UserError, match="holds no 'mean'"):
        read_embeddings(path, ["mean"])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="not an embedding file"):
        read_embeddings(path, ["max"])


def test_embeddings_that_are_no_vectors_are_sentences(tmp_path):
    path = tmp_path / "e.parquet"
    facts = {"parameters": 1, "max_tokens": 8, "precision": "fp32", "cost": {"seconds": 1.0, "tokens": 9}}
    write_embeddings(path, ["a", "b"], {"max": np.ones((2, 3), np.float32)}, facts)
    table = pq.read_table(path)
    with pytest.raises(UserError, match="'id' holds no vectors"):
        read_embeddings(path, ["id"])
    write_embeddings(path, ["a", "a"], {"max": np.ones((2, 3), np.float32)}, facts)
    with pytest.raises(UserError, match="more than once"):
        read_embeddings(path, ["max"])
    for broken in (b"{", b"[]", b"{}"):
        pq.write_table(table.replace_schema_metadata({b"foundationless": broken}), path)
        with pytest.raises(UserError, match="how it was embedded"):
            read_embeddings(path, ["max"])
