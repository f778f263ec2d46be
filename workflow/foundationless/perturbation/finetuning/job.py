"""Fine-tuning on a screen: the runs (split and learning rate) of a cell, what validation chooses, and its files.

Splits are those of the other analyses of perturbations. One fold of a split's training perturbations does not train:
its mean skill chooses the epoch and the learning rate, and every run predicts the test perturbations once, with the
weights of the epoch that it chose. (The second paper stopped by perturbations that it scored.) The paper's choice of a
rate, by test score, is computed of the same runs for comparison.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.effects import skill
from foundationless.evaluation.records import Result, hash_files, write_record
from foundationless.models.tokenizers.genes import CellVocabulary
from foundationless.models.weights import load_weights
from foundationless.perturbation import jobs
from foundationless.perturbation.baselines import mean_change
from foundationless.perturbation.borrowed import Candidate, Fitted
from foundationless.perturbation.effects import Effects, read_effects
from foundationless.perturbation.expression.cells import Cells
from foundationless.perturbation.finetuning.generator import Generator, Made, make_generator
from foundationless.perturbation.finetuning.pairs import Places, Reading, as_in_paper, dealt_from, read_screen
from foundationless.perturbation.finetuning.runs import Part, Place, Run, Score, Settings, State, kept_run
from foundationless.perturbation.screens import Screen, kinds_to_split, see
from foundationless.perturbation.selection import METRIC, EffectSettings, Outcome, mean_known, run_split
from foundationless.perturbation.splits import Split, draw_split, inner_folds
from foundationless.runtime.files import sha256
from foundationless.runtime.log import progress, tell
from foundationless.runtime.signals import termination
from foundationless.training.checkpoints import fingerprint
from foundationless.training.compute import Compute, derived_seed

DRAWN = 2**42  # stands beside the job's seed in that of parts which the weights lack

ReadCells = Callable[[Effects], Cells]
_UNUSED = ("baseline", "side", "source", "dims", "strengths", "reading", "inner_folds")  # settings of a linear model


class Files(NamedTuple):
    """What a job reads and where it keeps its runs. `cells` reads those behind the effects; None: means are used."""

    weights: Path
    effects: Path
    runs: Path
    cells: ReadCells | None


class Tuned(NamedTuple):
    """What a job found: outcomes of splits, the history of every run by split and name, and what the record says."""

    outcomes: list[Outcome]
    runs: dict[tuple[int, str], dict[str, Any]]
    settings: dict[str, Any]
    parameters: int


@dataclass(frozen=True)
class Kept:
    """Profiles that runs predict of the rows `tested` of a screen, in the place of what `selection.run_split` fits."""

    candidates: Sequence[Candidate]
    usable: NDArray[np.bool_]
    tested: Places
    profiles: Mapping[Candidate, NDArray[np.float32]]

    def fit(self, train: Places) -> Fitted:
        """The profiles; nothing is left to fit."""
        at = {row: place for place, row in enumerate(self.tested.tolist())}

        def predict(rows: Places, one: Candidate) -> NDArray[np.float64]:
            return self.profiles[one][[at[row] for row in rows.tolist()]].astype(np.float64)

        return Fitted(predict)


def finetune(
    files: Files, settings: Settings, splits: EffectSettings, compute: Compute, recipe: int, checkpoint_seconds: float
) -> Tuned:
    """Every run of the job, those already kept excepted, and what is chosen of them."""
    if not splits.inner_folds:
        raise UserError("--inner-folds 0: nothing would choose the epoch; give at least 2.")
    effects = read_effects(files.effects)
    screen = see(effects, splits.variant)
    halved = splits.variant == "halves"  # the data are the means of second halves
    cells = None if files.cells is None or halved else files.cells(effects)
    loaded = load_weights(files.weights)
    if not isinstance(loaded.tokenizer, CellVocabulary):
        raise UserError(f"{files.weights}: reads sequences, and a screen is of cells; choose a network of cells.")
    made = make_generator(loaded, derived_seed(settings.seed, DRAWN), settings.dropout)
    initial = {name: value.clone() for name, value in made.model.state_dict().items()}
    made.model.to(compute.device)
    decisive = {name: value for name, value in asdict(settings).items() if name != "learning_rates"}
    decisive |= {name: value for name, value in asdict(splits).items() if name not in ("splits", *_UNUSED)}
    decisive |= {"inner_folds": splits.inner_folds, "precision": compute.precision, "recipe": recipe}
    decisive |= {"cells": cells is not None, "effects": sha256(files.effects)}
    decisive |= {"weights": sha256(files.weights / "weights.json")}
    files.runs.mkdir(parents=True, exist_ok=True)
    outcomes, runs = [], dict[tuple[int, str], dict[str, Any]]()
    total = len(splits.splits) * len(settings.learning_rates) * settings.epochs
    with termination() as terminated, progress(total, "fine-tuning", "epoch") as bar:
        place = Place(files.runs, terminated, bar, checkpoint_seconds)
        for number in splits.splits:
            own, dealt = screen, None
            if splits.variant == "permuted":
                own, dealt = screen.deal(number), dealt_from(screen, number)
            reading = read_screen(own, effects, cells, loaded.tokenizer, dealt)
            if settings.reading == "as_in_paper":
                reading = as_in_paper(reading)
            outcome, kept = _tune_split(
                own, number, splits, settings, Generator(made.model, reading, compute), initial, decisive, place
            )
            outcomes.append(outcome)
            runs |= {(number, name): one for name, one in kept.items()}
    said = _described(made, reading, cells is not None, outcomes, screen)
    details = {name: list(value) if isinstance(value, tuple) else value for name, value in decisive.items()}
    details |= {"learning_rates": sorted(settings.learning_rates), "splits": list(splits.splits)}
    parameters = sum(parameter.numel() for parameter in made.model.parameters())
    return Tuned(outcomes, runs, details | said, parameters)


def _tune_split(
    screen: Screen,
    number: int,
    splits: EffectSettings,
    settings: Settings,
    generator: Generator,
    initial: State,
    decisive: Mapping[str, Any],
    place: Place,
) -> tuple[Outcome, dict[str, dict[str, Any]]]:
    """The runs of a split: how they did, and what is kept of each by the name of its candidate."""
    split, part = draw_part(screen, splits, number)
    score = _scored(screen, part)
    kept, profiles = dict[str, dict[str, Any]](), dict[Candidate, NDArray[np.float32]]()
    for rate in sorted(settings.learning_rates):
        one = Candidate(learning_rate=rate)
        expected = fingerprint({**decisive, "split": number, "learning_rate": rate})
        run = Run(generator, initial, part, rate, settings, expected, place)
        kept[one.name], profiles[one] = _trained(run, score)
    usable = np.ones(len(screen.names), dtype=bool)
    outcome = run_split(
        screen, Kept(list(profiles), usable, split.test, profiles), split, replace(splits, inner_folds=0)
    )
    tried = [one._replace(validation=kept[one.candidate.name]["value"]) for one in outcome.tried]
    values = {one.candidate.name: -np.inf if one.validation is None else one.validation for one in tried}
    chosen = outcome.chosen | {"validation": max(values, key=values.__getitem__)}
    return outcome._replace(tried=tried, chosen=chosen, validated=len(part.validation)), kept


def draw_part(screen: Screen, splits: EffectSettings, number: int) -> tuple[Split, Part]:
    """A split, and what a run trains on (with the control), chooses by and predicts of it."""
    split = draw_split(screen.names, kinds_to_split(screen), splits.kind, number, splits.held_out)
    train, validation = inner_folds(split, splits.inner_folds)[0]
    return split, Part(number, np.concatenate([[0], train]), validation, split.test)


def _trained(run: Run, score: Score) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """What a run keeps, trained unless it is there."""
    directory = run.place.directory
    kept = kept_run(directory, run.name, run.expected)
    if kept is None:
        run.train(score)
        kept = kept_run(directory, run.name, run.expected)
    else:
        tell(f"{run.name}: kept from an earlier start")
        run.place.bar.update(run.settings.epochs)
    if kept is None:
        raise OSError(f"{directory / run.name}.json changed while the job ran; nobody else may write there.")
    return kept


def _scored(screen: Screen, part: Part) -> Score:
    """Mean skill of validation profiles, where the mean is that of what trains."""
    rows = part.validation
    observed = screen.changes[rows]
    usual = mean_change(screen, part.train[1:])

    def score(predicted: NDArray[np.float32]) -> float:
        value = mean_known(skill(observed, predicted, usual))
        return -np.inf if value is None else value

    return score


def _described(
    made: Made, reading: Reading, cells: bool, outcomes: Sequence[Outcome], screen: Screen
) -> dict[str, Any]:
    """What the record's settings say beside what decided the result."""
    said: dict[str, Any] = {
        "trained_on": "cells" if cells else "means of conditions",
        "rows_read": sum(map(len, reading.rows)),
    }
    said |= {"rows_repeated": reading.repeated, "parts_taken": list(made.taken), "parts_drawn": list(made.drawn)}
    said |= {"missing_readout": reading.unknown_genes, "missing_targets": reading.unknown_targets}
    said |= {"targets_not_read_out": len(reading.tokens) - reading.genes, "fold_count": len(outcomes)}
    said |= {"conditions": len(screen.names) - 1, "genes_read_out": len(screen.genes), "values": screen.values}
    rows = {
        f"fold{one.split.seed}": [len(one.split.train) - one.validated, one.validated, len(one.split.test)]
        for one in outcomes
    }
    return said | {"rows": rows}


def write(
    tuned: Tuned, files: Files, identity: Mapping[str, Any], record: Path, predictions: Path, cost: Mapping[str, Any]
) -> None:
    """Write predictions and then the record, which vouches for them."""
    jobs.write_predictions(predictions, tuned.outcomes, tuned.settings["top"])
    write_record(
        record,
        **identity,
        parameters=tuned.parameters,
        settings=tuned.settings,
        results=_results(tuned),
        selections=_selections(tuned),
        hashes=hash_files(predictions=predictions, weights=files.weights) | {"effects": sha256(files.effects)},
        cost=cost,
    )


def _results(tuned: Tuned) -> Iterator[Result]:
    for outcome in tuned.outcomes:
        for result in jobs.results_of(outcome):
            extra = dict(result.extra) | {"epoch": tuned.runs[outcome.split.seed, result.extra["run"]]["epoch"]}
            yield replace(result, learning_rate=extra.pop("learning_rate"), extra=extra)


def _selections(tuned: Tuned) -> Iterator[Mapping[str, Any]]:
    """Of each run its epoch, and of each split its learning rate."""
    for (number, name), kept in tuned.runs.items():
        tried = {str(epoch): value for epoch, value in enumerate(kept["history"], 1)}
        if str(kept["epoch"]) in tried:
            said = {"what": "epoch", "within": f"fold{number} {name}", "split": "validation", "metric": METRIC}
            yield said | {"tried": tried, "chosen": str(kept["epoch"])}
    for outcome in tuned.outcomes:
        yield from jobs.selections_of(outcome)
