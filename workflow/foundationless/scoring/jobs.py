"""One scoring job: weights and sequence set in, record and per-sample scores out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from foundationless.evaluation.records import Result, hash_files, write_record
from foundationless.features.embedding import cut_sequences, settle_layers
from foundationless.models.inference import choose_device
from foundationless.models.weights import Weights, load_weights
from foundationless.runtime.files import atomic_path
from foundationless.runtime.usage import JobUsage
from foundationless.tasks.sequence_sets import read_sequences

Scored = tuple[list[Result], pd.DataFrame]
Score = Callable[[Weights, pd.DataFrame, dict[str, Any]], Scored | tuple[list[Result], pd.DataFrame, list[Any]]]


def run_job(
    score: Score,
    *,
    weights: Path,
    sequences: Path,
    strict_alphabet: bool,
    identity: Mapping[str, Any],
    settings: Mapping[str, Any],
    record: Path,
    predictions: Path,
    device: str,
    threads: int,
    precision: str,
    token_budget: int,
    energy: bool,
    layers: Sequence[int | str] = (),
) -> None:
    """Load weights and sequence set, call `score(weights, frame, compute)` and write what it returns.

    The record is written last, so that it vouches for the predictions. `identity` has analysis, task, model, init and
    seed; the other arguments are the flags of the same names. `score` may return selections too. Where `layers` are
    named, `compute` has `layers`, numbers of the inner ones, and `last_layer`, and `settings` say which were read.
    """
    torch.set_num_threads(threads)
    place = choose_device(device)
    usage = JobUsage(str(place), energy=energy)
    frame = read_sequences(sequences, strict_alphabet=strict_alphabet)
    loaded = load_weights(weights, str(place))
    compute: dict[str, Any] = {"token_budget": token_budget, "device": place, "precision": precision}
    inner, read = settle_layers(loaded, cut_sequences(loaded, frame["sequence"].tolist()[:1]), layers)
    if read:
        compute |= {"layers": inner, "last_layer": read["last_layer"]}
    scored = score(loaded, frame, compute)
    results, rows = scored[0], scored[1]
    with atomic_path(predictions) as part:
        rows.to_parquet(part, index=False)
    write_record(
        record,
        **identity,
        parameters=loaded.card["parameters"],
        settings={**settings, **read, "precision": precision},
        results=results,
        selections=scored[2] if len(scored) == 3 else (),
        hashes=hash_files(predictions=predictions, sequences=sequences, weights=weights),
        cost=usage.cost(),
    )
