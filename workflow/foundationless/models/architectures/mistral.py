"""Mistral (Jiang et al. 2023, arXiv:2310.06825) as `transformers` implements it, with a character vocabulary.

Keys: model.embed_tokens, model.layers.N.{self_attn.{q,k,v,o}_proj, mlp.{gate,up,down}_proj, input_layernorm,
post_attention_layernorm}, model.norm, lm_head, all `.weight`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor
from transformers import MistralConfig, MistralForCausalLM

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Wrapped
from foundationless.models.contract import integers, keys


class Mistral(Wrapped):
    """Causal transformer: RMSNorm, rotary positions, grouped-query attention, gated SiLU feed-forward.

    Random initialisation: linear and embedding weights N(0, `initializer_range`), the padding row 0, RMSNorm 1.
    """

    family = "mistral"
    objective = "causal"
    padding = "mask"
    tokenizer = "paper_char"
    required: ClassVar = integers(
        """hidden_size num_hidden_layers num_attention_heads intermediate_size vocab_size
        max_position_embeddings"""
    )
    optional = keys(
        """num_key_value_heads head_dim rms_norm_eps rope_theta rope_parameters sliding_window
        attention_dropout tie_word_embeddings"""
    )
    switches: ClassVar = {"hidden_act": ("silu",), "rope_scaling": (None,)}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        settings = MistralConfig(**self.settings(config), use_cache=False)
        network = MistralForCausalLM(settings)
        self.model = network.model
        self.lm_head = network.lm_head
        self.width = settings.hidden_size
        self.vocabulary_size = settings.vocab_size
        self.max_tokens = settings.max_position_embeddings

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        head = checked.get("head_dim") or checked["hidden_size"] // checked["num_attention_heads"]
        if head % 2:
            raise UserError(f"configuration of family 'mistral': rotary positions need an even head size, not {head}.")
        # 8 is what the official class assumes where the key is absent.
        cls.check_divides({"num_key_value_heads": 8, **checked}, "num_key_value_heads", "num_attention_heads")
        return checked

    def _run(self, input_ids: Tensor, attention_mask: Tensor | None, every: bool = False) -> Any:
        mask = None if attention_mask is None else attention_mask.long()
        # The paper pooled padding too, and what padding attends to differs between kernels: eager is the official one.
        self.model.config._attn_implementation = "eager" if self.reading == "as_in_paper" else "sdpa"
        return self.model(input_ids.long(), mask, use_cache=False, output_hidden_states=every, return_dict=True)
