"""Models through one contract: a lazy registry of architecture families, checkpoints, weight directories, tokenizers.

Importing this package imports torch, never transformers: a family's module is imported when it is asked for.
"""

from foundationless.models.contract import GenomicModel
from foundationless.models.registry import FAMILIES, family_class
from foundationless.models.tokenizers import Tokenizer, load_tokenizer
from foundationless.models.weights import (
    Weights,
    initialise,
    load_checkpoint,
    load_weights,
    retokenized,
    save_weights,
)

__all__ = [
    "FAMILIES",
    "GenomicModel",
    "Tokenizer",
    "Weights",
    "family_class",
    "initialise",
    "load_checkpoint",
    "load_tokenizer",
    "load_weights",
    "retokenized",
    "save_weights",
]
