"""What the best baseline of each task went by: from the files beside the records to one table."""

from pathlib import Path

import pandas as pd

from foundationless.evaluation import table_files
from foundationless.reporting.tables.catalogue import columns_of

SHOWN = 15  # features per class
ARM = ["analysis", "task", "model", "init"]
COLUMNS = ("run", "selected", "kind", "class", "rank", "feature", "importance", "features")


def best_importances(records: pd.DataFrame, directory: Path | None) -> pd.DataFrame:
    """The largest weights of one baseline per analysis and task, columns as the catalogue has them.

    It is the best on validation, in the mean of its seeds, of those that have weights: a majority vote and a look-up
    have none. Ties, and sets without a validation split: the first in the order of `records`. Of several seeds the
    lowest is told. `directory` holds `ANALYSIS/TASK/MODEL/INIT/seedN/importances.parquet` (None: no rows).
    """
    columns = columns_of("importances")
    parts = [pd.DataFrame(columns=columns)]
    if directory is not None and {"split", "selected", "run", "init"} <= set(records.columns):
        scored = _scored(records)
        for _, arms in scored.groupby(["analysis", "task"], sort=False):
            for arm in arms.sort_values("validation", ascending=False, kind="stable").to_dict("records"):
                path = directory.joinpath(*(str(arm[key]) for key in ARM), f"seed{arm['seed']}", "importances.parquet")
                rows = _read(path)
                if len(rows):
                    parts.append(rows.assign(**{str(key): value for key, value in arm.items()})[columns])
                    break
    return table_files.join_tables(parts, columns)


def _scored(records: pd.DataFrame) -> pd.DataFrame:
    """Every arm of a baseline: its identity, its lowest seed, and the mean of its seeds on validation."""
    fitted = records[(records["init"] == "baseline") & (records["selection"] == "run")]
    chosen = fitted[fitted["selected"].fillna(False).astype(bool)]
    arms = chosen.groupby(ARM, sort=False).agg(seed=("seed", "min"), metric=("metric", "first")).reset_index()
    values = chosen[chosen["split"] == "validation"].groupby(ARM)["value"].mean().rename("validation")
    return arms.merge(values.reset_index(), on=ARM, how="left")


def _read(path: Path) -> pd.DataFrame:
    """The first features of each class, of the run that was selected; no rows where there is no file."""
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    rows = table_files.read_parquet(path, COLUMNS, "importances of a baseline", "fit it again")
    return pd.DataFrame(rows[rows["selected"] & (rows["rank"] <= SHOWN)])
