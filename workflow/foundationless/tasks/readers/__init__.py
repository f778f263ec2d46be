"""One reader per kind of source, all in `READERS`.

A reader is called as `READERS[name](sources, options, seed)` with sources `{role: path}` and options `{key: text}`, and
returns a data frame as `foundationless.tasks.sequence_sets` describes.
"""

from foundationless.tasks.options import Reader
from foundationless.tasks.readers import (
    fasta_classes,
    genes,
    intervals,
    mutants,
    people,
    table,
    transcripts,
    transfer,
    variant_sets,
)

READERS: dict[str, Reader] = {
    "table": table.READER,
    "fasta_classes": fasta_classes.READER,
    "intervals": intervals.READER,
    "genes": genes.READER,
    "transcripts": transcripts.READER,
    "people": people.READER,
    "mutants": mutants.READER,
    "transfer": transfer.READER,
    "clinical": variant_sets.CLINICAL,
    "sge": variant_sets.SGE,
    "tp53_missense": variant_sets.TP53_MISSENSE,
}
