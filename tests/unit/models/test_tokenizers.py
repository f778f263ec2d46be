"""Tokenizers: the stated rules, plain loops as oracles of the look-ups, trained pieces, and the strict alphabet."""

import hashlib
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.features.embedding import embed_sequences
from foundationless.models.bpe_training import train_pieces
from foundationless.models.pooling import site_tokens
from foundationless.models.tokenizers import PIECES, PUBLISHED, TOKENIZERS, load_tokenizer
from foundationless.models.weights import Weights, initialise, load_weights, retokenized, save_weights
from foundationless.scoring import score_likelihood
from foundationless.tasks.sequence_sets import read_sequences, write_sequences
from support.hub import REVISION, run_commands, serving
from support.networks import CARD, TINY

OFFLINE = [name for name in TOKENIZERS if name not in (*PIECES, PUBLISHED)]
OVERLAPPING = [name for name in OFFLINE if name.startswith(("dnabert_", "prokbert_"))]
HYENA = TINY["hyenadna"] | {"pad_token_id": 4}


def draw(rng: np.random.Generator, letters: str, length: int, p=None) -> str:
    return "".join(rng.choice(list(letters), length, p=p))


def naive_kmers(sequence: str, first: int) -> list[tuple[int, int, int]]:
    """(Id, start, end), greedy from the left: a 6-mer where one fits, else a letter; one unknown a foreign stretch."""
    vocabulary = {"".join(k): first + i for i, k in enumerate(itertools.product("ATCG", repeat=6))}
    vocabulary |= {letter: first + 4096 + i for i, letter in enumerate("ATCGN")}
    tokens, at, foreign = [], 0, False
    while at < len(sequence):
        piece = next((sequence[at : at + n] for n in (6, 1) if sequence[at : at + n] in vocabulary), None)
        if piece is not None:
            tokens.append((vocabulary[piece], at, at + len(piece)))
            at, foreign = at + len(piece), False
            continue
        if sequence[at].isspace():
            foreign = False
        elif foreign:
            tokens[-1] = (0, tokens[-1][1], at + 1)
        else:
            tokens.append((0, at, at + 1))
            foreign = True
        at += 1
    return tokens


@pytest.mark.parametrize(("name", "first"), [("nt_v1", 4), ("nt_v2", 6)])
def test_kmers_against_a_loop(name, first):
    tokenizer, rng = load_tokenizer(name), np.random.default_rng(3)
    for letters, p in [
        ("ACGT", None),
        ("ACGTN", [0.24, 0.24, 0.24, 0.24, 0.04]),
        ("ACGTNacR -\n", None),
        ("ACGTNé", [0.2, 0.2, 0.2, 0.2, 0.1, 0.1]),
        ("Nn", None),
    ]:
        for length in [*range(20), 97, 600]:
            sequence = draw(rng, letters, length, p)
            expected = naive_kmers(sequence, first)
            ids = tokenizer.encode(sequence, special=False)
            assert ids.dtype == np.int64 and ids.tolist() == [index for index, _, _ in expected], sequence
            assert tokenizer.encode(sequence).tolist() == [3, *ids.tolist()]
            spans = tokenizer.spans(ids, special=False, sequence=sequence)
            assert spans.tolist() == [[start, end] for _, start, end in expected], sequence


@pytest.mark.parametrize("name", OFFLINE)
def test_ids_fit_the_table_and_spans_are_exact(name):
    tokenizer, rng = load_tokenizer(name), np.random.default_rng(5)
    sequence = draw(rng, "ACGTN", 500, [0.24, 0.24, 0.24, 0.24, 0.04])
    ids = tokenizer.encode(sequence)
    assert ids.dtype == np.int64 and ids.min() >= 0 and ids.max() < tokenizer.size
    spans = tokenizer.spans(ids, sequence=sequence)
    widths = spans[spans[:, 0] >= 0] @ [-1, 1]
    if name == "generator":
        assert widths.tolist() == [6] * 83 + [2]
    elif name in OVERLAPPING:
        step = 2 if name == "prokbert_k6s2" else 1
        assert set(widths.tolist()) == {tokenizer.k} and len(widths) == (500 - tokenizer.k) // step + 1
        assert (np.diff(spans[1:-1, 0]) == step).all()
    else:
        assert set(widths.tolist()) <= {1, tokenizer.k} and widths.sum() == len(sequence)
    for index, (start, stop) in zip(ids.tolist(), spans.tolist(), strict=True):
        assert (start == -1) == (index in tokenizer.special_ids)
        if stop - start == 1:
            assert tokenizer.base_ids[sequence[start]] == index
    padded = tokenizer.spans(np.append(ids, tokenizer.pad_id), sequence=sequence)
    np.testing.assert_array_equal(padded, [*spans, (-1, -1)])
    np.testing.assert_array_equal(tokenizer.spans(ids[:50], sequence=sequence), spans[:50])
    for base in range(0, 500, 37):
        places = site_tokens(tokenizer, sequence, ids, [base])
        assert len(places) == 1 or name in OVERLAPPING
        assert places.tolist() == [at for at, (start, stop) in enumerate(spans.tolist()) if start <= base < stop]


# Ids without the special tokens of a sequence of each kind; "empty" with them. The table in the module says the same.
RULES = {
    "hyenadna": {"ACGT": [7, 8, 9, 10], "acgtn": [6] * 5, "ANNT": [7, 11, 11, 10], "ARYSWKMBDHVT": [7, *[6] * 10, 10],
                 "AUT": [7, 6, 10], "A-T": [7, 6, 10], "A.T": [7, 6, 10], " A T\n": [6, 7, 6, 10, 6], "": [1]},
    "caduceus": {"ACGT": [7, 8, 9, 10], "acgtn": [7, 8, 9, 10, 11], "ANNT": [7, 11, 11, 10],
                 "ARYSWKMBDHVT": [7, *[6] * 10, 10], "AUT": [7, 6, 10], "A-T": [7, 6, 10], "A.T": [7, 6, 10],
                 " A T\n": [6, 7, 6, 10, 6], "": [1]},
    "paper_char": {"ACGT": [2, 5, 4, 3], "acgtn": [8] * 5, "ANNT": [2, 1, 1, 3],
                   "ARYSWKMBDHVT": [2, 8, 8, 8, 8, 8, 8, 8, 0, 8, 8, 3], "AUT": [2, 8, 3], "A-T": [2, 8, 3],
                   "A.T": [2, 8, 3], " A T\n": [8, 2, 8, 3, 8], "": [6, 7]},
    "character": {"ACGT": [5, 6, 7, 8], "acgtn": [5, 6, 7, 8, 9], "ANNT": [5, 9, 9, 8],
                  "ARYSWKMBDHVT": [5, *[1] * 10, 8], "AUT": [5, 1, 8], "A-T": [5, 1, 8], "A.T": [5, 1, 8],
                  " A T\n": [1, 5, 1, 8, 1], "": [2, 3]},
    "nt_v1": {"ACGTACG": [726, 4103], "acgtn": [0], "ANNT": [4100, 4104, 4104, 4101], "ARYSWKMBDHVT": [4100, 0, 4101],
              "AUT": [4100, 0, 4101], "A-T": [4100, 0, 4101], "A.-T": [4100, 0, 4101],
              " A T\n": [4100, 4101], "a c": [0, 0], "": [3]},
    "nt_v2": {"ACGTACG": [728, 4105], "acgtn": [0], "ANNT": [4102, 4106, 4106, 4103], "ARYSWKMBDHVT": [4102, 0, 4103],
              "AUT": [4102, 0, 4103], "A-T": [4102, 0, 4103], "A.-T": [4102, 0, 4103],
              " A T\n": [4102, 4103], "a c": [0, 0], "": [3]},
    "dnabert_3": {"ACGTT": [5 + 11, 5 + 45, 5 + 53], "acgtn": [1] * 3, "ANNT": [1, 1], "AC": [], "": [2, 3]},
    "dnabert_4": {"AAAAC": [5, 7], "NAAAA": [1, 5], "aaaa": [1], "": [2, 3]},
    "dnabert_5": {"AAAAAT": [5, 6], "GGGGG": [5 + 1023], "": [2, 3]},
    "dnabert_6": {"AAAAAAT": [5, 6], "GGGGGG": [4100], "GGGGG": [], "AAA-AAA": [1, 1], "": [2, 3]},
    "prokbert_k1s1": {"ACGTN": [5, 6, 7, 8, 1], "acgt": [1] * 4, "": [2, 3]},
    "prokbert_k6s1": {"AAAAAACC": [5, 6, 5 + 5], "AAAAAN": [1], "": [2, 3]},
    "prokbert_k6s2": {"AAAAAATA": [5, 5 + 12], "AAAAAATAC": [5, 17], "": [2, 3]},
    "generator": {"AAAAAATTTTTTGG": [32, 1397, 0], "ACGTNACGTNACGTN": [0, 0, 0], "acg": [0] * 3,
                  "AC-AAAAAAG": [0, 0, 32, 0], "AAAAAANNNNNNAAAAAA": [32, 0, 32], "": [1]},
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_every_cell_of_the_stated_rule(name):
    tokenizer = load_tokenizer(name)
    assert set(RULES) == set(OFFLINE)
    assert name != "character" or tokenizer.size > tokenizer.mask_id in tokenizer.special_ids, "it can mask"
    for sequence, ids in RULES[name].items():
        assert tokenizer.encode(sequence, special=not sequence).tolist() == ids, repr(sequence)
    assert tokenizer.encode("", special=False).tolist() == [] == tokenizer.spans(np.zeros(0, dtype=np.int64)).tolist()


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


@pytest.mark.parametrize("name", ["nt_v1", "nt_v2"])
def test_kmers_in_front_of_a_causal_model(name, tmp_path):
    """The tokenizer ablation: 6-mers on HyenaDNA, through weights, pooling of sites and likelihoods."""
    tokenizer, rng = load_tokenizer(name), np.random.default_rng(8)
    model = initialise("hyenadna", retokenized("hyenadna", HYENA, tokenizer), 0)
    assert tokenizer.size <= model.vocabulary_size < tokenizer.size + 8 and model.config["pad_token_id"] == 1
    save_weights(tmp_path / "w", model, CARD | {"tokenizer": name})
    weights = load_weights(tmp_path / "w")
    sequences = [draw(rng, "ACGT", n) for n in (120, 61, 7)]
    compute = {"token_budget": 64, "device": "cpu", "precision": "fp32"}
    found = embed_sequences(weights, sequences, ["mean", "cls", "site"], sites=[[20], [60], [0]], **compute)
    for row, (sequence, site) in enumerate(zip(sequences, (20, 60, 0), strict=True)):
        with torch.no_grad():
            hidden = model.encode(torch.from_numpy(tokenizer.encode(sequence))[None])[0].numpy()
        # No [SEP] closes a sequence: the last token, which has seen all others, is one of nucleotides.
        np.testing.assert_allclose(found["cls"][row], hidden[-1], atol=1e-5)
        np.testing.assert_allclose(found["mean"][row], hidden[1:].mean(0), atol=1e-5)
        whole = len(sequence) // 6 * 6
        token = 1 + (site // 6 if site < whole else whole // 6 + site - whole)
        np.testing.assert_allclose(found["site"][row], hidden[token], atol=1e-5)
    ref = sequences[0][50]
    frame = pd.DataFrame({"id": ["v"], "sequence": sequences[:1], "label": "benign", "split": "test", "group": "g"})
    frame = frame.assign(offset=50, ref=ref, alt=next(base for base in "ACGT" if base != ref))
    _, rows = score_likelihood(weights, frame, compute, False)
    assert np.isfinite(rows["llr"]).all() and (rows["llr"] != 0).all()


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("genome") / "g.fa", np.random.default_rng(2)
    text = "".join(f">{name}\n{draw(rng, 'ACGT', 20_000)}{'N' * 40}{draw(rng, 'ACGT', 20_000)}\n" for name in "ab")
    path.write_text(text)
    return path


def train(genome, output, *flags):
    flags = ("--genome", genome, "--size", 200, "--windows", 60, "--seed", 5, "--output", output, *flags)
    return main(["train_tokenizer", *map(str, flags)])


@pytest.mark.parametrize("name", PIECES)
def test_trained_pieces(name, genome, tmp_path):
    for place, flags in {"a": (), "b": (), "other": ("--seed", 6), "less": ("--exclude", "a")}.items():
        assert train(genome, tmp_path / place / "tokenizer.json", "--tokenizer", name, *flags) == 0
    texts = {place: (tmp_path / place / "tokenizer.json").read_text() for place in ("a", "b", "other", "less")}
    assert texts["a"] == texts["b"] and len(set(texts.values())) == 3
    tokenizer, rng = load_tokenizer(name, tmp_path / "a"), np.random.default_rng(1)
    assert tokenizer.size == 200
    sequence = draw(rng, "ACGT", 700)
    ids = tokenizer.encode(sequence)
    assert ids[0] == tokenizer.cls_id == 1 and ids[-1] == tokenizer.sep_id == 2 and len(ids) < 350
    pieces = {index: piece for piece, index in json.loads(texts["a"])["model"]["vocab"].items()}
    assert "".join(pieces[index] for index in ids[1:-1].tolist()) == sequence
    for index, (start, end) in zip(ids[1:-1].tolist(), tokenizer.spans(ids, sequence=sequence)[1:-1], strict=True):
        assert sequence[start:end] == pieces[index]
    assert tokenizer.spans(tokenizer.encode(""), sequence="").tolist() == [[-1, -1]] * 2
    assert retokenized("bert", TINY["bert"] | {"vocab_size": 200}, tokenizer)["vocab_size"] == 200


def naive_pieces(words: list[str], alphabet: list[str], size: int) -> list[str]:
    """Byte-pair encoding in its plainest form; among pairs of equal count, the one of the smallest ids."""
    vocabulary, split = list(alphabet), [list(word) for word in words]
    while len(vocabulary) < size:
        counts: dict[tuple[str, str], int] = {}
        for pieces in split:
            for pair in itertools.pairwise(pieces):
                counts[pair] = counts.get(pair, 0) + 1
        best = max(counts, key=lambda pair: (counts[pair], *(-vocabulary.index(piece) for piece in pair)))
        vocabulary.append("".join(best))
        for number, pieces in enumerate(split):
            merged, at = [], 0
            while at < len(pieces):
                pair = tuple(pieces[at : at + 2]) == best
                merged.append("".join(best) if pair else pieces[at])
                at += 1 + pair
            split[number] = merged
    return vocabulary


def test_trained_pieces_against_plain_byte_pairs():
    rng = np.random.default_rng(4)
    words = [draw(rng, "ACGT", 90, [0.4, 0.3, 0.2, 0.1]) for _ in range(30)]
    vocabulary = json.loads(train_pieces("dnabert2", words, 29))["model"]["vocab"]
    trained = sorted(vocabulary, key=vocabulary.get)[5:]
    counted = naive_pieces(words, list("ACGT"), 24)
    assert trained == counted


def test_training_is_the_same_in_another_process(genome, tmp_path):
    assert train(genome, tmp_path / "here.json", "--tokenizer", "gena_lm") == 0
    flags = f"--genome {genome} --size 200 --windows 60 --seed 5 --output {tmp_path / 'there.json'} --tokenizer gena_lm"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= {"RAYON_NUM_THREADS": "5", "PYTHONHASHSEED": "3"}
    command = [sys.executable, "-m", "foundationless", "train_tokenizer", *flags.split()]
    subprocess.run(command, env=environment, check=True)
    assert (tmp_path / "here.json").read_bytes() == (tmp_path / "there.json").read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--size", "4000", "--windows", "2", "--window", "20"), "draw more windows"),
        (("--size", "5"), "give more"),
        (("--exclude", "z"), "'z'"),
        (("--window", "90000"), "no stretch of 90000"),
    ],
)
def test_what_cannot_be_trained_is_said(genome, tmp_path, capsys, flags, words):
    assert train(genome, tmp_path / "t" / "tokenizer.json", "--tokenizer", "gena_lm", *flags) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "t" / "tokenizer.json").exists()


def test_download_tokenizer_from_a_local_hub(genome, tmp_path, capsys):
    place = tmp_path / "hub" / "lab" / "pieces" / "resolve" / REVISION
    assert train(genome, place / "tokenizer.json", "--tokenizer", "gena_lm") == 0
    (place / "modeling.py").write_text("raise SystemExit(9)")
    output = tmp_path / "out" / "tokenizer.json"
    flags = ["--repository", "lab/pieces", "--local-hub", str(tmp_path / "hub"), "--output", str(output)]
    command = ["download_tokenizer", "--tokenizer", "gena_lm", "--revision", REVISION, *flags]
    assert main([*command, "--sha256", "0" * 64]) == 2 and "sha256 is" in capsys.readouterr().err
    assert main([*command, "--tokenizer", "dnabert2"]) == 2
    assert "not a tokenizer of dnabert2" in capsys.readouterr().err
    assert main([*command, "--revision", "main"]) == 2 and "full commit hash" in capsys.readouterr().err
    assert main([*command, "--revision", "f" * 40]) == 2 and "no such directory" in capsys.readouterr().err
    assert not output.exists()
    assert main(command) == 0 and output.read_bytes() == (place / "tokenizer.json").read_bytes()
    (place / "tokenizer.json").unlink()
    assert main(command) == 2 and "has no tokenizer.json" in capsys.readouterr().err


def test_download_tokenizer_from_a_fake_hub(genome, tmp_path):
    """Through the hub's own library: one file is fetched, and from then on the cache is enough."""
    assert train(genome, tmp_path / "tokenizer.json", "--tokenizer", "dnabert2") == 0
    data = (tmp_path / "tokenizer.json").read_bytes()
    other = {"modeling.py": b"raise SystemExit(9)", "config.json": b"{}", "pytorch_model.bin": b"never fetched"}
    files = {"lab/pieces": {"tokenizer.json": data} | other, "lab/bare": other}

    def flags(repository: str, output: str, *more: str) -> list[str]:
        place = ["--repository", repository, "--revision", REVISION, "--cache", str(tmp_path / "cache")]
        return ["download_tokenizer", "--tokenizer", "dnabert2", *place, "--output", str(tmp_path / output), *more]

    digest = hashlib.sha256(data).hexdigest()
    calls = [
        flags("lab/pieces", "a.json", "--sha256", digest),
        flags("lab/pieces", "b.json", "--offline"),
        flags("lab/bare", "c.json"),
        flags("lab/none", "d.json"),
        flags("lab/none", "e.json", "--offline"),
    ]
    with serving(files) as (address, fetched):
        done = run_commands(calls, tmp_path / "home", tmp_path, **address)
    assert done.stdout.strip() == "[0, 0, 2, 2, 2]", done.stderr
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes() == data
    assert set(fetched) == {"tokenizer.json"} and not list(tmp_path.glob("[cde].json"))
    for sentence in ("has no tokenizer.json", "no such repository", "not in the cache"):
        assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def lenient_set(tmp_path):
    """A set made elsewhere: soft-masked, with an ambiguity letter and an RNA letter."""
    frame = pd.DataFrame(
        {"id": ["a", "b", "c"], "sequence": ["ACGTACGTAC", "ACGTacgtRU", "GGGTTTAA"], "label": ["x", "y", "x"],
         "split": ["train", "test", "test"], "group": ["a", "b", "c"]}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "set.parquet")
    return tmp_path / "set.parquet"


def test_strict_alphabet_of_a_set(lenient_set):
    with pytest.raises(UserError, match=r"'b' holds 'a' at position 5; only A, C, G, T and N .* upper case"):
        read_sequences(lenient_set)
    assert read_sequences(lenient_set, strict_alphabet=False)["sequence"][1] == "ACGTacgtRU"


def test_strict_alphabet_before_a_network(lenient_set, tmp_path, capsys):
    model = initialise("hyenadna", HYENA, 0)
    save_weights(tmp_path / "w", model, CARD)
    output = tmp_path / "vectors.parquet"
    command = ["embed", "--weights", str(tmp_path / "w"), "--sequences", str(lenient_set), "--poolings", "mean"]
    for flags in ([], ["--strict-alphabet"]):
        assert main([*command, "--output", str(output), *flags]) == 2
        message = capsys.readouterr().err
        assert "'b' holds 'a' at position 5" in message and len(message.splitlines()) == 1 and not output.exists()
    assert main([*command, "--output", str(output), "--no-strict-alphabet"]) == 0
    found = np.stack(pd.read_parquet(output)["mean"].to_list())
    sequences = read_sequences(lenient_set, strict_alphabet=False)["sequence"].tolist()
    weights = Weights(model, load_tokenizer("hyenadna"), CARD)
    expected = embed_sequences(weights, sequences, ["mean"], token_budget=99, device="cpu", precision="fp32")["mean"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


SCORES = [f"score_{what}" for what in ("likelihood", "sensitivity", "similarity", "mutagenesis")]


@pytest.mark.parametrize("command", ["embed", "finetune_model", "probe", "fit_baseline", *SCORES])
def test_every_command_that_reads_a_set_has_the_flag(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "--strict-alphabet" in capsys.readouterr().out


def test_strict_alphabet_of_a_builder(tmp_path, capsys):
    (tmp_path / "train.tsv").write_text("sequence\tlabel\nACGT\tx\nGGCC\ty\nTTAA\tx\nCCAA\ty\n")
    (tmp_path / "test.tsv").write_text("sequence\tlabel\nACGTTg\tx\nGGCC\ty\n")
    sources = [f"--source={split}={tmp_path}/{split}.tsv" for split in ("train", "test")]
    options = ["--option=validation_fraction=0.5", "--seed=1", f"--output={tmp_path}/set.parquet"]
    command = ["build_sequences", "--reader=table", *sources, *options]
    assert main([*command, "--strict-alphabet"]) == 2
    assert "holds 'g' at position 6" in capsys.readouterr().err and not (tmp_path / "set.parquet").exists()
    assert main(command) == 0 and "ACGTTG" in read_sequences(tmp_path / "set.parquet")["sequence"].tolist()
    (tmp_path / "x.fa").write_text(">1\nACGU\n>2\nACGR\n>3\nACGA\n")
    sources = [f"--source={split}.{name}={tmp_path}/x.fa" for split in ("train", "test") for name in "xy"]
    command = ["build_sequences", "--reader=fasta_classes", *sources, *options]
    assert main([*command, "--strict-alphabet"]) == 2
    assert "'train.x_1' holds 'U' at position 4" in capsys.readouterr().err
    assert main(command) == 0
    assert read_sequences(tmp_path / "set.parquet")["sequence"].tolist()[:3] == ["ACGT", "ACGN", "ACGA"]


def test_the_check_names_the_first_of_many(tmp_path):
    rng = np.random.default_rng(0)
    sequences = [draw(rng, "ACGTN", 300) for _ in range(50)]
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(50)], "sequence": sequences, "label": None, "split": "test"})
    frame["group"] = frame["id"]
    write_sequences(tmp_path / "set.parquet", frame)
    for number, (place, letter) in enumerate([(299, "n"), (0, "-"), (150, "é"), (7, " ")]):
        changed = frame.copy()
        for row in (20 + number, 40):
            text = changed.loc[row, "sequence"]
            changed.loc[row, "sequence"] = text[:place] + letter + text[place + 1 :]
        with pytest.raises(UserError, match=f"'s{20 + number}' holds '{letter}' at position {place + 1};"):
            write_sequences(tmp_path / "other.parquet", changed)
