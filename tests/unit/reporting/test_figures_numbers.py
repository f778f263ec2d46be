"""Marks of figures stand where the tables say, ours and the paper's: benchmarks, widths, verdict, ranks, reported."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import read
from support.figure_tables import change_tables
from support.figures import faults, marks_of, points, words


def shown(frame, analysis, model="hyenadna", **columns):
    """Scores of an analysis of one model."""
    rows = frame.scores[(frame.scores["analysis"] == analysis) & (frame.scores["model"] == model)]
    for column, value in columns.items():
        rows = rows[rows[column] == value]
    return rows


def test_points_are_as_many_as_scores(full, drawn):
    frame = read(full)
    look = frame.looks["hyenadna"]
    gue = frame.tasks.loc[frame.tasks["suite"] == "gue", "task"]
    figure = drawn("figure_09_gue", full)
    for init in ("pretrained", "random"):
        expected = shown(frame, "finetune", init=init)
        expected = expected.loc[expected["task"].isin(gue), "value"]
        assert sorted(marks_of(figure, look, init)[:, 0]) == sorted(expected) and len(expected) == 28
    finetuned = frame.scored("finetune")
    grey = finetuned[finetuned["task"].isin(gue) & finetuned["model"].isin(frame.baselines)]
    panels = frame.own(finetuned[finetuned["task"].isin(gue)])["model"].nunique()
    assert len(points(figure, "|")) == len(grey) * panels > 0
    assert len(marks_of(drawn("figure_07_best_random", full), look, "pretrained")) == 52
    figure = drawn("figure_04_width_random", full)
    widths = frame.scores[frame.scores["model"].isin([f"hyenadna.char.w{2**i}" for i in range(6, 13)])]
    assert sorted(marks_of(figure, look, "random")[:, 1]) == sorted(widths["value"]) and len(widths) == 7
    assert len(marks_of(figure, look, "pretrained")) == 0


def test_low_data_are_means_over_draws_at_every_share(full, drawn):
    frame = read(full)
    look = frame.looks["ntv2"]
    rows = shown(frame, "lowdata", "ntv2", init="pretrained")
    rows = rows[rows["percent"].notna()]
    means = rows.groupby(["base_task", "percent"])["value"].mean()
    whole = shown(frame, "finetune", "ntv2", init="pretrained")
    whole = whole.loc[whole["task"].isin(rows["base_task"]), "value"]
    marks = marks_of(drawn("figure_03_low_data", full), look, "pretrained")
    assert sorted(marks[:, 1]) == pytest.approx(sorted([*means, *whole])) and len(means) > len(whole) > 3


def test_the_forest_has_a_row_per_model_and_family_and_a_panel_per_scope(full, drawn):
    frame = read(full)
    look = frame.looks["hyenadna"]
    across = frame.across[frame.across["suite"] == "all"].set_index(["scope", "versus", "model"])["delta"]
    families = frame.families.set_index(["scope", "versus", "model"])["delta"]
    axes = drawn("verdict_forest", full).subfigs[1].axes
    shown = [
        [line.get_xdata()[0] for line in panel.lines if line.get_marker() == look.marker and
         line.get_color() == look.color]
        for panel in axes
    ]  # fmt: skip
    expected = [
        [across["these", "random", "hyenadna"], *families["these", "random", "hyenadna"]],
        [across["like-these", "random", "hyenadna"]],
        *([across[scope, "baseline", "hyenadna"]] for scope in ("these", "like-these")),
    ]
    assert shown == expected and len(expected[0]) > 6


def test_the_forest_says_every_word_and_what_keeps_from_one(full, tmp_path, drawn):
    """Fewer seeds, nothing learned and choices on an edge are on the page."""

    def change(rows):
        if not {"model", "scope", "verdict", "p_tost"} <= set(rows):
            return rows
        words = {"hyenadna": "one seed", "caduceus": "not learned"}
        return rows.assign(verdict=rows["model"].map(words).fillna(rows["verdict"]), mde=9.0)

    directory = change_tables(full, tmp_path / "tables", change)
    choice = {"analysis": "finetune", "task": "nt_H3", "init": "random", "what": "learning_rate", "chosen": True}
    edges = [choice | {"model": model, "edge": edge, "split": "validation"}
             for model, edge in (("ntv2", "high"), ("mistral", ""))]  # fmt: skip
    pd.DataFrame(edges).to_csv(directory / "selections.csv", index=False)
    figure = drawn("verdict_forest", directory)
    said = words(figure)
    assert {"one seed", "not learned"} <= set(said)
    assert [text for text in said if text.endswith("†")] == [f"{read(full).looks['ntv2'].label} †"]
    caption = " ".join(figure.subfigs[2].get_label().split())
    assert "NTv2-50M 1 of 1" in caption and "no difference at all" in caption
    assert not faults(figure)


def test_the_band_of_a_row_is_the_margin_of_its_metrics(full, drawn):
    frame = read(full)
    panel = drawn("verdict_forest", full).subfigs[1].axes[0]
    grey = colors.to_rgb(style.BAND)[0]
    filled = [band for band in panel.collections if len(band.get_facecolor()) and band.get_facecolor()[0][0] == grey]
    bands = sorted(round(float(band.get_paths()[0].get_extents().x1), 6) for band in filled)
    rows = pd.concat([frame.across[frame.across["suite"] == "all"], frame.families])
    rows = rows[(rows["versus"] == "random") & (rows["scope"] == "these")]
    assert bands == sorted(rows["margin"].round(6)) and len(set(bands)) > 2


def test_the_full_study_has_the_papers_numbers_beside_ours(full, drawn):
    frame = read(full)
    reported = frame.extra("reported_comparison")
    nt = reported[reported["task"].isin(frame.tasks.loc[frame.tasks["suite"] == "nt", "task"])]
    nt = nt[nt["experiment"] == "nt_finetune"]
    figure = drawn("figure_08_nt", full)
    for arm, marker in style.PAPER_MARKS.items():
        assert sorted(points(figure, marker)[:, 0]) == sorted(nt.loc[nt["arm"] == arm, "reported"])
    paired = nt.pivot_table(index="task", columns=["model", "arm"], values="reported")
    crosses = points(drawn("figure_07_best_random", full), "x")[:, 0]
    best = paired.xs("random", axis=1, level="arm").max(axis=1)
    for model in paired.columns.get_level_values("model").unique():
        own = paired[model, "pretrained"]
        for expected in (own - paired[model, "random"], own - best):
            assert np.isclose(expected.to_numpy()[:, None], crosses[None], atol=1e-12).any(axis=1).all()


def test_the_forest_has_the_papers_own_evidence(full, tmp_path, drawn):
    """Of the same scope, and of the architecture that stands behind a model's name."""

    def over_all(frame):
        return frame.assign(suite="all") if {"source", "suite", "versus"} <= set(frame) else frame

    directory = change_tables(full, tmp_path / "tables", over_all)
    frame = read(directory)
    figure = drawn("verdict_forest", directory)
    for axes, scope in zip(figure.subfigs[1].axes, ("these", "like-these"), strict=False):
        values = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "x"]
        expected = frame.extra("reported_across").query("versus == 'random'").set_index("model")
        expected = expected[expected["scope"] == scope]
        expected = expected.loc[expected.index.isin(frame.across["model"]), "delta"]
        assert sorted(values) == sorted(expected.clip(*axes.get_xlim())) and len(values) >= 5
    assert not len(points(drawn("verdict_forest", full), "x")), "of the suite nt alone"


def test_every_number_of_the_paper_is_a_mark(full, drawn):
    reported = read(full).extra("reported_comparison")
    scores, differences = (part.axes[0] for part in drawn("reported", full).subfigs[1].subfigs)
    inside = [line for line in scores.lines if line.get_marker() not in ("None", None, "")]
    marks = np.concatenate([line.get_xydata() for line in inside])
    assert sorted(map(tuple, marks)) == sorted(zip(reported["reported"], reported["ours"], strict=True))
    marked = [line.get_xdata() for line in differences.lines if line.get_marker() not in ("None", None, "")]
    assert sorted(np.concatenate(marked)) == sorted(reported["difference"])
    counted = [text.get_text().split(" · ") for text in differences.texts[:-1]]
    assert sum(int(number) for numbers in counted for number in numbers) == len(reported)


@pytest.mark.parametrize("seed", range(4))
def test_bars_of_ranks_are_those_of_an_independent_library(seed):
    """scikit-posthocs joins the maximal cliques of its graph of alike arms; with Nemenyi's p these are stretches."""
    import scikit_posthocs
    from matplotlib.figure import Figure

    from foundationless.reporting.figures.verdict import ALPHA, maximal_runs

    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(20, 22)) + np.linspace(0, 2.5, 22) * (seed > 0)
    p = scikit_posthocs.posthoc_nemenyi_friedman(scores)
    ranks = pd.DataFrame(-scores).rank(axis=1).mean()
    diagram = scikit_posthocs.critical_difference_diagram(ranks, p, ax=Figure().subplots(), alpha=ALPHA)
    expected = {tuple(np.round(np.sort(bar[0].get_xdata())[[0, -1]], 9)) for bar in diagram["crossbars"]}
    order = ranks.sort_values().index
    bars = maximal_runs(p.loc[order, order].to_numpy(), ALPHA)
    assert {tuple(np.round([ranks[order[first]], ranks[order[last]]], 9)) for first, last in bars} == expected
    assert bars


def test_ranks_have_a_row_per_arm_and_baseline(full, drawn):
    ranks = read(full).extra("ranks")
    axes, side = drawn("critical_difference", full).axes
    assert len(axes.get_yticklabels()) == len(ranks) >= 20
    at = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert at == sorted(ranks["rank"])
    assert side.lines


def test_values_of_both_arms_stand_where_the_table_says(full, drawn):
    frame = read(full)
    figure, every = drawn("biotype", full), frame.order(frame.scored("biotype")["model"])
    models = frame.order(frame.own(frame.scored("biotype"))["model"])
    assert len(models) == 8
    for model in models:
        for init, above in (("pretrained", True), ("random", False)):
            ((x, y),) = marks_of(figure, frame.looks[model], init)
            assert [x] == shown(frame, "biotype", model, init=init, variant="")["value"].tolist()
            assert (y < every.index(model)) == above
