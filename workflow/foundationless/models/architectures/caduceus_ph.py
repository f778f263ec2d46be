"""Caduceus-Ph (Schiff et al. 2024, arXiv:2403.03234) with the key names and the arithmetic of its published model.

Shapes: B batch, L tokens, D `d_model`, V vocabulary rows (padded); the mixer: mamba.py.

    r = 0, s = E[ids];   r = r + s;  s = mixer(RMSNorm r)             `n_layer` times
    hidden = RMSNorm_f(r + s);  logits = hidden E^T                    (B, L, D), (B, L, V)

The network reads one strand. What it is asked about a sequence is averaged over both (post-hoc conjoining): a
classifier pools either strand by itself, puts one head on both and averages the two logits, and was trained on a strand
drawn for every sequence; the states of a position are averaged where no classifier is. The vocabulary is predicted from
the strand as it stands. The contract has the words: `conjoined`, `other_strand`, `represent`.

Keys, X = caduceus.backbone: X.embeddings.word_embeddings.weight (V, D); X.layers.N.{mixer.{mamba_fwd, mamba_rev}.Y,
norm.weight (D)}, Y as in caduceus.py; X.norm_f.weight (D); lm_head.weight (V, D). The published safetensors file lacks
`mamba_rev.in_proj`, `mamba_rev.out_proj` and `lm_head`, each shared with what caduceus.py says.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.architectures.caduceus import Caduceus
from foundationless.models.architectures.scan.mamba import BiMamba
from foundationless.models.tokenizers import Tokenizer

# Tokens that stay where they are when a sequence is turned round: [CLS], [SEP], [BOS], [PAD], [RESERVED].
_AROUND = (0, 1, 2, 4, 5)


class PlainBlock(nn.Module):
    """Residual block over one strand, pre-norm."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.mixer = BiMamba(config["d_model"], config["ssm_cfg"])
        self.norm = nn.RMSNorm(config["d_model"], eps=config["norm_epsilon"])

    def forward(self, mixed: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """(mixed, residual), from those of the block before."""
        residual = mixed + residual
        return self.mixer(residual, self.norm), residual


class CaduceusPh(Caduceus):
    """Caduceus-Ph with its masked head; see the module's docstring for equations, shapes and key names.

    Hidden states: the embedding, the output of every mixer but the last (without its residual), and, `fused_add_norm`
    only, the final state; otherwise the switch changes nothing. Random initialisation: that of `Caduceus`.
    """

    family = "caduceus_ph"
    conjoined = True
    switches: ClassVar = {**Caduceus.switches, "rcps": (False,)}
    paper_ignores: ClassVar = {}
    _around: Tensor
    _partners: Tensor

    def _build(self, full: Mapping[str, Any], complement: Tensor) -> nn.Embedding:
        self.width = full["d_model"]
        words = nn.Embedding(len(complement), self.width)
        layers = nn.ModuleList(PlainBlock(full) for _ in range(full["n_layer"]))
        norm = nn.RMSNorm(self.width, eps=full["norm_epsilon"])
        backbone = {"embeddings": nn.ModuleDict({"word_embeddings": words}), "layers": layers, "norm_f": norm}
        self.caduceus = nn.ModuleDict({"backbone": nn.ModuleDict(backbone)})
        self.lm_head = nn.Linear(self.width, len(complement), bias=False)
        self.lm_head.weight = words.weight
        around = torch.zeros(len(complement), dtype=torch.bool)
        around[list(_AROUND)] = True
        self.register_buffer("_around", around, persistent=False)
        self.register_buffer("_partners", complement, persistent=False)
        return words

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if checked["vocab_size"] <= max(_AROUND):
            raise UserError(
                f"configuration of family '{cls.family}': 'vocab_size' = {checked['vocab_size']} has no room for the "
                f"special tokens 0 to {max(_AROUND)}."
            )
        return checked

    @classmethod
    def check_tokenizer(cls, config: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        super().check_tokenizer(config, tokenizer)
        cls._check_special(tokenizer)

    @classmethod
    def _check_special(cls, tokenizer: Tokenizer) -> None:
        odd = sorted((tokenizer.special_ids - {tokenizer.mask_id, tokenizer.unknown_id}) ^ set(_AROUND))
        if odd:
            raise UserError(
                f"family '{cls.family}' reads both strands and leaves the special tokens of tokenizer "
                f"'{cls.tokenizer}' in their places; with tokenizer '{tokenizer.name}' token {odd[0]} is another."
            )

    @classmethod
    def vocabulary_config(cls, tokenizer: Tokenizer) -> dict[str, Any]:
        config = super().vocabulary_config(tokenizer)
        cls._check_special(tokenizer)
        return config

    @classmethod
    def paper_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        return dict(config)

    def _states(self, input_ids: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(mixed, residual) before every block and after the last."""
        backbone: Any = self.caduceus["backbone"]
        mixed = backbone.embeddings.word_embeddings(input_ids.long())
        residual = torch.zeros_like(mixed)
        yield mixed, residual
        for block in backbone.layers:
            mixed, residual = block(mixed, residual)
            yield mixed, residual

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """`n_layer` + 1 states if fused, else `n_layer`; see the class. The official model has no attention mask."""
        states = [mixed for mixed, _ in islice(self._states(input_ids), self.config["n_layer"])]
        return [*states, self.encode(input_ids)] if self.fused else states

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        for state in self._states(input_ids):
            mixed, residual = state
        backbone: Any = self.caduceus["backbone"]
        hidden: Tensor = backbone.norm_f(mixed + residual)
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.lm_head(hidden)
        return logits

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(final state [batch, tokens, width], its logits [batch, tokens, vocabulary]) of the strand as it stands."""
        hidden = self.encode(input_ids)
        return hidden, self.project(hidden)

    def mirror(self, input_ids: Tensor) -> Tensor:
        """What stands between the first and the last token of the sequence is turned round; other places stay."""
        ids = input_ids.long()
        inside = ~self._around[ids]
        places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        first = inside.int().argmax(1, keepdim=True)
        last = ids.shape[1] - 1 - inside.flip(1).int().argmax(1, keepdim=True)
        between = (places >= first) & (places <= last) & inside.any(1, keepdim=True)
        return torch.where(between, first + last - places, places)

    def other_strand(self, input_ids: Tensor) -> Tensor:
        return self._partners[input_ids.long().gather(1, self.mirror(input_ids))]
