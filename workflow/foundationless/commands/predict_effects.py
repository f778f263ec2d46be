"""Predict the effects of gene perturbations from borrowed vectors of genes or a baseline; write predictions and record.

The linear model of Ahlmann-Eltze et al. (2025), doi:10.1038/s41592-025-02772-6, with one side's vectors borrowed.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_identity, add_reading, add_record_outputs
from foundationless.commands._flags import count, positive, seed
from foundationless.study.names import EFFECT_DERIVATIONS, SIDES
from foundationless.study.vocabulary import ANALYSES, EFFECT_BASELINES, EFFECT_SPLITS, OF_EFFECTS, PERTURBATION

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--analysis", required=True, choices=OF_EFFECTS, help="analysis that the job belongs to")
    add("--effects", required=True, type=Path, help="effects of a screen (Parquet, from build_effects)")
    add("--genes", type=Path, help="vectors of genes (Parquet, from import_genes or embed_genes)")
    add("--names", type=Path, help="table of gene names (HGNC's, annotables' or a GTF), where the vectors have others")
    add("--baseline", choices=EFFECT_BASELINES, default="", help="what predicts without borrowed vectors")
    text = "whose vectors are borrowed: those of read-out genes, or of targets"
    add("--side", choices=SIDES, default="", help=text)
    text = "where they come from: the table of --genes, the training data, the other half of the replicates"
    add("--source", choices=["table", "training", "halves"], help=f"{text} (default: table, if --genes is given)")
    add("--kind", choices=EFFECT_SPLITS, help="what is held out (default: what the analysis holds out)")
    add("--splits", type=seed, nargs="+", default=PERTURBATION["splits"], help="seeds of the splits, a fold each")
    text = "share held out (default: {held_out:g} of singles, {held_out_doubles:g} of doubles)"
    add("--held-out", type=positive, help=text.format(**PERTURBATION))
    text = "dimensions to choose among; 0: all that there are"
    add("--dims", type=int, nargs="+", default=PERTURBATION["dims"], help=text)
    text = "strengths of the ridge on the targets' side to choose among"
    add("--strengths", type=positive, nargs="+", default=PERTURBATION["strengths"], help=text)
    text = "folds of the training perturbations that choose; 0: nothing to choose"
    add("--inner-folds", type=int, default=PERTURBATION["inner_folds"], help=text)
    text = "halves: train and test on second halves of the replicates; offtarget: perturbed genes are not scored; "
    text += "permuted: effects dealt anew"
    add("--variant", choices=["", *EFFECT_DERIVATIONS], default="", help=text)
    add("--top", type=count, default=PERTURBATION["top"], help="most expressed genes of the paper's L2")
    add("--threads", type=count, default=1, help="CPU threads")
    add_reading(parser)
    add_identity(parser)
    add_record_outputs(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.perturbation.jobs import run_job
    from foundationless.perturbation.selection import EffectSettings

    kind = arguments.kind or ANALYSES[arguments.analysis].holds_out
    given = {
        name: getattr(arguments, name) for name in ("baseline", "side", "inner_folds", "reading", "variant", "top")
    }
    given |= {name: tuple(getattr(arguments, name)) for name in ("splits", "dims", "strengths")}
    settings = EffectSettings(
        **given,
        kind=kind,
        source=arguments.source or ("table" if arguments.genes else "training"),
        held_out=arguments.held_out or PERTURBATION["held_out" if kind == "unseen" else "held_out_doubles"],
    )
    run_job(
        effects=arguments.effects,
        genes=arguments.genes,
        settings=settings,
        identity={key: getattr(arguments, key) for key in ("analysis", "task", "model", "init", "seed")},
        record=arguments.record,
        predictions=arguments.predictions,
        names=arguments.names,
        threads=arguments.threads,
    )
