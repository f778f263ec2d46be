"""Scores of tasks whose labels are numbers or tracks: every metric of the kind, and the paired differences, by arm."""

from collections.abc import Mapping

import pandas as pd

from foundationless.evaluation.task_results import KEYS
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.vocabulary import CLASSIFICATIONS, OUTPUT_METRICS

REFERENCES = ("random", "baseline")
_NUMBERS = dict.fromkeys(("value", "low", "high"), float)


def output_scores(
    scores: pd.DataFrame, comparisons: pd.DataFrame, outputs: pd.DataFrame, labels: Mapping[str, str]
) -> pd.DataFrame:
    """A row per arm (see `catalogue` for the columns); without a row where all labels are classes.

    `outputs` is the table of every output: its rows of the means over them have the intervals of further metrics, of
    runs that validation chose alone.
    """
    mine = scores[scores["analysis"].isin(CLASSIFICATIONS) & scores["metric"].isin(OUTPUT_METRICS)]
    mine = mine.drop_duplicates(KEYS).reset_index(drop=True)
    if mine.empty:
        return pd.DataFrame(columns=columns_of("output_scores"))
    mine = mine.assign(model_label=mine["model"].map(labels).fillna(mine["model"]))
    single = outputs[outputs["output"].fillna("").ne("")]
    counts = single.groupby(KEYS[:2])["output"].nunique().reset_index(name="outputs")
    mine = mine.merge(counts, on=KEYS[:2], how="left")
    means = outputs[outputs["output"].fillna("").eq("") & outputs["versus"].fillna("").eq("")]
    keys = [*KEYS, "selection"]
    for metric in OUTPUT_METRICS:
        known = means[means["metric"] == metric].drop_duplicates(keys)
        known = mine[keys].merge(known[[*keys, "value", "low", "high"]], on=keys, how="left").astype(_NUMBERS)
        own = mine["metric"] == metric
        point = mine[metric].astype(float) if metric in mine else known["value"]
        mine[metric] = mine["value"].where(own, point)
        for end in ("low", "high"):
            mine[f"{metric}_{end}"] = mine[end].where(own, known[end])
    for versus in REFERENCES:
        pairs = comparisons[comparisons["versus"] == versus].drop_duplicates(KEYS)
        names = {"delta": f"versus_{versus}", "verdict": f"verdict_{versus}"}
        names |= {end: f"versus_{versus}_{end}" for end in ("low", "high")}
        mine = mine.merge(pairs.reindex(columns=[*KEYS, *names]).rename(columns=names), on=KEYS, how="left")
    return mine.reindex(columns=columns_of("output_scores"))
