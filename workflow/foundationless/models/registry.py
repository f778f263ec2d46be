"""The registry of architecture families; a new architecture is one file, here or anywhere, and one line.

Outside the package a family is named `PATH.py:Class` (relative to the working directory), or by an entry point of the
group `foundationless.families` whose value is `MODULE:Class`.
"""

import importlib
import importlib.util
import sys
from hashlib import blake2b
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel

FAMILIES = {
    "hyenadna": "foundationless.models.architectures.hyenadna:HyenaDNA",
    "caduceus": "foundationless.models.architectures.caduceus:Caduceus",
    "mistral": "foundationless.models.architectures.mistral:Mistral",
    "nt_v1": "foundationless.models.architectures.nt_v1:NucleotideTransformer",
    "nt_v2": "foundationless.models.architectures.nt_v2:NucleotideTransformerV2",
    "dnabert2": "foundationless.models.architectures.dnabert2:DNABERT2",
    "gena_lm": "foundationless.models.architectures.gena_lm:GenaLM",
    "bert": "foundationless.models.architectures.bert:Bert",
    "cnn": "foundationless.models.architectures.cnn:ConvolutionalNetwork",
}
ENTRY_POINTS = "foundationless.families"
# What the study's code built where it asked for a random model of the family (models.md: without remote code,
# `AutoModel.from_config` of GENA-LM is transformers' post-LayerNorm BERT).
PAPER_RANDOM = {"gena_lm": "bert"}


def family_class(family: str) -> type[GenomicModel]:
    """Import and return the class of a family; an unknown or unfit one is a `UserError` that says why."""
    outside = {point.name: point for point in entry_points(group=ENTRY_POINTS)} if family not in FAMILIES else {}
    try:
        if family in FAMILIES:
            module, name = FAMILIES[family].split(":")
            found: Any = getattr(importlib.import_module(module), name)
        elif family in outside:
            found = outside[family].load()
        elif ".py:" in family:
            found = _from_file(*family.rsplit(":", 1))
        else:
            raise UserError(
                f"no architecture family '{family}'; the families are {', '.join([*FAMILIES, *outside])}, or "
                "PATH.py:Class for one of your own."
            )
    except UserError:
        raise
    except Exception as error:  # a family outside the package may raise anything
        raise UserError(f"family '{family}': cannot be imported ({type(error).__name__}: {error}).") from None
    if not (isinstance(found, type) and issubclass(found, GenomicModel)):
        raise UserError(f"family '{family}': not a subclass of foundationless.models.GenomicModel.")
    found.check_class(family)
    return found


def _from_file(path: str, name: str) -> Any:
    place = Path(path).resolve()
    # One module per file, whatever the working directory: two of the same name must not meet.
    module_name = f"foundationless_family_{blake2b(str(place).encode(), digest_size=8).hexdigest()}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, place)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    return getattr(sys.modules[module_name], name)
