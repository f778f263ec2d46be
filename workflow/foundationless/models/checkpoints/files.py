"""Which files of a published checkpoint hold its weights, and the tensors in them; no pickle ever runs code.

Read are one file or several with an index (`*.index.json`, whose `weight_map` says which tensor is where), as
safetensors or pickled. Of what is not read `choose` says what it is, and what to do.
"""

import json
import pickle
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from foundationless.errors import UserError

CONFIG = "config.json"
TENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"
_INDEX = ".index.json"
# What is read, the first that is there: safetensors is preferred, and a single file.
CHOICES = (TENSORS, TENSORS + _INDEX, PICKLE, PICKLE + _INDEX)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*\.(safetensors|bin)")
# Files that hold weights all the same: what they are, and what to do.
_OTHERS = {
    "adapter_model.*": "adapters of `peft` without the model under them; merge them (`merge_and_unload`) and save the "
    "whole with `save_pretrained`",
    "*.ckpt": "a checkpoint of Lightning, in the names of the training code; give the same model as saved for "
    "`transformers`, where its lab publishes one (HyenaDNA: the repository whose name ends in -hf, like "
    "LongSafari/hyenadna-tiny-1k-seqlen-hf)",
    "*.gguf": "quantised weights of llama.cpp; give the repository that they were made of",
    "tf_model.h5": "weights of TensorFlow; load them with `from_pretrained(..., from_tf=True)` in an older "
    "`transformers` and save them with `save_pretrained`",
    "*.msgpack": "weights of Flax; load them with `from_pretrained(..., from_flax=True)` in an older `transformers` "
    "and save them with `save_pretrained`",
    "*.onnx": "an ONNX graph, which cannot be trained; give the repository that it was made of",
    "*.joblib": "weights of JAX, in the names of the training code; give the same model as saved for `transformers`",
    "consolidated*": "weights in the names of the training code; give the same model as saved for `transformers`",
    "*.pt": "a file of torch in the names of the training code; save the model with `save_pretrained`",
    "*.pth": "a file of torch in the names of the training code; save the model with `save_pretrained`",
    "*.safetensors": "safetensors under another name; call a single file model.safetensors, or put the index of "
    f"several beside them ({TENSORS}{_INDEX})",
    "*.bin": f"one of several files without their index ({PICKLE}{_INDEX}), or under another name; put it beside them",
}


def choose(names: Collection[str], where: str) -> str:
    """The file among `names` that is read, or the index of those; `UserError` says what is there instead."""
    if CONFIG not in names:
        raise UserError(f"{where}: no {CONFIG}; only a checkpoint in published layout can be read.")
    if chosen := next((name for name in CHOICES if name in names), None):
        return chosen
    others = ((name, what) for pattern, what in _OTHERS.items() for name in sorted(names) if fnmatch(name, pattern))
    if other := next(others, None):
        raise UserError(f"{where}: {other[0]} is not read: it is {other[1]}.")
    raise UserError(f"{where}: neither {TENSORS} nor {PICKLE} (nor {' nor '.join(CHOICES[1::2])}) is there.")


def parts(index: Path) -> dict[str, str]:
    """Tensors of an index, and the file that each is in: plain names of files beside it."""
    try:
        held = json.loads(index.read_text(encoding="utf-8"))
        places = held["weight_map"]
        good = bool(places) and all(isinstance(name, str) and _is_part(file) for name, file in places.items())
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index}: not the index of weights in several files ({error}); fetch it again.") from None
    if not good:
        raise UserError(f"{index}: its weight_map does not name files beside it; fetch it again.")
    return dict(places)


def _is_part(file: Any) -> bool:
    return isinstance(file, str) and bool(_PLAIN_NAME.fullmatch(file))


def weight_files(directory: Path) -> list[Path]:
    """Files of weights in the directory of a checkpoint; a part that is missing is a `UserError`."""
    if not any((directory / name).is_file() for name in CHOICES):
        names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
        choose([*names, CONFIG], str(directory))
    first = next(directory / name for name in CHOICES if (directory / name).is_file())
    if not first.name.endswith(_INDEX):
        return [first]
    files = [directory / name for name in sorted(set(parts(first).values()))]
    if absent := next((file for file in files if not file.is_file()), None):
        raise UserError(f"{absent}: no such file, and {first.name} names it; fetch it too.")
    return files


def read_tensors(directory: Path) -> tuple[Path, dict[str, Tensor]]:
    """Path (the index of several) and tensors by name; a damaged file or one that could run code is a `UserError`."""
    files = weight_files(directory)
    tensors: dict[str, Tensor] = {}
    for path in files:
        held = _read(path)
        if twice := held.keys() & tensors.keys():
            raise UserError(f"{path}: tensor '{min(twice)}' is in another part of the weights too; fetch them again.")
        tensors |= held
    index = next((directory / name for name in CHOICES if (directory / name).is_file()), files[0])
    if index.name.endswith(_INDEX) and (lost := [name for name in parts(index) if name not in tensors]):
        raise UserError(f"{index}: tensor '{min(lost)}' is in none of its files; fetch them again.")
    return index, tensors


def outlines(directory: Path) -> dict[str, Tensor]:
    """The tensors by name on torch's meta device, which has shapes and no numbers: safetensors are not read for it."""
    held: dict[str, Tensor] = {}
    for path in weight_files(directory):
        held |= outlines_of(_header(path)) if path.suffix == ".safetensors" else _read(path)
    return {name: tensor.to("meta") for name, tensor in held.items()}


def outlines_of(header: Mapping[str, tuple[str, Sequence[int]]]) -> dict[str, Tensor]:
    """The same of the header of a safetensors file: type (F32, I64, ...) and shape of each tensor."""
    return {name: torch.empty(*shape, dtype=_TYPES[kind[0]], device="meta") for name, (kind, shape) in header.items()}


# Kinds, by the first letter: BF16 is one of floats, BOOL is of no weight, C64 is of complex numbers.
_TYPES = {
    "F": torch.float32,
    "B": torch.float32,
    "C": torch.complex64,
    "I": torch.int64,
    "U": torch.int64,
}


def _header(path: Path) -> dict[str, tuple[str, Sequence[int]]]:
    try:
        with safe_open(path, framework="pt") as held:
            slices = {name: held.get_slice(name) for name in held.keys()}  # noqa: SIM118 - it is no dictionary
            return {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: damaged or incomplete ({reason}); fetch it again.") from None


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's remarks on a pickle that is refused anyway
            safe = path.suffix == ".safetensors"
            loaded = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: not plain tensors: the file is damaged, or reading it could run code; fetch it again, or "
            "convert it to safetensors where you trust it."
        ) from None
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: damaged or incomplete ({reason}); fetch it again.") from None
    if not isinstance(loaded, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise UserError(f"{path}: not a plain table of named tensors; save the model's state dict alone.")
    return loaded
