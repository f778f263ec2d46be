"""Tokenizers: properties, and a plain loop over bases as oracle of the vectorised 6-mers."""

import itertools

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.models import load_tokenizer
from foundationless.models.tokenizers import PIECES, TOKENIZERS

OFFLINE = [name for name in TOKENIZERS if name not in PIECES]


def naive_kmers(sequence: str, first: int) -> list[int]:
    """Greedy from the left: a 6-mer where one fits, else one letter; a foreign stretch is one unknown token."""
    vocabulary = {"".join(k): first + i for i, k in enumerate(itertools.product("ATCG", repeat=6))}
    vocabulary |= {letter: first + 4096 + i for i, letter in enumerate("ATCGN")}
    ids, at, foreign = [], 0, False
    while at < len(sequence):
        piece = next((sequence[at : at + n] for n in (6, 1) if sequence[at : at + n] in vocabulary), None)
        if piece is None:
            if sequence[at].isspace():
                foreign = False
            elif not foreign:
                ids.append(0)
                foreign = True
            at += 1
            continue
        ids.append(vocabulary[piece])
        at, foreign = at + len(piece), False
    return ids


@pytest.mark.parametrize(("name", "first"), [("nt_v1", 4), ("nt_v2", 6)])
def test_kmers_against_a_loop(name, first):
    tokenizer, rng = load_tokenizer(name), np.random.default_rng(3)
    for letters, p in [("ACGT", None), ("ACGTN", [0.24, 0.24, 0.24, 0.24, 0.04]), ("ACGTNacR ", None)]:
        for length in [*range(20), 97, 600]:
            sequence = "".join(rng.choice(list(letters), length, p=p))
            assert tokenizer.encode(sequence, special=False).tolist() == naive_kmers(sequence, first), sequence


@pytest.mark.parametrize("name", OFFLINE)
def test_ids_fit_the_table_and_spans_are_exact(name):
    tokenizer, rng = load_tokenizer(name), np.random.default_rng(5)
    sequence = "".join(rng.choice(list("ACGTN"), 500, p=[0.24, 0.24, 0.24, 0.24, 0.04]))
    ids = tokenizer.encode(sequence)
    assert ids.dtype == np.int64 and ids.min() >= 0 and ids.max() < tokenizer.size
    spans = tokenizer.spans(ids)
    widths = spans[spans[:, 0] >= 0] @ [-1, 1]
    assert set(widths.tolist()) <= {1, tokenizer.k} and widths.sum() == len(sequence)
    for index, (start, stop) in zip(ids.tolist(), spans.tolist(), strict=True):
        assert (start == -1) == (index in tokenizer.special_ids)
        if stop - start == 1:
            assert tokenizer.base_ids[sequence[start]] == index
    np.testing.assert_array_equal(tokenizer.spans(np.append(ids, tokenizer.pad_id))[-1], [-1, -1])


def test_character_tokenizer_can_mask():
    tokenizer = load_tokenizer("character")
    assert tokenizer.mask_id in tokenizer.special_ids and tokenizer.mask_id < tokenizer.size
    np.testing.assert_array_equal(tokenizer.encode("acgtn"), tokenizer.encode("ACGTN"))
    assert tokenizer.encode("AX", special=False)[1] == tokenizer.unknown_id


def test_wrong_names_and_files(tmp_path):
    with pytest.raises(UserError, match=r"no tokenizer 'klingon'.*hyenadna"):
        load_tokenizer("klingon")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        load_tokenizer("dnabert2", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="not a readable"):
        load_tokenizer("gena_lm", tmp_path)
    with pytest.raises(UserError, match="letters other than"):
        load_tokenizer("nt_v1").spans(np.array([3, 0, 10]))
