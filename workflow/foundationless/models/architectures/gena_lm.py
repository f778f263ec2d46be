"""GENA-LM (Fishman et al. 2025, doi:10.1093/nar/gkae1310) with the key names and the arithmetic of its own code.

BERT with LayerNorm before each block and learned positions (shapes and embedding: blocks.py):

    x = x + W_o attention(LN_1 x)
    x = x + W_2 gelu(W_1 LN_2 x)                                 `num_hidden_layers` times; gelu with erf
    hidden = LN_f x if `last_layer_norm` (absent: true) else x   the published models: x, not normalised

The vocabulary head reads `hidden` as it is. Its matrix is the word embeddings, and its bias has two names.

Keys: bert.embeddings.{word_embeddings (V, D), position_embeddings (`max_position_embeddings`, D),
token_type_embeddings, LayerNorm}, bert.embeddings.position_ids (int64); bert.encoder.layer.N.{pre_attention_ln (LN_1),
attention.self.{query, key, value}, attention.output.dense (W_o), post_attention_ln (LN_2), intermediate.dense (W_1),
output.dense (W_2)}; bert.encoder.last_layer_ln (LN_f); cls.predictions.{transform.{dense, LayerNorm}, decoder, bias}.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import (
    BertEmbeddings,
    BertEncoder,
    SelfAttention,
    dense,
    draw_normal,
    predictions,
)


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        width, inner, dropout = (settings[k] for k in ("hidden_size", "intermediate_size", "hidden_dropout_prob"))
        self.pre_attention_ln, self.post_attention_ln = (
            nn.LayerNorm(width, eps=settings["layer_norm_eps"]) for _ in range(2)
        )
        mixer = SelfAttention(width, settings["num_attention_heads"], settings["attention_probs_dropout_prob"])
        self.attention = nn.ModuleDict({"self": mixer, "output": dense(width, width, dropout=dropout)})
        self.intermediate = dense(width, inner)
        self.output = dense(inner, width, dropout=dropout)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        x = x + self.attention["output"](self.attention["self"](self.pre_attention_ln(x), bias))
        states: Tensor = x + self.output(F.gelu(self.intermediate(self.post_attention_ln(x))))
        return states


class GenaLM(BertEncoder):
    """GENA-LM with its vocabulary head; see the module's docstring for equations, shapes and key names.

    Random initialisation, as measured on the official code: linear and embedding weights N(0, `initializer_range`),
    the padding row 0, biases 0, LayerNorms 1 and 0. The scaling of output layers in the official file never fires.
    """

    family = "gena_lm"
    tokenizer = "gena_lm"
    switches: ClassVar = {
        "pre_layer_norm": (True,),
        "last_layer_norm": (True, False),
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
        "tie_word_embeddings": (True,),
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**self.defaults, "last_layer_norm": True, **config}
        self.width, self.vocabulary_size = settings["hidden_size"], settings["vocab_size"]
        self.max_tokens = settings["max_position_embeddings"]
        layers = nn.ModuleList(Block(settings) for _ in range(settings["num_hidden_layers"]))
        encoder: dict[str, nn.Module] = {"layer": layers}
        if settings["last_layer_norm"]:
            encoder["last_layer_ln"] = nn.LayerNorm(self.width, eps=settings["layer_norm_eps"])
        embeddings = BertEmbeddings(settings, positions=self.max_tokens)
        self.bert = nn.ModuleDict({"embeddings": embeddings, "encoder": nn.ModuleDict(encoder)})
        head: Any = predictions(self.width, self.vocabulary_size, settings["layer_norm_eps"])
        head.bias = head.decoder.bias  # its second name
        self.cls = nn.ModuleDict({"predictions": head})
        draw_normal(self, settings["initializer_range"])
        head.decoder.weight = embeddings.word_embeddings.weight

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if "pre_layer_norm" not in checked:
            raise UserError(
                "configuration of family 'gena_lm': the key 'pre_layer_norm' is missing, which the official code reads "
                "as false, a post-LayerNorm BERT; set it to true, or name the family 'bert'."
            )
        return checked
