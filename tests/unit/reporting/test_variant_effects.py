"""The figure of variant effects on tables whose truth is planted: a probe rises where the likelihood ratio falls."""

import shutil

import pandas as pd
import pytest

from foundationless.reporting.figures.inputs import read
from foundationless.reporting.figures.variant_effects import variant_effects
from support.figure_tables import SENTENCE
from support.figures import faults, laid_out, panels, words

SIZES = {"ntv2": 55_904_972, "ntv2.w128": 97_889_132, "ntv2.w256": 235_120_780}
SLOPES = {("pretrained", "probe"): 0.07, ("pretrained", "llr"): -0.07, ("random", "probe"): 0, ("random", "llr"): 0}


@pytest.fixture(scope="module")
def grown(full, tmp_path_factory):
    """Tables in which one model has three sizes, the same with another tokenizer beside it."""
    directory = tmp_path_factory.mktemp("grown") / "tables"
    shutil.copytree(full, directory)
    table = pd.read_csv(directory / "variant_scores.csv")
    base = table[table["model"] == "ntv2"]
    others = table[~table["model"].isin(SIZES)]
    table = pd.concat([others, *(base.assign(model=name, parameters=size) for name, size in SIZES.items())])
    table = table.reset_index(drop=True)
    step = table["model"].map({name: at for at, name in enumerate(SIZES)})
    for (init, kind), slope in SLOPES.items():
        mine = step.notna() & (table["init"] == init) & table["scored_by"].str.startswith(kind)
        table.loc[mine, "auroc_within"] = 0.6 + slope * step[mine]
    table = table.assign(auroc_within_low=table["auroc_within"] - 0.03, auroc_within_high=table["auroc_within"] + 0.03)
    table.to_csv(directory / "variant_scores.csv", index=False)
    return directory


def test_a_family_of_several_sizes_has_its_lines_in_a_panel_of_their_own(grown):
    figure = laid_out(variant_effects(read(grown, SENTENCE)))
    assert not faults(figure)
    lower = [axes for axes in panels(figure) if axes.get_xlabel() == "Parameters"]
    assert lower
    for axes in lower:
        lines = [line for line in axes.get_lines() if len(line.get_xdata()) == len(SIZES)]
        drawn = sorted(tuple(round(value - line.get_ydata()[0], 6) for value in line.get_ydata()) for line in lines)
        assert drawn == sorted((0, round(slope, 6), round(2 * slope, 6)) for slope in SLOPES.values())
        assert all(list(line.get_xdata()) == list(SIZES.values()) for line in lines)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["55.9 M", "235 M"]
    assert any("a has one size of each" in text for text in words(figure))
