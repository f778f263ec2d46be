"""A cell of the analyses of perturbations, from effects and vectors of genes to predictions and a record.

A split is a fold of the record. Predictions are kept, as changes from the control's mean, of the candidates that
validation and the test set choose in each split.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.evaluation.records import Result, edge_of, write_record
from foundationless.perturbation.baselines import additive
from foundationless.perturbation.borrowed import Borrowed, Candidate
from foundationless.perturbation.effects import read_effects
from foundationless.perturbation.screens import kinds_to_split, measured_pairs, see
from foundationless.perturbation.selection import (
    METRIC,
    EffectSettings,
    Outcome,
    embed,
    make_predictor,
    mean_known,
    run_split,
    top_of,
)
from foundationless.perturbation.splits import draw_split
from foundationless.runtime.files import atomic_path, sha256
from foundationless.runtime.log import tell
from foundationless.runtime.usage import JobUsage

FEW = 0.5  # share of genes with a vector, below which the log says so
_VECTORS = ("observed", "predicted", "mean", "additive", "first")


def run_cell(
    effects: Path,
    genes: Path | None,
    settings: EffectSettings,
    init: str,
    seed: int,
    names: Path | None = None,
) -> tuple[list[Outcome], dict[str, Any]]:
    """Every split of a cell, and what the record's settings say of how it was computed.

    `names`: a table by which genes are found that the vectors call otherwise.
    """
    screens = read_effects(effects)
    screen = see(screens, settings.variant)
    embedding, arm = embed(screens, screen, genes, settings, names)
    if arm != "pretrained" and arm == init:
        embedding = replace(embedding, drawn=True)
    kinds = kinds_to_split(screen)
    outcomes, said = [], dict[str, Any]()
    for number in settings.splits:
        own = screen.deal(number) if settings.variant == "permuted" else screen
        split = draw_split(own.names, kinds, settings.kind, number, settings.held_out)
        predictor = make_predictor(own, embedding, settings, init, seed, number)
        outcomes.append(run_split(own, predictor, split, settings))
        if isinstance(predictor, Borrowed):
            said = dict(zip(("missing_readout", "missing_targets"), predictor.missing, strict=True))
            said |= {"known_share": round(predictor.known_share, 4)} if settings.side else {}
    if said.get("known_share", 1.0) < FEW:
        of = "read-out" if settings.side == "readout" else "perturbed"
        tell(f"only {said['known_share']:.0%} of the {of} genes have a vector: all arms share out what these few say")
    said |= {"conditions": len(screen.names) - 1, "genes": len(screen.genes), "values": screen.values}
    said |= {"left_out_doubles": sum(kind == "" for kind in kinds), "vectors_arm": arm}
    return outcomes, said


def results_of(outcome: Outcome) -> Iterator[Result]:
    """Rows of the record: each candidate's skill, and all metrics of those that were chosen."""
    fold, n = outcome.split.seed, len(outcome.split.test)
    for one in outcome.tried:
        name, choice = one.candidate.name, {k: v for k, v in one.candidate._asdict().items() if v is not None}
        extra = {"run": name, "epoch": None} | choice | outcome.facts
        picked = extra | {"selected": outcome.chosen["validation"] == name}
        if one.validation is not None:
            yield Result(METRIC, one.validation, outcome.validated, "validation", "run", fold, extra=picked)
        yield Result(METRIC, one.test, n, "test", "run", fold, extra=picked)
        for selection, chosen in outcome.chosen.items():
            if chosen == name:
                for metric, values in one.metrics.items():
                    known = int(np.isfinite(values).sum())
                    yield Result(metric, mean_known(values), known, "test", selection, fold, extra=extra)


def selections_of(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """What was chosen in a split, by validation and by test: of each thing that had several candidates."""
    by_split = {
        "validation": {one.candidate: one.validation for one in outcome.tried},
        "test": {one.candidate: one.test for one in outcome.tried},
    }
    for split, values in by_split.items():
        if all(value is None for value in values.values()):
            continue
        best = next(one for one in values if one.name == outcome.chosen[split])
        for what in Candidate._fields:
            tried = {getattr(one, what): one for one in values}
            if len(tried) < 2:
                continue
            along = {key: best._replace(**{what: key}) for key in tried}
            said = {"what": what, "within": f"fold{outcome.split.seed}", "split": split, "metric": METRIC}
            told = {f"{key:g}": values[one] for key, one in along.items()}
            if what == "strength":  # beyond the strongest there is the mean alone
                said["edge"] = edge_of(tried, getattr(best, what), least=0.0, most=max(tried))
            yield said | {"tried": told, "chosen": f"{getattr(best, what):g}"}


def frame_of(outcome: Outcome) -> dict[str, list[Any]]:
    """Rows of the predictions: the perturbations that were held out, for each of the two chosen candidates."""
    screen, rows = outcome.screen, outcome.split.test
    order = screen.order
    rank = np.argsort(order)
    sums = additive(screen, outcome.split.train, rows)
    pairs = measured_pairs(screen)
    made: dict[str, list[Any]] = {}
    for one in outcome.tried:
        name = one.candidate.name
        if one.predicted is None:
            continue
        for at, row in enumerate(rows):
            known = np.isfinite(one.predicted[at])
            truth, mean = (np.where(known, each, np.nan) for each in (screen.changes[row], outcome.usual))
            values = {
                "id": screen.names[row],
                "group": "+".join(sorted(screen.targets[row])),
                "label": screen.kinds[row],
                "split": "test",
                "fold": outcome.split.seed,
                "run": name,
                "selected": outcome.chosen["validation"] == name,
                "selected_paper": outcome.chosen["test"] == name,
                "trained": outcome.trained,
                "targets": np.sort(rank[screen.own_genes(row)]),
            }
            profiles = {"observed": truth, "predicted": one.predicted[at], "mean": mean}
            if row in pairs:
                profiles |= {"additive": sums[at], "first": screen.changes[pairs[row][0]]}
            values |= {key: profile[order].astype(np.float32) for key, profile in profiles.items()}
            for key in (*values, "additive", "first"):
                made.setdefault(key, [])
            for key, column in made.items():
                column.append(values.get(key))
    return made


def write_predictions(path: Path, outcomes: Sequence[Outcome], top: int) -> None:
    """Write the rows of all splits, whole or not at all; genes and `top` stand in the schema's metadata."""
    screen = outcomes[0].screen
    columns: dict[str, list[Any]] = {}
    for outcome in outcomes:
        for name, values in frame_of(outcome).items():
            columns.setdefault(name, []).extend(values)
    lists, types = pa.list_(pa.float32()), {"targets": pa.list_(pa.int32())}
    arrays = {
        name: pa.array(values, lists if name in _VECTORS else types.get(name))
        for name, values in columns.items()
        if any(value is not None for value in values)
    }
    about = {"genes": [screen.genes[place] for place in screen.order], "top": top_of(screen, top)}
    table = pa.table(arrays).replace_schema_metadata({b"foundationless": json.dumps(about).encode()})
    with atomic_path(path) as part:
        pq.write_table(table, part, compression="zstd")


def run_job(
    *,
    effects: Path,
    genes: Path | None,
    settings: EffectSettings,
    identity: Mapping[str, Any],
    record: Path,
    predictions: Path,
    names: Path | None = None,
    threads: int = 1,
) -> None:
    """Compute a cell and write predictions and then the record, which vouches for them.

    `identity` has analysis, task, model, init and seed.
    """
    usage = JobUsage(threads=threads)
    outcomes, said = run_cell(effects, genes, settings, identity["init"], identity["seed"], names)
    write_predictions(predictions, outcomes, settings.top)
    used = [outcome.sizes[outcome.chosen["validation"]] for outcome in outcomes]
    hashes = {"predictions": sha256(predictions), "effects": sha256(effects)}
    hashes |= {name: sha256(path) for name, path in (("genes", genes), ("names", names)) if path is not None}
    details = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}
    details |= said | {"dims_used": max(each[settings.side == "target"] for each in used), "fold_count": len(outcomes)}
    details |= {"dropped": [outcome.dropped for outcome in outcomes]}
    details |= {"chosen_by": "validation" if settings.inner_folds else "first named"}
    write_record(
        record,
        **identity,
        parameters=max(first * second for first, second in used),
        settings=details,
        results=[result for outcome in outcomes for result in results_of(outcome)],
        selections=[selection for outcome in outcomes for selection in selections_of(outcome)],
        hashes=hashes,
        cost=usage.cost(),
    )
