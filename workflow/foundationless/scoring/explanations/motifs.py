"""Where motifs stand in a sequence: planted ones by what planted them, known ones by a pattern or a matrix.

Patterns are IUPAC consensus sequences (`TATAWAW`) and stand where every letter fits, on either strand. Matrices of
counts are read as JASPAR (https://jaspar.elixir.no) or MEME write them, and stand where their log-odds score against
equally frequent bases is one that a random word reaches with a probability of at most `threshold` (Staden 1989,
doi:10.1093/bioinformatics/5.2.89: the distribution of the score by convolution of its columns). Counts have a
pseudocount of √n / 4 for each base, as of n sites.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foundationless.data.dna import BASES, reverse_complement
from foundationless.data.files.text import read_lines
from foundationless.data.simulate_words import SPEAKS, planted_words
from foundationless.errors import UserError

GRID = 1000  # steps of a score's distribution, a bit each thousandth
ENDS = 2  # letters of a planted word, at either end, which both vocabularies of a question have in common
SITES = 20.0  # behind a matrix of shares that does not say how many
_CODES = np.full(256, 4, dtype=np.int64)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = range(4)
_PLACE = re.compile(r"(?P<contig>.+):(?P<start>\d+)-(?P<end>\d+)\((?P<strand>[+-])\)")
_TRUTH = ["contig", "start", "end", "strand", "motif", "window_start", "window_end"]


class Site(NamedTuple):
    """A motif in a sequence, 0-based and half-open, on one of its strands."""

    start: int
    end: int
    strand: str
    motif: str


@dataclass(frozen=True)
class Matrix:
    """Scores in bits [width, 4] of A, C, G, T at every position, and the score from which on a word is a site."""

    name: str
    scores: np.ndarray
    least: float


@dataclass(frozen=True)
class Motifs:
    """What stands in sequences: `patterns` by name, `matrices`, or places that are known (`planted`), by sequence id.

    `trim`: letters at either end of a pattern's place that are no part of its site. `between`: positions within which a
    site lies wholly, counted from 1, first and last (empty: anywhere). `stranded`: only sites on the sequence's own
    strand. `classes`: labels of the sequences that are asked (empty: all).
    """

    patterns: Mapping[str, str]
    matrices: Sequence[Matrix] = ()
    planted: Mapping[str, Sequence[Site]] | None = None
    between: Sequence[int] = ()
    stranded: bool = False
    trim: int = 0
    classes: Sequence[str] = ()

    def sites(self, name: str, sequence: str) -> list[Site]:
        """Sites in a sequence by its id and letters, from left to right."""
        found = list((self.planted or {}).get(name, ()))
        for motif, pattern in self.patterns.items():
            places = scan(sequence, motif, pattern)
            found += [place._replace(start=place.start + self.trim, end=place.end - self.trim) for place in places]
        found += [site for matrix in self.matrices for site in matrix_sites(sequence, matrix)]
        first, last = self.between or (1, len(sequence))
        inside = [site for site in found if first - 1 <= site.start and site.end <= last]
        return sorted(site for site in inside if site.strand == "+" or not self.stranded)


def expression(pattern: str) -> re.Pattern[str]:
    """A regular expression that finds a pattern of IUPAC letters, overlapping ones too."""
    letters = {**dict.fromkeys("ACGT", ""), **BASES, "N": "ACGT"}
    if not pattern or (odd := set(pattern) - letters.keys()):
        what = f"has '{sorted(odd)[0]}', which is no letter of IUPAC" if pattern else "is empty"
        raise UserError(f"--patterns: '{pattern:.40}' {what}; write a consensus such as TATAWAW.")
    return re.compile("(?=" + "".join(f"[{letters[letter] or letter}]" for letter in pattern) + ")")


def scan(sequence: str, motif: str, pattern: str) -> list[Site]:
    """Sites of a pattern on both strands; a palindrome stands on the first only."""
    width, turned = len(pattern), reverse_complement(pattern)
    strands = {"+": pattern} | ({"-": turned} if turned != pattern else {})
    return [
        Site(hit.start(), hit.start() + width, strand, motif)
        for strand, letters in strands.items()
        for hit in expression(letters).finditer(sequence)
    ]


def matrix_sites(sequence: str, matrix: Matrix) -> list[Site]:
    """Sites of a matrix on both strands; other letters than A, C, G, T stand in none."""
    width, found = len(matrix.scores), []
    if len(sequence) < width:
        return []
    codes = _CODES[np.frombuffer(sequence.encode("ascii", "replace"), dtype=np.uint8)]
    words = np.lib.stride_tricks.sliding_window_view(codes, width)
    for strand, scores in (("+", matrix.scores), ("-", matrix.scores[::-1, ::-1])):
        known = np.hstack([scores, np.full((width, 1), -np.inf)])
        reached = known[np.arange(width), words].sum(1)
        hits = np.flatnonzero(reached >= matrix.least).tolist()
        found += [Site(start, start + width, strand, matrix.name) for start in hits]
    return found


def make_matrix(name: str, counts: np.ndarray, threshold: float) -> Matrix:
    """Log-odds of counts [width, 4], with the score that a random word reaches with at most this probability."""
    total = counts.sum(1, keepdims=True)
    shares = (counts + np.sqrt(total) / 4) / (total + np.sqrt(total))
    steps = np.floor(GRID * np.log2(shares / 0.25)).astype(np.int64)
    low = steps.min(1)
    chances = np.ones(1)
    for column, least in zip(steps, low, strict=True):
        longer = np.zeros(len(chances) + int(column.max() - least))
        for step in (column - least).tolist():
            longer[step : step + len(chances)] += chances / 4
        chances = longer
    above = chances[::-1].cumsum()[::-1]  # of a score of this many steps above the least, or more
    enough = np.flatnonzero(above <= threshold)
    if not len(enough):
        raise UserError(f"--threshold {threshold:g}: no word fits motif '{name}' so rarely; take a larger one.")
    # The scores are those of the grid: what is compared with the threshold is what its distribution is of.
    return Matrix(name, steps / GRID, float((enough[0] + low.sum()) / GRID) - 1e-9)


def read_matrices(path: Path, names: Sequence[str], threshold: float) -> list[Matrix]:
    """Matrices of a JASPAR or MEME file by their ids or names; `UserError` for one that is not there, or no matrix."""
    known = dict(_jaspar(path) if any(line.startswith(">") for line in read_lines(path, "matrices")) else _meme(path))
    if not known:
        raise UserError(f"{path}: it holds no matrix; give a file of JASPAR (>ID NAME) or of MEME (MOTIF ID NAME).")
    made = []
    for name in names or [ident for ident, _ in known]:
        key = next((key for key in known if name in key or re.fullmatch(rf"{re.escape(name)}[.][0-9]+", key[0])), None)
        if key is None:
            raise UserError(f"{path}: no motif '{name:.40}' among its {len(known)}; name one by id or name.")
        counts = np.array(known[key], dtype=np.float64)
        if counts.ndim != 2 or counts.shape[1] != 4 or not (counts.sum(1) > 0).all() or (counts < 0).any():
            raise UserError(f"{path}: motif '{name:.40}' is no matrix of counts of A, C, G and T; correct the file.")
        made.append(make_matrix(key[1] or key[0], counts, threshold))
    return made


def _jaspar(path: Path) -> Iterable[tuple[tuple[str, str], list[list[float]]]]:
    """(id, name) and rows by position of a file of JASPAR."""
    key, rows = ("", ""), dict[str, list[float]]()
    for line in [*read_lines(path, "matrices"), ">"]:
        if line.startswith(">"):
            if rows:
                columns = [rows.get(base, []) for base in "ACGT"]
                yield key, [list(each) for each in zip(*columns, strict=False)]
            words = [*line[1:].split(), "", ""]
            key, rows = (words[0], words[1]), {}
        elif line[:1] in "ACGT" and line.strip():
            rows[line[0]] = _numbers(path, line[1:].strip(" \t\r\n[]"))


def _meme(path: Path) -> Iterable[tuple[tuple[str, str], list[list[float]]]]:
    """(id, name) and counts by position of a MEME file: its shares times the number of sites."""
    key, rows, sites, left = ("", ""), list[list[float]](), SITES, 0
    for line in [*read_lines(path, "matrices"), "MOTIF"]:
        words = line.split()
        if words[:1] == ["MOTIF"]:
            if rows:
                yield key, rows
            key, rows, left = ((*words[1:3], "", "")[0], (*words[1:3], "", "")[1]), [], 0
        elif line.startswith("letter-probability matrix"):
            said = dict(re.findall(r"(\w+)= *([0-9.]+)", line))
            left, sites = int(float(said.get("w", 1000))), float(said.get("nsites", SITES)) or SITES
        elif left and words and words[0][0] in "0123456789.":
            rows.append([sites * share for share in _numbers(path, line)])
            left -= 1


def _numbers(path: Path, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        raise UserError(f"{path}: '{text.strip():.40}' are not the numbers of a matrix; correct the file.") from None


def read_words(seed: int, question: str) -> dict[str, str]:
    """Patterns of the words that `simulate_words` planted in the windows of a question; a word is its own name.

    Two vocabularies of a question have words of the same halves, in another order: what tells them apart are the
    letters around the middle of a word, where halves meet. `ENDS` is what to trim of it.
    """
    if question not in SPEAKS:
        raise UserError(f"--words {question:.40}: no question about words; use one of {', '.join(SPEAKS)}.")
    return {word: word for word in planted_words(seed, question)}


def read_truth(path: Path, names: Iterable[str]) -> dict[str, list[Site]]:
    """Sites that `simulate_genome` planted (truth.tsv) in windows whose ids are CONTIG:START-END(STRAND), by id."""
    rows: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    lines = csv.DictReader(read_lines(path, "a table of planted motifs"), delimiter="\t")
    if missing := set(_TRUTH) - set(lines.fieldnames or ()):
        raise UserError(f"{path}: column '{min(missing)}' is missing; simulate the genome again.")
    for row in lines:
        rows.setdefault((row["contig"], row["window_start"], row["window_end"]), []).append(row)
    sites: dict[str, list[Site]] = {}
    for name in names:
        if (place := _PLACE.fullmatch(name)) is None:
            raise UserError(f"{path}: the id '{name:.40}' says no place (CONTIG:START-END(STRAND)); no site is known.")
        start, end = int(place["start"]), int(place["end"])
        sites[name] = []
        for row in rows.get((place["contig"], place["start"], place["end"]), []):
            first, last = int(row["start"]) - start, int(row["end"]) - start
            if place["strand"] == "-":
                first, last = end - start - last, end - start - first
            strand = "+" if row["strand"] == place["strand"] else "-"
            sites[name].append(Site(first, last, strand, row["motif"]))
    return sites
