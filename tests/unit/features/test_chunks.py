"""Long sequences in chunks: what a chunk is, what is pooled, and memory that does not grow with the length."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.features.embedding import cut_sequences, embed_chunks, embed_sequences
from foundationless.features.embedding_checkpoint import Shards
from foundationless.features.embedding_files import of_vectors, read_embeddings
from foundationless.models import inference
from foundationless.models.batching import cut_in_chunks, with_letters
from foundationless.models.bpe_training import train_pieces
from foundationless.models.pooling import special_mask
from foundationless.models.tokenizers import PIECES, PUBLISHED, TOKENIZERS, load_tokenizer
from foundationless.models.weights import Weights, initialise, save_weights
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import words
from support.networks import CARD, TINY

COMPUTE = {"token_budget": 300, "device": "cpu", "precision": "fp32"}
OFFLINE = [name for name in TOKENIZERS if name not in (*PIECES, PUBLISHED)]
TINIEST = {"width": 8, "depth": 2, "kernel_size": 5, "vocab_size": 10, "max_tokens": 64}
FAMILIES = {
    "cnn": ("character", TINIEST),
    "nt_v1": ("nt_v1", TINY["nt_v1"] | {"hidden_size": 8, "num_attention_heads": 2, "max_position_embeddings": 42}),
    "hyenadna": ("hyenadna", TINY["hyenadna"] | {"d_model": 8, "d_inner": 16}),
    "caduceus_ph": ("caduceus", TINY["caduceus_ph"] | {"initializer_cfg": {"initializer_range": 1.0}}),
}


def dna(length: int, seed: int, letters: str = "ACGT") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def make_weights(family: str, **changes: object) -> Weights:
    tokenizer, config = FAMILIES[family]
    card = CARD | {"family": family, "tokenizer": tokenizer, "parameters": 1}
    return Weights(initialise(family, config | changes, 1), load_tokenizer(tokenizer), card)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pieces")
    (directory / "tokenizer.json").write_text(train_pieces("dnabert2", [dna(100, seed) for seed in range(100)], 200))
    return load_tokenizer("dnabert2", directory)


@pytest.mark.parametrize("name", [*OFFLINE, "dnabert2"])
@pytest.mark.parametrize("letters", ["ACGT", "ACGTACGTACGTN"])
def test_a_chunk_is_what_the_tokenizer_makes_of_the_letters_of_the_chunk(name, letters, pieces):
    tokenizer = pieces if name == "dnabert2" else load_tokenizer(name)
    for length in (300, 301, 307, 1000):
        sequence = dna(length, length, letters)
        whole = tokenizer.encode(sequence)
        spans = tokenizer.spans(whole, sequence=sequence)
        around = int((spans[:, 0] < 0).sum())
        chunks = cut_in_chunks(tokenizer, sequence, 23)
        assert len(chunks) > 1 and max(map(len, chunks)) <= 23
        sizes = [len(chunk) - around for chunk in chunks]
        assert max(sizes) - min(sizes) <= 1
        assert sum(sizes) == len(whole) - around
        inside, at = spans[spans[:, 0] >= 0], 0
        for chunk, size in zip(chunks, sizes, strict=True):
            own = sequence[inside[at, 0] : inside[at + size - 1, 1]]
            assert tokenizer.encode(own).tolist() == chunk.tolist(), own
            at += size
        assert [ids.tolist() for ids in cut_in_chunks(tokenizer, sequence, len(whole))] == [whole.tolist()]


def test_chunks_without_a_letter_are_left_out_unless_all_are():
    for name in ("hyenadna", "nt_v1", "dnabert_6", "character"):
        tokenizer = load_tokenizer(name)
        mixed = dna(600, 1) + "N" * 900 + dna(400, 2)
        chunks = cut_in_chunks(tokenizer, mixed, 32)
        kept = with_letters(tokenizer, chunks)
        said = [(~np.isin(ids, [*tokenizer.unknown_ids, *tokenizer.special_ids])).any() for ids in chunks]
        assert not all(said)
        assert [ids.tolist() for ids in kept] == [c.tolist() for c, spoken in zip(chunks, said, strict=True) if spoken]
        nothing = cut_in_chunks(tokenizer, "N" * 900, 32)
        assert len(nothing) > 1 and with_letters(tokenizer, nothing) == nothing
    with pytest.raises(UserError, match="a chunk of 2 tokens holds nothing beside 2 special ones"):
        cut_in_chunks(load_tokenizer("character"), "ACGT", 2)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("budget", [1, 130])
def test_chunks_are_pooled_as_one_input(family, budget):
    """Worked by hand, each chunk by itself; among chunks of other sequences, repeats, and N."""
    weights, limit = make_weights(family), 20
    sequences = [dna(400, 1), dna(30, 2), dna(57, 3) + "N" * 99 + dna(57, 3), "N" * 50, dna(400, 1), dna(201, 4)]
    compute = COMPUTE | {"token_budget": budget}
    found = embed_sequences(weights, sequences, ["mean", "max"], max_tokens=limit, chunks="mean", layers=[0], **compute)
    for place, sequence in enumerate(sequences):
        for layer, state in (("", -1), ("_layer0", 0)):
            states = []
            for ids in with_letters(weights.tokenizer, cut_in_chunks(weights.tokenizer, sequence, limit)):
                with torch.inference_mode():
                    hidden = weights.model.represent_every(torch.from_numpy(ids)[None])[state][0]
                states.append(hidden[~special_mask(weights.tokenizer, ids)])
            together = torch.cat(states).numpy()
            np.testing.assert_allclose(found[f"mean{layer}"][place], together.mean(0), atol=1e-5)
            np.testing.assert_allclose(found[f"max{layer}"][place], together.max(0), atol=1e-5)


def test_a_model_without_context_reads_chunks_as_it_reads_the_whole():
    small, large = (make_weights("cnn", kernel_size=1, max_tokens=most) for most in (64, 5000))
    sequences = [dna(2000, 1, "AC") + dna(2000, 1, "GT"), dna(100, 2), dna(63, 3), dna(62, 4)]
    poolings = ["mean", "max"]
    one = embed_sequences(small, sequences, poolings, chunks="mean", **COMPUTE)
    other = embed_sequences(large, sequences, poolings, **COMPUTE)
    usual = embed_sequences(small, sequences, poolings, **COMPUTE)
    for pooling in poolings:
        np.testing.assert_allclose(one[pooling], other[pooling], atol=1e-5)
    # The mean over pieces counts the last one, which is shorter, as much as the others.
    assert np.abs(usual["mean"][1] - other["mean"][1]).max() > 1e-3
    assert np.abs(usual["max"][0] - other["max"][0]).max() > 1e-3


def test_what_fits_is_read_as_without_chunks():
    for family in FAMILIES:
        weights = make_weights(family)
        sequences = [dna(length, length) for length in (10, 25, 17, 25)]
        one, other = (
            embed_sequences(weights, sequences, ["mean", "max"], chunks=c, **COMPUTE) for c in ("none", "mean")
        )
        for pooling in one:
            np.testing.assert_array_equal(one[pooling], other[pooling])


def test_batches_and_memory_do_not_grow_with_the_length(monkeypatch):
    monkeypatch.setattr(inference, "CACHED", 10**9)
    weights = make_weights("cnn", width=16)
    seen, whole = [], type(weights.model).encode

    def encode(model, ids, mask=None):
        seen.append(ids.numel())
        return whole(model, ids, mask)

    monkeypatch.setattr(type(weights.model), "encode", encode)
    peaks = []
    for length in (4000, 40_000):
        sequences = [dna(length, seed) for seed in range(3)]
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as trace:
            embed_sequences(weights, sequences, ["max", "mean"], chunks="mean", **COMPUTE | {"token_budget": 2048})
        changes = [event.nbytes() for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
        peaks.append(float(np.cumsum(changes).max()))
    assert max(seen) <= 2048
    assert peaks[1] < 1.03 * peaks[0], peaks


def test_an_interrupted_embedding_of_chunks_goes_on_to_the_same_numbers(tmp_path):
    weights = make_weights("cnn")
    sequences = [dna(500, seed) for seed in range(6)]
    chunks = cut_sequences(weights, sequences, chunks="mean")
    expected = embed_chunks(weights, chunks, ["max", "mean"], **COMPUTE)

    class Stopped(Exception):
        pass

    class Short(Shards):
        def after(self, done, terminated):
            super().after(done, terminated)
            if done > len(chunks.inputs) // 2:
                raise Stopped

    with pytest.raises(Stopped), Short(tmp_path / "out.parquet", 0.0) as shards:
        embed_chunks(weights, chunks, ["max", "mean"], shards=shards, **COMPUTE)
    calls = []
    with Shards(tmp_path / "out.parquet", 0.0) as shards:
        shards.touch, touch = lambda members: (calls.append(members), touch(members)), shards.touch
        found = embed_chunks(weights, chunks, ["max", "mean"], shards=shards, **COMPUTE)
    assert sum(map(len, calls)) < 0.6 * len(chunks.inputs)
    for pooling in expected:
        np.testing.assert_array_equal(found[pooling], expected[pooling])


def test_command_says_what_it_read(tmp_path, capsys):
    import pandas as pd

    weights = make_weights("cnn")
    save_weights(tmp_path / "weights", weights.model, weights.card)
    frame = pd.DataFrame({"id": ["a", "b"], "sequence": [dna(300, 1), dna(20, 2)]})
    write_sequences(tmp_path / "set.parquet", frame.assign(label="x", split="test", group="g"))
    flags = {"weights": tmp_path / "weights", "sequences": tmp_path / "set.parquet", "output": tmp_path / "out.parquet"}
    assert main(words("embed", **flags, poolings="mean", chunks="mean")) == 0
    _, vectors, facts = read_embeddings(tmp_path / "out.parquet", ["mean"])
    assert facts["chunks"] == "mean" and of_vectors(facts) == {"chunks": "mean"}
    expected = embed_sequences(weights, frame["sequence"].tolist(), ["mean"], chunks="mean", **COMPUTE)
    np.testing.assert_allclose(vectors["mean"], expected["mean"], atol=1e-5)
    assert main(words("embed", **flags, poolings="mean")) == 0
    _, usual, facts = read_embeddings(tmp_path / "out.parquet", ["mean"])
    assert "chunks" not in facts and of_vectors(facts) == {}
    assert np.abs(usual["mean"][0] - vectors["mean"][0]).max() > 1e-6
    capsys.readouterr()
    assert main(words("embed", **flags, poolings="mean", chunks="attention")) == 2
    assert "its query is learned, and nothing is learned in a frozen embedding" in capsys.readouterr().err


def test_refusals_are_sentences():
    weights = make_weights("cnn")
    for pooling in ("cls", "site"):
        with pytest.raises(UserError, match="sequence 1 exceeds the model's maximum"):
            embed_sequences(weights, [dna(100, 1)], [pooling], chunks="mean", sites=[[1]], **COMPUTE)
    weights.model.reading = "as_in_paper"
    with pytest.raises(UserError, match="read as in the paper"):
        embed_sequences(replace(weights), [dna(100, 1)], ["mean"], chunks="mean", **COMPUTE)
