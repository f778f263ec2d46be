"""Files of places: intervals (BED) and variants (VCF), which chromosomes split where there are enough of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.tasks.own.classes import FRACTIONS, check_classes
from foundationless.tasks.own.found import Found
from foundationless.tasks.readers.alleles import read_variants
from foundationless.tasks.readers.intervals import read_bed

TEST, VALIDATION = 0.2, 0.16
TRIES = 500
WINDOW = 512  # bases around a variant


def look(path: Path, variants: bool, label: str, genome: Genome, seed: int) -> Found:
    """How a BED or VCF is read, and which chromosomes are held out."""
    if variants:
        if not label:
            raise UserError(f"{path}: say which INFO field is the class of a variant, LABEL=FIELD (--label).")
        frame, kind = read_variants(path, label)[["contig", "label"]], "variants"
        reader, role, options = "alleles", "vcf", {"label": label, "length": str(WINDOW)}
    else:
        frame = pd.DataFrame([(row[0], row[3]) for row in read_bed(path, 6)], columns=["contig", "label"])
        reader, role, options, kind = "intervals", "bed", {}, "intervals"
    check_classes(path, frame["label"].value_counts())
    said = [f"{path.name}: {len(frame):,} {kind} on {frame['contig'].nunique()} chromosomes."]
    known = {name: genome.find(name) is not None for name in frame["contig"].unique()}
    held_out = choose_contigs(frame[frame["contig"].map(known)], seed) if any(known.values()) else None
    if held_out is None:
        options |= {"deal": "clusters", "fractions": FRACTIONS}
        said.append("There are too few chromosomes with all classes to split by them.")
        return Found(reader, {role: path}, options, tuple(said))
    test, validation = held_out
    options |= {"test_contigs": ",".join(test), "validation_contigs": ",".join(validation)}
    return Found(reader, {role: path}, options, tuple(said), held_out=held_out)


def choose_contigs(frame: pd.DataFrame, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Contigs of test and validation whose rows come nearest to their shares, all classes in every split; or None."""
    table = pd.crosstab(frame["contig"], frame["label"])
    table = table[[all(ch.isalnum() or ch in "_.+-" for ch in name) for name in table.index]]
    generator, best, least = np.random.default_rng(seed), None, 0.15
    if len(table) < 3:
        return None
    shares = table.sum(axis=1).to_numpy() / len(frame)
    for _ in range(TRIES):
        order = generator.permutation(len(table))
        reached = np.cumsum(shares[order])
        first = int(np.abs(reached - TEST).argmin()) + 1
        second = int(np.abs(reached - reached[first - 1] - VALIDATION).argmin()) + 1
        parts = order[:first], order[first:second], order[second:]
        if any(not len(part) or (table.iloc[part].sum() == 0).any() for part in parts):
            continue
        off = max(abs(shares[parts[0]].sum() - TEST), abs(shares[parts[1]].sum() - VALIDATION))
        if off < least:
            best, least = (parts[0], parts[1]), off
    if best is None:
        return None
    test, validation = (tuple(sorted(str(table.index[place]) for place in part)) for part in best)
    return test, validation
