"""Conformance: token ids of the published tokenizers (golden/tokenizers)."""

import json

import numpy as np
import pytest

from foundationless.batching import collate
from foundationless.models import load_tokenizer

SETS = {
    "hyenadna": "hyenadna",
    "caduceus_ps": "caduceus",
    "paper_char": "paper_char",
    "nt_500m": "nt_v1",
    "nt_v2": "nt_v2",
    "dnabert2": "dnabert2",
    "gena_lm": "gena_lm",
}


@pytest.fixture(params=SETS)
def published(request, shared):
    files = shared / "golden" / "tokenizers"
    tokenizer = load_tokenizer(SETS[request.param], files / "files" / request.param)
    return tokenizer, json.loads((files / "a" / f"{request.param}.json").read_text())


def test_ids(published):
    tokenizer, golden = published
    assert len(golden["cases"]) >= 20
    for case in golden["cases"]:
        sequence = case["sequence"]
        assert tokenizer.encode(sequence).tolist() == case["input_ids"], sequence[:60]
        assert tokenizer.encode(sequence, special=False).tolist() == case["input_ids_no_special"], sequence[:60]


def test_batch_and_special_tokens(published):
    tokenizer, golden = published
    batch = golden["batch"]
    rows = [tokenizer.encode(sequence) for sequence in batch["sequences"]]
    ids, mask = collate(rows, tokenizer.pad_id, tokenizer.padding_side)
    assert ids.tolist() == batch["input_ids"]
    assert mask.tolist() == batch["attention_mask"]
    assert tokenizer.padding_side == golden["padding_side"]
    special = golden["special"]
    assert tokenizer.pad_id == special["pad_token"][1]
    assert tokenizer.unknown_id == special["unk_token"][1]
    assert tokenizer.mask_id in (special["mask_token"][1], None)
    assert tokenizer.size <= golden["vocab_size"]


def test_spans_tile_the_sequence(published):
    tokenizer, _ = published
    sequence = "ACGTTGCANNACGTACGTACGGTCA" + "N" * 12 + "GATTACA"
    for special in (True, False):
        ids = tokenizer.encode(sequence, special)
        spans = tokenizer.spans(ids, special, sequence)
        ordinary = spans[spans[:, 0] >= 0]
        assert len(spans) == len(ids) and (special or len(ordinary) == len(ids))
        np.testing.assert_array_equal(ordinary[1:, 0], ordinary[:-1, 1])
        assert ordinary[0, 0] == 0 and ordinary[-1, 1] == len(sequence)
