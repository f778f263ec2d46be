"""Write a weight directory at a family's published random initialisation.

The seed is set before construction. With a tokenizer that is not the family's own, the embedding table and the
vocabulary head get that tokenizer's size and are drawn from the same distribution.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_reading
from foundationless.commands._flags import output_directory, seed

RECIPE = 3  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", required=True, help="architecture family (see the command `models`)")
    parser.add_argument("--config", required=True, help="official configuration: a JSON file, or a JSON object as text")
    parser.add_argument("--tokenizer", required=True, help="tokenizer put in front of the model")
    text = (
        "tokenizer.json of a byte-pair tokenizer; of a published one the directory of its files, or its files.json; of "
    )
    text += "cells their vocabulary.json"
    parser.add_argument("--tokenizer-file", type=Path, help=text)
    add_reading(parser)
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--seed", required=True, type=seed, help="seed of the initialisation")
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.models.tokenizers import CELL_FILES, load_tokenizer, tokenizer_files
    from foundationless.models.weights import initialise, paper_family, parse_config, retokenized, save_weights

    given: Path | None = arguments.tokenizer_file
    named = ("tokenizer.json", "files.json", *CELL_FILES)
    if given is not None and given.name not in named and not given.is_dir():
        raise UserError(f"{given}: --tokenizer-file takes the published file named tokenizer.json, or a directory.")
    directory = given if given is None or given.is_dir() else given.parent
    tokenizer = load_tokenizer(arguments.tokenizer, directory)
    config = retokenized(arguments.family, parse_config(arguments.config), tokenizer)
    model = initialise(arguments.family, config, arguments.seed, arguments.reading)
    card = {name: getattr(arguments, name) for name in ("model", "tokenizer", "seed")}
    card |= {"family": paper_family(arguments.family, arguments.reading)}
    card |= {"init": "random", "source": "published random initialisation"}
    save_weights(arguments.output, model, card, tokenizer_files(arguments.tokenizer, directory))
