"""One published pickle, known by its SHA-256, read as a list of instructions; nothing in it is carried out.

The means of the hackathon's Norman screen exist as a pickle alone. A pickle is a program: loading it calls what it
names. Here its instructions are listed by the standard library's disassembler, those that build plain values are
followed, and a call stays a note of what would have been called, with what. From such notes two arrays are made, by
our own lines, where they are exactly the notes that NumPy leaves for an array. Whatever else a file holds is refused,
and every file but that one is refused before that.
"""

import hashlib
import pickletools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.perturbation.expression.matrix import Expression, named_rows

# Of the ledger's row norman_pseudobulk.
PINNED = {"9be77de97d9a9dda7a6f1b41632a71ddfb81a28a8a64dd61b77544bd7b5ae06f"}
SUFFIXES = (".pkl", ".pickle", ".joblib", ".pt", ".pth")
_PUSHED = {"SHORT_BINUNICODE", "BINUNICODE", "BININT", "BININT1", "BININT2", "BINFLOAT", "SHORT_BINBYTES", "BINBYTES",
           "BYTEARRAY8", "LONG1"}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = {"PROTO", "FRAME", "STOP"}
_PROTOCOLS = (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05")
_MARK = object()


class _Name(NamedTuple):
    """What a pickle would import."""

    module: str
    name: str


class _Call(list[Any]):
    """What a pickle would call: the name, its arguments, and the state that it would be given."""


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle by its name or its first bytes."""
    if path.is_dir():
        return False
    with path.open("rb") as stream:
        start = stream.read(2)
    return path.suffix.lower() in SUFFIXES or (start[:1] == b"\x80" and start[1:] in _PROTOCOLS)


def read_pinned(path: Path) -> Expression:
    """Means of the pinned file; `UserError` for any other, of which nothing but the SHA-256 is looked at."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() not in PINNED:
        raise UserError(
            f"{path}: is a pickle, which could run code when it is read, and is none of the published ones whose "
            "SHA-256 is known here; write the matrix as .h5ad, .npz, CSV or Parquet."
        )
    try:
        held = listed(data)
        genes, matrix = _array(held["genes"]), _array(held["data"])
        names = held["columns"]
        if not isinstance(names, list) or {type(name) for name in names} != {str} or matrix.shape[1] != len(names):
            raise ValueError("names of conditions are no texts, or not as many as there are means")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{path}: does not hold what the published file holds ({error}).") from None
    obs = named_rows(names, pd.DataFrame({"condition": names}, dtype=object))
    ids = tuple(map(str, genes))
    return Expression(np.ascontiguousarray(matrix.T, dtype=np.float32), ids, ids, obs)


def listed(data: bytes) -> Any:
    """The value that a pickle of plain values describes; calls are `_Call`, and any other instruction is refused."""
    stack: list[Any] = []
    memo: list[Any] = []

    def since_mark() -> list[Any]:
        place = max(number for number, item in enumerate(stack) if item is _MARK)
        items = stack[place + 1 :]
        del stack[place:]
        return items

    for code, argument, _ in pickletools.genops(data):
        name = code.name
        if name in _PUSHED or name in _CONSTANTS:
            stack.append(_CONSTANTS.get(name) if name in _CONSTANTS else argument)
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "MARK"):
            stack.append({} if name == "EMPTY_DICT" else [] if name == "EMPTY_LIST" else _MARK)
        elif name == "MEMOIZE":
            memo.append(stack[-1])
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument or 0)])
        elif name == "TUPLE" or name in _TUPLES:
            items = since_mark() if name == "TUPLE" else [stack.pop() for _ in range(_TUPLES[name])][::-1]
            stack.append(tuple(items))
        elif name == "APPENDS":
            items = since_mark()
            stack[-1].extend(items)
        elif name == "SETITEMS":
            items = since_mark()
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name in ("STACK_GLOBAL", "REDUCE", "BUILD"):
            second, first = stack.pop(), stack.pop()
            stack.append(_noted(name, first, second))
        elif name not in _NOTHING:
            raise ValueError(f"the instruction {name} is none of plain values")
    (value,) = stack
    return value


def _noted(instruction: str, first: Any, second: Any) -> Any:
    if instruction == "STACK_GLOBAL":
        return _Name(first, second)
    if instruction == "REDUCE":
        return _Call([first, second, None])
    if not isinstance(first, _Call):
        raise ValueError("a state is given to what is no call")
    first[2] = second
    return first


def _array(note: Any) -> NDArray[Any]:
    """An array from the notes that NumPy 1 and 2 leave in a pickle: from a buffer, or a list of texts."""
    called, arguments, state = note
    if called.module in ("numpy.core.numeric", "numpy._core.numeric") and called.name == "_frombuffer":
        buffer, kind, shape, order = arguments
        return np.frombuffer(bytes(buffer), dtype=_kind(kind)).reshape(shape, order=order)
    if called.module in ("numpy.core.multiarray", "numpy._core.multiarray") and called.name == "_reconstruct":
        _, shape, kind, _, items = state
        if kind[1][0] == "O8" and isinstance(items, list) and all(isinstance(item, str) for item in items):
            return np.array(items, dtype=object).reshape(shape)
    raise ValueError(f"a call of {called.module}.{called.name} is no array of numbers or texts")


def _kind(note: Any) -> str:
    called, arguments, state = note
    if (called.module, called.name) != ("numpy", "dtype") or arguments[0] not in ("f4", "f8") or state[1] != "<":
        raise ValueError(f"an array of kind {arguments[0]}")
    return f"<{arguments[0]}"
