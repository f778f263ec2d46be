"""Zero-shot use of a model on variation: how far a mutation moves the embedding, and how likely the model finds it.

Mutation sensitivity (paper, "Variation", Fig 6a), cosine similarity of REF and ALT (Table 5), the log-likelihood ratio
(Table 4), and in-silico mutagenesis. Nothing is trained, and nothing is chosen but, where a study reads several layers,
one of them for REF against ALT: where there are several scores or variants of one, the first is the reported one.

Every `score_...` takes `weights` (model and tokenizer), a sequence set as a `frame`, the `seed` of its bootstraps and
`compute`: `token_budget`, `device` and `precision` of `run_network`. With `both_strands` a ratio is averaged with that
of the reverse complement.
"""

from foundationless.scoring.jobs import run_job
from foundationless.scoring.likelihood import score_likelihood
from foundationless.scoring.mutagenesis import score_mutagenesis
from foundationless.scoring.sensitivity import score_sensitivity
from foundationless.scoring.similarity import score_similarity

__all__ = ["run_job", "score_likelihood", "score_mutagenesis", "score_sensitivity", "score_similarity"]
