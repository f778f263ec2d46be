"""Figures of defects, optimism, calibration and epochs on made-up tables: marks in place, all on the page."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.reporting.figures import defects
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables.catalogue import columns_of
from support.figure_tables import BENCHMARKS, SENTENCE, write_tables
from support.figures import faults, laid_out, marks_of, words

ARMS = ("pretrained", "random")
MODELS = ["hyenadna", "caduceus", "mistral", "nt500m", "ntv2", "genalm", "dnabert2"]
WHAT = [
    (1, "checkpoint loaded in part, padding pooled", "biotype", 2),
    (2, "padding pooled", "finetune", 30),
    (3, "runs chosen on the test set", "finetune", 700),
    (4, "compared with the best of all random models", "finetune", 52),
    (5, "a share of the training rows against all", "lowdata", 16),
    (6, "sign of the log-likelihood ratio", "likelihood", 14),
    (7, "families split", "ancestry", 11),
    (8, "classes differ in length", "biotype", 7),
    (9, "classes differ in mutations (BRCA2, max)", "similarity", 7),
    (10, "similarities rounded (max, 1 mutations)", "sensitivity", 7),
    (11, "dependent tasks taken as independent (half width of the interval)", "finetune", 7),
    (12, "test rows near training rows", "finetune", 20),
]


@pytest.fixture(scope="module", params=[7, 2], ids=["full", "small"])
def tables(request, tmp_path_factory):
    suites = BENCHMARKS if request.param == 7 else ("gb",)
    directory = write_tables(tmp_path_factory.mktemp("defects") / "tables", models=request.param, suites=suites)
    rng, names = np.random.default_rng(0), MODELS[: request.param]
    rows = []
    for item, what, analysis, count in WHAT:
        for place in range(count):
            value = rng.normal(0.05, 0.1)
            shared = {"item": item, "what": what, "analysis": analysis, "task": f"t{place}", "metric": "mcc"}
            shared |= {"model": names[place % len(names)], "init": ARMS[place % 2], "difference": value}
            rows.append(shared | {"low": value - 0.08, "high": value + 0.08})
    pd.DataFrame(rows, columns=columns_of("defects")).to_csv(directory / "defects.csv", index=False)
    return read(directory, SENTENCE)


@pytest.mark.parametrize("name", ["defects", "optimism", "calibration", "epochs"])
def test_everything_fits_the_page(tables, name):
    figure = laid_out(getattr(defects, name)(tables))
    assert not faults(figure)
    assert not any(text.startswith("No ") for text in words(figure))


def test_marks_stand_where_the_tables_say(tables):
    look = tables.looks["hyenadna"]
    figure = defects.optimism(tables)
    rows = tables.extra("optimism").query("model == 'hyenadna'")
    for init in ARMS:
        expected = rows.loc[rows["init"] == init, "optimism"]
        assert sorted(marks_of(figure, look, init)[:, 0]) == sorted(expected) and len(expected) > 5
    figure = defects.epochs(tables)
    rows = tables.scored("epochs", plain=False).query("model == 'hyenadna' and patience.isna()")
    for init in ARMS:
        expected = rows.loc[rows["init"] == init, "value"]
        assert sorted(marks_of(figure, look, init)[:, 1]) == sorted(expected) and len(expected) == 4 * 3
    curve = marks_of(defects.calibration(tables), look, "pretrained")
    np.testing.assert_allclose(curve[:, 1], curve[:, 0] - 0.08)
    assert len(curve) == 10


def test_a_defect_says_its_median_and_the_intervals_that_exclude_zero(tables):
    figure = defects.defects(tables)
    rows = tables.extra("defects").query("item == 2")
    beyond = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    said = f"{rows['difference'].median():+.3f}".replace("-", "−") + f"; {beyond} of {len(rows)}"
    assert said in words(figure)


@pytest.mark.parametrize(
    ("content", "sentence"), [("a,b\n1,2\n", "no column item"), ("a\n1\n1,2\n3,4,5\n", "not a table")]
)
def test_a_broken_table_is_one_sentence(tables, content, sentence, tmp_path):
    (tmp_path / "defects.csv").write_text(content)
    with pytest.raises(UserError, match=sentence):
        defects.defects(replace(tables, directory=tmp_path))


def test_one_long_interval_does_not_squeeze_the_others(tables, tmp_path):
    """It ends in an arrow at the panel's edge; every difference stays in view."""
    rows = tables.extra("defects")
    rows.loc[rows.index[rows["item"] == 12][:1], ["difference", "low", "high"]] = 0.05, 0.0, 0.1
    rows.loc[rows.index[rows["item"] == 1][0], "high"] = 30.0
    rows.to_csv(tmp_path / "defects.csv", index=False)
    axes = defects.defects(replace(tables, directory=tmp_path)).axes[0]
    low, high = axes.get_xlim()
    assert low < rows["difference"].min() and rows["difference"].max() < high < 2
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == ">"].count(high) >= 1


def test_calibration_and_optimism_say_how_much_stands_behind_them(tables):
    for name in ("calibration", "optimism"):
        assert "n = " in getattr(defects, name)(tables).subfigs[2].get_label()
