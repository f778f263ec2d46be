"""Figures of frozen features on made-up tables: every arm at its number, null bars, maps, and nothing off the page."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from foundationless.reporting.figures import probing, resolve, style
from foundationless.reporting.figures.inputs import read
from support.figure_tables import SENTENCE, write_tables
from support.figures import faults, laid_out, panels

FIGURES = ("fewshot", "probing", "clustering", "maps")


@pytest.fixture(scope="module", params=[7, 1])
def tables(request, full, tmp_path_factory):
    if request.param == 7:
        return read(full, SENTENCE)
    return read(write_tables(tmp_path_factory.mktemp("one") / "tables", models=1, suites=("gb",)), SENTENCE)


@pytest.mark.parametrize("name", FIGURES)
def test_everything_fits_the_page(tables, name):
    assert not faults(laid_out(resolve(name)(tables)))


def test_few_shots_are_means_over_draws(tables):
    task, model = "gue_emp_H3", tables.order(tables.own(tables.scored("fewshot", plain=False))["model"])[0]
    with style.sheet():
        figure = probing.fewshot(tables)
    (panel,) = [axes for axes in panels(figure) if axes.get_title(loc="left") == tables.task_label(task)]
    every = tables.scores[(tables.scores["analysis"] == "fewshot") & (tables.scores["base_task"] == task)]
    rows = every[(every["model"] == model) & (every["init"] == "random")]
    means = rows.groupby("shots")["value"].mean()
    assert len(rows) > len(means) == 3
    lines = [line for line in panel.lines if len(line.get_ydata()) == len(means)]
    assert any(np.allclose(line.get_ydata(), means) for line in lines)
    assert len(lines) == len(every[["model", "init"]].drop_duplicates())  # both arms of every model, and baselines


def test_curves_of_draws_areas_and_recalls_stand_at_their_numbers(tables):
    table = tables.extra("fewshot")
    task, model = tables.task_names(table["task"])[0], tables.order(tables.own(table)["model"])[0]
    figure, own = resolve("fewshot")(tables), table[(table["task"] == task) & (table["model"] == model)]
    mine = own[(own["init"] == "random") & own["versus"].isna()]
    titles = {axes.get_title(loc="left"): axes for axes in panels(figure)}
    beside = []
    for analysis, way in (("fewshot", "frozen"), ("fewshot_finetune", "fine-tuned")):
        panel = titles[f"{tables.task_label(task)}, {way}"]
        curve = mine[(mine["analysis"] == analysis) & (mine["measure"] == "score")]
        assert any(np.array_equal(line.get_ydata(), curve["value"]) for line in panel.lines)
        bands = [band.get_paths()[0].vertices[:, 1].max() for band in panel.collections]
        assert any(np.isclose(band, curve["high"].max()) for band in bands)
        beside.append(panel.get_ylim())
    assert beside[0] == beside[1], "both are read against one scale"
    drawn = {float(value) for axes in panels(figure) for line in axes.lines for value in np.ravel(line.get_xdata())}
    listed = own[(own["measure"] == "area") | (own["metric"] == "recall_fpr05")]
    assert set(listed.loc[listed["init"].eq("pretrained") | listed["versus"].isna(), "value"]) <= drawn


def test_probes_show_every_run_and_frame_the_chosen(tables):
    figure = resolve("probing")(tables)
    heats = [axes for axes in panels(figure) if axes.images and len(axes.get_xticks()) == 12]
    assert heats
    for axes in heats:
        titles = {f"{tables.task_label(task)} ({analysis})": (analysis, task)
                  for analysis, task in tables.records[["analysis", "task"]].drop_duplicates().to_numpy()}  # fmt: skip
        analysis, task = titles[axes.get_title(loc="left")]
        runs = tables.records[(tables.records["task"] == task) & (tables.records["analysis"] == analysis)]
        runs = tables.own(runs[runs["selection"] == "run"])
        table = np.asarray(axes.images[0].get_array())
        arms = len(runs[["model", "init"]].drop_duplicates())
        assert table.shape == (arms, 12) and len(axes.patches) == arms > 1
        some = runs[(runs["model"] == "hyenadna") & (runs["init"] == "pretrained") & (runs["run"] == "logistic_mean")]
        assert table[0, 6] == pytest.approx(some["value"].mean())


def test_maps_show_every_arm_and_null_bars_lie_under_the_dots(tables):
    figure = resolve("clustering")(tables)
    maps = [axes for axes in panels(figure) if any(isinstance(part, PathCollection) for part in axes.collections)]
    models = tables.scored("clustering")["model"].nunique()
    assert len(maps) == 2 * 2 * models
    assert maps[0].get_xlabel() == "PC1 (20 %)"
    assert maps[0].get_title(loc="left") == tables.looks["hyenadna"].label
    assert all(len(axes.collections[0].get_offsets()) <= probing.MOST_POINTS for axes in maps)
    assert (tables.maps.groupby(["task", "model", "init"]).size() > probing.MOST_POINTS).all()
    nulls = [axes for axes in panels(figure) if axes.get_xlabel() in probing.CLUSTER_METRICS.values()]
    assert len(nulls) == 2 * 4 and all(axes.collections[-1].get_zorder() < 3 for axes in nulls)


def test_both_maps_are_drawn_with_their_trust_and_old_results_show_components_alone(tables):
    figure = resolve("maps")(tables)
    drawn = [axes for axes in panels(figure) if any(isinstance(part, PathCollection) for part in axes.collections)]
    arms = tables.maps.groupby(["task", "model", "init"]).ngroups
    assert 4 <= len(drawn) <= 2 * arms and len(drawn) % 4 == 0
    assert {axes.get_xlabel() for axes in drawn} == {"trustworthiness 0.71"}
    first, second = (axes.collections[0].get_offsets() for axes in drawn[:2])
    np.testing.assert_allclose(first[:, ::-1] * 9, second, rtol=1e-6)
    assert "a picture and no test" in figure.subfigs[-1].get_label()
    old = replace(tables, maps=tables.maps.assign(tsne_x=np.nan, tsne_y=np.nan))
    figure = resolve("maps")(old)
    again = [axes for axes in panels(figure) if any(isinstance(part, PathCollection) for part in axes.collections)]
    assert len(again) == len(drawn) // 2 and "principal components alone" in figure.subfigs[-1].get_label()
