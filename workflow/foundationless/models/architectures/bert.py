"""Plain post-LayerNorm BERT (Devlin et al. 2019) as `transformers` has it: what the paper's *random* GENA-LM was.

`AutoModel.from_config` without remote code builds this network, not GENA-LM's pre-LayerNorm one. It is a `BertModel`
with pooler and without a vocabulary head. Keys, without prefix: embeddings.*, encoder.layer.N.*, pooler.dense.*.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Wrapped
from foundationless.models.contract import integers, keys


class Bert(Wrapped):
    """Masked encoder with learned positions; it has no vocabulary head, so `project` is a `UserError`.

    `forward` returns as its second value the pooler's output repeated over the positions [batch, tokens, width].
    Random initialisation: linear and embedding weights N(0, `initializer_range`), padding row 0, biases 0,
    LayerNorms 1 and 0.
    """

    family = "bert"
    objective = "masked"
    padding = "mask"
    tokenizer = "gena_lm"
    required: ClassVar = integers(
        """hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size
        max_position_embeddings"""
    )
    optional = keys(
        "type_vocab_size layer_norm_eps hidden_dropout_prob attention_probs_dropout_prob tie_word_embeddings"
    )
    switches: ClassVar = {"hidden_act": ("gelu",), "position_embedding_type": ("absolute",)}
    ignored: ClassVar = {
        "pre_layer_norm": "a key of GENA-LM's own code; the plain class that the paper built never reads it",
        "last_layer_norm": "a key of GENA-LM's own code; the plain class that the paper built never reads it",
    }
    vocabulary_heads = keys("pooler")  # it makes none, but no state depends on it either
    may_be_unexpected: ClassVar = {"embeddings.position_ids": "0, 1, 2, ...: a constant that older versions stored"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = BertConfig(**self.settings(config))
        network = BertModel(settings)
        # The parts are registered here under their official names; the whole only calls them, hence not as a child.
        self.embeddings, self.encoder = network.embeddings, network.encoder
        self.pooler: Any = network.pooler
        self._network = (network,)
        self.width = settings.hidden_size
        self.vocabulary_size = settings.vocab_size
        self.max_tokens = settings.max_position_embeddings

    def _run(self, input_ids: Tensor, attention_mask: Tensor | None, every: bool = False) -> Any:
        self._check_length(input_ids)
        mask = positions = None
        if attention_mask is not None:
            mask = attention_mask.long()
            # Counted from the first valid token: padding on the left must not move the others.
            indices = torch.arange(mask.shape[1], device=mask.device)
            positions = (indices - mask.argmax(1, keepdim=True)).clamp(min=0)
        return self._network[0](
            input_ids.long(), mask, position_ids=positions, output_hidden_states=every, return_dict=True
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(last hidden state, pooler output repeated over the positions), both [batch, tokens, width]."""
        hidden = self.encode(input_ids, attention_mask)
        if self._network[0].pooler is None:
            raise UserError("family 'bert': the checkpoint has no pooler; it can be fine-tuned and embedded.")
        return hidden, self.pooler(hidden)[:, None].expand_as(hidden)

    def behead(self) -> None:
        super().behead()
        self._network[0].pooler = None

    def project(self, hidden: Tensor) -> Tensor:
        raise UserError("family 'bert' has no vocabulary head; it can be fine-tuned and embedded, nothing else.")
