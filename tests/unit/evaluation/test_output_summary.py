"""Tasks with outputs: from records and predictions to scores, differences and the table of outputs."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats
import sklearn.metrics as sk

from foundationless.errors import UserError
from foundationless.evaluation.layers.depth import score_layers
from foundationless.evaluation.outputs import tables
from foundationless.evaluation.task_results import read_predictions, read_results
from foundationless.evaluation.task_summary import summarise
from foundationless.study.vocabulary import MARGINS, TRACK_METRICS, TRACKS, VALUE_METRICS, VALUES
from support.outputs import make_cell, make_cells

NET, OWN, KMER = ("net", "pretrained"), ("net", "random"), ("kmer", "baseline")
SIGNALS = {NET: 0.9, OWN: 0.5, KMER: 0.6, ("majority", "baseline"): 0.0}
METRICS = {VALUES: VALUE_METRICS, TRACKS: TRACK_METRICS}
DESIGN = list(SIGNALS)


def summed(kind, metric, **options):
    records, predictions, observed = make_cells(kind, metric, SIGNALS, **options)
    found = summarise(records, predictions, metric=metric, resamples=200, margin=0.02, seed=1, design=DESIGN)
    return found, records, predictions, observed


def arrays(table):
    return np.array(table["values"].to_pylist())


@pytest.mark.parametrize(("kind", "metric"), [(VALUES, "pearson"), (VALUES, "r2"), (TRACKS, "macro_auroc")])
def test_scores_and_differences(kind, metric):
    found, records, predictions, observed = summed(kind, metric)
    scores = found.scores.set_index(["model", "init", "selection"])
    assert set(METRICS[kind]) <= {*scores.columns}
    assert not {"mcc", "ece", "skill"} & {*scores.columns}
    mine = [arrays(table) for record, table in zip(records, predictions, strict=True) if record["init"] == "pretrained"]
    functions = {
        "pearson": lambda y, x: scipy.stats.pearsonr(y, x).statistic, "r2": sk.r2_score,
        "spearman": lambda y, x: scipy.stats.spearmanr(y, x).statistic, "rmse": sk.root_mean_squared_error,
        "macro_auroc": sk.roc_auc_score, "macro_auprc": sk.average_precision_score,
    }  # fmt: skip
    known = ~np.isnan(observed)
    for name in METRICS[kind]:
        each = [functions[name](observed[known[:, k], k], values[known[:, k], k]) for values in mine for k in range(3)]
        row = scores.loc[(*NET, "validation")]
        assert row[name] == pytest.approx(np.mean(each), rel=1e-9)
    row = scores.loc[(*NET, "validation")]
    assert row["low"] < row["value"] == row[metric] < row["high"] and row["learned"] and row["seeds"] == 3
    assert not scores.loc[("majority", "baseline", "validation"), "learned"]
    assert row["chance"] == (0.5 if kind == TRACKS else 0)
    pairs = found.comparisons.query("selection == 'validation'").set_index(["model", "init", "versus"])
    assert pairs.loc[(*NET, "random"), "verdict"] == "better" and pairs.loc[(*OWN, "baseline"), "verdict"] != "better"
    assert pairs.loc[(*NET, "baseline"), "reference"] == "kmer"
    assert (pairs["test"] == "").all()
    for name in ("calibration", "confusion", "roc", "effects", "interactions"):
        assert found.diagnostics[name].empty
    for name in ("runs", "components", "optimism", "selections", "settings"):
        assert name == "selections" or len(found.diagnostics[name])


@pytest.mark.parametrize(("kind", "metric"), [(VALUES, "spearman"), (TRACKS, "macro_auprc")])
def test_the_table_of_outputs(kind, metric):
    found, _, _, observed = summed(kind, metric)
    table = found.diagnostics["outputs"]
    assert list(table.columns) == tables.OUTPUTS and set(table["metric"]) == set(METRICS[kind])
    scores = found.scores.query("selection == 'validation'").set_index(["model", "init"])
    values = table[table["versus"] == ""]
    for (name, *arm), part in values.groupby(["metric", "model", "init"]):
        mean = part.loc[part["output"] == "", "value"].item()
        assert mean == pytest.approx(part.loc[part["output"] != "", "value"].mean(), rel=1e-9, abs=1e-12)
        assert mean == pytest.approx(scores.loc[tuple(arm), name], rel=1e-12)
    main = values[(values["metric"] == metric) & (values["output"] == "")].set_index(["model", "init"])
    assert np.allclose(main[["low", "high"]].astype(float), scores.loc[main.index, ["low", "high"]], rtol=0, atol=1e-12)
    assert values[["low", "high"]].notna().all(axis=None)
    differences = table[table["versus"] != ""]
    assert {*differences["versus"]} == {"random", "baseline"}
    own = values.set_index(["metric", "output", "model", "init"])["value"]
    for row in differences.itertuples():
        mine, theirs = (own[row.metric, row.output, *arm] for arm in ((row.model, row.init),
                                                                      (row.reference, row.reference_init)))  # fmt: skip
        assert row.delta == pytest.approx(mine - theirs, rel=1e-9, abs=1e-12) and row.low < row.delta < row.high
        assert row.p_holm >= row.p
        spread = np.nanstd(observed[:, int(row.output[3:])]) if row.output else np.nanstd(observed, axis=0).mean()
        assert row.margin == pytest.approx(0.02 * (spread if row.metric == "rmse" else 1), rel=1e-9)
        assert row.n == (np.isfinite(observed[:, int(row.output[3:])]).sum() if row.output else 300)
    best = differences[(differences["model"] == "net") & (differences["init"] == "pretrained")]
    assert set(best["verdict"]) == {"better"}  # of the error a lower one is
    assert (best.loc[best["metric"] == "rmse", "delta"] < 0).all()
    paired = found.comparisons.query("selection == 'validation' and versus == 'random'").iloc[0]
    row = best[(best["metric"] == metric) & (best["output"] == "") & (best["versus"] == "random")].iloc[0]
    assert [row[name] for name in ("delta", "low", "high", "p", "p_tost", "verdict", "margin")] == [
        paired[name] for name in ("delta", "low", "high", "p", "p_tost", "verdict", "margin")
    ]


def test_layers_are_scored_by_the_metric_of_outputs():
    """Of R² an interval may lie below -1, where those of classes end."""
    records, predictions, observed = make_cells(VALUES, "r2", {NET: 0.8}, seeds=2)
    for record in records:
        run = {"split": "validation", "selection": "run", "metric": "r2", "n": 300, "fold": None, "learning_rate": None}
        record["results"] = [
            {**run, "value": value, "extra": {"run": f"layer{layer}", "layer": layer}}
            for layer, value in ((0, 0.1), (1, 0.6))
        ]
        record["selections"] = [{"what": "layer", "chosen": "1"}]
    tables_of = []
    for table in predictions:
        values = arrays(table)
        parts = []
        for layer, shift in ((0, 1e4), (1, 0.0)):
            column = pa.array(list((values + shift).astype(np.float32)), pa.list_(pa.float32()))
            one = table.set_column(table.column_names.index("values"), "values", column)
            one = one.set_column(one.column_names.index("run"), "run", pa.array([f"layer{layer}"] * 300))
            parts.append(one.set_column(one.column_names.index("split"), "split", pa.array(["validation"] * 300)))
        tables_of.append(pa.concat_tables(parts))
    found = score_layers(records, tables_of, "r2", 100, 0).set_index("layer")
    known = ~np.isnan(observed)
    expected = np.mean([
        sk.r2_score(observed[known[:, k], k], arrays(table)[known[:, k], k] + shift)
        for table in predictions for k in range(3) for shift in (1e4,)
    ])  # fmt: skip
    assert found.loc[0, "value"] == pytest.approx(expected, rel=1e-3)
    assert found.loc[0, "low"] < found.loc[0, "value"] < found.loc[0, "high"] < -1
    assert found["chosen"].tolist() == [0, 2] and found.loc[1, "low"] > 0


def test_the_margin_of_an_error_is_of_outputs_that_some_test_row_knows():
    generator = np.random.default_rng(0)
    observed = generator.normal(size=(60, 2)) * [3.0, np.nan]
    cells = [make_cell(VALUES, "r2", observed, generator.normal(size=(60, 2)), arm) for arm in (NET, OWN)]
    records, predictions = map(list, zip(*cells, strict=True))
    found = summarise(records, predictions, metric="r2", resamples=50, margin=0.02, seed=1)
    rows = found.diagnostics["outputs"].query("metric == 'rmse' and versus == 'random'").set_index("output")
    assert rows.loc["", "margin"] == pytest.approx(MARGINS["rmse"] * observed[:, 0].std())


def test_of_many_outputs_the_first_have_intervals(monkeypatch):
    monkeypatch.setattr(tables, "MOST", 2)
    for kind, metric in ((VALUES, "pearson"), (TRACKS, "macro_auroc")):
        found, *_ = summed(kind, metric, outputs=4, n=120)
        (note,) = (row for row in found.notes if row["what"] == "outputs")
        assert note["note"].startswith("of 4 outputs the first 2 have intervals")
        table = found.diagnostics["outputs"]
        values = table[(table["versus"] == "") & (table["metric"] == metric)].set_index(["model", "init", "output"])
        whole = values.xs("", level="output")["value"]
        assert np.allclose(values.drop("", level="output").groupby(["model", "init"])["value"].mean(), whole[
            values.drop("", level="output").groupby(["model", "init"])["value"].mean().index])  # fmt: skip
        rows = table.set_index(["output", "versus"]).sort_index()
        assert rows.loc["out1", "low"].notna().all() and rows.loc[["out2", "out3"], "low"].isna().all()
        assert (rows.loc[["out2", "out3"], "verdict"] == "").all()
        assert rows.loc[[("out3", "random"), ("out3", "baseline")], "delta"].notna().all()
        assert table.loc[(table["output"] == "") & (table["metric"] == metric), "low"].notna().all()
        ranked = table["metric"].isin(["spearman", "macro_auprc"]) & (table["output"] == "")
        assert table.loc[ranked, "low"].isna().all() and ranked.any()


def test_tracks_with_few_test_rows_of_a_kind_are_told():
    generator = np.random.default_rng(0)
    observed = (generator.random((120, 3)) < 0.5).astype(float)
    observed[:, 1] = np.arange(120) < 4  # few ones
    observed[:, 2] = np.arange(120) < 116  # few zeros
    cells = [make_cell(TRACKS, "macro_auroc", observed, generator.random((120, 3)), arm) for arm in (NET, OWN)]
    records, predictions = map(list, zip(*cells, strict=True))
    found = summarise(records, predictions, metric="macro_auroc", resamples=50, margin=0.02, seed=1)
    (note,) = (row["note"] for row in found.notes if row["what"] == "outputs")
    assert note.startswith("2 of 3 tracks have fewer than 10 test rows of a kind")


def test_many_outputs_of_many_items_have_fewer_resamples(monkeypatch):
    monkeypatch.setattr(tables, "MOST_RANKED", 300 * 3 * 80)
    monkeypatch.setattr(tables, "FEWEST_RESAMPLES", 10)
    for kind, metric, resamples in ((TRACKS, "macro_auroc", 80), (VALUES, "spearman", 80), (VALUES, "pearson", 200)):
        found, *_ = summed(kind, metric)
        assert set(found.comparisons["resamples"]) == {resamples}
        told = [row["note"] for row in found.notes if row["what"] == "resamples"]
        said = "3 outputs of 300 test items are ranked in 80 resamples, not in more"
        assert told == ([said] if resamples == 80 else [])


def test_chance_of_tracks_is_an_order_at_random_under_the_same_resample():
    records, predictions, observed = make_cells(TRACKS, "macro_auprc", SIGNALS, n=60)
    results, _ = read_results(records, predictions, 50, 0)
    chance = results.chance("macro_auprc", 50)
    generator, known = np.random.default_rng(0), ~np.isnan(observed)
    drawn = [
        np.mean([sk.average_precision_score(observed[known[:, k], k], generator.random(known[:, k].sum()))
                 for k in range(3)]) for _ in range(1500)
    ]  # fmt: skip
    assert chance.value == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(1500))
    assert chance.value > np.nanmean(observed, axis=0).mean() + 0.02
    assert chance.replicates.std() > 0
    assert np.allclose(results.chance("macro_auroc", 50).replicates, 0.5)
    records, predictions, observed = make_cells(VALUES, "pearson", SIGNALS)
    results, _ = read_results(records, predictions, 50, 0)
    assert results.chance("rmse", 50).value == pytest.approx(np.nanstd(observed, axis=0).mean())
    assert not results.chance("r2", 50).replicates.any()


def test_an_item_without_a_prediction_is_left_out_of_all():
    records, predictions, _ = make_cells(VALUES, "pearson", SIGNALS, missing=0)
    values = predictions[0]["values"].to_pylist()
    values[7] = [float("nan")] * 3
    place = predictions[0].column_names.index("values")
    predictions[0] = predictions[0].set_column(place, "values", pa.array(values, pa.list_(pa.float32())))
    results, notes = read_results(records, predictions, 50, 0)
    assert all(run.observed.shape == run.values.shape == (299, 3) for cell in results.cells for run in
               cell.runs.values())  # fmt: skip
    assert [row["what"] for row in notes] == ["items"] and "1 test items lack" in notes[0]["note"]


def test_labels_may_be_spelled_otherwise_but_not_say_otherwise():
    records, predictions, observed = make_cells(VALUES, "pearson", {NET: 0.5, OWN: 0.4}, seeds=1, missing=0)
    label = predictions[1]["label"].to_pylist()
    label[0] = ";".join(f"{value:+.17e}" for value in observed[0])
    spelled = predictions[1].set_column(2, "label", pa.array(label))
    results, _ = read_results(records, [predictions[0], spelled], 20, 0)
    assert len(results.cells) == 2
    label[0] = ";".join(f"{value + 1e-3:.17e}" for value in observed[0])
    with pytest.raises(UserError, match="predict different test items in fold -1"):
        read_results(records, [predictions[0], predictions[1].set_column(2, "label", pa.array(label))], 20, 0)


def test_cells_of_different_labels_are_refused():
    records, predictions, observed = make_cells(VALUES, "pearson", {NET: 0.5, OWN: 0.4}, seeds=1)
    records[1]["settings"]["outputs"] = ["out0", "out2", "out1"]
    with pytest.raises(UserError, match=r"net/random/seed0 is of 3 outputs that are values \(out0, out2, out1\), and"):
        read_results(records, predictions, 20, 0)
    del records[1]["settings"]["labels"], records[1]["settings"]["outputs"]
    with pytest.raises(UserError, match="its record does not name the outputs"):
        read_results(records, predictions, 20, 0)
    records[1]["settings"] |= {"labels": VALUES, "outputs": ["out0", "out1"]}
    with pytest.raises(UserError, match="predictions are of 3 outputs, and its record names 2"):
        read_results(records, predictions, 20, 0)
    records[1]["settings"] |= {"labels": TRACKS, "outputs": ["out0", "out1", "out2"]}
    with pytest.raises(UserError, match="of a track is neither 0 nor 1"):
        read_results(records, predictions, 20, 0)
    record, table = make_cell(TRACKS, "macro_auroc", (observed > 5) * 1.0, observed * 0, OWN)
    plain = table.drop_columns(["values"]).append_column("predicted", pa.array(["a"] * 300))
    plain = plain.append_column("probabilities", pa.array([[0.5, 0.5]] * 300, pa.list_(pa.float32())))
    with pytest.raises(UserError, match="its labels have outputs, and its predictions are classes"):
        read_results([record], [plain], 20, 0)


def test_a_metric_of_other_labels_is_refused():
    records, predictions, _ = make_cells(VALUES, "pearson", {NET: 0.5, OWN: 0.4}, seeds=1)
    for metric in ("mcc", "macro_auroc", "auroc"):
        with pytest.raises(UserError, match=f"labels of measured are values, which '{metric}' does not score"):
            summarise(records, predictions, metric=metric, resamples=10, margin=0.02, seed=0)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("values", [[0.1, 0.2, 0.3], [0.1, 0.2]] + [[0.1, 0.2, 0.3]] * 298),
        ("values", [None] + [[0.1, 0.2, 0.3]] * 299),
        ("values", [[0.1, None, 0.3]] * 300),
        ("values", [["a", "b", "c"]] * 300),
        ("values", [0.5] * 300),
        ("fold", ["a"] * 300),
    ],
)
def test_broken_columns_are_named(tmp_path, column, values):
    _, predictions, _ = make_cells(VALUES, "pearson", {NET: 0.5}, seeds=1)
    table = predictions[0]
    path = tmp_path / "predictions.parquet"
    pq.write_table(table, path)
    assert read_predictions(path).equals(table)
    pq.write_table(table.set_column(table.column_names.index(column), column, pa.array(values)), path)
    with pytest.raises(UserError, match=f"the column {column} of the predictions is broken"):
        read_predictions(path)


def test_a_value_that_is_not_finite_is_refused():
    records, predictions, _ = make_cells(VALUES, "pearson", {NET: 0.5}, seeds=1)
    values = [[float("inf"), 0.0, 0.0]] * 300
    table = predictions[0].set_column(3, "values", pa.array(values, pa.list_(pa.float32())))
    with pytest.raises(UserError, match="predicts a value that is not finite; the model that made it diverged"):
        read_results(records, [table], 20, 0)


def test_words_are_of_p_values_adjusted_over_outputs():
    rows = [
        dict.fromkeys(tables.OUTPUTS) | {"analysis": "a", "task": "t", "model": "m", "init": "pretrained"}
        | {"metric": metric, "selection": "validation", "output": output, "versus": "random", "delta": delta, "p": p}
        | {"p_tost": 0.9, "learned": True, "drawn_seeds": 3.0, "value": np.nan, "low": -1.0, "high": 1.0}
        for metric, output, delta, p in [
            ("pearson", "", 0.1, 0.04), ("pearson", "a", 0.1, 0.001), ("pearson", "b", 0.1, 0.04),
            ("pearson", "c", -0.1, 0.02), ("rmse", "a", -0.1, 0.001), ("rmse", "b", 0.1, 0.001),
        ]
    ]  # fmt: skip
    found = tables.judge(pd.DataFrame(rows, columns=tables.OUTPUTS))
    assert found["p_holm"].tolist() == pytest.approx([0.04, 0.003, 0.04, 0.04, 0.002, 0.002])
    assert found["verdict"].tolist() == ["better", "better", "better", "worse", "better", "worse"]
    assert MARGINS["rmse"] == 0.02
