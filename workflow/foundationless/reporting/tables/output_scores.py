"""Scores of tasks whose labels are numbers or tracks: every metric of the kind, and the paired differences, by arm."""

from collections.abc import Mapping

import pandas as pd

from foundationless.evaluation.task_results import KEYS
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.vocabulary import CLASSIFICATIONS, OUTPUT_METRICS

REFERENCES = ("random", "baseline")
DIAGNOSTICS = ("outputs", "scatter")  # tables of such tasks alone


def output_scores(
    scores: pd.DataFrame, comparisons: pd.DataFrame, outputs: pd.DataFrame, labels: Mapping[str, str]
) -> pd.DataFrame:
    """A row per arm (see `catalogue` for the columns); without a row where all labels are classes.

    The metric of the task has an interval, the others of its kind have one where the label is a single output
    (`outputs` then has them).
    """
    mine = scores[scores["analysis"].isin(CLASSIFICATIONS) & scores["metric"].isin(OUTPUT_METRICS)]
    mine = mine.drop_duplicates(KEYS).reset_index(drop=True)
    columns = columns_of("output_scores")
    if mine.empty:
        return pd.DataFrame(columns=columns)
    mine = mine.assign(model_label=mine["model"].map(labels).fillna(mine["model"]))
    intervals, counts = _intervals(outputs)
    mine = mine.merge(counts, on=KEYS[:2], how="left")
    for metric in OUTPUT_METRICS:
        own = mine["metric"] == metric
        ends = intervals[intervals["metric"] == metric].drop(columns="metric")
        known = mine[KEYS].merge(ends, on=KEYS, how="left")
        values = mine[metric] if metric in mine else pd.Series(float("nan"), mine.index)
        mine[metric] = mine["value"].where(own, values.astype(float))
        for end in ("low", "high"):
            mine[f"{metric}_{end}"] = mine[end].where(own, known[end].astype(float))
    for versus in REFERENCES:
        pairs = comparisons[comparisons["versus"] == versus].drop_duplicates(KEYS)
        names = {"delta": f"versus_{versus}", "verdict": f"verdict_{versus}"}
        names |= {end: f"versus_{versus}_{end}" for end in ("low", "high")}
        mine = mine.merge(pairs.reindex(columns=[*KEYS, *names]).rename(columns=names), on=KEYS, how="left")
    return mine.reindex(columns=columns)


def _intervals(outputs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Interval of every metric of arms on tasks of a single output, and how many outputs a task has."""
    own = outputs[outputs["versus"].fillna("").eq("")] if "versus" in outputs else outputs
    own = own.reindex(columns=[*KEYS, "output", "metric", "low", "high"])
    counts = own.groupby(KEYS[:2])["output"].nunique().reset_index(name="outputs")
    single = counts.loc[counts["outputs"] == 1, KEYS[:2]]
    rows = own.merge(single, on=KEYS[:2]).drop_duplicates([*KEYS, "metric"])
    return rows[[*KEYS, "metric", "low", "high"]], counts
