"""DNABERT-2 (Zhou et al. 2024, arXiv:2306.15006): MosaicML's BERT, with the key names and the arithmetic of its code.

BERT with LayerNorm after each block, linear biases for positions (ALiBi; Press et al. 2022, arXiv:2108.12409) and a
gated feed-forward (shapes and embedding, here without positions: blocks.py):

    (q, k, v) = W_qkv x;  score[i, j] = q_i k_j / sqrt(d) - slope |i - j|
    x = LN_1(x + W_o attention);  (a, b) = W_g x;  x = LN_2(x + W_2 (gelu(a) b))      `num_hidden_layers` times
    slope = 2^(-8 m / n), m = 1 ... n, n the largest power of two <= H; the other heads: m = 1/2, 3/2, 5/2, ...

Any length runs; `max_position_embeddings` is the length that the model was trained on, no limit of its arithmetic. With
an attention mask, states of padded tokens are exactly 0, in every layer. The official class returns the last state (or
the states of the valid tokens alone); here `hidden_states` has the embedding and all layers, as in the other families.

Keys: bert.embeddings.{word_embeddings (V, D), token_type_embeddings, LayerNorm}; bert.encoder.layer.N.{
attention.self.Wqkv (3D, D), attention.output.{dense (W_o), LayerNorm (LN_1)}, mlp.{gated_layers (W_g; 2
`intermediate_size`, D; no bias), wo (W_2), layernorm (LN_2)}}; cls.predictions.{transform.{dense, LayerNorm}, decoder},
decoder.weight being the word embeddings.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.models.architectures.blocks import (
    BertEmbeddings,
    BertEncoder,
    attend,
    draw_normal,
    predictions,
    run_layers,
    working_dtype,
)

_HEAD_EPSILON = 1e-12  # of the vocabulary head's LayerNorm, whatever `layer_norm_eps` says
_MASKED = -10000.0  # the bias of a padded key
_ALIGNMENT = 8  # columns; the attention kernels of GPUs would otherwise copy the bias in every layer


def alibi_slopes(heads: int) -> list[float]:
    """How fast each head forgets distance (Press et al. 2022, and its authors' rule for other head counts)."""
    power = 1 << (heads.bit_length() - 1)
    steps = [*range(1, power + 1), *(extra + 0.5 for extra in range(heads - power))]
    return [2 ** (-8 * step / power) for step in steps]


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.Wqkv = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        query, key, value = self.Wqkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return attend(query, key, value, bias, self.dropout if self.training else 0.0)


class _AttentionOutput(nn.Module):
    def __init__(self, width: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, mixed: Tensor, x: Tensor) -> Tensor:
        states: Tensor = self.LayerNorm(x + self.dropout(self.dense(mixed)))
        return states


class GatedMLP(nn.Module):
    """Feed-forward with a GELU gate, residual and LayerNorm; dropout before the second matrix, none after it."""

    def __init__(self, width: int, inner: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(width, 2 * inner, bias=False)
        self.wo = nn.Linear(inner, width)
        self.layernorm = nn.LayerNorm(width, eps=epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.gated_layers(x).chunk(2, dim=-1)
        states: Tensor = self.layernorm(x + self.wo(self.dropout(F.gelu(gate).mul_(value))))
        return states


class Block(nn.Module):
    """Post-norm residual block."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, epsilon, dropout = (settings[k] for k in ("hidden_size", "layer_norm_eps", "hidden_dropout_prob"))
        mixer = _Attention(width, settings["num_attention_heads"], settings["attention_probs_dropout_prob"])
        self.attention = nn.ModuleDict({"self": mixer, "output": _AttentionOutput(width, epsilon, dropout)})
        self.mlp = GatedMLP(width, settings["intermediate_size"], epsilon, dropout)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        states: Tensor = self.mlp(self.attention["output"](self.attention["self"](x, bias), x))
        return states


class DNABERT2(BertEncoder):
    """DNABERT-2 with its vocabulary head; see the module's docstring for equations, shapes and key names.

    Random initialisation, as measured on the official code: linear and embedding weights N(0, `initializer_range`),
    biases 0, LayerNorms 1 and 0. The row `pad_token_id` (absent: 0, which is [UNK]) is drawn like the others, through
    the tied decoder, but takes no gradient as an embedding. Under the reading `as_in_paper` no attention mask
    counts: the paper passed none, so that [PAD] was a token like any other.
    """

    family = "dnabert2"
    tokenizer = "dnabert2"
    paper_masked = False
    switches: ClassVar = {"hidden_act": ("gelu",)}
    defaults: ClassVar = {**BertEncoder.defaults, "attention_probs_dropout_prob": 0.0}
    ignored: ClassVar = {
        "position_embedding_type": "positions are linear biases in the official code, whatever this says",
        "alibi_starting_size": "the size of a table that the official code enlarges when it has to",
        "tie_word_embeddings": "the official code always ties the decoder to the word embeddings",
    }
    slopes: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**self.defaults, **config}
        self.width, self.vocabulary_size = settings["hidden_size"], settings["vocab_size"]
        self.max_tokens = settings["max_position_embeddings"]
        self.register_buffer("slopes", torch.tensor(alibi_slopes(settings["num_attention_heads"])), persistent=False)
        layers = nn.ModuleList(Block(settings) for _ in range(settings["num_hidden_layers"]))
        embeddings = BertEmbeddings(settings)
        self.bert = nn.ModuleDict({"embeddings": embeddings, "encoder": nn.ModuleDict({"layer": layers})})
        head: Any = predictions(self.width, self.vocabulary_size, _HEAD_EPSILON)
        head.decoder.weight = embeddings.word_embeddings.weight
        self.cls = nn.ModuleDict({"predictions": head})
        # After tying: the decoder's draw is the last, and leaves no row at 0.
        draw_normal(self, settings["initializer_range"])

    def _bias(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """-slope |i - j|, and `_MASKED` at padded keys; [1 or B, H, L, L], once for all layers."""
        length = x.shape[1]
        places = torch.arange(-(-length // _ALIGNMENT) * _ALIGNMENT, device=x.device)
        distance = (places[:length, None] - places).abs()
        bias = (-self.slopes[:, None, None] * distance).to(working_dtype(x))[None]
        if mask is not None and self.reading != "as_in_paper":
            padded = F.pad(~mask.bool(), (0, len(places) - length))
            bias = bias.masked_fill(padded[:, None, None], _MASKED)
        return bias[..., :length]

    def _states(self, input_ids: Tensor, mask: Tensor | None, types: Tensor | None = None) -> Iterator[Tensor]:
        x = self.bert["embeddings"](input_ids, None, types)
        encoder: Any = self.bert["encoder"]
        return run_layers(x, encoder.layer, self._bias(x, mask), None)

    def _shown(self, state: Tensor, mask: Tensor | None) -> Tensor:
        return state if mask is None or self.reading == "as_in_paper" else state.masked_fill(~mask.bool()[..., None], 0)
