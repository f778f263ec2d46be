"""The registry of architecture families; a new architecture is one file and one line here."""

import importlib

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel

FAMILIES = {
    "hyenadna": "foundationless.models.hyenadna:HyenaDNA",
    "mistral": "foundationless.models.mistral:Mistral",
    "nt_v1": "foundationless.models.nt_v1:NucleotideTransformer",
    "bert": "foundationless.models.bert:Bert",
    "cnn": "foundationless.models.cnn:ConvolutionalNetwork",
}


def family_class(family: str) -> type[GenomicModel]:
    """Import and return the class of a family; an unknown family is a `UserError` that lists the known ones."""
    if family not in FAMILIES:
        raise UserError(f"no architecture family '{family}'; the families are {', '.join(FAMILIES)}.")
    module, name = FAMILIES[family].split(":")
    return getattr(importlib.import_module(module), name)
