"""From the name of an architecture family to its class; `study.families` has a row for each of the program's.

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
from foundationless.study.families import CELL_FAMILIES, FAMILIES, class_path

ENTRY_POINTS = "foundationless.families"


def family_class(family: str) -> type[GenomicModel]:
    """Import and return the class of a family; an unknown or unfit one is a `UserError` that says why."""
    own = FAMILIES | CELL_FAMILIES
    outside = {point.name: point for point in entry_points(group=ENTRY_POINTS)} if family not in own else {}
    try:
        if family in own:
            module, name = class_path(family)
            model_class: Any = getattr(importlib.import_module(module), name)
        elif family in outside:
            model_class = outside[family].load()
        elif ".py:" in family:
            model_class = _from_file(*family.rsplit(":", 1))
        else:
            raise UserError(
                f"no architecture family '{family}'; the families are {', '.join([*own, *outside])}, or "
                "PATH.py:Class for one of your own."
            )
    except UserError:
        raise
    except Exception as error:  # a family outside the package may raise anything
        raise UserError(f"family '{family}': cannot be imported ({type(error).__name__}: {error}).") from None
    if not (isinstance(model_class, type) and issubclass(model_class, GenomicModel)):
        raise UserError(f"family '{family}': not a subclass of foundationless.models.contract.GenomicModel.")
    model_class.check_class(family)
    return model_class


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
