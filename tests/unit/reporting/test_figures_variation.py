"""Figures of variation: maps of substitutions where the table says, and sensitivities as they are and centred."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.inputs import Tables, read
from foundationless.reporting.figures.mutagenesis import POSITIONS
from support.figure_tables import SENTENCE, substitutions
from support.figures import faults, laid_out, panels, words


def with_maps(full, frame, **scores) -> Tables:
    tables = replace(read(full, SENTENCE), substitutions=frame)
    if not scores:
        return tables
    rows = [
        {"analysis": "mutagenesis", "task": "clinvar_BRCA2", "model": m, "init": i, "window": "all", "value": v}
        | scores
        for m in frame["model"].unique()
        for i, v in (("pretrained", 0.83), ("random", 0.47))
    ]
    return replace(tables, scores=pd.concat([tables.scores, add_name_parts(pd.DataFrame(rows))]))


MODELS = ["hyenadna", "caduceus", "mistral", "nt500m", "ntv2", "genalm", "dnabert2"]


@pytest.mark.parametrize("count", [1, 7])
def test_maps_fit_the_page(full, count):
    tables = with_maps(full, substitutions("clinvar_BRCA2", MODELS[:count]), metric="auroc", measure="llr")
    figure = laid_out(resolve("mutagenesis")(tables))
    assert not faults(figure)
    label = tables.looks["hyenadna"].label
    assert {f"{label} · pretrained · AUROC 0.83", f"{label} · random · AUROC 0.47"} <= set(words(figure))


def test_pixels_are_the_numbers_of_the_table(full):
    frame = substitutions("clinvar_BRCA2", MODELS[:2])
    figure = resolve("mutagenesis")(with_maps(full, frame))
    heats = [axes for axes in panels(figure) if axes.images]
    assert len(heats) == 2 * 2 * 2  # models, arms, measures
    order = [(m, i, c) for m in MODELS[:2] for i in ("pretrained", "random") for c in ("shift_max", "llr")]
    for axes, (model, init, column) in zip(heats, order, strict=True):
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


def test_short_windows_and_models_without_likelihood_have_one_column(full):
    figure = laid_out(
        resolve("mutagenesis")(
            with_maps(full, substitutions("clinvar_BRCA2", MODELS[:1], length=30, told=90, likelihood=False))
        )
    )
    heats = [axes for axes in panels(figure) if axes.images]
    assert len(heats) == 2 and heats[0].images[0].get_array().shape == (4, 30)
    assert not faults(figure)


def test_sensitivity_shows_raw_and_centred_and_not_the_rounding(full):
    tables = read(full, SENTENCE)
    rows = tables.scores[tables.scores["analysis"] == "sensitivity"]
    raw = rows[rows["condition"] == "raw"]
    others = tables.scores[tables.scores["analysis"] != "sensitivity"]
    shifted = [
        raw,
        raw.assign(condition="centred", value=raw["value"] - 0.7),
        raw.assign(condition="rounded", value=7.0),
        raw.assign(metric="identical", value=8.0),
    ]
    figure = laid_out(resolve("figure_06_sensitivity_ancestry")(replace(tables, scores=pd.concat([others, *shifted]))))
    assert not faults(figure)
    curves = [axes for axes in panels(figure) if axes.get_xscale() == "log"]
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for axes in curves for line in axes.lines])
    assert values.max() <= 1 and values.min() < 0.3
    once = laid_out(resolve("figure_06_sensitivity_ancestry")(replace(tables, scores=pd.concat([others, raw]))))
    assert 2 * sum(axes.get_xscale() == "log" for axes in panels(once)) == len(curves)
    assert any("Cosine, centred" in text for text in words(figure))
    assert not any("Cosine, centred" in text for text in words(once))
