"""Write the numbers of the second paper: python resources/lists/make_reported_perturbation.py SOURCE_DATA_DIRECTORY.

The paper is Ahlmann-Eltze, Huber and Anders, Nature Methods 22:1657 (2025), doi:10.1038/s41592-025-02772-6, CC-BY 4.0.
The directory holds the workbooks of its source data (ledger: perturbation_source_*; MIT, in the authors' repository).
Written beside this script:

- perturbation_rows/doubles.tsv, unseen.tsv, borrowed.tsv: its rows, a held-out perturbation of a split each, with the
  L2 error (`MODEL|ARM|l2_top`) and Pearson delta (`MODEL|ARM|pearson_delta`) of every method, to five digits. Rows of
  training perturbations (of the Panel C that `borrowed` is cut from) are left out.
- reported_perturbation.tsv: means of those rows with their 95 % intervals (bootstrap of perturbations, which may stand
  in several splits), and what other panels and the text state.

The second paper's names of data sets, methods and metrics become those of this project here, and nowhere else.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

TASKS = {
    "norman_from_scfoundation": "norman", "adamson": "adamson", "replogle_k562_essential": "replogle_k562",
    "replogle_rpe1_essential": "replogle_rpe1",
}  # fmt: skip
# Their method -> our model and arm; P and G of the linear model are the sides `target` and `readout`.
METHODS = {
    "additive_model": ("additive", "baseline"), "no_change": ("no_change", "baseline"), "mean": ("mean", "baseline"),
    "lpm_selftrained": ("linear", "baseline"), "scgpt": ("scgpt", "finetuned"), "gears": ("gears", "finetuned"),
    "geneformer": ("geneformer", "finetuned"), "scbert": ("scbert", "finetuned"), "uce": ("uce", "finetuned"),
    "uce33": ("uce33", "finetuned"), "cpa": ("cpa", "finetuned"), "scfoundation": ("scfoundation", "finetuned"),
    "lpm_scgptGeneEmb": ("scgpt.readout", "pretrained"),
    "lpm_scFoundationGeneEmb": ("scfoundation.readout", "pretrained"),
    "lpm_randomGeneEmb": ("any.readout", "random"), "lpm_randomPertEmb": ("any.target", "random"),
    "lpm_gearsPertEmb": ("go.target", "pretrained"), "lpm_k562PertEmb": ("screen_k562.target", "pretrained"),
    "lpm_rpe1PertEmb": ("screen_rpe1.target", "pretrained"),
}  # fmt: skip
PANELS = {  # rows: workbook, sheet, and where they stand in the paper
    "doubles": ("perturbation_prediction", "Panel A", "Fig 1a"),
    "unseen": ("single_perturbation_prediction", "Panel A", "Fig 2a"),
    "borrowed": ("single_perturbation_prediction", "Panel C", "Fig 2c"),
}
KEYS = ["task", "split", "part", "perturbation"]
METRICS = {"l2": "l2_top", "r2_delta": "pearson_delta"}  # theirs is a correlation, too
MEAN = "mean|baseline|l2_top"
RANKING = {  # Extended Data Fig 4, as printed: AUPRC and AUROC of interactions, for which there is no source data
    "no_change": (0.33, 0.84), "scgpt": (0.29, 0.81), "uce": (0.29, 0.81), "scbert": (0.29, 0.81),
    "scfoundation": (0.19, 0.72), "gears": (0.18, 0.75), "geneformer": (0.18, 0.76), "cpa": (0.11, 0.66),
}  # fmt: skip
COLUMNS = ["experiment", "task", "model", "arm", "metric", "value", "low", "high", "n", "rows", "source"]
RESAMPLES, LEVEL = 2000, 0.95


def rows_of(book: Path, sheet: str) -> pd.DataFrame:
    """A row per held-out perturbation and split, columns MODEL|ARM|METRIC."""
    whole = pd.read_excel(book, sheet_name=sheet)
    held = whole[whole["train"] != "train"].assign(task=whole["dataset_name"].map(TASKS))
    held = held.rename(columns={"seed": "split", "train": "part", **METRICS})
    wide = held.pivot(index=KEYS, columns="method", values=list(METRICS.values()))
    wide.columns = ["|".join((*METHODS[method], metric)) for metric, method in wide.columns]
    order = ["|".join((*names, metric)) for names in METHODS.values() for metric in METRICS.values()]
    return wide[[name for name in order if name in wide and wide[name].notna().any()]].reset_index()


def interval(values: np.ndarray, groups: np.ndarray, seed: int = 1) -> tuple[float, float]:
    """The 95 % percentile interval of a mean over rows: groups are drawn with replacement, with all their rows."""
    names, owner = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def summary(experiment: str, rows: pd.DataFrame, source: str) -> Iterator[dict]:
    """Mean of every metric of every method on every task, and of the error relative to that of the mean."""
    for task, part in rows.groupby("task", sort=False):
        groups = part["perturbation"].to_numpy()
        for name in part.columns.difference(KEYS, sort=False):
            model, arm, metric = name.split("|")
            told = [(metric, part[name].to_numpy(dtype=float))]
            if metric == "l2_top" and MEAN in part:
                told.append(("relative_l2", (part[name] / part[MEAN]).to_numpy(dtype=float)))
            for words, values in told:
                known = np.isfinite(values)
                if known.any():
                    low, high = interval(values[known], groups[known])
                    n = {"n": len(np.unique(groups[known])), "rows": int(known.sum())}
                    yield {"experiment": experiment, "task": task, "model": model, "arm": arm, "metric": words,
                           "value": values[known].mean(), "low": low, "high": high, **n, "source": source}  # fmt: skip


def others(source: Path) -> Iterator[dict]:
    """What other panels and the text state: interactions and cost."""
    told = {"experiment": "interactions", "task": "norman"}
    for row in pd.read_excel(source / "perturbation_prediction.xlsx", sheet_name="Panel E").to_dict("records"):
        yield told | {"model": "observed", "arm": "", "metric": f"class {row['label'].lower()}", "value": row["n"],
                      "rows": row["n"], "source": "Fig 1e"}  # fmt: skip
    curve = pd.read_excel(source / "perturbation_prediction.xlsx", sheet_name="Panel C")
    for row in curve[curve["fdp"].round(2) == 0.5].to_dict("records"):
        model, arm = METHODS[row["method"]]
        yield told | {"model": model, "arm": arm, "metric": "tpr at fdp 0.5", "value": row["tpr"], "source": "Fig 1c"}
    for method, values in RANKING.items():
        model, arm = METHODS[method]
        for metric, value in zip(("auprc", "auroc"), values, strict=True):
            yield told | {"model": model, "arm": arm, "metric": metric, "value": value, "source": "ED Fig 4"}
    used = pd.read_excel(source / "suppl-resource_usage.xlsx")
    names = used["name"].str.extract(r"^(?P<data>.*)-\d+-(?P<method>.*)$")
    used = used.assign(task=names["data"].map(TASKS), method=names["method"])
    for (task, method), part in used[used["metric"] == "elapsed"].groupby(["task", "method"], sort=False):
        if method in METHODS:
            model, arm = METHODS[method]
            yield {"experiment": "cost", "task": task, "model": model, "arm": arm, "metric": "hours",
                   "value": part["value"].mean() / 3600, "rows": len(part), "source": "ED Fig 10"}  # fmt: skip


def main(source: Path, output: Path) -> None:
    """Write every file below `output`."""
    (output / "perturbation_rows").mkdir(exist_ok=True, parents=True)
    note = "Ahlmann-Eltze, Huber and Anders 2025, doi:10.1038/s41592-025-02772-6, CC-BY 4.0"
    numbers = []
    for name, (book, sheet, place) in PANELS.items():
        rows = rows_of(source / f"{book}.xlsx", sheet)
        text = rows.to_csv(sep="\t", index=False, float_format="%.5g", lineterminator="\n")
        words = f"# {place}: {note}; {book}.xlsx, {sheet}, without training perturbations.\n"
        (output / "perturbation_rows" / f"{name}.tsv").write_text(words + text)
        numbers += summary(name, rows, place)
    table = pd.DataFrame([*numbers, *others(source)], columns=COLUMNS).astype({"n": "Int64", "rows": "Int64"})
    text = table.to_csv(sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    words = f"# Numbers of the second paper, {note}; source column: where they stand in it.\n"
    (output / "reported_perturbation.tsv").write_text(words + text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
