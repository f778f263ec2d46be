"""The one way into the paper: its tables, claims and defects, and its numbers beside ours.

What the publication prints, claims and gets wrong is known in this folder alone. Whoever puts a model of their own on
trial gives no file of reported numbers, and meets none of it.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from foundationless.evaluation import table_files
from foundationless.reporting.paper.claims import find_claims
from foundationless.reporting.paper.defects import find_defects
from foundationless.reporting.paper.gate import gate_claims
from foundationless.reporting.paper.paper_tables import paper_tables
from foundationless.reporting.paper.published import Reported, compare_reported, read_reported, reported_across
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.inputs import Inputs
from foundationless.reporting.tables.prices import Prices
from foundationless.study.vocabulary import CLASSIFICATIONS, OUTPUT_METRICS


def paper_outputs(inputs: Inputs, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Every table that sets ours beside the paper, from `tables` that `collect` made; none without `inputs.reported`.

    Claims and defects need both selections, and so take scores and comparisons from the (arranged) `inputs`. The paper
    has classes alone: tasks of numbers and of tracks are in none of its means and claims.
    """
    if inputs.reported is None:
        return {}
    numbers = read_reported(inputs.reported)
    inputs, tables = _of_classes(inputs, tables)
    paper = Reported(numbers, inputs.tasks, inputs.labels)
    printed = paper_tables(inputs, tables, paper)
    prices = Prices(tables["cost"]) if "cost" in tables else None
    scores, comparisons, clusters = inputs.scores, inputs.comparisons, inputs.clusters
    judged = find_claims(scores, comparisons, inputs.margins, inputs.families, clusters, prices)
    gated = gate_claims(inputs.gate)
    return printed | {
        "reported_comparison": compare_reported(
            tables["scores"], tables["comparisons"], printed, paper, inputs.margins
        ),
        "reported_across": reported_across(numbers, inputs.tasks, inputs.margins),
        "defects": find_defects(scores, comparisons, inputs.diagnostics, clusters),
        "claims": table_files.join_tables([judged, gated], columns_of("claims")),
    }


def _of_classes(inputs: Inputs, tables: Mapping[str, pd.DataFrame]) -> tuple[Inputs, Mapping[str, pd.DataFrame]]:
    """Both without the rows of tasks whose labels are no classes."""
    judged = inputs.scores[inputs.scores["analysis"].isin(CLASSIFICATIONS)]
    others = set(judged.loc[judged["metric"].isin(OUTPUT_METRICS), "task"])
    if not others:
        return inputs, tables

    def kept(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[~frame["task"].isin(others)].reset_index(drop=True) if "task" in frame else frame

    cut = replace(
        inputs, scores=kept(inputs.scores), comparisons=kept(inputs.comparisons),
        diagnostics={name: kept(frame) for name, frame in inputs.diagnostics.items()},
    )  # fmt: skip
    return cut, {name: kept(frame) if name != "cost" else frame for name, frame in tables.items()}
