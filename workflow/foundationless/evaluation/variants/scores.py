"""Every score of variants of every arm: how it ranks, by what is held out, and how much of it the background explains.

The confound: a model's likelihood ratio may be low because it finds the whole window unlikely, whatever the variant.
So each score is correlated with the log-likelihood of the REF window, and its AUROC is computed again among variants of
like background (covariate-adjusted AUROC, Janes and Pepe 2009, doi:10.1093/biomet/asp002).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foundationless.evaluation.aggregate import holm
from foundationless.evaluation.bootstrap import Arm, Estimate, Run, compare_arms, interval, resample_weights, stratify
from foundationless.evaluation.metrics import evaluate_ranking, from_ranking, spearman
from foundationless.evaluation.task_results import KEYS, Name, TaskResults, read_results
from foundationless.study.vocabulary import ANALYSES, RANK_METRICS

VARIANT_SCORES = [
    *KEYS, "scored_by", "selected", "auroc", "auroc_low", "auroc_high", "auprc", "auprc_low", "auprc_high",
    "auroc_opposite", "auprc_opposite", "share", "n_test", "seeds", "held_out", "auroc_within", "auroc_within_low",
    "auroc_within_high", "delta", "delta_low", "delta_high", "p", "p_holm", "folds", "auroc_folds", "auroc_folds_se",
    "auprc_folds", "auprc_folds_se", "spearman_background", "auroc_adjusted", "auroc_adjusted_low",
    "auroc_adjusted_high", "parameters",
]  # fmt: skip
PROBE = "probe"  # the score that is reported
STRATA = 5  # of the background, with as many variants in each
_NEEDED = ["id", "group", "label", "run", "fold", "score"]

Floats = NDArray[np.float64]


def score_variants(
    records: Sequence[Mapping[str, Any]], predictions: Sequence[pa.Table | None], resamples: int, seed: int
) -> pd.DataFrame:
    """`VARIANT_SCORES` of the cells of a task, those of an analysis that probes variants; otherwise without rows.

    A score of an arm is the mean over its seeds. `auroc_within` is of pairs of one fold alone: probes of several folds
    do not compare. `delta` is its paired difference of a pretrained arm with the random arm of the same model and
    score, `p` its two-sided p value, and `p_holm` that adjusted over all scores of the model on the task. Means over
    `folds` are of those with both classes, weighted by their variants.
    """
    known = ANALYSES.get(records[0]["analysis"]) if records else None  # none of `pretrain`
    if known is None or known.rule != "probe_variants":
        return pd.DataFrame(columns=VARIANT_SCORES)
    held_out, by = _held_out(predictions)
    likely = {
        (record["model"], record["init"], int(record["seed"])): _background(table)
        for record, table in zip(records, predictions, strict=True)
        if table is not None
    }
    rows: list[dict[str, Any]] = []
    for name in _names(predictions):
        marked = [None if table is None else _only(table, name) for table in predictions]
        results = read_results(records, marked, resamples, seed)[0]
        if results is not None and len(results.classes) == 2:
            rows += _rows(results, name, held_out, by, likely)
    return _adjusted(pd.DataFrame(rows, columns=VARIANT_SCORES))


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `p_holm`: of what scores a variant, which the background does not."""
    scores = table["scored_by"] != "background"
    together = table.loc[scores, "p"].astype(float).groupby([table["model"], table["init"]], sort=False)
    return table.assign(p_holm=together.transform(lambda p: pd.Series(holm(p), p.index)))


def _names(predictions: Sequence[pa.Table | None]) -> list[str]:
    """Every score of every arm, in the order in which arms have them."""
    return list(dict.fromkeys(name for table in predictions if table for name in pc.unique(table["run"]).to_pylist()))


def _only(table: pa.Table, name: str) -> pa.Table | None:
    """The rows of one score, marked as those that were selected; None where there are none with a number."""
    rows = table.filter(pc.equal(table["run"], name)).select(_NEEDED)
    if not rows.num_rows or not pc.any(pc.is_finite(rows["score"])).as_py():
        return None
    return rows.append_column("selected", pa.array(np.ones(rows.num_rows, dtype=bool)))


def _held_out(predictions: Sequence[pa.Table | None]) -> tuple[pd.Series, str]:
    """The fold that held each variant out, by id, and what the folds are; an arm from outside says neither."""
    for table in predictions:
        if table is not None and "held_out" in table.column_names:
            frame = table.select(["id", "held_out", "held_out_by"]).to_pandas().drop_duplicates("id")
            return frame.set_index(frame["id"].astype(str))["held_out"], str(frame["held_out_by"].iloc[0])
    return pd.Series(dtype=object), ""


def _background(table: pa.Table) -> pd.Series:
    """What a cell says of the likelihood of REF windows, by id; none of an arm without likelihoods."""
    if "background" not in table.column_names:
        return pd.Series(dtype=np.float64)
    frame: pd.DataFrame = table.select(["id", "background"]).to_pandas().drop_duplicates("id")
    return frame.set_index(frame["id"].astype(str))["background"].astype(np.float64)


def _rows(
    results: TaskResults, name: str, held_out: pd.Series, by: str, likely: Mapping[tuple[str, str, int], pd.Series]
) -> Iterator[dict[str, Any]]:
    scored = {metric: results.score(metric, results.resamples)["validation"] for metric in RANK_METRICS}
    positive = results.classes[1]
    weights = _weights(results)
    within = {
        arm: _among_alike(
            runs := results.runs(arm, "validation"), positive, [_folds(runs[0], held_out)] * len(runs), weights
        )
        for arm in results.order
    }
    for arm in results.order:
        runs = results.runs(arm, "validation")
        yield (
            results.identity(arm)
            | {"scored_by": name, "selected": name == PROBE}
            | _values(scored, arm, results.seed)
            | _opposite(runs, positive)
            | {"share": float((runs[0].labels == positive).mean()), "n_test": len(runs[0].labels)}
            | {"seeds": len({run.seed for run in runs}), "parameters": results.of(arm)[0].record["parameters"]}
            | {"held_out": by}
            | _ends("auroc_within", interval(within[arm], results.seed, "auroc"))
            | _difference(within, arm, results.seed)
            | _over_folds(runs, positive, held_out)
            | _confounded(runs, positive, [likely[*arm, run.seed] for run in runs], weights, results.seed)
        )


def _weights(results: TaskResults) -> Floats:
    """How often each variant is drawn [1 + resamples, n], as all arms of a set are: once, then in each resample."""
    runs = [run for cell in results.cells for run in cell.runs.values()]
    names, strata = stratify(runs)
    owner = np.searchsorted(names, runs[0].groups)
    drawn = resample_weights(strata, results.resamples, np.random.default_rng(results.seed))
    return np.concatenate([np.ones((1, len(owner))), drawn[:, owner]])


def _folds(run: Run, held_out: pd.Series) -> NDArray[np.int64]:
    """Number [n] of the fold of each variant; one for all where nobody says it."""
    return np.asarray(pd.factorize(held_out.reindex(run.ids))[0], dtype=np.int64)


def _among_alike(runs: Sequence[Run], positive: str, strata: Sequence[NDArray[np.int64]], weights: Floats) -> Arm:
    """The AUROC within strata [n] of each run, as an arm under the resamples."""
    pairs = zip(runs, strata, strict=True)
    values = np.stack([within_strata(run.labels == positive, _score(run), parts, weights) for run, parts in pairs])
    return Arm(values[:, 0], values[:, 1:], np.array([run.seed for run in runs]))


def _ends(name: str, one: Estimate) -> dict[str, float]:
    return {name: one.value, f"{name}_low": max(one.low, 0.0), f"{name}_high": one.high}


def _values(scored: Mapping[str, Mapping[Name, Arm]], arm: Name, seed: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric, arms in scored.items():
        found |= _ends(metric, interval(arms[arm], seed, metric))
    return found


def _opposite(runs: Sequence[Run], positive: str) -> dict[str, float]:
    """What the score with the opposite sign is worth, mean over runs."""
    each = [evaluate_ranking(run.labels == positive, -_score(run)) for run in runs]
    return {f"{metric}_opposite": float(np.mean([one[metric] for one in each])) for metric in RANK_METRICS}


def _score(run: Run) -> Floats:
    assert run.ranking is not None
    return run.ranking


def _difference(arms: Mapping[Name, Arm], arm: Name, seed: int) -> dict[str, float]:
    if arm[1] != "pretrained" or (arm[0], "random") not in arms:
        return {}
    one = compare_arms(arms[arm], arms[arm[0], "random"], seed)
    return {
        "delta": one.value,
        "delta_low": one.low,
        "delta_high": one.high,
        "p": float("nan") if one.p is None else one.p,
    }


def _over_folds(runs: Sequence[Run], positive: str, held_out: pd.Series) -> dict[str, float]:
    """Mean over the folds with both classes, weighted by their variants, and its standard error (`weighted_mean`)."""
    if held_out.empty:
        return {}
    names = held_out.reindex(runs[0].ids).to_numpy()
    values, sizes = [], []
    for fold in pd.unique(names):
        mine = names == fold
        if len(set(runs[0].labels[mine])) == 2:
            each = [evaluate_ranking(run.labels[mine] == positive, _score(run)[mine]) for run in runs]
            values.append([float(np.mean([one[metric] for one in each])) for metric in RANK_METRICS])
            sizes.append(int(mine.sum()))
    found: dict[str, float] = {"folds": len(sizes)}
    for place, metric in enumerate(RANK_METRICS):
        mean, error = weighted_mean(np.array([value[place] for value in values]), np.array(sizes, dtype=np.float64))
        found |= {f"{metric}_folds": mean, f"{metric}_folds_se": error}
    return found


def weighted_mean(values: Floats, sizes: Floats) -> tuple[float, float]:
    """Mean of values [k] weighted by sizes [k], and its standard error from how the values differ; NaN of too few.

    With w the shares of the sizes the error is √(k / (k − 1) Σ w² (value − mean)²): of even sizes sd / √k.
    """
    if not len(values):
        return float("nan"), float("nan")
    shares = sizes / sizes.sum()
    mean = float(shares @ values)
    k = len(values)
    error = float(np.sqrt(k / (k - 1) * ((shares * (values - mean)) ** 2).sum())) if k > 1 else float("nan")
    return mean, error


def _confounded(
    runs: Sequence[Run], positive: str, likely: Sequence[pd.Series], weights: Floats, seed: int
) -> dict[str, float]:
    """Rank correlation of the score with the background, and the AUROC among variants of like background."""
    if any(one.dropna().empty for one in likely):
        return {}
    known = [one.reindex(run.ids).to_numpy(dtype=np.float64) for one, run in zip(likely, runs, strict=True)]
    rho = [spearman(_score(run), values) for run, values in zip(runs, known, strict=True)]
    among = _among_alike(runs, positive, [_quantiles(values) for values in known], weights)
    return {"spearman_background": float(np.mean(rho))} | _ends("auroc_adjusted", interval(among, seed, "auroc"))


def _quantiles(values: Floats) -> NDArray[np.int64]:
    """Which of `STRATA` parts of the same size each value [n] is in; those that are missing are a part of their own."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    parts = (ranks * STRATA // max(1, int(np.isfinite(values).sum()))).astype(np.int64)
    return np.where(np.isfinite(values), parts, STRATA)


def within_strata(positive: NDArray[np.bool_], scores: Floats, strata: NDArray[np.int64], weights: Floats) -> Floats:
    """AUROC [resamples] over pairs of one stratum alone; `weights` [resamples, n] say how often each item is drawn.

    NaN where no stratum has both kinds of items.
    """
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for stratum in np.unique(strata):
        mine = strata == stratum
        drawn, kind = weights[:, mine], positive[mine]
        count = drawn[:, kind].sum(axis=1) * drawn[:, ~kind].sum(axis=1)
        right += np.where(count > 0, count * np.nan_to_num(from_ranking(kind, scores[mine], drawn, "auroc")), 0.0)
        pairs += count
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(right / pairs)
