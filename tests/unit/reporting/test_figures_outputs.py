"""Figures of numbers and tracks: every count, line and difference where the tables have it, and means of one kind."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import AxesImage

from foundationless.evaluation.across_tasks import summarise_tasks
from foundationless.evaluation.outputs.scatter import BINS, scatter
from foundationless.evaluation.task_results import read_results
from foundationless.reporting.figures import layout, resolve
from foundationless.reporting.figures.inputs import read
from foundationless.study.vocabulary import FIGURES, OUTPUT_METRICS, figures_of
from support.figure_tables import SENTENCE, change_tables
from support.figures import faults, laid_out, panels, points, words
from support.output_tables import ARMS, TASKS, cells


@pytest.fixture(scope="module")
def found():
    """The results of the made-up regression with two outputs."""
    name, kind, outputs, _, metric = TASKS[0]
    return read_results(*cells(name, kind, outputs, metric), 0, 0)[0]


def test_the_grid_counts_every_known_item_once(found):
    rows = pd.DataFrame(scatter(found))
    assert set(rows["output"]) == {"Dev"} and set(rows["selection"]) == {"validation"}
    for model, init, _ in ARMS:
        part = rows[(rows["model"] == model) & (rows["init"] == init)]
        runs = found.runs((model, init), "validation")
        truth, answer = (np.concatenate([getattr(run, name)[:, 0] for run in runs]) for name in ("observed", "values"))
        known = np.isfinite(truth)
        for what in ("grid", "residuals"):
            assert part.loc[part["what"] == what, "count"].sum() == known.sum() > 0
        # numpy counts the same in the same cells: what lies inside them.
        cells_of = part[part["what"] == "grid"]
        every = rows[rows["what"] == "grid"]
        width, height = every[["step_x", "step_y"]].iloc[0]
        x = every["x"].min() + width * np.arange(-1, BINS + 1) - width / 2
        y = every["y"].min() + height * np.arange(-1, BINS + 1) - height / 2
        table = np.histogram2d(truth[known], answer[known], bins=(x, y))[0]
        inside = table.sum() / known.sum()
        assert inside > 0.99
        counted = {(round((row.x - x[0]) / width - 0.5), round((row.y - y[0]) / height - 0.5)): row.count_
                   for row in cells_of.rename(columns={"count": "count_"}).itertuples()}  # fmt: skip
        same = [counted.get((i, j), 0) == table[i, j] for i in range(len(x) - 1) for j in range(len(y) - 1)]
        assert np.mean(same) > 0.99
    assert rows.loc[rows["what"] == "grid", ["step_x", "step_y"]].drop_duplicates().shape == (1, 2), "one grid for all"


def test_a_wild_prediction_leaves_the_grid_as_fine_as_it_was(found):
    name, kind, outputs, _, metric = TASKS[1]
    records, tables = cells(name, kind, outputs, metric)
    values = [list(row) for row in tables[0]["values"].to_pylist()]
    values[0][0] = 1e9
    place = tables[0].column_names.index("values")
    tables[0] = tables[0].set_column(place, "values", [np.array(values, dtype=np.float32).tolist()])
    before, after = (pd.DataFrame(scatter(read_results(records, part, 0, 0)[0])) for part in (
        cells(name, kind, outputs, metric)[1], tables))  # fmt: skip
    assert after["step_y"].max() < 2 * before["step_y"].max()
    assert after["count"].sum() == before["count"].sum(), "it is counted, in a cell at the edge"


def test_classes_and_tracks_have_no_grid():
    name, kind, outputs, _, metric = TASKS[2]
    assert scatter(read_results(*cells(name, kind, outputs, metric), 0, 0)[0]) == []


def test_a_study_has_the_figures_of_its_labels():
    own = {name for name, figure in FIGURES.items() if figure.labels}
    assert own == {"regression", "tracks"}
    assert not own & {*figures_of(["finetune"], ["mcc", "auroc", "accuracy"])} and not own & {*figures_of(["finetune"])}
    assert own & {*figures_of(["finetune"], ["mcc", "pearson"])} == {"regression"}
    assert own & {*figures_of(["biotype"], ["macro_auprc"])} == {"tracks"}


def test_regression_shows_the_arms_that_were_compared(full, drawn):
    figure, tables = drawn("regression", full), read(full, SENTENCE)
    titles = [axes.get_title(loc="left") for axes in panels(figure)]
    best = tables.looks["hyenadna"].label
    cheap = tables.looks["kmer_xgboost"].label
    assert titles == [best, best, cheap, "Residuals (% of test items)"] * 2
    said = [axes.texts[0].get_text().splitlines()[0] for axes in panels(figure) if axes.texts]
    assert said == ["pretrained", "random", "baseline"] * 2
    counts = pd.read_csv(full / "scatter.csv")
    counts = counts.query("task == 'deepstarr' and what == 'grid' and model == 'hyenadna'").groupby("init")
    for axes, init in zip(panels(figure), ("pretrained", "random"), strict=False):
        (image,) = axes.findobj(AxesImage)
        cells_of = counts.get_group(init)
        shaded = np.asarray(image.get_array())[..., :3] < 1 - 1e-9
        assert shaded.any(axis=2).sum() == len(cells_of)
        (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert np.allclose(line.get_xdata(), line.get_ydata()), "predicted = observed"
    # In each panel the numbers that the table of outputs has.
    outputs = tables.extra("outputs")
    row = outputs.query("task == 'deepstarr' and model == 'hyenadna' and init == 'random' and output == 'Dev'")
    row = row[row["versus"].isna() & (row["metric"] == "r2")].iloc[0]
    assert any(f"R² {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in text for text in words(figure))


def test_residuals_are_shares(full, drawn):
    panel = panels(drawn("regression", full))[3]
    steps = [line for line in panel.lines if line.get_drawstyle() == "steps-mid"]
    assert len(steps) == 3 and {line.get_linestyle() for line in steps} == {"-", "--", ":"}
    assert all(np.sum(line.get_ydata()) == pytest.approx(100) for line in steps)


def test_tracks_are_rows_or_a_ranked_curve(full, drawn):
    figure, tables = drawn("tracks", full), read(full, SENTENCE)
    rows, cheap, curve, _ = panels(figure)
    outputs = tables.extra("outputs").query("init == 'pretrained'")
    few = outputs.query("task == 'marks' and versus == 'random' and metric == 'macro_auroc' and model == 'hyenadna'")
    few = few[few["output"].notna()].sort_values("delta", ascending=False)
    assert [label.get_text() for label in rows.get_yticklabels()] == list(few["output"])
    marks = np.concatenate([line.get_xydata() for line in rows.lines if line.get_marker() == "o"])
    assert marks[np.argsort(marks[:, 1]), 0] == pytest.approx(few["delta"].to_numpy())
    name, kind, outputs_of, _, metric = TASKS[2]
    observed = next(iter(read_results(*cells(name, kind, outputs_of, metric), 0, 0)[0].cells[0].runs.values())).observed
    shares = {f"{(~np.isnan(own)).sum()}, {100 * np.nanmean(own):.0f} %" for own in observed.T}
    assert shares == {text.get_text() for text in cheap.texts if text.get_text().endswith("%")}
    assert rows.get_xlabel() == "Difference in AUROC" and "best baseline" in cheap.get_title(loc="left")
    many = outputs.query("task == 'deepsea' and versus == 'random' and metric == 'macro_auprc'")
    for model in ("hyenadna", "caduceus"):
        deltas = many[(many["model"] == model) & many["output"].notna()]["delta"].sort_values(ascending=False)
        color = tables.looks[model].color
        (line,) = [line for line in curve.lines if line.get_color() == color and len(line.get_xdata()) == 240]
        assert line.get_ydata() == pytest.approx(deltas.to_numpy())
    assert any("of 50 intervals" in text for text in words(figure)), "the others have none"


@pytest.fixture(scope="module")
def mixed(small, tmp_path_factory):
    """Evidence over tasks of classes, numbers and tracks."""
    directory = change_tables(small, tmp_path_factory.mktemp("mixed") / "tables", lambda rows: rows)
    tables = read(directory)
    models = {name: place for place, name in enumerate(tables.models["model"])}
    across = summarise_tasks(pd.read_csv(directory / "comparisons.csv"), None, tables.tasks, models)
    across.to_csv(directory / "across_tasks.csv", index=False)
    return directory


def test_the_forest_says_the_metric_of_each_family(mixed, small):
    figure = laid_out(resolve("verdict_forest")(read(mixed, SENTENCE)))
    assert not faults(figure)
    labels = words(figure)
    assert any(text.startswith("enhancer activity (Pearson's r)") for text in labels)
    assert any(text.startswith("chromatin (macro AUROC)") for text in labels)
    assert any("are no one scale" in text for text in labels)
    assert not any("are no one scale" in text for text in words(laid_out(resolve("verdict_forest")(read(small)))))


def test_means_are_of_one_kind_of_metrics(full):
    scores = read(full).scored("finetune")
    kept, told = layout.alike(scores)
    assert set(scores["metric"]) & {*OUTPUT_METRICS} and not set(kept["metric"]) & {*OUTPUT_METRICS}
    assert "Pearson's r" in told and "macro AUROC" in told
    same, nothing = layout.alike(kept)
    assert same is kept and nothing == ""


def test_the_figures_of_the_paper_hold_classes_alone(full, small, drawn):
    for name in ("figure_01_benchmarks", "figure_07_best_random"):
        assert not any("Pearson" in text for text in words(drawn(name, full)))
    assert len(points(drawn("figure_10_gb", small), "o")) > 0
