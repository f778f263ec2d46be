"""Geneformer (Theodoris et al. 2023, doi:10.1038/s41586-023-06139-9): transformers' BERT with relu, over ranked genes.

Tokens are genes from the highest value of the cell down (models/cells/ranks.py), so that a position is a rank. Shapes,
attention, embedding and head: blocks.py.

    x = LN(word[id] + position[i] + type[0])
    x = LN_1(x + W_o attention(q, k, v));  x = LN_2(x + W_2 relu(W_1 x))      `num_hidden_layers` times
    hidden = x;  logits = W LN(relu(W_t hidden + b_t)) + b                    W the word embeddings

Keys: bert.embeddings.{word_embeddings, position_embeddings, token_type_embeddings, LayerNorm}; bert.encoder.layer.N.
{attention.self.{query, key, value}, attention.output.{dense, LayerNorm}, intermediate.dense, output.{dense,
LayerNorm}}; cls.predictions.{transform.{dense, LayerNorm}, decoder.{weight, bias}, bias}: the two biases are one
tensor, and the weight is that of the word embeddings. Published files leave out both names of the decoder; that of V1
holds bert.embeddings.position_ids too.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.models.architectures.blocks import (
    BertEmbeddings,
    BertEncoder,
    PostNormBlock,
    draw_normal,
)
from foundationless.models.cells.contract import CellModel
from foundationless.models.contract import keys


class Geneformer(BertEncoder, CellModel):
    """Geneformer, V1 and V2; see the module's docstring for equations, shapes and key names.

    Random initialisation, in the official order of draws: linear and embedding weights N(0, `initializer_range`), the
    row of <pad> and biases 0, LayerNorms 1 and 0.
    """

    family = "geneformer"
    switches: ClassVar = {
        "hidden_act": ("relu",),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    }
    vocabulary_heads = keys("cls")
    may_be_unexpected: ClassVar = {"embeddings.position_ids": "0, 1, 2, ...: a constant that older versions stored"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = {**self.defaults, **config}
        self.width, self.vocabulary_size = settings["hidden_size"], settings["vocab_size"]
        self.max_tokens = settings["max_position_embeddings"]
        embeddings = BertEmbeddings(settings, positions=self.max_tokens, stored=False)
        embeddings.add_module("token_type_embeddings", embeddings._modules.pop("token_type_embeddings"))  # drawn last
        layers = nn.ModuleList(PostNormBlock(settings, F.relu) for _ in range(settings["num_hidden_layers"]))
        self.bert = nn.ModuleDict({"embeddings": embeddings, "encoder": nn.ModuleDict({"layer": layers})})
        draw_normal(self.bert, settings["initializer_range"])
        transform = OrderedDict(
            dense=nn.Linear(self.width, self.width),
            relu=nn.ReLU(),
            LayerNorm=nn.LayerNorm(self.width, eps=settings["layer_norm_eps"]),
        )
        decoder = nn.Linear(self.width, self.vocabulary_size, bias=False)
        decoder.bias = nn.Parameter(torch.zeros(self.vocabulary_size))  # drawn by nothing
        head: Any = nn.Sequential(OrderedDict(transform=nn.Sequential(transform), decoder=decoder))
        head.bias = decoder.bias  # its second name
        self.cls = nn.ModuleDict({"predictions": head})
        draw_normal(self.cls, settings["initializer_range"])
        decoder.weight = embeddings.word_embeddings.weight

    def gene_vectors(self) -> Tensor:
        """The rows of the word embeddings, [vocabulary, width]."""
        table: Any = self.bert["embeddings"]
        words: Tensor = table.word_embeddings.weight
        return words

    def project(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.part("cls")["predictions"](hidden)
        return logits
