"""Files of places: intervals (BED) and variants (VCF), which chromosomes split where there are enough of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.tasks.own.classes import FRACTIONS, check_classes
from foundationless.tasks.readers.alleles import read_variants
from foundationless.tasks.readers.intervals import read_bed

Looked = tuple[
    str, dict[str, Path], dict[str, str], tuple[tuple[str, ...], tuple[str, ...]], list[str], dict[str, float]
]
TEST, VALIDATION = 0.2, 0.16
TRIES = 500
WINDOW = 512  # bases around a variant


def look(path: Path, variants: bool, label: str, seed: int) -> Looked:
    """Reader, sources, options, contigs of test and validation, sentences and sizes of a BED or VCF."""
    if variants:
        if not label:
            raise UserError(f"{path}: say which INFO field is the class of a variant, LABEL=FIELD (--label).")
        frame, kind = read_variants(path, label)[["contig", "label"]], "variants"
        reader, role, options, length = "alleles", "vcf", {"label": label, "length": str(WINDOW)}, float(WINDOW)
    else:
        rows = read_bed(path, 6)
        frame = pd.DataFrame([(row[0], row[3]) for row in rows], columns=["contig", "label"])
        reader, role, options, kind = "intervals", "bed", {}, "intervals"
        length = float(np.mean([int(row[2]) - int(row[1]) for row in rows]))
    counts = frame["label"].value_counts()
    check_classes(path, counts)
    said = [
        f"{path.name}: {len(frame):,} {kind} on {frame['contig'].nunique()} chromosomes, {length:,.0f} bases each.",
        f"Classes: {', '.join(f'{name} {count:,}' for name, count in counts.items())}.",
    ]
    sizes = {"train": 0.64, "validation": VALIDATION, "test": TEST}
    held_out = choose_contigs(frame, seed)
    if held_out is None:
        options |= {"deal": "clusters", "fractions": FRACTIONS}
        said.append("Split by similarity: there are too few chromosomes with all classes to split by them.")
        return reader, {role: path}, options, ((), ()), said, _sized(sizes, len(frame), length)
    test, validation = held_out
    options |= {"test_contigs": ",".join(test), "validation_contigs": ",".join(validation)}
    sizes = {name: frame["contig"].isin(held).mean() for name, held in (("validation", validation), ("test", test))}
    sizes = {"train": 1 - sum(sizes.values()), **sizes}
    said.append(
        f"Split by chromosome: {', '.join(test)} test ({sizes['test']:.0%} of the rows), {', '.join(validation)} "
        f"validate ({sizes['validation']:.0%})."
    )
    return reader, {role: path}, options, held_out, said, _sized(sizes, len(frame), length)


def _sized(parts: dict[str, float], rows: int, length: float) -> dict[str, float]:
    return {name: float(round(part * rows)) for name, part in parts.items()} | {"length": length}


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
