"""Nucleotide Transformer v1 (Dalla-Torre et al. 2024, doi:10.1038/s41592-024-02523-z): ESM-1b as `transformers` has it.

Pre-LayerNorm encoder with learned positions (the first token has position `pad_token_id` + 1), erf GELU, token dropout
(embeddings scaled by 0.88 / (1 - share of masks)), final LayerNorm. Keys: esm.embeddings.*, esm.encoder.layer.N.*,
esm.encoder.emb_layer_norm_after.*, esm.contact_head.*, lm_head.*.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import EsmConfig, EsmForMaskedLM

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Wrapped
from foundationless.models.contract import integers, keys
from foundationless.models.tokenizers import Tokenizer


class NucleotideTransformer(Wrapped):
    """Masked encoder over 6-mers.

    Random initialisation: linear and embedding weights N(0, `initializer_range`), padding rows 0, biases 0,
    LayerNorms 1 and 0.
    """

    family = "nt_v1"
    objective = "masked"
    padding = "mask"
    tokenizer = "nt_v1"
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
    may_be_unexpected: ClassVar = {"esm.embeddings.position_ids": "0, 1, 2, ...: a constant that older versions stored"}
    may_be_missing: ClassVar = {"esm.contact_head.": "predicts contacts in proteins; no state or logit depends on it"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = EsmConfig(**self.settings(config))
        network = EsmForMaskedLM(settings)
        self.esm = network.esm
        self.lm_head = network.lm_head
        self.width = settings.hidden_size
        self.vocabulary_size = config["vocab_size"]
        self.max_tokens = settings.max_position_embeddings - config["pad_token_id"] - 1

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

    def _run(self, input_ids: Tensor, attention_mask: Tensor | None, every: bool = False) -> Any:
        self._check_length(input_ids)
        # Token dropout counts masks per valid token, and padding itself is told by its id: without a mask all count.
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return self.esm(input_ids.long(), mask.long(), output_hidden_states=every, return_dict=True)
