"""What somebody's files hold: the kind, the columns, the labels, the reader that reads them; one sentence if unfit."""

import difflib
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.text import is_gzip
from foundationless.data.reference import Genome, Piece, prepare_genome
from foundationless.errors import UserError
from foundationless.study.vocabulary import CLASSES, TRACKS
from foundationless.tasks.dealing import WORDS, check_whole
from foundationless.tasks.own import places
from foundationless.tasks.own.classes import FRACTIONS, check_classes
from foundationless.tasks.own.found import Found, Given
from foundationless.tasks.own.labels import METRIC, MOST_CLASSES, check_names, describe, see_kind
from foundationless.tasks.readers import build_set
from foundationless.tasks.readers.table import FASTA, read_rows
from foundationless.tasks.sequence_sets import labels_in
from foundationless.tasks.splits import texts

BED, VCF = (".bed",), (".vcf", ".bcf")
SEQUENCE_NAMES = ("sequence", "seq", "dna", "dna_sequence", "sequences", "dna_seq", "insert", "oligo")
LABEL_NAMES = ("label", "class", "labels", "target", "y")
_DNA = re.compile("[ACGTUNacgtun]{8,}")


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
        return _look_at_places(given, kinds == {"vcf"}, given.genome, seed)
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
    if given.kind not in ("", CLASSES):
        raise UserError(f"{given.files[0].parent}: one FASTA a class has {CLASSES}; KIND={given.kind} needs a table.")
    names = [re.sub("[^A-Za-z0-9_]", "_", file.name.removesuffix("".join(file.suffixes))) for file in given.files]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise UserError(
            f"{given.files[0].parent}: two FASTA files are called '{twice[0]}', which is the class; rename one."
        )
    sources = {f"all.{name}": file for name, file in zip(names, given.files, strict=True)}
    said = f"{len(names)} FASTA files, one a class: {', '.join(names)}."
    return Found("fasta_classes", sources, {"fractions": FRACTIONS}, (said,))


def _look_at_places(given: Given, variants: bool, fasta: Path, seed: int) -> Found:
    with tempfile.TemporaryDirectory() as aside:
        genome = Path(aside, fasta.name.removesuffix(".gz"))  # its index is none of the owner's files
        if is_gzip(fasta):
            prepare_genome([Piece(fasta)], genome)
        else:
            genome.symlink_to(fasta.resolve())
        look_there = places.look_at_variants if variants else places.look_at_intervals
        found = look_there(given.files[0], given, Genome(genome), seed)
        return _look_at_set(replace(found, genome=fasta), seed, genome=genome)


# ---- tables


def _look_at_table(given: Given) -> Found:
    path = given.files[0]
    frame = read_rows(path)
    if _kind(path) == "fasta":
        _refuse(given, "column", label=given.label, sequence=given.sequence, group=given.group, split=given.split)
        kind, how = see_kind(path, frame[["label"]], given.kind)
        said = f"{path.name}: a FASTA whose headers end in |LABEL."
        return Found(
            "table", {"all": path}, _kind_option(kind) | {"fractions": FRACTIONS}, (said, *how), seen=" ".join(how)
        )
    columns = [str(name) for name in frame.columns]
    labels = _label_columns(path, columns, given.label)
    several = _listed_columns(path, columns, given.sequence, "sequence")
    usual = "" if several else _column(path, columns, given.sequence, "sequence", SEQUENCE_NAMES)
    sequences = several or [name for name in (usual or _dna_column(frame, labels),) if name]
    if not sequences:
        raise UserError(
            f"{path}: no column looks like DNA; name it with SEQUENCE=COLUMN (--sequence); it has {_listed(columns)}."
        )
    for name in sequences:
        _check_dna(path, frame[name], name)
    check_names(path, sequences)
    kind, how = see_kind(path, frame[labels], given.kind)
    if kind == CLASSES:
        _check_classes(path, frame[labels[0]], labels[0])
    else:
        check_names(path, labels)
    more = {
        name: _column(path, columns, getattr(given, name), name, ())
        for name in ("group", "split")
        if getattr(given, name)
    }
    named = {"sequence": ",".join(sequences), "label": ",".join(labels), **more}
    used = [*sequences, *labels, *more.values()]
    if len(set(used)) < len(used):
        raise UserError(f"{path}: one column is named twice ({', '.join(f'{k}={v}' for k, v in named.items())}).")
    what = "classes are" if kind == CLASSES else f"{kind} are"
    said = f"{path.name}: a table of {len(frame):,} rows; sequences are in {_quoted(sequences)}, {what}"
    options = {key: value for key, value in named.items() if value != key or key in more}
    unused = [
        f"The column '{name}' is not used; SPLIT={name} (--split) takes it as the split."
        for name in set(columns) - set(used)
        if "split" not in named and set(frame[name].str.strip().str.lower()) <= set(WORDS)
    ]
    options |= _kind_option(kind) | {"fractions": FRACTIONS}
    sentences = (f"{said} in {_quoted(labels)}.", *how, *unused)
    return Found("table", {"all": path}, options, sentences, seen=" ".join(how))


def _kind_option(kind: str) -> dict[str, str]:
    return {} if kind == CLASSES else {"label_kind": kind}


def _label_columns(path: Path, columns: Sequence[str], asked: str) -> list[str]:
    """The columns of the labels: the one that is asked for, or several between commas."""
    names = _listed_columns(path, columns, asked, "label") or [_column(path, columns, asked, "label", LABEL_NAMES)]
    if not names[0]:
        raise UserError(f"{path}: say which column is the label, LABEL=COLUMN (--label); it has {_listed(columns)}.")
    return names


def _listed_columns(path: Path, columns: Sequence[str], asked: str, what: str) -> list[str]:
    """Several columns between commas that are asked for; none where it is one."""
    several = [part.strip() for part in asked.split(",") if part.strip()] if asked not in columns else []
    names = [_column(path, columns, name, what, ()) for name in several] if len(several) > 1 else []
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise UserError(f"{path}: {what.upper()}= names the column '{twice[0]}' twice; name it once.")
    return names


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) if len(names) <= 4 else f"{names[0]!r} to {names[-1]!r}"


def _column(path: Path, columns: Sequence[str], asked: str, what: str, usual: Iterable[str]) -> str:
    """The column asked for, or one of a usual name; empty where there is none."""
    lower = {name.lower(): name for name in reversed(columns)}
    name = asked if asked in columns else next((lower[name] for name in usual if name in lower and not asked), "")
    if f"{name}.1" in columns:  # how pandas, and R, call the second
        raise UserError(f"{path}: two columns are called '{name}'; give one another name.")
    if name or not asked:
        return name
    near = difflib.get_close_matches(asked, columns, n=3, cutoff=0.4)
    near = [name for name in columns if name.lower() == asked.lower()] or near
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {_listed(columns)}."
    raise UserError(f"{path}: has no column '{asked}' ({what.upper()}=); {hint}")


def _listed(columns: Sequence[str]) -> str:
    names = ", ".join(columns[:12]) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
    if len(columns) == 1:
        return f"one column, '{names}' (signs between columns are tab, comma or semicolon)"
    blank = sum(name.startswith("Unnamed: ") for name in columns)
    return f"{names} (delete what stands above the row of names)" if 2 * blank > len(columns) else names


def _dna_column(frame: pd.DataFrame, labels: Sequence[str]) -> str:
    """The one column that holds DNA, of several the one with the longest."""
    sample = frame.head(200)
    shares = {str(name): sample[name].str.strip().str.fullmatch(_DNA).mean() for name in frame if name not in labels}
    fit = [name for name, share in shares.items() if share > 0.95]
    return max(fit, key=lambda name: sample[name].str.len().mean(), default="")


def _check_dna(path: Path, cells: pd.Series, column: str) -> None:
    letters = cells.str.strip().str.upper()
    if (blank := letters == "").any():
        raise UserError(
            f"{path}: row {blank.idxmax()} has no sequence in '{column}' ({int(blank.sum())} rows have none); leave it "
            "out."
        )
    odd = letters.str.contains("[^ACGTUNRYSWKMBDHV]", regex=True)
    if odd.any():
        letter = re.sub("[ACGTUNRYSWKMBDHV]", "", letters[odd].iloc[0])[:1]
        protein = odd.mean() > 0.5 and letter.isalpha()
        kind = "it looks like protein" if protein else f"such signs are in {int(odd.sum())} rows"
        raise UserError(
            f"{path}: row {odd.idxmax()} of '{column}' holds '{letter}', which is no letter of DNA ({kind})."
        )


def _check_classes(path: Path, cells: pd.Series, column: str) -> None:
    labels = cells.str.strip()
    if (blank := labels == "").any():
        raise UserError(
            f"{path}: row {blank.idxmax()} has nothing in '{column}' ({int(blank.sum())} rows have nothing there); "
            "every row needs a class."
        )
    counts = labels.value_counts()
    if len(counts) > MOST_CLASSES:
        numbers = pd.to_numeric(labels, errors="coerce").notna().all()
        what = "numbers that were measured" if numbers else "a name for nearly every row"
        raise UserError(
            f"{path}: '{column}' has {len(counts)} different values ({what}?), and a class is one of at most "
            f"{MOST_CLASSES}; name another column, or cut it into classes."
        )
    check_classes(path, counts)


# ---- the set as it will be


def _look_at_set(found: Found, seed: int, **further: Path) -> Found:
    """Build the set as the workflow will, with `further` sources, and say what it holds.

    `UserError` for one that is too small.
    """
    where = next(iter(found.sources.values()))
    frame = build_set(found.reader, found.sources | further, found.options, seed)
    kind, outputs = labels_in(frame)
    said = describe(frame, where, kind, outputs)
    if kind == CLASSES:
        check_whole(frame, str(where))
    lengths = frame["sequence"].str.len()
    least, most = int(lengths.min()), int(lengths.max())
    median = f"{least:,} to {most:,}, median {lengths.median():,.0f}"
    said += [f"Lengths: {f'all {least:,}' if least == most else median} bases."]
    said += _repeats(frame, kind)
    unknown = int(frame["sequence"].str.contains("N").sum())
    pairs = "," in found.options.get("sequence", "")  # which have N between
    said += [f"In {unknown:,} rows some base is not known: it is read as N."] if unknown and not pairs else []
    splits = frame["split"].value_counts()
    rows = ", ".join(f"{splits[name]:,} {name}" for name in ("train", "validation", "test"))
    sides = frame.groupby("group")["split"].nunique()
    torn = f", of which {(sides > 1).sum():,} are torn" if (sides > 1).any() else " that are not torn"
    said += [f"Split {_how(found.options)}: {rows} rows, in {len(sides):,} groups{torn}."]
    sizes = {name: float(splits[name]) for name in ("train", "validation", "test")} | {"length": float(lengths.mean())}
    return replace(found, sentences=(*found.sentences, *said), sizes=sizes, metric=METRIC[kind])


def _repeats(frame: pd.DataFrame, kind: str) -> list[str]:
    text = texts(frame["sequence"])
    repeated = text.duplicated().sum()
    torn = int((frame["label"].groupby(text.to_numpy()).nunique() > 1).sum())
    if not repeated:
        return ["No sequence stands there twice."]
    said = f"{repeated:,} rows repeat a sequence of another, on either strand"
    if kind == CLASSES:
        return [f"{said}; {torn:,} sequences have two labels, which nothing can learn." if torn else f"{said}."]
    what = "different ones and zeros" if kind == TRACKS else "different numbers, of which their mean is learned"
    return [f"{said}; {torn:,} sequences have {what}." if torn else f"{said}."]


def _how(options: dict[str, Any]) -> str:
    if options.get("test_contigs"):
        return f"by chromosome ({options['test_contigs']} test, {options['validation_contigs']} validate)"
    if options.get("split"):
        return f"as the column '{options['split']}' says"
    return f"by the column '{options['group']}'" if options.get("group") else "by similarity"
