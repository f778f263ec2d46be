"""What the readers share: declared sources and options, text tables, and how splits are drawn."""

import re
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.data.reference import Genome, canonical_contig
from foundationless.tasks.sequence_sets import reverse_complement

Read = Callable[[dict[str, Path], dict[str, Any], int], pd.DataFrame]


def words(text: str) -> list[str]:
    """`IV,XII` to ["IV", "XII"]."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def whole_numbers(text: str) -> list[int]:
    """`1,64,128` to [1, 64, 128]."""
    return [int(word) for word in words(text)]


def numbers(text: str) -> list[float]:
    """`0.72,0.08,0.2` to finite floats."""
    found = [float(word) for word in words(text)]
    if not np.isfinite(found).all():
        raise ValueError(text)
    return found


def share(text: str) -> float:
    """A number from 0 to below 1."""
    if not 0 <= float(text) < 1:
        raise ValueError(text)
    return float(text)


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def at_least_zero(text: str) -> int:
    """A whole number from 0."""
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


def yes_or_no(text: str) -> bool:
    """`yes` or `no`."""
    if text not in {"yes", "no"}:
        raise ValueError(text)
    return text == "yes"


def label_map(text: str) -> dict[str, str]:
    """`0:none,1:promoter` to {"0": "none", "1": "promoter"}."""
    pairs = [item.partition(":") for item in words(text)]
    if any(not colon or not old or not new for old, colon, new in pairs):
        raise ValueError(text)
    return {old: new for old, _, new in pairs}


@dataclass(frozen=True)
class Option:
    """One `KEY=VALUE` of a reader: how the value is read, what it is by default, and what it means."""

    convert: Callable[[str], Any]
    default: Any
    help: str


ALPHABET = {
    "strict_alphabet": Option(
        yes_or_no, False, "yes: refuse letters other than A, C, G, T, N; no: upper case, U to T, ambiguity letters to N"
    )
}


@dataclass(frozen=True)
class Reader:
    """A function from raw files to a sequence set, with the sources and options that it knows.

    A source name that ends in `*` stands for any name of that beginning. `required` sources must be given.
    """

    summary: str
    sources: Mapping[str, str]
    required: tuple[str, ...]
    options: Mapping[str, Option]
    read: Read = field(repr=False)

    def __call__(self, sources: Mapping[str, Path], options: Mapping[str, str], seed: int) -> pd.DataFrame:
        """The sequence set (columns in `sequences`); `UserError` for names that the reader does not know."""
        for name in sources:
            if not any(name == known or (known[-1] == "*" and name.startswith(known[:-1])) for known in self.sources):
                raise UserError(f"source '{name}' is not known to this reader; it takes {', '.join(self.sources)}.")
        for name in self.required:
            if name not in sources:
                raise UserError(f"source '{name}' is missing ({self.sources[name]}); add --source {name}=PATH.")
        settings = {name: option.default for name, option in self.options.items()}
        for name, text in options.items():
            if name not in self.options:
                raise UserError(
                    f"option '{name}' is not known to this reader; it takes {', '.join(self.options) or 'none'}."
                )
            try:
                settings[name] = self.options[name].convert(text)
            except ValueError:
                raise UserError(f"option {name}={text} is not understood: {self.options[name].help}.") from None
        return self.read(dict(sources), settings, seed)

    def explain(self) -> str:
        """Sources and options, one a line."""
        lines = [self.summary, "  sources:"]
        lines += [
            f"    {name}{'' if name in self.required else ' (optional)'}: {text}" for name, text in self.sources.items()
        ]
        lines += ["  options:"] if self.options else []
        lines += [f"    {name}: {option.help} (default {option.default!r})" for name, option in self.options.items()]
        return "\n".join(lines)


def note(text: str) -> None:
    """One line for the log."""
    print(text, file=sys.stderr)


def read_text_table(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """A CSV or TSV (also gzip) with a header, every cell a string; `UserError` without rows or without `columns`.

    The separator is a tab where the header holds one, else a comma.
    """
    try:
        with path.open("rb") as stream:
            compression: Any = "gzip" if stream.read(2) == b"\x1f\x8b" else None
        header = pd.read_csv(path, sep="\x00", nrows=0, compression=compression).columns
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut off
            frame = pd.read_csv(
                path,
                sep="\t" if len(header) and "\t" in header[0] else ",",
                dtype=str,
                keep_default_na=False,
                index_col=False,
                compression=compression,
            )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: the file is empty; a table with a header is needed.") from None
    except (EOFError, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; download it again.") from None
    except pd.errors.ParserWarning:
        raise UserError(f"{path}: a row has more cells than the header; give every row the header's cells.") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}).") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    for name in columns:
        if name not in frame.columns:
            raise UserError(f"{path}: has no column '{name}' (it has {', '.join(map(str, frame.columns[:8]))}).")
    if frame.empty:
        raise UserError(f"{path}: the table has a header and no rows.")
    return frame


def shares(values: list[float], names: tuple[str, ...] = ("train", "validation", "test")) -> dict[str, float]:
    """Shares by split; `UserError` unless there is one each, none negative, with sum 1."""
    if len(values) != len(names) or min(values) < 0 or abs(sum(values) - 1) > 1e-9:
        raise UserError(f"fractions {values} are not usable: give {len(names)} ({', '.join(names)}) that sum to 1.")
    return dict(zip(names, values, strict=True))


def draw_splits(strata: Iterable[str], groups: Iterable[str], fractions: Mapping[str, float], seed: int) -> np.ndarray:
    """A split for every row [rows], stratified, no group in two splits.

    A group counts to the stratum of its first row. Within a stratum, groups are put in a seeded random order and dealt
    out by the position of their middle row, so each split gets its share to within half a group.
    """
    rows = pd.DataFrame({"stratum": list(strata), "group": list(groups)})
    by_group = rows.groupby("group", sort=True)["stratum"].agg(["first", "size"])
    generator = np.random.default_rng(seed)
    names, bounds = list(fractions), np.cumsum(list(fractions.values()))[:-1]
    chosen: dict[str, str] = {}
    for _, members in by_group.groupby("first", sort=True):
        order = generator.permutation(len(members))
        sizes = members["size"].to_numpy()[order]
        middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
        for group, place in zip(members.index[order], np.searchsorted(bounds, middles, side="right"), strict=True):
            chosen[group] = names[place]
    return rows["group"].map(chosen).to_numpy(dtype=object)


def contig_splits(contigs: pd.Series, test: list[str], validation: list[str], where: str) -> np.ndarray:
    """A split for every row [rows] by its contig; `UserError` where a contig named holds no row."""
    held = contigs.map(canonical_contig)
    for name in [*test, *validation]:
        if canonical_contig(name) not in set(held):
            raise UserError(
                f"{where}: no sequence lies on contig '{name}'; it has {', '.join(sorted(set(contigs))[:8])}."
            )
    in_test, in_validation = (held.isin([canonical_contig(name) for name in names]) for names in (test, validation))
    return np.where(in_test, "test", np.where(in_validation, "validation", "train")).astype(object)


def split_rows(frame: pd.DataFrame, contigs: pd.Series, options: dict[str, Any], seed: int, where: str) -> np.ndarray:
    """Splits by `test_contigs` and `validation_contigs` where given, else by `fractions` with groups kept together."""
    if options["test_contigs"]:
        return contig_splits(contigs, options["test_contigs"], options["validation_contigs"], where)
    return draw_splits(frame["label"], frame["group"], shares(options["fractions"]), seed)


def cap_classes(frame: pd.DataFrame, classes: list[str], largest: int, smallest: int, seed: int) -> pd.DataFrame:
    """Rows of `classes` (empty: of all), at most `largest` a class drawn at random (0: all); classes with fewer than
    `smallest` rows are left out."""
    if absent := [name for name in classes if name not in set(frame["label"])]:
        known = ", ".join(sorted(set(frame["label"]))[:12])
        raise UserError(f"class '{absent[0]}' does not occur; the classes are {known}.")
    if classes:
        frame = frame[frame["label"].isin(classes)]
    counts = frame["label"].value_counts()
    frame = frame[frame["label"].isin(counts[counts >= smallest].index)]
    if largest:
        generator = np.random.default_rng(seed)
        keep = [
            part.index.to_numpy()[generator.permutation(len(part))[:largest]]
            for _, part in frame.groupby("label", sort=True)
        ]
        frame = frame.loc[np.sort(np.concatenate(keep))] if keep else frame
    return frame.reset_index(drop=True)


def contig_of(header: str) -> str | None:
    """Chromosome in a FASTA header (`chr2_87930085_87930285`, `… range=chr12:78319870-…`, `chr5:1-10`), or None."""
    match = re.search(r"(?:range=|^)chr([0-9]{1,2}|[XYMxym]|MT|[IVXLivxl]+)(?=[:_])", header, flags=re.IGNORECASE)
    return None if match is None else "chr" + match[1].upper()


def covered_places(genome: Genome, places: pd.DataFrame, where: str) -> pd.DataFrame:
    """The places (`contig`, `start`, `end`, 0-based and half-open) that the genome covers by at least half.

    `UserError` where none is; contigs that the genome lacks count as not covered.
    """
    stretches: dict[str, list[tuple[int, int]]] = {}
    for contig in places["contig"].unique():
        known = {canonical_contig(name): name for name in genome.contigs}
        stretches[contig] = genome.coverage(known[name]) if (name := canonical_contig(contig)) in known else []
    keep = [
        2 * sum(max(0, min(end, high) - max(start, low)) for low, high in stretches[contig]) >= end - start
        for contig, start, end in zip(places["contig"], places["start"], places["end"], strict=True)
    ]
    if not any(keep):
        genome.resolve(places["contig"].iloc[0])
        raise UserError(f"{where}: the genome {genome.path.name} covers none of its {len(places)} places.")
    if not all(keep):
        note(f"{where}: {len(keep) - sum(keep)} of {len(keep)} places are more than half outside the genome: left out")
    return places[keep].reset_index(drop=True)


def extract(genome: Genome, places: pd.DataFrame) -> list[str]:
    """Sequences of places (`contig`, `start`, `end`, `strand`), reverse complements where the strand is -."""
    if (odd := ~places["strand"].isin(["+", "-", "."])).any():
        place = places[odd].iloc[0]
        raise UserError(
            f"strand '{place['strand']}' of {place['contig']}:{place['start']}-{place['end']} is none of +, - and '.'."
        )
    columns = (places[name] for name in ("contig", "start", "end", "strand"))
    return [
        reverse_complement(text) if strand == "-" else text
        for text, strand in (
            (genome.fetch(contig, start, end), strand) for contig, start, end, strand in zip(*columns, strict=True)
        )
    ]
