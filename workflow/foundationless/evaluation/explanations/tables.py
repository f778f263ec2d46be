"""Tables of explanations, from the predictions of `explain`: scores with intervals and words, and logos.

The items are test sequences: a score is the mean over seeds of the mean over sequences of the AUROC of motif letters.
Sequences (or their groups, where there are enough) are drawn together for all arms, seeds on top, as everywhere. An arm
is compared with chance, which is 0.5 by construction, and the pretrained arm with the random one, paired by sequence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.evaluation.aggregate import judge
from foundationless.evaluation.bootstrap import Arm, Estimate, compare_arms, interval, resample_weights
from foundationless.evaluation.task_results import FEWEST_GROUPS
from foundationless.study.vocabulary import MARGINS

KEYS = ["task", "model", "init"]
READ = (*KEYS, "seed", "id", "group", "method", "auroc", "miss", "sites", "sequence", "attributions")
SCORES = [
    "analysis", *KEYS, "method", "versus", "value", "low", "high", "delta", "p", "p_holm", "p_tost", "margin",
    "verdict", "n", "groups", "seeds", "miss",
]  # fmt: skip
LOGOS = [*KEYS, "method", "motif", "position", "letter", "height", "share", "n"]
CHANCE = 0.5
FLANK = 6  # letters beside a motif in a logo


def score_table(
    predictions: Sequence[pd.DataFrame],
    margins: Mapping[str, float] = MARGINS,
    resamples: int = 2000,
    seed: int = 1,
) -> pd.DataFrame:
    """A row per arm and method (`versus` empty), against chance, and of pretrained arms against their random selves.

    `n` sequences, drawn by `groups`; `miss`: the largest miss of completeness of the method. p values are adjusted by
    Holm over tasks and models of a method and reference; `verdict` is the word of `aggregate.decide`, whose margin is
    that of AUROC.
    """
    rows = pd.concat(predictions, ignore_index=True) if predictions else pd.DataFrame(columns=list(READ))
    made: list[dict[str, Any]] = []
    for (task, method), part in rows.groupby(["task", "method"], sort=False):
        arms = _arms(part, resamples, seed)
        for (model, init), arm in arms.items():
            mine = part[(part["model"] == model) & (part["init"] == init)]
            shared = dict(analysis="explanations", task=task, model=model, init=init, method=method)
            shared |= {"n": mine["id"].nunique(), "groups": len(np.unique(_units(part))), "miss": mine["miss"].max()}
            shared |= {"seeds": mine["seed"].nunique(), "value": arm.value}
            own = interval(arm, seed, "auroc")
            made.append(shared | {"versus": "", "low": own.low, "high": own.high})
            flat = Arm(np.full(1, CHANCE), np.full((1, resamples), CHANCE), np.zeros(1, dtype=np.int64))
            made.append(shared | _difference("chance", compare_arms(arm, flat, seed), margins["auroc"]))
            other = arms.get((model, "random"))
            if init == "pretrained" and other is not None:
                seeds = min(int(mine["seed"].nunique()), len(other.seeds))
                difference = _difference("random", compare_arms(arm, other, seed), margins["auroc"])
                made.append(shared | difference | {"seeds": seeds})
    table = pd.DataFrame(made).reindex(columns=SCORES)
    return _with_words(table) if len(table) else table


def _difference(versus: str, found: Estimate, margin: float) -> dict[str, Any]:
    tests = {"p": found.p, "p_tost": found.p_tost(margin), "margin": margin}
    return {"versus": versus, "delta": found.value, "low": found.low, "high": found.high, **tests}


def _with_words(table: pd.DataFrame) -> pd.DataFrame:
    """With adjusted p values and the word of each difference."""
    table = table.assign(p_holm=np.nan, verdict="")
    for _, part in table[table["versus"] != ""].groupby(["method", "versus"], sort=False):
        known = part[["p", "p_tost", "delta", "seeds"]].astype(float).assign(learned=True)
        rows = [{str(key): value for key, value in row.items()} for row in known.to_dict("records")]
        judge(rows)
        for name in ("p_holm", "verdict"):
            table.loc[part.index, name] = [row[name] for row in rows]
    return table


def _units(rows: pd.DataFrame) -> "pd.Series[Any]":
    """What is drawn together: groups, or where they are few each sequence."""
    ids = rows["id"].astype(str)
    groups = ids.where(rows["group"].isna(), rows["group"].astype(str))  # without a group a sequence is its own
    return ids if groups.nunique() < FEWEST_GROUPS else groups


def _arms(rows: pd.DataFrame, resamples: int, seed: int) -> dict[tuple[str, str], Arm]:
    """Runs of every arm of a task and method, one a seed, under the same resamples of its sequences."""
    units = _units(rows)
    names = np.unique(units)
    weights = resample_weights(len(names), resamples, np.random.default_rng(seed))
    runs: dict[tuple[str, str], list[tuple[int, float, np.ndarray]]] = {}
    for (model, init, number), part in rows.groupby(["model", "init", "seed"], sort=False):
        values = part["auroc"].to_numpy(dtype=float)
        known = np.isfinite(values)
        if not known.any():
            continue
        place = np.searchsorted(names, units.loc[part.index][known])
        sums = np.bincount(place, values[known], minlength=len(names))
        counts = np.bincount(place, minlength=len(names))
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = (weights @ sums) / (weights @ counts)
        drawn = drawn if len(names) > 1 else np.full(resamples, np.nan)
        runs.setdefault((str(model), str(init)), []).append((int(str(number)), float(values[known].mean()), drawn))
    return {
        arm: Arm(
            np.array([point for _, point, _ in some]),
            np.stack([drawn for *_, drawn in some]),
            np.array([seed for seed, *_ in some]),
        )
        for arm, some in runs.items()
    }


def logo_table(predictions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean attributions around the commonest motif of a task, by position and base, and how common each base is there.

    Sites are laid over one another on the motif's own strand, with `FLANK` letters beside them; position 0 is the first
    of the motif. `height` is the sum of the attributions of sites that have this base there, by the number of sites `n`
    (NaN counts as nothing); `share` of the sites that have it. Of the first seed of each arm.
    """
    made: list[pd.DataFrame] = []
    for frame in predictions:
        for _, part in frame.groupby("method", sort=False):
            made += _logo(part)
    known = pd.concat(made, ignore_index=True) if made else pd.DataFrame(columns=LOGOS)
    if len(known):
        known = known[known["seed"] == known.groupby(KEYS)["seed"].transform("min")]
    return known.reindex(columns=LOGOS)


def _logo(part: pd.DataFrame) -> list[pd.DataFrame]:
    """The logo of one job and method."""
    stacked, motif = _windows(part)
    if not stacked:
        return []
    letters = np.array([list(word) for word, _ in stacked])
    values = np.nan_to_num(np.array([numbers for _, numbers in stacked], dtype=np.float64))
    positions = np.arange(letters.shape[1]) - FLANK
    first = part.iloc[0]
    shared = {key: first[key] for key in (*KEYS, "seed", "method")} | {"motif": motif, "n": len(stacked)}
    return [
        pd.DataFrame(
            {
                "position": positions,
                "letter": base,
                "height": np.where(letters == base, values, 0.0).sum(0) / len(stacked),
                "share": (letters == base).mean(0),
            }
        ).assign(**shared)
        for base in "ACGT"
    ]


def _windows(part: pd.DataFrame) -> tuple[list[tuple[str, np.ndarray]], str]:
    """Letters and attributions around every site of the commonest motif that has its flanks, and its name."""
    sites = [
        (sequence, numbers, *_read(site))
        for sequence, numbers, text in zip(part["sequence"], part["attributions"], part["sites"], strict=True)
        for site in str(text).split()
    ]
    if not sites:
        return [], ""
    motif = str(pd.Series([site[-1] for site in sites]).value_counts(sort=True).sort_index(kind="stable").idxmax())
    windows = []
    for sequence, numbers, start, end, strand, name in sites:
        first, last = start - FLANK, end + FLANK
        if name == motif and first >= 0 and last <= len(sequence):
            word, values = sequence[first:last], np.asarray(numbers)[first:last]
            windows.append((word, values) if strand == "+" else (reverse_complement(word), values[::-1]))
    return windows, motif


def _read(site: str) -> tuple[int, int, str, str]:
    place, strand, motif = site.split(":", 2)
    start, end = place.split("-")
    return int(start), int(end), strand, motif
