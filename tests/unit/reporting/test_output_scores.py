"""Tables and words of labels that are numbers or tracks: the metrics of their kind, and nothing of the first paper."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation import diagnostics
from foundationless.evaluation.choice.contenders import weigh
from foundationless.reporting.tables import collect as tables
from foundationless.reporting.tables.catalogue import TABLES, columns_of
from foundationless.reporting.tables.inputs import Inputs
from foundationless.reporting.tables.output_scores import output_scores
from foundationless.reporting.tables.own_words import section
from foundationless.reporting.tables.verdict import build
from foundationless.reporting.tables.verdict_words import MEANINGS
from foundationless.study.config import read_schema
from foundationless.study.vocabulary import LEARNED_METRICS, METRICS, OF_OUTPUTS, OUTPUT_METRICS
from support import ROOT
from support.output_tables import TASKS, cells, output_frames
from support.outputs import make_cells

MODELS = {
    name: {"label": label, "tokenizer_class": "character", "order": order, "kind": kind}
    for order, (name, label, kind) in enumerate(
        [("hyenadna", "HyenaDNA", "model"), ("caduceus", "Caduceus", "model"), ("kmer_xgboost", "k-mers", "baseline")]
    )
}


@pytest.fixture(scope="module")
def frames():
    return output_frames(2)


@pytest.fixture(scope="module")
def collected(frames, tmp_path_factory):
    """The tables of a study of a regression, tracks and, on the same scores, classes."""
    classes = {"task": "marks", "metric": "macro_auroc"}

    def with_classes(frame):
        mine = frame[frame["task"] == classes["task"]]
        return pd.concat([frame, mine.assign(task="H3", metric="mcc")], ignore_index=True)

    h3 = {"task": "H3", "suite": "nt", "suite_label": "NT", "group": "histones", "label": "H3", "metric": "mcc"}
    tasks = pd.concat([frames["tasks"], pd.DataFrame([h3])], ignore_index=True)
    of_outputs = {name: frames[name] for name in OF_OUTPUTS}
    empty = {name: pd.DataFrame(columns=columns) for name, columns in diagnostics.COLUMNS.items()}
    records = pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value", "selection", "split"])
    directory = tmp_path_factory.mktemp("collected") / "tables"
    tables.collect(
        directory,
        Inputs(
            with_classes(frames["scores"]), with_classes(frames["comparisons"]), records, tasks, MODELS,
            diagnostics=empty | of_outputs, reported=ROOT / "resources" / "lists" / "reported.tsv",
        ),
    )  # fmt: skip
    return directory


def test_runs_that_the_test_set_chose_have_no_intervals_of_those_that_validation_chose(frames):
    chosen = (frames[name].assign(selection="test") for name in ("scores", "comparisons"))
    table = output_scores(*chosen, frames["outputs"], {}).query("task == 'deepstarr'")
    assert len(table) and table["pearson_low"].notna().all() and table["r2"].notna().all()
    assert table[["r2_low", "r2_high"]].isna().all(axis=None)


def test_the_table_has_every_metric_of_the_kind_and_the_paired_differences(collected, frames):
    table = pd.read_csv(collected / "output_scores.csv")
    assert table.columns.tolist()[: len(columns_of("output_scores"))] == columns_of("output_scores")
    assert set(table["task"]) == {"deepstarr", "marks"} and len(table) == 10, "classes have tables of their own"
    assert not table.duplicated(list(TABLES["output_scores"].keys)).any()
    row = table[(table["task"] == "deepstarr") & (table["model"] == "hyenadna") & (table["init"] == "pretrained")]
    row = row.iloc[0]
    score = frames["scores"].query("task == 'deepstarr' and model == 'hyenadna' and init == 'pretrained'").iloc[0]
    for metric in ("pearson", "spearman", "r2", "rmse"):
        assert row[metric] == pytest.approx(score[metric])
        assert row[f"{metric}_low"] < row[metric] < row[f"{metric}_high"]
    assert row["pearson_low"] == pytest.approx(score["low"]) and row["outputs"] == 2
    assert np.isnan(row["macro_auroc"])
    pairs = frames["comparisons"].query("task == 'deepstarr' and model == 'hyenadna' and init == 'pretrained'")
    for versus in ("random", "baseline"):
        (pair,) = pairs[pairs["versus"] == versus].to_dict("records")
        assert row[f"versus_{versus}"] == pytest.approx(pair["delta"]) and row[f"verdict_{versus}"] == pair["verdict"]
    printed = (collected / "output_scores.tex").read_text()
    assert f"{row['r2']:.3f} [{row['r2_low']:.3f}, {row['r2_high']:.3f}]" in printed
    assert r"\input{output_scores}" in (collected / "all.tex").read_text()


def test_the_first_paper_has_no_such_task(collected):
    claims = pd.read_csv(collected / "claims.csv")
    assert len(claims) and set(claims["metric"]) == {"mcc"} and set(claims["n"]) == {1}
    assert set(pd.read_csv(collected / "table_18_finetune.csv")["task"]) == {"H3"}
    assert set(pd.read_csv(collected / "scores.csv")["task"]) == {"H3", "deepstarr", "marks"}


def test_the_verdict_says_what_the_metrics_mean_and_that_they_are_no_one_scale(collected):
    verdict = build(collected, "made", "Made up")
    jsonschema.Draft202012Validator(read_schema("verdict")).validate(json.loads(json.dumps(verdict)))
    said = " ".join(verdict["sentences"])
    assert "Pearson's r is how well predicted and observed numbers lie on a line" in said
    assert "are no one scale" in said and "MCC" in said
    fact = verdict["models"]["hyenadna"]["families"]["enhancer activity"]["these"]
    assert fact["metrics"] == ["pearson"] and f"enhancer activity (Pearson's r): +{fact['delta']:.3f}" in said
    assert set(verdict["margins"]) == {"mcc", "pearson", "macro_auroc"}


def test_every_metric_that_judges_numbers_or_tracks_has_a_meaning():
    assert {*MEANINGS} == {*OUTPUT_METRICS} & {*LEARNED_METRICS}


def recommended(kind, metric, **signals):
    """What is said of a set: `kmers` is a baseline, `net` a network of three seeds; each by its signal."""
    arms = {(name, "baseline" if name == "kmers" else "pretrained"): signal for name, signal in signals.items()}
    records, predictions, _ = make_cells(kind, metric, arms, n=400)
    found = weigh(records, predictions, metric, METRICS[metric].margin, 200, 1)
    found |= {"task": "mine", "label": "Mine", "audit": None, "pretraining": {}, "flattery": []}
    return found, section(found, {"kmers": "k-mers", "net": "Network"})


def test_words_of_numbers_are_those_of_a_biologist():
    found, told = recommended("values", "pearson", kmers=0.4, net=0.8)
    assert told["use"] == {"model": "net", "init": "pretrained"} and told["metric"] == "pearson"
    said = " ".join(told["sentences"])
    assert "MCC" not in said and "class" not in said and "Pearson's r" in told["sentences"][0]
    share = found["best"]["also"]["r2"]
    assert 0.5 < share < 0.75 and f"Network explains {100 * share:.0f} % of the variance of the values" in said
    assert f"Spearman's ρ {found['best']['also']['spearman']:.3f}" in said


def test_words_of_tracks_are_shares_of_pairs():
    found, told = recommended("tracks", "macro_auroc", kmers=0.4, net=0.8)
    said = " ".join(told["sentences"])
    assert "macro AUROC" in told["sentences"][0] and "MCC" not in said
    assert f"in {100 * found['best']['value']:.0f} % of pairs (a coin: 50 %)" in said
    assert f"macro AUPRC of {found['best']['also']['macro_auprc']:.3f}" in said


def test_where_no_numbers_are_learned_none_is_used():
    _, told = recommended("values", "pearson", kmers=0.02, net=0.0)
    assert told["use"] is None and not any("variance" in sentence for sentence in told["sentences"])


def test_predictions_on_another_scale_rank_and_do_not_explain():
    name, kind, outputs, _, metric = TASKS[1]
    records, predictions = cells(name, kind, outputs, metric)
    place = predictions[0].column_names.index("values")
    far = [table.set_column(place, "values", [[[50 + row[0]] for row in table["values"].to_pylist()]]) for table in
           predictions]  # fmt: skip
    found = weigh(records, far, metric, 0.02, 100, 1)
    found |= {"task": "mine", "label": "Mine", "audit": None, "pretraining": {}, "flattery": []}
    said = " ".join(section(found, {})["sentences"])
    assert "comes no nearer to the values than their mean does (R² −" in said
