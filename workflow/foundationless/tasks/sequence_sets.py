"""Sequences and sequence sets: the one table that everything a model reads passes through.

A *sequence set* is a Parquet file with one row per sequence:

========== ======== ====================================================================================
column     type     meaning
========== ======== ====================================================================================
id         string   unique within the set
sequence   string   upper-case DNA over A, C, G, T, N
label      string   class name, or null where a task has none; classes are the sorted distinct labels. Of a set with
                    outputs (regression, multi-label): their values, as `data.outputs` spells them
split      string   train, validation or test (all `test` where nothing is trained)
group      string   what must not be split and is resampled together (gene, contig, person, family)
========== ======== ====================================================================================

The file's metadata (`foundationless`, JSON) name the `outputs` of such a set and say whether they are `values` or
`tracks` (`labels`; see `vocabulary.LABELS`); in memory both stand in the frame's `attrs`.

Tasks add columns of their own (`offset`, `ref`, `alt`, perhaps `alternative` for variants; `window`, `mutations`,
`sites` for mutants; `sample` for people; ...); the reader that makes them documents them.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.data.dna import alternative, check_dna
from foundationless.data.files.numbers import MISSING
from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path
from foundationless.study.vocabulary import CLASSES

COLUMNS = ("id", "sequence", "label", "split", "group")
# Columns that few sets have: whether a row to learn from is of the set that a transfer is asked about, and how much a
# row weighs where a probe learns.
JOINED, WEIGHT = "joined", "weight"
SPLITS = ("train", "validation", "test")
_METADATA = "foundationless"
_DICTIONARY = 1 << 28  # bytes of distinct sequences per row group up to which repeats are stored by number


def _check_rows(frame: pd.DataFrame, where: str, strict: bool = True) -> None:
    """`UserError` that names the first row that breaks a rule of sequence sets, as far as its columns are there."""
    if frame.empty:
        raise UserError(f"{where}: no sequences; check that the input holds any that pass the filters.")
    if frame["id"].isna().any():
        raise UserError(f"{where}: row {int(frame['id'].isna().argmax()) + 1} has no id.")
    repeated = frame["id"][frame["id"].duplicated()]
    if len(repeated):
        raise UserError(f"{where}: id '{repeated.iloc[0]}' stands more than once; ids must be unique.")
    if "split" in frame.columns and (odd := ~frame["split"].isin(SPLITS)).any():
        raise UserError(
            f"{where}: sequence '{frame.loc[odd, 'id'].iloc[0]}' is in split "
            f"'{frame.loc[odd, 'split'].iloc[0]}'; a split is one of {', '.join(SPLITS)}."
        )
    if "label" in frame.columns and (blank := frame["label"].eq("")).any():
        raise UserError(f"{where}: sequence '{frame.loc[blank, 'id'].iloc[0]}' has an empty label; name its class.")
    check_dna(frame["id"], frame["sequence"].fillna(""), where, strict)


def write_sequences(path: Path, frame: pd.DataFrame) -> None:
    """Validate a sequence set and write it; every violation is a `UserError` that names the first offending row.

    Equal sequences are stored once: memory and file grow with the distinct haplotypes of a population, not with people.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise UserError(f"{path.name}: a sequence set needs the column(s) {', '.join(missing)}.")
    _check_rows(frame, path.name)
    others = [column for column in frame.columns if column not in COLUMNS]
    table = pa.Table.from_pandas(frame[[*COLUMNS, *others]].drop(columns="sequence"), preserve_index=False)
    for name in COLUMNS:
        if name != "sequence":
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
    codes, distinct = pd.factorize(frame["sequence"])
    repeated = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(distinct, pa.string()))
    table = table.add_column(1, "sequence", repeated)
    described = {name: frame.attrs[name] for name in ("labels", "outputs") if name in frame.attrs}
    with atomic_path(path) as part:
        # Without the schema of Arrow, readers see a column of plain text, whatever its encoding.
        how = {"compression": "zstd", "store_schema": False, "dictionary_pagesize_limit": _DICTIONARY}
        with pq.ParquetWriter(part, table.schema, **how) as writer:
            writer.write_table(table)
            if described:
                writer.add_key_value_metadata({_METADATA: json.dumps(described)})


def read_sequences(
    path: Path,
    columns: Iterable[str] | None = None,
    strict_alphabet: bool = True,
    splits: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a sequence set (all columns, or `columns`); a file that is none is a `UserError` that says why.

    Of `splits`, where they are named, their rows alone: the others are neither read nor checked.

    A set made elsewhere may hold other letters than A, C, G, T, N: without `strict_alphabet` they are left to the rules
    of the tokenizer that reads them (see `models.tokenizers`).
    """
    wanted = COLUMNS if columns is None else tuple(columns)
    if not path.is_file():
        raise UserError(f"{path}: no such file; a sequence set is a Parquet file.")
    try:
        types = {field.name: field.type for field in pq.read_schema(path)}
        if missing := [name for name in wanted if name not in types]:
            raise UserError(f"{path}: not the sequence set needed (no column {', '.join(missing)}); build it again.")
        for name in {"id", "sequence", "label", "split", "group"} & set(wanted):
            plain = pa.types.is_string(types[name]) or pa.types.is_large_string(types[name])
            if not plain and not pa.types.is_null(types[name]):
                raise UserError(f"{path}: column '{name}' holds {types[name]}, not text; build the set again.")
        chosen = None if columns is None else list(columns)
        only = [("split", "in", list(splits))] if splits else None
        table = pq.read_table(path, columns=chosen, read_dictionary=["sequence"], filters=only)
        frame: pd.DataFrame = table.to_pandas()
        frame.attrs = json.loads((table.schema.metadata or {}).get(_METADATA.encode(), b"{}"))
        if "sequence" in frame.columns:
            frame["sequence"] = frame["sequence"].astype(object)  # one string for all rows that hold it
        _check_rows(frame, path.name, strict_alphabet)
        return frame
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: not a sequence set ({error}); build it again.") from None


def with_outputs(frame: pd.DataFrame, labels: str, outputs: Sequence[str]) -> pd.DataFrame:
    """The frame with the kind of its labels (`values` or `tracks`) and the names of its outputs in its `attrs`.

    `UserError` where a name is empty or stands twice.
    """
    names = [str(name) for name in outputs]
    if not all(names) or len(set(names)) < len(names):
        raise UserError(f"outputs {', '.join(names)[:80]}: each needs a name of its own.")
    if odd := [name for name in names if name.lower() in MISSING]:
        raise UserError(f"output '{odd[0]}': tables would read this name as a missing value; give it another one.")
    frame.attrs = {"labels": labels, "outputs": names}
    return frame


def alternative_windows(frame: pd.DataFrame) -> list[str]:
    """ALT windows of a variant set: its column `alternative`, or REF windows with the other allele in place."""
    if "alternative" in frame.columns:
        return frame["alternative"].tolist()
    columns = (frame[name] for name in ("sequence", "offset", "ref", "alt"))
    return [alternative(*variant) for variant in zip(*columns, strict=True)]


def labels_in(frame: pd.DataFrame) -> tuple[str, list[str]]:
    """Kind of the labels of a set (of `vocabulary.LABELS`), and the names of its outputs (none: labels are classes)."""
    return frame.attrs.get("labels", CLASSES), list(frame.attrs.get("outputs", []))
