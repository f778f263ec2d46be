"""Sequences and sequence sets: the one table that everything a model reads passes through.

A *sequence set* is a Parquet file with one row per sequence:

========== ======== ====================================================================================
column     type     meaning
========== ======== ====================================================================================
id         string   unique within the set
sequence   string   upper-case DNA over A, C, G, T, N
label      string   class name, or null where a task has none; classes are the sorted distinct labels
split      string   train, validation or test (all `test` where nothing is trained)
group      string   what must not be split and is resampled together (gene, contig, person, family)
========== ======== ====================================================================================

Tasks add columns of their own (`offset`, `ref`, `alt` for variants; `window`, `mutations`, `sites` for mutants;
`sample` for people; ...); the reader that makes them documents them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path

COLUMNS = ("id", "sequence", "label", "split", "group")
SPLITS = ("train", "validation", "test")
_DICTIONARY = 1 << 28  # bytes of distinct sequences per row group up to which repeats are stored by number
_COMPLEMENT = str.maketrans("ACGTNacgtnRYSWKMBDHVryswkmbdhvUu", "TGCANtgcanYRSWMKVHDBryswmkvhdbAa")


def reverse_complement(sequence: str) -> str:
    """Reverse complement; case is kept, IUPAC ambiguity letters map to their complements, U to A."""
    return sequence.translate(_COMPLEMENT)[::-1]


def check_dna(names: Iterable[str], sequences: Iterable[str], where: str, strict: bool = True) -> None:
    """Raise `UserError` naming the first sequence that is empty or, if `strict`, not all of A, C, G, T, N."""
    for name, sequence in zip(names, sequences, strict=True):
        if not sequence:
            raise UserError(f"{where}: sequence '{name}' is empty.")
        # What is left without these letters: ten times faster than a search, on the whole of a set.
        if strict and sequence.encode("ascii", "replace").translate(None, b"ACGTN"):
            found = re.search("[^ACGTN]", sequence)
            assert found is not None
            raise UserError(
                f"{where}: sequence '{name}' holds '{found.group()}' at position {found.start() + 1}; only A, C, G, T "
                "and N are sequences here (write them in upper case, and N for any other letter)."
            )


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
    with atomic_path(path) as part:
        # Without the schema of Arrow, readers see a column of plain text, whatever its encoding.
        pq.write_table(table, part, compression="zstd", store_schema=False, dictionary_pagesize_limit=_DICTIONARY)


def read_sequences(path: Path, columns: Iterable[str] | None = None, strict_alphabet: bool = True) -> pd.DataFrame:
    """Read a sequence set (all columns, or `columns`); a file that is none is a `UserError` that says why.

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
        frame = pq.read_table(path, columns=chosen, read_dictionary=["sequence"]).to_pandas()
        if "sequence" in frame.columns:
            frame["sequence"] = frame["sequence"].astype(object)  # one string for all rows that hold it
        _check_rows(frame, path.name, strict_alphabet)
        return frame
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: not a sequence set ({error}); build it again.") from None


_SEED_LENGTH = 16
_CHUNK = 1 << 24
_CODES = np.zeros(256, dtype=np.uint32)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = [0, 1, 2, 3]


def _seed_codes(sequence: str) -> np.ndarray:
    """Two bits a base, every run of 16 bases as one uint32 [length - 15]; letters other than A, C, G, T count as A."""
    codes = _CODES[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]
    for width in (1, 2, 4, 8):
        codes = (codes[:-width] << np.uint32(2 * width)) | codes[width:]
    return codes


def locate(sequences: Sequence[str], pieces: Iterable[tuple[str, int, str]]) -> pd.DataFrame:
    """All exact occurrences of sequences, on either strand, in a genome.

    `pieces` are (contig, start, sequence) as `Genome.pieces` yields. Returns one row per occurrence: `number` (of the
    sequence), `contig`, `start` (0-based), `strand`. Sequences shorter than 16 bases are never found.
    """
    texts = [
        (number, strand, text)
        for number, sequence in enumerate(sequences)
        if len(sequence) >= _SEED_LENGTH
        for strand, text in (("+", sequence), ("-", reverse_complement(sequence)))
    ]
    found: list[tuple[int, str, int, str]] = []
    if texts:
        seeds = np.array([_seed_codes(text[:_SEED_LENGTH])[0] for _, _, text in texts], dtype=np.uint32)
        order = np.argsort(seeds, kind="stable")
        ordered = seeds[order]
        likely = np.zeros(1 << 24, dtype=bool)  # a look-up of 16 MB rules most places out before the binary search
        likely[ordered >> 8] = True
        for contig, start, piece in pieces:
            for at in range(0, len(piece) - _SEED_LENGTH + 1, _CHUNK):
                codes = _seed_codes(piece[at : at + _CHUNK + _SEED_LENGTH - 1])
                places = np.flatnonzero(likely[codes >> 8])
                low = np.searchsorted(ordered, codes[places])
                equal = ordered[np.minimum(low, len(ordered) - 1)] == codes[places]
                for hit, first in zip(places[equal], low[equal], strict=True):
                    high = np.searchsorted(ordered, codes[hit], side="right")
                    for number, strand, text in (texts[k] for k in order[first:high]):
                        if piece.startswith(text, at + hit):
                            found.append((number, contig, start + at + int(hit), strand))
    frame = pd.DataFrame(found, columns=["number", "contig", "start", "strand"])
    return frame.sort_values(["number", "contig", "start", "strand"], ignore_index=True)


_CHUNK_LENGTH = 50


def contigs_of(sequences: Sequence[str], pieces: Callable[[], Iterable[tuple[str, int, str]]]) -> list[list[str]]:
    """The contigs that each sequence may come from, sorted; empty where none.

    Those with an exact occurrence; for a sequence without any (published sets are often cut from an older assembly),
    those that hold at least half of its consecutive pieces of 50 bases.
    """
    contigs: list[list[str]] = [[] for _ in sequences]
    exact = locate(sequences, pieces()).drop_duplicates(["number", "contig"])
    for number, contig in zip(exact["number"], exact["contig"], strict=True):
        contigs[number].append(contig)
    chunks = [
        (number, sequence[at : at + _CHUNK_LENGTH])
        for number, sequence in enumerate(sequences)
        if not contigs[number]
        for at in range(0, len(sequence) - _CHUNK_LENGTH + 1, _CHUNK_LENGTH)
    ]
    if chunks:
        hits = locate([chunk for _, chunk in chunks], pieces()).drop_duplicates(["number", "contig"])
        owners = [chunks[chunk][0] for chunk in hits["number"]]
        needed = Counter(number for number, _ in chunks)
        for (number, contig), votes in sorted(Counter(zip(owners, hits["contig"], strict=True)).items()):
            if 2 * votes >= needed[number]:
                contigs[number].append(contig)
    return contigs
