"""The source data of the second paper (Ahlmann-Eltze, Huber and Anders 2025): its errors from its profiles, its means
from its rows, its kinds of interactions from its thresholds."""

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation.effects import measure
from foundationless.evaluation.effects.interactions import CLASSES, Null, classify, find

# L2 and Pearson delta of CEBPE+CEBPB in split 1 (Fig 1b), of the 1,000 genes that are highest in control.
EXAMPLE = {
    "additive_model": (4.660791, 0.927073), "geneformer": (2.850201, 0.927471), "gears": (6.458787, 0.626532),
    "scgpt": (7.059381, 0.531557), "no_change": (8.500116, np.nan), "cpa": (14.841815, 0.142062),
}  # fmt: skip
METHODS = {*EXAMPLE, "scbert", "uce", "scfoundation"}
# Means over 310 rows (62 doubles × 5 splits).
DOUBLES = {
    "additive_model": (2.766, 0.892), "geneformer": (3.478, 0.773), "gears": (4.096, 0.631), "scbert": (4.279, 0.610),
    "uce": (4.279, 0.610), "scgpt": (4.616, 0.527), "scfoundation": (4.722, 0.537), "no_change": (5.616, np.nan),
    "cpa": (12.205, 0.146),
}  # fmt: skip
# Means over 48, 262 and 413 rows of unseen singles (Fig 2a).
SINGLES = {
    "adamson": {"mean": (3.936, 0.724), "scgpt": (4.951, 0.595), "uce": (3.936, 0.724), "scbert": (3.878, 0.728),
                "geneformer": (3.908, 0.726), "gears": (3.867, 0.726)},
    "replogle_k562_essential": {"mean": (4.193, 0.408), "scgpt": (4.437, 0.316), "uce": (4.200, 0.409),
                                "scbert": (4.192, 0.408), "geneformer": (4.236, 0.404), "gears": (4.079, 0.388)},
    "replogle_rpe1_essential": {"mean": (5.534, 0.678), "scgpt": (5.991, 0.588), "uce": (5.507, 0.680),
                                "scbert": (5.528, 0.678), "geneformer": (5.494, 0.678), "gears": (6.113, 0.636)},
}  # fmt: skip
# Where gaps of labelled genes say that the thresholds of the study lie.
LOW, HIGH = (-0.2142, -0.2131), (0.2005, 0.2028)
KINDS = {"Additive": "additive", "Synergy": "synergistic", "Buffering": "buffering", "Other": "other"}


@pytest.fixture(scope="module")
def sheets(shared):
    def read(file, sheet):
        (path,) = (shared / "mirror").rglob(f"source_data/{file}.xlsx")
        return pd.read_excel(path, sheet_name=sheet)

    return read


def test_errors_of_all_nine_methods_follow_from_their_profiles(sheets):
    genes = sheets("perturbation_prediction", "Panel B").sort_values("expr_rank")
    assert set(genes["method"]) == METHODS
    for method, rows in genes.groupby("method"):
        observed, predicted = (
            rows[name].to_numpy() - rows["baseline"].to_numpy() for name in ("observed", "prediction")
        )
        found = measure(observed[None], predicted[None], np.zeros((1, len(rows))), [[]], 1000)
        assert len(rows) == 1000 and found["l2_top"] == found["l2"]
        assert found["l2"][0] == pytest.approx(rows["l2"].iloc[0], abs=5e-7)
        assert found["pearson_delta"][0] == pytest.approx(rows["r2_delta"].iloc[0], abs=5e-7, nan_ok=True)
        np.testing.assert_allclose(found["skill"], 1 - found["l2"] / np.linalg.norm(observed))
        if method in EXAMPLE:
            l2, pearson = EXAMPLE[method]
            assert found["l2"][0] == pytest.approx(l2, abs=5e-7)
            assert found["pearson_delta"][0] == pytest.approx(pearson, abs=5e-7, nan_ok=True)


def test_means_of_the_rows_of_doubles_are_those_of_the_study(sheets):
    rows = sheets("perturbation_prediction", "Panel A")
    means = rows.groupby("method")[["l2", "r2_delta"]].mean()
    assert set(means.index) == METHODS == set(DOUBLES) and (rows.groupby("method").size() == 310).all()
    for method, expected in DOUBLES.items():
        np.testing.assert_allclose(means.loc[method], expected, atol=5.1e-4)
    table = rows.pivot(index=["perturbation", "seed"], columns="method", values="l2")
    below = (table.lt(table["additive_model"], axis=0)).mean()
    assert below.round(2)[["geneformer", "gears", "scgpt", "scfoundation", "no_change", "cpa"]].tolist() == [
        0.27, 0.12, 0.10, 0.05, 0.06, 0.0,
    ]  # fmt: skip


def test_means_of_the_rows_of_singles_are_those_of_the_study(sheets):
    rows = sheets("single_perturbation_prediction", "Panel A")
    names = {name: next(key for key in SINGLES if key.split("_")[1:2] == name.split("_")[1:2]) for name in
             rows["dataset_name"].unique()}  # fmt: skip
    for name, part in rows.groupby("dataset_name"):
        sizes = part.groupby("method").size()
        assert sizes.nunique() == 1 and sizes.iloc[0] in (48, 262, 413)
        means = part.groupby("method")[["l2", "r2_delta"]].mean()
        for method, expected in SINGLES[names[name]].items():
            (found,) = (each for each in means.index if each.replace("_perturbed", "").startswith(method))
            np.testing.assert_allclose(means.loc[found], expected, atol=5.1e-4)


@pytest.mark.parametrize(
    ("file", "sheet"), [("perturbation_prediction", "Panel F"), ("suppl-top_gene_plots", "Sheet1")]
)
def test_kinds_of_interactions_are_those_of_the_study(sheets, file, sheet):
    """Between the limits that labelled genes leave the thresholds, every label is found again; `other` needs to know
    whether both singles move the gene the same way, which the study tells of some."""
    rows = sheets(file, sheet)
    null = Null(np.nan, np.nan, np.nan, np.mean(LOW), np.mean(HIGH))
    gaps = rows["obs_minus_add"].to_numpy()
    labels = rows["interaction_label"].map(KINDS)
    np.testing.assert_array_equal(find(gaps, null), labels != "additive")
    beyond = np.abs(gaps[labels != "additive"])
    assert beyond.min() > HIGH[0] and not ((gaps > LOW[0]) & (gaps < LOW[1]) & (labels != "additive")).any()
    changes, additive = (rows[name] - rows["baseline"] for name in ("ground_truth", "ref"))
    alike = rows.get("pert_same_dir", labels != "other")
    found = np.asarray(CLASSES)[classify(changes, additive, null, alike.to_numpy())]
    np.testing.assert_array_equal(found, labels)
