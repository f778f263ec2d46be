"""Nucleotide Transformer v2 (Dalla-Torre et al. 2024, doi:10.1038/s41592-024-02523-z), as its own remote code has it.

ESM with rotary positions (Su et al. 2021, arXiv:2104.09864) and a gated feed-forward (shapes: blocks.py):

    x = word[id], 0 at padded tokens
    x = x + W_o attention(R q, R k, v),  (q, k, v) from LN_1 x
    (a, b) = W_1 LN_2 x;  x = x + W_2 (silu(a) b)                       `num_hidden_layers` times
    hidden = LN_f x;  logits = W LN_h(gelu(W_d hidden + b_d)) + b

R turns the pair (j, j + d/2) of a head at position i by the angle i `inv_freq`[j]; `inv_freq`[j] = 10000^(-2j/d) is
stored, and used as stored. `position_embeddings` and `contact_head` are stored too; no state or logit depends on them.
Any length runs: `max_position_embeddings` - 2 is what the model was trained on, no limit of its arithmetic.

Keys: esm.embeddings.{word_embeddings (V, D), position_embeddings}; esm.encoder.layer.N.{attention.LayerNorm (LN_1),
attention.self.{query, key, value, rotary_embeddings.inv_freq (d/2)}, attention.output.dense (W_o), LayerNorm (LN_2),
intermediate.dense (W_1; 2 `intermediate_size`, D), output.dense (W_2)}, the last two with a bias if `add_bias_fnn`;
esm.encoder.emb_layer_norm_after (LN_f); esm.contact_head.regression; lm_head.{dense (W_d), layer_norm (LN_h), decoder
(W), bias}.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import (
    BertEncoder,
    Layered,
    SelfAttention,
    VocabularyHead,
    dense,
    draw_normal,
    padding_bias,
    run_layers,
    working_dtype,
)
from foundationless.models.contract import integers, keys

_BASE = 10000.0


class Rotary(nn.Module):
    """Turns queries and keys [B, H, L, d] by their positions; angles, sines and products in float32."""

    inv_freq: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", 1.0 / _BASE ** (torch.arange(0, size, 2).float() / size))

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        angle = torch.arange(query.shape[2], device=query.device)[:, None] * self.inv_freq.float()
        cosine, sine = angle.cos(), angle.sin()

        def turn(x: Tensor) -> Tensor:
            first, second = x.chunk(2, dim=-1)
            turned = (first * cosine - second * sine, second * cosine + first * sine)
            return torch.cat(turned, dim=-1).to(x.dtype)

        return turn(query), turn(key)


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads, inner = (settings[k] for k in ("hidden_size", "num_attention_heads", "intermediate_size"))
        dropout, bias = settings["hidden_dropout_prob"], settings["add_bias_fnn"]
        mixer = SelfAttention(width, heads, settings["attention_probs_dropout_prob"], Rotary(width // heads))
        self.attention = nn.ModuleDict(
            {
                "self": mixer,
                "output": dense(width, width, dropout=dropout),
                "LayerNorm": nn.LayerNorm(width, eps=settings["layer_norm_eps"]),
            }
        )
        self.LayerNorm = nn.LayerNorm(width, eps=settings["layer_norm_eps"])
        self.intermediate = dense(width, 2 * inner, bias)
        self.output = dense(inner, width, bias, dropout)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        x = x + self.attention["output"](self.attention["self"](self.attention["LayerNorm"](x), bias))
        gate, value = self.intermediate(self.LayerNorm(x)).chunk(2, dim=-1)
        states: Tensor = x + self.output(F.silu(gate).mul_(value))
        return states


class NucleotideTransformerV2(Layered):
    """Masked encoder over 6-mers; see the module's docstring for equations, shapes and key names.

    Random initialisation, as measured on the official code: linear and embedding weights N(0, `initializer_range`),
    padding rows 0, biases 0, LayerNorms 1 and 0.
    """

    family = "nt_v2"
    objective = "masked"
    padding = "mask"
    tokenizer = "nt_v2"
    implementation = "here"
    required: ClassVar = integers(
        """hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size
        max_position_embeddings pad_token_id"""
    )
    optional = keys("layer_norm_eps hidden_dropout_prob attention_probs_dropout_prob")
    switches: ClassVar = {
        "position_embedding_type": ("rotary",),
        "add_bias_fnn": (True, False),
        "token_dropout": (False,),
        "emb_layer_norm_before": (False, None),
        "is_folding_model": (False, None),
        "tie_word_embeddings": (True, False),
    }
    ignored: ClassVar = {"hidden_act": "the official code always gates with SiLU"}
    may_be_unexpected: ClassVar = {"esm.embeddings.position_ids": "0, 1, 2, ...: a constant that older versions stored"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**BertEncoder.defaults, "add_bias_fnn": True, "tie_word_embeddings": True, **config}
        width, rows, pad = (settings[k] for k in ("hidden_size", "vocab_size", "pad_token_id"))
        depth, heads, epsilon = (settings[k] for k in ("num_hidden_layers", "num_attention_heads", "layer_norm_eps"))
        positions = settings["max_position_embeddings"]
        self.width, self.vocabulary_size, self.max_tokens = width, rows, positions - 2
        words = nn.Embedding(rows, width, padding_idx=pad)
        unused = nn.Embedding(positions, width, padding_idx=pad)
        layers = nn.ModuleList(Block(settings) for _ in range(depth))
        encoder = {"layer": layers, "emb_layer_norm_after": nn.LayerNorm(width, eps=epsilon)}
        embeddings, contacts = {"word_embeddings": words, "position_embeddings": unused}, nn.Linear(depth * heads, 1)
        parts: dict[str, Any] = {"embeddings": embeddings, "encoder": encoder, "contact_head": {"regression": contacts}}
        self.esm = nn.ModuleDict({name: nn.ModuleDict(part) for name, part in parts.items()})
        self.lm_head = VocabularyHead(width, rows, epsilon)
        draw_normal(self, settings["initializer_range"])
        if settings["tie_word_embeddings"]:
            self.lm_head.decoder.weight = words.weight

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        where = f"configuration of family '{cls.family}'"
        head = checked["hidden_size"] // checked["num_attention_heads"]
        if "position_embedding_type" not in checked:
            raise UserError(f"{where}: 'position_embedding_type' is missing; only 'rotary' is implemented, so set it.")
        if head % 2:
            raise UserError(f"{where}: rotary positions need an even head size, not {head}; change the heads.")
        if checked["max_position_embeddings"] < max(checked["pad_token_id"] + 1, 3):
            raise UserError(
                f"{where}: 'max_position_embeddings' = {checked['max_position_embeddings']} leaves no position for a "
                "token, or none for 'pad_token_id'; raise it."
            )
        return checked

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        """`num_hidden_layers` + 1 states [B, L, D]: the embedding, then each layer; the last after the final norm."""
        esm: Any = self.esm
        x, bias = esm.embeddings.word_embeddings(input_ids.long()), None
        if mask is not None:
            x, bias = x * mask[..., None].to(x.dtype), padding_bias(mask, working_dtype(x))
        return run_layers(x, esm.encoder.layer, bias, esm.encoder.emb_layer_norm_after)
