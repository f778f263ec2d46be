"""Tables, verdicts and configs that were cut, emptied or edited: one sentence and exit code 2, never a traceback."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from foundationless.__main__ import main
from foundationless.reporting.tables.verdict import build
from foundationless.study.vocabulary import FIGURES
from support import ROOT
from support.commands import refused, words
from support.figure_tables import write_tables

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
# A table, a figure that reads it, and one of its columns of numbers.
READ = [
    ("scores", "figure_08_nt", "value"),
    ("comparisons", "figure_08_nt", "delta"),
    *(("across_tasks", "verdict_forest", column) for column in ("wins", "margin", "se")),
    ("ranks", "critical_difference", "rank"),
    ("rank_pairs", "critical_difference", "p"),
    *(("claims", "claims", "difference"), ("confusion", "confusion", "count"), ("leakage", "leakage", "low")),
    *(("calibration", "calibration", "accuracy"), ("roc", "roc", "fpr"), ("cost", "cost", "gpu_hours")),
    ("runs", "seed_variance", "value"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("whole") / "tables")


@pytest.fixture
def tables(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "tables")


def draw(tables, figure):
    return words("draw_figures", figures=figure, tables=tables, output=tables.parent / "figures")


def change(path, row, **values):
    """Write a table with another value in one cell."""
    frame = pd.read_csv(path, low_memory=False).astype(dict.fromkeys(values, object))
    frame.loc[row, list(values)] = list(values.values())
    frame.to_csv(path, index=False)


@pytest.mark.parametrize(("name", "figure", "column"), READ)
def test_a_text_where_a_number_belongs(tables, capsys, name, figure, column):
    change(tables / f"{name}.csv", 1, **{column: "much"})
    sentence = f"{name}.csv: row 2 has 'much' as {column}, which is a number"
    assert sentence in refused(capsys, draw(tables, figure))


@pytest.mark.parametrize(("name", "figure"), sorted({(name, figure) for name, figure, _ in READ}))
def test_a_table_that_is_empty_cut_short_or_another(tables, capsys, name, figure):
    path = tables / f"{name}.csv"
    content = path.read_bytes()
    half = content[: len(content) // 2].rstrip(b"\n")
    wrong = {b"": "it is empty", b"\n": "it is empty", half: "it is cut short", b"a,b\n1,2\n": "no column"}
    for broken, sentence in (wrong | {bytes(range(256)) + b"\n": "not a table"}).items():
        path.write_bytes(broken)
        error = refused(capsys, draw(tables, figure))
        assert f"{name}.csv: " in error and sentence in error


@pytest.mark.parametrize("name", ["records", "maps", "mutagenesis"])
def test_a_parquet_table_that_is_none(tables, capsys, name):
    path = tables / f"{name}.parquet"
    content = path.read_bytes()
    for broken in (b"", content[: len(content) // 2], b"PAR1"):
        path.write_bytes(broken)
        assert f"{name}.parquet: not a table" in refused(capsys, draw(tables, "biotype"))
    pd.DataFrame({"a": [1]}).to_parquet(path)
    assert f"{name}.parquet: no column" in refused(capsys, draw(tables, "biotype"))


def test_a_row_without_its_task(tables, capsys):
    change(tables / "scores.csv", 2, task=None)
    assert "scores.csv: row 3 has no task" in refused(capsys, draw(tables, "figure_08_nt"))


@pytest.fixture
def page(tables, tmp_path):
    """Flags of write_report for a whole study, of which a test breaks one thing."""
    from PIL import Image

    for name in FIGURES:
        (tmp_path / "figures").mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "figures" / f"{name}.png")
    verdict = tmp_path / "verdict.json"
    verdict.write_text(json.dumps(build(tables, "s", "S")))
    return {
        "tables": tables, "figures": tmp_path / "figures", "verdict": verdict, "config": json.dumps(CONFIG),
        "datasets": ROOT / "config/datasets.tsv", "output": tmp_path / "report.html",
    }  # fmt: skip


def test_the_report_of_a_whole_study_is_written(page):
    assert main(words("write_report", **page)) == 0
    assert "Nothing: every cell of the design has its result." in page["output"].read_text()


@pytest.mark.parametrize("name", ["scores", "tasks", "models", "missing"])
def test_a_report_needs_its_tables_whole(page, capsys, name):
    path = page["tables"] / f"{name}.csv"
    for broken, sentence in ((b"", "it is empty"), (b"a\n1\n", "no column"), (b"a,b\n1", "cut short")):
        path.write_bytes(broken)
        error = refused(capsys, words("write_report", **page))
        assert f"{name}.csv: " in error and sentence in error
    path.unlink()
    assert f"no {name}.csv" in refused(capsys, words("write_report", **page))
    assert not page["output"].exists()


def test_a_report_refuses_a_text_where_a_number_belongs(page, capsys):
    change(page["tables"] / "cost.csv", 0, seconds="an hour")
    assert "cost.csv: row 1 has 'an hour' as seconds" in refused(capsys, words("write_report", **page))


@pytest.mark.parametrize(
    "change", [{"schema_version": 99}, {"models": {"a": 1}}, {"models": []}, {"sentences": []}, {"margins": "small"}]
)
def test_a_report_refuses_what_is_no_verdict(page, capsys, change):
    verdict = json.loads(page["verdict"].read_text())
    page["verdict"].write_text(json.dumps(verdict | change))
    assert f"verdict.json, {next(iter(change))}" in refused(capsys, words("write_report", **page))


@pytest.mark.parametrize("change", [{"models": ["a"]}, {"models": None}, {"statistics": 3}, {"seeds": 2}])
def test_a_report_refuses_what_is_no_config(page, capsys, change):
    page["config"] = json.dumps(CONFIG | change)
    assert f"--config, {next(iter(change))}" in refused(capsys, words("write_report", **page))


@pytest.mark.parametrize("cells", ["[]", '[{"metric": "mcc", "tasks": [], "cells": []}]'])
def test_an_analysis_without_tasks(tmp_path, capsys, cells):
    flags = {"analysis": "finetune", "directory": tmp_path, "seed": 0, "cells": cells, "output": tmp_path / "t"}
    assert "--cells: no task is named" in refused(capsys, words("summarise_analysis", **flags))
