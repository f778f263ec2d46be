"""Scores of variants that another program computed, judged as the likelihood ratios of a model are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foundationless.evaluation.records import hash_files, write_record
from foundationless.features.outside import UNKNOWN, read_outside, scores_of
from foundationless.runtime.files import atomic_path
from foundationless.runtime.usage import JobUsage
from foundationless.scoring.likelihood import judge_ratios, prepare

RUN = "outside"  # the one score of such an arm


def import_scores(
    scores: Path,
    card: Path,
    sequences: Path,
    strict: bool,
    identity: Mapping[str, Any],
    record: Path,
    predictions: Path,
) -> None:
    """Judge a file of scores and write predictions and then the record, which vouches for them.

    Predictions are as of `score_likelihood`, with `score` higher where a variant is the more damaging and no `llr`,
    which not every score is. `identity` has analysis, task, model, init and seed. What scores cost is not known here.
    """
    usage = JobUsage(threads=1)
    arm = read_outside(scores, card, sequences, identity, strict)
    frame = prepare(arm.frame)
    damage = scores_of(arm)
    results, rows = judge_ratios(frame, {RUN: -damage}, np.zeros(len(frame), dtype=bool))
    with atomic_path(predictions) as part:
        rows.drop(columns="llr").to_parquet(part, index=False)
    whose = {key: identity[key] for key in ("task", "model", "init", "seed")}
    write_record(
        record,
        **identity,
        parameters=arm.parameters,
        settings=arm.origin,
        results=results,
        hashes=hash_files(predictions=predictions, sequences=sequences) | arm.hashes,
        cost=usage.cost() | {"outside": whose | UNKNOWN},
    )
