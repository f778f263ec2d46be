"""`transcript_values`: scores of variants that are named on a transcript (MaveDB) as a regression."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.outputs import format_outputs
from foundationless.errors import UserError
from foundationless.study.vocabulary import VALUES
from foundationless.tasks.readers.outputs.sge_values import OUTPUT, exon_splits
from foundationless.tasks.readers.transcript_variants import EXON, read_places
from foundationless.tasks.sequence_sets import alternative_windows, with_outputs


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """Windows with the other allele in place and the variant's score.

    Ids are CONTIG:POSITION:REF:ALT, `group` is the position. A split keeps exons whole, an intron's variants with the
    exon that their names count from, or with `whole=position` the variants of one position alone (see `sge_values`).
    """
    if not options["score"]:
        raise UserError("option score names the column of the scores; give it.")
    frame = read_places(sources, options)
    frame = frame[frame["score"].notna()].reset_index(drop=True)
    if frame.empty:
        raise UserError(f"{sources['table'].name}: no variant has a number in the column '{options['score']}'.")
    frame = frame.assign(
        sequence=alternative_windows(frame),
        label=format_outputs(frame[["score"]]),
        group=frame["contig"] + ":" + frame["position"].astype(str),
    )
    frame["split"] = exon_splits(frame[EXON], frame["group"], options, seed)
    return with_outputs(frame[["id", "sequence", "label", "split", "group"]].copy(), VALUES, [OUTPUT])
