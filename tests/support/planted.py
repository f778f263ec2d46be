"""A network whose middle layer alone tells the classes: its embedding and its last state are noise of the sequence."""

import torch
from torch import nn

from foundationless.models.contract import GenomicModel


class Planted(GenomicModel):
    """Three states: noise, the shares of the letters near each token (where `signal` is 1), and noise."""

    objective = "causal"
    padding = "right"
    tokenizer = "character"
    required = {"width": int, "vocab_size": int, "max_tokens": int, "signal": int}  # noqa: RUF012

    def __init__(self, config):
        super().__init__(config)
        self.width, self.vocabulary_size, self.max_tokens = config["width"], config["vocab_size"], config["max_tokens"]
        self.noise = nn.Embedding(self.vocabulary_size**3, self.width)
        self.head = nn.Linear(self.width, self.vocabulary_size)

    def hidden_states(self, input_ids, attention_mask=None):
        ids = input_ids.long()
        before, twice = ids.roll(1, 1), ids.roll(2, 1)
        words = (ids * self.vocabulary_size + before) * self.vocabulary_size + twice
        scrambled = (words * 7919 + torch.arange(ids.shape[1], device=ids.device) * 104729) % self.vocabulary_size**3
        first, last = self.noise(scrambled), self.noise((scrambled * 31 + 17) % self.vocabulary_size**3)
        letters = nn.functional.one_hot(ids, self.width).to(first.dtype)
        middle = letters if self.config["signal"] == 1 else self.noise((scrambled * 53 + 3) % self.vocabulary_size**3)
        return [first, middle, last]

    def project(self, hidden):
        return self.head(hidden)
