"""Write a vector of each gene: what a network of single cells knows of it, or what a model of DNA says of its sequence.

Both arms of a network are read by the same lines: scGPT's gene encoder, the rows of Geneformer's word embeddings.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, help="weight directory of a network of single cells")
    source.add_argument("--embeddings", type=Path, help="embeddings of a set that has one sequence a gene (Parquet)")
    parser.add_argument("--sequences", type=Path, help="that set, whose ids are the genes, to check the embeddings by")
    parser.add_argument("--pooling", choices=["max", "mean", "cls", "site"], default="mean", help="of embeddings")
    parser.add_argument("--output", required=True, type=output_file, help="vectors to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.perturbation.vectors import GeneVectors, write_vectors
    from foundationless.runtime.log import tell

    if arguments.weights:
        from foundationless.models.cells.contract import named_vectors
        from foundationless.models.weights import load_weights

        weights = load_weights(arguments.weights)
        genes, matrix, namespace = named_vectors(weights.model, weights.tokenizer)
        about = {key: weights.card[key] for key in ("model", "init", "seed", "family", "sha256")}
    else:
        from foundationless.errors import UserError
        from foundationless.features.embedding_files import read_embeddings
        from foundationless.models.tokenizers.genes import namespace_of
        from foundationless.runtime.files import sha256
        from foundationless.tasks.sequence_sets import read_sequences

        ids, vectors, facts = read_embeddings(arguments.embeddings, [arguments.pooling])
        frame = read_sequences(arguments.sequences, ["id", "sequence"], False) if arguments.sequences else None
        if frame is not None and frame["id"].tolist() != ids:
            raise UserError(f"{arguments.embeddings}: not of the sequences in {arguments.sequences}; embed them again.")
        genes, matrix, namespace = tuple(ids), vectors[arguments.pooling], namespace_of(ids)
        about = {key: facts[key] for key in ("model", "init", "seed") if key in facts}
        about |= {"pooling": arguments.pooling, "sha256": sha256(arguments.embeddings)}
    source = f"{about.get('model', 'a model')} ({about.get('init', 'unknown')})"
    write_vectors(arguments.output, GeneVectors(genes, matrix, namespace, source), **about)
    tell(f"{arguments.output.name}: {len(genes):,} genes, {matrix.shape[1]} dimensions")
