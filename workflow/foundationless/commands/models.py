"""Print the models of a table with the facts of their weights, or the architecture families and tokenizers."""

import argparse
from pathlib import Path

from foundationless.commands._flags import KNOWN_EMBEDDINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    table = Path("config", "models.yaml")
    parser.add_argument("--table", type=Path, default=table, help=f"model table (YAML; default {table})")
    weights = Path("results", "weights")
    parser.add_argument("--weights", type=Path, default=weights, help=f"weights made so far (default {weights})")
    parser.add_argument("--families", action="store_true", help="print the architecture families and the tokenizers")
    check = "weight directory or published checkpoint: compare its embedding with the published one, if one is known"
    parser.add_argument("--check", type=Path, metavar="PATH", help=check)
    parser.add_argument("--family", help="family of the checkpoint to check (default: by its config.json)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    import json

    from foundationless.errors import UserError
    from foundationless.models import inventory
    from foundationless.models.known import read_known
    from foundationless.study.config import read_yaml

    if arguments.check:
        from foundationless.models.onboarding import check_embedding

        said, proof = check_embedding(arguments.check, read_known(KNOWN_EMBEDDINGS), arguments.family)
        print(json.dumps(proof, indent=1) if arguments.json else said)
        return
    if arguments.families:
        families, tokenizers = inventory.list_families(), inventory.list_tokenizers()
        if arguments.json:
            print(json.dumps({"families": families, "tokenizers": tokenizers}, indent=1))
        else:
            tables = (inventory.align([rows[0], *(row.values() for row in rows)]) for rows in (families, tokenizers))
            print("\n\n".join(tables))
        return
    if not arguments.table.is_file():
        raise UserError(f"{arguments.table}: no such file; give --table FILE, or --families for the architectures.")
    table = read_yaml(arguments.table)
    if not isinstance(table, dict):
        raise UserError(f"{arguments.table}: not a model table (names with their entries).")
    rows = inventory.list_models(table, arguments.weights)
    print(json.dumps(rows, indent=1) if arguments.json else inventory.model_table(rows))
