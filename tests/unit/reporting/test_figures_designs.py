"""The figure of power against cost: every design where its numbers are, none above the line, one ring."""

import numpy as np
import pandas as pd
import pytest

from foundationless.reporting.figures.designs import power_by_cost
from foundationless.reporting.figures.style import sheet


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    rows = [
        {"tasks": tasks, "families": 3, "seeds": seeds, "items": 0, "search": "full", "cpu_hours": 3.0}
        | {"gpu_hours": float(tasks * seeds), "wall_hours": 1.0}
        | dict(zip(("equivalent", "better", "equivalent_like", "better_like"), rng.random(4), strict=True))
        for tasks in (4, 8)
        for seeds in (3, 5, 10)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("unit", ["gpu_hours", "cpu_hours"])
def test_designs_stand_where_their_numbers_are(table, unit):
    if unit == "cpu_hours":
        table = table.assign(cpu_hours=table["gpu_hours"] * 2, gpu_hours=0.0)
    with sheet():
        figure = power_by_cost(table, table.iloc[2], 0.03, "Assumed.")
    panels = [axes for axes in figure.get_axes() if axes.get_title(loc="left")]
    named = dict(zip((axes.get_title(loc="left") for axes in panels), panels, strict=True))
    columns = {
        "equivalent, these tasks": "equivalent", "better, these tasks": "better",
        "equivalent, tasks like these": "equivalent_like", "better, tasks like these": "better_like",
    }  # fmt: skip
    assert set(named) == set(columns)
    for title, axes in named.items():
        points = axes.collections[0].get_offsets().data
        wanted = table[[unit, columns[title]]].sort_values([unit, columns[title]]).to_numpy()
        assert points == pytest.approx(wanted), title
        most, ring = axes.lines[0], axes.lines[1]
        assert np.all(np.diff(most.get_ydata()) >= 0) and np.all(most.get_ydata() >= points[:, 1])
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == tuple(table.iloc[2][[unit, columns[title]]])
        sizes = axes.collections[0].get_sizes()
        assert len(set(sizes)) == 2 and axes.get_xscale() == "log", "two numbers of tasks"
    words = " ".join(str(part.get_label()) for part in figure.subfigs)
    assert "6 designs" in words and "Assumed." in words and "+0.03" in words
    shown = " ".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))
    assert {"gpu_hours": "GPU-hours", "cpu_hours": "CPU core-hours"}[unit] in shown
