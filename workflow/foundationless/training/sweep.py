"""The runs (fold × learning rate) of one fine-tuning job: their settings, folds, files, choices and results."""

import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.records import Result, beyond, read_record
from foundationless.runtime.files import atomic_path, read_json, sha256, write_json
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CHUNKS, CLASSES, LEARNED_METRICS, NO_CHUNKS, labels_of
from foundationless.tasks.sequence_sets import labels_in

FOLD_SEED = 42  # the paper's folds
VALIDATION = "validation.parquet"  # end of the name of what a run predicts of its validation rows; older runs have none


@dataclass(frozen=True)
class Settings:
    """What decides the result of a fine-tuning job, besides its data and weights.

    `folds` empty: the set's own validation split. `patience`: epochs without a better validation value before a run
    ends (0: never). `max_tokens`: a limit below the model's own (None: the model's). `strict_alphabet`: as in
    `read_sequences`. `lora_rank`: of the adapters that are trained instead of the model (0: the model is; see
    `lora`). `extend`: how many further learning rates a fold tries at most, beyond the edge that validation chose.
    `rungs`: epochs after which a race halves (0: every run is trained to its end; see `racing`).
    `trainable`: `all` weights, those of the `head`, of the last N blocks too (`last_N`), or adapters (`lora`, which
    `lora_rank` says as well); `lora_targets`: which maps have one (none: all). `layer_rates`: of a learning rate from
    one depth to the one below (1: the same for all). `unfreeze`: epochs after which one depth more is trained (0: all
    from the start; see `trainable.layers`). `gradient_checkpointing` and `weight_precision` (of what is frozen) save
    memory and change no bit of a result (see `trainable.saving`). `class_weights`: `balanced`, or empty for none (see
    `learned.Classes`). `chunks`: a sequence beyond the limit is cut off (`none`), or read in chunks that are pooled by
    `mean` or `attention` (see `long.chunks`).
    """

    metric: str
    learning_rates: tuple[float, ...]
    epochs: int
    batch_size: int
    pooling: str
    seed: int
    fold_count: int = 10
    folds: tuple[int, ...] = ()
    weight_decay: float = 0.0
    patience: int = 0
    max_tokens: int | None = None
    strict_alphabet: bool = True
    lora_rank: int = 0
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    extend: int = 0
    rungs: tuple[int, ...] = (0,)
    trainable: str = "all"
    lora_targets: tuple[str, ...] = ()
    layer_rates: float = 1.0
    unfreeze: int = 0
    gradient_checkpointing: bool = False
    weight_precision: str = "fp32"
    class_weights: str = ""
    chunks: str = NO_CHUNKS

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.metric not in LEARNED_METRICS:
            raise UserError(f"--metric {self.metric}: chooses no run; use one of {', '.join(LEARNED_METRICS)}.")
        if self.class_weights not in ("", "balanced"):
            raise UserError(f"--class-weights {self.class_weights:.40}: give balanced, or leave it out.")
        if self.class_weights and labels_of(self.metric) != CLASSES:
            raise UserError(
                f"--class-weights: --metric {self.metric} is of {labels_of(self.metric)}, not of classes; leave it out."
            )
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UserError("--learning-rates: give one or more positive numbers.")
        for flag, values in (("--learning-rates", self.learning_rates), ("--folds", self.folds)):
            if len(set(values)) < len(values):
                raise UserError(f"{flag}: a value stands twice; give each once.")
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 0 or self.seed < 0 or self.weight_decay < 0:
            raise UserError(
                "--epochs and --batch-size must be at least 1; --patience, --seed, --weight-decay at least 0."
            )
        if self.extend < 0:
            raise UserError("--extend must be at least 0.")
        if self.race and (
            list(self.rungs) != sorted({*self.rungs}) or self.rungs[0] < 1 or self.rungs[-1] > self.epochs
        ):
            raise UserError("--rungs: give epochs from 1 to --epochs, each once and in order, or 0 for no race.")
        if self.lora_rank < 0 or self.lora_alpha < 1 or not 0 <= self.lora_dropout < 1:
            raise UserError("--lora-rank is at least 0, --lora-alpha at least 1, --lora-dropout from 0 and below 1.")
        if self.fold_count < 2 or any(not 0 <= fold < self.fold_count for fold in self.folds):
            raise UserError(f"--folds: each fold lies between 0 and --fold-count - 1 = {self.fold_count - 1}.")
        if self.chunks not in CHUNKS:
            raise UserError(f"--chunks {self.chunks:.40}: give one of {', '.join(CHUNKS)}.")
        self._check_trained()

    def _check_trained(self) -> None:
        if not re.fullmatch("all|head|lora|last_[1-9][0-9]{0,3}", self.trainable):
            raise UserError(f"--trainable {self.trainable:.40}: give all, head, lora, or last_N with N blocks.")
        if self.trainable == "lora" and not self.lora_rank:
            raise UserError("--trainable lora: adapters need a rank; give --lora-rank.")
        if self.lora_rank and self.trainable not in ("all", "lora"):
            raise UserError(f"--lora-rank: adapters are trained instead of weights; leave out it or {self.trainable}.")
        if self.lora_targets and not self.lora_rank:
            raise UserError("--lora-targets: nothing is adapted; give --lora-rank, or leave them out.")
        if not 0 < self.layer_rates <= 1 or self.unfreeze < 0:
            raise UserError("--layer-rates lies above 0 and at most at 1, --unfreeze is at least 0.")
        if self.trainable == "head" and (self.layer_rates != 1 or self.unfreeze):
            raise UserError("--trainable head: nothing lies below it; leave out --layer-rates and --unfreeze.")
        if self.weight_precision not in ("fp32", "bf16"):
            raise UserError(f"--weight-precision {self.weight_precision:.40}: give fp32 or bf16.")
        if self.weight_precision == "bf16" and self.trainable == "all" and not self.lora_rank:
            raise UserError(
                "--weight-precision bf16: it is for frozen weights, and all are trained, which stay in float32; leave "
                "it out, or choose --trainable lora, head or last_N."
            )

    @property
    def race(self) -> bool:
        """Whether learning rates race."""
        return any(self.rungs)


@dataclass(frozen=True)
class Fold:
    """Rows (positions in the sequence set) to train and to validate on; `number` -1 is the published split."""

    number: int
    train: np.ndarray
    validation: np.ndarray

    @property
    def name(self) -> str:
        """`fold5`, or `published` for the set's own split."""
        return "published" if self.number < 0 else f"fold{self.number}"


def chosen_rate(record: Path, settings: Settings) -> Settings:
    """The settings of the one run whose learning rate validation chose in a record of fine-tuning.

    Of a record of several folds that is the first fold's. `UserError` where the record says no such choice.
    """
    fold = f"fold{settings.folds[0]}" if settings.folds else "published"
    for selection in read_record(record)["selections"]:
        mine = selection["what"] == "learning_rate" and selection["split"] == "validation"
        if mine and selection.get("within") == fold:
            return replace(settings, learning_rates=(float(selection["chosen"]),), extend=0, rungs=(0,))
    raise UserError(f"{record}: validation chose no learning rate of {fold} there; leave --chosen out to search one.")


def run_name(fold: Fold, learning_rate: float) -> str:
    """Name of a run inside its job, e.g. `fold0_lr0.0001` (never in exponent notation: names hold no hyphens)."""
    return f"{fold.name}_lr{np.format_float_positional(learning_rate, trim='-')}"


def split_folds(frame: pd.DataFrame, fold_count: int, folds: Sequence[int]) -> tuple[list[Fold], str]:
    """Folds of a sequence set, and in words how they were made.

    With `folds`: the train and validation rows cut by KFold(fold_count, shuffled, seed 42) as the paper did, or, where
    rows share groups, by StratifiedGroupKFold (of outputs, which are no strata, GroupKFold), so that no group stands on
    both sides. Without: the set's own split.
    """
    split = frame["split"].to_numpy()
    if not len(folds):
        train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "validation")
        if not len(train) or not len(validation):
            raise UserError(
                "the sequence set has no train or no validation rows; give --folds to cut its training rows."
            )
        return [Fold(-1, train, validation)], "published validation split"
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold

    rows = np.flatnonzero((split == "train") | (split == "validation"))
    groups = frame["group"].fillna(frame["id"]).to_numpy()[rows]
    grouped = len(set(groups)) < len(rows)
    units = len(set(groups)) if grouped else len(rows)
    if units < fold_count:
        raise UserError(
            f"--fold-count {fold_count}: the set has only {units} training {'groups' if grouped else 'rows'}."
        )
    kind = KFold
    if grouped:
        kind = StratifiedGroupKFold if labels_in(frame)[0] == CLASSES else GroupKFold
    splitter = kind(fold_count, shuffle=True, random_state=FOLD_SEED)
    given = (frame["label"].to_numpy()[rows], groups) if grouped else ()
    cuts = list(splitter.split(rows, *given))
    how = f"{kind.__name__}({fold_count}, shuffled, seed {FOLD_SEED})"
    return [Fold(number, rows[cuts[number][0]], rows[cuts[number][1]]) for number in folds], how


def shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def kept_run(runs: Path, name: str, expected: str) -> dict[str, Any] | None:
    """A finished run if it is there, whole, and of the same settings, data and weights.

    One that a race stopped has not read the test set, and no probabilities.
    """
    path = runs / f"{name}.json"
    if not path.exists():
        return None
    try:
        kept: dict[str, Any] = read_json(path)
        whole = "stopped" in kept or kept["probabilities"] == sha256(runs / f"{name}.parquet")
    except (UserError, OSError, KeyError, TypeError):
        whole, kept = False, {}
    if whole and kept["fingerprint"] == expected:
        return kept
    tell(f"{name}: kept run is {'of other settings, data or weights' if whole else 'incomplete'}, computed again")
    return None


def keep_run(
    runs: Path, name: str, kept: dict[str, Any], probabilities: np.ndarray, validation: np.ndarray | None = None
) -> None:
    """Test probabilities first, and those of the validation rows, then the JSON that vouches for them."""
    for end, values in (("parquet", probabilities), (VALIDATION, validation)):
        if values is not None:
            with atomic_path(runs / f"{name}.{end}") as part:
                pd.DataFrame({"probabilities": list(values)}).to_parquet(part)
    kept["probabilities"] = sha256(runs / f"{name}.parquet")
    write_json(runs / f"{name}.json", kept)


def take_runs(part: Path, runs: Path) -> None:
    """Move the finished runs of a part to those of the whole job: probabilities first, then what vouches for them."""
    for kept in sorted(part.glob("*_lr*.json")):
        # a run that a race stopped has no probabilities
        for path in (kept.with_suffix(f".{VALIDATION}"), kept.with_suffix(".parquet"), kept):
            if path.exists():
                path.replace(runs / path.name)


def copy_runs(runs: Path, part: Path, expected: Mapping[str, str]) -> None:
    """Copy to a part what the whole job keeps already of its runs (`expected`: name to fingerprint)."""
    for name, fingerprint in expected.items():
        if (part / f"{name}.json").exists() or not (runs / f"{name}.json").exists():
            continue
        if kept_run(runs, name, fingerprint) is not None:
            for end in (f".{VALIDATION}", ".parquet", ".json"):
                if (runs / f"{name}{end}").exists():
                    with atomic_path(part / f"{name}{end}") as made:
                        shutil.copyfile(runs / f"{name}{end}", made)


def choose(plan: list[tuple[Fold, float]], kept: Mapping[str, Any], split: str, metric: str) -> dict[int, str]:
    """Fold number -> the run with the best `metric` on `split`; equal values: the first of the plan.

    That is the smaller learning rate, and one of the grid before one beyond it.
    """
    chosen: dict[int, tuple[float, str]] = {}
    for fold, rate in plan:
        name = run_name(fold, rate)
        value = kept[name][split][metric]
        value = -math.inf if value is None else value
        if fold.number not in chosen or value > chosen[fold.number][0]:
            chosen[fold.number] = (value, name)
    return {number: name for number, (_, name) in chosen.items()}


def further(plan: list[tuple[Fold, float]], kept: Mapping[str, Any], metric: str) -> list[tuple[Fold, float]]:
    """For every fold whose best run on validation has the least or the largest rate: the next rate beyond it.

    The next by the ratio that the last two rates have there (`records.beyond`); nothing for a fold of one rate. A run
    that diverged has the value of its best epoch, or none, which is chosen over no other.
    """
    chosen = choose(plan, kept, "validation", metric)
    added = []
    for fold in {fold.number: fold for fold, _ in plan}.values():
        rates = {run_name(fold, rate): rate for one, rate in plan if one.number == fold.number}
        rate = beyond(rates.values(), rates[chosen[fold.number]])
        if rate is not None:
            added.append((fold, rate))
    return added


def results(
    plan: list[tuple[Fold, float]],
    kept: Mapping[str, Any],
    chosen: Mapping[str, Mapping[int, str]],
    metric: str,
    tested: int,
) -> list[Result]:
    """Rows of the record: each run's main metric, and per fold all metrics of the run that each selection chooses.

    `chosen` without `test` is of a race: its runs say how many `epochs` they had, and whether they were `stopped`,
    before they had read the test set.
    """
    rows = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        extra = {"run": name, "epoch": kept[name]["epoch"]}
        picked = extra | {"selected": chosen["validation"][fold.number] == name}
        if "test" not in chosen:
            picked |= {"epochs": len(kept[name]["history"]), "stopped": "stopped" in kept[name]}
        for split, n in (("validation", len(fold.validation)), ("test", tested)):
            if split not in kept[name]:
                continue
            rows.append(Result(metric, kept[name][split][metric], n, split, "run", fold.number, rate, picked))
        for selection, by_fold in chosen.items():
            if by_fold[fold.number] == name:
                for other, value in kept[name]["test"].items():
                    rows.append(Result(other, value, tested, "test", selection, fold.number, rate, extra))
    return rows


def selections(
    plan: list[tuple[Fold, float]],
    kept: Mapping[str, Any],
    chosen: Mapping[str, Mapping[int, str]],
    metric: str,
) -> list[dict[str, Any]]:
    """What was chosen: in each run an epoch, by validation; in each fold a learning rate, by validation and by test.

    A run that diverged before its first epoch chose none.
    """
    made: list[dict[str, Any]] = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        history = {str(epoch): value for epoch, value in enumerate(kept[name]["history"], 1)}
        if str(kept[name]["epoch"]) in history:
            made.append(
                {"what": "epoch", "within": name, "split": "validation", "metric": metric, "tried": history}
                | {"chosen": str(kept[name]["epoch"])}
            )
    for number in dict.fromkeys(fold.number for fold, _ in plan):
        runs = {f"{rate:g}": run_name(fold, rate) for fold, rate in plan if fold.number == number}
        where = next(fold.name for fold, _ in plan if fold.number == number)
        for split, by_fold in chosen.items():
            made.append(
                {"what": "learning_rate", "within": where, "split": split, "metric": metric}
                | {"tried": {rate: kept[name][split][metric] for rate, name in runs.items()}}
                | {"chosen": next(rate for rate, name in runs.items() if name == by_fold[number])}
            )
    return made


def predictions_of(
    tested: pd.DataFrame,
    runs: Path,
    plan: list[tuple[Fold, float]],
    kept: Mapping[str, Any],
    columns: Callable[[np.ndarray], dict[str, Any]],
    chosen: Mapping[str, Mapping[int, str]],
) -> pd.DataFrame:
    """One row per test sample and run: id, group, label, what `columns` says of it, run, fold, selected…, split.

    Runs that a race stopped have none, and nothing is `selected_paper` then.
    """
    parts = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        if "stopped" in kept[name]:
            continue
        predicted = np.stack(pd.read_parquet(runs / f"{name}.parquet")["probabilities"].to_list())
        own = tested[["id", "group", "label"]].assign(
            **columns(predicted),
            run=name,
            fold=fold.number,
            selected=chosen["validation"][fold.number] == name,
            **({"selected_paper": chosen["test"][fold.number] == name} if "test" in chosen else {}),
            split="test",
        )
        parts.append(own)
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {}  # of the set; a record says them of predictions
    return table


def validation_of(
    frame: pd.DataFrame,
    runs: Path,
    plan: list[tuple[Fold, float]],
    columns: Callable[[np.ndarray], dict[str, Any]],
    chosen: Mapping[int, str],
) -> pd.DataFrame | None:
    """One row per validation sample of the runs that are `chosen`, with the columns of `predictions_of`.

    `frame` is the whole set. None where a run was kept before there were such files.
    """
    parts = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        if chosen[fold.number] != name:
            continue
        try:
            predicted = np.stack(pd.read_parquet(runs / f"{name}.{VALIDATION}")["probabilities"].to_list())
        except (OSError, ValueError, KeyError):
            return None
        rows = frame.iloc[fold.validation]
        if len(predicted) != len(rows):
            return None
        own = rows[["id", "group", "label"]]
        parts.append(own.assign(**columns(predicted), run=name, fold=fold.number, selected=True, split="validation"))
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {}
    return table
