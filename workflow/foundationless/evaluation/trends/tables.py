"""Curves of an analysis to tables: a power law of each, and how many training rows pretraining is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.bootstrap import LEVEL, interval_of
from foundationless.evaluation.trends.points import ROWS, Floats, Point
from foundationless.evaluation.trends.power_laws import FEWEST_POINTS, fit_power_laws
from foundationless.evaluation.trends.rows_worth import rows_worth
from foundationless.study.vocabulary import METRICS

_KEYS = ["analysis", "task", "model", "init"]
SCALING_FITS = [
    *_KEYS, "metric", "selection", "axis", "points", "smallest", "largest", "seeds", "resamples", "a", "a_low",
    "a_high", "b", "b_low", "b_high", "c", "c_low", "c_high", "rmse", "flag",
]  # fmt: skip
ROWS_WORTH = [
    *_KEYS, "metric", "selection", "rows", "value", "low", "high", "value_random", "random_low", "random_high",
    "points", "fewest", "most", "seeds", "worth", "worth_low", "worth_high", "ratio", "ratio_low", "ratio_high",
    "censored", "said",
]  # fmt: skip

UNSURE = 100.0  # times its lower end: an interval of c that is wider than this leaves every shape possible

Curve = tuple[str, str, str, str, str, str]  # axis, task, model, init, metric, selection
Rows = list[dict[str, Any]]


def curves_of(points: Sequence[Point]) -> dict[Curve, list[Point]]:
    """Points by curve, from the smallest size on; curves of a single size are none."""
    curves: dict[Curve, list[Point]] = {}
    for point in points:
        key = point.axis, point.task, point.model, point.init, point.metric, point.selection
        curves.setdefault(key, []).append(point)
    ordered = {curve: sorted(mine, key=lambda point: point.size) for curve, mine in curves.items()}
    return {curve: mine for curve, mine in ordered.items() if len({point.size for point in mine}) > 1}


def at_sizes(points: Sequence[Point]) -> tuple[Floats, Floats, Floats]:
    """Sizes [points], scores [points] and replicates [resamples, points]: draws of one size are averaged, as their test
    items are the same, and replicates are as wide as each point's interval."""
    sizes = np.unique([point.size for point in points])
    groups = [[point.estimate for point in points if point.size == size] for size in sizes]
    scores = np.array([np.mean([one.value for one in group]) for group in groups])
    drawn = np.stack([np.mean([one.wide for one in group], axis=0) for group in groups], axis=1)
    return sizes, scores, drawn


def scaling_fits(analysis: str, curves: Mapping[Curve, Sequence[Point]]) -> pd.DataFrame:
    """A row for each curve: error = a + b · n^-c, with 95 % percentile intervals of the fits to its replicates.

    The error is 1 - score, or the score itself where lower is better. Points weigh by their variance. `flag` says why
    there is no fit, what lies at a bound, and that c is not identified where its interval is wider than `UNSURE` times.
    """
    rows: Rows = []
    for curve, points in curves.items():
        axis, task, model, init, metric, selection = curve
        sizes, scores, drawn = at_sizes(points)
        row: dict[str, Any] = dict(zip(_KEYS, (analysis, task, model, init), strict=True))
        row |= {"metric": metric, "selection": selection, "axis": axis}
        row |= {"points": len(sizes), "smallest": sizes[0], "largest": sizes[-1]}
        row |= {"seeds": min(point.seeds for point in points), "resamples": len(drawn)}
        rows.append(row | _fit(sizes, scores, drawn, higher=METRICS[metric].higher_is_better))
    return pd.DataFrame(rows, columns=SCALING_FITS)


def _fit(sizes: Floats, scores: Floats, drawn: Floats, *, higher: bool) -> dict[str, Any]:
    if len(sizes) < FEWEST_POINTS:
        return {"flag": f"no fit: {len(sizes)} sizes, and three numbers need {FEWEST_POINTS}"}
    errors, resampled = (1 - part if higher else part for part in (scores, drawn))
    sd = resampled.std(axis=0)
    law = fit_power_laws(sizes, errors, sd)
    found: dict[str, Any] = {"rmse": float(law.rmse)}
    flags = law.bounds
    known = resampled[np.isfinite(resampled).all(axis=1)]
    several = fit_power_laws(sizes, known, sd) if 2 * len(known) > len(drawn) else None
    for name in ("a", "b", "c"):
        found[name] = float(getattr(law, name))
        if several is not None:
            ends = np.quantile(getattr(several, name), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found |= {f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}
    if several is not None and law.b > 0 and found["c_high"] > UNSURE * found["c_low"]:
        flags.append("c is not identified")
    return found | {"flag": "; ".join(flags)}


def worth_of_rows(analysis: str, curves: Mapping[Curve, Sequence[Point]]) -> pd.DataFrame:
    """For each size at which a pretrained arm was trained: the rows at which its random arm reaches the same score.

    `ratio` is these rows by its own. Rows and ratios that the random arm's curve does not reach are inf or -inf (0 of
    a ratio's lower end), `censored` says which of value, low and high are, and `said` says the rows in words.
    """
    rows: Rows = []
    for (axis, task, model, init, metric, selection), points in curves.items():
        theirs = curves.get((axis, task, model, "random", metric, selection))
        if axis != ROWS or init != "pretrained" or theirs is None:
            continue
        sign = 1 if METRICS[metric].higher_is_better else -1
        sizes, scores, drawn = at_sizes(points)
        known, random, random_drawn = at_sizes(theirs)
        for place, size in enumerate(sizes):
            worth = rows_worth(known, sign * random, sign * scores[place], sign * random_drawn, sign * drawn[:, place])
            three = {"worth": worth.rows, "worth_low": worth.low, "worth_high": worth.high}
            row = dict(zip(_KEYS, (analysis, task, model, init), strict=True)) | three
            row |= {"metric": metric, "selection": selection, "rows": size, "points": len(known)}
            row |= dict(zip(("value", "low", "high"), (scores[place], *interval_of(drawn[:, place])), strict=True))
            row |= {"fewest": worth.fewest, "most": worth.most}
            row |= {"seeds": min(point.seeds for point in (*points, *theirs)), "said": worth.words()}
            if len(same := np.flatnonzero(known == size)):
                ends = interval_of(random_drawn[:, same[0]])
                row |= dict(zip(("value_random", "random_low", "random_high"), (random[same[0]], *ends), strict=True))
            row |= {name.replace("worth", "ratio"): max(number / size, 0.0) for name, number in three.items()}
            row["censored"] = " ".join(name.removeprefix("worth_").replace("worth", "value")
                                       for name, number in three.items() if np.isinf(number))  # fmt: skip
            rows.append(row)
    return pd.DataFrame(rows, columns=ROWS_WORTH)
