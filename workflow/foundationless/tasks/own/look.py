"""What somebody's files hold: the kind, the columns, the classes, the reader that reads them; one sentence if unfit."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.tables import read_text_table
from foundationless.errors import UserError
from foundationless.tasks.own import places
from foundationless.tasks.own.classes import FRACTIONS, check_classes
from foundationless.tasks.readers import build_set
from foundationless.tasks.readers.table import read_parquet, read_workbook
from foundationless.tasks.splits import texts

MOST_CLASSES = 50
FASTA, BED, VCF = (".fa", ".fasta", ".fna", ".ffn", ".fas"), (".bed",), (".vcf", ".bcf")
SEQUENCE_NAMES = ("sequence", "seq", "dna", "dna_sequence", "sequences", "dna_seq", "insert", "oligo")
LABEL_NAMES = ("label", "class", "labels", "target", "y")
_DNA = re.compile("[ACGTUNacgtun]{8,}")


@dataclass(frozen=True)
class Given:
    """Files, and what their owner says of them: columns of a table, an INFO field (`label`), a genome."""

    files: tuple[Path, ...]
    label: str = ""
    sequence: str = ""
    group: str = ""
    split: str = ""
    genome: Path | None = None


@dataclass(frozen=True)
class Found:
    """How the files are read: reader, sources (role: file), options, whether a genome is needed; and what they hold.

    `held_out`: contigs of the genome that test and validation take. `sizes`: rows of each split and mean `length`.
    """

    reader: str
    sources: dict[str, Path]
    options: dict[str, str]
    sentences: tuple[str, ...] = ()
    genome: Path | None = None
    held_out: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    sizes: dict[str, float] = field(default_factory=dict)


def find_files(data: str) -> tuple[Path, ...]:
    """The files that DATA names: one, the FASTA files of a directory, or several between commas."""
    path = Path(data)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _kind(file) == "fasta")
        if not files:
            raise UserError(
                f"{data}: the directory holds no FASTA ({', '.join(FASTA)}); name a file, or put one a class in it."
            )
        return tuple(files)
    files = [path] if path.is_file() else [Path(part.strip()) for part in data.split(",") if part.strip()]
    if missing := [file for file in files if not file.is_file()]:
        raise UserError(f"{missing[0]}: no such file; correct the path.")
    return tuple(files)


def _kind(path: Path) -> str:
    endings = [ending.lower() for ending in path.suffixes if ending.lower() not in (".gz", ".bgz")]
    ending = endings[-1] if endings else ""
    kinds = (("fasta", FASTA), ("bed", BED), ("vcf", VCF))
    return next((kind for kind, known in kinds if ending in known), "table")


def look(given: Given, seed: int) -> Found:
    """Look at the files; `UserError` with one sentence for what cannot be used."""
    kinds = {_kind(file) for file in given.files}
    if kinds == {"fasta"} and len(given.files) > 1:
        found = _look_at_fasta(given)
    elif len(given.files) > 1:
        raise UserError(f"{given.files[1]}: several files are one FASTA a class; of other kinds give one.")
    elif kinds <= {"bed", "vcf"}:
        if given.genome is None or not given.genome.is_file():
            what = f"{given.genome}: no such file" if given.genome else f"{given.files[0]}: its places need a genome"
            raise UserError(f"{what}; name its FASTA with GENOME= (--genome).")
        _refuse(given, "column", sequence=given.sequence, group=given.group, split=given.split)
        reader, sources, options, held_out, sentences, sizes = places.look(
            given.files[0], kinds == {"vcf"}, given.label, seed
        )
        return Found(reader, sources, options, tuple(sentences), given.genome, held_out, sizes)
    else:
        found = _look_at_table(given)
    if given.genome:
        raise UserError(
            f"{given.files[0]}: GENOME= is for a BED or a VCF, whose sequences are cut from it; leave it out."
        )
    return _look_at_set(found, seed)


def _refuse(given: Given, what: str, **named: str) -> None:
    if odd := [name for name, value in named.items() if value]:
        raise UserError(
            f"{given.files[0]}: {odd[0].upper()}= names a {what}, which such files do not have; leave it out."
        )


def _look_at_fasta(given: Given) -> Found:
    _refuse(given, "column", label=given.label, sequence=given.sequence, group=given.group, split=given.split)
    names = [re.sub("[^A-Za-z0-9_]", "_", file.name.removesuffix("".join(file.suffixes))) for file in given.files]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise UserError(
            f"{given.files[0].parent}: two FASTA files are called '{twice[0]}', which is the class; rename one."
        )
    sources = {f"all.{name}": file for name, file in zip(names, given.files, strict=True)}
    said = f"{len(names)} FASTA files, one a class: {', '.join(names)}."
    return Found("fasta_classes", sources, {"fractions": FRACTIONS}, (said,))


# ---- tables


def read_any(path: Path) -> pd.DataFrame:
    """A whole table as text: CSV, TSV, Parquet or Excel."""
    ending = "".join(path.suffixes).lower().removesuffix(".gz")
    if ending.endswith(".parquet"):
        return read_parquet(path)
    if ending.endswith((".xlsx", ".xlsm")):
        return read_workbook(path)
    if ending.endswith(".xls"):
        raise UserError(f"{path}: an old Excel file; save it as .xlsx or CSV.")
    return read_text_table(path)


def _look_at_table(given: Given) -> Found:
    path = given.files[0]
    if _kind(path) == "fasta":
        _refuse(given, "column", label=given.label, sequence=given.sequence, group=given.group, split=given.split)
        return Found(
            "table", {"all": path}, {"fractions": FRACTIONS}, (f"{path.name}: a FASTA whose headers end in |LABEL.",)
        )
    frame = read_any(path)
    columns = [str(name) for name in frame.columns]
    label = _column(path, columns, given.label, "label", LABEL_NAMES)
    if not label:
        raise UserError(f"{path}: say which column is the class, LABEL=COLUMN (--label); it has {_listed(columns)}.")
    sequence = _column(path, columns, given.sequence, "sequence", SEQUENCE_NAMES) or _dna_column(frame, label)
    if not sequence:
        raise UserError(
            f"{path}: no column looks like DNA; name it with SEQUENCE=COLUMN (--sequence); it has {_listed(columns)}."
        )
    _check_dna(path, frame[sequence], sequence)
    _check_labels(path, frame[label], label)
    more = {
        name: _column(path, columns, getattr(given, name), name, ())
        for name in ("group", "split")
        if getattr(given, name)
    }
    named = {"sequence": sequence, "label": label, **more}
    if len(set(named.values())) < len(named):
        raise UserError(f"{path}: one column is named twice ({', '.join(f'{k}={v}' for k, v in named.items())}).")
    said = f"{path.name}: a table of {len(frame):,} rows; sequences are in '{sequence}', classes in '{label}'."
    options = {key: value for key, value in named.items() if value != key or key in more}
    return Found("table", {"all": path}, options | {"fractions": FRACTIONS}, (said,))


def _column(path: Path, columns: Sequence[str], asked: str, what: str, usual: Iterable[str]) -> str:
    """The column asked for, or one of a usual name; empty where there is none."""
    if not asked:
        lower = {name.lower(): name for name in reversed(columns)}
        return next((lower[name] for name in usual if name in lower), "")
    if asked in columns:
        return asked
    near = difflib.get_close_matches(asked, columns, n=3, cutoff=0.4)
    near = [name for name in columns if name.lower() == asked.lower()] or near
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {_listed(columns)}."
    raise UserError(f"{path}: has no column '{asked}' ({what.upper()}=); {hint}")


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns[:12]) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")


def _dna_column(frame: pd.DataFrame, label: str) -> str:
    """The one column that holds DNA, of several the one with the longest."""
    sample = frame.head(200)
    shares = {str(name): sample[name].str.strip().str.fullmatch(_DNA).mean() for name in frame if name != label}
    fit = [name for name, share in shares.items() if share > 0.95]
    return max(fit, key=lambda name: sample[name].str.len().mean(), default="")


def _check_dna(path: Path, cells: pd.Series, column: str) -> None:
    letters = cells.str.strip().str.upper()
    if (blank := letters == "").any():
        raise UserError(
            f"{path}: row {int(blank.to_numpy().argmax()) + 1} has no sequence in '{column}'; leave it out."
        )
    odd = letters.str.contains("[^ACGTUNRYSWKMBDHV]", regex=True)
    if odd.any():
        row = int(odd.to_numpy().argmax())
        letter = re.sub("[ACGTUNRYSWKMBDHV]", "", letters.iloc[row])[:1]
        kind = "it looks like protein" if odd.mean() > 0.5 else f"{int(odd.sum())} rows hold such letters"
        raise UserError(f"{path}: row {row + 1} of '{column}' holds '{letter}', which is no letter of DNA ({kind}).")


def _check_labels(path: Path, cells: pd.Series, column: str) -> None:
    labels = cells.str.strip()
    if (blank := labels == "").any():
        raise UserError(
            f"{path}: row {int(blank.to_numpy().argmax()) + 1} has nothing in '{column}' ({int(blank.sum())} rows have "
            "not); every row needs a class."
        )
    counts = labels.value_counts()
    numbers = pd.to_numeric(labels, errors="coerce").notna().all()
    if len(counts) > max(MOST_CLASSES, 2) or (numbers and len(counts) > 20):
        what = "numbers that were measured" if numbers else "a name for nearly every row"
        raise UserError(
            f"{path}: '{column}' has {len(counts)} different values ({what}?), and a class is one of at most "
            f"{20 if numbers else MOST_CLASSES}; name another column, or cut it into classes."
        )
    check_classes(path, counts)


# ---- the set as it will be


def _look_at_set(found: Found, seed: int) -> Found:
    """Build the set as the workflow will, and say what it holds; `UserError` for one that is too small."""
    where = next(iter(found.sources.values()))
    frame = build_set(found.reader, found.sources, found.options, seed)
    counts = frame["label"].value_counts()
    check_classes(where, counts)
    lengths = frame["sequence"].str.len()
    said = [f"Classes: {', '.join(f'{label} {count:,}' for label, count in counts.items())}."]
    least, most = int(lengths.min()), int(lengths.max())
    median = f"{least:,} to {most:,}, median {lengths.median():,.0f}"
    said += [f"Lengths: {f'all {least:,}' if least == most else median} bases."]
    said += _repeats(frame)
    unknown = int(frame["sequence"].str.contains("N").sum())
    said += [f"In {unknown:,} rows some base is not known: it is read as N."] if unknown else []
    splits = frame["split"].value_counts()
    rows = ", ".join(f"{splits[name]:,} {name}" for name in ("train", "validation", "test"))
    said += [f"Split {_how(found.options)}: {rows} rows, in {frame['group'].nunique():,} groups that are not torn."]
    sizes = {name: float(splits[name]) for name in ("train", "validation", "test")} | {"length": float(lengths.mean())}
    return replace(found, sentences=(*found.sentences, *said), sizes=sizes)


def _repeats(frame: pd.DataFrame) -> list[str]:
    text = texts(frame["sequence"])
    repeated = text.duplicated().sum()
    torn = int((frame["label"].groupby(text.to_numpy()).nunique() > 1).sum())
    if not repeated:
        return ["No sequence stands there twice."]
    said = f"{repeated:,} rows repeat a sequence of another, on either strand"
    return [f"{said}; {torn:,} sequences have two labels, which nothing can learn." if torn else f"{said}."]


def _how(options: dict[str, Any]) -> str:
    if options.get("split"):
        return f"as the column '{options['split']}' says"
    return f"by the column '{options['group']}'" if options.get("group") else "by similarity"
