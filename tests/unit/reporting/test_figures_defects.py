"""Figures of defects, optimism, calibration and epochs on made-up tables: marks in place, all on the page."""

from dataclasses import replace

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.inputs import read
from support.figure_tables import SENTENCE
from support.figures import marks_of, words

ARMS = ("pretrained", "random")


@pytest.fixture(params=["full", "small"])
def tables(request):
    return read(request.getfixturevalue(request.param), SENTENCE)


def test_marks_stand_where_the_tables_say(tables):
    look = tables.looks["hyenadna"]
    figure = resolve("optimism")(tables)
    rows = tables.extra("optimism").query("model == 'hyenadna'")
    for init in ARMS:
        expected = rows.loc[rows["init"] == init, "optimism"]
        assert sorted(marks_of(figure, look, init)[:, 0]) == sorted(expected) and len(expected) > 5
    figure = resolve("epochs")(tables)
    rows = tables.scored("epochs", plain=False).query("model == 'hyenadna' and patience.isna()")
    for init in ARMS:
        expected = rows.loc[rows["init"] == init, "value"]
        assert sorted(marks_of(figure, look, init)[:, 1]) == sorted(expected) and len(expected) == 4 * 3
    curve = marks_of(resolve("calibration")(tables), look, "pretrained")[:10]  # those of analyses follow
    np.testing.assert_allclose(curve[:, 1], curve[:, 0] - 0.08)
    assert len(curve) == 10
    for name in ("calibration", "optimism"):
        assert "n = " in resolve(name)(tables).subfigs[2].get_label(), "how much stands behind it"


def test_a_defect_says_its_median_and_the_intervals_that_exclude_zero(tables):
    figure = resolve("defects")(tables)
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
        resolve("defects")(replace(tables, directory=tmp_path))


def test_one_long_interval_does_not_squeeze_the_others(tables, tmp_path):
    """It ends in an arrow at the panel's edge; every difference stays in view."""
    rows = tables.extra("defects")
    rows.loc[rows.index[rows["item"] == 12][:1], ["difference", "low", "high"]] = 0.05, 0.0, 0.1
    rows.loc[rows.index[rows["item"] == 1][0], "high"] = 30.0
    rows.to_csv(tmp_path / "defects.csv", index=False)
    axes = resolve("defects")(replace(tables, directory=tmp_path)).axes[0]
    low, high = axes.get_xlim()
    assert low < rows["difference"].min() and rows["difference"].max() < high < 2
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == ">"].count(high) >= 1
