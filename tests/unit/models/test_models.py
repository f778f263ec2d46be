"""Models: the contract's promises, strict configurations, the published and random initialisations."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from scipy.fft import next_fast_len
from scipy.signal import convolve

from foundationless.errors import UserError
from foundationless.models.architectures.hyenadna import causal_convolution, fast_length
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, retokenized
from foundationless.runtime.files import sha256
from foundationless.study.families import CELLS, FAMILIES
from support.networks import PAD, TINY, padded, tokens

REFUSED_TOKENS = {
    ("caduceus", "nt_v1"): "complements token by token",
    ("caduceus_ph", "nt_v1"): "complements token by token",
    ("caduceus_ph", "character"): "token 1 is another",
    ("gpn", "nt_v1"): "exceeds the width",
}
UNLIMITED = ("mistral", "nt_v2", "dnabert2", "caduceus", "caduceus_ph", "gpn")  # the arithmetic has no longest input


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
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(ids)[0].isfinite().all()
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


def test_mistral_initialisation_and_its_tied_head():
    state = initialise("mistral", TINY["mistral"] | {"hidden_size": 256, "intermediate_size": 512}, 11).state_dict()
    assert not state["model.embed_tokens.weight"][9].any()
    for key, tensor in state.items():
        if "norm" in key:
            assert (tensor == 1).all(), key
        else:
            assert tensor.std() == pytest.approx(0.02, rel=0.06), key
    model = initialise("mistral", TINY["mistral"] | {"tie_word_embeddings": True}, 0)
    assert model.shared_names() == {"lm_head.weight": "model.embed_tokens.weight"}
    assert "lm_head.weight" not in model.published_state()


def test_wrong_configurations():
    with pytest.raises(UserError, match=r"no architecture family 'caduceos'; the families are hyenadna, caduceus"):
        initialise("caduceos", {}, 0)
    incomplete = {key: value for key, value in TINY["cnn"].items() if key != "width"}
    with pytest.raises(UserError, match="'width' is missing"):
        initialise("cnn", incomplete, 0)
    informational = {"architectures": ["X"], "_name_or_path": "x", "torch_dtype": "float32", "some_switch": None}
    initialise("hyenadna", TINY["hyenadna"] | informational, 0)


def test_another_tokenizer(family):
    """The character tokenizer, and 6-mers, in front of every architecture."""
    for name in ("character", "nt_v1"):
        tokenizer = load_tokenizer(name)
        if said := REFUSED_TOKENS.get((family, name)):
            with pytest.raises(UserError, match=said):
                initialise(family, retokenized(family, TINY[family], tokenizer), 0)
            continue
        model = initialise(family, retokenized(family, TINY[family], tokenizer), 0)
        assert tokenizer.size <= model.vocabulary_size < tokenizer.size + 8
        ids = torch.from_numpy(tokenizer.encode("ACGTNACGTTGACCA"))[None]
        assert model(ids)[0].isfinite().all()
    with pytest.raises(UserError, match="do not belong together"):
        retokenized("mistral", TINY["mistral"] | {"vocab_size": 8}, load_tokenizer("paper_char"))


def test_model_table(pytestconfig, shared):
    """Every entry whose family is implemented constructs, with the published number of parameters."""
    table = yaml.safe_load((pytestconfig.rootpath / "config" / "models.yaml").read_text())
    for name, entry in table.items():
        if "family" not in entry or entry["arms"] == ["baseline"]:
            continue
        model_class = family_class(entry["family"])
        with torch.device("meta"):
            model = model_class(model_class.check_config(entry["config"]))
        assert sum(p.numel() for p in model.parameters()) == entry["parameters"], name
        assert model.objective == entry["objective"]
        if entry["tokenizer"] == CELLS:  # a vocabulary of genes lies beside the weights
            continue
        files = shared / "golden" / "tokenizers" / "files" / entry["tokenizer"]
        assert load_tokenizer(entry["tokenizer"], files).size <= model.vocabulary_size
        assert entry["max_tokens"] <= model.max_tokens
        if pieces := entry.get("tokenizer_file"):
            assert pieces["sha256"] == sha256(files / "tokenizer.json"), "pinned to the published file"
        assert len((entry.get("pretrained") or {}).get("revision") or "0" * 40) == 40


def test_import_is_light():
    code = (
        "import sys, foundationless.features.composition; assert 'torch' not in sys.modules\n"
        "from foundationless.models.weights import load_weights\n"
        "assert not {'transformers', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
