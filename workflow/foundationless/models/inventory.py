"""What there is: the models of a table with the facts of their weights, the architecture families, the tokenizers.

Parameters and memory are those of the architecture itself, built from the table's `config` on torch's meta device,
where tensors have shapes and no bytes.
"""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch

from foundationless.errors import UserError
from foundationless.models.registry import ENTRY_POINTS, family_class
from foundationless.models.tokenizers import PIECES, PUBLISHED, TOKENIZERS, load_tokenizer
from foundationless.study.families import CELL_FAMILIES, FAMILIES

_MIB = 2**20
_NUMBER = re.compile(r"[\d,.]+|None|-|\?")


def describe(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Objective, parameters, longest input in tokens, and MiB of the published tensors in float32 and in bfloat16."""
    model_class = family_class(family)
    with torch.device("meta"):
        model = model_class(model_class.check_config(config))
    shared = model.shared_names()
    tensors = [tensor for name, tensor in model.state_dict().items() if name not in shared]
    numbers = sum(tensor.numel() for tensor in tensors if tensor.is_floating_point())
    others = sum(tensor.numel() * tensor.element_size() for tensor in tensors if not tensor.is_floating_point())
    return {
        "objective": model.objective,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "limit": model.max_tokens,
        "fp32_mib": round((4 * numbers + others) / _MIB, 1),
        "bf16_mib": round((2 * numbers + others) / _MIB, 1),
    }


def weights_here(name: str, weights: Path) -> dict[str, list[str]]:
    """Arms that have a weight directory, by model: `name` itself and its variants (`name.demo`, `name.w64`)."""
    found: dict[str, set[str]] = {}
    for pattern in (name, f"{name}.*"):
        for card in weights.glob(f"{pattern}/*/seed*/weights.json"):
            found.setdefault(card.parts[-4], set()).add(card.parts[-3])
    return {model: sorted(arms) for model, arms in sorted(found.items())}


def list_models(table: Mapping[str, Any], weights: Path) -> list[dict[str, Any]]:
    """One row per model of a table that has weights; what cannot be built has a `problem` instead of its sizes."""
    rows = []
    for name, entry in table.items():
        if isinstance(entry, Mapping) and (entry.get("source") == "outside" or "genes" in entry):
            continue  # another program has its weights, or it has none
        if not isinstance(entry, Mapping) or "family" not in entry:
            raise UserError(f"model '{name}': not an entry of a model table (it has no family).")
        _check_entry(name, entry)
        if entry.get("arms") == ["baseline"]:
            continue
        pretrained = entry.get("pretrained") or {}
        row: dict[str, Any] = {
            "model": name,
            **{key: entry.get(key) for key in ("family", "tokenizer", "max_tokens", "licence")},
            **{key: pretrained.get(key) for key in ("source", "revision")},
            "published_parameters": entry.get("parameters"),
            "here": weights_here(name, weights),
        }
        try:
            row |= describe(entry["family"], entry.get("config") or {})
        except UserError as error:
            row["problem"] = str(error)
        rows.append(row)
    return rows


def _check_entry(name: Any, entry: Mapping[str, Any]) -> None:
    """Raise `UserError` for a name or a value of a type that the entries of a model table do not have."""
    if not isinstance(name, str) or not name or "/" in name:
        raise UserError(f"model {name!r}: the name of a model is a word; put it in quotes if it is a number.")
    wrong = [] if isinstance(entry["family"], str) else [("family", entry["family"], "a name")]
    for key in ("config", "pretrained"):
        if not isinstance(entry.get(key) or {}, Mapping):
            wrong.append((key, entry[key], "a table of settings"))
    count = entry.get("parameters")
    if count is not None and (type(count) is not int or count < 0):
        wrong.append(("parameters", count, "a number of parameters"))
    if not wrong and not isinstance(source := (entry.get("pretrained") or {}).get("source"), str | None):
        wrong.append(("pretrained.source", source, "hub, local or workflow"))
    for key, value, what in wrong:
        raise UserError(f"model '{name}': '{key}' is {value!r:.60}; it must be {what}.")


def model_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Those rows as an aligned table, and below it what is wrong with some of them."""
    header = "model,family,objective,parameters,tokenizer,tokens,limit,licence of the weights,revision"
    cells = [tuple(f"{header},fp32 MiB,bf16 MiB,weights here".split(","))]
    notes = []
    for row in rows:
        known = "problem" not in row
        here = "; ".join(
            (f"{model}: " if model != row["model"] else "") + "+".join(arms) for model, arms in row["here"].items()
        )
        source = {"workflow": "pretrained here", "local": "local", None: "-"}.get(row["source"], "not pinned")
        revision = str(row["revision"])[:8] if row["revision"] else source
        objective, parameters, limit = row.get("objective", "?"), row.get("parameters", "?"), row.get("limit", "?")
        sizes = (f"{row[key]:,.1f}" if known else "?" for key in ("fp32_mib", "bf16_mib"))
        names = (row["model"], row["family"], objective, _count(parameters), row["tokenizer"] or "-")
        limits = (_count(row["max_tokens"]), _count(limit))
        cells.append((*names, *limits, row["licence"] or "-", revision, *sizes, here or "no"))
        if not known:
            notes.append(f"{row['model']}: {row['problem']}")
        elif row["published_parameters"] not in (None, row["parameters"]):
            notes.append(
                f"{row['model']}: the table says {row['published_parameters']:,} parameters, its config gives "
                f"{row['parameters']:,}."
            )
    return "\n".join([align(cells), *notes])


def list_families() -> list[dict[str, Any]]:
    """One row per architecture family: of the program, and of installed packages (entry points)."""
    rows = []
    for name in dict.fromkeys([*FAMILIES, *CELL_FAMILIES, *(point.name for point in entry_points(group=ENTRY_POINTS))]):
        family = family_class(name)
        facts = ("objective", "padding", "tokenizer", "paper_masked", "implementation")
        rows.append({"family": name} | {fact: getattr(family, fact) for fact in facts})
    return rows


def list_tokenizers() -> list[dict[str, Any]]:
    """One row per tokenizer; the size of a byte-pair tokenizer (None) is that of its file."""
    rows: list[dict[str, Any]] = []
    for name in TOKENIZERS:
        if name in PIECES:
            special = dict(zip(("unknown_id", "cls_id", "sep_id", "pad_id", "mask_id"), range(5), strict=True))
            rows.append({"tokenizer": name, "k": None, "size": None, "padding_side": "right"} | special)
            continue
        if name == PUBLISHED:  # all of it is in the checkpoint's files
            rows.append({"tokenizer": name} | dict.fromkeys(rows[0].keys() - {"tokenizer"}))
            continue
        tokenizer = load_tokenizer(name)
        facts = ("k", "size", "padding_side", "unknown_id", "cls_id", "sep_id", "pad_id", "mask_id")
        rows.append({"tokenizer": name} | {fact: getattr(tokenizer, fact) for fact in facts})
    return rows


def align(rows: Iterable[Iterable[Any]]) -> str:
    """A table of aligned columns under its header; columns of numbers to the right."""
    columns = []
    for header, *cells in zip(*rows, strict=True):
        texts = [str(cell) for cell in cells]
        width = max(map(len, [header, *texts]))
        place = str.rjust if all(_NUMBER.fullmatch(text) for text in texts) else str.ljust
        columns.append([place(text, width) for text in [header, *texts]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _count(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else str(number or "-")
