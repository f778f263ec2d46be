"""Write the vocabulary of genes that a network of single cells reads, from the cells that it is pretrained on.

First the genes that are kept, as far as some cell has them, then those that most cells have.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_file
from foundationless.study.families import CELL_FORMS

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", required=True, nargs="+", type=Path, help="counts of cells (H5AD and others)")
    parser.add_argument("--keep", nargs="*", default=[], type=Path, help="effects of screens whose genes come first")
    parser.add_argument("--genes", required=True, type=count, help="most genes of the vocabulary")
    text = "special tokens: scgpt, geneformer (its first dictionary), geneformer_v2; the last two have medians"
    parser.add_argument("--form", required=True, choices=CELL_FORMS, help=text)
    parser.add_argument("--output", required=True, type=output_file, help="vocabulary.json to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.tokenizers.genes import nonzero_medians, of_genes, write_vocabulary
    from foundationless.perturbation.effects import read_effects
    from foundationless.perturbation.expression.counts import read_counts
    from foundationless.runtime.log import tell
    from foundationless.training.cells.corpus import choose_genes, combine

    corpus = combine([read_counts(path) for path in arguments.cells])
    kept = [symbol for path in arguments.keep for symbol in read_effects(path).symbols]
    genes = choose_genes(corpus, arguments.genes, kept)
    medians = {}
    if arguments.form != "scgpt":
        known = nonzero_medians(corpus.counts, corpus.genes)
        medians = {gene: known[gene] for gene in genes}
    write_vocabulary(arguments.output, of_genes(genes, arguments.form, medians))
    found = len(set(kept) & set(genes))
    tell(
        f"{arguments.output.name}: {len(genes):,} genes of {len(corpus):,} cells, {found:,} of {len(set(kept)):,} kept"
    )
