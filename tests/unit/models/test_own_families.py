"""Families that no golden set of the official full size has: transformers and the official packages as the oracles."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from foundationless.errors import UserError
from foundationless.models import onboarding
from foundationless.models.hub import describe_directory
from foundationless.models.inventory import describe
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, load_checkpoint, retokenized
from foundationless.study.families import count_parameters, recognise
from support.golden_data import unpack_sets
from support.networks import TINY, assert_read_in_both_forms, padded, publish

OFFICIAL = ("gpn/a", "olmo/first", "olmo/rms", "olmo/positions", "olmo/biased")


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Directory of the sets that tests/golden/make_official.py wrote."""
    return unpack_sets(tmp_path_factory.mktemp("official"), "official")


def load(directory, tmp_path, change=lambda tensors: tensors):
    (tmp_path / "config.json").write_text((directory / "config.json").read_text())
    save_file(change(load_file(directory / "weights.safetensors")), tmp_path / "model.safetensors")
    return load_checkpoint(tmp_path, recognised(directory))


def recognised(directory):
    config = json.loads((directory / "config.json").read_text())
    return recognise(config) or "olmo"  # a config.json of the package itself, without the keys of the published ones


# ---- against the official packages


@pytest.mark.parametrize("name", OFFICIAL)
@torch.no_grad()
def test_states_and_logits(name, official, tmp_path):
    model, expected = load(official / name, tmp_path), load_file(official / name / "outputs.safetensors")
    ids = expected.pop("input_ids")
    states, (last, logits) = model.hidden_states(ids), model(ids)
    found = {f"hidden_states.{i}": state for i, state in enumerate(states)}
    found |= {"hidden_states.-1": states[-1], "logits": logits}
    assert torch.equal(last, states[-1]) and "logits" in expected and len(expected) > 1
    assert name.startswith("gpn") or len(expected) == len(states) + 1
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=2e-5, rtol=1e-5, msg=lambda said, of=key: f"{of}: {said}")


@pytest.mark.parametrize("name", OFFICIAL)
def test_files_are_read_strictly(name, official, tmp_path):
    """Every tensor of the official file is one of ours; one less, or one of another shape, is named."""
    model, file = load(official / name, tmp_path), load_file(official / name / "weights.safetensors")
    assert model.published_state().keys() == file.keys()
    assert_read_in_both_forms(tmp_path, model) if model.shared_names() else None
    (tmp_path / "pytorch_model.bin").unlink(missing_ok=True)
    lost = next(key for key in file if "blocks.1" in key or "encoder.1" in key)
    with pytest.raises(UserError, match="is missing"):
        load(official / name, tmp_path, lambda tensors: {k: v for k, v in tensors.items() if k != lost})
    with pytest.raises(UserError, match="has shape"):
        load(official / name, tmp_path, lambda tensors: tensors | {lost: tensors[lost][..., :-1].contiguous()})


@pytest.mark.parametrize("name", OFFICIAL)
def test_random_initialisation_is_the_official_one(name, official):
    """Deviation of every tensor within five standard errors; the greatest magnitude shows where a law is cut."""
    directory = official / name
    config = json.loads((directory / "config.json").read_text())
    config |= {"d_model": 128} if "d_model" in config else {"hidden_size": 96}
    drawn = json.loads((directory / "init.json").read_text())
    state = initialise(recognised(directory), config, 7).state_dict()
    assert state.keys() == drawn.keys()
    several = 0
    for key, (spread, greatest) in drawn.items():
        values = state[key].double()
        error = 5 * spread / values.numel() ** 0.5
        assert values.std(correction=0).item() == pytest.approx(spread, abs=2 * error), key
        if spread and values.numel() > 1000:
            assert values.abs().max().item() == pytest.approx(greatest, rel=0.35), key
            several += 1
    assert several > 5
    again = initialise(recognised(directory), config, 7).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in state.items())


def test_a_cut_law_ends_where_the_official_one_does(official):
    config = json.loads((official / "olmo/first/config.json").read_text()) | {"d_model": 128}
    state = initialise("olmo", config, 3).state_dict()
    table = state["model.transformer.wte.weight"]
    assert 2.5 * 128**-0.5 < table.abs().max() <= 3 * 128**-0.5


# ---- MutBERT: transformers' RoFormer with the rows of queries and keys in another order


def roformer(config, **more):
    """The official class whose function MutBERT's is, and the order of rows that makes it so."""
    settings = transformers.RoFormerConfig(
        vocab_size=config["vocab_size"], hidden_size=config["hidden_size"], embedding_size=config["hidden_size"],
        num_hidden_layers=config["num_hidden_layers"], num_attention_heads=config["num_attention_heads"],
        intermediate_size=config["intermediate_size"], max_position_embeddings=64, type_vocab_size=2,
        rotary_value=False,
        pad_token_id=config["pad_token_id"], layer_norm_eps=1e-12, **more,
    )  # fmt: skip
    torch.manual_seed(5)
    network = transformers.RoFormerForMaskedLM(settings).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn_like(parameter)
            if "embed_positions" in name:  # sines and cosines
                continue
            if parameter.ndim == 2:
                parameter.copy_(0.3 * noise)
            else:
                parameter.add_(0.2 * noise) if "LayerNorm" in name else parameter.copy_(0.2 * noise)
    network.tie_weights()
    return network


def as_mutbert(network, heads):
    """Tensors of a RoFormer under MutBERT's names: pairs (2 j, 2 j + 1) of a head become (j, j + d / 2)."""
    tensors = {}
    for name, tensor in network.state_dict().items():
        name = name.replace("roformer.", "bert.")
        if "embed_positions" in name or "embeddings_project" in name:
            continue
        if ".query." in name or ".key." in name:
            parts = tensor.unflatten(0, (heads, -1, 2))
            tensor = torch.cat([parts[:, :, 0], parts[:, :, 1]], 1).flatten(0, 1)
        tensors[name] = tensor.clone().contiguous()
    return tensors


@pytest.mark.parametrize("side", ["right", "left"])
@torch.no_grad()
def test_mutbert_is_roformer(tmp_path, side):
    config = TINY["mutbert"]
    network = roformer(config)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    torch.save(as_mutbert(network, 4), tmp_path / "pytorch_model.bin")
    assert recognise(config | {"model_type": "bert"}) == "mutbert"
    model = load_checkpoint(tmp_path, "mutbert")
    generator = torch.Generator().manual_seed(4)
    rows = [torch.randint(5, 40, (n,), generator=generator) for n in (31, 12)]
    ids, mask = padded(rows, 3, side)
    answer = network(ids, attention_mask=mask, output_hidden_states=True)
    valid = mask.bool()
    for found, expected in zip(model.hidden_states(ids, mask), answer.hidden_states, strict=True):
        torch.testing.assert_close(found[valid], expected[valid], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(model(ids, mask)[1][valid], answer.logits[valid], atol=5e-5, rtol=1e-5)
    alone = model.encode(rows[1][None])[0]
    torch.testing.assert_close(model.encode(ids, mask)[1][valid[1]], alone, atol=2e-5, rtol=1e-5)


def test_mutbert_initialises_as_transformers_bert_does():
    """Its own code draws as BertModel: linear and embedding weights by initializer_range, the row of padding 0."""
    state = initialise("mutbert", TINY["mutbert"] | {"hidden_size": 128, "initializer_range": 0.05}, 0).state_dict()
    for name, tensor in state.items():
        if tensor.ndim == 2:
            drawn = tensor[(tensor != 0).any(1)]
            assert len(tensor) - len(drawn) == ("word_embeddings" in name or "decoder" in name), name
            assert drawn.std().item() == pytest.approx(0.05, rel=5 * (2 * drawn.numel()) ** -0.5), name
        else:
            assert torch.equal(tensor, torch.full_like(tensor, float("LayerNorm.weight" in name))), name


def test_mutbert_bias_is_one_tensor():
    names = initialise("mutbert", TINY["mutbert"], 0).shared_names()
    assert {"cls.predictions.bias", "cls.predictions.decoder.bias"} & names.keys()
    assert names["cls.predictions.decoder.weight"] == "bert.embeddings.word_embeddings.weight"
    untied = initialise("mutbert", TINY["mutbert"] | {"tie_word_embeddings": False}, 0).shared_names()
    assert "cls.predictions.decoder.weight" not in untied


# ---- what all of them promise


@pytest.mark.parametrize("family", ["mutbert", "gpn", "olmo", "caduceus_ph"])
def test_sizes_are_counted_without_building(family):
    for change in ({}, {"vocab_size": 17}):
        config = TINY[family] | change
        if family == "caduceus_ph" and change:
            continue
        assert count_parameters(family, config) == describe(family, config)["parameters"]


@pytest.mark.parametrize(
    ("family", "change", "said"),
    [
        ("gpn", {"vocab_size": 25}, "'vocab_size' = 25 exceeds the width"),
        ("gpn", {"kernel_size": 4}, "'kernel_size' = 4 must be odd"),
        ("gpn", {"n_aux_features": 3}, "'n_aux_features' = 3 is not implemented"),
        ("gpn", {"dilation_base": 0.5}, "'dilation_base' is 0.5"),
        ("olmo", {"alibi": True}, "'alibi' = True is not implemented"),
        ("olmo", {"block_type": "llama"}, "'block_type' = 'llama' is not implemented"),
        ("olmo", {"n_heads": 5}, "'n_heads' = 5 does not divide"),
        ("olmo", {"n_kv_heads": 3}, "'n_kv_heads' = 3 does not divide"),
        ("olmo", {"embedding_size": 10}, "'embedding_size' = 10 is less"),
        ("olmo", {"mlp_hidden_size": 95}, "inner width 95 is odd"),
        ("mutbert", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "'rope_scaling'"),
        ("mutbert", {"hidden_size": 36, "num_attention_heads": 12}, "even head size"),
        ("caduceus_ph", {"rcps": True}, "'rcps' = True is not implemented"),
        ("caduceus_ph", {"complement_map": {"0": 5}}, "complement_map"),
    ],
)
def test_what_is_not_implemented_is_refused(family, change, said):
    with pytest.raises(UserError, match=said):
        family_class(family).check_config(TINY[family] | change)


@pytest.mark.parametrize("family", ["mutbert", "gpn", "olmo", "caduceus_ph"])
def test_published_and_read_again(family, tmp_path):
    model = initialise(family, TINY[family], 1)
    again = load_checkpoint(publish(tmp_path / "published", model), family)
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


def test_olmo_is_transformers_olmo(tmp_path):
    """Its first release, under the names of the native class: the same function."""
    shape = dict(vocab_size=24, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
    torch.manual_seed(1)
    network = transformers.OlmoForCausalLM(transformers.OlmoConfig(**shape, pad_token_id=1, eos_token_id=2)).eval()
    theirs, tensors = network.state_dict(), {}
    for i in range(2):
        old, new = f"model.layers.{i}", f"model.transformer.blocks.{i}"
        fused = [theirs[f"{old}.self_attn.{part}_proj.weight"] for part in "qkv"]
        tensors[f"{new}.att_proj.weight"] = torch.cat(fused)
        tensors[f"{new}.attn_out.weight"] = theirs[f"{old}.self_attn.o_proj.weight"]
        tensors[f"{new}.ff_out.weight"] = theirs[f"{old}.mlp.down_proj.weight"]
        # The gate is the second half there, and a matrix of its own here.
        halves = [theirs[f"{old}.mlp.{part}_proj.weight"] for part in ("up", "gate")]
        tensors[f"{new}.ff_proj.weight"] = torch.cat(halves)
    tensors["model.transformer.wte.weight"] = theirs["model.embed_tokens.weight"]
    tensors["model.transformer.ff_out.weight"] = theirs["lm_head.weight"].clone()
    config = TINY["olmo"] | {"vocab_size": 24}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    assert recognise(config) == "olmo"
    model, ids = load_checkpoint(tmp_path, "olmo"), torch.arange(24)[None]
    with torch.no_grad():
        answer = network(ids, output_hidden_states=True)
        for found, expected in zip(model.hidden_states(ids), answer.hidden_states, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(model(ids)[1], answer.logits, atol=1e-6, rtol=1e-5)


OMNI = {
    "architectures": ["OLMoModelForCausalLM"], "auto_map": {"AutoConfig": "configuration_olmo.OLMoConfig"},
    "activation_type": "swiglu", "alibi": False, "alibi_bias_max": 8.0, "attention_dropout": 0.0,
    "attention_layer_norm": False, "attention_layer_norm_with_affine": False, "bias_for_layer_norm": False,
    "block_group_size": 1, "block_type": "sequential", "clip_qkv": None, "d_model": 32, "emb_init_std": None,
    "embedding_dropout": 0.0, "embedding_layer_norm": False, "embedding_size": 48, "eos_token_id": 50279,
    "flash_attention": True, "include_bias": False, "init_cutoff_factor": None, "init_device": "meta",
    "init_fn": "mitchell", "init_std": 0.02, "layer_norm_eps": 1e-05, "layer_norm_type": "low_precision",
    "layer_norm_with_affine": False, "max_sequence_length": 250, "mlp_hidden_size": None, "mlp_ratio": 8,
    "model_type": "olmo", "multi_query_attention": False, "n_heads": 4, "n_kv_heads": None, "n_layers": 2,
    "norm_after": False, "pad_token_id": 50279, "precision": "amp_bf16", "residual_dropout": 0.0, "rope": True,
    "rope_full_precision": True, "rope_theta": 10000, "scale_emb_init": False, "scale_logits": False,
    "torch_dtype": "float32", "transformers_version": "4.46.3", "use_cache": True, "vocab_size": 40,
    "weight_tying": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (OMNI, "olmo"),
        ({"model_type": "ConvNet", "architectures": ["ConvNetForMaskedLM"], "vocab_size": 7, "hidden_size": 32,
          "n_layers": 3, "kernel_size": 9, "dilation_double_every": 1, "dilation_max": 32, "dilation_cycle": 6,
          "dilation_base": 2, "initializer_range": 0.02, "n_aux_features": 0, "torch_dtype": "float32"}, "gpn"),
        ({"model_type": "bert", "architectures": ["RoPEBertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
          "classifier_dropout": None, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 24,
          "initializer_range": 0.02, "intermediate_size": 48, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
          "num_attention_heads": 4, "num_hidden_layers": 2, "pad_token_id": 3, "pooler_type": "mean",
          "rope_scaling": None, "rope_theta": 10000.0, "type_vocab_size": 2, "vocab_size": 9,
          "auto_map": {"AutoConfig": "modeling_mutbert.RoPEBertConfig"}}, "mutbert"),
    ],
)  # fmt: skip
def test_configurations_as_they_are_published(config, family):
    """Every key of the official classes' own config.json is read, ignored with a reason, or known to be harmless."""
    assert onboarding.recognise(config) == family
    network = family_class(family)
    settings = network.settings(network.check_config(config))
    assert describe(family, settings)["parameters"] == count_parameters(family, settings)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "generanno", "architectures": ["GenerannoForMaskedLM"]},
        {"model_type": "lucagplm", "architectures": ["LucaGPLMModel"]},
        {"architectures": ["MEGADNA"]},
        {"model_type": "ntv3", "architectures": ["NTv3PreTrained"]},
    ],
)
def test_what_cannot_be_checked_is_refused_with_its_reason(config):
    with pytest.raises(UserError, match=r"code.*--family PATH\.py:Class, or bring its vectors as an arm from outside"):
        onboarding.recognise(config)


def test_caduceus_ph_reads_with_its_own_special_tokens_alone(tmp_path):
    """Which tokens stay in their places when a sequence is turned round is known of its own tokenizer."""
    model = initialise("caduceus_ph", TINY["caduceus_ph"], 0)
    published = describe_directory(publish(tmp_path / "ph", model))
    entry = onboarding.describe_model({"source": "local", "path": "."}, published, None, None, "ph")
    assert (entry["family"], entry["tokenizer"]) == ("caduceus_ph", "caduceus")
    assert retokenized("caduceus_ph", TINY["caduceus_ph"], load_tokenizer("caduceus")) == TINY["caduceus_ph"]
    assert "complement_map" in retokenized("caduceus_ph", TINY["caduceus_ph"], load_tokenizer("hyenadna"))
    with pytest.raises(UserError, match="with tokenizer 'character' token 1 is another"):
        retokenized("caduceus_ph", TINY["caduceus_ph"], load_tokenizer("character"))


def test_what_stays_in_its_place_on_the_other_strand():
    """[PAD] and [SEP] around, [MASK], N and unknown letters inside; nothing but special tokens; one letter."""
    model = initialise("caduceus_ph", TINY["caduceus_ph"], 0)
    ids = torch.tensor(
        [[4, 4, 7, 3, 8, 11, 6, 1], [11, 11, 7, 7, 8, 9, 10, 1], [4, 4, 4, 4, 4, 4, 4, 1], [7] + 7 * [4]]
    )
    other = [[4, 4, 6, 11, 9, 3, 10, 1], [7, 8, 9, 10, 10, 11, 11, 1], [4, 4, 4, 4, 4, 4, 4, 1], [10] + 7 * [4]]
    assert model.other_strand(ids).tolist() == other
    assert torch.equal(model.other_strand(model.other_strand(ids)), ids)


def test_every_layer_of_a_conjoined_model_is_averaged_over_the_strands():
    """The last as `represent` has it, and each the mean of its own states on both strands."""
    model = initialise("caduceus_ph", TINY["caduceus_ph"], 0)
    ids = torch.randint(7, 11, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layers, own = model.represent_every(ids), model.every_state(ids)
        other = model.every_state(model.other_strand(ids))
        assert torch.equal(layers[-1], model.represent(ids)) and len(layers) == len(own) > 2
        for mean, one, two in zip(layers, own, other, strict=True):
            torch.testing.assert_close(mean, (one + two.flip(1)) / 2)
