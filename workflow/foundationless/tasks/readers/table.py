"""`table`: files of sequences with labels, one file a split (GUE, and most published benchmarks)."""

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.data.dna import check_dna, contigs_of
from foundationless.data.files.tables import name_columns, read_text_table
from foundationless.data.reference import Genome, normalise, read_records
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks.dealing import deal
from foundationless.tasks.options import words
from foundationless.tasks.outputs.labels import known_rows, labelled, read_outputs
from foundationless.tasks.sequence_sets import labels_in, with_outputs
from foundationless.tasks.splits import check_taught, legible, named_by_text, with_validation

FASTA = (".fa", ".fasta", ".fna", ".ffn", ".fas")


def read_rows(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """All rows of a file as text, indexed by row number from 1: CSV or TSV; Parquet; Excel; or FASTA whose headers end
    in `|LABEL`, with the columns id, sequence and label. `UserError` without one of `columns`."""
    ending = "".join(path.suffixes).lower().removesuffix(".gz")
    if ending.endswith(".parquet"):
        return _numbered(read_parquet(path, columns))
    columns = columns or []
    if ending.endswith((".xlsx", ".xlsm")):
        frame = read_workbook(path, columns)
    elif ending.endswith(".xls"):
        raise UserError(f"{path}: an old Excel file; save it as .xlsx or CSV.")
    elif ending.endswith(FASTA):
        frame = _read_labelled_fasta(path)
        if missing := [name for name in columns if name not in frame.columns]:
            raise UserError(f"{path}: FASTA has no column '{missing[0]}' (it has id, sequence, label).")
    else:
        frame = read_text_table(path, columns)
    return _numbered(frame)


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(range(1, len(frame) + 1))


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A Parquet table (all columns, or some and the ids), numbers as text, an empty cell for null."""
    try:
        known = pq.read_schema(path).names
        columns = known if columns is None else columns
        if missing := [name for name in columns if name not in known]:
            raise UserError(f"{path}: has no column '{missing[0]}' (it has {', '.join(known[:8])}).")
        frame: pd.DataFrame = pq.read_table(path, columns=[*columns, *({"id"} & set(known) - set(columns))]).to_pandas()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]}).") from None
    if {*frame.index.names} & {*known}:  # pandas wrote a column as the index
        frame = frame.reset_index()
    if frame.empty:
        raise UserError(f"{path}: the table has no rows.")
    # A column of whole numbers with nulls is read as floats: 1.0 is the class 1.
    whole = [name for name in frame if pd.api.types.is_integer_dtype(frame[name].dtype)]
    numbers = {str(name): frame[name].astype("Int64") for name in whole}
    return frame.assign(**numbers).astype("string").fillna("").astype(object)


def read_workbook(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """The first sheet of an Excel workbook as text, an empty cell for none; whole numbers without a point, days
    without an hour."""
    try:
        frame: pd.DataFrame = pd.read_excel(path, dtype=object, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        raise UserError(
            f"{path}: cannot be read as an Excel workbook ({' '.join(str(error).split())[:200]})."
        ) from None
    name_columns(frame, path, columns, [str(name).strip().removesuffix(".1") for name in frame.columns])
    if frame.empty:
        raise UserError(f"{path}: the table has no rows.")
    return frame.map(_cell)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return str(value).removesuffix(" 00:00:00")
    return "" if value is None else str(value)


def _read_labelled_fasta(path: Path) -> pd.DataFrame:
    rows = []
    for number, (header, sequence) in enumerate(read_records(path), 1):
        name, bar, label = (header.split() or [""])[0].rpartition("|")
        if not bar or not label:
            raise UserError(f"{path}: record {number} ('{header[:40]}') has no label; its header ends in |LABEL.")
        rows.append((f"{path.stem}_{number}" if not name else f"{name}_{number}", sequence, label))
    return pd.DataFrame(rows, columns=["id", "sequence", "label"])


def read_split(path: Path, split: str, options: dict[str, Any]) -> pd.DataFrame:
    """Rows of one file with id (its column `id`, else SPLIT_ROW), sequence (as `normalise` spells it, unless
    `strict_alphabet` takes it as written; of pairs both with N between), label, split; `UserError` with the row for
    letters other than A, C, G, T, N and for a label that the option `labels` does not name, or that is no number.

    Of labels with outputs rows without any are left out, and the names of the outputs stand in the frame's `attrs`.
    """
    wanted, dealt = options["filter"], {}
    if split == "all":
        dealt = {name: options[name] for name in ("split", "group") if options[name]}
    columns = [*_columns(options, "sequence"), *_columns(options, "label"), *([wanted[0]] if wanted else [])]
    frame = read_rows(path, list(dict.fromkeys([*columns, *dealt.values()])))
    if wanted:
        frame = frame[frame[wanted[0]].str.strip() == wanted[1]]
        if frame.empty:
            raise UserError(f"{path}: no row has {wanted[0]} '{wanted[1]}'; correct the option filter.")
    labels = _labels(frame, options, path)
    numbered = pd.Series([f"{split}_{row}" for row in frame.index], index=frame.index)
    rows = pd.DataFrame(
        {
            "id": frame["id"].where(frame["id"] != "", numbered) if "id" in frame.columns else numbered,
            "sequence": _sequences(frame, options, path),
            "label": labels,
            "split": split,
        }
        | {name: frame[column].str.strip() for name, column in dealt.items()}
    )
    if options["label_kind"] != CLASSES:
        rows = with_outputs(known_rows(rows, path.name), options["label_kind"], _columns(options, "label"))
    for name, column in dealt.items():
        if (blank := rows[name] == "").any():
            raise UserError(f"{path}: row {blank.idxmax()} has nothing in the column '{column}'; every row needs it.")
    check_dna((f"row {row}" for row in rows.index), rows["sequence"], path.name)
    return rows


def _columns(options: dict[str, Any], name: str) -> list[str]:
    """Columns that an option names: of sequences in pairs both, of labels with outputs one each, otherwise one."""
    several = name == "sequence" or options["label_kind"] != CLASSES
    columns = words(options[name]) if several else [options[name]]
    if len(set(columns)) < len(columns) or not columns:
        raise UserError(f"option {name}={options[name]}: each column is named once; correct it.")
    return columns


def _sequences(frame: pd.DataFrame, options: dict[str, Any], path: Path) -> pd.Series:
    """Sequences of rows; of pairs the one, N, and the other, both of which must be there."""
    parts = [frame[column].str.strip() for column in _columns(options, "sequence")]
    for part in parts if len(parts) > 1 else ():
        if (blank := part == "").any():
            raise UserError(f"{path}: row {blank.idxmax()} has no sequence in the column '{part.name}'; give both.")
    spelled = parts if options["strict_alphabet"] else [part.map(normalise) for part in parts]
    joined = spelled[0]
    for part in spelled[1:]:
        joined = joined + "N" * options["gap"] + part
    return joined


def _labels(frame: pd.DataFrame, options: dict[str, Any], path: Path) -> pd.Series:
    """Labels of rows: classes by the names that the option `labels` gives them, or values of outputs as text."""
    names = options["labels"]
    if options["label_kind"] != CLASSES:
        if names:
            raise UserError(f"option labels names classes; of label_kind={options['label_kind']} leave it out.")
        return read_outputs(frame[_columns(options, "label")], options["label_kind"], str(path))
    labels = frame[options["label"]].str.strip()
    if (blank := labels == "").any():
        raise UserError(f"{path}: row {blank.idxmax()} has no label; every sequence needs one.")
    return rename_labels(labels, names, str(path)) if names else labels


def rename_labels(labels: pd.Series, names: dict[str, str], where: str) -> pd.Series:
    """Labels under the names that are given to them; `UserError` with the row for one that has none."""
    labels = labels.where(labels.isin(names), labels.map(_whole))
    if (odd := ~labels.isin(names)).any():
        raise UserError(
            f"{where}: row {odd.idxmax()} has the label '{labels[odd].iloc[0]}', which the option labels does not "
            f"name ({', '.join(names)})."
        )
    return labels.map(names)


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; `group` is the id, of identical sequences that of the first, or with a genome the (first) contig, and
    then splits keep to chromosomes.

    A row stays in test only if every place of its sequence is on `test_contigs`, in train or validation only if none
    is; a sequence that is nowhere in the genome (`dna.contigs_of`) is left out of both. A validation split drawn
    from train takes whole contigs, since neighbouring windows overlap.
    """
    if "all" in sources:
        return _dealt(sources, options, seed)
    if lost := [name for name in ("split", "group") if options[name]]:
        raise UserError(f"option {lost[0]} is of the source all, which holds the rows of every split.")
    splits = [split for split in ("train", "validation", "test") if split in sources]
    frame = pd.concat([read_split(sources[split], split, options) for split in splits], ignore_index=True)
    frame = legible(_alike(labelled(frame, options["label_kind"], _columns(options, "label"))))
    check_taught(frame)
    frame["group"] = named_by_text(frame["sequence"], frame["id"])
    if ("genome" in sources) != bool(options["test_contigs"]):
        raise UserError("source genome and option test_contigs go together: give both or neither.")
    if "genome" in sources:
        if len(_columns(options, "sequence")) > 1:
            raise UserError("sequences in pairs have no one place in a genome; leave the source genome out.")
        frame = by_contig(frame, Genome(sources["genome"]), options["test_contigs"])
    return frame if "validation" in sources else with_validation(frame, "group", options["validation_fraction"], seed)


def _dealt(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set of one file with all rows, which are dealt out here (`dealing`)."""
    if odd := sorted(set(sources) - {"all"}):
        raise UserError(f"source {odd[0]} does not go with the source all, which holds the rows of every split.")
    path = sources["all"]
    frame = read_split(path, "all", options)
    if frame["id"].duplicated().any():
        tell(f"{path.name}: its column id names several rows alike: rows are numbered instead")
        frame = frame.assign(id=[f"all_{row}" for row in frame.index])
    if not options["split"] or options["deal"] == "rows":
        frame = frame.drop(columns="split")
    if options["label_kind"] == CLASSES:
        frame = frame.assign(label=one_spelling(frame["label"]))
    frame = legible(frame)
    return deal(frame, options, seed, path.name)[["id", "sequence", "label", "split", "group"]]


def one_spelling(labels: pd.Series) -> pd.Series:
    """Labels of which `1.0` is `1` where both stand there."""
    whole = labels.map(_whole)
    return whole if set(whole[whole != labels]) & set(labels) else labels


def _whole(label: str) -> str:
    """`1.0` to `1`, as a column of whole numbers is written once one of them was missing; others as they are."""
    match = re.fullmatch(r"([+-]?\d+)\.0*", label)
    return match[1] if match else label


def _alike(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of all files with labels, and ids, that mean one thing: `1.0` of one is `1` of another, and ids that
    count anew in each bear its split."""
    labels = frame["label"] if labels_in(frame)[0] != CLASSES else frame["label"].map(_whole)
    if set(labels[labels != frame["label"]]) & set(frame["label"]):
        tell(f"labels such as '{frame['label'][labels != frame['label']].iloc[0]}' are read as whole numbers")
        frame = frame.assign(label=labels)
    # The same sequence under the same id is there twice, which is refused later.
    anew = not frame.duplicated(["split", "id"]).any() and not frame.duplicated(["id", "sequence"]).any()
    if frame["id"].duplicated().any() and anew:
        tell("ids stand in several splits: each begins with its split now")
        frame = frame.assign(id=frame["split"] + "_" + frame["id"])
    return frame


def by_contig(frame: pd.DataFrame, genome: Genome, test_contigs: list[str]) -> pd.DataFrame:
    """The rows (`sequence`, `split`) on the side of their split, by the places of their sequences in a genome; `group`
    is the (first) contig. What is on the other side, or nowhere, is left out and counted."""
    held_out = {genome.resolve(contig) for contig in test_contigs}
    places = contigs_of(list(frame["sequence"]), genome.pieces)
    keep = [
        bool(contigs) and (set(contigs) <= held_out if split == "test" else not held_out & set(contigs))
        for contigs, split in zip(places, frame["split"], strict=True)
    ]
    lost = sum(not contigs for contigs in places)
    tell(
        f"of {len(frame)} sequences {lost} are nowhere in {genome.path.name} and {len(keep) - sum(keep) - lost} are on "
        "the other side of the split by contig: left out"
    )
    return frame.assign(group=[contigs[0] if contigs else "" for contigs in places])[keep].reset_index(drop=True)
