"""`region_kinds`: windows of a genome by what most of their bases are: exon, promoter, intron, repeat or other.

Repeats are bases in lower case, so `genome` must be a soft-masked FASTA: as its source has it, or a genome of the study
with `soft_masked: true`. Where several kinds hold of a base the first counts: repeat, exon, promoter, intron.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.files.text import read_lines
from foundationless.data.reference import Genome, normalise
from foundationless.errors import UserError
from foundationless.tasks.splits import split_rows

KINDS = ("other", "intron", "promoter", "exon", "repeat")  # the later counts where several hold
GROUP = 100_000  # bases whose windows are drawn together in a bootstrap
FEATURES = ["contig", "start", "end", "strand", "feature"]
_GENES = ("gene", "ncRNA_gene", "pseudogene")


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: windows side by side, at most `per_kind` of a kind and split, drawn at random.

    A window has the kind of more than half of its bases, or is left out; and so is one with a base that is not known.
    """
    genome, length = Genome(sources["genome"]), options["length"]
    features = _features(sources["genes"]) if "genes" in sources else pd.DataFrame(columns=FEATURES)
    wanted = [genome.resolve(name) for name in options["contigs"]] or genome.contigs
    rows = []
    for contig in wanted:
        own = features[features["contig"].map(genome.find) == contig]
        for low, high in genome.coverage(contig):
            letters = genome.letters(contig, low, high)
            codes = _codes(letters, low, own, options["promoter"])
            for at in range(0, high - low - length + 1, length):
                counts = np.bincount(codes[at : at + length], minlength=len(KINDS))
                sequence = normalise(letters[at : at + length])
                if 2 * counts.max() > length and "N" not in sequence:
                    rows.append((contig, low + at, sequence, KINDS[int(counts.argmax())]))
    if not rows:
        raise UserError(f"{sources['genome'].name}: no window of {length} known bases; lower the option length.")
    frame = pd.DataFrame(rows, columns=["contig", "start", "sequence", "label"])
    frame["id"] = frame["contig"] + ":" + (frame["start"] + 1).astype(str)
    frame["group"] = frame["contig"] + ":" + (frame["start"] // GROUP).astype(str)
    frame = split_rows(frame, options, seed, sources["genome"].name)
    order = frame.sample(frac=1, random_state=seed)
    most = options["per_kind"]
    kept = order.groupby(["label", "split"], sort=False).head(most) if most else order
    return kept.sort_index()[["id", "sequence", "label", "split", "group"]].reset_index(drop=True)


def _codes(letters: str, start: int, features: pd.DataFrame, promoter: int) -> np.ndarray:
    """The kind (a place in `KINDS`) of every base of a stretch."""
    codes = np.zeros(len(letters), dtype=np.uint8)
    spans: dict[str, list[tuple[int, int]]] = {name: [] for name in KINDS}
    for low, high, strand, feature in features[["start", "end", "strand", "feature"]].itertuples(index=False):
        spans["exon" if feature == "exon" else "intron"].append((low, high))
        if feature != "exon":
            spans["promoter"].append((high, high + promoter) if strand == "-" else (low - promoter, low))
    for code, name in enumerate(KINDS):
        for low, high in spans[name]:
            codes[max(low - start, 0) : max(high - start, 0)] = np.maximum(
                codes[max(low - start, 0) : max(high - start, 0)], code
            )
    codes[np.frombuffer(letters.encode("ascii"), np.uint8) >= ord("a")] = KINDS.index("repeat")
    return codes


def _features(path: Path) -> pd.DataFrame:
    """Genes and exons of a GTF or GFF3: contig, start (0-based), end, strand, feature. No exon is a `UserError`."""
    rows = []
    for number, line in enumerate(read_lines(path, "a GTF or GFF3"), 1):
        fields = line.rstrip("\r\n").split("\t")
        if line.startswith("##FASTA"):
            break
        if line.startswith("#") or len(fields) < 9 or fields[2] not in (*_GENES, "exon"):
            continue
        if not (fields[3].isdecimal() and fields[4].isdecimal() and 0 < int(fields[3]) <= int(fields[4])):
            raise UserError(f"{path}: line {number} is no interval ({fields[3]} to {fields[4]}).")
        rows.append((fields[0], int(fields[3]) - 1, int(fields[4]), fields[6], fields[2]))
    if not any(row[4] == "exon" for row in rows) or not any(row[4] != "exon" for row in rows):
        raise UserError(f"{path}: holds no exons, or no genes, so introns are not known; give a whole annotation.")
    return pd.DataFrame(rows, columns=FEATURES)
