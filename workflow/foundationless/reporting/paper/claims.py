"""Which claims of the paper survive the cure: each contrast under the paper's selection, and under a sound one.

The paper's claims all say that something does *not* help: pretraining, adapters, likelihoods. So each is one contrast,
positive where it would help, and a verdict of its interval at the study's margin: the claim holds if the contrast is
`worse` or `equivalent`, fails if it is `better`, and is open otherwise. Under the selection `test` runs are chosen by
their test score and arms are paired as the paper pairs them; under `validation` validation chooses, each model is
compared with its own random self, the defect of the task is taken out where a derived set does so, and too few seeds or
arms that learned nothing leave the claim open, as they leave a verdict. Where inner layers of frozen networks were
kept, `last_layer` has the same with the last layer of both arms.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from foundationless.evaluation.aggregate import Evidence, across_tasks, any_learned, independent_difference, weigh
from foundationless.evaluation.bootstrap import verdict
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.prices import Prices, price_claims
from foundationless.study.vocabulary import FEWEST_SEEDS, LAST_LAYER, TOO_FEW_SEEDS, VERDICTS

HOLDS = dict.fromkeys(VERDICTS, "open") | {"better": "no", "worse": "yes", "equivalent": "yes"}
SELECTED_BY = ("test", "validation", LAST_LAYER)

Row = dict[str, Any]


class Units(NamedTuple):
    """What tasks have in common: task -> its family, and task -> the group of tasks that it shares sequences with."""

    families: Mapping[str, str]
    clusters: Mapping[str, str]

    def weigh(self, deltas: "pd.Series[float]", errors: "pd.Series[float]") -> Evidence:
        """The mean of differences [task] over families, on tasks like these, no surer than their standard errors."""
        names = [str(task) for task in deltas.index]
        families = [self.families.get(name, name) for name in names]
        shared = [self.clusters.get(name) for name in names]
        return weigh(deltas.to_numpy(), errors.to_numpy(), [], families, clusters=shared, scope="like-these")


Interval = tuple[float, float, float]


def find_claims(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    margins: Mapping[str, float],
    families: Mapping[str, str],
    clusters: Mapping[str, str] | None = None,
    prices: Prices | None = None,
) -> pd.DataFrame:
    """One row per claim, selection and model (the model that is said not to be helped).

    `scores` and `comparisons` hold both selections, and the parts of names as columns. Under `test` a mean over tasks
    has a t interval over tasks, as the paper takes them; under `validation` it is the mean over `families` (task ->
    family) of their means, with a t interval over them, where families that share one of the `clusters` (task -> group
    of tasks that share sequences) are one. One task or one family has the mean of its bootstrap intervals. `n` counts
    tasks; sets derived from one (shares of its training rows, drawn several times) share its test set, so they are
    averaged first, ends of intervals too. What there is no data for has no row. `margin` is that of the metric, of
    several the mean of the tasks' margins. What
    each cost is known of `prices`. Equivalence is by the 90 % interval (two one-sided tests at 5 %).
    """
    rows: list[Row] = []
    for selection in SELECTED_BY:
        ours, pairs = (
            frame[(frame["selection"] == selection) & (frame["reading"] == "published")].assign(  # others, no claim
                margin=lambda rows: rows["metric"].map(dict(margins)).astype(float)
            )
            for frame in (scores, comparisons)
        )
        paper = selection == "test"
        linked = None if paper else Units(families, clusters or {})
        judged = chain(
            _pretraining(pairs, paper, linked), _low_data(pairs, linked), _biotype(ours, pairs, paper, linked),
            _ancestry(pairs, paper, linked), _adapters(ours, linked), _likelihood(ours, pairs, paper, linked),
        )  # fmt: skip
        for row in judged:
            word = verdict(row["low"], row["high"], row["margin"], row["inner"]) if paper else _word(row)
            rows.append(row | {"selection": selection, "verdict": word, "holds": HOLDS[word]})
    table = pd.DataFrame(rows, columns=columns_of("claims"))
    if prices is not None:
        arms = [prices.arms(row["pairs"]) for row in rows]
        table = price_claims(table, arms, [row["units"] for row in rows], prices)
    ranks = {name: place for place, name in enumerate([*dict.fromkeys(table["claim"]), *SELECTED_BY])}
    return table.sort_values(
        ["claim", "model", "selection"], key=lambda values: values.map(ranks) if values.name != "model" else values
    ).reset_index(drop=True)


def _word(row: Row) -> str:
    """That of the interval, unless seeds are too few for one (`drawn_seeds`), or no arm `learned` anything."""
    if row["drawn_seeds"] < FEWEST_SEEDS:
        return TOO_FEW_SEEDS[int(row["drawn_seeds"])]
    return verdict(row["low"], row["high"], row["margin"], row["inner"]) if row["learned"] else "not learned"


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["variant"] == ""]


def _row(
    claim: str, source: str, model: str, contrast: str, metric: str, interval: Interval, n: int, margin: float,
    pairs: pd.DataFrame, units: float = 1, df: float = np.inf,
) -> Row:  # fmt: skip
    """`pairs` are the comparisons that it rests on, `units` those of its t interval on `df` degrees of freedom."""
    names: Row = dict(zip(("difference", "low", "high"), interval, strict=True)) | {"n": n, "margin": margin}
    names |= {"inner": _inner(interval, df), "pairs": pairs, "units": units}
    return {"claim": claim, "source": source, "model": model, "contrast": contrast, "metric": metric, **names}


def _inner(interval: Interval, df: float = np.inf) -> tuple[float, float]:
    """The 90 % interval behind one of 95 %, of Student's t on `df` (normal for a bootstrap's, which is near it)."""
    value, low, high = interval
    ratio = float(special.stdtrit(df, 0.95) / special.stdtrit(df, 0.975))
    return value - ratio * (value - low), value + ratio * (high - value)


def _means(rows: pd.DataFrame, claim: str, source: str, contrast: str, linked: Units | None = None) -> Iterator[Row]:
    """Per model the mean of paired differences over tasks, or over units that are `linked`; of one its own interval."""
    for model, part in rows.groupby("model", sort=False):
        known = part[np.isfinite(part["delta"].to_numpy(dtype=float))]
        if known.empty:
            continue
        metric = "+".join(dict.fromkeys(known["metric"]))
        base = known["base_task"].to_numpy()
        tasks = known.reindex(columns=["delta", "low", "high", "margin", "se"]).astype(float)
        tasks = tasks.groupby(base, sort=False).mean()
        delta, low, high, margin = map(float, tasks[["delta", "low", "high", "margin"]].mean(skipna=False))
        units, df = 1.0, np.inf
        if linked is None and len(tasks) > 1:
            mean = across_tasks(tasks["delta"].to_numpy())
            delta, low, high, units, df = mean.mean, mean.low, mean.high, mean.tasks, mean.tasks - 1
        elif linked is not None and (evidence := linked.weigh(tasks["delta"], tasks["se"])).units > 1:
            delta, low, high, df = map(float, (evidence.delta, evidence.low, evidence.high, evidence.df))
            units = evidence.units
        told = known.reindex(columns=["drawn_seeds", "p_learned"]).astype(float)
        interval = (delta, low, high)
        row = _row(claim, source, str(model), contrast, metric, interval, len(tasks), margin, known, units, df)
        yield row | {"drawn_seeds": told["drawn_seeds"].min(), "learned": any_learned(told["p_learned"])}


def _pretraining(pairs: pd.DataFrame, paper: bool, linked: Units | None) -> Iterator[Row]:
    versus = "best_random" if paper else "random"
    mine = _plain(pairs[(pairs["analysis"] == "finetune") & (pairs["init"] == "pretrained")])
    words = "the best random model of each task (chosen on test)" if paper else "its own random self"
    claim = "fine-tuned, pretrained models are no better than random ones"
    yield from _means(mine[mine["versus"] == versus], claim, "Fig 1, 7", f"pretrained minus {words}", linked)


def _low_data(pairs: pd.DataFrame, linked: Units | None) -> Iterator[Row]:
    mine = pairs[(pairs["analysis"] == "lowdata") & (pairs["init"] == "pretrained") & (pairs["versus"] == "random")]
    mine = mine[mine["percent"].notna() & mine["epochs"].isna()]
    claim = "pretrained models are no better with less training data"
    words = "pretrained minus its own random self, shares of the training data"
    yield from _means(mine, claim, "Fig 3", words, linked)


def _biotype(scores: pd.DataFrame, pairs: pd.DataFrame, paper: bool, linked: Units | None) -> Iterator[Row]:
    claim, source = "frozen, a random model tells biotypes apart as well", "Table 2"
    if not paper:
        mine = pairs[(pairs["analysis"] == "biotype") & (pairs["init"] == "pretrained") & (pairs["versus"] == "random")]
        matched = mine[mine["variant"] == "matched"]
        words = "pretrained minus its own random self" + (", lengths matched" if len(matched) else "")
        yield from _means(matched if len(matched) else _plain(mine), claim, source, words, linked)
        return
    shown = _plain(scores[scores["analysis"].isin(["biotype", "width"])])
    for _, part in shown.groupby(["task", "base"], sort=False):
        pretrained = part[(part["analysis"] == "biotype") & (part["init"] == "pretrained")]
        random = part[part["init"] == "random"].sort_values("value", ascending=False, kind="stable")
        if len(pretrained) and len(random):
            first, second = (tuple(map(float, row[["value", "low", "high"]])) for row in
                             (pretrained.iloc[0], random.iloc[0]))  # fmt: skip
            words = f"pretrained minus its best random variant of {len(random)} (tokenizer, width; chosen on test)"
            interval = independent_difference(first, second)  # type: ignore[arg-type]
            model, metric = str(pretrained.iloc[0]["model"]), str(pretrained.iloc[0]["metric"])
            margin, pairs = float(pretrained.iloc[0]["margin"]), pd.concat([pretrained.iloc[:1], random])
            yield _row(claim, source, model, words, metric, interval, 1, margin, pairs)


def _ancestry(pairs: pd.DataFrame, paper: bool, linked: Units | None) -> Iterator[Row]:
    mine = pairs[(pairs["analysis"] == "ancestry") & (pairs["init"] == "pretrained") & (pairs["versus"] == "random")]
    families = mine[mine["variant"] == "family"]
    cured = not paper and len(families)
    words = "pretrained minus its own random self" + (", families kept together" if cured else "")
    claim = "frozen, a random model tells superpopulations apart as well"
    yield from _means(families if cured else _plain(mine), claim, "Fig 6b, Table 14", words, linked)


def _adapters(scores: pd.DataFrame, linked: Units | None) -> Iterator[Row]:
    """Adapters against full fine-tuning of the same arm: two independent intervals (one test set: too wide)."""
    keys = ["task", "model", "init", "metric"]
    full = scores[(scores["analysis"] == "finetune") & (scores["init"] == "pretrained")]
    both = scores[scores["analysis"] == "lora"].merge(full, on=keys, suffixes=("", "_full"))
    sides = (both[[f"{name}{side}" for name in ("value", "low", "high")]].to_numpy() for side in ("", "_full"))
    changes = [independent_difference(*pair) for pair in zip(*sides, strict=True)]
    both[["delta", "low", "high"]] = pd.DataFrame(changes, columns=["delta", "low", "high"])
    both = both.assign(reference=both["model"], reference_init=both["init"], reference_analysis=both["analysis_full"])
    both["drawn_seeds"] = both[["seeds", "seeds_full"]].min(axis=1)  # an adapter and a full fine-tuning draw both
    both["p_learned"] = (2 * both[["p_chance", "p_chance_full"]].min(axis=1)).clip(upper=1)
    claim = "low-rank adapters are no better than full fine-tuning"
    yield from _means(both, claim, "Table 8", "adapters minus full", linked)


def _likelihood(scores: pd.DataFrame, pairs: pd.DataFrame, paper: bool, linked: Units | None) -> Iterator[Row]:
    claim, source = "likelihood ratios do not rank pathogenic variants", "Table 4"
    if not paper:
        mine = pairs[(pairs["analysis"] == "likelihood") & (pairs["versus"] == "random") & (pairs["metric"] == "auroc")]
        yield from _means(_plain(mine), claim, source, "AUROC of -LLR, pretrained minus its own random self", linked)
        return
    mine = scores[(scores["analysis"] == "likelihood") & (scores["metric"] == "auroc")]
    mine = _plain(mine[mine["init"] == "pretrained"])
    # The paper ranked by +LLR, the score of harmlessness: the mirror image of ours.
    turned = mine.assign(delta=0.5 - mine["value"], low=0.5 - mine["high"], high=0.5 - mine["low"])
    yield from _means(turned, claim, source, "AUROC of +LLR, pretrained minus chance")
