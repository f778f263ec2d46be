"""Mistral (Jiang et al. 2023, arXiv:2310.06825) with the key names and the arithmetic of `transformers`.

Its vocabulary is one of characters. Shapes as in blocks.py; G heads of keys and values, each for H / G of queries:

    x = x + W_o attention(turn(W_q r), turn(W_k r), W_v r)       r = RMSNorm(x)
    x = x + W_down (silu(W_gate r) * W_up r)                     r = RMSNorm(x)       `num_hidden_layers` times
    hidden = RMSNorm(x),  logits = W hidden
    RMSNorm(x) = g x / sqrt(mean(x^2) + eps), in float32

A token attends to itself and to the valid ones of the `sliding_window` - 1 before it (absent: 4,095; null: to all).
`turn` rotates component i and i + d / 2 of a head by position * `rope_theta`^(-2i / d).

Keys: model.embed_tokens, model.layers.N.{self_attn.{q,k,v,o}_proj, mlp.{gate,up,down}_proj, input_layernorm,
post_attention_layernorm}, model.norm, lm_head, all `.weight`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Layered, draw_normal, is_whole
from foundationless.models.contract import integers, is_number, keys


class _Place(NamedTuple):
    """What all layers share of a batch: cosines and sines [1, 1, L, d], and which keys a query sees, if not all before
    it: [B, 1, L, L], true and false, or `written_out`, to be added."""

    cosine: Tensor
    sine: Tensor
    mask: Tensor | None
    written_out: bool


class RMSNorm(nn.Module):
    """Root mean square normalisation."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        normed: Tensor = self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)).to(
            x.dtype
        )
        return normed


class Attention(nn.Module):
    """Causal attention of grouped queries."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads, groups = (settings[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads"))
        self.size, self.repeats, self.dropout = settings["head_dim"], heads // groups, settings["attention_dropout"]
        self.q_proj = nn.Linear(width, heads * self.size, bias=False)
        self.k_proj = nn.Linear(width, groups * self.size, bias=False)
        self.v_proj = nn.Linear(width, groups * self.size, bias=False)
        self.o_proj = nn.Linear(heads * self.size, width, bias=False)

    def forward(self, x: Tensor, place: _Place) -> Tensor:
        query, key, value = (
            layer(x).unflatten(2, (-1, self.size)).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = ((x * place.cosine) + (_half_turned(x) * place.sine) for x in (query, key))
        grouped = place.mask is None and self.size <= 256 and self.repeats > 1  # else no fused kernel takes groups
        if not grouped:
            key, value = (_repeated(x, self.repeats) for x in (key, value))
        dropout = self.dropout if self.training else 0.0
        if place.written_out:
            scores = torch.matmul(query, key.transpose(2, 3)) * self.size**-0.5 + place.mask
            shares = F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
            mixed = torch.matmul(F.dropout(shares, dropout, self.training), value)
        else:
            causal = place.mask is None and query.shape[2] > 1
            mixed = F.scaled_dot_product_attention(
                query, key, value, place.mask, dropout, causal, scale=self.size**-0.5, enable_gqa=grouped
            )
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def _repeated(x: Tensor, times: int) -> Tensor:
    """Each of the heads [B, G, L, d] for its queries: [B, G * times, L, d]."""
    return x if times == 1 else x[:, :, None].expand(-1, -1, times, -1, -1).flatten(1, 2)


class FeedForward(nn.Module):
    """Gated by SiLU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, epsilon = settings["hidden_size"], settings["rms_norm_eps"]
        self.self_attn = Attention(settings)
        self.mlp = FeedForward(width, settings["intermediate_size"])
        self.input_layernorm, self.post_attention_layernorm = (RMSNorm(width, epsilon) for _ in range(2))

    def forward(self, x: Tensor, place: _Place) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), place)
        states: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return states


class Mistral(Layered):
    """Causal transformer: RMSNorm, rotary positions, grouped-query attention, gated SiLU feed-forward.

    Random initialisation: linear and embedding weights N(0, `initializer_range`), the padding row 0, RMSNorm 1.
    """

    family = "mistral"
    objective = "causal"
    padding = "mask"
    tokenizer = "paper_char"
    implementation = "here"
    required: ClassVar = integers(
        """hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size
        max_position_embeddings"""
    )
    optional = keys(
        """num_key_value_heads head_dim rms_norm_eps rope_theta rope_parameters sliding_window
        attention_dropout tie_word_embeddings"""
    )
    # What the official configuration class assumes where a key is absent.
    defaults: ClassVar[Mapping[str, Any]] = {
        "num_key_value_heads": 8,
        "head_dim": None,
        "rms_norm_eps": 1e-6,
        "sliding_window": 4096,
        "attention_dropout": 0.0,
        "pad_token_id": None,
        "tie_word_embeddings": False,
        "initializer_range": 0.02,
    }
    switches: ClassVar = {"hidden_act": ("silu",), "rope_scaling": (None,)}

    rates: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**self.defaults, **config}
        self.width, self.vocabulary_size = settings["hidden_size"], settings["vocab_size"]
        self.max_tokens, self.window = settings["max_position_embeddings"], settings["sliding_window"]
        settings["head_dim"] = size = settings["head_dim"] or self.width // settings["num_attention_heads"]
        settings["num_key_value_heads"] = settings["num_key_value_heads"] or settings["num_attention_heads"]
        words = nn.Embedding(self.vocabulary_size, self.width, padding_idx=settings["pad_token_id"])
        layers = nn.ModuleList(Block(settings) for _ in range(settings["num_hidden_layers"]))
        norm = RMSNorm(self.width, settings["rms_norm_eps"])
        self.model = nn.ModuleDict({"embed_tokens": words, "layers": layers, "norm": norm})
        spread = settings["initializer_range"] or 0.02  # as the official class takes 0
        draw_normal(self.model, spread)
        self.lm_head = nn.Linear(self.width, self.vocabulary_size, bias=False)
        if settings["tie_word_embeddings"]:
            self.lm_head.weight = words.weight
        else:
            draw_normal(self.lm_head, spread)
        rates = 1.0 / _base(config) ** (torch.arange(0, size, 2, dtype=torch.float) / size)
        self.register_buffer("rates", rates, persistent=False)

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        where = f"configuration of family '{cls.family}'"
        head = checked.get("head_dim") or checked["hidden_size"] // checked["num_attention_heads"]
        if head % 2:
            raise UserError(f"{where}: rotary positions need an even head size, not {head}.")
        # 8 is what the official class assumes where the key is absent.
        cls.check_divides({"num_key_value_heads": 8, **checked}, "num_key_value_heads", "num_attention_heads")
        turns = checked.get("rope_parameters") or {}
        kind = turns.get("rope_type", turns.get("type", "default")) if isinstance(turns, Mapping) else turns
        if kind != "default" or not is_number(_base(checked)) or not set(turns) <= {"rope_type", "type", "rope_theta"}:
            raise UserError(
                f"{where}: 'rope_parameters' = {turns!r:.60} is not implemented (only 'default' with 'rope_theta')."
            )
        return checked

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        """`num_hidden_layers` + 1 states [B, L, D]: the embedding, then each layer; the last after the final norm."""
        model: Any = self.model
        x = model.embed_tokens(input_ids.long())
        place = self._place(x, mask)
        *inner, final = model.layers
        yield x
        for layer in inner:
            x = layer(x, place)
            yield x
        yield model.norm(final(x, place))

    def _place(self, x: Tensor, mask: Tensor | None) -> _Place:
        places = torch.arange(x.shape[1], device=x.device)
        with torch.no_grad():
            angles = places[None, None, :, None].float() * self.rates.float()
            angles = torch.cat((angles, angles), dim=-1)
            cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        # The paper pooled padding too, and what padding attends to differs between kernels: it wrote attention out.
        written_out = self.reading == "as_in_paper"
        cut = self.window is not None and x.shape[1] >= self.window
        if not (written_out or cut) and (mask is None or is_whole(mask)):
            return _Place(cosine, sine, None, written_out)
        seen = places[None, :] <= places[:, None]
        if self.window is not None:
            seen = seen & (places[None, :] > places[:, None] - self.window)
        seen = seen.expand(x.shape[0], 1, -1, -1)
        if mask is not None:
            seen = seen & mask.bool()[:, None, None]
        if written_out:
            seen = torch.where(seen, torch.zeros((), dtype=x.dtype, device=x.device), torch.finfo(x.dtype).min)
        return _Place(cosine, sine, seen, written_out)


def _base(config: Mapping[str, Any]) -> Any:
    turns = config.get("rope_parameters") or {}
    given = turns.get("rope_theta") if isinstance(turns, Mapping) else None
    return given or config.get("rope_theta") or 10_000.0
