"""Nucleotide Transformer v1 (Dalla-Torre et al. 2024, doi:10.1038/s41592-024-02523-z): ESM-1b.

Key names and arithmetic are those of `transformers`. Shapes as in blocks.py:

    x = word[id] s + position[i],  s = 0.88 / (1 - share of masks) with `token_dropout`, masks are 0; then 0 at padding
    x = x + W_o attention(LN_1 x)                  queries are scaled before they meet keys
    x = x + W_2 gelu(W_1 LN_2 x)                   `num_hidden_layers` times; gelu with erf
    hidden = LN_f x,  logits = W LN_h gelu(W_d hidden + b_d) + b

The first token has position `pad_token_id` + 1; padding has that of `pad_token_id`.

Keys: esm.embeddings.*, esm.encoder.layer.N.*, esm.encoder.emb_layer_norm_after.*, esm.contact_head.*, lm_head.*.
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
    VocabularyHead,
    dense,
    draw_normal,
    is_whole,
    run_layers,
)
from foundationless.models.contract import integers, keys
from foundationless.models.tokenizers import Tokenizer

_MASKED = 0.15 * 0.8  # share of tokens that were masks when the published models were trained


def _gelu(x: Tensor) -> Tensor:
    """As ESM writes it; torch's own differs in the last bits."""
    return x * 0.5 * (1.0 + torch.erf(x / 2**0.5))


class Attention(nn.Module):
    """Attention with biases, whose queries are scaled beforehand."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query * query.shape[3] ** -0.5, key, value, seen, dropout, scale=1.0)
        return mixed.transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, inner, dropout = (settings[k] for k in ("hidden_size", "intermediate_size", "hidden_dropout_prob"))
        norms = [nn.LayerNorm(width, eps=settings["layer_norm_eps"]) for _ in range(2)]
        mixer = Attention(width, settings["num_attention_heads"], settings["attention_probs_dropout_prob"])
        parts = {"self": mixer, "output": dense(width, width, dropout=dropout), "LayerNorm": norms[0]}
        self.attention = nn.ModuleDict(parts)
        self.intermediate = dense(width, inner)
        self.output = dense(inner, width, dropout=dropout)
        self.LayerNorm = norms[1]

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        x = self.attention["output"](self.attention["self"](self.attention["LayerNorm"](x), seen)) + x
        states: Tensor = self.output(_gelu(self.intermediate(self.LayerNorm(x)))) + x
        return states


class NucleotideTransformer(Layered):
    """Masked encoder over 6-mers.

    Random initialisation: linear and embedding weights N(0, `initializer_range`), padding rows 0, biases 0,
    LayerNorms 1 and 0.
    """

    family = "nt_v1"
    objective = "masked"
    padding = "mask"
    tokenizer = "nt_v1"
    implementation = "here"
    required: ClassVar = integers(
        """hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size
        max_position_embeddings pad_token_id mask_token_id"""
    )
    optional = keys(
        """layer_norm_eps emb_layer_norm_before token_dropout hidden_dropout_prob attention_probs_dropout_prob
        tie_word_embeddings"""
    )
    switches: ClassVar = {
        "position_embedding_type": ("absolute",),
        "is_folding_model": (False, None),
        "add_bias_fnn": (True,),
        "hidden_act": ("gelu",),
    }
    ignored: ClassVar = {
        key: "of rotary positions, which this form has not; `transformers` 5 writes it all the same"
        for key in ("rope_theta", "rope_parameters")
    }
    may_be_unexpected: ClassVar = {"esm.embeddings.position_ids": "0, 1, 2, ...: a constant that older versions stored"}
    may_be_missing: ClassVar = {"esm.contact_head.": "predicts contacts in proteins; no state or logit depends on it"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        absent = {"token_dropout": False, "emb_layer_norm_before": False, "tie_word_embeddings": True}
        settings = {**BertEncoder.defaults, **absent, **config}
        width, rows, self.pad = (settings[k] for k in ("hidden_size", "vocab_size", "pad_token_id"))
        epsilon, positions = settings["layer_norm_eps"], settings["max_position_embeddings"]
        self.width, self.vocabulary_size, self.max_tokens = width, rows, positions - self.pad - 1
        self.mask_id = settings["mask_token_id"] if settings["token_dropout"] else None
        words = nn.Embedding(rows, width, padding_idx=self.pad)
        embeddings: dict[str, nn.Module] = {"word_embeddings": words}
        if settings["emb_layer_norm_before"]:
            embeddings["layer_norm"] = nn.LayerNorm(width, eps=epsilon)
        embeddings["position_embeddings"] = nn.Embedding(positions, width, padding_idx=self.pad)
        layers = nn.ModuleList(Block(settings) for _ in range(settings["num_hidden_layers"]))
        encoder = {"layer": layers, "emb_layer_norm_after": nn.LayerNorm(width, eps=epsilon)}
        contacts = nn.Linear(settings["num_hidden_layers"] * settings["num_attention_heads"], 1)
        parts: dict[str, Any] = {"embeddings": embeddings, "encoder": encoder, "contact_head": {"regression": contacts}}
        self.esm = nn.ModuleDict({name: nn.ModuleDict(part) for name, part in parts.items()})
        spread = settings["initializer_range"] or 0.02  # as the official class takes 0
        draw_normal(self.esm, spread)
        self.lm_head = VocabularyHead(width, rows, epsilon, _gelu)
        draw_normal(self.lm_head, spread)
        if settings["tie_word_embeddings"]:
            self.lm_head.decoder.weight = words.weight

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if checked["max_position_embeddings"] < checked["pad_token_id"] + 2:
            raise UserError(
                f"configuration of family '{cls.family}': 'max_position_embeddings' = "
                f"{checked['max_position_embeddings']} leaves no position for a token; raise it."
            )
        return checked

    @classmethod
    def vocabulary_config(cls, tokenizer: Tokenizer) -> dict[str, Any]:
        # Without a mask token, an id that no tokenizer emits: token dropout then has nothing to drop.
        mask = tokenizer.size if tokenizer.mask_id is None else tokenizer.mask_id
        return super().vocabulary_config(tokenizer) | {"mask_token_id": mask}

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        """`num_hidden_layers` + 1 states [B, L, D]: the embedding, then each layer; the last after the final norm."""
        self._check_length(input_ids)
        esm: Any = self.esm
        x, seen = self._embed(input_ids.long(), mask), None
        if mask is not None and not is_whole(mask):
            seen = mask.bool()[:, None, None].expand(-1, 1, x.shape[1], -1)
        return run_layers(x, esm.encoder.layer, seen, esm.encoder.emb_layer_norm_after)

    def _embed(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        embeddings: Any = self.esm["embeddings"]
        x: Tensor = embeddings.word_embeddings(ids)
        # Padding itself is told by its id, and what is valid by the mask: without a mask all is.
        valid = torch.ones_like(ids) if mask is None else mask.long()
        if self.mask_id is not None:
            masked = ids == self.mask_id
            x = x.masked_fill(masked[..., None], 0.0)
            share = masked.sum(-1).float() / valid.sum(-1)
            x = (x * (1 - _MASKED) / (1 - share)[:, None, None]).to(x.dtype)
        counted = (ids != self.pad).int()
        places = (torch.cumsum(counted, dim=1).type_as(counted) * counted).long() + self.pad
        x = x + embeddings.position_embeddings(places)
        if "layer_norm" in embeddings:
            x = embeddings.layer_norm(x)
        return (x * valid[..., None]).to(x.dtype)
