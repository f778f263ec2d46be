"""Figures of variation: maps of substitutions where the table says, and sensitivities as they are and centred."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from foundationless.errors import UserError
from foundationless.reporting.figures import style, variation
from foundationless.reporting.figures.inputs import Tables, read
from foundationless.reporting.figures.mutagenesis import POSITIONS, mutagenesis
from foundationless.reporting.tables.collect import collect
from foundationless.reporting.tables.inputs import Inputs, read_substitutions
from support.figures import STUDY, everything_fits, make_tables, texts


def maps(models, length=200, told=150, likelihood=True, seed=0) -> pd.DataFrame:
    """Substitutions of one window; those of 10 positions from `told` on are labelled."""
    rng = np.random.default_rng(3)
    text = rng.choice(list("ACGT"), length)
    rows = []
    for model in models:
        for init in ("pretrained", "random"):
            for place, ref in enumerate(text):
                for alt in "ACGT".replace(ref, ""):
                    label = ("pathogenic" if place % 2 else "benign") if told <= place < told + 10 else None
                    llr = rng.normal() if likelihood else np.nan
                    name = f"w:{place + 1}:{ref}:{alt}"
                    rows.append(("BRCA2", model, init, seed, "w", name, place, ref, alt, label, rng.random(), llr))
    columns = ["task", "model", "init", "seed", "window", "id", "position", "ref", "alt", "label", "shift_max", "llr"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp("tables"), suites=("gb",))


def with_maps(directory, frame, **scores) -> Tables:
    tables = read(directory, STUDY)
    if scores:
        rows = [
            {"analysis": "mutagenesis", "task": "BRCA2", "model": m, "init": i, "window": "all", "value": v} | scores
            for m in frame["model"].unique()
            for i, v in (("pretrained", 0.83), ("random", 0.47))
        ]
        object.__setattr__(tables, "scores", pd.concat([tables.scores, pd.DataFrame(rows)]))
    object.__setattr__(tables, "substitutions", frame)
    return tables


def draw(figure):
    with style.sheet():
        FigureCanvasAgg(figure).draw()
    return figure


MODELS = ["hyenadna", "caduceus", "mistral", "nt500m", "ntv2", "gena_lm", "dnabert2"]


@pytest.mark.parametrize("count", [1, 7])
def test_maps_fit_the_page(directory, count):
    tables = with_maps(directory, maps(MODELS[:count]), metric="auroc", measure="llr")
    figure = draw(mutagenesis(tables))
    everything_fits(figure)
    assert figure.get_figheight() * 25.4 < 260
    said = [text.get_text() for text in texts(figure)]
    assert "HyenaDNA · pretrained · AUROC 0.83" in said and "HyenaDNA · random · AUROC 0.47" in said


def test_pixels_are_the_numbers_of_the_table(directory):
    frame = maps(MODELS[:2])
    figure = mutagenesis(with_maps(directory, frame))
    panels = [axes for part in figure.subfigs for axes in part.axes if axes.images]
    assert len(panels) == 2 * 2 * 2  # models, arms, measures
    order = [(m, i, c) for m in MODELS[:2] for i in ("pretrained", "random") for c in ("shift_max", "llr")]
    for axes, (model, init, column) in zip(panels, order, strict=True):
        image = axes.images[0].get_array().filled(np.nan)
        left, right, *_ = axes.images[0].get_extent()
        assert image.shape == (4, POSITIONS) and right - left == POSITIONS
        start = round(left - 0.5)
        assert start <= 150 and start + POSITIONS >= 160  # all labelled positions are in view
        own = frame[(frame["model"] == model) & (frame["init"] == init)].set_index(["position", "alt"])
        for place in (start, start + 17, start + POSITIONS - 1):
            for row, base in enumerate("ACGT"):
                if (place, base) in own.index:
                    expected = own.loc[(place, base), column] * (-1 if column == "llr" else 1)
                    assert image[row, place - start] == pytest.approx(expected)
                else:
                    assert np.isnan(image[row, place - start])
        low, high = axes.images[0].get_clim()
        assert low == -high  # white is zero


def test_short_windows_and_models_without_likelihood_have_one_column(directory):
    figure = draw(mutagenesis(with_maps(directory, maps(MODELS[:1], length=30, told=90, likelihood=False))))
    panels = [axes for part in figure.subfigs for axes in part.axes if axes.images]
    assert len(panels) == 2 and panels[0].images[0].get_array().shape == (4, 30)
    everything_fits(figure)


def test_no_maps_are_a_sentence(directory):
    for frame in (pd.DataFrame(), maps(["hyenadna"]).iloc[:0]):
        figure = draw(mutagenesis(with_maps(directory, frame)))
        assert any(text.get_text().startswith("No maps") for text in texts(figure))


def test_collected_maps_are_those_of_the_first_window(tmp_path):
    frame = pd.concat([maps(["hyenadna"]), maps(["hyenadna"]).assign(window="v")])
    frame.to_parquet(tmp_path / "p.parquet")
    empty = pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"])
    tasks = pd.DataFrame([{"task": "BRCA2", "suite": "v", "suite_label": "V", "group": "g", "label": "BRCA2"}])
    models = {"hyenadna": {"label": "HyenaDNA", "tokenizer_class": "character", "order": 0, "kind": "model"}}
    maps_of = [read_substitutions(tmp_path / "p.parquet")]
    inputs = Inputs(empty, empty.assign(versus="", delta=0.0), empty, tasks, models, 0.02, substitutions=maps_of)
    collect(tmp_path / "tables", inputs)
    found = read(tmp_path / "tables").substitutions
    assert set(found["window"]) == {"w"} and len(found) == 2 * 600
    everything_fits(draw(mutagenesis(read(tmp_path / "tables"))))
    frame.drop(columns="llr").to_parquet(tmp_path / "p.parquet")
    with pytest.raises(UserError, match="no column llr"):
        read_substitutions(tmp_path / "p.parquet")


def test_sensitivity_shows_raw_and_centred_and_not_the_rounding(tmp_path):
    directory = make_tables(tmp_path, models=3, suites=("gb",))
    tables = read(directory, STUDY)
    rows = tables.scores[tables.scores["analysis"] == "sensitivity"]
    others = tables.scores[tables.scores["analysis"] != "sensitivity"]
    shifted = [
        rows.assign(condition="raw"),
        rows.assign(condition="centred", value=rows["value"] - 0.7),
        rows.assign(condition="rounded", value=7.0),
        rows.assign(condition="raw", metric="identical", value=8.0),
    ]
    object.__setattr__(tables, "scores", pd.concat([others, *shifted]))
    figure = draw(variation.sensitivity_ancestry(tables))
    everything_fits(figure)
    assert figure.get_figheight() * 25.4 < 260
    lines = [line for axes in everything(figure) for line in axes.lines if axes.get_xscale() == "log"]
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    assert values.max() <= 1 and values.min() < 0.3
    once = draw(variation.sensitivity_ancestry(read(directory, STUDY)))
    assert 2 * sum(axes.get_xscale() == "log" for axes in everything(once)) == sum(
        axes.get_xscale() == "log" for axes in everything(figure)
    )
    assert any("Cosine, centred" in text.get_text() for text in texts(figure))
    assert not any("Cosine, centred" in text.get_text() for text in texts(once))


def everything(figure):
    found = list(figure.axes)
    for part in figure.subfigs:
        found += [axes for axes in everything(part) if axes not in found]
    return found
