"""The leakage figure: bars as long as the audits say, marks where the differences are, missing audits named."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle

from foundationless.reporting import figures
from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.figures.leakage import DUPLICATE, NEAR
from support.figures import CARDS, everything_fits, make_tables, marks, texts


def add_audits(directory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write audits.csv and leakage.csv beside the tables, as `collect_tables` does; both frames."""
    generator = np.random.default_rng(0)
    scores = pd.read_csv(directory / "scores.csv")
    plain = scores[(scores["analysis"] == "finetune") & ~scores["task"].str.contains(".", regex=False)]
    audits, effects = [], []
    for number, task in enumerate(plain["task"].unique()):
        near = 0.0 if number % 3 == 0 else float(generator.uniform(0, 1))
        for split, against in (("test", "train"), ("test", "earlier"), ("validation", "earlier")):
            audits.append({"task": task, "split": split, "against": against, "rows": 1000, "near_share": near}
                          | {"duplicate_share": near / 3})  # fmt: skip
        for row in plain[plain["task"] == task].to_dict("records"):
            delta = float(generator.normal(near / 20, 0.01))
            effects += [
                {key: row[key] for key in ("analysis", "task", "model", "init", "metric")}
                | {"selection": selection, "n_all": 1000, "n_distant": round(1000 * (1 - near)), "delta": delta}
                | {"low": delta - 0.01, "high": delta + 0.01}
                for selection in ("validation", "test")
            ]
    frames = pd.DataFrame(audits), pd.DataFrame(effects)
    for name, frame in zip(("audits", "leakage"), frames, strict=True):
        frame.to_csv(directory / f"{name}.csv", index=False)
    return frames


def draw(directory):
    figure = figures._drawings()["leakage"](read(directory, "Synthetic tables of the tests."))
    with style.sheet():
        FigureCanvasAgg(figure).draw()
    return figure


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    directory = make_tables(tmp_path_factory.mktemp("full"))
    return directory, *add_audits(directory)


def test_full_size_fits_and_shows_every_audit(full):
    directory, audits, effects = full
    figure = draw(directory)
    everything_fits(figure)
    assert figure.get_figheight() * 25.4 < 260
    shown = audits[(audits["split"] == "test") & (audits["against"] == "earlier")]
    for color, column in ((NEAR, "near_share"), (DUPLICATE, "duplicate_share")):
        bars = [bar for bar in figure.subfigs[1].findobj(Rectangle) if bar.get_facecolor()[:3] == _rgb(color)]
        assert sorted(bar.get_width() for bar in bars) == pytest.approx(sorted(100 * shown[column]))
    # One mark per model and arm where something is left out, under one of the two selections.
    look = read(directory).looks["hyenadna"]
    leaky = effects[(effects["n_distant"] < effects["n_all"]) & (effects["selection"] == "validation")]
    own = leaky[leaky["model"] == "hyenadna"]
    top, below = figure.subfigs[1].subfigs
    assert marks(top, look.marker, look.color) + marks(top, look.marker, "white") == len(own) > 50
    # Below, every task at its share: the paired difference of the model, as comparisons.csv has it.
    (line,) = [line for line in below.axes[1].lines if line.get_color() == look.color and len(line.get_xdata()) > 2]
    pairs = read(directory).comparisons.query("analysis == 'finetune' and versus == 'random' and model == 'hyenadna'")
    pairs = pairs[pairs["task"].isin(shown["task"])]
    shares = 100 * pairs["task"].map(shown.set_index("task")["near_share"])
    found = sorted(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert np.array(found) == pytest.approx(np.array(sorted(zip(shares, pairs["delta"], strict=True))))
    assert marks(figure, "|") == (~leaky["model"].isin(CARDS)).sum()


def _rgb(color):
    return pytest.approx(tuple(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)))


def test_small_study(tmp_path):
    directory = make_tables(tmp_path, models=2, suites=("gb",))
    add_audits(directory)
    everything_fits(draw(directory))


def test_missing_audits_are_named(tmp_path):
    directory = make_tables(tmp_path, models=1, suites=("gb",))
    (directory / "audits.csv").write_text("task,split,against,rows\n")
    (directory / "leakage.csv").unlink(missing_ok=True)
    assert any("No audits of tasks" in text.get_text() for text in texts(draw(directory)))
