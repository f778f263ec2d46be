"""The report in a real browser: it loads whole and alone, sorts, filters, is used by keyboard, and runs no stranger."""

import json
import re
import subprocess
import sys
from itertools import pairwise

import pandas as pd
import pytest
from pypdf import PdfReader

from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.figures import style
from foundationless.reporting.page import contents
from foundationless.reporting.tables.verdict import SCHEMA_VERSION
from foundationless.study.config import check_schema, read_schema, read_yaml
from foundationless.study.vocabulary import FIGURES, SCOPES
from support import ROOT
from support.studies import ENVIRONMENT

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
PAGES = ["overview", "figures", "tables", "model-lab.one", "runtimes", "missing", "provenance"]


def evidence(delta, verdict):
    numbers = {
        "delta": delta,
        "se": 0.01,
        "low": delta - 0.02,
        "high": delta + 0.02,
        "detectable": 0.03,
        "margin": 0.04,
    }
    tests = {"p_holm": 0.0004, "p_tost_holm": None, "rope": {"below": 0.1, "within": 0.0002, "above": 0.7}}
    counts = {"n": 6, "distinct": 5, "units": 3, "seeds": 3, "learned": 6, "wins": 5, "losses": 1}
    counts |= {"gpu_hours": 3.0, "cpu_hours": 0.0, "next_decimal": "with seeds alone", "next_decimal_seeds": 210}
    counts |= {"next_decimal_times": 1, "next_decimal_hours": 400.0}
    these = numbers | tests | counts | {"metrics": ["mcc"], "verdict": verdict}
    return {"these": these, "like-these": these | {"verdict": "not learned", "detectable": "none"}}


def words_of(verdict):
    return {"these": verdict, "like-these": verdict and "not learned"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Tables, figures and verdict of a made-up study, in which every text that may be free is hostile."""
    directory = tmp_path_factory.mktemp("study")
    tables, figures = directory / "tables", directory / "figures"
    tables.mkdir()
    models = [("lab.one", HOSTILE), ("lab.one.w16", "One, narrow"), ("lab.two", "Two")]
    rows = [
        {"analysis": "finetune", "task": f"{task}{number}", "model": model, "init": "pretrained", "versus": versus,
         "delta": (number * 7 + place * 3) % 11 / 10 - 0.5, "p": None if number == 3 else number / 10,
         "metric": "mcc", "low": -0.6, "high": 0.6,
         "note": label}
        for number in range(20) for place, (model, label) in enumerate(models)
        for task in ("mark", "promoter") for versus in ("random", "baseline")
    ]  # fmt: skip
    comparisons = add_name_parts(pd.DataFrame(rows))
    written = {
        "comparisons": comparisons,
        "scores": comparisons.drop(columns="versus").rename(columns={"delta": "value"}),
        "models": pd.DataFrame(models, columns=["model", "label"]).assign(kind="model", family="bert",
                                                                         tokenizer_class="bpe"),
        "tasks": pd.DataFrame({"task": ["mark0"], "sources": ["train=gue_emp_H3_dev"],
                               "suite": "gue", "suite_label": "GUE",
                               "group": "marks", "label": "Mark"}),
        "cost": pd.DataFrame({"rule": ["embed", "embed", "probe"], "analysis": "biotype", "task": "mark0",
                              "model": "lab.one", "init": "random", "seconds": [3600, 1800, 36],
                              "device": ["cpu", HOSTILE, None], "gpu_hours": 0.0, "cpu_hours": 0.5}),
        "missing": pd.DataFrame({"analysis": ["finetune"], "task": ["mark1"], "model": "lab.two",
                               "init": "random", "what": ["record"], "note": [HOSTILE]}),
        "records": comparisons,
        HOSTILE.replace("/", "").replace("<", "[")[:40]: pd.DataFrame({HOSTILE: [1, 2]}),
        "empty": pd.DataFrame(columns=["a", "b"]),
    }  # fmt: skip
    for name, frame in written.items():
        frame.to_csv(tables / f"{name}.csv", index=False)
    comparisons.assign(version_torch="2.9.1", version_commit=HOSTILE).to_parquet(tables / "records.parquet")
    for name in FIGURES:
        figure, body = style.page(20, title=f"{HOSTILE} {name}", caption=f"95 % intervals_ of *{name}*.", width_mm=85)
        body.subplots().plot([0, 1])
        style.save(figure, figures / f"{name}.pdf")
    judged = evidence(0.1, "better")
    verdict = {
        "schema_version": SCHEMA_VERSION, "study": "made-up", "title": "Made up", "question": "Is it?",
        "scopes": dict(SCOPES), "margins": {"mcc": 0.04}, "familywise": "At most 10 %.", "alpha": 0.05,
        "truth": [{"model": "lab.one", "label": HOSTILE, "versus": "random", "analysis": "finetune", "word": "worse",
                   "why": HOSTILE, "found": words_of("better"), "agrees": False, "evidence": judged}],
        "truth_counts": {"agree": 0, "contradict": 1, "open": 0},
        "edges": {"models": {"choices": 4, "low": 0, "high": 1}, "baselines": None},
        "rules": [{"task": HOSTILE, "metric": "mcc", "baseline": None, "pretrained": None,
                   "rule": {"check": HOSTILE, "against": "train", "word": "shortcut", "value": 0.567, "low": 0.5,
                            "high": 0.6, "threshold": 0.1}}],
        "missing": {"count": 1, "cells": []},
        "generated_from": {"package": "1", "commit": HOSTILE, "analysis": "finetune", "tables": "t", "records": 240},
        "models": {
            name: {"label": label, "verdict": words_of(word), "lost": False,
                   "edges": {"choices": 4, "low": 0, "high": 1},
                   "versus_random": evidence(delta, word), "versus_baseline": None,
                   "families": {"promoters": judged, HOSTILE: judged}, "families_versus_baseline": {},
                   "analyses": {"finetune": judged}}
            for name, label, delta, word in [("lab.one", HOSTILE, 0.1, "better"), ("lab.two", "Two", -0.1, "worse")]
        },
        "sentences": ["One is better.", HOSTILE, "Nothing else."],
    }  # fmt: skip
    verdict["models"]["lab.three"] = {
        "label": "Three", "verdict": words_of(None), "lost": True, "edges": None,
        "versus_random": None, "versus_baseline": None, "families": {},
        "families_versus_baseline": {}, "analyses": {},
    }  # fmt: skip
    check_schema(verdict, read_schema("verdict"), "verdict")
    (directory / "verdict.json").write_text(json.dumps(verdict))
    config = read_yaml(ROOT / "config/config.yaml") | {"notes": HOSTILE}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def write(study, output, **changed):
    """Run the command as the rule does."""
    flags = {
        "tables": study / "tables", "figures": study / "figures", "verdict": study / "verdict.json",
        "config": (study / "config.json").read_text(), "datasets": ROOT / "config/datasets.tsv", "output": output,
    } | changed  # fmt: skip
    command = [sys.executable, "-m", "foundationless", "write_report"]
    for name, value in flags.items():
        command += [f"--{name}", str(value)]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def report(study):
    answer = write(study, study / "report.html")
    assert (answer.returncode, answer.stderr) == (0, "")
    return study / "report.html"


def rows_of(browser, table):
    """Cells of every row that a table shows on its current page, as texts."""
    return browser(
        f"[...document.querySelectorAll('#{table} tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )


def test_it_loads_in_seconds_alone_and_without_complaint(browser, report):
    seconds = min(browser.open(report, f"#{page}") for page in PAGES)
    for table in browser("[...document.querySelectorAll('details.table')].map(table => table.id)"):
        browser(f"document.getElementById({json.dumps(table)}).open = true")
    browser.wait("document.querySelectorAll('#tables table.dataTable').length >= 6")
    assert seconds < 3
    assert {url for url in browser.requests if not url.startswith("data:")} == {report.resolve().as_uri()}
    assert browser.complaints == []
    # What it would say otherwise: the policy of the page refuses a request, aloud.
    browser("new Image().src = 'https://example.org/spy.png'; 0")
    browser.wait("true")
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


def test_every_figure_renders_with_its_words(browser, report):
    browser.open(report, "#figures")
    browser.wait("[...document.images].every(image => image.complete || !image.src)")
    shown = browser(
        "[...document.querySelectorAll('#figures figure')].map(figure => [figure.id, figure.querySelector('img')"
        ".naturalWidth, figure.querySelector('img').alt, figure.querySelector('figcaption').textContent])"
    )
    width, opened = 669, "document.querySelector('dialog').open"  # 85 mm at 200 dpi
    assert shown == [[f"figure-{n}", width, f"{HOSTILE} {n}", f"95 % intervals_ of *{n}*."] for n in FIGURES]
    browser("document.querySelector('#figure-cost .zoom').click()")
    assert browser(f"{opened} && document.querySelector('dialog img').naturalWidth") == width
    browser.press("Escape")
    assert browser(opened) is False


def test_what_tables_say_is_text_and_never_runs(browser, report):
    for page in PAGES:
        browser.open(report, f"#{page}")
        browser("document.querySelectorAll(`[data-page]:not([hidden]) details`).forEach(part => { part.open = true })")
        if page in ("tables", "model-lab.one"):
            browser.wait("document.querySelector('[data-page]:not([hidden]) table.dataTable') !== null")
        assert HOSTILE in browser("document.querySelector('main').textContent")
        assert browser("[typeof window.hacked, document.querySelectorAll('img[src=x]').length]") == ["undefined", 0]
    assert browser.complaints == []
    assert browser("document.querySelector('#pages a[href=\"#model-lab.one\"]').textContent") == HOSTILE


def test_tables_sort_and_filter_as_pandas_does(browser, report, study):
    frame = pd.read_csv(study / "tables/comparisons.csv")
    browser.open(report, "#table-comparisons")
    browser.wait("document.querySelector('#table-comparisons table.dataTable') !== null")
    column = list(frame).index("delta")
    header = f"document.querySelectorAll('#table-comparisons thead th')[{column}]"
    for word, ascending in [("ascending", True), ("descending", False)]:
        browser(f"{header}.click()")
        browser.wait(f"{header}.getAttribute('aria-sort') === '{word}'")
        numbers = [float(cells[column].replace("−", "-")) for cells in rows_of(browser, "table-comparisons")]
        expected = frame["delta"].sort_values(ascending=ascending).head(25).tolist()
        assert numbers == pytest.approx(expected)

    def found():
        text = browser("document.querySelector('#table-comparisons .dt-info').textContent")
        return int(re.search(r"of (\d+) entr", text)[1])

    assert found() == len(frame)
    browser("document.querySelector('#table-comparisons input[type=search]').focus()")
    browser.type("promoter1 lab.two")
    words = frame["task"].str.contains("promoter1") & (frame["model"] == "lab.two")
    browser.wait("document.querySelector('#table-comparisons .dt-info').textContent.includes('filtered')")
    assert 0 < found() == words.sum() < len(frame)
    choice = "[...document.querySelectorAll('#table-comparisons .filters label')].find(one => one.textContent.startsWith('versus')).querySelector('select')"  # noqa: E501
    browser(f"{choice}.value = 'baseline'; {choice}.dispatchEvent(new Event('change'))")
    assert found() == (words & (frame["versus"] == "baseline")).sum()


def test_a_models_page_holds_its_rows_and_those_of_its_variants(browser, report, study):
    frame = pd.read_csv(study / "tables/comparisons.csv")
    browser.open(report, "#model-lab.one-comparisons")
    browser.wait("document.querySelector('[id=\"model-lab.one-comparisons\"] table.dataTable') !== null")
    assert browser("document.querySelector('[data-page]:not([hidden])').id") == "model-lab.one"
    text = browser("document.querySelector('[id=\"model-lab.one-comparisons\"] .dt-info').textContent")
    assert f"of {frame['model'].isin(['lab.one', 'lab.one.w16']).sum()} entries" in text
    assert "+0.100 [+0.080, +0.120]" in browser("document.querySelector('[id=\"model-lab.one\"]').textContent")
    assert browser("document.getElementById('model-lab.one.w16')") is None


def test_it_is_used_by_keyboard_alone(browser, report):
    browser.open(report)
    focused = "document.activeElement"
    browser.press("Tab")
    assert browser(f"{focused}.textContent") == "Skip to the content"
    browser.press("Enter")
    assert browser(f"{focused}.id") == "content"

    def enter(aim):
        """Press the tabulator until the focus is where it should be, then Enter."""
        for _ in range(40):
            browser.press("Tab")
            if browser(f"{focused}{aim}"):
                break
        browser.press("Enter")

    browser.open(report)
    enter(".hash === '#tables'")
    browser.wait(f"{focused}.id === 'tables-head'")
    assert browser("document.title").startswith("Tables – ")
    enter(".tagName === 'SUMMARY'")
    browser.wait("document.querySelector('#tables details[open] table.dataTable') !== null")
    enter(".closest('thead') !== null")
    browser.wait(f"{focused}.closest('th').getAttribute('aria-sort') === 'ascending'")


def test_a_screen_reader_finds_landmarks_and_a_name_for_everything(browser, report):
    for page in PAGES:
        browser.open(report, f"#{page}")
        browser("document.querySelector('[data-page]:not([hidden]) details')?.setAttribute('open', '')")
        nodes = [node for node in browser.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        roles = [node["role"]["value"] for node in nodes]
        assert {"main", "navigation", "banner", "contentinfo"} <= set(roles)
        for node, role in zip(nodes, roles, strict=True):
            if role in ("image", "button", "link", "textbox", "searchbox", "combobox", "table", "region", "navigation"):
                assert node["name"]["value"].strip(), (page, node)
        headings = [node for node, role in zip(nodes, roles, strict=True) if role == "heading"]
        levels = [part["value"]["value"] for node in headings for part in node["properties"] if part["name"] == "level"]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_reaches_over_the_edge(browser, report, width):
    browser.size(width, 800)
    for page in [*PAGES, "table-comparisons", "figure-cost"]:
        browser.open(report, f"#{page}")
        assert browser("document.documentElement.scrollWidth") <= width, page
    hidden = "getComputedStyle(document.querySelector('#pages')).display === 'none'"
    assert browser(hidden) is (width == 400)
    if width == 400:
        browser("document.querySelector('#menu').click()")
        assert browser(f"!({hidden}) && document.querySelector('#menu').getAttribute('aria-expanded')") == "true"


def test_it_prints_every_part(browser, report, tmp_path):
    browser.open(report, "#runtimes")
    browser.print(tmp_path / "printed.pdf")
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "printed.pdf").pages)
    for words in (
        "One is better.", "Figure 10: Genomic Benchmarks", "1 of the 4 choices behind this verdict", "0.567",
        "What the jobs of each rule took", "±0.04 (MCC)", "not learned",
        "not adjusted for the number of models", "not compared", "< 0.001", "3 families", "gue_emp_H3",
    ):  # fmt: skip
        assert words in " ".join(text.split()), words
    assert "Skip to the content" not in text


def test_the_same_inputs_give_the_same_bytes(report, study, tmp_path):
    assert write(study, study / "again.html").returncode == 0
    assert (study / "again.html").read_bytes() == report.read_bytes()


def test_a_table_too_large_for_a_page_is_named(study, monkeypatch):
    monkeypatch.setattr(contents, "TABLE_BYTES", 3000)
    tables = {table.name: table for group in contents.read_tables(study / "tables", "t").values() for table in group}
    assert (tables["comparisons"].data, tables["comparisons"].rows) == ("", 240)
    assert tables["comparisons"].file == "t/comparisons.csv"
    assert tables["models"].data and tables["records"].data == ""


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"verdict": "/nowhere/verdict.json"}, "/nowhere/verdict.json: no such file."),
        ({"tables": "/nowhere"}, "/nowhere: no such directory; make the tables with collect_tables first."),
        ({"figures": "/nowhere"}, "/nowhere/verdict_forest.png: no such figure; draw it with draw_figures first."),
        ({"config": "{"}, "--config: not valid JSON"),
        ({"config": "[]"}, "[]: no such file."),
        ({"config": ROOT / "config/models.yaml"}, "--config, top level: "),
        ({"datasets": "/nowhere.tsv"}, "/nowhere.tsv: no such file."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(study, tmp_path, changed, sentence):
    answer = write(study, tmp_path / "report.html", **changed)
    assert answer.returncode == 2 and sentence in answer.stderr and "Traceback" not in answer.stderr
    assert not (tmp_path / "report.html").exists()
