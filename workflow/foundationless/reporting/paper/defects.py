"""Where the paper and its code go wrong, as numbers: each score with the defect, without it, and the difference.

Items are numbered as in the list of results/README.md. `difference` is always with minus without the defect. `method`
says where its interval comes from: the same resamples of the same test items where both numbers come from one task and
the same runs, otherwise two independent intervals put together (`aggregate.independent_difference`), which is wider
where the two are correlated. Rows whose task is `all` are means over tasks with t intervals, tasks being the units.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import across_clusters, independent_difference
from foundationless.evaluation.bootstrap import LEVEL
from foundationless.evaluation.table_files import add_name_parts
from foundationless.evaluation.task_results import KEYS
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.vocabulary import ANALYSES, EFFECT_METRICS, LAST_LAYER

OTHERS = ("test", LAST_LAYER)  # selections beside the one that validation makes
PAIRED = "paired: same resamples of the same test items"
INDEPENDENT = "difference of two independent intervals (MOVER)"
CLUSTERED = "Student's t against cluster-robust (CR1); widths have no interval"
OVER_TASKS = "mean over tasks, t interval over tasks, those that share sequences as one"
SWEEP = "learning rate chosen on the test set"
LENGTH, MAJORITY = ("length", "length_gc"), "majority"
FINETUNED = [name for name, analysis in ANALYSES.items() if analysis.rule == "finetune_model"]

Row = dict[str, Any]


def find_defects(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    diagnostics: Mapping[str, pd.DataFrame],
    clusters: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Rows of every defect that the tables can show, by item; see the module for the columns.

    `scores` and `comparisons` hold both selections, and the parts of names as columns, as `diagnostics` do; `clusters`
    is the group of tasks that share sequences, by task. In a mean over tasks such a group counts as one, sets derived
    from a task are averaged first, and permuted labels are left out. Gene perturbations
    are the second paper's. What there is no data for has no row.
    """
    scores, comparisons = (frame[~frame["metric"].isin(EFFECT_METRICS)] for frame in (scores, comparisons))
    ours = scores[~scores["selection"].isin(OTHERS)]
    averaged = [
        _readings(comparisons[~comparisons["selection"].isin(OTHERS)], ours),
        _optimism(diagnostics["optimism"], diagnostics["selections"]),
        _oracle(diagnostics["oracle"]),
        _derived(ours, 7, "ancestry", "family", "families on both sides"),
        _derived(ours, 7, "ancestry", "unrelated", "relatives in the set"),
        _derived(ours, 8, "biotype", "matched", "classes differ in length"),
        _leakage(diagnostics["leakage"]),
        _derived(ours, 12, None, "dedup", "test rows in training"),
        _derived(ours, 12, None, "distant", "near duplicates in the test"),
    ]
    single = [_less_data(ours), _signs(ours), _lengths(ours), _counts(ours), _rounding(ours), _unseeded(ours)]
    means = [_with_mean(list(rows), clusters or {}) for rows in averaged]
    table = pd.DataFrame(
        chain(*single, *means, _dependent_tasks(comparisons, clusters or {})), columns=columns_of("defects")
    )
    return table.sort_values("item", kind="stable").reset_index(drop=True)


def _row(
    item: int, what: str, source: Mapping[Any, Any], method: str, with_defect: float, without: float,
    change: Iterable[float] = (), n: Any = None,
) -> Row:  # fmt: skip
    """A row; `change` is the difference with its ends, those of `source` if none is given, as is `n`."""
    difference, low, high = change or (source["delta"], source["low"], source["high"])
    return {name: source.get(name) for name in ("analysis", "task", "model", "init", "metric")} | {
        "item": item, "what": what, "method": method, "with_defect": with_defect, "without": without,
        "difference": difference, "low": low, "high": high, "n": source["n_test"] if n is None else n,
    }  # fmt: skip


def _independent(item: int, what: str, source: Mapping[Any, Any], *scores: Mapping[Any, Any]) -> Row:
    """A row of two scores, with the defect and without it, that have an interval each."""
    first, second = ((float(score["value"]), float(score["low"]), float(score["high"])) for score in scores)
    return _row(item, what, source, INDEPENDENT, first[0], second[0], independent_difference(first, second))


def _with_mean(rows: list[Row], linked: Mapping[str, str]) -> Iterator[Row]:
    """Rows, and behind them their means over tasks per analysis, model and arm where there are two tasks or more."""
    yield from rows
    if not rows:
        return
    single = add_name_parts(pd.DataFrame(rows))
    keys = ["item", "what", "analysis", "model", "init"]
    for names, part in single[single["derivation"] != "permuted"].groupby(keys, sort=False, dropna=False):
        numbers = ["with_defect", "without", "difference"]
        tasks = part.astype(dict.fromkeys(numbers, float)).groupby("base_task", sort=False)[numbers].mean()
        if len(tasks) > 1:
            groups = [linked.get(str(task), str(task)) for task in tasks.index]
            over = across_clusters(tasks["difference"].to_numpy(), groups)
            metrics = part["metric"].unique()
            source: Row = dict(zip(keys, names, strict=True)) | {"task": "all"}
            source["metric"] = metrics[0] if len(metrics) == 1 else "several"
            values = tasks["with_defect"].mean(), tasks["without"].mean(), (over.mean, over.low, over.high)
            yield _row(source["item"], source["what"], source, OVER_TASKS, *values, n=len(tasks))


def _readings(pairs: pd.DataFrame, scores: pd.DataFrame) -> Iterator[Row]:
    """1, 2: weights as the paper's code read them (norms of Caduceus lost; padding pooled) against a right reading."""
    values = scores.drop_duplicates(KEYS).set_index(KEYS)["value"]
    for pair in pairs[pairs["versus"] == "reading"].to_dict("records"):
        item, what = 2, "padding, special tokens pooled"
        if pair["base"] == "caduceus":
            what = "last block's input pooled"
            if pair["init"] == "pretrained":  # of random weights the norms are 1 either way
                item, what = 1, f"checkpoint loaded in part (and the {what})"
        mine = values.get(tuple(pair[key] for key in KEYS), np.nan)
        yield _row(item, what, pair, PAIRED, mine, mine - pair["delta"])


def _optimism(optimism: pd.DataFrame, selections: pd.DataFrame) -> Iterator[Row]:
    """3: learning rates chosen by test score against those chosen by validation, where there was anything to choose."""
    tuned = optimism[optimism["versus"].isna() & optimism["analysis"].isin(FINETUNED)]
    tried = selections[(selections["what"] == "learning_rate") & (selections["tried"] > 1)]
    choice = set(tried[KEYS].itertuples(index=False, name=None))
    for row in tuned.rename(columns={"optimism": "delta"}).to_dict("records"):
        if row["delta"] or tuple(row[key] for key in KEYS) in choice:
            yield _row(3, SWEEP, row, PAIRED, row["value_by_test"], row["value_by_validation"])


def _oracle(oracle: pd.DataFrame) -> Iterator[Row]:
    """4: difference to the best random model of any kind, chosen on the test set, against that to its own."""
    for row in oracle.to_dict("records"):
        what = "compared with the best of all random models"
        yield _row(4, what, row, PAIRED, row["value_best_random"], row["value_random"])


def _less_data(scores: pd.DataFrame) -> Iterator[Row]:
    """5: a share of the training rows against all of them. The paper's Figure 3 against its Table 18: above 0."""
    mine = scores[scores["percent"].notna() & scores["epochs"].isna()]
    for row, whole in _with_base(mine, scores):
        yield _independent(5, f"{row['percent']} % of the training rows", row, row, whole)


def _signs(scores: pd.DataFrame) -> Iterator[Row]:
    """6: AUROC of +LLR against that of -LLR, the score of pathogenicity; one is 1 minus the other, intervals too."""
    mine = scores[(scores["analysis"] == "likelihood") & (scores["metric"] == "auroc")]
    for row in mine.to_dict("records"):
        value, change = row["value"], [1 - 2 * row[end] for end in ("value", "high", "low")]
        method = "bootstrap of the AUROC; its mirror image is exact"
        yield _row(6, "sign of the log-likelihood ratio", row, method, 1 - value, value, change)


def _derived(scores: pd.DataFrame, item: int, analysis: str | None, derivation: str, what: str) -> Iterator[Row]:
    """A task as published against a derivation of it that lacks the defect; of all analyses if none is named."""
    mine = scores[(scores["variant"] == derivation) & ((analysis is None) | (scores["analysis"] == analysis))]
    for row, whole in _with_base(mine, scores):
        yield _independent(item, what, row, whole, row)


def _with_base(mine: pd.DataFrame, scores: pd.DataFrame) -> Iterator[tuple[Mapping[Any, Any], Mapping[Any, Any]]]:
    """Arms on derived tasks, and the same arms on the tasks themselves, in the same analysis or in fine-tuning."""
    keys = [*KEYS, "metric"]
    known = {tuple(row[key] for key in keys): row for row in scores.drop_duplicates(keys).to_dict("records")}
    for row in mine.to_dict("records"):
        base = row["base_task"], row["model"], row["init"], row["metric"]
        if whole := known.get((row["analysis"], *base)) or known.get(("finetune", *base)):
            yield row, whole


def _lengths(scores: pd.DataFrame) -> Iterator[Row]:
    """8: what length alone scores on biotypes, against the majority class."""
    mine = scores[(scores["analysis"] == "biotype") & scores["base"].isin(LENGTH)]
    blind = scores[(scores["analysis"] == "biotype") & (scores["base"] == MAJORITY)]
    known = {row["task"]: row for row in blind.to_dict("records")}
    for row in mine.to_dict("records"):
        if chance := known.get(row["task"]):
            yield _independent(8, "length alone, against the majority class", row, row, chance)


def _counts(scores: pd.DataFrame) -> Iterator[Row]:
    """9: gap in similarity between classes of variants, chunks as published against chunks with equal counts."""
    mine = scores[scores["analysis"] == "similarity"]
    effect, gaps = mine[mine["metric"] == "count_effect"], mine[mine["metric"] == "cosine_gap"]
    if effect.empty or "gene" not in mine:
        return
    keys = ["task", "model", "init", "pooling", "gene"]
    gaps = gaps.assign(matched=gaps["matched"].astype(str)).drop_duplicates([*keys, "matched"])
    known = gaps.set_index([*keys, "matched"])["value"]
    for row in effect.rename(columns={"value": "delta"}).to_dict("records"):
        what = f"classes differ in mutations ({row['gene']}, {row['pooling']})"
        published, matched = (known.get((*(row[key] for key in keys), same), np.nan) for same in ("False", "True"))
        yield _row(9, what, row, "bootstrap over chunks, paired", published, matched, n=row["n"])


def _rounding(scores: pd.DataFrame) -> Iterator[Row]:
    """10: share of mutants whose similarity is exactly 1, rounded under half precision against in full."""
    mine = scores[(scores["analysis"] == "sensitivity") & (scores["metric"] == "identical")]
    if mine.empty or "condition" not in mine:
        return
    keys = ["task", "model", "init", "pooling", "mutations"]
    raw = mine[mine["condition"] == "raw"].drop_duplicates(keys).set_index(keys)["value"]
    for row in mine[mine["condition"] == "rounded"].to_dict("records"):
        without, n = raw.get(tuple(row[key] for key in keys), np.nan), int(row["n"])
        if not np.isfinite(without):
            continue
        difference = row["value"] - without
        units = row.get("windows", np.nan)  # mutants of one window are no independent ones
        change = difference, *_wilson(difference, n if pd.isna(units) else float(units))
        what = f"similarities rounded ({row['pooling']}, {row['mutations']:g} mutations)"
        yield _row(10, what, row, "Wilson interval, windows being the units", row["value"], without, change, n)


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's interval of a share of `n` units, which need not be a whole number of them."""
    from scipy import stats

    z = stats.norm.ppf((1 + LEVEL) / 2)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _unseeded(scores: pd.DataFrame) -> Iterator[Row]:
    """10: what an unseeded random arm moves by: standard deviation between seeds of its initialisation."""
    mine = scores[(scores["init"] == "random") & scores["analysis"].isin(["finetune", "biotype", "ancestry", "frozen"])]
    mine = mine[mine["sd"].notna() & (mine["seeds"] > 1) & (mine["variant"] == "")]
    mine = mine.assign(deviation=mine["sd"], draws=mine["seeds"])
    yield from _deviations(mine, "unseeded initialisation: sd of seeds")
    drawn = scores[(scores["analysis"] == "sensitivity") & (scores["metric"] == "draw_sd")]
    if len(drawn) and "condition" in drawn:
        for (pooling, count), part in drawn[drawn["condition"] == "raw"].groupby(["pooling", "mutations"], sort=False):
            part = part.assign(deviation=part["value"], draws=part["n"] / part["seeds"].clip(lower=1))
            yield from _deviations(part, f"unseeded mutations: sd of draws ({pooling}, {count:g} mutations)")


def _deviations(rows: pd.DataFrame, what: str) -> Iterator[Row]:
    from scipy import stats

    for row in rows.to_dict("records"):
        sd, freedom = row["deviation"], int(row["draws"]) - 1
        if freedom < 1 or not np.isfinite(sd):
            continue
        factors = np.sqrt(freedom / stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], freedom))
        change = sd, *(sd * factors)
        yield _row(10, what, row, "chi-squared interval of a standard deviation", sd, 0.0, change, freedom + 1)


def _dependent_tasks(comparisons: pd.DataFrame, clusters: Mapping[str, str]) -> Iterator[Row]:
    """11: half width of the interval over tasks, all taken for independent against sharers of sequences as one."""
    mine = comparisons[~comparisons["selection"].isin(OTHERS) & (comparisons["variant"] == "")]
    mine = mine[(mine["init"] == "pretrained") & (mine["versus"] == "random") & mine["delta"].notna()]
    what, counted = "dependent tasks taken as independent", set()
    for (analysis, model), rows in mine.groupby(["analysis", "model"], sort=False) if clusters else ():
        deltas, n = rows["delta"].to_numpy(dtype=float), len(rows)
        groups = [clusters.get(task, task) for task in rows["task"]]
        if n < 2:
            continue
        if analysis not in counted:
            counted.add(analysis)
            whole, linked = {"analysis": analysis, "task": "all", "metric": "count"}, len(set(groups))
            fewer = n - linked, np.nan, np.nan
            yield _row(11, f"{what} (number)", whole, "linked tasks are one group", n, linked, fewer, n)
        each, grouped = across_clusters(deltas, range(n)), across_clusters(deltas, groups)  # the former: Student's t
        naive, honest = ((mean.high - mean.low) / 2 for mean in (each, grouped))
        metrics = "+".join(dict.fromkeys(rows["metric"]))
        arm = {"analysis": analysis, "task": f"{n} tasks", "model": model, "init": "pretrained", "metric": metrics}
        change = naive - honest, np.nan, np.nan
        yield _row(11, f"{what} (half width of the interval)", arm, CLUSTERED, naive, honest, change, n)


def _leakage(leakage: pd.DataFrame) -> Iterator[Row]:
    """12: all test rows against those without a near duplicate or an overlapping window in train or validation."""
    leaky = leakage[(leakage["selection"] == "validation") & (leakage["n_distant"] < leakage["n_all"])]
    for row in leaky.to_dict("records"):
        values = row["value_all"], row["value_distant"]
        yield _row(12, "test rows near training rows", row, PAIRED, *values, n=row["n_all"])
