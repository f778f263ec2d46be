"""Embeddings must depend on the sequence alone: not on padding, batch mates, budget or what else is in the set."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from foundationless.__main__ import main
from foundationless.embedding import (
    choose_device,
    cut_sequences,
    embed_sequences,
    pool,
    read_embeddings,
    site_tokens,
    write_embeddings,
)
from foundationless.errors import UserError
from foundationless.models import Weights, initialise, load_tokenizer, save_weights
from foundationless.sequences import write_sequences

COMPUTE = {"token_budget": 300, "device": "cpu", "precision": "fp32"}
CONFIGS = {
    "cnn": ("character", {"width": 8, "depth": 2, "kernel_size": 5, "vocab_size": 10, "max_tokens": 64}),
    "nt_v1": (
        "nt_v1",
        {
            "hidden_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "vocab_size": 4105,
            "max_position_embeddings": 42,
            "pad_token_id": 1,
            "mask_token_id": 2,
            "token_dropout": True,
        },
    ),
    "hyenadna": (
        "hyenadna",
        {
            "d_model": 8,
            "n_layer": 2,
            "d_inner": 16,
            "vocab_size": 12,
            "max_seq_len": 66,
            "emb_dim": 5,
            "filter_order": 8,
            "num_inner_mlps": 2,
            "pad_vocab_size_multiple": 8,
        },
    ),
}


def make_weights(family: str) -> Weights:
    tokenizer, config = CONFIGS[family]
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


def test_identical_sequences_and_chunks_run_once_and_give_the_same(weights):
    repeat = dna(120, 6)
    sequences = [repeat + dna(120, 7), repeat + dna(120, 8), repeat * 3, dna(30, 9), dna(30, 9)]
    limit = 20  # tokens; 120 nucleotides are whole chunks of both characters and 6-mers
    chunks = cut_sequences(weights, sequences, limit)
    k = weights.tokenizer.k
    if k == 1:
        assert len(chunks.inputs) == 6 + 6 + 6 + 2
    assert chunks.tokens == sum(len(weights.tokenizer.encode(s, special=False)) for s in sequences) + (
        0 if k == 1 else 2  # the two that fit carry one special token each
    )
    assert chunks.unique_fraction < 0.8
    together = embed_sequences(weights, sequences, ["max", "mean"], max_tokens=limit, **COMPUTE)
    for index, sequence in enumerate(sequences):
        single = embed_sequences(weights, [sequence], ["max", "mean"], max_tokens=limit, **COMPUTE)
        for pooling in single:
            np.testing.assert_allclose(together[pooling][index], single[pooling][0], atol=1e-5)


def test_what_fits_only_without_special_tokens_is_one_chunk_and_merges_with_its_equal():
    sequence = dna(100, 1)
    chunks = cut_sequences(make_weights("cnn"), [sequence, sequence[:64], sequence[:62]], 64)
    assert chunks.parts.tolist() == [2, 1, 1]
    assert chunks.special == [False, False, True] and chunks.owners[0] == {0: 1, 1: 1}


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
    for pooling in expected:
        np.testing.assert_allclose(found[pooling], expected[pooling], atol=1e-6)
    assert "--token-budget" in capsys.readouterr().err
    monkeypatch.setattr(type(weights.model), "encode", lambda *_: small(None, torch.zeros(200)))
    with pytest.raises(UserError, match="does not fit"):
        embed_sequences(weights, sequences[:1], ["max"], **COMPUTE)


def test_command_writes_what_the_reader_reads(tmp_path):
    weights = make_weights("cnn")
    save_weights(tmp_path / "weights", weights.model, weights.card)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(6)], "sequence": [dna(30 + 40 * i, i % 4) for i in range(6)]})
    write_sequences(tmp_path / "set.parquet", frame.assign(label="a", split="test", group="g"))
    command = ["embed", "--weights", str(tmp_path / "weights"), "--sequences", str(tmp_path / "set.parquet")]
    command += ["--output", str(tmp_path / "out.parquet"), "--poolings", "max", "mean"]
    assert main(command) == 0
    ids, vectors, facts = read_embeddings(tmp_path / "out.parquet", ["mean", "max"])
    assert ids == frame["id"].tolist() and set(vectors) == {"mean", "max"}
    expected = embed_sequences(weights, frame["sequence"].tolist(), ["mean", "max"], **COMPUTE)
    np.testing.assert_allclose(vectors["mean"], expected["mean"], atol=1e-5)
    assert facts["parameters"] == sum(p.numel() for p in weights.model.parameters())
    assert facts["cost"]["tokens"] > 0 and 0 < facts["cost"]["unique_fraction"] <= 1
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert str(schema.field("max").type).startswith("fixed_size_list<") and schema.field("max").type.list_size == 8
    before = (tmp_path / "out.parquet").read_bytes()
    bad = [*command[:-2], "site"]
    assert main([*bad[:-1], "cls"]) == 2 and (tmp_path / "out.parquet").read_bytes() == before


def test_foreign_embedding_files_are_sentences(tmp_path):
    path = tmp_path / "e.parquet"
    with pytest.raises(UserError, match="no such file"):
        read_embeddings(path, ["max"])
    write_embeddings(path, ["a"], {"max": np.ones((1, 3), np.float32)}, json.loads("{}"))
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
