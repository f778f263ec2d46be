"""An architecture of one's own: a gated recurrent network over characters that predicts the next one."""

from torch import nn

from foundationless.models.contract import GenomicModel


class Recurrent(GenomicModel):
    """Gated recurrent network (Cho et al. 2014); initialised as torch draws its layers."""

    objective = "causal"
    padding = "right"
    tokenizer = "character"
    required = {"width": int, "vocab_size": int, "max_tokens": int}  # noqa: RUF012

    def __init__(self, config):
        super().__init__(config)
        self.width, self.vocabulary_size, self.max_tokens = (config[key] for key in self.required)
        self.embedding = nn.Embedding(self.vocabulary_size, self.width)
        self.recurrence = nn.GRU(self.width, self.width, batch_first=True)
        self.mix = nn.Linear(self.width, self.width)
        self.head = nn.Linear(self.width, self.vocabulary_size)

    def hidden_states(self, input_ids, attention_mask=None):
        """Embedding, and the mixed state after each token."""
        self._check_length(input_ids)
        embedded = self.embedding(input_ids)
        return [embedded, self.mix(self.recurrence(embedded)[0])]

    def project(self, hidden):
        return self.head(hidden)
