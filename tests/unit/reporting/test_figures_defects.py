"""Figures of defects, optimism, calibration and epochs on made-up tables: marks in place, all on the page."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from foundationless.errors import UserError
from foundationless.reporting.figures import defects, style
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.paper.defects import DEFECTS
from support.figures import CARDS, STUDY, everything_fits, make_tables, marks, texts

ARMS = ("pretrained", "random")
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
    full = request.param == 7
    directory = make_tables(
        tmp_path_factory.mktemp("defects"), models=request.param, suites=("nt", "gue", "gb") if full else ("gb",)
    )
    rng = np.random.default_rng(0)
    names, tasks = (
        list(CARDS)[: request.param],
        pd.read_csv(directory / "tasks.csv").query("suite in ['nt', 'gue', 'gb']"),
    )
    identity = [
        {"analysis": "finetune", "task": task, "model": model, "init": init}
        for task, model, init in product(tasks["task"], names, ARMS)
    ]
    selections = pd.DataFrame(identity).assign(versus=None, metric="mcc", optimism=rng.gamma(1, 0.01, len(identity)))
    selections = selections.assign(low=selections["optimism"] - 0.01, high=selections["optimism"] + 0.01)
    selections.to_csv(directory / "optimism.csv", index=False)
    bins = pd.DataFrame([row | {"bin": place, "count": 20} for row in identity for place in range(7, 15)])
    bins = bins.assign(confidence=(bins["bin"] + 0.5) / 15, accuracy=(bins["bin"] + 0.5) / 15 - 0.1)
    bins.to_csv(directory / "calibration.csv", index=False)
    rows = []
    for item, what, analysis, count in WHAT:
        for place in range(count):
            value = rng.normal(0.05, 0.1)
            shared = {"item": item, "what": what, "analysis": analysis, "task": f"t{place}", "metric": "mcc"}
            shared |= {"model": names[place % len(names)], "init": ARMS[place % 2], "difference": value}
            rows.append(shared | {"low": value - 0.08, "high": value + 0.08})
    pd.DataFrame(rows, columns=DEFECTS).to_csv(directory / "defects.csv", index=False)
    scores = pd.read_csv(directory / "scores.csv")
    few = tasks["task"].tolist()[:4]
    base = scores[(scores["analysis"] == "finetune") & scores["task"].isin(few) & scores["model"].isin(names)]
    longer = [
        base.assign(analysis="epochs", task=base["task"] + f".ep{budget}", value=base["value"] + np.log10(budget) / 20)
        for budget in (3, 10, 30, 100)
    ]
    pd.concat([scores, *longer]).to_csv(directory / "scores.csv", index=False)
    return read(directory, STUDY)


@pytest.mark.parametrize("name", ["defects", "optimism", "calibration", "epochs"])
def test_everything_fits_the_page(tables, name):
    figure = getattr(defects, name)(tables)
    with style.sheet():
        FigureCanvasAgg(figure).draw()
    everything_fits(figure)
    assert figure.get_figheight() * 25.4 < 260
    assert not any(text.get_text().startswith("No ") for text in texts(figure))


def test_marks_stand_where_the_tables_say(tables):
    look = tables.looks["hyenadna"]
    figure = defects.optimism(tables)
    found = tables.extra("optimism").query("model == 'hyenadna'")
    assert marks(figure, look.marker, look.color) == marks(figure, look.marker, "white") == len(found) / 2
    figure = defects.epochs(tables)
    assert marks(figure, look.marker, look.color) == marks(figure, look.marker, "white") == 4 * 4
    figure = defects.calibration(tables)
    (curve,) = [
        line for line in figure.axes[0].lines
        if line.get_marker() == look.marker and line.get_markerfacecolor() == look.color
    ]  # fmt: skip
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata() - 0.1)


def test_a_defect_says_its_median_and_the_intervals_that_exclude_zero(tables):
    figure = defects.defects(tables)
    found = tables.extra("defects").query("item == 2")
    beyond = int(((found["low"] > 0) | (found["high"] < 0)).sum())
    words = f"{found['difference'].median():+.3f}".replace("-", "−") + f"; {beyond} of {len(found)}"
    assert words in [text.get_text() for text in texts(figure)]


@pytest.mark.parametrize(
    ("content", "words"), [("a,b\n1,2\n", "no column item"), ("a\n1\n1,2\n3,4,5\n", "not a table")]
)
def test_a_broken_table_is_one_sentence(tables, content, words, tmp_path):
    (tmp_path / "defects.csv").write_text(content)
    with pytest.raises(UserError, match=words):
        defects.defects(replace(tables, directory=tmp_path))


def test_one_long_interval_does_not_squeeze_the_others(tables, tmp_path):
    """It ends in an arrow at the panel's edge; every difference stays in view."""
    found = tables.extra("defects")
    found.loc[found.index[found["item"] == 12][:1], ["difference", "low", "high"]] = 0.05, 0.0, 0.1
    found.loc[found.index[found["item"] == 1][0], "high"] = 30.0
    found.to_csv(tmp_path / "defects.csv", index=False)
    axes = defects.defects(replace(tables, directory=tmp_path)).axes[0]
    low, high = axes.get_xlim()
    assert low < found["difference"].min() and found["difference"].max() < high < 2
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == ">"].count(high) >= 1


def test_calibration_and_optimism_say_how_much_stands_behind_them(tables):
    for name in ("calibration", "optimism"):
        assert "n = " in getattr(defects, name)(tables).subfigs[2].get_label()
