"""The example of the paper's Fig. 1b, gene by gene in its source data: errors of all nine methods to 6 decimals."""

import pandas as pd
import pytest

from foundationless.evaluation.effects import measure

REPORTED = {  # L2 and Pearson delta; of no change there is none
    "additive_model": (4.660791, 0.927073),
    "geneformer": (2.850201, 0.927471),
    "gears": (6.458787, 0.626532),
    "scgpt": (7.059381, 0.531557),
    "no_change": (8.500116, None),
    "cpa": (14.841815, 0.142062),
}


@pytest.fixture(scope="module")
def panel(mirror):
    return pd.read_excel(mirror("perturbation_source_perturbation_prediction"), sheet_name="Panel B")


def test_errors_of_all_nine_methods(panel):
    assert panel["method"].nunique() == 9
    for method, rows in panel.groupby("method"):
        assert len(rows) == 1000
        observed, predicted = (rows[name] - rows["baseline"] for name in ("observed", "prediction"))
        profiles = ([observed.to_numpy()], [predicted.to_numpy()], [observed.to_numpy() * 0])
        found = measure(*profiles, targets=[[]], top=1000)
        l2, delta = found["l2"][0], found["pearson_delta"][0]
        assert l2 == pytest.approx(rows["l2"].iloc[0], abs=5e-7)
        assert found["l2_top"][0] == l2
        if method != "no_change":
            assert delta == pytest.approx(rows["r2_delta"].iloc[0], abs=5e-7)
        if method in REPORTED:
            expected, correlation = REPORTED[method]
            assert l2 == pytest.approx(expected, abs=6e-7)
            assert correlation is None or delta == pytest.approx(correlation, abs=6e-7)
