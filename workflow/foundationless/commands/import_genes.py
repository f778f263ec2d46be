"""Make vectors of genes: from a table, GO, cells, another screen's effects, or the simulation."""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_file, seed
from foundationless.study.vocabulary import VECTOR_SOURCES

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `import_genes`."""
    parser.add_argument("--kind", required=True, choices=VECTOR_SOURCES,
                        help="vectors; sets of genes (GMT); matrices of cells; effects; a simulation")  # fmt: skip
    parser.add_argument("--input", required=True, nargs="+", type=Path, help="the file; of cells one or several")
    parser.add_argument("--dims", type=count, help="dimensions; without it, a table's own, else 10")
    parser.add_argument("--namespace", choices=("symbol", "ensembl", "entrez", "own"), default="",
                        help="what the source calls genes by (default: found from the names)")  # fmt: skip
    parser.add_argument("--rows", choices=("genes", "dims"), default="genes", help="what the rows of a table are")
    parser.add_argument("--embedding", choices=("adjacency", "laplacian"), default="adjacency",
                        help="of GO: what the spectral embedding is of")  # fmt: skip
    text = "effects of screens whose genes are meant: others are left out"
    parser.add_argument("--effects", nargs="*", default=[], type=Path, help=text)
    parser.add_argument("--names", type=Path, help="table of gene names, old and new: genes get current symbols")
    parser.add_argument("--seed", type=seed, default=0, help="seed of solvers and of the cells that are drawn")
    parser.add_argument("--output", required=True, type=output_file, help="vectors to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    """Make the vectors and write them."""
    import hashlib

    from foundationless.perturbation.gene_names import read_names
    from foundationless.perturbation.sources import import_vectors
    from foundationless.perturbation.vectors import write_vectors
    from foundationless.runtime.files import sha256
    from foundationless.runtime.log import tell

    vectors = import_vectors(
        arguments.kind,
        arguments.input,
        seed=arguments.seed,
        dims=arguments.dims or 0,
        namespace=arguments.namespace,
        rows=arguments.rows,
        how=arguments.embedding,
        names=read_names(arguments.names) if arguments.names else None,
        screens=arguments.effects,
    )
    files = [file for path in arguments.input for file in (sorted(path.glob("*")) if path.is_dir() else [path])]
    digests = [sha256(file) for file in files]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    write_vectors(arguments.output, vectors, sha256=digest)
    size, dims = vectors.matrix.shape
    tell(f"{arguments.output.name}: {size} genes, {dims} dimensions, of {vectors.source}")
