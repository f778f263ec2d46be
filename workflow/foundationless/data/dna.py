"""DNA as text: alphabet, reverse complement, and where a sequence lies in a longer one."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from foundationless.errors import UserError

BASES = {
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
}
"""The bases that an ambiguity letter of IUPAC but N stands for."""

_COMPLEMENT = str.maketrans("ACGTNacgtnRYSWKMBDHVryswkmbdhvUu", "TGCANtgcanYRSWMKVHDBryswmkvhdbAa")


def reverse_complement(sequence: str) -> str:
    """Reverse complement; case is kept, IUPAC ambiguity letters map to their complements, U to A."""
    return sequence.translate(_COMPLEMENT)[::-1]


def alternative(sequence: str, offset: int, ref: str, alt: str) -> str:
    """ALT window of a REF window: `ref` at the 0-based `offset` replaced by `alt`."""
    return sequence[:offset] + alt + sequence[offset + len(ref) :]


def digest(sequences: Iterable[str]) -> str:
    """SHA-256 of sequences in their order, by which two lists of them are known to be the same."""
    told = hashlib.sha256()
    for sequence in sequences:
        told.update(f"{sequence}\n".encode())
    return told.hexdigest()


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
    occurrences: list[tuple[int, str, int, str]] = []
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
                            occurrences.append((number, contig, start + at + int(hit), strand))
    frame = pd.DataFrame(occurrences, columns=["number", "contig", "start", "strand"])
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
