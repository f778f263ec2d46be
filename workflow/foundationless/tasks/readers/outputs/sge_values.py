"""`sge_values`: BRCA1 saturation genome editing (Findlay et al. 2018, Nature 562, 217) as a regression."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import alternative
from foundationless.data.outputs import format_outputs
from foundationless.data.reference import Genome
from foundationless.data.variants import variant_windows
from foundationless.errors import UserError
from foundationless.study.vocabulary import VALUES
from foundationless.tasks.readers.variant_sets import read_sge_table
from foundationless.tasks.sequence_sets import with_outputs
from foundationless.tasks.splits import draw_splits, shares

OUTPUT = "function_score"
EXON = "experiment"  # column of the exon that was edited, as X15
WHOLE = ("exon", "position")


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """Windows with the other allele in place and the variant's mean function score (lower: less functional).

    Ids are CONTIG:POSITION:REF:ALT, `group` is the position. Windows of one exon overlap: a split keeps the exons of
    the experiment whole, those that are named or a draw; with `whole=position` the variants of one position alone.
    """
    path = sources["table"]
    table = read_sge_table(path, options["offset"], EXON)
    frame = variant_windows(table.dropna(subset="score"), Genome(sources["genome"]), options["length"], path.name)
    exons = frame["position"].map(dict(zip(table["position"], table[EXON], strict=True)))  # all are on one chromosome
    alleles = zip(frame["sequence"], frame["offset"], frame["ref"], frame["alt"], strict=True)
    frame = frame.assign(
        sequence=[alternative(*allele) for allele in alleles],
        label=format_outputs(frame[["score"]]),
        group=frame["contig"] + ":" + frame["position"].astype(str),
    )
    frame["split"] = exon_splits(exons, frame["group"], options, seed)
    return with_outputs(frame[["id", "sequence", "label", "split", "group"]].copy(), VALUES, [OUTPUT])


def exon_splits(exons: pd.Series, positions: pd.Series, options: dict[str, Any], seed: int) -> np.ndarray:
    """A split for every variant [rows], no exon, or no position, in two."""
    if options["whole"] not in WHOLE:
        raise UserError(f"option whole={options['whole']}: a split keeps {' or '.join(WHOLE)} whole.")
    test, validation = options["test_exons"], options["validation_exons"]
    known = sorted(set(exons), key=lambda name: (len(name), name))
    if odd := [name for name in (*test, *validation) if name not in known]:
        raise UserError(f"exon '{odd[0]}' has no variant; the experiment has {', '.join(known)}.")
    if not test and validation:
        raise UserError("option validation_exons goes with test_exons; name those, too, or neither.")
    if both := set(test) & set(validation):
        raise UserError(f"exon '{min(both)}' is named for test and for validation; leave it out of one.")
    if not test:
        units = exons if options["whole"] == "exon" else positions
        return draw_splits(np.full(len(units), ""), units, shares(options["fractions"]), seed)
    if options["whole"] != "exon":
        raise UserError("option test_exons keeps exons whole; leave whole=position out.")
    chosen = np.where(exons.isin(test), "test", np.where(exons.isin(validation), "validation", "train")).astype(object)
    if validation:
        return chosen
    rest = np.flatnonzero(chosen == "train")
    part = options["fractions"][1] / (options["fractions"][0] + options["fractions"][1])
    chosen[rest] = draw_splits(np.full(len(rest), ""), exons.iloc[rest], {"train": 1 - part, "validation": part}, seed)
    return chosen
