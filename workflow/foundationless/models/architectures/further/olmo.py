"""OLMo in the layout of its first release (Groeneveld et al. 2024, arXiv:2402.00838): Omni-DNA (Li et al. 2025,
arXiv:2502.03499).

Shapes: B batch, L tokens, D `d_model`, H `n_heads`, d = D / H, G key heads, I inner width, V vocabulary rows.

    x = E[id] (+ P[i] without rotary positions)                       (B, L, D)
    (q, k, v) = W_qkv LN_1 x;   x = x + W_o causal attention(R q, R k, v)
    (a, b) = W_1 LN_2 x;   x = x + W_2 (a silu(b))                    `n_layers` times
    hidden = LN_f x;   logits = W hidden                              W = E if `weight_tying`

R turns the pair (j, j + d/2) of a head at position i by the angle i / `rope_theta`^(2j/d). `clip_qkv` bounds q, k and
v; `attention_layer_norm` normalises q and k over all heads before R; with `norm_after` LN_1 and LN_2 stand behind
attention and feed-forward part. A norm is LayerNorm or, for `layer_norm_type` rms, RMSNorm, with weights or without
(`layer_norm_with_affine`). The same function as transformers' `olmo` where that has the switches, under other names.

Keys: model.transformer.wte (V, D); model.transformer.blocks.N.{att_proj (W_qkv; D + 2 G d, D), attn_out (W_o), ff_proj
(W_1; I, D), ff_out (W_2; D, I / 2), attn_norm, ff_norm, q_norm, k_norm}, the norms if they have weights;
model.transformer.{ln_f, wpe (P), ff_out (W)}, each if there is one.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Layered, working_dtype
from foundationless.models.architectures.further.mutbert import Turn
from foundationless.models.contract import integers
from foundationless.models.portable_rng import PreciseFunctions

# What the official configuration class assumes where a key is absent.
_DEFAULTS: dict[str, Any] = {
    "n_kv_heads": None, "multi_query_attention": None, "clip_qkv": None, "mlp_ratio": 4, "mlp_hidden_size": None,
    "activation_type": "swiglu", "block_group_size": 1, "rope": False, "rope_theta": 10_000, "attention_dropout": 0.1,
    "residual_dropout": 0.1, "embedding_dropout": 0.1, "attention_layer_norm": False, "layer_norm_type": "default",
    "layer_norm_with_affine": True, "layer_norm_eps": 1e-5, "attention_layer_norm_with_affine": True,
    "max_sequence_length": 1024, "include_bias": True, "bias_for_layer_norm": None, "scale_logits": False,
    "embedding_size": None, "weight_tying": True, "init_fn": "normal", "init_std": 0.02, "init_cutoff_factor": None,
    "emb_init_std": None, "scale_emb_init": False, "norm_after": False,
}  # fmt: skip
_COUNTS = ("mlp_ratio", "mlp_hidden_size", "max_sequence_length", "n_kv_heads", "embedding_size", "rope_theta")
_BOOLEAN = (True, False)
_CUT = 3.0  # deviations beyond which nothing is drawn, where the scheme cuts


class Norm(nn.Module):
    """LayerNorm or RMSNorm, with a weight, a bias, both or neither; RMSNorm in float32."""

    def __init__(self, settings: Mapping[str, Any], width: int, affine: bool) -> None:
        super().__init__()
        self.rms, self.epsilon = settings["layer_norm_type"] == "rms", settings["layer_norm_eps"]
        said = settings["bias_for_layer_norm"]
        biased = affine and (settings["include_bias"] if said is None else said)
        self.shape = (width,)
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if biased else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.rms:
            return F.layer_norm(x, self.shape, self.weight, self.bias, self.epsilon)
        wide = torch.promote_types(x.dtype, torch.float32)
        x = F.rms_norm(x.to(wide), self.shape, eps=self.epsilon).to(x.dtype)
        x = x if self.weight is None else self.weight * x
        return x if self.bias is None else x + self.bias


class Block(nn.Module):
    """Attention and feed-forward part, each normed and added."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        width, self.heads, self.shared = settings["d_model"], settings["n_heads"], _key_heads(settings)
        head, bias, inner = width // self.heads, settings["include_bias"], _inner(settings)
        gated = settings["activation_type"] == "swiglu"
        affine, own = settings["layer_norm_with_affine"], settings["attention_layer_norm_with_affine"]
        if settings["attention_layer_norm"]:
            self.k_norm, self.q_norm = Norm(settings, head * self.shared, own), Norm(settings, width, own)
        self.attn_out = nn.Linear(width, width, bias=bias)
        self.ff_out = nn.Linear(inner // 2 if gated else inner, width, bias=bias)
        self.sizes = [width, head * self.shared, head * self.shared]
        self.att_proj = nn.Linear(width, sum(self.sizes), bias=bias)
        self.ff_proj = nn.Linear(width, inner, bias=bias)
        self.attn_norm, self.ff_norm = Norm(settings, width, affine), Norm(settings, width, affine)
        self.turn = Turn(head, settings["rope_theta"]) if settings["rope"] else None

    def forward(self, x: Tensor) -> Tensor:
        after = self.settings["norm_after"]
        x = x + self._dropped(self.attn_norm(self._attend(x)) if after else self._attend(self.attn_norm(x)))
        return x + self._dropped(self.ff_norm(self._feed(x)) if after else self._feed(self.ff_norm(x)))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.settings["residual_dropout"], self.training)

    def _attend(self, x: Tensor) -> Tensor:
        fused, bound = self.att_proj(x.to(working_dtype(x))), self.settings["clip_qkv"]
        if bound is not None:
            fused = fused.clamp(-bound, bound)
        query, key, value = fused.split(self.sizes, dim=-1)
        if self.settings["attention_layer_norm"]:
            query, key = self.q_norm(query).to(value.dtype), self.k_norm(key).to(value.dtype)
        query, key, value = (
            part.unflatten(2, (heads, -1)).transpose(1, 2)
            for part, heads in ((query, self.heads), (key, self.shared), (value, self.shared))
        )
        if self.turn is not None:
            query, key = self.turn(query, key)
        dropout = self.settings["attention_dropout"] if self.training else 0.0
        grouped = self.heads != self.shared
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True, enable_gqa=grouped)
        states: Tensor = self.attn_out(mixed.transpose(1, 2).flatten(2))
        return states

    def _feed(self, x: Tensor) -> Tensor:
        x = self.ff_proj(x)
        if self.settings["activation_type"] == "swiglu":
            value, gate = x.chunk(2, dim=-1)
            x = F.silu(gate) * value
        else:
            x = F.relu(x) if self.settings["activation_type"] == "relu" else F.gelu(x)
        states: Tensor = self.ff_out(x)
        return states


class OLMo(Layered):
    """OLMo with its vocabulary head; see the module's docstring for equations, shapes and key names.

    Hidden states: the embedding, the state after each block but the last, and the final normed one. Random
    initialisation: all biases 0, norms 1 and 0, and normal weights whose deviations `init_fn` says: `normal`,
    `init_std` for all; `mitchell`, 1 / sqrt(D), in block n 1 / sqrt(2 D n) for `attn_out` and 1 / sqrt(2 inputs n) for
    `ff_out`; `full_megatron`, `init_std`, divided by sqrt(2 `n_layers`) for those two, and 1 / sqrt(D) for the head;
    the latter two cut at three deviations, or at `init_cutoff_factor`.
    """

    family = "olmo"
    objective = "causal"
    padding = "right"
    tokenizer = "published"
    implementation = "here"
    required: ClassVar = integers("d_model n_heads n_layers vocab_size")
    switches: ClassVar = {
        "activation_type": ("swiglu", "gelu", "relu"),
        "block_type": ("sequential",),
        "block_group_size": (1,),
        "alibi": (False,),
        "rope": _BOOLEAN,
        "attention_layer_norm": _BOOLEAN,
        "attention_layer_norm_with_affine": _BOOLEAN,
        "embedding_layer_norm": (False,),
        "layer_norm_type": ("default", "low_precision", "rms"),
        "layer_norm_with_affine": _BOOLEAN,
        "include_bias": _BOOLEAN,
        "bias_for_layer_norm": (None, *_BOOLEAN),
        "scale_logits": (False,),
        "weight_tying": _BOOLEAN,
        "norm_after": _BOOLEAN,
        "multi_query_attention": (None, *_BOOLEAN),
        "scale_emb_init": _BOOLEAN,
        "init_fn": ("normal", "mitchell", "full_megatron"),
    }
    optional = frozenset(_DEFAULTS) - switches.keys()
    ignored: ClassVar = {
        "alibi_bias_max": "of positions that are not implemented, and refused",
        "rope_full_precision": "positions are turned in float32 here",
        "flash_attention": "a kernel, not another function",
        "init_device": "where the official code builds the network",
        "precision": "of the authors' training",
        "tie_word_embeddings": "the official code reads 'weight_tying'",
    }

    may_be_unexpected: ClassVar = {"word_embeddings.weight": "the embedding under a second name"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = _DEFAULTS | {key: value for key, value in config.items() if value is not None}
        self._full = settings
        self.width, self.max_tokens = settings["d_model"], settings["max_sequence_length"]
        self.vocabulary_size = settings["embedding_size"] or settings["vocab_size"]
        affine, rows = settings["layer_norm_with_affine"], self.vocabulary_size
        parts: dict[str, nn.Module] = {
            "wte": nn.Embedding(rows, self.width),
            "ln_f": Norm(settings, self.width, affine),
            "blocks": nn.ModuleList(Block(settings) for _ in range(settings["n_layers"])),
        }
        if not settings["rope"]:
            parts["wpe"] = nn.Embedding(self.max_tokens, self.width)
        if not settings["weight_tying"]:
            parts["ff_out"] = nn.Linear(self.width, rows, bias=settings["include_bias"])
        self.model = nn.ModuleDict({"transformer": nn.ModuleDict(parts)})
        with PreciseFunctions():
            self._draw(parts, settings)

    def _draw(self, parts: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        scheme, base = settings["init_fn"], settings["init_std"]
        wide = 1 / math.sqrt(self.width)
        plain = wide if scheme == "mitchell" else base
        words = settings["emb_init_std"] or plain
        if scheme == "full_megatron" and settings["scale_emb_init"] and not settings["emb_init_std"]:
            words = base / wide
        cut = settings["init_cutoff_factor"] or (None if scheme == "normal" else _CUT)
        _normal(parts["wte"], words, cut)
        if "wpe" in parts:
            _normal(parts["wpe"], plain, cut)
        if "ff_out" in parts:
            _normal(parts["ff_out"], base if scheme == "normal" else wide, cut)
        for number, block in enumerate(parts["blocks"], start=1):
            attention = feed = base
            if scheme == "mitchell":
                attention = 1 / math.sqrt(2 * self.width * number)
                feed = 1 / math.sqrt(2 * block.ff_out.in_features * number)
            elif scheme == "full_megatron":
                attention = feed = base / math.sqrt(2 * settings["n_layers"])
            spreads = {"attn_out": attention, "ff_out": feed, "att_proj": plain, "ff_proj": plain}
            for name, spread in spreads.items():
                _normal(getattr(block, name), spread, cut)

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        # No id of a token reaches the network, and published ones may be those of another vocabulary.
        tokens = {key: value for key, value in config.items() if str(key).endswith("_token_id")}
        checked = super().check_config({key: value for key, value in config.items() if key not in tokens}) | tokens
        where = f"configuration of family '{cls.family}'"
        cls.check_divides(checked, "n_heads", "d_model")
        settings = _DEFAULTS | {key: value for key, value in checked.items() if value is not None}
        for key in _COUNTS:
            value = settings[key]
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and 1 <= value < 2**31):
                raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be an integer from 1.")
        for key in ("clip_qkv", "init_std", "init_cutoff_factor", "emb_init_std"):
            value = settings[key]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and 0 < value < 1e6):
                raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be a number above 0.")
        if settings["n_heads"] % _key_heads(settings):
            raise UserError(f"{where}: 'n_kv_heads' = {_key_heads(settings)} does not divide 'n_heads'.")
        if settings["rope"] and (settings["d_model"] // settings["n_heads"]) % 2:
            raise UserError(f"{where}: rotary positions need an even head size; change 'n_heads'.")
        if settings["activation_type"] == "swiglu" and _inner(settings) % 2:
            raise UserError(f"{where}: the inner width {_inner(settings)} is odd, and half of it is the gate.")
        if (settings["embedding_size"] or settings["vocab_size"]) < settings["vocab_size"]:
            raise UserError(f"{where}: 'embedding_size' = {settings['embedding_size']} is less than 'vocab_size'.")
        return checked

    @classmethod
    def vocabulary_config(cls, tokenizer: Any) -> dict[str, Any]:
        return {**super().vocabulary_config(tokenizer), "embedding_size": None}

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        self._check_length(input_ids)
        body: Any = self.model["transformer"]
        x = body.wte(input_ids.long())
        if not self._full["rope"]:
            x = x + body.wpe.weight[: x.shape[1]]
        x = F.dropout(x, self._full["embedding_dropout"], self.training)
        yield x
        *inner, last = body.blocks
        for block in inner:
            x = block(x)
            yield x
        yield body.ln_f(last(x))

    def project(self, hidden: Tensor) -> Tensor:
        body: Any = self.model["transformer"]
        logits: Tensor = F.linear(hidden, body.wte.weight) if self._full["weight_tying"] else body.ff_out(hidden)
        return logits

    def embedding_names(self) -> list[str]:
        return ["model.transformer.wte.weight"]


def _key_heads(settings: Mapping[str, Any]) -> int:
    if settings["n_kv_heads"] is not None:
        return int(settings["n_kv_heads"])
    return 1 if settings["multi_query_attention"] else int(settings["n_heads"])


def _inner(settings: Mapping[str, Any]) -> int:
    return int(settings["mlp_hidden_size"] or settings["mlp_ratio"] * settings["d_model"])


def _normal(layer: Any, spread: float, cut: float | None) -> None:
    """Weights N(0, `spread`), none beyond `cut` deviations, and biases 0."""
    if cut is None:
        nn.init.normal_(layer.weight, std=spread)
    else:
        # By the inverse of the distribution: torch's own function draws until all fit, and a load draws nothing.
        share = math.erf(cut / math.sqrt(2))
        with torch.no_grad():
            layer.weight.uniform_(-share, share).erfinv_().mul_(spread * math.sqrt(2))
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.bias)
