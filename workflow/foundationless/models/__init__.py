"""Models through one contract: a lazy registry of architecture families, checkpoints, weight directories, tokenizers.

Importing this package imports nothing: its names bring torch when they are asked for, and transformers only comes with
a family that needs it. So a job that reads cheap features alone (`models.baselines`) starts in a third of the time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_PLACES = {
    "contract": ("GenomicModel",),
    "registry": ("FAMILIES", "family_class"),
    "tokenizers": ("Tokenizer", "load_tokenizer"),
    "weights": ("Weights", "initialise", "load_checkpoint", "load_weights", "retokenized", "save_weights"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
