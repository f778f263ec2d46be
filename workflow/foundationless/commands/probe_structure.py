"""Ask a frozen model for facts of the sequences themselves: GC content, words, their places, runs, and skew."""

import argparse
from pathlib import Path

from foundationless.commands import add_identity, add_record_outputs, add_sequences
from foundationless.commands._flags import count, layer, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embeddings", required=True, type=Path, help="embeddings of the set (Parquet, from embed)")
    text = "poolings, columns of the embeddings; validation chooses one for each fact"
    parser.add_argument("--poolings", required=True, nargs="+", help=text)
    text = "inner layers of which validation may choose for each fact: all, or numbers from 0, the embedding"
    parser.add_argument("--layers", nargs="+", type=layer, default=[], help=f"{text} (default: the last layer alone)")
    add_sequences(parser)
    parser.add_argument("--analysis", required=True, help="analysis that the job belongs to, such as structure")
    text = "seed that draws rows and words, the same for all cells of a study, so that arms are asked the same"
    parser.add_argument("--draw-seed", type=seed, default=1, help=text)
    parser.add_argument("--threads", type=count, default=1, help="CPU threads")
    add_identity(parser)
    add_record_outputs(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation.records import hash_files, write_record
    from foundationless.features.embedding_files import hashes_of_weights, of_embedding, of_vectors, read_embeddings
    from foundationless.features.layers import columns_in_file, kept_columns
    from foundationless.features.probes import align
    from foundationless.features.structure.probes import MOST_ROWS, probe_facts
    from foundationless.runtime.files import atomic_path
    from foundationless.runtime.usage import JobUsage
    from foundationless.tasks.sequence_sets import read_sequences

    usage = JobUsage(threads=arguments.threads)
    poolings = list(dict.fromkeys(arguments.poolings))
    ids, vectors, facts = read_embeddings(arguments.embeddings, poolings)
    frame = read_sequences(arguments.sequences, strict_alphabet=arguments.strict_alphabet)
    layers = kept_columns(arguments.embeddings, facts, poolings, arguments.layers) if arguments.layers else {}
    features = columns_in_file(arguments.embeddings, layers) if layers else vectors
    chosen = {"seed": arguments.seed, "draws": arguments.draw_seed, "threads": arguments.threads}
    probed = probe_facts(frame, align(ids, features, frame), layers=layers, **chosen)
    identity = {key: getattr(arguments, key) for key in ("task", "model", "init", "seed")}
    with atomic_path(arguments.predictions) as part:
        probed.predictions.assign(**identity)[[*identity, *probed.predictions]].to_parquet(part, index=False)
    settings = {"poolings": poolings, "draws": arguments.draw_seed, "most_rows": MOST_ROWS}
    settings |= {"layers": sorted({*layers.values()}), "last_layer": facts["last_layer"]} if layers else {}
    write_record(
        arguments.record,
        analysis=arguments.analysis,
        **identity,
        parameters=facts["parameters"],
        settings=settings | {"max_tokens": facts["max_tokens"], "precision": facts["precision"]} | of_vectors(facts),
        results=probed.results,
        selections=probed.selections,
        hashes=hash_files(predictions=arguments.predictions, sequences=arguments.sequences) | hashes_of_weights(facts),
        cost=usage.cost() | of_embedding(arguments.task, facts),
    )
