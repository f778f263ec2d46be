"""Compare an embedding with the labels that it never saw: clusters, neighbours and a map of the test rows."""

import argparse
from pathlib import Path

from foundationless.commands import add_identity, add_sequences
from foundationless.commands._flags import count, layer, output_file

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embeddings", required=True, type=Path, help="embeddings of the set (Parquet, from embed)")
    parser.add_argument("--pooling", default="max", help="pooling, a column of the embeddings (paper: max)")
    add_sequences(parser)
    parser.add_argument("--aggregate", help="average the vectors of rows that share this column, such as sample")
    text = "layers to cluster beside the last: all, or numbers from 0, the embedding (default: the last alone)"
    parser.add_argument("--layers", type=layer, nargs="+", default=[], help=text)
    parser.add_argument("--analysis", required=True, help="analysis that the job belongs to, such as clustering")
    parser.add_argument("--permutations", type=count, default=1000, help="of the labels, for the null")
    parser.add_argument("--most-rows", type=count, default=5000, help="test rows read at most (a seeded draw)")
    parser.add_argument("--threads", type=count, default=1, help="CPU threads")
    add_identity(parser)
    parser.add_argument("--record", required=True, type=output_file, help="JSON record to write")
    text = "maps to write (Parquet: id, label, x, y, tsne_x, tsne_y)"
    parser.add_argument("--map", required=True, type=output_file, help=text)


def run(arguments: argparse.Namespace) -> None:
    from functools import partial

    from threadpoolctl import threadpool_limits

    from foundationless.evaluation.records import hash_files, write_record
    from foundationless.features.clustering import NEIGHBOURS, cluster, cluster_layers
    from foundationless.features.embedding_files import hashes_of_weights, of_embedding, of_vectors, read_embeddings
    from foundationless.features.layers import columns_in_file, kept_columns
    from foundationless.features.probes import align, read_samples
    from foundationless.runtime.files import atomic_path
    from foundationless.runtime.usage import JobUsage

    usage = JobUsage(threads=arguments.threads)
    pooling = arguments.pooling
    ids, vectors, facts = read_embeddings(arguments.embeddings, [pooling])
    given = (arguments.aggregate, partial(align, ids, vectors), arguments.strict_alphabet)
    samples = read_samples(arguments.sequences, *given)
    with threadpool_limits(arguments.threads):
        chosen = {name: getattr(arguments, name) for name in ("seed", "permutations", "most_rows")}
        features = samples.features[pooling]
        clusters = cluster(samples.frame, features, **chosen, extra={"pooling": pooling}, mapped=True)
        if arguments.layers:
            layers = kept_columns(arguments.embeddings, facts, [pooling], arguments.layers)
            each = partial(align, ids, columns_in_file(arguments.embeddings, layers))
            samples = read_samples(arguments.sequences, arguments.aggregate, each, arguments.strict_alphabet)
            inner = cluster_layers(samples.frame, samples.features, layers, **chosen, extra={"pooling": pooling})
            clusters.results.extend(inner)
    identity = {key: getattr(arguments, key) for key in ("task", "model", "init", "seed")}
    with atomic_path(arguments.map) as part:
        clusters.map.assign(**identity)[[*identity, *clusters.map]].to_parquet(part, index=False)
    settings = {"pooling": pooling, "aggregate": arguments.aggregate, "permutations": arguments.permutations}
    settings |= {"most_rows": arguments.most_rows, "neighbours": NEIGHBOURS, "clusters": len(samples.classes)}
    write_record(
        arguments.record,
        analysis=arguments.analysis,
        **identity,
        parameters=facts["parameters"],
        settings=settings | {"permutation_p": clusters.p, "precision": facts["precision"]} | of_vectors(facts),
        results=clusters.results,
        hashes=hash_files(predictions=arguments.map, sequences=arguments.sequences) | hashes_of_weights(facts),
        cost=usage.cost() | of_embedding(arguments.task, facts),
    )
