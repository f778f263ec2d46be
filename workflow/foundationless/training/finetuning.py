"""Fine-tuning: the runs (fold × learning rate) of one task × model × init × seed, all through one loop.

The recipe is the paper's (paper, "Fine-tuning"): every weight is trained, AdamW (0.9, 0.999), cosine to zero without
warm-up, the final hidden states pooled over the tokens that stand for nucleotides, a linear head without bias, and the
test set read once per run, at the epoch that validation likes best. It departs where the paper errs: padding and
special tokens are never pooled, and a learning rate is chosen by validation; the paper's own choice, by test score,
is computed from the same runs for comparison. With `lora_rank` low-rank adapters are trained instead of the weights
(Table 8), and `trainable` says which part of them otherwise; weights read `as_in_paper` are padded and pooled as the
paper did (`Classifier`).

Labels are classes, as in the paper, numbers, or zeros and ones (`learned`): the same lines but for loss and metrics.

Order of data, dropout and head depend on seed, fold and epoch alone, never on what ran before, so a job that was
killed continues to the same bits, and both arms of a comparison see the same batches. Small networks are trained
several runs at once where asked for (`stacking`), which is no part of a result's identity.

Where validation chose the least or the largest learning rate of a fold, `extend` allows for so many further ones, one
after another by the grid's own ratio, as long as each is better than all before it. They are runs like the others, so
that the paper's choice, by test score, is among the same runs as ours. With `rungs` the rates race instead (`racing`),
and the paper's choice does not exist.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from foundationless.errors import UserError
from foundationless.evaluation.records import Result
from foundationless.models.weights import load_weights
from foundationless.runtime.files import sha256
from foundationless.runtime.log import progress, tell
from foundationless.runtime.signals import STATUS, Flag, termination
from foundationless.study.price.shares import members, reached
from foundationless.study.vocabulary import NO_CHUNKS
from foundationless.tasks.sequence_sets import read_sequences
from foundationless.training import racing, sweep
from foundationless.training.checkpoints import fingerprint, load_state
from foundationless.training.classifier import Classifier, Examples, prepare_examples
from foundationless.training.compute import BETAS, Compute, derived_seed
from foundationless.training.learned import check_metric
from foundationless.training.long.chunks import Chunked
from foundationless.training.loop import Job, LegOver, Pack, Run, paused
from foundationless.training.stacking import Alone, State, capacity, changeable, packs, refusal, stackable_folds
from foundationless.training.sweep import Fold, Settings, kept_run, run_name
from foundationless.training.trainable.choice import choose_trained, save_memory

HEAD, ADAPTERS = 2**40, 2**41  # stand for the fold in the seeds of heads and of adapters, out of reach of folds
_USUAL = {"lora_targets": (), "layer_rates": 1.0, "unfreeze": 0, "class_weights": "", "chunks": NO_CHUNKS}
_PROBED = 2  # longest and shortest training sequences on which a stack is compared with a run alone


@dataclass(frozen=True)
class Outcome:
    """What a fine-tuning job found: results, selections and predictions as in its files, settings, and model size.

    `validation`: predictions of the validation rows; None where runs were kept by a version that did not keep them.
    """

    results: list[Result]
    selections: list[dict[str, Any]]
    predictions: pd.DataFrame
    settings: dict[str, Any]
    parameters: int
    validation: pd.DataFrame | None = None


@dataclass(frozen=True)
class Ready:
    """What the runs of a job are made of: the set, its rows to test on, folds, and a classifier; `decisive`: of what.

    `parameters` of the model, and those of them that are `trained`.
    """

    frame: pd.DataFrame
    examples: Examples
    test: np.ndarray
    folds: list[Fold]
    classifier: Classifier
    decisive: dict[str, Any]
    parameters: int
    trained: int


@dataclass(frozen=True)
class Trained:
    """A classifier with the weights of the run that validation chose, and what it was trained on.

    `test`: rows of the set to test on; `scores`: its metrics on them, read once; `settings` as a record says them;
    `selections`: the learning rate that was chosen; `parameters` of the model.
    """

    classifier: Classifier
    frame: pd.DataFrame
    examples: Examples
    test: np.ndarray
    scores: Mapping[str, float | None]
    settings: dict[str, Any]
    selections: list[dict[str, Any]]
    parameters: int


@dataclass(frozen=True)
class Part:
    """Which share of a job's runs a part trains: one of so many groups, and of it one of so many legs, from 0."""

    group: int = 0
    groups: int = 1
    leg: int = 0
    legs: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no part."""
        if not (0 <= self.group < self.groups and 0 <= self.leg < self.legs):
            raise UserError("--group and --leg count from 0, and stay below --groups and --legs.")


def finetune(
    weights: Path,
    sequences: Path,
    settings: Settings,
    compute: Compute,
    directory: Path,
    recipe: int,
    checkpoint_seconds: float = 300.0,
    pack: int = 1,
    parts: Sequence[Path] = (),
) -> Outcome:
    """Every run of the job, those already kept in `directory` excepted, and what each selection takes of them.

    `recipe`: kept runs of another one are made again. `pack`: how many runs are trained at once (0: as many as the
    device holds, see `stacking.capacity`). `parts`: directories of `train_part`, whose runs are all that there are: one
    that is missing is a `UserError`, for what puts parts together has no GPU.
    """
    ready = prepare(weights, sequences, settings, compute, recipe, checkpoint_seconds, pack)
    for part in parts:
        sweep.take_runs(part, directory)
    grid = sorted(settings.learning_rates)
    plan = [(fold, rate) for fold in ready.folds for rate in grid]
    with termination() as terminated, progress(len(plan) * settings.epochs, "fine-tuning", "epoch") as bar:
        job = _job(ready, settings, compute, directory, terminated, bar, checkpoint_seconds, merging=bool(parts))
        swept, kept, rungs = _train_all(job, ready, plan, pack)
    splits = ("validation",) if settings.race else ("validation", "test")
    finished = [one for one in swept if "stopped" not in kept[run_name(*one)]]
    chosen = {split: sweep.choose(finished, kept, split, settings.metric) for split in splits}
    described = ready.decisive | {"learning_rates": grid, "folds": list(settings.folds)}
    if settings.extend:
        tried = {
            fold.name: [rate for one, rate in swept if one.number == fold.number and rate not in grid]
            for fold in ready.folds
        }
        described |= {"extend": settings.extend, "extended": tried}
    examples, tested = ready.examples, len(ready.test)
    described |= {"truncated": examples.truncated} | examples.learned.settings()
    described |= {"trainable_parameters": ready.trained}
    described |= {"gradient_checkpointing": True} if settings.gradient_checkpointing else {}
    described |= {"weight_precision": "bf16"} if settings.weight_precision == "bf16" else {}
    described["rows"] = {fold.name: [len(fold.train), len(fold.validation), tested] for fold in ready.folds}
    rows = ready.frame.iloc[ready.test]
    return Outcome(
        results=sweep.results(swept, kept, chosen, settings.metric, tested),
        selections=sweep.selections(swept, kept, chosen, settings.metric) + rungs,
        predictions=sweep.predictions_of(rows, directory, swept, kept, examples.learned.columns, chosen),
        settings=described,
        parameters=ready.parameters,
        validation=sweep.validation_of(ready.frame, directory, swept, examples.learned.columns, chosen["validation"]),
    )


def train_chosen(
    weights: Path,
    sequences: Path,
    settings: Settings,
    compute: Compute,
    directory: Path,
    recipe: int,
    checkpoint_seconds: float = 300.0,
) -> Trained:
    """Train the runs of `finetune`, of the first fold alone, and keep the network that validation chose instead.

    It is the network behind the predictions of a job of the same settings, to the bit. Runs of an earlier start are
    continued from their checkpoints, and those that had ended are trained again, for nothing keeps their weights.
    """
    settings = replace(settings, folds=settings.folds[:1])
    ready = prepare(weights, sequences, settings, compute, recipe, checkpoint_seconds, pack=1)
    if isinstance(ready.classifier, Chunked):
        raise UserError("--chunks: a classifier of chunks is not explained yet; leave it out.")
    directory.mkdir(parents=True, exist_ok=True)
    for kept_before in directory.glob("*_lr*.json"):
        kept_before.unlink()
    best: dict[str, State] = {}
    plan = [(fold, rate) for fold in ready.folds for rate in sorted(settings.learning_rates)]
    with termination() as terminated, progress(len(plan) * settings.epochs, "fine-tuning", "epoch") as bar:
        job = replace(_job(ready, settings, compute, directory, terminated, bar, checkpoint_seconds), best=best)
        swept, kept, rungs = _train_all(job, ready, plan, 1)
    finished = [one for one in swept if "stopped" not in kept[run_name(*one)]]
    chosen = {"validation": sweep.choose(finished, kept, "validation", settings.metric)}
    name = chosen["validation"][ready.folds[0].number]
    Alone(ready.classifier).restore(0, best[name])
    ready.classifier.eval().requires_grad_(False)
    described = ready.decisive | {"rates": sorted(settings.learning_rates)}  # of runs that a record does not list
    described |= {"folds": list(settings.folds), "trainable_parameters": ready.trained}
    described |= {"truncated": ready.examples.truncated} | ready.examples.learned.settings()
    made = sweep.selections(swept, kept, chosen, settings.metric) + rungs
    given = (ready.classifier, ready.frame, ready.examples, ready.test, kept[name]["test"], described, made)
    return Trained(*given, ready.parameters)


def train_part(
    weights: Path,
    sequences: Path,
    settings: Settings,
    compute: Compute,
    directory: Path,
    recipe: int,
    part: Part,
    known: Path,
    checkpoint_seconds: float = 300.0,
    pack: int = 1,
) -> list[str]:
    """Train one part of a job's runs in a directory of its own, and give the names of those that are kept there.

    Groups hold whole folds where a run depends on its fold's others (`rungs`, `extend`), otherwise runs. A leg ends
    after its share of the epochs that the group has at most. What `known`, the directory of the whole job, already
    keeps is not trained again.
    """
    ready = prepare(weights, sequences, settings, compute, recipe, checkpoint_seconds, pack)
    grid = sorted(settings.learning_rates)
    units = [[(fold, rate)] for fold in ready.folds for rate in grid]
    if settings.race or settings.extend:
        units = [[(fold, rate) for rate in grid] for fold in ready.folds]
    if len(units) < part.groups:
        raise UserError(f"--groups {part.groups}: the job has only {len(units)} runs or folds to deal out.")
    plan = [one for unit in members(len(units), part.groups, part.group) for one in units[unit]]
    folds = len({fold.number for fold, _ in plan})
    total = (
        racing.most_epochs(settings) * folds
        if settings.race
        else (len(plan) + folds * settings.extend) * settings.epochs
    )
    last = part.leg == part.legs - 1
    runs = [_run(ready.decisive, *one) for one in plan]
    directory.mkdir(parents=True, exist_ok=True)
    sweep.copy_runs(known, directory, {run.name: run.expected for run in runs})
    with termination() as terminated, progress(total, "fine-tuning", "epoch") as bar:
        job = _job(ready, settings, compute, directory, terminated, bar, checkpoint_seconds)
        job.leg.until = 0 if last else reached(total, part.legs, part.leg)
        job.leg.done = _epochs_done(job, runs)
        if not job.leg.over:
            try:
                _train_all(job, ready, plan, pack)
            except LegOver:
                tell(f"leg {part.leg + 1} of {part.legs}: {job.leg.done} of {total} epochs, the next leg goes on")
    return [run.name for run in runs if kept_run(directory, run.name, run.expected) is not None]


def _epochs_done(job: Job, runs: Sequence[Run]) -> int:
    """Epochs of all runs of a part that its directory tells of."""
    states = _checkpoints(job.directory, job.identity)
    for run in runs:
        kept = kept_run(job.directory, run.name, run.expected)
        if kept is None and paused(job.directory, run).exists():
            seen = replace(run)
            seen.glance(paused(job.directory, run))
            states.setdefault(run.name, {"epoch": 0})
            states[run.name] = {"epoch": max(states[run.name]["epoch"], seen.epoch)}
        elif kept is not None:
            states[run.name] = {"epoch": len(kept["history"])}
    return sum(state["epoch"] for state in states.values())


def prepare(
    weights: Path,
    sequences: Path,
    settings: Settings,
    compute: Compute,
    recipe: int,
    checkpoint_seconds: float = 0.0,
    pack: int = 1,
    cut: Callable[[pd.DataFrame], tuple[pd.DataFrame, list[Fold], str]] | None = None,
) -> Ready:
    """The classifier of a job as its runs begin, and what they learn from.

    `cut`: the rows of the set that are read, folds of these, and in words how they were made (None: all rows, and the
    folds of the settings).
    """
    if pack < 0 or checkpoint_seconds < 0:
        raise UserError("--pack and --checkpoint-seconds must be at least 0.")
    frame = read_sequences(sequences, ["id", "sequence", "label", "split", "group"], settings.strict_alphabet)
    loaded = load_weights(weights, compute.device)
    model, tokenizer = loaded.model, loaded.tokenizer
    parameters = sum(parameter.numel() for parameter in model.parameters())
    limit = min(model.max_tokens, settings.max_tokens or model.max_tokens)
    if settings.chunks != NO_CHUNKS and model.reading == "as_in_paper":
        raise UserError(
            f"--chunks {settings.chunks}: these weights are read as in the paper, which has none; leave it out."
        )
    if cut is None:
        folds, splitter = sweep.split_folds(frame, settings.fold_count, settings.folds)
    else:
        frame, folds, splitter = cut(frame)
    how = (settings.class_weights, settings.chunks)
    examples = prepare_examples(frame, sequences.name, tokenizer, limit, *how)
    check_metric(settings.metric, examples.learned, sequences.name)
    examples = examples.fitted(folds, sequences.name)
    test = np.flatnonzero((frame["split"] == "test").to_numpy())
    if settings.weight_precision == "bf16" and compute.precision != "bf16":
        raise UserError("--weight-precision bf16: it is for passes in bfloat16; give --precision bf16, too.")
    layers = choose_trained(model, settings, derived_seed(settings.seed, ADAPTERS))
    decisive = decisive_of(weights, sequences, settings, compute.precision, limit, splitter, recipe)
    # not the bare seed: random weights of that seed began with the same draws
    torch.manual_seed(derived_seed(settings.seed, HEAD))
    given = (model, tokenizer, examples.learned.width, settings.pooling, settings.batch_size, layers)
    attended = settings.chunks == "attention"
    classifier = Classifier(*given) if settings.chunks == NO_CHUNKS else Chunked(*given, attended=attended)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    trained += model.width * examples.learned.width * (2 if attended else 1)
    moved = classifier.to(compute.device)
    save_memory(model, settings)
    return Ready(frame, examples, test, folds, moved, decisive, parameters, trained)


def _job(
    ready: Ready,
    settings: Settings,
    compute: Compute,
    directory: Path,
    terminated: Flag,
    bar: tqdm,
    checkpoint_seconds: float,
    merging: bool = False,
) -> Job:
    identity = fingerprint(ready.decisive)
    given = (ready.examples, ready.test, settings, compute, directory, identity, terminated, bar, checkpoint_seconds)
    return Job(*given, merging=merging)


def _train_all(
    job: Job, ready: Ready, plan: list[tuple[Fold, float]], pack: int
) -> tuple[list[tuple[Fold, float]], dict[str, Mapping[str, Any]], list[dict[str, Any]]]:
    """Race or sweep."""
    return (_race if job.settings.race else _sweep)(job, ready.classifier, plan, ready.decisive, pack)


def decisive_of(
    weights: Path, sequences: Path, settings: Settings, precision: str, limit: int, splitter: str, recipe: int
) -> dict[str, Any]:
    """All that decides the runs of a job, but for their folds and learning rates."""
    outside = {"folds", "learning_rates", "strict_alphabet", "extend"}  # of a run's name, or without effect on one
    outside |= set() if settings.lora_rank else {"lora_alpha", "lora_rank", "lora_dropout"}
    outside |= {"rungs", "gradient_checkpointing", "weight_precision"}
    # what is as it was before there was a choice must not tell a run from those that were kept then
    outside |= {"trainable"} if settings.trainable in ("all", "lora") else set()
    outside |= {name for name, value in _USUAL.items() if getattr(settings, name) == value}
    decisive = {name: value for name, value in asdict(settings).items() if name not in outside}
    if settings.race:  # where a run stops depends on the others
        decisive |= {"rungs": list(settings.rungs), "learning_rates": sorted(settings.learning_rates)}
        decisive |= {"extend": settings.extend}
    decisive |= {"max_tokens": limit, "precision": precision, "betas": BETAS, "splitter": splitter, "recipe": recipe}
    return decisive | {"sequences": sha256(sequences), "weights": sha256(weights / "weights.json")}


def _sweep(
    job: Job, classifier: Classifier, plan: list[tuple[Fold, float]], decisive: Mapping[str, Any], pack: int
) -> tuple[list[tuple[Fold, float]], dict[str, Mapping[str, Any]], list[dict[str, Any]]]:
    """Train the runs of the plan, and then those beyond its edges; the plan with these, fold by fold, and what is kept.

    No run stops at a rung: the last is empty.

    What is beyond depends on kept values alone, so a job that was killed comes to the same runs.
    """
    initial = changeable(classifier)  # before training, and before runs are tried out, in which buffers may change
    kept: dict[str, Mapping[str, Any]] = {}
    swept, added = list(plan), plan
    for extension in range(job.settings.extend + 1):
        if extension:
            added = sweep.further(swept, kept, job.settings.metric)
            if not added:
                break
            job.bar.total += len(added) * job.settings.epochs
            swept += added
        runs = [_run(decisive, fold, rate) for fold, rate in added]
        for run in runs if extension else []:
            tell(f"{run.name}: tried too, for validation chose the edge of the learning rates")
        _train(job, classifier, initial, runs, pack)
        kept |= {run.name: _kept(job.directory, run) for run in runs}
    order = list(dict.fromkeys(fold.number for fold, _ in plan))
    return sorted(swept, key=lambda one: order.index(one[0].number)), kept, []


def _race(
    job: Job, classifier: Classifier, plan: list[tuple[Fold, float]], decisive: Mapping[str, Any], pack: int
) -> tuple[list[tuple[Fold, float]], dict[str, Mapping[str, Any]], list[dict[str, Any]]]:
    """As `_sweep`, of a race, with the selections at its rungs."""
    initial = changeable(classifier)
    job.bar.total = len(plan) // len(job.settings.learning_rates) * racing.most_epochs(job.settings)
    runs, rungs = racing.race(
        job,
        [_run(decisive, fold, rate) for fold, rate in plan],
        lambda fold, rate: _run(decisive, fold, rate),
        lambda some, rung: _train(job, classifier, initial, some, pack, rung),
    )
    kept = {run.name: _kept(job.directory, run) for run in runs}
    return [(run.fold, run.rate) for run in runs], kept, rungs


def _run(decisive: Mapping[str, Any], fold: Fold, rate: float) -> Run:
    expected = fingerprint({**decisive, "fold": fold.number, "learning_rate": rate})
    return Run(run_name(fold, rate), fold, rate, expected)


def _kept(directory: Path, run: Run) -> Mapping[str, Any]:
    kept = kept_run(directory, run.name, run.expected)
    if kept is None:
        raise OSError(f"{directory / run.name}.json changed while the job ran; nobody else may write there.")
    return kept


def _train(job: Job, classifier: Classifier, initial: State, runs: list[Run], pack: int, rung: int = 0) -> None:
    """Train what is not kept, each from the `initial` state; exits with `STATUS` where the job is asked to leave.

    With a `rung` (epochs) of a race what is not there yet goes so far, and is laid aside.
    """
    if rung:
        pending = [run for run in runs if not racing.arrived(run, rung, job.settings)]
    else:
        pending = [run for run in runs if kept_run(job.directory, run.name, run.expected) is None]
        for run in runs:
            if run not in pending:
                tell(f"{run.name}: kept from an earlier start")
                job.bar.update(job.settings.epochs - run.epoch)
    if not pending:
        return
    if job.merging:
        raise UserError(
            f"{job.directory}: {len(pending)} of the runs are not kept, or of other settings, data or weights "
            f"({pending[0].name}, …); delete the folder parts beside it and run the study again."
        )
    Alone(classifier).restore(0, initial)  # what follows looks at a network as it was before any run
    size, together = _pack_size(job, classifier, [run.fold for run in runs], pack)
    states = _checkpoints(job.directory, job.identity)
    # cut before those kept are left out: a job that continues has the packs that it had
    for places in packs([run.fold for run in runs], size, job.settings.batch_size, together):
        members = [runs[place] for place in places if runs[place] in pending]
        for run in members:
            state, before = states.pop(run.name, None), run.epoch
            if state is not None and (state["epoch"], state["step"]) >= (run.epoch, run.step):
                run.continued(state)
                job.bar.update(run.epoch - before)
            if job.settings.race:
                run.take_up(paused(job.directory, run))
        if members:
            if job.terminated.is_set():
                tell("what was computed is kept; run the same command to continue")
                sys.exit(STATUS)
            # of its size, too: a smaller pack must not write over the checkpoint that holds other runs as well
            path = job.directory / f"{runs[places[0]].name}_{len(places)}.checkpoint"
            Pack(job, classifier, initial, members, size > 1, path, rung).train()
    for path in job.directory.glob("*.checkpoint"):
        path.unlink()


def _checkpoints(directory: Path, identity: str) -> dict[str, dict[str, Any]]:
    """The furthest state of every run that a checkpoint of this job holds."""
    furthest: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.glob("*.checkpoint")):
        for name, state in (load_state(path, identity) or {"runs": {}})["runs"].items():
            other = furthest.setdefault(name, state)
            if (other["epoch"], other["step"]) < (state["epoch"], state["step"]):
                furthest[name] = state
    return furthest


def _pack_size(job: Job, classifier: Classifier, folds: list[Fold], pack: int) -> tuple[int, bool]:
    """(Most runs that are trained at once, whether of several folds); says so if more than one."""
    rows, family, examples = folds[0].train, classifier.backbone.family, job.examples.as_if(folds[0].number)
    if pack == 1 or len(folds) == 1:
        return 1, False
    if job.settings.gradient_checkpointing:
        tell(f"{family}: runs one after another, for blocks that are computed again cannot be stacked")
        return 1, False
    if job.settings.chunks != NO_CHUNKS:
        tell(f"{family}: runs one after another, for sequences in chunks cannot be stacked")
        return 1, False
    classifier.train()
    size = min(pack or capacity(classifier, examples, rows, job.settings.batch_size, job.compute), len(folds))
    if size == 1:
        return 1, False
    ordered = rows[np.argsort(examples.lengths[rows], kind="stable")]
    probed = np.unique(np.concatenate([ordered[:_PROBED], ordered[-_PROBED:]]))
    reason = ""
    for together in (True, False):
        if together and not stackable_folds(classifier, examples, probed, job.compute):
            continue
        reason = refusal(classifier, examples, probed, job.compute, together)
        if not reason:
            most = max(map(len, packs(folds, size, job.settings.batch_size, together)))
            tell(f"{family}: up to {most} runs at once{'' if together else ', each of one fold'}")
            return size, together
    tell(f"{family}: runs one after another, for they cannot be stacked ({reason})")
    return 1, False
