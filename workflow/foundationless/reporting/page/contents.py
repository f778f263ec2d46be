"""What the report shows, as its template takes it: tables, figures, models, costs, versions and data files."""

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.reporting.tables.catalogue import captions_by_group
from foundationless.study.vocabulary import FIGURES

# Tables by what they belong to, in this order, with their captions. Others follow as "Further".
TABLES = captions_by_group()
FURTHER = "Further tables"
# Those that a model's own page shows its rows of; they come before others where there is not room for all.
OF_A_MODEL = ("comparisons", "scores", "components", "cost", "table_17_checkpoints")
# Tables without which a page would say less than the truth, and what of them it reads besides what figures read.
REQUIRED: dict[str, tuple[str, ...]] = {"scores": (), "tasks": ("sources",), "models": (), "missing": ()}
NEVER = ("records",)  # what the tables before say, spread over a hundred columns
TABLE_BYTES, ALL_BYTES = 3_000_000, 8_000_000  # of JSON: a page with more opens slowly


@dataclass(frozen=True)
class Table:
    """A table of the study: `data` is JSON of its columns and rows, or empty where it is too large for a page."""

    name: str
    caption: str
    file: str  # relative to the report
    rows: int
    columns: tuple[str, ...] = ()
    data: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure: the name of its files, its name in lists, title and caption in words, and the picture as a data URI."""

    name: str
    short: str
    title: str
    caption: str
    uri: str
    width: int
    height: int


@dataclass
class Model:
    """A model's page: its names (with those of its variants), what is known of it and its verdict."""

    name: str
    label: str
    anchor: str
    names: list[str]
    card: dict[str, str] = field(default_factory=dict)
    verdict: Mapping[str, Any] = field(default_factory=dict)


def read_csv(path: Path) -> pd.DataFrame:
    """A table of collect_tables; a broken one, and a missing one of `REQUIRED`, is a `UserError`, others are empty."""
    from foundationless.reporting.figures.inputs import read_table

    frame = read_table(path) if path.stem in REQUIRED or path.exists() else pd.DataFrame()
    if missing := [name for name in REQUIRED.get(path.stem, ()) if name not in frame.columns]:
        raise UserError(f"{path}: no column {', '.join(missing)}; run collect_tables again.")
    return frame


def read_missing(path: Path) -> list[dict[str, Any]]:
    """Cells that have no record or no predictions, without the parts of their names."""
    frame = read_csv(path)
    shown = ("analysis", "task", "model", "init", "seed", "what", "note")
    rows = frame[[name for name in shown if name in frame]].astype(object).fillna("").to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def read_verification(path: Path) -> str:
    """What was checked before anything was summed up, in a sentence; nothing where no table says it.

    Tables are not made of records that do not fit, so what is there held.
    """
    frame = read_csv(path)
    if not {"records", "values", "selections", "pairs", "hashes", "unchecked"} <= set(frame) or not len(frame):
        return ""
    sums = {str(name): f"{int(value):,}" for name, value in frame.sum(numeric_only=True).items()}
    return (
        f"All {sums['records']} records fit what lies beside them: {sums['values']} values and {sums['selections']} "
        f"selections were checked, {sums['pairs']} pairs of arms and seeds have the same settings, {sums['hashes']} "
        f"hashes are right; what could not be checked counts {sums['unchecked']} (“python -m foundationless verify” "
        "says which)."
    )


def read_tables(directory: Path, place: str) -> dict[str, list[Table]]:
    """Every CSV table of `directory` by group; `place` is where the report finds them (`tables`, relative to it)."""
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; make the tables with collect_tables first.")
    captions = {name: caption for group in TABLES.values() for name, caption in group.items()}
    paths = {path.stem: path for path in sorted(directory.glob("*.csv"))}
    order = [name for name in dict.fromkeys((*OF_A_MODEL, *captions, *paths)) if name in paths]
    left, made = ALL_BYTES, {}
    for name in order:
        frame = read_csv(paths[name]).dropna(axis="columns", how="all")
        data = "" if name in NEVER else as_json(frame)
        data = data if len(data) <= min(TABLE_BYTES, left) else ""
        left, caption = left - len(data), captions.get(name, name.replace("_", " "))
        made[name] = Table(name, caption, f"{place}/{name}.csv", len(frame), tuple(map(str, frame.columns)), data)
    groups = {group: [made[name] for name in names if name in made] for group, names in TABLES.items()}
    groups[FURTHER] = [table for name, table in made.items() if name not in captions]
    return {group: tables for group, tables in groups.items() if tables}


def as_json(frame: pd.DataFrame) -> str:
    """`{"columns": [names], "cells": [one entry per column]}`, in which missing cells are null.

    Numbers are a list, to six significant digits; texts, which repeat themselves, are `{"levels": [...], "codes":
    [...]}`, places in the levels with -1 for a missing cell.
    """
    content = {"columns": [str(name) for name in frame], "cells": [_cells(frame[name]) for name in frame]}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _cells(column: pd.Series) -> Any:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        codes, levels = pd.factorize(column.astype(object))
        return {"levels": [str(level) for level in levels], "codes": codes.tolist()}
    finite = column.abs() < float("inf")
    numbers = [float(f"{value:.6g}") for value in column.where(finite, 0.0)]
    whole = [int(value) if value.is_integer() and abs(value) < 1e15 else value for value in numbers]
    return [value if known else None for value, known in zip(whole, finite, strict=True)]


def read_pictures(directory: Path) -> dict[str, list[Picture]]:
    """Every figure by group, in the order of the vocabulary; a missing one is a `UserError`.

    Those that only some analyses, or kinds of labels, have may be missing.
    """
    found: dict[str, list[Picture]] = {}
    for name, figure in FIGURES.items():
        if (figure.only or figure.labels) and not (directory / f"{name}.png").exists():
            continue
        found.setdefault(figure.group, []).append(read_picture(directory / f"{name}.png"))
    return found


def read_picture(path: Path) -> Picture:
    """A picture and the words beside it (`.rst`: title and caption, in which a backslash stands before marks)."""
    from PIL import Image, UnidentifiedImageError

    from foundationless.reporting.figures.book import bookmark

    short = bookmark(path.stem)
    title, caption = short, ""
    try:
        with Image.open(path) as image, io.BytesIO() as stream:
            width, height = image.size
            image.convert("RGB").save(stream, "WEBP", lossless=True)  # the same pixels in less than half the bytes
            content = stream.getvalue()
        words = path.with_suffix(".rst")
        if words.is_file():
            text = re.sub(r"\\(.)", r"\1", words.read_text()).strip()
            first, _, caption = text.partition("\n\n")
            title = first or title
    except FileNotFoundError:
        raise UserError(f"{path}: no such figure; draw it with draw_figures first.") from None
    except (UnidentifiedImageError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not a picture ({error}); delete it and draw it again.") from None
    uri = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return Picture(path.stem, short, title, " ".join(caption.split()), uri, width, height)


def read_models(cards: pd.DataFrame, verdicts: Mapping[str, Mapping[str, Any]]) -> list[Model]:
    """A page per model, in the order of the table of models; widths and other variants share their model's.

    A variant whose name goes on behind another's has a page of its own only where it has a verdict over the tasks.
    """
    rows = cards[cards["kind"] != "baseline"] if {"kind", "model", "label"} <= set(cards.columns) else cards[:0]
    known = {str(card["model"]): card for card in rows.to_dict("records")}
    names = list(dict.fromkeys([*known, *verdicts]))
    pages: dict[str, Model] = {}
    for name in sorted(names, key=len):
        card, verdict = known.get(name, {}), verdicts.get(name, {})
        stems = [stem for stem in pages if name.startswith(f"{stem}.")]
        judged = verdict.get("versus_random") or verdict.get("versus_baseline")
        if stems and not judged:
            pages[max(stems, key=len)].names.append(name)
            continue
        facts = {str(key).replace("_", " "): str(value) for key, value in card.items() if not pd.isna(value)}
        label = str(verdict.get("label") or card.get("label") or name)
        anchor = "model-" + re.sub(r"[^A-Za-z0-9_.-]", "-", name)
        pages[name] = Model(name, label, anchor, [name], facts, verdict)
    return [pages[name] for name in names if name in pages]


def sum_costs(costs: pd.DataFrame) -> list[dict[str, Any]]:
    """By rule: jobs, devices, hours, peak memory and energy, the longest first; and the sum of all."""
    if not {"rule", "seconds"} <= set(costs.columns):
        return []
    numbers = ("seconds", "gpu_hours", "cpu_hours", "peak_memory_mb", "energy_kwh")
    frame = costs.reindex(columns=["rule", "device", *numbers])
    frame = frame.astype({**dict.fromkeys(numbers, float), "device": object}).fillna({"device": ""})

    def summed(rule: Any, part: pd.DataFrame) -> dict[str, Any]:
        return {
            "rule": str(rule),
            "jobs": len(part),
            "devices": ", ".join(sorted({device for device in part["device"] if device})),
            "hours": part["seconds"].sum() / 3600,
            "gpu_hours": part["gpu_hours"].sum(),
            "cpu_hours": part["cpu_hours"].sum(),
            "peak_gib": part["peak_memory_mb"].max() / 1024,
            "energy_kwh": part["energy_kwh"].sum() if part["energy_kwh"].notna().any() else None,
        }

    rows = [summed(rule, part) for rule, part in frame.groupby("rule", sort=False)]
    return [*sorted(rows, key=lambda row: -row["hours"]), summed("all", frame)]


def versions(records: Path) -> dict[str, str]:
    """Versions that the records state, several of one name joined."""
    import pyarrow.parquet as pq
    from pyarrow import ArrowInvalid

    try:
        names = [name for name in pq.read_schema(records).names if name.startswith("version_")]
        frame = pd.read_parquet(records, columns=names)
    except FileNotFoundError:
        raise UserError(f"{records.parent}: no {records.name}; make the tables with collect_tables first.") from None
    except (ArrowInvalid, OSError) as error:
        raise UserError(f"{records}: not a table of records ({error}); make the tables again.") from None
    stated = {name.removeprefix("version_"): sorted(frame[name].dropna().astype(str).unique()) for name in names}
    return {name: ", ".join(values) for name, values in stated.items() if values}


def data_files(ledger: Sequence[Mapping[str, str]], named: Iterable[str]) -> list[Mapping[str, str]]:
    """Rows of the ledger of data files whose name stands in one of the texts `named` (sources of tasks, the config)."""
    words = {word for text in named for word in re.findall(r"[A-Za-z0-9_]+", text)}
    return [row for row in ledger if row["name"] in words]


def texts(value: Any) -> Iterable[str]:
    """Every text in a nest of mappings and lists."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value
