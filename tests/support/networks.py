"""Tiny networks of every family, their directories as published or saved here, and token ids for them."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from foundationless.models.weights import initialise, save_weights

HYENA = dict(
    d_model=16, n_layer=1, d_inner=32, vocab_size=12, max_seq_len=66, emb_dim=3, filter_order=8, num_inner_mlps=1
)
CNN = dict(width=16, depth=2, kernel_size=9, vocab_size=10, max_tokens=66)
CARD = {"model": "tiny", "family": "hyenadna", "tokenizer": "hyenadna", "init": "random", "seed": 4, "source": "test"}
TINY = {
    "hyenadna": dict(
        d_model=16, n_layer=2, d_inner=32, vocab_size=12, max_seq_len=66, emb_dim=5, filter_order=8, num_inner_mlps=2
    ),
    "mistral": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48,
        vocab_size=12, max_position_embeddings=66, pad_token_id=9,
    ),
    "nt_v1": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=4105,
        max_position_embeddings=66, pad_token_id=1, mask_token_id=2, token_dropout=True, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, emb_layer_norm_before=False, tie_word_embeddings=False,
    ),
    "bert": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=40,
        max_position_embeddings=64, pad_token_id=3,
    ),
    "nt_v2": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=4107,
        max_position_embeddings=66, pad_token_id=1, position_embedding_type="rotary", token_dropout=False,
        add_bias_fnn=False, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, tie_word_embeddings=False,
    ),
    "dnabert2": dict(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=6, intermediate_size=48, vocab_size=40,
        max_position_embeddings=64, alibi_starting_size=64, attention_probs_dropout_prob=0.0,
    ),
    "gena_lm": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=40,
        max_position_embeddings=64, pad_token_id=3, pre_layer_norm=True, last_layer_norm=False,
    ),
    "caduceus": dict(
        d_model=16, n_layer=2, vocab_size=16, fused_add_norm=True, rms_norm=True, rcps=True, bidirectional=True,
        complement_map={str(i): {7: 10, 8: 9, 9: 8, 10: 7}.get(i, i) for i in range(16)},
    ),
    "cnn": dict(width=16, depth=3, kernel_size=5, vocab_size=10, max_tokens=66),
}  # fmt: skip
ESM = TINY["nt_v1"] | {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "layer_norm_eps": 1e-12}
IDS = {
    "nt_v1": (4, 4105), "nt_v2": (6, 4107), "cnn": (5, 10), "hyenadna": (7, 12), "caduceus": (7, 12), "mistral": (0, 6)
}  # fmt: skip


def tokens(family: str, *lengths: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    low, high = IDS.get(family, (5, 40))
    return [torch.randint(low, high, (n,), generator=generator) for n in lengths]


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
