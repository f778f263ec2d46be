"""Write control weights that lie between a pretrained and a random model.

`embedding`: random but for the pretrained table of token embeddings. `permuted`: pretrained, the values of each
parameter permuted. `copy`: pretrained, as it is.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory, seed
from foundationless.study.vocabulary import CONTROL_ARMS

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pretrained", required=True, type=Path, help="weight directory of the pretrained model")
    parser.add_argument("--random", required=True, type=Path, help="weight directory of the random model of this seed")
    parser.add_argument("--init", required=True, choices=CONTROL_ARMS, help="which control")
    parser.add_argument("--seed", required=True, type=seed, help="seed of the random weights and of permutations")
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.controls import derive
    from foundationless.models.tokenizers import PUBLISHED, tokenizer_files
    from foundationless.models.weights import load_weights, save_weights

    pretrained, random = load_weights(arguments.pretrained), load_weights(arguments.random)
    card = {name: getattr(arguments, name) for name in ("model", "init", "seed")}
    card |= {name: random.card[name] for name in ("family", "tokenizer")}
    card |= {"source": f"pretrained {pretrained.card['sha256']}, random {random.card['sha256']}"}
    model = derive(arguments.init, pretrained, random, arguments.seed)
    save_weights(arguments.output, model, card, tokenizer_files(PUBLISHED, arguments.random))
