"""Where the paper and its code go wrong, as numbers: each score with the defect, without it, and the difference.

Items are numbered as in the list of results/README.md. `difference` is always with minus without the defect. `method`
says where its interval comes from: the same resamples of the same test items where both numbers come from one task and
the same runs, otherwise two independent intervals put together (`aggregate.independent_difference`), which is wider
where the two are correlated. Rows whose task is `all` are means over tasks with t intervals, tasks being the units.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import across_clusters, independent_difference
from foundationless.evaluation.bootstrap import LEVEL
from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.vocabulary import ANALYSES

DEFECTS = list(columns_of("defects"))
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
    across: pd.DataFrame,
    clusters: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Rows of every defect that the tables can show, by item; see the module for the columns.

    `scores` and `comparisons` hold both selections, and the parts of names as columns, as `diagnostics` do; `across`
    are the means over tasks of `summarise_tasks`, `clusters` the group of tasks that share sequences, by task. In a
    mean over tasks such a group counts as one, sets derived from a task are averaged first, and permuted labels are
    left out. What there is no data for has no row.
    """
    linked = clusters or {}
    ours = scores[scores["selection"] != "test"]
    pairs = comparisons[comparisons["selection"] != "test"]
    finders: list[Callable[[], Iterator[Row]]] = [
        lambda: _readings(pairs, ours, linked),
        lambda: _optimism(diagnostics["optimism"], diagnostics["selections"], linked),
        lambda: _oracle(diagnostics["oracle"], linked),
        lambda: _less_data(ours),
        lambda: _signs(ours),
        lambda: _derived(
            ours, 7, "ancestry", {"family": "families on both sides", "unrelated": "relatives in the set"}, linked
        ),
        lambda: _lengths(ours),
        lambda: _derived(ours, 8, "biotype", {"matched": "classes differ in length"}, linked),
        lambda: _counts(ours),
        lambda: _rounding(ours),
        lambda: _unseeded(ours),
        lambda: _dependent_tasks(across),
        lambda: _leakage(diagnostics["leakage"], linked),
        lambda: _derived(
            ours, 12, None, {"dedup": "test rows in training", "distant": "near duplicates in the test"}, linked
        ),
    ]
    rows = [row for finder in finders for row in finder()]
    table = pd.DataFrame(rows, columns=DEFECTS)
    return table.sort_values("item", kind="stable").reset_index(drop=True)


def _row(item: int, what: str, source: Any, method: str, **numbers: Any) -> Row:
    names = ("analysis", "task", "model", "init", "metric")
    return {"item": item, "what": what, "method": method} | {name: source.get(name) for name in names} | numbers


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
            yield (
                dict(zip(keys, names, strict=True))
                | {"task": "all", "metric": metrics[0] if len(metrics) == 1 else "several"}
                | {"with_defect": tasks["with_defect"].mean(), "without": tasks["without"].mean()}
                | {"difference": over.mean, "low": over.low, "high": over.high, "n": len(tasks), "method": OVER_TASKS}
            )


def _readings(pairs: pd.DataFrame, scores: pd.DataFrame, linked: Mapping[str, str]) -> Iterator[Row]:
    """1, 2: weights as the paper's code read them (norms of Caduceus lost; padding pooled) against a right reading."""
    values = scores.drop_duplicates(["analysis", "task", "model", "init"]).set_index(
        ["analysis", "task", "model", "init"]
    )["value"]
    rows = []
    for pair in pairs[pairs["versus"] == "reading"].to_dict("records"):
        unfused = pair["base"] == "caduceus"
        lost = unfused and pair["init"] == "pretrained"  # of random weights the norms are 1 either way
        what = "padding, special tokens pooled"
        if unfused:
            what = (
                "checkpoint loaded in part (and the last block's input pooled)" if lost else "last block's input pooled"
            )
        mine = values.get((pair["analysis"], pair["task"], pair["model"], pair["init"]), np.nan)
        rows.append(
            _row(1 if lost else 2, what, pair, PAIRED, with_defect=mine, without=mine - pair["delta"])
            | {"difference": pair["delta"], "low": pair["low"], "high": pair["high"], "n": pair["n_test"]}
        )
    yield from _with_mean(rows, linked)


def _optimism(optimism: pd.DataFrame, selections: pd.DataFrame, linked: Mapping[str, str]) -> Iterator[Row]:
    """3: learning rates chosen by test score against those chosen by validation, where there was anything to choose."""
    tuned = optimism[optimism["versus"].isna() & optimism["analysis"].isin(FINETUNED)]
    tried = selections[(selections["what"] == "learning_rate") & (selections["tried"] > 1)]
    choice = set(tried[["analysis", "task", "model", "init"]].itertuples(index=False, name=None))
    rows = [
        _row(3, SWEEP, row, PAIRED, with_defect=row["value_by_test"], without=row["value_by_validation"])
        | {"difference": row["optimism"], "low": row["low"], "high": row["high"], "n": row["n_test"]}
        for row in tuned.to_dict("records")
        if row["optimism"] or (row["analysis"], row["task"], row["model"], row["init"]) in choice
    ]
    yield from _with_mean(rows, linked)


def _oracle(oracle: pd.DataFrame, linked: Mapping[str, str]) -> Iterator[Row]:
    """4: difference to the best random model of any kind, chosen on the test set, against that to its own."""
    rows = [
        _row(4, "compared with the best of all random models", row, PAIRED, with_defect=row["value_best_random"])
        | {"without": row["value_random"], "difference": row["delta"], "low": row["low"], "high": row["high"]}
        | {"n": row["n_test"]}
        for row in oracle.to_dict("records")
    ]
    yield from _with_mean(rows, linked)


def _less_data(scores: pd.DataFrame) -> Iterator[Row]:
    """5: a share of the training rows against all of them. The paper's Figure 3 against its Table 18: above 0."""
    mine = scores[scores["percent"].notna() & scores["epochs"].isna()]
    yield from _against_base(mine, scores, 5, lambda row: f"{row['percent']} % of the training rows")


def _signs(scores: pd.DataFrame) -> Iterator[Row]:
    """6: AUROC of +LLR against that of -LLR, the score of pathogenicity; one is 1 minus the other, intervals too."""
    mine = scores[(scores["analysis"] == "likelihood") & (scores["metric"] == "auroc")]
    for row in mine.to_dict("records"):
        value, low, high = row["value"], row["low"], row["high"]
        yield (
            _row(6, "sign of the log-likelihood ratio", row, "bootstrap of the AUROC; its mirror image is exact")
            | {"with_defect": 1 - value, "without": value, "difference": 1 - 2 * value}
            | {"low": 1 - 2 * high, "high": 1 - 2 * low, "n": row["n_test"]}
        )


def _derived(
    scores: pd.DataFrame, item: int, analysis: str | None, derivations: dict[str, str], linked: Mapping[str, str]
) -> Iterator[Row]:
    """A task as published against a derivation of it that lacks the defect."""
    for derivation, what in derivations.items():
        mine = scores[scores["variant"] == derivation]
        if analysis is not None:
            mine = mine[mine["analysis"] == analysis]
        rows = _against_base(mine, scores, item, lambda _, what=what: what, defect_in_base=True)  # type: ignore[misc]
        yield from _with_mean(list(rows), linked)


def _against_base(
    mine: pd.DataFrame,
    scores: pd.DataFrame,
    item: int,
    what: Callable[[Mapping[Any, Any]], str],
    defect_in_base: bool = False,
) -> Iterator[Row]:
    """Arms on derived tasks against the same arms on the tasks themselves, in the same analysis or in fine-tuning."""
    keys = ["analysis", "task", "model", "init", "metric"]
    known = {tuple(row[key] for key in keys): row for row in scores.drop_duplicates(keys).to_dict("records")}
    for row in mine.to_dict("records"):
        base = row["base_task"], row["model"], row["init"], row["metric"]
        homes = [(analysis, *base) for analysis in (row["analysis"], "finetune")]
        whole = next((known[place] for place in homes if place in known), None)
        if whole is None:
            continue
        ends = [(float(part["value"]), float(part["low"]), float(part["high"])) for part in (whole, row)]
        first, second = ends if defect_in_base else ends[::-1]
        difference, low, high = independent_difference(first, second)
        yield (
            _row(item, what(row), row, INDEPENDENT, with_defect=first[0], without=second[0])
            | {"difference": difference, "low": low, "high": high, "n": row["n_test"]}
        )


def _lengths(scores: pd.DataFrame) -> Iterator[Row]:
    """8: what length alone scores on biotypes, against the majority class."""
    mine = scores[(scores["analysis"] == "biotype") & scores["base"].isin(LENGTH)]
    blind = scores[(scores["analysis"] == "biotype") & (scores["base"] == MAJORITY)]
    known = {row["task"]: row for row in blind.to_dict("records")}
    for row in mine.to_dict("records"):
        if (chance := known.get(row["task"])) is None:
            continue
        ends = [(float(part["value"]), float(part["low"]), float(part["high"])) for part in (row, chance)]
        difference, low, high = independent_difference(*ends)
        yield (
            _row(8, "length alone, against the majority class", row, INDEPENDENT, with_defect=ends[0][0])
            | {"without": ends[1][0], "difference": difference, "low": low, "high": high, "n": row["n_test"]}
        )


def _counts(scores: pd.DataFrame) -> Iterator[Row]:
    """9: gap in similarity between classes of variants, chunks as published against chunks with equal counts."""
    mine = scores[scores["analysis"] == "similarity"]
    effect, gaps = mine[mine["metric"] == "count_effect"], mine[mine["metric"] == "cosine_gap"]
    if effect.empty or "gene" not in mine:
        return
    keys = ["task", "model", "init", "pooling", "gene"]
    gaps = gaps.assign(matched=gaps["matched"].astype(str)).drop_duplicates([*keys, "matched"])
    known = {tuple(row[key] for key in (*keys, "matched")): row["value"] for row in gaps.to_dict("records")}
    for row in effect.to_dict("records"):
        place = tuple(row[key] for key in keys)
        yield (
            _row(
                9,
                f"classes differ in mutations ({row['gene']}, {row['pooling']})",
                row,
                "bootstrap over chunks, paired",
            )
            | {"with_defect": known.get((*place, "False"), np.nan), "without": known.get((*place, "True"), np.nan)}
            | {"difference": row["value"], "low": row["low"], "high": row["high"], "n": row["n"]}
        )


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
        low, high = _wilson(difference, n if pd.isna(units) else float(units))
        yield (
            _row(
                10, f"similarities rounded ({row['pooling']}, {row['mutations']:g} mutations)", row,
                "Wilson interval, windows being the units",
            )
            | {"with_defect": row["value"], "without": without, "difference": difference}
            | {"low": low, "high": high, "n": n}
        )  # fmt: skip


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
    yield from _deviations(
        mine.assign(deviation=mine["sd"], draws=mine["seeds"]), "unseeded initialisation: sd of seeds"
    )
    drawn = scores[(scores["analysis"] == "sensitivity") & (scores["metric"] == "draw_sd")]
    if len(drawn) and "condition" in drawn:
        for (pooling, count), part in drawn[drawn["condition"] == "raw"].groupby(["pooling", "mutations"], sort=False):
            part = part.assign(deviation=part["value"], draws=part["n"] / part["seeds"].clip(lower=1))
            yield from _deviations(part, f"unseeded mutations: sd of draws ({pooling}, {count:g} mutations)")


def _deviations(rows: pd.DataFrame, what: str) -> Iterator[Row]:
    from scipy import stats

    for row in rows.to_dict("records"):
        freedom = int(row["draws"]) - 1
        if freedom < 1 or not np.isfinite(row["deviation"]):
            continue
        factors = np.sqrt(freedom / stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], freedom))
        yield (
            _row(
                10, what, row, "chi-squared interval of a standard deviation", with_defect=row["deviation"], without=0.0
            )
            | {"difference": row["deviation"], "low": row["deviation"] * factors[0]}
            | {"high": row["deviation"] * factors[1], "n": freedom + 1}
        )


def _dependent_tasks(across: pd.DataFrame) -> Iterator[Row]:
    """11: half width of the interval over tasks, all taken for independent against sharers of sequences as one."""
    mine = across[(across["variant"] == "") & (across["suite"] == "all") & (across["family"] == "")]
    mine = mine[mine["clusters"].notna() & (mine["n"] > 1)]
    for place, row in enumerate(mine[mine["versus"] == "random"].to_dict("records")):
        if not place:
            yield (
                _row(11, "dependent tasks taken as independent (number)", row, "linked tasks are one group")
                | {"task": "all", "model": None, "init": None, "metric": "count", "n": row["n"]}
                | {"with_defect": row["n"], "without": row["clusters"], "difference": row["n"] - row["clusters"]}
            )
        naive, honest = ((row[f"{part}_high"] - row[f"{part}_low"]) / 2 for part in ("naive", "cluster"))
        yield (
            _row(11, "dependent tasks taken as independent (half width of the interval)", row, CLUSTERED)
            | {"task": f"{row['n']:.0f} tasks", "init": "pretrained", "with_defect": naive, "without": honest}
            | {"difference": naive - honest, "low": np.nan, "high": np.nan, "n": row["n"]}
        )


def _leakage(leakage: pd.DataFrame, linked: Mapping[str, str]) -> Iterator[Row]:
    """12: all test rows against those without a near duplicate in train or validation."""
    leaky = leakage[(leakage["selection"] == "validation") & (leakage["n_near"] > 0)]
    rows = [
        _row(12, "test rows near training rows", row, PAIRED, with_defect=row["value_all"])
        | {"without": row["value_distant"], "difference": row["delta"], "low": row["low"], "high": row["high"]}
        | {"n": row["n_all"]}
        for row in leaky.to_dict("records")
    ]
    yield from _with_mean(rows, linked)
