"""Racing: the learning rates of a fold start together, and those that are worse on validation stop at the rungs.

Successive halving (see `study.rungs`), each fold for itself. A run is judged by its best validation value so far, which
is what chooses an epoch, too; of equal values, as the many zeros of an MCC after one epoch, by its least validation
loss. The schedule of a run is that of all epochs, and its batches depend on seed, fold and epoch: the run that is left
is, bit by bit, the same run of a full sweep (stacked runs: within float noise). It alone reads the test set, once.

Where validation likes the least or the largest rate best at the first rung, `extend` lets further ones join there, one
after another as in a full sweep: each is trained to that rung before the fold is halved, so that all are judged after
as many epochs. Beyond the first rung nothing joins, for it would have to catch up with what it can no longer beat.

Every decision is a function of validation values by epoch, which runs keep, so a job that was killed decides again what
it had decided. Between two rungs a run lies in `NAME.paused` beside the kept runs (weights, moments, best weights: up
to four times what is trained) until it goes on or stops.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from foundationless.evaluation.records import beyond, finite
from foundationless.runtime.files import write_json
from foundationless.runtime.log import tell
from foundationless.study.rungs import raced_epochs, survivors
from foundationless.training.loop import Job, Run, paused
from foundationless.training.sweep import Fold, Settings, kept_run, shown

Train = Callable[[list[Run], int], None]  # runs to the end of an epoch, or, 0, to their own ends


def race(
    job: Job, runs: Iterable[Run], make: Callable[[Fold, float], Run], train: Train
) -> tuple[list[Run], list[dict[str, Any]]]:
    """Race the runs of every fold to its winner, and keep them all; (runs, fold by fold, selections of a record).

    `make` gives the run of a further rate. `train` may be called for runs that are where it is to bring them.
    """
    rungs = job.settings.rungs
    fields: dict[int, list[Run]] = {}
    for run in runs:
        fields.setdefault(run.fold.number, []).append(_found(job, run))
    started = {number: list(field) for number, field in fields.items()}
    chosen: dict[int, list[dict[str, Any]]] = {number: [] for number in fields}
    for place, rung in enumerate(rungs):
        train(_all(fields), rung)
        if not place:
            _extend(job, fields, make, train)
            started = {number: list(field) for number, field in fields.items()}
        for number, field in fields.items():
            left = leaders(field, rung, survivors(len(field), place, len(rungs)))
            chosen[number].append(_selection(field, left, rung, job.settings))
            for run in field:
                if run not in left:
                    _stop(job, run, rung)
            fields[number] = left
    train(_all(fields), 0)
    for path in job.directory.glob("*.paused"):
        path.unlink()
    return _all(started), [one for own in chosen.values() for one in own]


def most_epochs(settings: Settings) -> int:
    """Epochs that a race of one fold has at most, without further rates."""
    return raced_epochs(settings.epochs, len(settings.learning_rates), settings.rungs)


def best_until(run: Run, epoch: int) -> float:
    """The best validation value of a run's first epochs, -inf where none is finite."""
    return max((value for value in run.history[:epoch] if math.isfinite(value)), default=-math.inf)


def leaders(runs: Sequence[Run], rung: int, count: int) -> list[Run]:
    """The best `count` runs after so many epochs, in their order; of equals that of less loss, then the first."""
    ranked = sorted(runs, key=lambda run: (-best_until(run, rung), min(run.losses[:rung], default=math.inf)))[:count]
    return [run for run in runs if run in ranked]


def arrived(run: Run, rung: int, settings: Settings) -> bool:
    """Whether a run has nothing to do before the rung."""
    return run.over(settings) or run.epoch >= rung


def _all(fields: dict[int, list[Run]]) -> list[Run]:
    return [run for field in fields.values() for run in field]


def _found(job: Job, run: Run) -> Run:
    """A run as far as an earlier start brought it, without its tensors."""
    kept = kept_run(job.directory, run.name, run.expected)
    if kept is None:
        run.glance(paused(job.directory, run))
    else:
        run.history = [math.nan if value is None else value for value in kept["history"]]
        run.losses = [math.inf if value is None else value for value in kept["losses"]]
        run.epoch, run.best_epoch = len(run.history), kept["epoch"]
        run.best_value = best_until(run, run.epoch)
        run.diverged = True  # nothing is left to do of it, wherever it ended
    job.bar.update(run.epoch)
    return run


def _extend(job: Job, fields: dict[int, list[Run]], make: Callable[[Fold, float], Run], train: Train) -> None:
    """Further rates for the folds whose best is at an edge, each as far as the first rung."""
    rung = job.settings.rungs[0]
    for _ in range(job.settings.extend):
        added = []
        for field in fields.values():
            rate = beyond([run.rate for run in field], leaders(field, rung, 1)[0].rate)
            if rate is not None:
                added.append(_found(job, make(field[0].fold, rate)))
        if not added:
            return
        job.bar.total += rung * len(added)
        for run in added:
            tell(f"{run.name}: races too, for validation likes the edge of the learning rates at epoch {rung}")
        train(added, rung)
        for run in added:
            fields[run.fold.number].append(run)


def _selection(field: Sequence[Run], left: Sequence[Run], rung: int, settings: Settings) -> dict[str, Any]:
    """What a rung decided: values of all runs there, the best, and those that go on."""
    return {
        "what": "rung",
        "within": f"{field[0].fold.name} epoch {rung}",
        "split": "validation",
        "metric": settings.metric,
        "tried": {f"{run.rate:g}": finite(best_until(run, rung)) for run in field},
        "chosen": f"{leaders(field, rung, 1)[0].rate:g}",
        "survivors": [f"{run.rate:g}" for run in left],
    }


def _stop(job: Job, run: Run, rung: int) -> None:
    """Keep what a run that loses has shown, all of it on validation."""
    if kept_run(job.directory, run.name, run.expected) is None:
        metric, value = job.settings.metric, finite(run.best_value)
        kept = {"fingerprint": run.expected, "epoch": run.best_epoch, "stopped": rung}
        kept |= {"history": [finite(value) for value in run.history], "validation": {metric: value}}
        kept["losses"] = [finite(value) for value in run.losses]
        write_json(job.directory / f"{run.name}.json", kept | {"seconds": round(run.seconds, 3)})
        tell(f"{run.name}: stopped at epoch {rung}, {metric} validation {shown(value)}")
    run.best, run.weights, run.moments = {}, {}, []
    paused(job.directory, run).unlink(missing_ok=True)
