"""Files of places: intervals (BED) and variants (VCF), which chromosomes split where there are enough of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.study.vocabulary import CLASSES, LABELS, VALUES
from foundationless.tasks.options import words
from foundationless.tasks.own.classes import FRACTIONS, check_classes
from foundationless.tasks.own.found import Found, Given
from foundationless.tasks.own.labels import MOST_CLASSES, see_kind
from foundationless.tasks.readers.alleles import read_measured, read_variants
from foundationless.tasks.readers.intervals import read_bed

TEST, VALIDATION = 0.2, 0.16
TRIES = 500
WINDOW = 512  # bases around a variant


def look_at_intervals(path: Path, given: Given, genome: Genome, seed: int) -> Found:
    """How a BED is read: by its names, or by its scores where they are asked for, or are all that it tells rows by."""
    rows = read_bed(path, 6)
    frame = pd.DataFrame([row[:6] for row in rows], columns=["contig", "start", "end", "name", "score", "strand"])
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    if given.label:
        raise UserError(f"{path}: LABEL= names a column, which such files do not have; leave it out.")
    names, kind, how = frame["name"].nunique(), given.kind or CLASSES, list[str]()
    if kind not in LABELS:
        raise UserError(f"KIND={kind} (--kind) is none of {', '.join(LABELS)}.")
    if not given.kind and not 1 < names <= MOST_CLASSES:
        kind, how = see_kind(path, frame[["score"]], "")
        kind = VALUES if kind == VALUES else CLASSES
        how = (
            [f"Its names are no classes ({names:,} different), so its scores are read.", *how] if kind == VALUES else []
        )
    elif kind == VALUES:
        kind, how = see_kind(path, frame[["score"]], VALUES)
    options = {} if kind == CLASSES else {"label_kind": kind}
    found = Found("intervals", {"bed": path}, options, ("intervals", *how), seen=" ".join(how))
    return _held_out(found, frame.assign(label=frame["name"]), kind, genome, seed)


def look_at_variants(path: Path, given: Given, genome: Genome, seed: int) -> Found:
    """How a VCF is read: by an INFO field, which holds classes or numbers."""
    if not given.label:
        raise UserError(f"{path}: say which INFO field is the label of a variant, LABEL=FIELD (--label).")
    fields = words(given.label)
    if len(fields) == 1 and given.kind in ("", CLASSES):
        frame = read_variants(path, given.label)[["contig", "label"]]
        kind, how = see_kind(path, frame[["label"]].set_axis(fields, axis=1), given.kind)
    else:
        frame = read_measured(path, fields, VALUES)
        cells = [pd.Series(column) for column in zip(*frame["label"].str.split(";"), strict=True)]
        kind, how = see_kind(path, pd.concat(cells, axis=1).set_axis(fields, axis=1), given.kind)
    options = {"label": given.label, "length": str(WINDOW)} | ({} if kind == CLASSES else {"label_kind": kind})
    found = Found("alleles", {"vcf": path}, options, ("variants", *how), seen=" ".join(how))
    return _held_out(found, frame, kind, genome, seed)


def _held_out(found: Found, frame: pd.DataFrame, kind: str, genome: Genome, seed: int) -> Found:
    """The same with the chromosomes that test and validate, and what is said of them."""
    (path,), (what, *how) = found.sources.values(), found.sentences
    if kind == CLASSES:
        check_classes(path, frame["label"].value_counts())
    else:
        frame = frame.assign(label="")  # numbers are no classes that every chromosome should have
    said = [f"{path.name}: {len(frame):,} {what} on {frame['contig'].nunique()} chromosomes.", *how]
    known = {name: genome.find(name) is not None for name in frame["contig"].unique()}
    held_out = choose_contigs(frame[frame["contig"].map(known)], seed) if any(known.values()) else None
    if held_out is None:
        said.append(f"There are too few chromosomes{' with all classes' if kind == CLASSES else ''} to split by them.")
        options = found.options | {"deal": "clusters", "fractions": FRACTIONS}
        return replace(found, options=options, sentences=tuple(said))
    test, validation = held_out
    options = found.options | {"test_contigs": ",".join(test), "validation_contigs": ",".join(validation)}
    return replace(found, options=options, sentences=tuple(said), held_out=held_out)


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
