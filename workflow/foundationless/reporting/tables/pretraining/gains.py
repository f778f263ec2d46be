"""What of pretraining helps: the gain of a model split by controls, and its score along its own pretraining."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import holm
from foundationless.evaluation.table_files import join_tables
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.vocabulary import ANALYSES, INGREDIENTS, steps_of

ARM = ["analysis", "task", "model"]
SPLITTING = tuple(name for name, analysis in ANALYSES.items() if analysis.splits_gain)
FEWEST_POINTS = 5  # of a rank correlation


def split_gain(comparisons: pd.DataFrame) -> pd.DataFrame:
    """A row per task, model and ingredient: the paired difference of `comparisons` that stands for it.

    `p_holm` is adjusted over the ingredients of a model on a task.
    """
    rows = comparisons[comparisons["analysis"].isin(SPLITTING)]
    parts = [
        rows[(rows["init"] == init) & (rows["versus"] == versus)].assign(ingredient=name)
        for name, (init, versus) in INGREDIENTS.items()
    ]
    columns = columns_of("ingredients")
    table = join_tables(parts, columns).reindex(columns=columns)
    return table.assign(p_holm=table.groupby([*ARM, "metric"], dropna=False)["p"].transform(holm))


def curve(
    scores: pd.DataFrame, runs: pd.DataFrame, records: pd.DataFrame, resamples: int = 2000, seed: int = 1
) -> pd.DataFrame:
    """A row per task, model and step of pretraining: held-out bits per base there, score of the arm, rank correlation.

    Steps are the arms `stepN`, the random arm (0) and the pretrained one (the last). `rho` is Spearman's between bits
    and scores over the points of a task and model (NaN of fewer than `FEWEST_POINTS`); its interval is the 95 %
    percentile interval of a bootstrap that draws points, and seeds within each, from `runs`.
    """
    columns = columns_of("pretraining_curve")
    bits = _bits(records)
    scores = scores[scores["analysis"].isin(SPLITTING)]
    parts = [pd.DataFrame(columns=columns)]
    for names, rows in scores.groupby(ARM, sort=False):
        known, last = bits.get(str(names[2]), {}), max((step for step in bits.get(str(names[2]), {})), default=0)
        steps = {init: _step(init, last) for init in rows["init"]}
        points = rows.assign(step=rows["init"].map(steps)).dropna(subset=["step"]).sort_values("step")
        points = points.assign(bits_per_base=points["step"].map(known)).dropna(subset=["bits_per_base"])
        if not any(map(steps_of, points["init"])):
            continue
        own = runs[(runs[ARM] == list(names)).all(axis=1) & runs["metric"].isin(points["metric"])]
        values = [own.loc[own["init"] == init].groupby("seed")["value"].mean().to_numpy() for init in points["init"]]
        places = (points["bits_per_base"].to_numpy(), points["value"].to_numpy())
        rho, low, high = correlate(*places, values, resamples, seed)
        told = {"points": len(points), "rho": rho, "rho_low": low, "rho_high": high}
        parts.append(points.assign(**told).reindex(columns=columns))
    return join_tables(parts, columns)[columns]


def correlate(
    bits: np.ndarray, scores: np.ndarray, values: list[np.ndarray], resamples: int = 2000, seed: int = 1
) -> tuple[float, float, float]:
    """Spearman's ρ of bits and scores [points], and its interval; `values`: the score of each point by seed."""
    from scipy.stats import rankdata, spearmanr

    if len(bits) < FEWEST_POINTS or len(set(scores)) < 2:
        return (float("nan"),) * 3
    generator = np.random.default_rng(seed)
    places = generator.integers(len(bits), size=(resamples, len(bits)))
    means = np.empty(places.shape)
    for place, seeds in enumerate(values):
        here = places == place
        means[here] = generator.choice(seeds, (int(here.sum()), len(seeds))).mean(axis=1)
    x, y = (
        ranks - ranks.mean(axis=1, keepdims=True) for ranks in (rankdata(bits[places], axis=1), rankdata(means, axis=1))
    )
    spread = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    drawn = (x * y).sum(axis=1)[spread > 0] / spread[spread > 0]  # a draw of one point alone has none
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return float(spearmanr(bits, scores).statistic), float(low), float(high)


def _step(init: str, last: float) -> float:
    return {"random": 0.0, "pretrained": last}.get(init, float(steps_of(init)) or float("nan"))


def _bits(records: pd.DataFrame) -> Mapping[str, dict[float, float]]:
    """Model -> step -> held-out bits per base, of its own pretraining and of the arms that stopped at a step."""
    if not {"step", "init", "metric"} <= set(records):
        return {}
    rows = records[(records["analysis"] == "pretrain") & (records["metric"] == "bits_per_base")]
    rows = rows[(rows["init"] == "pretrained") | (rows["init"].map(steps_of) > 0)]
    return {str(model): dict(zip(part["step"], part["value"], strict=True)) for model, part in rows.groupby("model")}
