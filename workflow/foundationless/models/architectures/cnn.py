"""One-hot convolutional network: the baseline that has neither pretraining nor a transformer, but learns motifs.

    h0 = gelu(conv(onehot(ids)));   h = h + gelu(conv_d(LN h)), dilation d = 2, 4, 8, ...   hidden = LN h

The receptive field of the default (depth 4, kernel 9) is 9 + 8 (2 + 4 + 8) = 121 bases. Every convolution reads zeros
where the attention mask is 0, as it does beyond the ends, so padding is inert on either side.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel, integers


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
        letters = F.one_hot(input_ids.long(), self.vocabulary_size).to(weight) * weight
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
