"""The one way into the second paper: its numbers beside ours, our question on its rows, its defects and claims.

Whoever gives none of its files (`Inputs.reported_effects`) meets none of it.
"""

from collections.abc import Mapping

import pandas as pd

from foundationless.reporting.second_paper.claims import find_claims
from foundationless.reporting.second_paper.defects import find_defects
from foundationless.reporting.second_paper.reported import compare_effects, read_reported, read_rows, reported_pairs
from foundationless.reporting.tables.inputs import Inputs


def second_outputs(inputs: Inputs, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Every table that sets ours beside the second paper, from `tables` that `collect` made; none without its files."""
    if inputs.reported_effects is None:
        return {}
    numbers = read_reported(inputs.reported_effects)
    rows = {path.stem: read_rows(path) for path in inputs.reported_rows}
    effects, interactions = (
        _selected(tables.get(name, pd.DataFrame()), inputs.selection) for name in ("effects", "interactions")
    )
    baselines = [name for name, card in inputs.models.items() if card.get("kind") == "baseline"]
    return {
        "p_reported": compare_effects(effects, numbers, inputs.tasks, inputs.labels, baselines),
        "p_reported_across": reported_pairs(rows, inputs.margins),
        "p_defects": find_defects(effects, rows),
        "p_claims": find_claims(tables["comparisons"], effects, interactions, inputs.margins, inputs.models),
    }


def _selected(frame: pd.DataFrame, selection: str) -> pd.DataFrame:
    """Rows of the study's selection, where rows say which they are of."""
    known = frame["selection"].notna() if "selection" in frame else pd.Series(False, frame.index)
    return frame[frame["selection"].eq(selection) | ~known].reset_index(drop=True) if known.any() else frame
