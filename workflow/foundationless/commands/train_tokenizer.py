"""Train a byte-pair tokenizer on windows of genomes: as the published kind in everything but its vocabulary.

Windows are drawn uniformly over both strands of what is left of the genomes; the same seed gives the same file.
"""

import argparse

from foundationless.commands import add_corpus, read_corpus
from foundationless.commands._flags import count, output_file, seed
from foundationless.study.families import PIECES

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", required=True, choices=PIECES, help="the kind of tokenizer")
    add_corpus(parser)
    parser.add_argument("--size", required=True, type=count, help="tokens of the vocabulary, special ones included")
    parser.add_argument("--windows", type=count, default=4000, help="windows to learn from")
    parser.add_argument("--window", type=count, default=1000, help="nucleotides per window")
    parser.add_argument("--seed", required=True, type=seed, help="seed of the windows")
    parser.add_argument("--output", required=True, type=output_file, help="tokenizer.json to write")


def run(arguments: argparse.Namespace) -> None:
    import numpy as np

    from foundationless.models.bpe_training import train_pieces
    from foundationless.runtime.files import atomic_path
    from foundationless.training.corpus import Windows

    corpus = read_corpus(arguments)
    people = corpus.population(arguments.seed)
    windows = Windows(corpus.stretches()[0], arguments.window, 0.5, "the genomes", people)
    generator = np.random.default_rng(arguments.seed)
    drawn = (windows.draw(generator) for _ in range(arguments.windows))
    text = train_pieces(arguments.tokenizer, drawn, arguments.size)
    with atomic_path(arguments.output) as part:
        part.write_text(text)
