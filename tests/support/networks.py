"""Tiny networks of every family, their directories as published or saved here, and token ids for them."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.errors import UserError
from foundationless.models.weights import initialise, load_checkpoint, save_weights

HYENA = dict(
    d_model=16, n_layer=1, d_inner=32, vocab_size=12, max_seq_len=66, emb_dim=3, filter_order=8, num_inner_mlps=1
)
CNN = dict(width=16, depth=2, kernel_size=9, vocab_size=10, max_tokens=66)
CARD = {"model": "tiny", "family": "hyenadna", "tokenizer": "hyenadna", "init": "random", "seed": 4, "source": "test"}
ENCODER = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
STILL = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
NUCLEOTIDES = ENCODER | STILL | dict(max_position_embeddings=66, pad_token_id=1, tie_word_embeddings=False)
TINY = {
    "hyenadna": HYENA | dict(n_layer=2, emb_dim=5, num_inner_mlps=2),
    "mistral": ENCODER | dict(num_key_value_heads=2, vocab_size=12, max_position_embeddings=66, pad_token_id=9),
    "nt_v1": NUCLEOTIDES | dict(vocab_size=4105, mask_token_id=2, token_dropout=True, emb_layer_norm_before=False),
    "bert": ENCODER | dict(vocab_size=40, max_position_embeddings=64, pad_token_id=3),
    "nt_v2": NUCLEOTIDES
    | dict(vocab_size=4107, position_embedding_type="rotary", token_dropout=False, add_bias_fnn=False),
    "dnabert2": dict(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=6, intermediate_size=48, vocab_size=40,
        max_position_embeddings=64, alibi_starting_size=64, attention_probs_dropout_prob=0.0,
    ),
    "gena_lm": ENCODER
    | dict(vocab_size=40, max_position_embeddings=64, pad_token_id=3, pre_layer_norm=True, last_layer_norm=False),
    "caduceus": dict(
        d_model=16, n_layer=2, vocab_size=16, fused_add_norm=True, rms_norm=True, rcps=True, bidirectional=True,
        complement_map={str(i): {7: 10, 8: 9, 9: 8, 10: 7}.get(i, i) for i in range(16)},
    ),
    "caduceus_ph": dict(
        d_model=16, n_layer=2, vocab_size=16, fused_add_norm=True, rms_norm=True, rcps=False, bidirectional=True,
        complement_map={str(i): {7: 10, 8: 9, 9: 8, 10: 7}.get(i, i) for i in range(16)},
    ),
    "mutbert": ENCODER | STILL
    | dict(vocab_size=40, max_position_embeddings=64, pad_token_id=3, pooler_type="mean", rope_theta=10000.0),
    "gpn": dict(hidden_size=24, n_layers=3, kernel_size=5, vocab_size=12, dilation_max=4),
    "olmo": dict(
        d_model=32, n_heads=4, n_layers=2, vocab_size=40, mlp_hidden_size=96, rope=True, include_bias=False,
        layer_norm_with_affine=False, weight_tying=False, max_sequence_length=64, attention_dropout=0.0,
        residual_dropout=0.0, embedding_dropout=0.0, block_group_size=1,
    ),
    "transformers": ENCODER
    | dict(model_type="bert", vocab_size=40, max_position_embeddings=64, pad_token_id=3, type_vocab_size=1),
    "cnn": CNN | dict(depth=3, kernel_size=5),
    "dilated_cnn": CNN | dict(depth=4, kernel_size=5, dilation_max=4),
}  # fmt: skip
ESM = TINY["nt_v1"] | {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "layer_norm_eps": 1e-12}
PAD = dict(
    hyenadna=4,
    caduceus=4,
    caduceus_ph=4,
    mistral=9,
    nt_v1=1,
    nt_v2=1,
    bert=3,
    gena_lm=3,
    dnabert2=3,
    cnn=0,
    dilated_cnn=0,
    mutbert=3,
    transformers=3,
    gpn=0,
    olmo=3,
)
IDS = {
    "nt_v1": (4, 4105), "nt_v2": (6, 4107), "cnn": (5, 10), "gpn": (3, 12), "dilated_cnn": (5, 10),
    "hyenadna": (7, 12), "caduceus": (7, 12), "caduceus_ph": (7, 12), "mistral": (0, 6)
}  # fmt: skip


def tokens(family: str, *lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    low, high = IDS.get(family, (5, 40))
    return [torch.randint(low, high, (n,), generator=generator) for n in lengths]


def padded(rows: list[torch.Tensor], pad: int, side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of rows of several lengths."""
    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), pad), torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(longest - len(row), None)
        ids[i, place], mask[i, place] = row, 1
    return ids, mask


def save_model(
    directory: Path, family: str, config: dict, tokenizer: str, seed: int = 0, reading: str = "published"
) -> Path:
    card = {"model": family, "family": family, "tokenizer": tokenizer, "init": "random", "seed": seed, "source": {}}
    save_weights(directory, initialise(family, config, seed, reading), card)
    return directory


def publish(directory: Path, model: torch.nn.Module, **facts: object) -> Path:
    """A checkpoint as the authors of a model publish it; `facts` stand in its config.json too."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(model.config | facts))
    save_file(model.published_state(), directory / "model.safetensors")
    return directory


def assert_read_in_both_forms(directory: Path, model: torch.nn.Module) -> None:
    """The published file, then a pickled one with every name of a shared tensor, whose copies must be equal."""
    shared, state = model.shared_names(), model.state_dict()
    assert not shared.keys() & load_file(directory / "model.safetensors").keys()
    forms = [load_checkpoint(directory, model.family)]
    (directory / "model.safetensors").unlink()
    for pickled in (state, {name: tensor.clone() for name, tensor in state.items()}):
        torch.save(pickled, directory / "pytorch_model.bin")
        forms.append(load_checkpoint(directory, model.family))
    for loaded in forms:
        assert loaded.state_dict().keys() == state.keys()
        assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
        assert loaded.shared_names() == shared, "still tied"
    for name in shared:
        torch.save(pickled | {name: pickled[name] + 1}, directory / "pytorch_model.bin")
        with pytest.raises(UserError, match=rf"'{re.escape(name)}'.*one shared tensor"):
            load_checkpoint(directory, model.family)
    torch.save(state, directory / "pytorch_model.bin")
