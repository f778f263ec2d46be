"""Models: the contract's promises, strict configurations, the published random initialisations, and the baselines."""

import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from scipy.fft import next_fast_len
from scipy.signal import convolve

from foundationless.errors import UserError
from foundationless.features.composition import features, gapped_names, kmer_names
from foundationless.models.architectures.hyenadna import causal_convolution, fast_length
from foundationless.models.registry import FAMILIES, family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, retokenized
from foundationless.runtime.files import sha256
from support.networks import TINY, tokens

PAD = {
    "hyenadna": 4,
    "caduceus": 4,
    "mistral": 9,
    "nt_v1": 1,
    "nt_v2": 1,
    "bert": 3,
    "gena_lm": 3,
    "dnabert2": 3,
    "cnn": 0,
}
UNLIMITED = ("mistral", "nt_v2", "dnabert2", "caduceus")  # the arithmetic has no longest input


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def loud(family: str) -> torch.nn.Module:
    """A tiny model whose weights are large enough for a leak to show."""
    model = initialise(family, TINY[family], 1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model


def padded(rows: list[torch.Tensor], pad: int, side: str) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), pad), torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(longest - len(row), None)
        ids[i, place], mask[i, place] = row, 1
    return ids, mask


@torch.no_grad()
def test_padding_is_inert(family):
    model, rows = loud(family), tokens(family, 7, 20, 13)
    if model.padding == "equal":
        ids, mask = padded(rows, PAD[family], "right")
        assert (model.encode(ids)[0][:7] - model.encode(rows[0][None])[0]).abs().max() > 1e-3, "then it could be padded"
        return
    for side in ("left", "right") if model.padding == "mask" else ("right",):
        ids, mask = padded(rows, PAD[family], side)
        together = model.encode(ids, mask)
        for i, row in enumerate(rows):
            alone = model.encode(row[None], torch.ones(1, len(row), dtype=torch.long))[0]
            torch.testing.assert_close(together[i][mask[i].bool()], alone, atol=1e-5, rtol=0)
            torch.testing.assert_close(model.encode(row[None])[0], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_contract(family):
    model, (ids,) = loud(family), tokens(family, 20)
    ids = ids[None]
    states = model.hidden_states(ids)
    last, second = model(ids.int(), torch.ones_like(ids, dtype=torch.bool))
    assert torch.equal(states[-1], model.encode(ids)) and last.shape == (1, 20, model.width)
    torch.testing.assert_close(last, states[-1], atol=1e-6, rtol=0)
    if family == "bert":
        with pytest.raises(UserError, match="no vocabulary head"):
            model.project(last)
    else:
        assert torch.equal(model.project(last), second) and second.shape[-1] == model.vocabulary_size
    changed = ids.clone()
    changed[0, 12] = ids[0, 12] - 1
    difference = (model.encode(changed) - states[-1]).abs().amax(-1)[0]
    assert difference[12] > 1e-3
    assert (difference[:12] < 1e-5).all() == (model.objective == "causal")
    if family not in UNLIMITED:
        model.hidden_states(torch.full((1, model.max_tokens), int(ids[0, 0])))
        with pytest.raises(UserError, match="tokens exceeds"):
            model.encode(torch.full((1, model.max_tokens + 1), int(ids[0, 0])))


def test_seeds(family):
    before = torch.random.get_rng_state()
    one, same, other = (initialise(family, TINY[family], seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in one.items():
        assert torch.equal(tensor, same[name]), name
        constant = not tensor.is_floating_point() or name.endswith((".z", ".t", ".deltas", ".inv_freq", ".A_log"))
        if not constant and tensor.numel() > 1 and tensor.std() > 0:
            assert not torch.equal(tensor, other[name]), name


def test_half_precision_autocast_is_finite(family):
    model, (ids,) = loud(family), tokens(family, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden, _ = model(ids[None])
    assert hidden.isfinite().all()


def test_transform_lengths_are_those_of_scipy():
    assert [fast_length(n) for n in range(1, 5000)] == [next_fast_len(n, real=True) for n in range(1, 5000)]


@pytest.mark.parametrize(("rows", "channels", "length"), [(2, 5, 1), (1, 3, 41), (3, 20, 4000), (1, 9, 70_000)])
def test_causal_convolution_is_the_sum_it_stands_for_in_one_piece_or_many(rows, channels, length):
    rng = np.random.default_rng(length)
    signal, kernel = rng.normal(size=(rows, channels, length)), rng.normal(size=(channels, length)) / length**0.5
    found = causal_convolution(torch.from_numpy(signal), torch.from_numpy(kernel)).numpy()
    for row in range(rows):
        for channel in range(channels):
            expected = convolve(signal[row, channel], kernel[channel])[:length]
            np.testing.assert_allclose(found[row, channel], expected, atol=2e-5)


def test_mistral_initialisation():
    state = initialise("mistral", TINY["mistral"] | {"hidden_size": 256, "intermediate_size": 512}, 11).state_dict()
    assert not state["model.embed_tokens.weight"][9].any()
    for key, tensor in state.items():
        if "norm" in key:
            assert (tensor == 1).all(), key
        else:
            assert tensor.std() == pytest.approx(0.02, rel=0.06), key


def test_wrong_configurations():
    with pytest.raises(UserError, match=r"no architecture family 'caduceos'; the families are hyenadna, caduceus"):
        initialise("caduceos", {}, 0)
    for family, change, message in [
        ("hyenadna", {"hyena_order": 3}, r"'hyena_order' = 3 is not implemented"),
        ("hyenadna", {"emb_dim": 4}, "must be odd"),
        ("hyenadna", {"d_model": "wide"}, "integer from 1 to"),
        ("hyenadna", {"bidirectional": True}, "'bidirectional' = True is not implemented"),
        ("mistral", {"num_attention_heads": 5}, "does not divide"),
        ("mistral", {"num_key_value_heads": 3}, "does not divide"),
        ("mistral", {"rope_scaling": {"type": "yarn"}}, "rope_scaling"),
        ("nt_v1", {"position_embedding_type": "rotary"}, "'rotary' is not implemented"),
        ("nt_v1", {"add_bias_fnn": False}, "add_bias_fnn"),
        ("nt_v1", {"hidden_size": 33}, "does not divide"),
        ("bert", {"hidden_act": "relu"}, "hidden_act"),
        ("cnn", {"kernel_size": 4}, "must be odd"),
    ]:
        with pytest.raises(UserError, match=message):
            initialise(family, TINY[family] | change, 0)
    incomplete = {key: value for key, value in TINY["cnn"].items() if key != "width"}
    with pytest.raises(UserError, match="'width' is missing"):
        initialise("cnn", incomplete, 0)
    informational = {"architectures": ["X"], "_name_or_path": "x", "torch_dtype": "float32", "some_switch": None}
    initialise("hyenadna", TINY["hyenadna"] | informational, 0)


def test_another_tokenizer(family):
    """The character tokenizer, and 6-mers, in front of every architecture."""
    for name in ("character", "nt_v1"):
        tokenizer = load_tokenizer(name)
        if (family, name) == ("caduceus", "nt_v1"):
            with pytest.raises(UserError, match="complements token by token"):
                retokenized(family, TINY[family], tokenizer)
            continue
        model = initialise(family, retokenized(family, TINY[family], tokenizer), 0)
        assert tokenizer.size <= model.vocabulary_size < tokenizer.size + 8
        ids = torch.from_numpy(tokenizer.encode("ACGTNACGTTGACCA"))[None]
        assert model(ids)[0].isfinite().all()
    with pytest.raises(UserError, match="do not belong together"):
        retokenized("mistral", TINY["mistral"] | {"vocab_size": 8}, load_tokenizer("paper_char"))


def test_tied_heads_are_saved_once():
    model = initialise("mistral", TINY["mistral"] | {"tie_word_embeddings": True}, 0)
    assert model.shared_names() == {"lm_head.weight": "model.embed_tokens.weight"}
    assert "lm_head.weight" not in model.published_state()


def test_model_table(pytestconfig, shared):
    """Every entry whose family is implemented constructs, with the published number of parameters."""
    table = yaml.safe_load((pytestconfig.rootpath / "config" / "models.yaml").read_text())
    for name, entry in table.items():
        if "classifier" in entry:
            continue
        model_class = family_class(entry["family"])
        with torch.device("meta"):
            model = model_class(model_class.check_config(entry["config"]))
        assert sum(p.numel() for p in model.parameters()) == entry["parameters"], name
        assert model.objective == entry["objective"]
        files = shared / "golden" / "tokenizers" / "files" / entry["tokenizer"]
        assert load_tokenizer(entry["tokenizer"], files).size <= model.vocabulary_size
        assert entry["max_tokens"] <= model.max_tokens
        if pieces := entry.get("tokenizer_file"):
            assert pieces["sha256"] == sha256(files / "tokenizer.json"), "pinned to the published file"
        for pretrained in [entry.get("pretrained") or {}]:
            assert len(pretrained.get("revision") or "0" * 40) == 40


def test_import_is_light():
    code = (
        "import sys, foundationless.features.composition; assert 'torch' not in sys.modules\n"
        "from foundationless.models.weights import load_weights\n"
        "assert not {'transformers', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- baselines


def naive_spectrum(sequence: str, k: int, canonical: bool) -> dict[str, float]:
    complement = str.maketrans("ACGT", "TGCA")
    words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    words = [w for w in words if set(w) <= set("ACGT")]
    if canonical:
        words = [min(w, w.translate(complement)[::-1]) for w in words]
    return {word: count / len(words) for word, count in Counter(words).items()}


@pytest.mark.parametrize("canonical", [False, True])
def test_kmer_spectra_against_a_counter(canonical):
    rng = np.random.default_rng(4)
    sequences = ["".join(rng.choice(list("ACGTN"), n, p=[0.3, 0.2, 0.2, 0.2, 0.1])) for n in (1, 3, 50, 300)] + ["NNN"]
    found = features("kmer", sequences, k_max=4, canonical=canonical)
    names = kmer_names(4, canonical)
    assert found.dtype == np.float32 and found.shape == (5, len(names))
    for row, sequence in zip(found, sequences, strict=True):
        expected = {w: f for k in range(1, 5) for w, f in naive_spectrum(sequence, k, canonical).items()}
        np.testing.assert_allclose(row, [expected.get(name, 0) for name in names], atol=1e-7)
    assert features("kmer", ["ACGT"]).shape == (1, 4 + 16 + 64 + 256 + 1024 + 4096)


def test_length_gc():
    found = features("length_gc", ["ACGTNN", "AAAA", "N"])
    np.testing.assert_allclose(found, [[np.log(6), 0.5, 1 / 3], [np.log(4), 0, 0], [0, 0, 1]], rtol=1e-6)


def test_length_and_gc_alone_and_nothing():
    sequences = ["ACGTNN", "AAAA", "N"]
    both = features("length_gc", sequences)
    assert (features("length", sequences) == both[:, :1]).all() and (features("gc", sequences) == both[:, 1:2]).all()
    assert features("majority", sequences).shape == (3, 0)


def test_gapped_words_against_regular_expressions():
    rng = np.random.default_rng(5)
    sequences = ["".join(rng.choice(list("ACGTN"), n, p=[0.3, 0.2, 0.2, 0.2, 0.1])) for n in (2, 6, 90)]
    names = gapped_names(5, 3)
    found = features("gapped_kmer", sequences, l=5, k=3)
    assert len(names) == found.shape[1] == 6 * 64 and len(set(names)) == len(names)
    for row, sequence in zip(found, sequences, strict=True):
        counts = Counter()
        for name in names:
            counts[name] = len(re.findall(f"(?={name.replace('-', '.')})", sequence))
        shape = {name: re.sub("[ACGT]", "x", name) for name in names}
        total = Counter()
        for name in names:
            total[shape[name]] += counts[name]
        np.testing.assert_allclose(row, [counts[n] / max(total[shape[n]], 1) for n in names], atol=1e-7)


def test_canonical_gapped_words_do_not_see_the_strand():
    rng = np.random.default_rng(6)
    sequences = ["".join(rng.choice(list("ACGT"), 80)) for _ in range(4)]
    turned = [s.translate(str.maketrans("ACGT", "TGCA"))[::-1] for s in sequences]
    found = features("gapped_kmer", sequences, l=6, k=3, canonical=True)
    np.testing.assert_allclose(found, features("gapped_kmer", turned, l=6, k=3, canonical=True), atol=1e-6)
    names = gapped_names(6, 3, canonical=True)
    mirrored = {n.translate(str.maketrans("ACGT", "TGCA"))[::-1] for n in names}
    assert len(names) == found.shape[1] and mirrored | set(names) == set(gapped_names(6, 3))
    assert not np.allclose(features("gapped_kmer", sequences, l=6, k=3), features("gapped_kmer", turned, l=6, k=3))


def test_random_filters_are_convolutions_of_torch():
    rng = np.random.default_rng(7)
    sequence = "".join(rng.choice(list("ACGTN"), 70))
    found = features("random_conv", [sequence], 11, width=41, kernel_size=5)[0]
    generator = np.random.default_rng(11)
    weights = generator.normal(size=(21, 5, 4))
    weights = weights - weights.mean(axis=(1, 2), keepdims=True)
    bias, dilation = generator.uniform(-1, 1, size=21), 2 ** generator.integers(5, size=21)
    letters = torch.tensor([[float(base == one) for base in sequence] for one in "ACGT"])[None]
    for i in range(21):
        kernel = torch.tensor(weights[i].T[None], dtype=torch.float32)
        spread = int(dilation[i])
        values = torch.nn.functional.conv1d(letters, kernel, padding=2 * spread, dilation=spread)[0, 0] + bias[i]
        assert len(values) == 70 and found[i] == pytest.approx(values.max().item(), abs=1e-4)
        assert i == 20 or found[21 + i] == pytest.approx((values > 0).float().mean().item(), abs=1e-6)


def test_random_filters_depend_on_the_seed_alone(monkeypatch):
    sequences = ["ACGTTGCA" * 9, "A", "GGC"]
    first = features("random_conv", sequences, 1, width=20)
    assert (first == features("random_conv", sequences, 1, width=20)).all() and first.shape == (3, 20)
    assert (first[:2] == features("random_conv", sequences[:2], 1, width=20)).all()
    assert not np.allclose(first, features("random_conv", sequences, 2, width=20))
    monkeypatch.setattr("foundationless.features.composition._BLOCK", 7)
    np.testing.assert_allclose(features("random_conv", sequences, 1, width=20), first, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("gapped_kmer", {"l": 3, "k": 4}, "'l' = 3 must be between 4"),
        ("gapped_kmer", {"l": 12, "k": 8}, "lower 'l' or 'k'"),
        ("gapped_kmer", {"canonical": 1}, "'canonical' is true or false"),
        ("random_conv", {"width": True}, "'width' is a whole number"),
        ("length", {"k_max": 3}, "no option 'k_max'"),
    ],
)
def test_wrong_options_of_baselines(family, options, message):
    with pytest.raises(UserError, match=message):
        features(family, ["ACGT"], **options)


def test_wrong_baselines():
    for arguments, options in [(("dinucleotide", ["A"]), {}), (("kmer", ["A"]), {"k": 3}), (("kmer", ["A", ""]), {})]:
        with pytest.raises(UserError):
            features(*arguments, **options)
    with pytest.raises(UserError, match="between 1 and 10"):
        features("kmer", ["A"], k_max=11)
