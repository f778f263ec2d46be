"""Print the architecture families that this program implements, and the tokenizers."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no flags."""


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models import FAMILIES, family_class
    from foundationless.models.tokenizers import TOKENIZERS

    rows = [("family", "objective", "padding", "tokenizer", "written in")]
    for name in FAMILIES:
        family = family_class(name)
        rows.append((name, family.objective, family.padding, family.tokenizer, family.implementation))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"tokenizers: {', '.join(TOKENIZERS)}")
