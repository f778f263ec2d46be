"""MutBERT (Long et al. 2025, doi:10.1101/2025.01.23.634452), as its own remote code has it.

BERT with rotary positions in place of learned ones (shapes, attention, embedding and head: blocks.py):

    x = LN(word[id] + type[0])
    x = LN_1(x + W_o attention(R q, R k, v));  x = LN_2(x + W_2 gelu(W_1 x))      `num_hidden_layers` times
    hidden = x;  logits = W LN(gelu(W_t hidden + b_t)) + b

R turns the pair (j, j + d/2) of a head at position i by the angle i / `rope_theta`^(2j/d). The official code reads
distributions over letters, [B, L, V], of which an id is the one with all weight on it. It is the function of
transformers' RoFormer with the rows of queries and keys in another order (tests/unit/models/test_own_families.py).
Positions beyond `max_position_embeddings`, what it was trained on, are computed as all others.

Keys: bert.embeddings.{word_embeddings, token_type_embeddings, LayerNorm}; bert.encoder.layer.N.{attention.self.{query,
key, value}, attention.output.{dense, LayerNorm}, intermediate.dense, output.{dense, LayerNorm}}; cls.predictions.
{transform.{dense, LayerNorm}, decoder.{weight, bias}, bias}: the two biases are one tensor, and the weight is that of
the word embeddings unless `tie_word_embeddings` is false.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import (
    BertEmbeddings,
    BertEncoder,
    PostNormBlock,
    draw_normal,
    predictions,
)
from foundationless.models.architectures.nt_v2 import Rotary


class Turn(Rotary):
    """The rotation of nt_v2.py with a base of its own; its frequencies are not stored."""

    def __init__(self, size: int, base: float) -> None:
        super().__init__(size)
        del self.inv_freq
        # In float64, rounded once: in float32 the last bit depends on the processor.
        steps = torch.arange(0, size, 2, dtype=torch.float64) / size
        self.register_buffer("inv_freq", (1.0 / base**steps).float(), persistent=False)


class MutBERT(BertEncoder):
    """MutBERT with its masked head; see the module's docstring for equations, shapes and key names.

    Random initialisation: linear and embedding weights N(0, `initializer_range`), the row of padding and biases 0,
    LayerNorms 1 and 0.
    """

    family = "mutbert"
    tokenizer = "published"
    defaults: ClassVar = {**BertEncoder.defaults, "rope_theta": 10000.0}
    optional = frozenset(defaults)
    switches: ClassVar = {
        "hidden_act": ("gelu",),
        "rope_scaling": (None,),
        "is_decoder": (False,),
        "position_embedding_type": ("absolute",),
        "tie_word_embeddings": (True, False),
    }
    ignored: ClassVar = {"pooler_type": "no state and no logit depends on the pooler"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**self.defaults, **config}
        self.width, self.vocabulary_size = settings["hidden_size"], settings["vocab_size"]
        self.max_tokens = settings["max_position_embeddings"]
        size = self.width // settings["num_attention_heads"]
        layers = nn.ModuleList(
            PostNormBlock(settings, F.gelu, Turn(size, settings["rope_theta"]))
            for _ in range(settings["num_hidden_layers"])
        )
        encoder = nn.ModuleDict({"layer": layers})
        self.bert = nn.ModuleDict({"embeddings": BertEmbeddings(settings), "encoder": encoder})
        head: Any = predictions(self.width, self.vocabulary_size, settings["layer_norm_eps"])
        head.bias = head.decoder.bias  # its second name
        self.cls = nn.ModuleDict({"predictions": head})
        draw_normal(self, settings["initializer_range"])
        if settings.get("tie_word_embeddings", True):
            words: Any = self.bert["embeddings"]
            head.decoder.weight = words.word_embeddings.weight

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        head = checked["hidden_size"] // checked["num_attention_heads"]
        if head % 2:
            raise UserError(
                f"configuration of family '{cls.family}': rotary positions need an even head size, not {head}; change "
                "the heads."
            )
        if not checked.get("rope_theta", 1):
            raise UserError(f"configuration of family '{cls.family}': 'rope_theta' is 0; it must be greater.")
        return checked
