"""From the records and predictions of all arms of one task to its scores, comparisons, diagnostics and notes.

*Scores* has one row per model, arm and selection, *comparisons* one per paired difference and selection; *diagnostics*
are what else the same results tell (`diagnostics`), *notes* what is missing or could not be computed, in a sentence.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from foundationless.evaluation.aggregate import ALPHA, decide
from foundationless.evaluation.bootstrap import Arm, Estimate, Run, compare_arms, compare_paired, interval
from foundationless.evaluation.diagnostics import Arms, Estimates, calibrations, find_diagnostics, select_only
from foundationless.evaluation.layers.depth import is_layered
from foundationless.evaluation.outputs.tables import within_reach
from foundationless.evaluation.paired_tests import combine_seeds, delong, mcnemar, nadeau_bengio
from foundationless.evaluation.records import flat_cost, flatten
from foundationless.evaluation.task_results import (
    IDENTITY,
    Name,
    Side,
    TaskResults,
    count_groups,
    note,
    on_common_folds,
    read_results,
    sizes,
)
from foundationless.evaluation.trends.points import Point, find_points
from foundationless.study.names import parse_model, without
from foundationless.study.vocabulary import (
    ANALYSES,
    CEILINGS,
    CLASS_METRICS,
    CONTROL_ARMS,
    COUNT_METRICS,
    EFFECT_ARMS,
    EFFECT_METRICS,
    MARGINS,
    METRICS,
    OTHER_CORPORA,
    OUTPUT_METRICS,
    SELF,
)

SAME_WEIGHTS = ("reading", "copy")  # comparisons whose arms share weights and seeds
SCORES = [
    *IDENTITY, "value", "low", "high", "sd", "seeds", "folds", "runs", "n_test", "groups", "parameters", "seconds",
    "chance", "p_chance", "learned",
]  # fmt: skip
COMPARISONS = [
    "analysis", "task", "model", "init", "versus", "reference", "reference_init", "metric", "selection", "delta", "low",
    "high", "p", "verdict", "margin", "n_test", "groups", "seeds", "reference_seeds", "folds", "resamples",
    "se", "mde", "test", "p_test", "nb_low", "nb_high", "nb_p", "se_items", "low_90", "high_90", "p_tost", "p_learned",
    "learned", "drawn_seeds",
]  # fmt: skip

NO_TEST = {
    "test": "",
    "p_test": float("nan"),
}  # of runs that learned from draws: their p values are not of one question

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Summary:
    """Tables of one task: one row per score, comparison, note (`NOTES`) and recorded number; diagnostics by name;
    points of curves that other tasks of the analysis may share."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    diagnostics: dict[str, pd.DataFrame]
    notes: Rows
    records: pd.DataFrame = field(default_factory=pd.DataFrame)
    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True)
class Chance:
    """What the best constant answer scores, and by (selection, model, init) the p value of "no better than that"."""

    value: float
    ps: Mapping[tuple[str, str, str], float]

    def columns(self, selection: str, arm: Name) -> dict[str, Any]:
        """Those of a score."""
        p = self.ps[selection, *arm]
        return {"chance": self.value, "p_chance": p, "learned": bool(p <= ALPHA)}

    def p(self, selection: str, *arms: Name) -> float:
        """p value of "none of the arms learned anything" (Bonferroni); NaN are left out."""
        known = [p for arm in arms if np.isfinite(p := self.ps[selection, *arm])]
        return min(1.0, len(arms) * min(known)) if known else float("nan")


@dataclass(frozen=True)
class Rivals:
    """Whom arms are compared with: models that are `baselines` beside arms of that init, and arms that are `absent`."""

    baselines: Sequence[str]
    absent: Sequence[Name]

    def is_cheap(self, arm: Name) -> bool:
        """Whether an arm counts as a baseline."""
        return arm[1] == "baseline" or arm[0] in self.baselines

    def is_rival(self, arm: Name) -> bool:
        """Whether an arm may be the best baseline: one that no ceiling is."""
        return self.is_cheap(arm) and parse_model(arm[0]).base not in CEILINGS

    @property
    def lost_baselines(self) -> list[str]:
        """Baselines that are absent: without them the best is not known."""
        return [arm[0] for arm in self.absent if self.is_rival(arm)]

    @property
    def lost_random(self) -> list[str]:
        """Models whose random arm is absent."""
        return [arm[0] for arm in self.absent if arm[1] == "random" and not self.is_cheap(arm)]


def summarise(
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pa.Table | None],
    *,
    metric: str,
    resamples: int,
    margin: float,
    seed: int,
    baselines: Sequence[str] = (),
    design: Sequence[Name] = (),
    audit: pd.DataFrame | None = None,
    margins: Mapping[str, float] = MARGINS,
    shared: Collection[str] = (),
) -> Summary:
    """Scores, comparisons, diagnostics and notes of all arms of one task, under both selections.

    `predictions` run parallel to `records` (None: there are none, and the cell is left out); `baselines` names models
    that count as baselines beside those whose `init` is baseline; `design` names the arms there should be: the best of
    fewer is another reference, so without all of them nothing is compared with the best; `audit` has `id`, `near` and
    `collinear` of every row (see `audit_task`); `margins` are those of further metrics of outputs; `shared` names the
    analysis's tasks that differ from others in their training rows alone. `_pairs` says what is compared. Raises
    `UserError` if two cells predict different test items; of effects an arm may lack some, and a pair is compared on
    those of both.
    """
    task = {key: records[0][key] for key in ("analysis", "task")} if records else {}
    results, notes = read_results(records, predictions, resamples, seed)
    flat = flatten(records)
    if results is None:
        notes += [note(task, "arm", "no arm has predictions")] if records else []
        return Summary(pd.DataFrame(), pd.DataFrame(), select_only(records), notes, flat)
    results, told = within_reach(results, metric)
    notes += told
    arms = results.score(metric, results.resamples)
    rivals = Rivals(baselines, [arm for arm in design if arm not in results.order])
    chance = _chance(results, arms, metric)
    rows, estimates, uneven = _compare(results, arms, metric, margin, rivals, chance)
    notes += uneven + _unpaired(results, baselines) + _unreferenced(results, metric, rivals) + _trained_on_less(results)
    diagnostics, unknown = find_diagnostics(
        results, records, arms, estimates, metric, audit, rows, {**margins, metric: margin}
    )
    scores = pd.DataFrame(_score_rows(results, arms, metric, chance))
    points = find_points(results, arms, metric, shared)
    return Summary(scores, pd.DataFrame(rows, columns=COMPARISONS), diagnostics, notes + unknown, flat, points)


def _chance(results: TaskResults, arms: Arms, metric: str) -> Chance:
    constant = results.chance(metric, results.resamples)
    ps = {
        (selection, *arm): compare_arms(runs, constant, results.seed).p_above
        for selection, scored in arms.items()
        for arm, runs in scored.items()
    }
    return Chance(constant.value, ps)


def _score_rows(results: TaskResults, arms: Arms, metric: str, chance: Chance) -> Rows:
    """Rows of every arm under each selection, with every metric that serves."""
    known = (*CLASS_METRICS, *EFFECT_METRICS, *OUTPUT_METRICS)
    others = [name for name in known if name != metric and results.serves(name)]
    points = {name: results.score(name, 0) for name in others} | {metric: arms}
    return [
        _score_row(results, arm, {name: scored[selection][arm] for name, scored in points.items()}, selection, chance)
        for selection, scored in arms.items()
        for arm in scored
    ]


def _score_row(
    results: TaskResults, arm: Name, scored: Mapping[str, Arm], selection: str, chance: Chance
) -> dict[str, Any]:
    """One arm; `scored` are its runs by metric, the main one last."""
    mine, metric = results.of(arm), list(scored)[-1]
    estimate, by_seed = interval(scored[metric], results.seed, metric), scored[metric].by_seed()
    return (
        results.identity(arm)
        | {"metric": metric, "selection": selection}
        | {"value": estimate.value, "low": max(estimate.low, METRICS[metric].lowest), "high": estimate.high}
        | {"sd": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan}
        | sizes(results.runs(arm, selection))
        | {"parameters": mine[0].record["parameters"], "seconds": sum(_seconds(cell.record["cost"]) for cell in mine)}
        | chance.columns(selection, arm)
        | {name: runs.value for name, runs in scored.items()}
        | calibrations(results, arm, selection)
    )


def _seconds(cost: Mapping[str, Any]) -> float:
    """Seconds of a job; NaN where it only read scores that were computed elsewhere."""
    return float("nan") if "outside" in cost else cost["seconds"]


def _compare(
    results: TaskResults, arms: Arms, metric: str, margin: float, rivals: Rivals, chance: Chance
) -> tuple[Rows, Estimates, Rows]:
    """Rows of all comparisons, the differences by (selection, model, init, versus), and notes."""
    rows, estimates, notes = [], {}, []
    for selection, scored in arms.items():
        for arm, versus, reference in _pairs(results, scored, metric, selection, rivals):
            pair = results.on_common_items(metric, arm, reference, selection)
            mine, theirs = pair or (results.side(scored, each, selection) for each in (arm, reference))
            if versus != "baseline" and mine.runs:
                mine, theirs, text = on_common_folds(mine, theirs)
                if text and selection == "validation":
                    notes.append(note(results.identity(arm), "folds", text))
            if not mine.runs:
                continue
            compare = compare_paired if versus in SAME_WEIGHTS else compare_arms
            estimate = compare(mine.arm, theirs.arm, results.seed)
            estimates[selection, *arm, versus] = estimate
            rows.append(
                results.identity(arm)
                | {"versus": versus, "reference": reference[0], "reference_init": reference[1]}
                | {"metric": metric, "selection": selection, "margin": margin}
                | {"resamples": results.resamples, "reference_seeds": len(np.unique(scored[reference].seeds))}
                | sizes(mine.runs)
                | _evidence(
                    estimate,
                    margin,
                    chance.p(selection, arm, reference),
                    _fewest(results, arm, reference),
                    metric,
                    versus,
                )
                | (NO_TEST if results.draws else _tests(mine.runs, theirs.runs, metric, results.classes))
                | _over_folds(results, mine, theirs)
            )
    return rows, estimates, notes


def _fewest(results: TaskResults, *arms: Name) -> float:
    """The fewest seeds of arms that have any; NaN where none has."""
    known = [seeds for arm in arms if np.isfinite(seeds := results.seeds(arm))]
    return min(known, default=float("nan"))


def _evidence(
    estimate: Estimate, margin: float, p_learned: float, drawn_seeds: float, metric: str, versus: str
) -> dict[str, Any]:
    """Interval, tests and word of a difference."""
    low_90, high_90 = estimate.inner
    p = float("nan") if estimate.p is None else estimate.p
    p_tost, learned = estimate.p_tost(margin), not p_learned > ALPHA  # what is not known counts as learned
    word = decide(p, p_tost, estimate.value, learned=learned, seeds=drawn_seeds, metrics=metric, versus=versus)
    return {
        "delta": estimate.value, "low": estimate.low, "high": estimate.high, "p": p, "se": estimate.se,
        "mde": estimate.mde, "verdict": word, "se_items": estimate.se_items, "low_90": low_90, "high_90": high_90,
        "p_tost": p_tost, "p_learned": p_learned, "learned": learned, "drawn_seeds": drawn_seeds,
    }  # fmt: skip


def _matched(mine: Sequence[Run], theirs: Sequence[Run]) -> list[tuple[int, int]]:
    """Places of runs of the same seed and fold; an arm of one seed (one checkpoint) stands beside every seed."""
    single = len({run.seed for run in mine}) == 1 or len({run.seed for run in theirs}) == 1
    return [
        (first, second)
        for first, one in enumerate(mine)
        for second, other in enumerate(theirs)
        if one.fold == other.fold and (single or one.seed == other.seed)
    ]


def _tests(mine: Sequence[Run], theirs: Sequence[Run], metric: str, classes: Sequence[str]) -> dict[str, Any]:
    """A classical test of the paired predictions: McNemar's of classes, DeLong's of AUROC, else none.

    Both take test items as independent, so there is none where groups of them are drawn together. Runs of the same seed
    and fold are tested, and their p values combined (`combine_seeds`): noise of items alone, not of seeds.
    """
    test, ps, differences = "", [], []
    independent = all(count_groups(run) == len(run.labels) for run in (mine[0], theirs[0]))
    for one, other in ((mine[first], theirs[second]) for first, second in _matched(mine, theirs) if independent):
        if metric in COUNT_METRICS:
            test, answers = "mcnemar", (np.asarray(one.predicted), np.asarray(other.predicted))
            ps.append(mcnemar(one.labels, *answers))
            differences.append(float(np.subtract(*(answer == one.labels for answer in answers), dtype=float).mean()))
        elif metric == "auroc" and len(classes) == 2 and one.ranking is not None and other.ranking is not None:
            test = "delong"
            difference, _, p = delong(one.labels == classes[1], one.ranking, other.ranking)
            ps.append(p)
            differences.append(difference)
    return {"test": test, "p_test": combine_seeds(ps, differences)}


def _over_folds(results: TaskResults, mine: Side, theirs: Side) -> dict[str, float]:
    """The corrected t test over pairs of runs of the same seed and fold (Nadeau and Bengio); NaN for a single fold.

    Folds may be some of those that a set was cut into (the paper: 0, 5 and 9 of 10): the cut says what each leaves out.
    """
    pairs = _matched(mine.runs, theirs.runs)
    folds = len({mine.runs[first].fold for first, _ in pairs})
    if folds < 2 or results.draws:  # draws of the training rows are no folds of a set
        return dict.fromkeys(("nb_low", "nb_high", "nb_p"), np.nan)
    cut = max(cell.record.get("settings", {}).get("fold_count", folds) for cell in results.cells)
    differences = [mine.arm.points[first] - theirs.arm.points[second] for first, second in pairs]
    _, low, high, p = nadeau_bengio(differences, train=cut - 1, test=1)
    return {"nb_low": low, "nb_high": high, "nb_p": p}


# ---- whom an arm is compared with


def _pairs(
    results: TaskResults, arms: Mapping[Name, Arm], metric: str, selection: str, rivals: Rivals
) -> Iterator[tuple[Name, str, Name]]:
    """(arm, versus, reference arm) of every comparison that the arms allow.

    Of a pretrained arm: with its own random arm (random), the best random arm of any model (best_random, the paper's
    Figure 7, which is about sequences; chosen on the test set, so it favours the reference) and the control arms of its
    model; of those with the random arm too, where the analysis splits a gain; of every arm: with the best baseline
    (baseline), and where effects are predicted with the baseline `mean` (mean).
    `X.paper` is compared with `X` (reading), seed by seed.
    """
    cheap = [arm for arm in arms if rivals.is_cheap(arm) and results.of_effects]
    usual = next((arm for arm in cheap if parse_model(arm[0]).base == "mean"), None)
    best_baseline = _best_baseline(results, arms, metric, selection, rivals)
    for arm in arms:
        if rivals.is_cheap(arm):
            continue
        model, init = arm
        if init == "pretrained":
            own = [
                (model, other) for other in dict.fromkeys(("random", *CONTROL_ARMS, *OTHER_CORPORA, SELF, *EFFECT_ARMS))
            ]
            yield from ((arm, other[1], other) for other in own if other in arms)
            if not results.of_effects and (best := _best_random(arms, metric, model, rivals)):
                yield arm, "best_random", best
        elif ANALYSES[results.analysis].splits_gain and init != "random" and (model, "random") in arms:
            yield arm, "random", (model, "random")
        if best_baseline:
            yield arm, "baseline", best_baseline
        if usual:
            yield arm, "mean", usual
        if _is_misread(model) and (mended := (without(model, "reading"), init)) in arms:
            yield arm, "reading", mended


def _best_baseline(
    results: TaskResults, arms: Mapping[Name, Arm], metric: str, selection: str, rivals: Rivals
) -> Name | None:
    """The best baseline, by validation where that selects; None if one is absent, or if it has nothing to go by."""
    if rivals.lost_baselines or (selection != "test" and _unvalidated(results, metric, rivals)):
        return None
    cheap = [arm for arm in arms if rivals.is_rival(arm)]
    values = {arm: arms[arm].value for arm in cheap}
    validated = {arm: value for arm in cheap if (value := results.validation_value(arm, metric)) is not None}
    # A baseline of effects that has nothing to choose has no validation value, and may be the best.
    known = len(validated) == len(cheap) if results.of_effects else bool(validated)
    return _best(validated if known and selection != "test" else values, metric)


def _unvalidated(results: TaskResults, metric: str, rivals: Rivals) -> list[str]:
    """Baselines of a task of which none has a validation value, so that their test scores alone would choose.

    None where a single one leaves nothing to choose, or where effects are predicted: there baselines without settings
    have no validation value, and may be the best.
    """
    cheap = [arm for arm in results.order if rivals.is_rival(arm)]
    lacks = all(results.validation_value(arm, metric) is None for arm in cheap)
    return [arm[0] for arm in cheap] if lacks and len(cheap) > 1 and not results.of_effects else []


def _best_random(arms: Mapping[Name, Arm], metric: str, model: str, rivals: Rivals) -> Name | None:
    """The random arm of any model with the best test score; None if one is absent.

    What the paper misread is no rival of what is read rightly.
    """
    if rivals.lost_random:
        return None
    random = [arm for arm in arms if arm[1] == "random" and not rivals.is_cheap(arm)]
    return _best({arm: arms[arm].value for arm in random if _is_misread(model) or not _is_misread(arm[0])}, metric)


def _best(values: Mapping[Name, float], metric: str) -> Name | None:
    sign = 1 if METRICS[metric].higher_is_better else -1
    return max(values, key=lambda arm: sign * values[arm], default=None)


def _is_misread(model: str) -> bool:
    return parse_model(model).reading != "published"


def _unpaired(results: TaskResults, baselines: Sequence[str]) -> Rows:
    """Notes on arms of which the other, pretrained or random, is missing."""
    others, rows = {"pretrained": "random", "random": "pretrained"}, []
    for model, init in results.order:
        other = others.get(init)
        if other and model not in baselines and (model, other) not in results.order:
            text = f"{model} has no {other} arm, so nothing is paired with its {init} arm"
            rows.append(note(results.identity((model, init)) | {"init": other}, "arm", text))
    return rows


def _unreferenced(results: TaskResults, metric: str, rivals: Rivals) -> Rows:
    """Notes on references that are the best of several arms of which some are absent, or have no validation value."""
    lost = {"baseline": rivals.lost_baselines, "random arm": rivals.lost_random}
    text = "without {} the best {} is not known, so nothing is compared with it"
    rows = [results.note("reference", text.format(", ".join(names), what)) for what, names in lost.items() if names]
    if not rivals.lost_baselines and (names := _unvalidated(results, metric, rivals)):
        text = f"none of {', '.join(names)} has a validation value, and test scores may not choose the best baseline: "
        rows.append(results.note("reference", text + "under validation nothing is compared with it"))
    return rows


def _trained_on_less(results: TaskResults) -> Rows:
    """A note where networks that are fine-tuned on perturbations stand beside what is fitted to all of them."""
    if ANALYSES[results.analysis].rule != "finetune_effects":
        return []
    text = "a fine-tuned network trains without its validation fold, while baselines are fitted to all training "
    return [results.note("training", text + "perturbations once their settings are chosen")]


# ---- analyses without predictions


def summarise_unpaired(records: Sequence[Mapping[str, Any]]) -> Summary:
    """Scores (`average_records`) and selections of an analysis without predictions."""
    return Summary(average_records(records), pd.DataFrame(), select_only(records), [], flatten(records))


def average_records(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Scores of an analysis without predictions: the results of its records, averaged over seeds.

    One row per model, arm, metric and value of every `extra` (pooling, mutations, gene, label, ...); `low` and `high`
    are means of the seeds' own, `sd` is over seeds, `n` sums. What stands for a single layer is left to `layers`.
    """
    records = [{**record, "results": [row for row in record["results"] if not is_layered(row)]} for record in records]
    frame = flatten(records)
    if frame.empty:
        return pd.DataFrame(columns=SCORES)
    measured = ["value", "low", "high", "sd", "n"]
    cost = {"seed", "parameters", *(key for record in records for key in flat_cost(record))}
    keys = [
        column
        for column in frame.columns
        if column not in cost and column not in measured and not column.startswith("version_")
        and frame[column].notna().any()
    ]  # fmt: skip
    frame = frame.assign(**{name: np.nan for name in ("low", "high", "sd") if name not in frame})
    grouped = frame.groupby(keys, dropna=False, sort=False)
    averaged = grouped.agg(
        value=("value", "mean"), low=("low", "mean"), high=("high", "mean"), sd=("value", "std"),
        seeds=("seed", "nunique"), n=("n", "sum"), parameters=("parameters", "first"), seconds=("seconds", "sum"),
    )  # fmt: skip
    return averaged.reset_index()
