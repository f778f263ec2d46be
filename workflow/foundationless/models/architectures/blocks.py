"""Blocks that the bidirectional encoders written here share: attention, BERT's embeddings and vocabulary head.

Shapes: B batch, L tokens, D width, H heads, d = D / H, V vocabulary rows. Attention of one head:

    softmax(q k^T / sqrt(d) + bias) v        q, k, v (B, H, L, d);  bias broadcasts to (B, H, L, L)
    embedding = LN(word[id] + position[i] + type[t])
    logits = W LN(gelu(W_t hidden + b_t)) + b,  W the word embeddings

Under autocast the residual stream and every LayerNorm that reads it stay in float32; matrix products and attention run
in the lower precision, the softmax inside attention in float32.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.models.contract import GenomicModel, integers

# Longest keys for which training in 16 bits on a CPU writes attention out: the fused kernel's backward pass takes twice
# the time up to about 200 of them, as much at 256, and half of it at 512 (tests/benchmarks/models.md).
_WRITTEN_OUT = 256


def working_dtype(x: Tensor) -> torch.dtype:
    """The dtype that matrix products of `x` run in: autocast's where that is on, else the dtype of `x`."""
    device = x.device.type
    lowered = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if lowered else x.dtype


def padding_bias(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 at valid and the most negative number at padded keys, [B, 1, 1, L], from a mask [B, L].

    Finite, unlike -inf: a sequence without any valid token gives numbers, not NaN.
    """
    bias = torch.zeros(attention_mask.shape, dtype=dtype, device=attention_mask.device)
    return bias.masked_fill(~attention_mask.bool(), torch.finfo(dtype).min)[:, None, None]


def is_whole(mask: Tensor) -> bool:
    """Whether every token is valid; within `vmap`, where nobody can look, no."""
    return not torch._C._functorch.is_batchedtensor(mask) and bool(mask.all())


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    """Softmax attention of q, k, v [B, H, L, d] with an additive bias; the heads side by side, [B, L, D]."""
    short = key.shape[2] <= _WRITTEN_OUT and key.dtype is torch.bfloat16 and key.device.type == "cpu"
    if short and torch.is_grad_enabled() and query.requires_grad:
        mixed = written_out(query, key, value, bias, dropout)
    else:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
    return mixed.transpose(1, 2).flatten(2)


def written_out(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    """The same as three operations, as the official code has it, [B, H, L, d]; the softmax runs in float32."""
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    weights = torch.softmax(scores if bias is None else scores + bias, -1, dtype=torch.float32).to(value.dtype)
    return F.dropout(weights, dropout) @ value


def run_layers(x: Tensor, layers: Iterable[nn.Module], bias: Tensor | None, last: nn.Module | None) -> Iterator[Tensor]:
    """`x`, then the state after each layer, the last one through the norm `last`, if any; each [B, L, D].

    One after the other, so that a caller who needs the last alone holds one state, not all.
    """
    *inner, final = layers
    yield x
    for layer in inner:
        x = layer(x, bias)
        yield x
    x = final(x, bias)
    yield x if last is None else last(x)


def last_of(states: Iterator[Tensor]) -> Tensor:
    """The last of at least one state."""
    for state in states:
        last = state
    return last


def draw_normal(model: nn.Module, spread: float) -> None:
    """Linear and embedding weights N(0, `spread`), biases and padding rows 0; LayerNorms stay 1 and 0."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=spread)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx])


def dense(inputs: int, outputs: int, bias: bool = True, dropout: float = 0.0) -> nn.Module:
    """A linear layer under the name `dense`, and dropout."""
    return nn.Sequential(OrderedDict(dense=nn.Linear(inputs, outputs, bias=bias), dropout=nn.Dropout(dropout)))


class SelfAttention(nn.Module):
    """Attention from the projections `query`, `key` and `value` (D, D), with positions turned in if they are rotary."""

    def __init__(self, width: int, heads: int, dropout: float, rotary_embeddings: nn.Module | None = None) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.rotary_embeddings = rotary_embeddings

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        x = x.to(working_dtype(x))  # once, where autocast would do it for each of the three
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        if self.rotary_embeddings is not None:
            query, key = self.rotary_embeddings(query, key)
        return attend(query, key, value, bias, self.dropout if self.training else 0.0)


class PostNormBlock(nn.Module):
    """BERT's block: x = LN_1(x + W_o attention(x)); x = LN_2(x + W_2 activation(W_1 x)), [B, L, D]."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        activation: Callable[[Tensor], Tensor],
        rotary_embeddings: nn.Module | None = None,
    ) -> None:
        super().__init__()
        width, heads, inner = (settings[k] for k in ("hidden_size", "num_attention_heads", "intermediate_size"))
        self.activation = activation

        def closing(inputs: int) -> nn.Module:
            layer = dense(inputs, width, dropout=settings["hidden_dropout_prob"])
            layer.add_module("LayerNorm", nn.LayerNorm(width, eps=settings["layer_norm_eps"]))
            return layer

        mixer = SelfAttention(width, heads, settings["attention_probs_dropout_prob"], rotary_embeddings)
        self.attention = nn.ModuleDict({"self": mixer, "output": closing(width)})
        self.intermediate = dense(width, inner)
        self.output = closing(inner)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        parts: Any = self.attention
        x = _close(parts["output"], parts["self"](x, bias), x)
        return _close(self.output, self.activation(self.intermediate(x)), x)


def _close(layer: Any, mixed: Tensor, x: Tensor) -> Tensor:
    states: Tensor = layer.LayerNorm(layer.dropout(layer.dense(mixed)) + x)
    return states


class BertEmbeddings(nn.Module):
    """Sum of word, type and (with `positions` > 0) position embeddings, normalised; [B, L, D].

    `stored`: whether the file holds the numbers of the positions too.
    """

    position_ids: Tensor

    def __init__(self, settings: Mapping[str, Any], positions: int = 0, stored: bool = True) -> None:
        super().__init__()
        width = settings["hidden_size"]
        self.word_embeddings = nn.Embedding(settings["vocab_size"], width, padding_idx=settings["pad_token_id"])
        self.token_type_embeddings = nn.Embedding(settings["type_vocab_size"], width)
        self.position_embeddings = nn.Embedding(positions, width) if positions else None
        if positions:
            self.register_buffer("position_ids", torch.arange(positions)[None], persistent=stored)
        self.LayerNorm = nn.LayerNorm(width, eps=settings["layer_norm_eps"])
        self.dropout = nn.Dropout(settings["hidden_dropout_prob"])

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None) -> Tensor:
        types = input_ids.new_zeros(1, 1) if token_type_ids is None else token_type_ids
        x = self.word_embeddings(input_ids.long()) + self.token_type_embeddings(types.long())
        if self.position_embeddings is not None:
            places = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
            if attention_mask is not None:
                # Counted from the first valid token: padding on the left must not move the others.
                places = (places - attention_mask.int().argmax(1, keepdim=True)).clamp(min=0)
            x = x + self.position_embeddings(self.position_ids[0][places])
        states: Tensor = self.dropout(self.LayerNorm(x))
        return states


def predictions(width: int, rows: int, epsilon: float) -> nn.Sequential:
    """BERT's vocabulary head: `transform` and `decoder`."""
    parts = OrderedDict(dense=nn.Linear(width, width), gelu=nn.GELU(), LayerNorm=nn.LayerNorm(width, eps=epsilon))
    return nn.Sequential(OrderedDict(transform=nn.Sequential(parts), decoder=nn.Linear(width, rows)))


class VocabularyHead(nn.Module):
    """That of ESM, whose decoder has its bias beside it: logits [B, L, V]."""

    def __init__(self, width: int, rows: int, epsilon: float, gelu: Callable[[Tensor], Tensor] = F.gelu) -> None:
        super().__init__()
        self.gelu = gelu
        self.dense = nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width, eps=epsilon)
        self.decoder = nn.Linear(width, rows, bias=False)
        self.bias = nn.Parameter(torch.zeros(rows))

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.layer_norm(self.gelu(self.dense(hidden)))) + self.bias
        return logits


class Layered(GenomicModel):
    """A model that gives its states one after the other (`_states`), and whose vocabulary head is `lm_head`."""

    lm_head: nn.Module

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if "num_attention_heads" in cls.required and not checked.get("head_dim"):
            cls.check_divides(checked, "num_attention_heads", "hidden_size")
        return checked

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        raise NotImplementedError

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        return list(self._states(input_ids, attention_mask))

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        return last_of(self._states(input_ids, attention_mask))

    def project(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.lm_head(hidden)
        return logits


class Wrapped(Layered):
    """A network of `transformers`, which `_run` calls; `num_hidden_layers` + 1 states, the last normed if at all."""

    implementation = "transformers"

    def _run(self, input_ids: Tensor, attention_mask: Tensor | None, every: bool = False) -> Any:
        raise NotImplementedError

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        return list(self._run(input_ids, attention_mask, every=True).hidden_states)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        hidden: Tensor = self._run(input_ids, attention_mask).last_hidden_state
        return hidden


class BertEncoder(Layered):
    """What the BERTs have in common; a subclass registers `bert` (embeddings, encoder.layer) and `cls.predictions`.

    The third argument of the calls, `token_type_ids` [B, L], is the official one; without it all types are 0.
    """

    objective = "masked"
    padding = "mask"
    implementation = "here"
    required: ClassVar = integers("hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size")
    # What the official configuration class assumes where a key is absent.
    defaults: ClassVar[Mapping[str, Any]] = {
        "type_vocab_size": 2,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
    }
    optional = frozenset(defaults)
    bert: nn.ModuleDict
    cls: nn.ModuleDict

    def _states(self, input_ids: Tensor, mask: Tensor | None, types: Tensor | None = None) -> Iterator[Tensor]:
        self._check_length(input_ids)
        bert: Any = self.bert
        x = bert.embeddings(input_ids, mask, types)
        bias = None if mask is None else padding_bias(mask, working_dtype(x))
        return run_layers(x, bert.encoder.layer, bias, getattr(bert.encoder, "last_layer_ln", None))

    def _shown(self, state: Tensor, mask: Tensor | None) -> Tensor:
        """The state as the official code returns it."""
        return state

    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> list[Tensor]:
        """`num_hidden_layers` + 1 states [B, L, D]: the embedding, and the state after each layer."""
        return [self._shown(x, attention_mask) for x in self._states(input_ids, attention_mask, token_type_ids)]

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        return self._shown(last_of(self._states(input_ids, attention_mask, token_type_ids)), attention_mask)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        hidden = self.encode(input_ids, attention_mask, token_type_ids)
        return hidden, self.project(hidden)

    def project(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.cls["predictions"](hidden)
        return logits
