"""The one way into the paper: its tables, claims and defects, and its numbers beside ours.

What the publication prints, claims and gets wrong is known in this folder alone. Whoever puts a model of their own on
trial gives no file of reported numbers, and meets none of it.
"""

from collections.abc import Mapping

import pandas as pd

from foundationless.reporting.paper.claims import find_claims
from foundationless.reporting.paper.defects import find_defects
from foundationless.reporting.paper.paper_tables import paper_tables
from foundationless.reporting.paper.published import Reported, compare_reported, read_reported, reported_across
from foundationless.reporting.tables.inputs import Inputs
from foundationless.reporting.tables.prices import Prices


def paper_outputs(inputs: Inputs, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Every table that sets ours beside the paper, from `tables` that `collect` made; none without `inputs.reported`.

    Claims and defects need both selections, and so take scores and comparisons from the (arranged) `inputs`.
    """
    if inputs.reported is None:
        return {}
    numbers = read_reported(inputs.reported)
    paper = Reported(numbers, inputs.tasks, inputs.labels)
    printed = paper_tables(inputs, tables, paper)
    prices = Prices(tables["cost"]) if "cost" in tables else None
    scores, comparisons, clusters = inputs.scores, inputs.comparisons, inputs.clusters
    return printed | {
        "reported_comparison": compare_reported(
            tables["scores"], tables["comparisons"], printed, paper, inputs.margins
        ),
        "reported_across": reported_across(numbers, inputs.tasks, inputs.margins),
        "defects": find_defects(scores, comparisons, inputs.diagnostics, clusters),
        "claims": find_claims(scores, comparisons, inputs.margins, inputs.families, clusters, prices),
    }
