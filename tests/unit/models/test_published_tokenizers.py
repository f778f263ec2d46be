"""A checkpoint's own tokenizer: ids against transformers' own classes, spans, files of both arms, refusals."""

import base64
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.features.embedding import embed_sequences
from foundationless.models import onboarding
from foundationless.models.hub import Description
from foundationless.models.tokenizers import TOKENIZER_FILES, load_tokenizer
from foundationless.models.weights import initialise, load_weights
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from support import ROOT
from support.hub import REVISION, run_commands, serving
from support.networks import TINY, publish

RNG = np.random.default_rng(7)
KINDS = ("ACGT", "ACGTN", "ACGTacgtNn", "ACGTRYKMSWBDHVNU")


def draw(letters: str, length: int) -> str:
    return "".join(RNG.choice(list(letters), length))


SEQUENCES = ["", "A", "ACGT", "N", "acgt", *(draw(kind, n) for kind in KINDS for n in (1, 5, 6, 7, 13, 64, 121))]
CORPUS = [draw("ACGT", 300) for _ in range(40)]
BERT = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
BERT_ROLES = {f"{role}_token": f"[{role.upper()}]" for role in ("unk", "cls", "sep", "pad", "mask")}
LLAMA_ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
ESM_ROLES = {f"{role}_token": f"<{role}>" for role in ("unk", "pad", "mask", "cls")}
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}


def put(directory: Path, **files: object) -> Path:
    """A directory with files, given as tokenizers, text or JSON under their names without the dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        path = directory / name.replace("__", ".")
        if isinstance(value, Tokenizer):
            value.save(str(path))
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value))
    return directory


def around(before: str, after: str, *known: tuple[str, int]) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single=f"{before} $A {after}".strip(), special_tokens=list(known))


def pieces(specials: list[str], **settings: object) -> Tokenizer:
    """Byte pairs that are trained here."""
    tokenizer = Tokenizer(models.BPE(unk_token=specials[0], **settings))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def words(tokens: list[str], cut: object) -> Tokenizer:
    """Looked up whole, lower-case (GPN, PlantCaduceus, k-mers of tokenizer.json)."""
    vocabulary = {token: index for index, token in enumerate(["[PAD]", "[MASK]", "[UNK]", *tokens])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.add_special_tokens(["[PAD]", "[MASK]", "[UNK]"])
    spaces = pre_tokenizers.WhitespaceSplit()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([spaces, pre_tokenizers.Split(cut, "isolated")])
    return tokenizer


def unigrams() -> Tokenizer:
    parts = [("▁", -3.0), *((p, -1.1 * len(p)) for p in ("A", "C", "G", "T", "AC", "GT", "ACGT", "TTT", "AA", "▁AC"))]
    tokenizer = Tokenizer(models.Unigram([*((token, 0.0) for token in BERT), *parts], unk_id=0))
    tokenizer.add_special_tokens(BERT)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = around("[CLS]", "[SEP]", ("[CLS]", 1), ("[SEP]", 2))
    return tokenizer


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def with_specials(tokenizer: Tokenizer, *processor: object) -> Tokenizer:
    tokenizer.post_processor = around(*processor)
    return tokenizer


def kmers(k: int, letters: str = "ATCG") -> list[str]:
    return list(map("".join, itertools.product(letters, repeat=k)))


def esm(k: int, *last: str) -> str:
    tokens = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>", *(kmers(k) if k > 1 else ()), *"ATCGN", *last]
    return "\n".join(tokens)


END, WORDS = "<|endoftext|>", {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
# What is published -> (files, k, whether case folds)
LAYOUTS = {
    "bpe_bert": (lambda: dict(tokenizer__json=with_specials(pieces(BERT), "[CLS]", "[SEP]", ("[CLS]", 1), ("[SEP]", 2)),
                              tokenizer_config__json=FAST | BERT_ROLES), None, False),
    "bpe_bert_by_map": (lambda: dict(
        tokenizer__json=with_specials(pieces(BERT), "[CLS]", "[SEP]", ("[CLS]", 1), ("[SEP]", 2)),
        tokenizer_config__json=FAST, special_tokens_map__json=BERT_ROLES), None, False),
    "bpe_llama": (lambda: dict(
        tokenizer__json=with_specials(pieces(["<unk>", "<s>", "</s>", "<pad>"], fuse_unk=True), "<s>", "", ("<s>", 1)),
        tokenizer_config__json=FAST | LLAMA_ROLES | {"padding_side": "left", "add_eos_token": True}), None, False),
    "letters_gpn": (lambda: dict(tokenizer__json=words(list("acgt"), ""),
                                 tokenizer_config__json=FAST | {"pad_token": "[PAD]", "mask_token": "[MASK]",
                                                                "unk_token": "[UNK]"}), 1, True),
    "kmers_of_words": (lambda: dict(tokenizer__json=words(kmers(3, "acgt"), Regex(".{1,3}")),
                                    tokenizer_config__json=FAST | {"unk_token": "[UNK]"}), 3, True),
    "unigram": (lambda: dict(tokenizer__json=unigrams(), tokenizer_config__json=FAST | BERT_ROLES), None, False),
    "byte_level": (lambda: dict(tokenizer__json=byte_level(),
                                tokenizer_config__json=FAST | {"unk_token": END, "eos_token": END, "bos_token": END}),
                   None, False),
    **{f"esm_{k}": (lambda k=k: dict(vocab__txt=esm(k), special_tokens_map__json=ESM_ROLES,
                                     tokenizer_config__json={"tokenizer_class": "EsmTokenizer", "eos_token": None}),
                    k, False) for k in (1, 2, 3, 6)},
    "esm_with_end": (lambda: dict(vocab__txt=esm(3, "R", "Y") + "\n",
                                  tokenizer_config__json={"tokenizer_class": "EsmTokenizer"}), 3, False),
    **{f"dnabert_{k}": (lambda k=k: dict(vocab__txt="\n".join(["[PAD]", *BERT[:3], "[MASK]", *kmers(k)]) + "\n",
                                         tokenizer_config__json=WORDS), k, False) for k in (3, 4, 6)},
    "letters_bert": (lambda: dict(vocab__txt="\n".join(["[PAD]", *BERT[:3], "[MASK]", *"ACGT"]),
                                  tokenizer_config__json=WORDS), 1, False),
}  # fmt: skip


def spelled(name: str, sequence: str) -> str:
    """As the published code writes a sequence for a tokenizer of words: k-mers or letters with spaces between."""
    k = int(name[-1]) if name.startswith("dnabert_") else 1 if name == "letters_bert" else 0
    return " ".join(sequence[i : i + k] for i in range(len(sequence) - k + 1)) if k else sequence


@pytest.mark.parametrize("name", LAYOUTS)
def test_ids_are_those_of_transformers(name, tmp_path):
    files, k, folds = LAYOUTS[name]
    ours, theirs = load_tokenizer("published", put(tmp_path, **files())), AutoTokenizer.from_pretrained(str(tmp_path))
    assert (ours.name, ours.k, ours.folds_case, ours.padding_side) == ("published", k, folds, theirs.padding_side)
    for sequence in SEQUENCES:
        for special in (True, False):
            ids = ours.encode(sequence, special)
            expected = theirs(spelled(name, sequence), add_special_tokens=special)["input_ids"]
            assert ids.dtype == np.int64 and ids.tolist() == expected, repr(sequence)
            assert not len(ids) or ids.max() < ours.size
    for role in ("pad", "mask"):
        if (index := getattr(theirs, f"{role}_token_id")) is not None:
            assert getattr(ours, f"{role}_id") == index
    assert ours.unknown_id in (theirs.unk_token_id, None) and ours.size <= len(theirs)
    assert set(theirs.all_special_ids) - {ours.unknown_id} <= ours.special_ids


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_tokens_that_cover_a_base(name, tmp_path):
    files, k, _ = LAYOUTS[name]
    tokenizer = load_tokenizer("published", put(tmp_path, **files()))
    texts = {index: token for token, index in AutoTokenizer.from_pretrained(str(tmp_path)).get_vocab().items()}
    for sequence in (draw("ACGT", 90), draw("ACGTN", 95), draw("ACGTRYn", 40)):
        ids = tokenizer.encode(sequence)
        spans = tokenizer.spans(ids, sequence=sequence)
        covered = np.zeros(len(sequence), dtype=int)
        for index, (start, stop) in zip(ids.tolist(), spans.tolist(), strict=True):
            assert (start == -1) == (index in tokenizer.special_ids)
            covered[max(start, 0) : max(stop, 0)] += 1
            token = texts[index].strip("▁")
            if index not in tokenizer.special_ids and index != tokenizer.unknown_id and token:
                assert token.upper() == sequence[start:stop].upper()
        overlap = min(k, 95) if name.startswith("dnabert_") else 1
        assert covered.max() <= overlap and covered[k or 0 : len(sequence) - (k or 0)].min() == overlap


# Ids of sentencepiece 0.2.3 itself, by two models that it trained (60 pieces, identity): `sp.encode(sequence)`.
SENTENCE_PIECES = json.loads((Path(__file__).parent / "sentencepieces.json").read_text())


@pytest.mark.parametrize("kind", SENTENCE_PIECES)
def test_sentence_pieces(kind, tmp_path):
    held = SENTENCE_PIECES[kind]
    (tmp_path / "tokenizer.model").write_bytes(base64.b64decode(held["model"]))
    tokenizer = load_tokenizer("published", tmp_path)
    assert (tokenizer.size, tokenizer.unknown_id, tokenizer.special_ids) == (held["size"], 0, {1, 2})
    for sequence, ids in held["ids"].items():
        assert tokenizer.encode(sequence, special=False).tolist() == ids, sequence
        assert tokenizer.encode(sequence).tolist() == [1, *ids]
        spans = tokenizer.spans(tokenizer.encode(sequence), sequence=sequence)[1:]
        assert (np.diff(spans) >= 0).all() and np.diff(spans).sum() == len(sequence.rstrip())
    put(tmp_path, tokenizer_config__json={"tokenizer_class": "T5TokenizerFast"})
    assert load_tokenizer("published", tmp_path).encode("ACGT").tolist()[-1] == 2
    put(tmp_path, tokenizer_config__json={"tokenizer_class": "XLMRobertaTokenizer"})
    with pytest.raises(UserError, match="gives its pieces other numbers"):
        load_tokenizer("published", tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(base64.b64decode(held["model"])[:-40])
    put(tmp_path, tokenizer_config__json={})
    with pytest.raises(UserError, match=r"tokenizer\.model: not a readable SentencePiece model"):
        load_tokenizer("published", tmp_path)


REMOTE = {  # class in remote code -> (its settings, vocabulary, the tokenizer of the program that gives the same ids)
    "HyenaDNATokenizer": ({}, None, "hyenadna"),
    "CaduceusTokenizer": ({"auto_map": {"AutoTokenizer": ["tokenization.CaduceusTokenizer", None]}}, None, "caduceus"),
    "DNAKmerTokenizer": ({"k": 6, "add_bos_token": True, "add_eos_token": False}, "numbered", "generator"),
    "LCATokenizer": ({"kmer": 6, "shift": 2}, "bert", "prokbert_k6s2"),
}


@pytest.mark.parametrize("name", REMOTE)
def test_rules_of_remote_code(name, tmp_path):
    settings, vocabulary, same = REMOTE[name]
    specials = ["<oov>", "<s>", "</s>", "<pad>", "<mask>", *(f"<{i}>" for i in range(27))]
    if vocabulary == "numbered":
        tokens = enumerate([*specials, *kmers(6)])
        put(tmp_path, vocab__txt="".join(f"{token} {index}\n" for index, token in tokens))
    elif vocabulary:
        put(tmp_path, vocab__txt="\n".join(["[PAD]", *BERT[:3], "[MASK]", *kmers(6, "ACGT")]))
    put(tmp_path, tokenizer_config__json=settings | {"tokenizer_class": name})
    (tmp_path / "tokenizer.py").write_text("raise SystemExit(9)")
    ours, rule = load_tokenizer("published", tmp_path), load_tokenizer(same)
    for sequence in SEQUENCES:
        ids = ours.encode(sequence)
        assert ids.tolist() == rule.encode(sequence).tolist()
        assert (ours.spans(ids, sequence=sequence) == rule.spans(ids, sequence=sequence)).all()
    facts = ("k", "size", "pad_id", "mask_id", "unknown_id", "special_ids", "unknown_ids", "base_ids")
    assert [getattr(ours, fact) for fact in facts] == [getattr(rule, fact) for fact in facts]


CADUCEUS = "tokenization.CaduceusTokenizer"


@pytest.mark.parametrize("said", [CADUCEUS, [CADUCEUS, None], {"AutoTokenizer": CADUCEUS}, [None, CADUCEUS]])
def test_a_class_is_named_in_several_ways(said, tmp_path):
    put(tmp_path, tokenizer_config__json={"auto_map": said})
    assert (
        load_tokenizer("published", tmp_path).encode("ACGT").tolist()
        == load_tokenizer("caduceus").encode("ACGT").tolist()
    )


@pytest.mark.parametrize("said", [None, [], {}, 3, {"AutoTokenizer": 3}, [{}], {"AutoTokenizer": {"a": "b"}}])
def test_what_names_no_class_is_said(said, tmp_path):
    put(tmp_path, tokenizer_config__json={"auto_map": said})
    with pytest.raises(UserError):
        load_tokenizer("published", tmp_path)


def test_generator_against_the_official_ids(shared):
    """The extractor of these oracles puts one <s> more and cuts the rest off; the tokenizer itself makes it <oov>."""
    tokenizer = load_tokenizer("generator")
    oracles = json.loads((shared / "golden/real_checkpoint_oracles/checkpoints.json").read_text())["embeddings"]
    found = [row for row in oracles if row["name"].startswith("generator")]
    assert len(found) == 4
    for row in found:
        sequence = row["sequence"]
        whole = len(sequence) // 6 * 6
        assert [1, *tokenizer.encode(sequence[:whole]).tolist()] == row["input_ids"]
        ids = tokenizer.encode(sequence)
        assert [1, *ids.tolist()] == [*row["input_ids"], 0]
        assert tokenizer.spans(ids, sequence=sequence).tolist()[-1] == [whole, len(sequence)]


# Ids of the first GENA-LM's tokenizer (gena-lm-bert-base at 416f0553), by `AutoTokenizer` 4.57.
FIRST_GENA = {
    "ACGTNACGTNACGTN": [1, 114, 9, 0, 114, 9, 0, 114, 9, 0, 2],
    "AAAACCCCGGGGTTTTACGTNACGTNNNNACGTTGCAACGTACGT": [
        1, 2873, 211, 12176, 9, 0, 114, 9, 0, 0, 0, 0, 15426, 311, 418, 9, 2],
    "  ACGT  ": [1, 0, 0, 114, 9, 0, 0, 2],
    "acgt": [1, 0, 0, 0, 0, 2],
    "N": [1, 0, 2],
}  # fmt: skip


def test_the_first_gena_lm(shared, tmp_path):
    (place,) = (shared / "mirror").rglob("human/BPE_32k/tokenizer.json")
    for name in ("gena_lm", "published"):
        tokenizer = load_tokenizer(name, place.parent)
        assert (tokenizer.size, tokenizer.pad_id, tokenizer.mask_id) == (32_000, 3, 4)
        for sequence, ids in FIRST_GENA.items():
            assert tokenizer.encode(sequence).tolist() == ids
        spans = tokenizer.spans(np.array(FIRST_GENA["ACGTNACGTNACGTN"]), sequence="ACGTNACGTNACGTN")
        assert spans.tolist()[1:5] == [[0, 3], [3, 4], [4, 5], [5, 8]]


@pytest.mark.parametrize("name", ["dnabert2", "gena_lm", "nt_500m", "nt_v2"])
def test_files_of_the_official_tokenizers(shared, name):
    files = shared / "golden/tokenizers/files" / name
    ours, known = load_tokenizer("published", files), load_tokenizer({"nt_500m": "nt_v1"}.get(name, name), files)
    for sequence in SEQUENCES:
        ids = ours.encode(sequence)
        assert ids.tolist() == known.encode(sequence).tolist()
        assert (ours.spans(ids, sequence=sequence) == known.spans(ids, sequence=sequence)).all()
    facts = ("size", "pad_id", "mask_id", "unknown_id", "special_ids", "unknown_ids", "base_ids", "k", "cls_id")
    assert [getattr(ours, fact) for fact in facts] == [getattr(known, fact) for fact in facts]


def test_ids_of_real_checkpoints(shared):
    """Those whose tokenizer file is at hand: DNABERT-2's, which DNABERT-S and Omni-DNA have too, GENA-LM's and NT's."""
    files, oracles = shared / "golden/tokenizers/files", shared / "golden/real_checkpoint_oracles"
    rows = json.loads((oracles / "checkpoints.json").read_text())["embeddings"]
    rows += [row | {"name": row["model"]} for row in json.loads((oracles / "oracles.json").read_text())]
    held = {"dnabert-2": "dnabert2", "dnabert2": "dnabert2", "dnabert-s": "dnabert2", "omni-dna-300m": "dnabert2"}
    held |= {"gena_lm": "gena_lm", "nt_v2": "nt_v2"}
    rows = [row for row in rows if row["name"] in held and row.get("input_ids")]
    assert len(rows) >= 10
    for row in rows:
        ids = load_tokenizer("published", files / held[row["name"]]).encode(row["sequence"])
        assert ids.tolist() == row["input_ids"], row["name"]


def test_plant_caduceus(shared, tmp_path):
    held = json.loads((shared / "golden/plant_caduceus/a/tokenizer.json").read_text())
    assert held["vocabulary"]["[UNK]"] == 2
    put(tmp_path, **LAYOUTS["letters_gpn"][0]())
    tokenizer = load_tokenizer("published", tmp_path)
    assert tokenizer.base_ids == {"A": 3, "C": 4, "G": 5, "T": 6, "N": 2} and tokenizer.k == 1
    for case in held["cases"]:
        assert tokenizer.encode(case["sequence"]).tolist() == case["input_ids"]


# ---- from the checkpoint to both arms

NT_3MER = TINY["nt_v2"] | {"vocab_size": 80}  # 75 tokens, padded to a multiple of 8
DNABERT_3 = TINY["bert"] | {"vocab_size": 69, "pad_token_id": 0}


def checkpoint(directory: Path, family: str) -> Path:
    config, layout = {"nt_v2": (NT_3MER, "esm_3"), "bert": (DNABERT_3, "dnabert_3")}[family]
    publish(directory, initialise(family, config, 4), model_type="bert" if family == "bert" else "esm")
    return put(directory, **LAYOUTS[layout][0]())


@pytest.mark.parametrize("family", ["nt_v2", "bert"])
def test_a_tokenizer_goes_with_the_weights_of_both_arms(family, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    place = checkpoint(tmp_path / "lab", family)
    command = ["--path", str(place), "--output", str(tmp_path / "study.yaml"), "--name", "tiny"]
    assert main(["enter_model", *command]) == 0
    design = read_study(read_yaml(tmp_path / "study.yaml"))
    entry = design.model("tiny").entry
    assert (entry["tokenizer"], entry["tokenizer_class"]) == ("published", "kmer")
    assert entry["nucleotides_per_token"] == pytest.approx(3 if family == "nt_v2" else 1, abs=0.01)
    assert entry["tokenizer_file"] == {"source": "local", "path": str(place)}
    flags = ["--family", family, "--tokenizer", "published", "--model", "tiny"]
    assert main(["import_weights", "--path", str(place), *flags, "--output", str(tmp_path / "pretrained")]) == 0
    drawn = ["--config", json.dumps(entry["config"]), "--seed", "1", "--tokenizer-file", str(place)]
    assert main(["initialise", *flags, *drawn, "--output", str(tmp_path / "random")]) == 0
    arms = [load_weights(tmp_path / arm) for arm in ("pretrained", "random")]
    held = [{path.name for path in (tmp_path / arm).iterdir()} & {*TOKENIZER_FILES} for arm in ("pretrained", "random")]
    assert held[0] == held[1] >= {"vocab.txt", "tokenizer_config.json"}
    assert arms[0].model.vocabulary_size == arms[1].model.vocabulary_size
    for sequence in SEQUENCES:
        one, other = (arm.tokenizer.encode(sequence).tolist() for arm in arms)
        assert one == other == load_tokenizer("published", place).encode(sequence).tolist()
    compute = {"token_budget": 64, "device": "cpu", "precision": "fp32"}
    vectors = embed_sequences(arms[0], ["ACGTTGCAACGT"], ["mean", "site"], sites=[[5]], **compute)
    assert np.isfinite(vectors["mean"]).all() and np.isfinite(vectors["site"]).all()


def test_a_tokenizer_is_downloaded_with_its_files_alone(tmp_path, capsys):
    place = tmp_path / "hub" / "lab" / "words" / "resolve" / REVISION
    put(place, **LAYOUTS["esm_3"][0](), config__json={}, tokenizer__py="raise SystemExit(9)")
    card = tmp_path / "out" / "files.json"
    flags = ["--repository", "lab/words", "--revision", REVISION, "--output", str(card)]
    command = ["download_own_tokenizer", *flags, "--local-hub", str(tmp_path / "hub")]
    assert main(command) == 0
    names = {"vocab.txt", "tokenizer_config.json", "special_tokens_map.json"}
    assert {path.name for path in card.parent.iterdir()} == names | {"files.json"}
    assert set(json.loads(card.read_text())["files"]) == names
    drawn = ["--family", "nt_v2", "--config", json.dumps(NT_3MER), "--model", "m", "--seed", "1"]
    initialise = ["initialise", *drawn, "--tokenizer", "published", "--tokenizer-file", str(card)]
    assert main([*initialise, "--output", str(tmp_path / "w")]) == 0
    assert load_weights(tmp_path / "w").tokenizer.encode("AATG").tolist() == [3, 7, 73]
    (place / "vocab.txt").unlink()
    assert main([*command, "--output", str(tmp_path / "b" / "files.json")]) == 2
    assert "its tokenizer cannot be read" in capsys.readouterr().err


def test_a_tokenizer_is_downloaded_from_a_fake_hub(tmp_path):
    held = {"vocab.txt": esm(3).encode(), "tokenizer_config.json": b'{"tokenizer_class": "EsmTokenizer"}'}
    files = {"lab/words": held | {"modeling.py": b"raise SystemExit(9)", "pytorch_model.bin": b"never fetched"}}
    place = ["--repository", "lab/words", "--revision", REVISION, "--cache", str(tmp_path / "cache")]
    call = ["download_own_tokenizer", *place, "--output", str(tmp_path / "t" / "files.json")]
    with serving(files) as (address, fetched):
        done = run_commands([call], tmp_path / "home", tmp_path, **address)
    assert done.stdout.strip() == "[0]", done.stderr
    assert set(fetched) == set(held) and {p.name for p in (tmp_path / "t").iterdir()} == {*held, "files.json"}


WRONG = {
    "no DNA": (dict(tokenizer__json=words(list("xyz"), "")), r"tokenizer\.json: it does not know A, C, G and T"),
    "damaged": (dict(tokenizer__json="{"), r"tokenizer\.json: not a readable tokenizer\.json"),
    "not JSON": (dict(vocab__txt=esm(3), tokenizer_config__json="{"), r"tokenizer_config\.json: not valid JSON"),
    "twice": (dict(vocab__txt="[PAD]\n[UNK]\nA\nA\nC\nG\nT"), r"vocab\.txt: a token or a number stands in it twice"),
    "words": (dict(vocab__txt="[PAD]\n[UNK]\nthe\nof"), r"vocab\.txt: not a vocabulary of DNA .*there is vocab\.txt"),
    "no unknown": (dict(vocab__txt="A\nC\nG\nT"), r"vocab\.txt: not a vocabulary of DNA"),
    "pieces": (dict(vocab__txt="[PAD]\n[UNK]\nA\nC\nG\nT\nAC\nACGT"), r"neither all k-mers of one length nor single"),
    "no shift": (dict(vocab__txt="\n".join(["[PAD]", "[UNK]", *kmers(2)]),
                      tokenizer_config__json={"tokenizer_class": "LCATokenizer"}),
                 r"vocab\.txt: LCATokenizer needs a number of letters .*--tokenizer"),
    "another k": (dict(vocab__txt="\n".join(["<pad>", "<oov>", *kmers(2)]),
                       tokenizer_config__json={"tokenizer_class": "DNAKmerTokenizer", "k": 3}),
                  r"DNAKmerTokenizer needs a vocabulary of all k-mers"),
    "remote": (dict(tokenizer_config__json={"tokenizer_class": "EvoTokenizer"}),
               r"there is tokenizer_config\.json, which asks for EvoTokenizer.*--tokenizer"),
    "nothing": ({}, "there is no file of a tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_read_is_said_in_one_sentence(what, tmp_path):
    files, said = WRONG[what]
    with pytest.raises(UserError, match=said) as error:
        load_tokenizer("published", put(tmp_path / "t", **files))
    assert len(str(error.value).splitlines()) == 1


def test_no_vocabulary_is_put_in_front_of_a_smaller_table(tmp_path):
    """A table may have more rows than tokens, padded to any multiple; fewer are another model's."""
    for rows, good in ((75, True), (128, True), (4200, True), (74, False)):
        place = tmp_path / str(rows)
        publish(place, initialise("nt_v2", NT_3MER | {"vocab_size": rows}, 4), model_type="esm")
        put(place, **LAYOUTS["esm_3"][0]())
        source, known = {"source": "hub", "repository": "lab/tiny"}, Description(place, REVISION, "0" * 64)
        if good:
            entry = onboarding.describe_model(source, known, None, None, "Tiny")
            assert entry["tokenizer"] == "published" and entry["config"]["vocab_size"] == rows
        else:
            with pytest.raises(UserError, match=re.escape("it has 74 tokens, and the tokenizer beside it (vocab.txt")):
                onboarding.describe_model(source, known, None, None, "Tiny")
