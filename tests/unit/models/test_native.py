"""Conformance of every `model_type` of `architectures/native.py`, with transformers' own loading as the oracle."""

import json
import re

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from foundationless.errors import UserError
from foundationless.models.architectures.native import TYPES, Transformers
from foundationless.models.weights import initialise, load_checkpoint, save_weights
from foundationless.training.trainable.lora import add_adapters, linear_maps
from support.catalogue import SIZES, network, tiny

VOCABULARY = SIZES["vocab_size"]


def body(made):
    return getattr(made, made.base_model_prefix)


def token_ids(length, rows=1):
    return torch.randint(4, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(length))


def reload(model, directory):
    card = {"model": "m", "family": "transformers", "tokenizer": "character", "init": "pretrained", "seed": None}
    save_weights(directory, model, card | {"source": "test"})
    return load_checkpoint(directory, "transformers")


def padded(model, ids, side, mask=True):
    """How far the states move when eight padding tokens stand on one side."""
    padding = torch.zeros(1, 8, dtype=torch.long)
    parts = [ids, padding] if side == "right" else [padding, ids]
    valid = torch.cat([torch.ones_like(part) if part is ids else torch.zeros_like(part) for part in parts], 1)
    place = slice(0, ids.shape[1]) if side == "right" else slice(8, None)
    states = model.encode(torch.cat(parts, 1), valid if mask else None)[:, place]
    return float((states - model.encode(ids)).abs().max())


@pytest.mark.parametrize("model_type", TYPES)
@torch.no_grad()
def test_states_and_logits_are_those_of_transformers(tmp_path, model_type):
    """To the bit: every state, the logits; with the head, as a base model, and from a weight directory of our own."""
    made = network(model_type)
    made.save_pretrained(tmp_path / "whole")
    head = getattr(transformers, TYPES[model_type].head)
    oracle = head.from_pretrained(tmp_path / "whole", dtype=torch.float32).eval()
    ids = token_ids(37, 2)
    expected = oracle(input_ids=ids, output_hidden_states=True)
    model = load_checkpoint(tmp_path / "whole", "transformers")
    states, (hidden, logits) = model.hidden_states(ids), model(ids)
    assert torch.equal(logits, expected.logits) and not model.left_out
    assert len(states) == len(expected.hidden_states)
    for state, wanted in zip(states, expected.hidden_states, strict=True):
        assert torch.equal(state, wanted[:, : ids.shape[1]])
    assert torch.equal(hidden, states[-1])
    assert model.width == hidden.shape[2] and model.vocabulary_size == logits.shape[2]
    table = model.state_dict()[model.embedding_names()[0]]
    assert torch.equal(table, oracle.get_input_embeddings().weight) and len(model.embedding_names()) == 1
    again = reload(model, tmp_path / "ours")
    assert torch.equal(again(ids)[1], logits) and again.shared_names() == model.shared_names()
    body(oracle).save_pretrained(tmp_path / "base")
    base = load_checkpoint(tmp_path / "base", "transformers")
    assert torch.equal(base.encode(ids), hidden)
    assert base.has_head == bool(model.shared_names() and torch.equal(reload_logits(base, ids), logits))
    # Padding is inert as the line says, and no less strictly than it could say.
    short = token_ids(13)
    if model_type == "big_bird":  # long enough for its blocks
        short = token_ids(45)
    right = padded(model, short, "right", mask=False) < 1e-5
    masked = padded(model, short, "right") < 1e-5 and padded(model, short, "left") < 1e-5
    assert model.padding == ("right" if right else "mask" if masked else "equal")
    assert model.objective == TYPES[model_type].objective
    changed = short.clone()
    changed[0, -1] = 4 if short[0, -1] != 4 else 5
    looks_ahead = not torch.allclose(model.encode(changed)[0, :5], model.encode(short)[0, :5], atol=1e-6)
    assert looks_ahead == (model.objective == "masked")
    with pytest.raises(UserError, match="exceeds the model's"):
        model.encode(torch.full((1, model.max_tokens + 1), 5))


def reload_logits(base, ids):
    try:
        return base(ids)[1]
    except UserError as error:
        assert "no vocabulary head" in str(error)
        return torch.zeros(1)


@pytest.mark.parametrize("model_type", TYPES)
def test_random_weights_are_the_classs_own_and_the_same_everywhere(model_type):
    settings = tiny(model_type, hidden_size=64).to_dict() if model_type == "llama" else tiny(model_type).to_dict()
    settings = json.loads(json.dumps(settings, default=str)) | {"model_type": model_type}
    settings.pop("time_step_limit", None)
    first = initialise("transformers", settings, 3)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        second, other = initialise("transformers", settings, 3), initialise("transformers", settings, 4)
        own = first._class()(first._settings).state_dict()
    one, two, three = (model.state_dict() for model in (first, second, other))
    assert own.keys() == one.keys()
    drawn = 0
    for name, tensor in own.items():
        assert torch.equal(one[name], two[name]), name
        if not tensor.is_floating_point() or tensor.numel() < 2:
            continue
        constant = bool(torch.equal(one[name], three[name]))
        assert constant == (not tensor.std() or torch.allclose(tensor, one[name])), name
        drawn += not constant
        if not constant and tensor.numel() >= 256:
            spread, error = float(tensor.std()), float(tensor.std()) * (2 / tensor.numel()) ** 0.5
            assert float(one[name].std()) == pytest.approx(spread, rel=0.2), name
            assert abs(float(one[name].mean() - tensor.mean())) < 5 * error, name
    assert drawn > 5
    assert first.shared_names().keys() == Transformers.blank(settings).shared_names().keys()


# ---- forms that transformers writes


FORMS = {  # model_type, class that saved it, whether logits follow, names that are left out
    "BertForPreTraining": ("bert", True, ["cls.seq_relationship.bias", "cls.seq_relationship.weight"]),
    "BertForSequenceClassification": ("bert", False, ["bert.pooler.dense.bias", "classifier.weight"]),
    "BigBirdForPreTraining": ("big_bird", True, ["cls.seq_relationship.weight"]),
    "MegatronBertForPreTraining": ("megatron-bert", True, ["cls.seq_relationship.weight"]),
    "ElectraForPreTraining": ("electra", False, ["discriminator_predictions.dense.weight"]),
    "EsmForSequenceClassification": ("esm", False, ["classifier.dense.weight"]),
    "ModernBertForSequenceClassification": ("modernbert", False, ["classifier.weight"]),
    "RobertaForTokenClassification": ("roberta", False, ["classifier.weight"]),
    "LlamaForSequenceClassification": ("llama", False, ["score.weight"]),
    "MixtralForSequenceClassification": ("mixtral", False, ["score.weight"]),
    "GPT2ForSequenceClassification": ("gpt2", True, ["score.weight"]),
}


@pytest.mark.parametrize("name", FORMS)
@torch.no_grad()
def test_what_was_pretrained_or_fine_tuned_with_another_head(tmp_path, name):
    model_type, has_head, left_out = FORMS[name]
    made = network(model_type, head=name)
    made.save_pretrained(tmp_path)
    model, ids = load_checkpoint(tmp_path, "transformers"), token_ids(20)
    assert torch.equal(model.encode(ids), body(made)(input_ids=ids).last_hidden_state)
    assert set(left_out) <= set(model.left_out) and model.has_head == has_head
    if has_head:
        head = getattr(transformers, TYPES[model_type].head)
        assert torch.equal(model(ids)[1], head.from_pretrained(tmp_path, dtype=torch.float32)(input_ids=ids).logits)
    else:
        with pytest.raises(UserError, match="the checkpoint has no vocabulary head"):
            model(ids)
    again = reload(model, tmp_path / "ours")
    assert torch.equal(again.encode(ids), model.encode(ids)) and again.has_head == has_head


@pytest.mark.parametrize("model_type", ["bert", "llama", "mixtral", "gpt2", "esm", "mistral"])
@pytest.mark.parametrize("form", ["shards", "bin", "bin shards", "bfloat16", "float16", "tied stored", "module"])
@torch.no_grad()
def test_every_way_to_write_the_same_weights(tmp_path, model_type, form):
    family = {"esm": "nt_v1", "mistral": "mistral"}.get(model_type, "transformers")  # written here for speed
    made = network(model_type, **({"token_dropout": True} if model_type == "esm" else {}))
    if form.endswith("16"):
        made = made.to(getattr(torch, form))
    made.save_pretrained(tmp_path, max_shard_size="10KB" if "shards" in form else "1GB")
    state = load_all(tmp_path)
    if form == "tied stored":
        state |= {n: t.clone() for n, t in made.state_dict().items() if n.partition(".")[0] in ("cls", "lm_head")}
        save_file(state, tmp_path / "model.safetensors")
    elif form == "module":
        save_file({f"module.{n}": t for n, t in state.items()}, tmp_path / "model.safetensors")
    elif "bin" in form:
        into_bin(tmp_path)
    expected = getattr(transformers, TYPES[model_type].head).from_pretrained(
        None, config=made.config, state_dict=state, dtype=torch.float32
    )
    model, ids = load_checkpoint(tmp_path, family), token_ids(20)
    logits = expected.eval()(input_ids=ids).logits
    tolerance = 0.0 if family == "transformers" else 2e-6
    assert float((model(ids)[1] - logits).abs().max()) <= tolerance


def load_all(directory):
    return {
        name: tensor for path in sorted(directory.glob("*.safetensors")) for name, tensor in load_file(path).items()
    }


def into_bin(directory):
    """The same parts as pickles, with their index, as older versions of transformers wrote them."""
    for path in directory.glob("model*.safetensors"):
        torch.save(load_file(path), directory / f"pytorch_{path.stem}.bin")
        path.unlink()
    for path in directory.glob("model.safetensors.index.json"):
        index = json.loads(path.read_text())
        places = {n: f"pytorch_{f.removesuffix('.safetensors')}.bin" for n, f in index["weight_map"].items()}
        (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index | {"weight_map": places}))
        path.unlink()


# ---- what is refused


def changed(directory, change):
    state = load_file(directory / "model.safetensors")
    state = {name: tensor for name, tensor in (state | change(state)).items() if tensor is not None}
    save_file(state, directory / "model.safetensors")


@pytest.mark.parametrize("model_type", ["bert", "llama", "mixtral", "jamba"])
def test_a_missing_or_wrong_tensor_is_named(tmp_path, model_type):
    made = network(model_type)
    made.save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    names = sorted(load_file(tmp_path / "model.safetensors"))
    expert = next((name for name in names if ".experts.1." in name), None)
    norm = next(name for name in names if name.endswith("norm.weight") or name.endswith("LayerNorm.weight"))
    query = next(name for name in names if "q_proj.weight" in name or "query.weight" in name)
    cases = [
        (lambda s: {norm: None}, f"tensor '{norm}' is missing"),
        (lambda s: {query: s[query][:3].clone()}, rf"'{query}' has shape \[3, 32\].*asks for \[32, 32\]"),
        (lambda s: {query: torch.full_like(s[query], torch.nan)}, f"'{query}' holds values that are not finite"),
        (lambda s: {"stray.weight": torch.zeros(2)}, "'stray.weight' is unexpected"),
        (lambda s: {re.sub(r"\.\d+\.", ".7.", query, count=1): s[query].clone()}, "is unexpected"),
    ]
    if expert:
        cases.append((lambda s: {expert: None}, f"tensor '{expert}' is missing"))
    if not made.config.tie_word_embeddings:
        cases.append((lambda s: {"lm_head.weight": None}, None))  # a checkpoint without a head
    else:
        cases.append((lambda s: {"cls.predictions.bias": None}, "'cls.predictions.*bias' is missing"))
        other = {"cls.predictions.decoder.weight": torch.zeros(VOCABULARY, 32)}
        cases.append((lambda s: other, "are one shared tensor in this architecture"))
    for change, sentence in cases:
        (tmp_path / "model.safetensors").write_bytes(whole)
        changed(tmp_path, change)
        if sentence is None:
            assert not load_checkpoint(tmp_path, "transformers").has_head
            continue
        with pytest.raises(UserError, match=sentence) as refused:
            load_checkpoint(tmp_path, "transformers")
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "t5"}, "'model_type' = 't5' is not among those that are checked: albert"),
        ({"model_type": None}, "the key 'model_type' is missing"),
        ({"hidden_size": 33}, "cannot be built of it"),
        ({"hidden_size": "many"}, "cannot be built of it"),
        ({"hidden_size": -32}, "cannot be built of it"),
        ({"num_hidden_layers": 10**9}, "'num_hidden_layers' is 1000000000"),
        ({"vocab_size": 2**40}, "'vocab_size' is 1099511627776"),
        ({"pad_token_id": 99}, "'pad_token_id' = 99 is no row"),
        ({"is_decoder": True}, "'is_decoder' = True is not implemented"),
        ({"position_embedding_type": "relative_key"}, "'position_embedding_type' = 'relative_key' is not implemented"),
        ({"quantization_config": {"bits": 4}}, "'quantization_config' .* is not implemented"),
        ({"hidden_act": "swoosh"}, "cannot be built of it"),
    ],
)
def test_a_config_that_is_not_implemented_is_one_sentence(change, sentence):
    settings = tiny("bert").to_dict() | change
    with pytest.raises(UserError, match=sentence) as refused:
        Transformers.check_config({key: value for key, value in settings.items() if value is not None})
    assert "\n" not in str(refused.value)


def test_settings_keep_what_the_class_reads():
    sizes = tiny("llama").to_dict()
    del sizes["rope_parameters"]
    raw = sizes | {"torch_dtype": "bfloat16", "rope_theta": 5e5, "auto_map": {}, "split": 10}
    settings = Transformers.settings(raw)
    assert {"model_type", "hidden_size", "rope_theta", "rms_norm_eps", "pad_token_id"} <= settings.keys()
    assert not {"torch_dtype", "dtype", "auto_map", "architectures", "use_cache", "split"} & settings.keys()
    assert Transformers.unread(raw) == ["split"]
    assert Transformers(settings)._settings.rope_parameters["rope_theta"] == 5e5


@pytest.mark.parametrize("model_type", ["bert", "esm", "gpt2", "llama", "mamba", "modernbert"])
def test_low_rank_adapters_find_the_linear_maps_of_the_body(model_type):
    """Whatever a type calls them: none of a head, and training moves the states through them alone."""
    model = initialise("transformers", tiny(model_type).to_dict() | {"model_type": model_type}, 1).eval()
    maps, ids = linear_maps(model), token_ids(20)
    assert len(maps) >= 2 * 2 and not any(model.is_head(name) for name in maps)
    before = model.encode(ids)
    add_adapters(model, 2, 4, 0.0, 1)
    assert torch.equal(model.encode(ids), before)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.1)
    assert not torch.allclose(model.encode(ids), before)
