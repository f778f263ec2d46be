"""Find how much of a task's test set a pretraining corpus holds, outside of what the corpus excludes and holds out.

Of each test sequence, consecutive pieces of 50 bases are looked up in the genomes, on both strands; the variants of a
corpus of people are not put in. Flags of the corpus are those of pretrain. The summary counts test rows of which the
corpus holds every piece (whole), at least half of the pieces (half) and any (part), and the mean share of pieces.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_corpus, read_corpus
from foundationless.commands._flags import output_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="name of the task, for the summary")
    parser.add_argument("--sequences", required=True, type=Path, help="sequence set of the task")
    add_corpus(parser)
    parser.add_argument("--output", required=True, type=output_file, help="summary to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.runtime.files import write_json
    from foundationless.tasks.leakage import seen_share
    from foundationless.tasks.sequence_sets import read_sequences

    frame = read_sequences(arguments.sequences, ("id", "sequence", "split"), strict_alphabet=False)
    test = frame.loc[frame["split"] == "test", "sequence"]
    if test.empty:
        raise UserError(f"{arguments.sequences}: no test rows to look for.")
    stretches, _ = read_corpus(arguments).stretches()
    distinct = list(dict.fromkeys(test))
    pieces = ((part.contig, part.start, part.genome.fetch(part.contig, part.start, part.end)) for part in stretches)
    share = test.map(dict(zip(distinct, seen_share(distinct, pieces), strict=True)))
    counts = {"whole": share == 1, "half": share >= 0.5, "part": share > 0}
    write_json(
        arguments.output,
        {"task": arguments.task, "genomes": [path.name for path in arguments.genome], "rows": len(test)}
        | {name: int(held.sum()) for name, held in counts.items()}
        | {f"{name}_share": float(held.mean()) for name, held in counts.items()}
        | {"mean_share": float(share.mean())},
    )
