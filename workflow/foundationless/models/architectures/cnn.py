"""One-hot convolutional networks: baselines that have neither pretraining nor a transformer, but learn motifs.

`cnn`, small and of one size:

    h0 = gelu(conv(onehot(ids)));   h = h + gelu(conv_d(LN h)), dilation d = 2, 4, 8, ...   hidden = LN h

The receptive field of the default (depth 4, kernel 9) is 9 + 8 (2 + 4 + 8) = 121 bases. Every convolution reads zeros
where the attention mask is 0, as it does beyond the ends, so padding is inert on either side.

`dilated_cnn`, dilated and residual, as large as the model that it is put beside:

    h = conv(onehot(ids));   h = h + W2 gelu(LN conv_d(gelu(LN W1 gelu(LN h)))),  d = 1, 2, 4, ..., D, 1, 2, ...
    hidden = LN h

The blocks are ByteNet's (Kalchbrenner et al. 2016, arXiv:1610.10099), in the form in which convolutions were
found as good as transformers of their size on proteins: CARP (Yang, Lu & Fusi 2024, doi:10.1016/j.cels.2024.01.008),
whose inner width is half the outer one and whose dilation doubles up to 128 and starts again. GPN (Benegas et al. 2023,
doi:10.1073/pnas.2311219120) reads DNA with blocks of this kind. The stem, over motifs instead of letters, is Basset's.

A state depends on `receptive_field` bases: 1 + (kernel - 1) (1 + sum of the dilations), 1,025 at 8 layers and kernel 5.
LayerNorm works within one position, and every convolution over positions reads zeros where the attention mask is 0, as
it does beyond the ends: neither padding nor batch mates reach a state.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Layered
from foundationless.models.contract import GenomicModel, integers

_START = 0.1  # spread of what all blocks together add to a state of spread 1 at initialisation, about


class ConvolutionalNetwork(GenomicModel):
    """Residual dilated convolutions over one-hot tokens; random initialisation as torch draws its own layers.

    Keys: stem (width, V, kernel), blocks.N.norm, blocks.N.conv (width, width, kernel), norm, head (V, width).
    """

    family = "cnn"
    objective = "masked"
    padding = "mask"
    tokenizer = "character"
    implementation = "here"
    paper_masked = False
    required: ClassVar = integers("width depth kernel_size vocab_size max_tokens")

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.width, self.max_tokens = config["width"], config["max_tokens"]
        self.vocabulary_size = config["vocab_size"]
        kernel = config["kernel_size"]
        self.letters = nn.Identity()  # where what is computed of a sequence can be seen, as embedding tables are
        self.stem = nn.Conv1d(self.vocabulary_size, self.width, kernel, padding=kernel // 2)
        self.blocks = nn.ModuleList(_Block(self.width, kernel, 2**i) for i in range(1, config["depth"]))
        self.norm = nn.LayerNorm(self.width)
        self.head = nn.Linear(self.width, self.vocabulary_size)

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if checked["depth"] > 20:
            raise UserError(f"configuration of family 'cnn': 'depth' = {checked['depth']}; choose 20 or less.")
        if checked["kernel_size"] % 2 == 0:
            raise UserError(f"configuration of family 'cnn': 'kernel_size' = {checked['kernel_size']} must be odd.")
        return checked

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """`depth` + 1 states: after the stem, after each block, after the final norm."""
        self._check_length(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weight = mask[:, :, None].to(self.stem.weight.dtype)
        letters = self.letters(F.one_hot(input_ids.long(), self.vocabulary_size).to(weight)) * weight
        states = [F.gelu(self.stem(letters.transpose(1, 2))).transpose(1, 2)]
        for block in self.blocks:
            states.append(block(states[-1], weight))
        return [*states, self.norm(states[-1])]

    def project(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.head(hidden)
        return logits


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        y = (self.norm(x) * weight).transpose(1, 2)
        return x + F.gelu(self.conv(y)).transpose(1, 2)


class DilatedNetwork(Layered):
    """`depth` residual blocks, each a dilated convolution at half the width between two linear maps.

    Random initialisation: the stem N(0, 1 / K), since K letters are 1; `inward` and `conv` N(0, 2 / inputs) (He et al.
    2015); `outward` N(0, 0.01 / (I depth)), so that a block starts close to the identity (Zhang et al. 2019,
    arXiv:1901.09321); the vocabulary head as torch draws it; biases of all others 0.

    Keys (D width, I = D / 2 rounded up, V vocabulary, K kernel): stem (D, V, K), blocks.N.norm, .inward (I, D),
    .inner_norm, .conv (I, I, K), .outer_norm, .outward (D, I), norm, lm_head (V, D).
    """

    family = "dilated_cnn"
    objective = "masked"
    padding = "mask"
    tokenizer = "character"
    implementation = "here"
    paper_masked = False
    required: ClassVar = integers("width depth kernel_size dilation_max vocab_size max_tokens")

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.width, self.max_tokens = config["width"], config["max_tokens"]
        self.vocabulary_size = config["vocab_size"]
        kernel = config["kernel_size"]
        self.dilations = dilations(config["depth"], config["dilation_max"])
        self.letters = nn.Identity()  # where what is computed of a sequence can be seen, as embedding tables are
        self.stem = nn.Conv1d(self.vocabulary_size, self.width, kernel, padding=kernel // 2)
        depth = len(self.dilations)
        self.blocks = nn.ModuleList(_DilatedBlock(self.width, kernel, dilation, depth) for dilation in self.dilations)
        self.norm = nn.LayerNorm(self.width)
        self.lm_head = nn.Linear(self.width, self.vocabulary_size)
        _draw(self.stem, 1 / kernel)

    @property
    def receptive_field(self) -> int:
        """Positions that a state depends on, itself in their middle."""
        return 1 + (int(self.config["kernel_size"]) - 1) * (1 + sum(self.dilations))

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if checked["kernel_size"] % 2 == 0:
            raise UserError(
                f"configuration of family '{cls.family}': 'kernel_size' = {checked['kernel_size']} must be odd."
            )
        return checked

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        """`depth` + 2 states: after the stem, after each block, after the final norm."""
        self._check_length(input_ids)
        weight = (torch.ones_like(input_ids) if mask is None else mask)[:, :, None].to(self.stem.weight.dtype)
        letters = self.letters(F.one_hot(input_ids.long(), self.vocabulary_size).to(weight)) * weight
        x = self.stem(letters.transpose(1, 2)).transpose(1, 2)
        yield x
        for block in self.blocks:
            x = block(x, weight)
            yield x
        yield self.norm(x)


def dilations(depth: int, largest: int) -> list[int]:
    """The dilation of every block: 1, 2, 4, ... up to `largest`, then from 1 again."""
    cycle = [2**power for power in range(largest.bit_length())]
    return [cycle[layer % len(cycle)] for layer in range(depth)]


def _draw(layer: nn.Linear | nn.Conv1d, variance: float) -> None:
    nn.init.normal_(layer.weight, std=math.sqrt(variance))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class _DilatedBlock(nn.Module):
    """One of `depth` residual blocks; [batch, tokens, width] to the same."""

    def __init__(self, width: int, kernel: int, dilation: int, depth: int) -> None:
        super().__init__()
        inner = -(-width // 2)
        self.norm, self.inner_norm, self.outer_norm = (nn.LayerNorm(size) for size in (width, inner, inner))
        self.inward, self.outward = nn.Linear(width, inner), nn.Linear(inner, width)
        self.conv = nn.Conv1d(inner, inner, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        _draw(self.inward, 2 / width)
        _draw(self.conv, 2 / (inner * kernel))
        _draw(self.outward, _START**2 / (inner * depth))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        y = F.gelu(self.inner_norm(self.inward(F.gelu(self.norm(x))))) * weight
        y = self.conv(y.transpose(1, 2)).transpose(1, 2)
        states: Tensor = x + self.outward(F.gelu(self.outer_norm(y)))
        return states
