"""Conformance: token ids of the published tokenizers (golden/tokenizers), and of transformers' own where they load."""

import itertools
import json

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.models.batching import collate
from foundationless.models.bpe_training import train_pieces
from foundationless.models.tokenizers import PIECES, load_tokenizer

SETS = {name: name for name in ("hyenadna", "paper_char", "nt_v2", "dnabert2", "gena_lm")}
SETS |= {"caduceus_ps": "caduceus", "nt_500m": "nt_v1"}


@pytest.fixture(scope="session")
def published_files(shared):
    """Directory of the published tokenizer files, which are others' and not committed here."""
    return shared / "golden" / "tokenizers" / "files"


@pytest.fixture(params=SETS)
def published(request, golden):
    files = golden / "tokenizers"
    tokenizer = load_tokenizer(SETS[request.param], files / "files" / request.param)
    return tokenizer, json.loads((files / "a" / f"{request.param}.json").read_text())


def test_ids(published):
    tokenizer, official = published
    assert len(official["cases"]) >= 20
    for case in official["cases"]:
        sequence = case["sequence"]
        assert tokenizer.encode(sequence).tolist() == case["input_ids"], sequence[:60]
        assert tokenizer.encode(sequence, special=False).tolist() == case["input_ids_no_special"], sequence[:60]


def test_batch_and_special_tokens(published):
    tokenizer, official = published
    batch = official["batch"]
    rows = [tokenizer.encode(sequence) for sequence in batch["sequences"]]
    ids, mask = collate(rows, tokenizer.pad_id, tokenizer.padding_side)
    assert ids.tolist() == batch["input_ids"]
    assert mask.tolist() == batch["attention_mask"]
    assert tokenizer.padding_side == official["padding_side"]
    special = official["special"]
    assert tokenizer.pad_id == special["pad_token"][1]
    assert tokenizer.unknown_id == special["unk_token"][1]
    assert tokenizer.mask_id in (special["mask_token"][1], None)
    assert tokenizer.size <= official["vocab_size"]


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


# ---- the stated rule for other letters than A, C, G, T (the table in `models.tokenizers`)

CELLS = {
    "lower case": "acgtACGTGAacgtn",
    "N": "ACGTNACGNNGTTGCATGC",
    "a run of N": "ACG" + "N" * 12 + "TT",
    "nothing but N": "N" * 11,
    "IUPAC letters": "ACRACGTTGCKAARYSWKMBDHV",
    "U": "ACGUACGUU",
    "gaps": "ACG-TTGCAC--GT",
    "dots": "ACG.TTGCAC..GT",
    "white space": " ACG TTG\tCA\nACGTTGCA ",
    "nothing but white space": "  ",
    "empty": "",
}


@pytest.fixture(params=["nt_500m", "nt_v2", "dnabert2", "gena_lm"])
def official(request, golden):
    """(ours, the tokenizer as transformers makes it from the published files)."""
    from transformers import EsmTokenizer, PreTrainedTokenizerFast

    if request.param in PIECES:
        request.getfixturevalue("published_files")
    files = golden / "tokenizers" / "files" / request.param
    if request.param.startswith("nt"):
        theirs = EsmTokenizer(vocab_file=str(files / "vocab.txt"), eos_token=None)
    else:
        theirs = PreTrainedTokenizerFast(tokenizer_file=str(files / "tokenizer.json"))
    return load_tokenizer(SETS[request.param], files), theirs


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_as_transformers_has_it(official, cell):
    ours, theirs = official
    for sequence in (CELLS[cell], CELLS[cell] * 3, "ACGTTGA" + CELLS[cell]):
        assert ours.encode(sequence).tolist() == theirs(sequence)["input_ids"]
        without = theirs(sequence, add_special_tokens=False)["input_ids"]
        assert ours.encode(sequence, special=False).tolist() == without


def test_random_sequences_as_transformers_has_them(official):
    ours, theirs = official
    rng = np.random.default_rng(6)
    for letters in ("ACGT", "ACGTN", "ACGTNacgtRYK-. U\n", "NA", "N"):
        for length in (1, 5, 6, 7, 11, 12, 13, 300):
            sequence = "".join(rng.choice(list(letters), length))
            assert ours.encode(sequence).tolist() == theirs(sequence)["input_ids"], sequence


@pytest.mark.parametrize("name", PIECES)
def test_letters_of_the_piece_tokenizers(name, golden):
    """Those cells of the table that a byte-pair tokenizer decides letter by letter."""
    ours = load_tokenizer(name, golden / "tokenizers" / "files" / name)
    letters = "ACGTNacgtnRYSWKMBDHVU-."
    known = {"dnabert2": {"A": 5, "C": 6, "G": 7, "T": 8}, "gena_lm": {
        "-": 5, "A": 6, "B": 7, "C": 8, "G": 9, "K": 10, "M": 11, "N": 12, "R": 13, "S": 14, "T": 15, "W": 16, "Y": 17,
    }}[ours.name]  # fmt: skip
    for letter in letters:
        assert ours.encode(letter).tolist() == [1, known.get(letter, 0), 2], letter
    unknown = [letter for letter in letters if letter not in known]
    assert (ours.encode("".join(unknown), special=False) == 0).sum() == len(unknown), "one each, none fused"


@pytest.fixture(params=PIECES)
def pair(request, published_files, golden):
    """(name, a tokenizer.json trained here, the published one, its golden cases)."""
    rng = np.random.default_rng(7)
    trained = train_pieces(request.param, ("".join(rng.choice(list("ACGTN"), 500)) for _ in range(20)), 64)
    published = json.loads((published_files / request.param / "tokenizer.json").read_text())
    cases = json.loads((golden / "tokenizers/a" / f"{request.param}.json").read_text())["cases"]
    return request.param, json.loads(trained), published, cases


def test_all_but_the_vocabulary_is_the_published_file(pair):
    name, trained, published, _ = pair
    assert trained | {"model": None} == published | {"model": None}
    fixed = [token for tokens in PIECES[name] for token in tokens]
    for file in (trained, published):
        vocabulary = file["model"].pop("vocab")
        assert sorted(vocabulary, key=vocabulary.get)[: len(fixed)] == fixed
        assert len(file["model"].pop("merges")) <= len(vocabulary) - len(fixed)
    later = {"byte_fallback": False, "ignore_merges": False}  # written by newer versions of the library, both off
    assert trained["model"] == published["model"] | later


def test_with_the_published_vocabulary_it_gives_the_published_ids(pair, tmp_path):
    name, trained, published, cases = pair
    trained["model"] |= {key: published["model"][key] for key in ("vocab", "merges")}
    (tmp_path / "tokenizer.json").write_text(json.dumps(trained))
    tokenizer = load_tokenizer(name, tmp_path)
    for case in cases:
        assert tokenizer.encode(case["sequence"]).tolist() == case["input_ids"], case["sequence"][:60]


def test_the_file_of_another_tokenizer_is_refused(golden):
    files = golden / "tokenizers" / "files"
    for name, other in itertools.permutations(PIECES):
        with pytest.raises(UserError, match=f"not a tokenizer of {name}"):
            load_tokenizer(name, files / other)


def test_runs_of_unknown_letters_say_no_letter(published_files):
    """GENA-LM has pieces of N alone; a model that is asked for them learns where the assembly has gaps."""
    for name in PIECES:
        tokenizer = load_tokenizer(name, published_files / name)
        pieces = set(tokenizer.encode("N" * 30, special=False)) | set(tokenizer.encode("ANNT", special=False)[1:-1])
        assert pieces <= tokenizer.unknown_ids and not tokenizer.unknown_ids & set(tokenizer.encode("GATTACA"))
