"""What users hand to the models: configurations, cards, checkpoints, tokenizer files, each refused in one sentence."""

import json
import re

import pytest
import torch
import yaml
from safetensors.torch import save_file

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.hub import fetch_checkpoint, import_checkpoint
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import (
    initialise,
    load_checkpoint,
    load_weights,
    parse_config,
    retokenized,
    save_weights,
)
from support.networks import CARD, HYENA, TINY, publish

COMPLEMENT = TINY["caduceus"]["complement_map"]
# What else a family cannot do without.
ASKED = {"rcps", "complement_map", "pre_layer_norm", "num_key_value_heads", "position_embedding_type", "model_type"}
CONFIGS = {
    family: {key: value for key, value in config.items() if key in family_class(family).required.keys() | ASKED}
    for family, config in TINY.items()
}


def refused(words: str):
    return pytest.raises(UserError, match=rf"\A[^\n]*{words}[^\n]*\Z")


@pytest.mark.parametrize(
    ("family", "change", "words"),
    [
        ("nt_v2", {"position_embedding_type": "absolute"}, "position_embedding_type"),
        ("nt_v2", {"position_embedding_type": ...}, "'position_embedding_type' is missing"),
        ("nt_v2", {"token_dropout": True}, "token_dropout"),
        ("nt_v2", {"emb_layer_norm_before": True}, "emb_layer_norm_before"),
        ("nt_v2", {"add_bias_fnn": "no"}, "add_bias_fnn"),
        ("nt_v2", {"num_attention_heads": 7}, "does not divide"),
        ("nt_v2", {"hidden_size": 12}, "even head size"),
        ("nt_v2", {"pad_token_id": 29, "max_position_embeddings": 20}, "max_position_embeddings"),
        ("nt_v2", {"max_position_embeddings": 2}, "leaves no position"),
        ("dnabert2", {"hidden_act": "relu"}, "hidden_act"),
        ("dnabert2", {"num_attention_heads": 7}, "does not divide"),
        ("dnabert2", {"hidden_dropout_prob": 1.5}, "hidden_dropout_prob"),
        ("dnabert2", {"flash_attn": True}, "'flash_attn' = True is not implemented"),
        ("gena_lm", {"pre_layer_norm": False}, "pre_layer_norm"),
        ("gena_lm", {"pre_layer_norm": ...}, "name the family 'bert'"),
        ("gena_lm", {"last_layer_norm": "yes"}, "last_layer_norm"),
        ("gena_lm", {"position_embedding_type": "rotary"}, "position_embedding_type"),
        ("gena_lm", {"sparse_config_cls": "deepspeed.X"}, "sparse_config_cls"),
        ("gena_lm", {"tie_word_embeddings": False}, "tie_word_embeddings"),
        ("gena_lm", {"pad_token_id": 40}, "no row"),
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
        ("caduceus", {"rcps": False}, "'rcps' = False is not implemented"),
        ("caduceus", {"rcps": ...}, "'rcps' = False"),  # absent: as the official code assumes
        ("caduceus", {"bidirectional": False}, "'bidirectional' = False"),
        ("caduceus", {"bidirectional_strategy": "ew_multiply"}, "'bidirectional_strategy' = 'ew_multiply'"),
        ("caduceus", {"bidirectional_weight_tie": False}, "'bidirectional_weight_tie' = False"),
        ("caduceus", {"rms_norm": False}, "'rms_norm' = False"),
        ("caduceus", {"residual_in_fp32": "yes"}, "'residual_in_fp32' = 'yes'"),
        ("caduceus", {"fused_add_norm": "yes"}, "'fused_add_norm' = 'yes'"),
        ("caduceus", {"new_switch": 3}, "'new_switch' = 3 is not implemented"),
        ("caduceus", {"ssm_cfg": {"bias": True}}, r"'ssm_cfg\.bias' = True"),
        ("caduceus", {"ssm_cfg": {"dt_init": "constant"}}, r"'ssm_cfg\.dt_init' = 'constant'"),
        ("caduceus", {"ssm_cfg": {"d_state": 2.5}}, r"'ssm_cfg\.d_state' = 2\.5"),
        ("caduceus", {"ssm_cfg": {"dt_rank": "all"}}, r"'ssm_cfg\.dt_rank' = 'all'"),
        ("caduceus", {"ssm_cfg": {"chunk_size": 256}}, r"'ssm_cfg\.chunk_size' = 256"),
        ("caduceus", {"ssm_cfg": 16}, "'ssm_cfg' is 16"),
        ("caduceus", {"initializer_cfg": {"rescale_prenorm_residual": 3}}, r"_cfg\.rescale_prenorm_residual' = 3"),
        ("caduceus", {"complement_map": None}, "'complement_map' must name"),
        ("caduceus", {"complement_map": COMPLEMENT | {"7": 8}}, "'complement_map' must name"),
        ("caduceus", {"complement_map": {"0": 0, "2": 2}}, "'complement_map' must name"),
        ("caduceus", {"complement_map": COMPLEMENT, "vocab_size": 8}, "within the 8 rows"),
        ("caduceus", {"complement_map": COMPLEMENT | {"15": 99}}, "'complement_map' must name"),
        ("hyenadna", {"d_model": 2**31}, "'d_model' is 2147483648; it must be an integer from 1 to 2147483647"),
        ("hyenadna", {"n_layer": 10_001}, "'n_layer' is 10001; it must be an integer from 1 to 10000"),
        ("hyenadna", {"d_model": True}, "'d_model' is True"),
        ("hyenadna", {"pad_vocab_size_multiple": True}, "'pad_vocab_size_multiple' is True"),
        ("hyenadna", {"activation_freq": 10**400}, "'activation_freq' is 1000.*must be a number from 0"),
        ("hyenadna", {"activation_freq": float("inf")}, "'activation_freq' is inf"),
        ("hyenadna", {"initializer_range": True}, "'initializer_range' is True"),
        ("hyenadna", {"tie_word_embeddings": "no"}, "'tie_word_embeddings' is 'no'; it must be true or false"),
        ("hyenadna", {"layer_norm_epsilon": "x"}, "'layer_norm_epsilon'"),
        ("hyenadna", {"initializer_range": -1}, "'initializer_range'"),
        ("hyenadna", {"pad_vocab_size_multiple": 0}, "'pad_vocab_size_multiple'"),
        ("hyenadna", {"activation_freq": float("nan")}, "'activation_freq'"),
        ("hyenadna", {"pad_token_id": 99}, "'pad_token_id'"),
        ("hyenadna", {"eos_token_id": True}, "'eos_token_id' is True; it must be an integer from 0"),
        ("hyenadna", {"pad_token_id": -1}, "'pad_token_id' is -1; it must be an integer from 0"),
        ("hyenadna", {3: 4}, "a table of settings"),
        ("dnabert2", {"type_vocab_size": 0}, "'type_vocab_size' is 0"),
        ("dnabert2", {"num_attention_heads": 2**31 - 1}, "'num_attention_heads' is 2147483647"),
        ("gena_lm", {"max_position_embeddings": "512"}, "'max_position_embeddings' is '512'"),
        ("gena_lm", {"layer_norm_eps": float("nan")}, "'layer_norm_eps' is nan"),
        ("bert", {"hidden_dropout_prob": 1}, "'hidden_dropout_prob' is 1; it must lie between 0 and 1"),
        ("nt_v1", {"token_dropout": 1}, "'token_dropout' is 1; it must be true or false"),
        ("mistral", {"num_key_value_heads": None}, "'num_key_value_heads' is None"),
        ("mistral", {"rope_theta": "1e4"}, "'rope_theta' is '1e4'"),
        ("caduceus", {"vocab_size": 10**12}, "'vocab_size' is 1000000000000"),
        ("caduceus", {"vocab_size": 2**31 - 1}, "vocabulary rows exceed"),
        ("caduceus", {"pad_vocab_size_multiple": 2**31 - 1}, "vocabulary rows exceed"),
        *(("caduceus", {table: value}, f"'{table}' is .*it must be a table of settings")
          for table in ("ssm_cfg", "initializer_cfg") for value in (0, "", [], False)),
        ("caduceus", {"ssm_cfg": {"d_state": 10**12}}, r"'ssm_cfg\.d_state' = 1000000000000 is not implemented"),
        ("caduceus", {"ssm_cfg": {"expand": 2.0}}, r"'ssm_cfg\.expand' = 2\.0"),
        ("caduceus", {"ssm_cfg": {"dt_max": 10**400}}, r"'ssm_cfg\.dt_max' = 1000"),
        ("caduceus", {"ssm_cfg": {"dt_min": 0.5}}, r"'ssm_cfg\.dt_min' = 0\.5 exceeds 'ssm_cfg\.dt_max' = 0\.1"),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(family, change, words):
    family_class(family).check_config(TINY[family])
    with refused(words):
        initialise(family, {key: value for key, value in (TINY[family] | change).items() if value is not ...}, 0)


@pytest.mark.parametrize("family", CONFIGS)
def test_null_is_absence(family):
    model_class = family_class(family)
    optional = (model_class.optional | {"initializer_range"}) - model_class.required.keys() - CONFIGS[family].keys()
    one, other = (initialise(family, CONFIGS[family] | more, 3) for more in ({}, dict.fromkeys(optional)))
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("rows", [None, "3", [], {}, True, 0])
def test_vocabulary_sizes_that_are_none(rows):
    with refused("'vocab_size' is .*; it must be a positive integer"):
        retokenized("hyenadna", HYENA | {"vocab_size": rows}, load_tokenizer("hyenadna"))


def test_complements_that_are_not_those_of_the_tokenizer(tmp_path):
    wrong = TINY["caduceus"] | {"complement_map": {str(i): i for i in range(16)}}
    words = "'complement_map' makes 7 of 7, the id of A; with tokenizer 'caduceus' its complement is 10"
    with refused(words):
        retokenized("caduceus", wrong, load_tokenizer("caduceus"))
    model, card = initialise("caduceus", wrong, 0), CARD | {"family": "caduceus", "tokenizer": "caduceus"}
    with refused(words):
        import_checkpoint(publish(tmp_path / "official", model), tmp_path / "w", card)
    save_weights(tmp_path / "w", model, card)
    with refused(words):
        load_weights(tmp_path / "w")


def test_ids_of_another_tokenizer(tmp_path):
    source = publish(tmp_path / "official", initialise("hyenadna", HYENA, 0))
    with refused("tokenizer 'character' has 10 ids, the checkpoint was made for 12"):
        import_checkpoint(source, tmp_path / "w", CARD | {"tokenizer": "character"})
    import_checkpoint(source, tmp_path / "w", CARD | {"tokenizer": "caduceus"})  # the same twelve ids
    for name in ("character", "nt_v2"):
        tokenizer = load_tokenizer(name)
        model = initialise("hyenadna", retokenized("hyenadna", HYENA, tokenizer), 0)
        save_weights(tmp_path / "w", model, CARD | {"tokenizer": name})
        assert load_weights(tmp_path / "w").tokenizer.name == name


@pytest.mark.parametrize("family", TINY)
def test_tensors_missing_unexpected_and_of_other_shapes(tmp_path, family):
    model = initialise(family, TINY[family], 0)
    directory, state = publish(tmp_path / "official", model), model.published_state()
    name = next(name for name, tensor in state.items() if name.endswith("weight") and tensor.ndim == 2)
    shapes = r"\[3, 3\].*" + re.escape(str(list(state[name].shape)))
    for change, words in (
        ({name: None}, f"'{name}' is missing"),
        ({"stray.dense.weight": torch.zeros(2, 2)}, "'stray.dense.weight' is unexpected"),
        ({name: torch.zeros(3, 3)}, f"'{name}' has shape {shapes}"),
    ):
        save_file({k: v for k, v in (state | change).items() if v is not None}, directory / "model.safetensors")
        with refused(words):
            load_checkpoint(directory, family)
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(halved, directory / "model.safetensors")
    assert load_checkpoint(directory, family).state_dict()[name].dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.fill_(float("inf")), "not finite numbers"),
        (lambda x: x.index_fill_(0, torch.tensor(0), float("nan")), "not finite numbers"),
        (lambda x: x.double().fill_(1e300), "not finite numbers"),
        (lambda x: x.int(), r"is of type torch\.int32, the architecture asks for torch\.float32"),
    ],
)
def test_tensors_of_other_values_and_types(tmp_path, change, words):
    model = initialise("hyenadna", HYENA, 0)
    tensors = {name: tensor.clone() for name, tensor in model.published_state().items()}
    tensors["lm_head.weight"] = change(tensors["lm_head.weight"])
    directory = publish(tmp_path / "official", model)
    save_file(tensors, directory / "model.safetensors")
    with refused("'lm_head.weight' .*" + words):
        load_checkpoint(directory, "hyenadna")


@pytest.mark.parametrize(
    "change",
    [{"reading": None}, {"reading": []}, {"reading": "mine"}, {"init": 3}, {"model": None}, {"parameters": -1},
     {"parameters": True}, {"family": ["a"]}, {"tokenizer": None}, {"parameters": "many"}, {"sha256": 5},
     {"reading": "paper"}],
)  # fmt: skip
def test_cards(tmp_path, change):
    save_weights(tmp_path / "w", initialise("hyenadna", HYENA, 0), CARD)
    card = tmp_path / "w" / "weights.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with refused(rf"weights\.json: '{next(iter(change))}' is "):
        load_weights(tmp_path / "w")


@pytest.mark.parametrize(
    ("change", "dropout", "words"),
    [
        ({}, {}, None),
        ({}, {"dropout": 0.1}, "BPE dropout"),
        ({"post_processor": None}, {}, "does not encode ACGT as"),
        ({"normalizer": {"type": "Lowercase"}}, {}, "does not encode ACGT as"),
    ],
)
def test_piece_tokenizers(tmp_path, change, dropout, words):
    import tokenizers

    names = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", *"ACGT"]
    vocabulary = {name: index for index, name in enumerate(names)}
    pieces = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="[UNK]"))
    pieces.add_special_tokens(names[:5])
    pieces.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    table = json.loads(pieces.to_str())
    (tmp_path / "tokenizer.json").write_text(json.dumps(table | change | {"model": table["model"] | dropout}))
    if words is None:
        assert load_tokenizer("dnabert2", tmp_path).encode("ACGT").tolist() == [1, 5, 6, 7, 8, 2]
        return
    with refused(words):
        load_tokenizer("dnabert2", tmp_path)


@pytest.mark.parametrize("repository", ["./name", "../name", "owner/.", "owner/..", "../.."])
def test_repositories_outside_the_hub(tmp_path, repository):
    with refused("give OWNER/NAME"):
        fetch_checkpoint(repository, "0" * 40, local_hub=tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "--config: it is empty"),
        ('{"a": NaN}', "not finite"),
        ('{"a": -Infinity}', "not finite"),
        ('{"a": 1e400}', "not finite"),
        ('{"a": ' + "9" * 5000 + "}", "too long to be read"),
        ('{"a": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deeply"),
    ],
    ids=range(6),
)
def test_texts_that_are_no_configuration(tmp_path, text, words):
    with refused(words):
        parse_config(text)
    if text:
        (tmp_path / "config.json").write_text(text)
        with refused(words):
            parse_config(str(tmp_path / "config.json"))
        with refused(words):
            load_checkpoint(tmp_path, "hyenadna")


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"tokenizer": None}, "'tokenizer' is None; it must be the name of a tokenizer"),
        ({"objective": "denoising"}, "'objective' is 'denoising'; it must be 'causal' or 'masked'"),
        ({"padding": ["mask"]}, "'padding' is .*; it must be 'mask' or 'right' or 'equal'"),
        *(({name: ...}, f"the class attribute '{name}' is missing") for name in ("tokenizer", "objective", "padding")),
    ],
)
def test_classes_that_leave_something_unsaid(attributes, words):
    whole = {"tokenizer": "character", "objective": "causal", "padding": "right"}
    type("Whole", (GenomicModel,), whole).check_class()
    said = {name: value for name, value in (whole | attributes).items() if value is not ...}
    with refused("family 'mine.py:Own': .*" + words):
        type("Own", (GenomicModel,), said).check_class("mine.py:Own")


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("a", 3, "not an entry"),
        ("a", {"family": ["x"]}, "'family' is"),
        ("a", {"family": "cnn", "config": [1]}, "'config' is"),
        ("a", {"family": "cnn", "pretrained": "hub"}, "'pretrained' is"),
        ("a", {"family": "cnn", "pretrained": {"source": ["hub"]}}, "'pretrained.source' is"),
        ("a", {"family": "cnn", "parameters": "many"}, "'parameters' is 'many'"),
        (3, {"family": "cnn"}, "the name of a model"),
    ],
)
def test_entries_of_a_model_table(tmp_path, capsys, name, entry, words):
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({name: entry}))
    assert main(["models", "--table", str(tmp_path / "models.yaml"), "--weights", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert re.search(words, error) and error.count("\n") == 1
