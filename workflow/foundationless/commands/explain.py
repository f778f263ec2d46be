"""Explain a fine-tuned classifier on test sequences, nucleotide by nucleotide, and hold it against known motifs.

It trains the classifier as `finetune_model` does, by the same flags and to the same bits, for that keeps no weights.
"""

import argparse
from pathlib import Path

from foundationless.commands import _finetuning, add_record_outputs
from foundationless.commands._finetuning import add_runs, read_settings
from foundationless.commands._flags import count, key_values, number, seed
from foundationless.study.vocabulary import EXPLAINING, EXPLANATIONS, STARTS

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs(parser)
    add_record_outputs(parser)
    text = "record of fine-tuning: train with the learning rate that validation chose there (default: search)"
    parser.add_argument("--chosen", type=Path, help=text)
    group = parser.add_argument_group("explanations")
    group.add_argument("--methods", nargs="+", choices=EXPLANATIONS, default=list(EXPLANATIONS), help="what attributes")
    text = "test sequences with a motif that are explained at most"
    group.add_argument("--explained", type=count, default=EXPLAINING["sequences"], help=text)
    text = "steps of integrated gradients: the more, the nearer is their sum to the difference of logits"
    group.add_argument("--steps", type=count, default=EXPLAINING["steps"], help=text)
    text = "what gradients start from: the mean over nucleotide tokens, zero, or shuffles of the sequence, averaged"
    group.add_argument("--baseline", choices=STARTS, default=EXPLAINING["baseline"], help=text)
    text = "shuffles of each sequence with its dinucleotides, of --baseline shuffled"
    group.add_argument("--references", type=count, default=EXPLAINING["references"], help=text)
    group.add_argument("--reference-seed", type=seed, default=1, help="seed that draws them, the same for all arms")
    known = parser.add_argument_group("known motifs").add_mutually_exclusive_group(required=True)
    known.add_argument("--patterns", nargs="+", help="NAME=PATTERN of IUPAC letters, e.g. TATA=TATAWAW")
    known.add_argument("--matrices", type=Path, help="file of JASPAR or MEME")
    known.add_argument("--truth", type=Path, help="truth.tsv of simulate_genome, for windows of that genome")
    known.add_argument("--words", help="question about words of simulate_words, e.g. insert_words")
    group = parser.add_argument_group("which of them")
    group.add_argument("--names", nargs="+", default=[], help="ids or names of the matrices (default: all)")
    text = "probability with which a random word reaches the score of a matrix's site"
    group.add_argument("--threshold", type=number, default=EXPLAINING["threshold"], help=text)
    group.add_argument("--simulation-seed", type=seed, default=1, help="seed of simulate_words")
    group.add_argument("--between", type=count, nargs=2, default=[], help="first and last position, from 1, of sites")
    group.add_argument("--stranded", action="store_true", help="sites on the sequence's own strand alone")
    group.add_argument("--classes", nargs="+", default=[], help="labels of the sequences asked (default: all)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.scoring.explanations import motifs, trained
    from foundationless.scoring.explanations.job import How
    from foundationless.tasks.sequence_sets import read_sequences
    from foundationless.training.compute import Compute

    given = arguments
    patterns = key_values("--patterns", given.patterns or [])
    patterns |= motifs.read_words(given.simulation_seed, given.words) if given.words else {}
    matrices = motifs.read_matrices(given.matrices, given.names, given.threshold) if given.matrices else []
    ids = read_sequences(given.sequences, ["id", "sequence"], False)["id"].tolist() if given.truth else []
    planted = motifs.read_truth(given.truth, ids) if given.truth else None
    trim = motifs.ENDS if given.words else 0
    which = motifs.Motifs(patterns, matrices, planted, given.between, given.stranded, trim, given.classes)
    methods = list(dict.fromkeys(given.methods))
    trained.run_job(
        settings=read_settings(given),
        chosen=given.chosen,
        compute=Compute(given.device, given.threads, given.precision, given.token_budget),
        recipe=_finetuning.RECIPE,
        motifs=which,
        how=How(methods, given.explained, given.steps, given.baseline, given.references, given.reference_seed),
        identity={name: getattr(given, name) for name in ("analysis", "task", "model", "init", "seed")},
        **{name: getattr(given, name) for name in ("weights", "sequences", "runs", "record", "predictions", "energy")},
        checkpoint_seconds=given.checkpoint_seconds,
    )
