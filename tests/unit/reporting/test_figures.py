"""Figures of a made-up study of full size: everything inside the page, fonts embedded, same bytes twice."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.reporting import figures
from foundationless.reporting.figures import book, style
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables.collect import collect
from foundationless.reporting.tables.verdict import build
from foundationless.study.vocabulary import FIGURES
from support import ROOT
from support.figure_tables import change_tables, write_tables
from support.figures import CARDS, GREY, STUDY, everything_fits, make_tables, marks, texts


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The design of the whole study with every table, the study's numbers and the ranks among them."""
    return write_tables(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp("small"), models=2, suites=("gb",))


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A study of which nothing has been summarised yet."""
    output = tmp_path_factory.mktemp("empty") / "tables"
    collect(
        output, scores=pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]),
        comparisons=pd.DataFrame(columns=["analysis", "task", "model", "init", "versus", "delta"]),
        records=pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]),
        tasks=pd.DataFrame([{"task": "H3", "suite": "nt", "suite_label": "NT", "group": "marks", "label": "H3"}]),
        models={"hyenadna": {"label": "HyenaDNA", "tokenizer_class": "character", "order": 0, "kind": "model"}},
        margin=0.02,
    )  # fmt: skip
    return output


@pytest.fixture(scope="module")
def drawn():
    """`drawn(name, tables)`: a figure with its layout done, kept for the tests that follow."""
    kept: dict[tuple[str, Path], Any] = {}

    def draw(name, directory):
        if (name, directory) not in kept:
            figure = figures._drawings()[name](read(directory, STUDY))
            with style.sheet():
                FigureCanvasAgg(figure).draw()
            kept[name, directory] = figure
        return kept[name, directory]

    return draw


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_at_full_size(name, tables, drawn):
    figure = drawn(name, tables)
    everything_fits(figure)
    assert figure.get_figwidth() * 25.4 in (pytest.approx(85), pytest.approx(174))
    assert figure.get_figheight() * 25.4 < 260


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_a_small_study(name, small, drawn):
    everything_fits(drawn(name, small))


@pytest.mark.parametrize("name", FIGURES)
def test_missing_data_are_named(name, empty, drawn):
    figure = drawn(name, empty)
    everything_fits(figure)
    assert any(text.get_text().startswith("No ") for text in texts(figure))


def test_points_are_as_many_as_scores(tables, drawn):
    frame = read(tables)
    look = frame.looks["hyenadna"]
    figure = drawn("figure_09_gue", tables)
    assert marks(figure, look.marker, look.color) == marks(figure, look.marker, "white") == 28
    assert marks(figure, "|") == 28 * len(GREY) * len(CARDS)
    figure = drawn("figure_07_best_random", tables)
    assert marks(figure, look.marker, look.color) == 52
    figure = drawn("figure_04_width_random", tables)
    assert marks(figure, look.marker, "white") == 4
    assert marks(figure, look.marker, look.color) == 0
    figure = drawn("figure_03_low_data", tables)
    assert marks(figure, look.marker, look.color) == 4 * 5
    figure = drawn("verdict_forest", tables)
    shown = [line for axes in figure.axes for line in axes.lines if line.get_marker() == look.marker]
    values = [line.get_xdata()[0] for line in shown if line.get_color() == look.color]
    across = frame.across.set_index(["suite", "versus", "model"])["delta"]
    families = frame.families.set_index(["versus", "model"])["delta"]
    assert values == [
        across["all", "random", "hyenadna"], *families["random", "hyenadna"], across["all", "baseline", "hyenadna"]
    ]  # fmt: skip
    assert len(families["random", "hyenadna"]) > 5


def test_the_full_study_has_the_studys_numbers_beside_ours(whole, drawn):
    frame = read(whole)
    reported = frame.extra("reported_comparison")
    nt = reported[reported["task"].isin(frame.tasks.loc[frame.tasks["suite"] == "nt", "task"])]
    nt = nt[nt["experiment"] == "nt_finetune"]
    figure = drawn("figure_08_nt", whole)
    for arm, marker in style.STUDY_MARKS.items():
        lines = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == marker]
        values = np.concatenate([line.get_xdata() for line in lines])
        assert sorted(values) == sorted(nt.loc[nt["arm"] == arm, "reported"])
    paired = nt.pivot_table(index="task", columns=["model", "arm"], values="reported")
    figure = drawn("figure_07_best_random", whole)
    found = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == "x"]
    drawn_values = np.concatenate([line.get_xdata() for line in found])
    best = paired.xs("random", axis=1, level="arm").max(axis=1)
    for model in paired.columns.get_level_values("model").unique():
        own = paired[model, "pretrained"]
        for expected in (own - paired[model, "random"], own - best):
            assert np.isclose(expected.to_numpy()[:, None], drawn_values[None], atol=1e-12).any(axis=1).all()


def test_the_forest_has_the_studys_own_evidence(whole, tmp_path, drawn):
    """Of the same scope, and of the architecture that stands behind a model's name."""

    def over_all(frame):
        return frame.assign(suite="all") if {"source", "suite", "versus"} <= set(frame) else frame

    directory = change_tables(whole, tmp_path / "tables", over_all)
    frame = read(directory)
    figure = drawn("verdict_forest", directory)
    values = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "x"]
    expected = frame.extra("reported_across").query("versus == 'random'").set_index("model")["delta"]
    expected = expected[expected.index.isin(frame.across["model"])]
    ends = figure.axes[0].get_xlim()
    assert sorted(values) == sorted(expected.clip(*ends)) and len(values) >= 5
    assert not [line for line in drawn("verdict_forest", whole).axes[0].lines if line.get_marker() == "x"]  # suite nt


def test_every_number_of_the_study_is_a_mark(whole, drawn):
    frame = read(whole)
    figure = drawn("reported", whole)
    found = frame.extra("reported_comparison")
    scores, differences = (part.axes[0] for part in figure.subfigs[1].subfigs)
    inside = [line for line in scores.lines if line.get_marker() not in ("None", None, "")]
    points = np.concatenate([np.column_stack([line.get_xdata(), line.get_ydata()]) for line in inside])
    assert sorted(map(tuple, points)) == sorted(zip(found["reported"], found["ours"], strict=True))
    marked = [line.get_xdata() for line in differences.lines if line.get_marker() not in ("None", None, "")]
    assert sorted(np.concatenate(marked)) == sorted(found["difference"])
    counted = [text.get_text().split(" · ") for text in differences.texts[:-1]]
    assert sum(int(number) for numbers in counted for number in numbers) == len(found)


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
    drawn = scikit_posthocs.critical_difference_diagram(ranks, p, ax=Figure().subplots(), alpha=ALPHA)
    expected = {tuple(np.round(np.sort(bar[0].get_xdata())[[0, -1]], 9)) for bar in drawn["crossbars"]}
    order = ranks.sort_values().index
    bars = maximal_runs(p.loc[order, order].to_numpy(), ALPHA)
    assert {tuple(np.round([ranks[order[first]], ranks[order[last]]], 9)) for first, last in bars} == expected
    assert bars


def test_ranks_have_a_row_per_arm_and_baseline(whole, drawn):
    ranks = read(whole).extra("ranks")
    axes, side = drawn("critical_difference", whole).axes
    assert len(axes.get_yticklabels()) == len(ranks) >= 20
    at = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert at == sorted(ranks["rank"])
    assert side.lines


@pytest.mark.parametrize("name", ["verdict_forest", "critical_difference", "reported"])
def test_the_verdict_is_made_for_one_column(name, whole, drawn):
    figure = drawn(name, whole)
    everything_fits(figure)
    assert figure.get_figwidth() * 25.4 == pytest.approx(style.ONE_COLUMN)
    assert min(text.get_fontsize() for text in texts(figure)) >= 5


def test_the_cover_names_holes(small, tmp_path):

    rows = [("finetune", task, "hyenadna", "random", seed) for task in ("H3", "H4") for seed in (0, 2)]
    rows += [("biotype", f"task{i}", f"model{i}", "random", 0) for i in range(80)]
    holes = pd.DataFrame(rows, columns=["analysis", "task", "model", "init", "seed"])
    directory = shutil.copytree(small, tmp_path / "tables")
    holes.assign(what="record", note="it is not there").to_csv(directory / "holes.csv", index=False)
    lines = book.holes(read(directory))
    assert lines[0] == "84 holes." and "51 more" in lines[-1]
    assert lines[1] == "Record: finetune/hyenadna/random: H3 (seed 0, 2), H4 (seed 0, 2)."
    figure = book.cover(read(directory, STUDY), "")
    FigureCanvasAgg(figure).draw()
    assert any(text.get_text().startswith("Record: finetune/hyenadna/random") for text in texts(figure))
    everything_fits(figure)
    assert book.holes(read(small)) == ["None: no cell of the design is missing."]


def test_values_stand_where_the_table_says(tables, drawn):
    frame = read(tables)
    figure = drawn("biotype", tables)
    scores = frame.scores[frame.scores["analysis"] == "biotype"].set_index(["model", "init"])
    for model in CARDS:
        look = frame.looks[model]
        drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == look.marker]
        assert drawn == [scores.loc[(model, init), "value"] for init in ("random", "pretrained")] or drawn == [
            scores.loc[(model, init), "value"] for init in ("pretrained", "random")
        ]


def test_a_model_looks_the_same_at_every_width_and_classes_share_a_hue(tables):
    looks = read(tables).looks
    assert looks["hyenadna"] == looks["hyenadna.char.w64"] == looks["hyenadna.w1024"]
    assert len({(looks[name].color, looks[name].marker) for name in CARDS}) == len(CARDS)
    assert {looks[name].color for name in GREY} == {style.GREY}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("character", "character"),
        ("6-mer", "kmer"),
        ("kmer6", "kmer"),
        ("BPE", "bpe"),
        (None, "other"),
        (np.nan, "other"),
    ],
)
def test_tokenizer_classes(name, expected):
    assert style.tokenizer_class(name) == expected


def test_fonts_are_embedded_and_the_bytes_repeat(small, tmp_path):
    from pypdf import PdfReader

    first, second = tmp_path / "a.pdf", tmp_path / "b.pdf"
    for path in (first, second):
        figures.draw("biotype", small, STUDY, path)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".png").read_bytes() == second.with_suffix(".png").read_bytes()
    fonts = PdfReader(first).pages[0]["/Resources"]["/Font"]
    described = [
        font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object() for font in fonts.values()
    ]
    assert described and all("/FontFile2" in font for font in described)


def test_commands_draw_and_bind(small, tmp_path):
    from pypdf import PdfReader

    names = ["biotype", "figure_08_nt"]
    pdfs = [tmp_path / f"{name}.pdf" for name in names]
    drawn = ["draw_figures", "--figures", *names, "--tables", str(small), "--study", STUDY, "--output", str(tmp_path)]
    assert main(drawn) == 0
    outputs = [tmp_path / "all.pdf", tmp_path / "again.pdf"]
    for output in outputs:
        code = main(
            ["bind_figures", "--figures", *map(str, pdfs), "--tables", str(small), "--study", STUDY,
             "--notes", "Notes of the study. " * 12, "--output", str(output)]
        )  # fmt: skip
        assert code == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert not list(tmp_path.glob("*cover*"))
    reader = PdfReader(outputs[0])
    assert len(reader.pages) == 3
    cover, more, biotype, study, figures_of_study = reader.outline
    assert (cover.title, more.title, study.title) == ("Cover", FIGURES["biotype"], FIGURES["figure_08_nt"])
    assert [item.title for item in biotype] == ["Biotype"]
    assert [item.title for item in figures_of_study] == ["Figure 8: NT benchmark"]
    assert [reader.get_destination_page_number(item) for item in (more, biotype[0], study)] == [1, 1, 2]
    text = " ".join(reader.pages[0].extract_text().split())
    for sentence in build(small, STUDY, STUDY)["sentences"]:
        assert " ".join(sentence.split()) in text
    across = read(small).across.query("suite == 'all' and versus == 'random'")
    assert f"{across['delta'].max():+.3f}" in text
    assert "foundationless" in text and "Notes of the study." in text


def test_a_study_without_pairs_has_a_cover_without_a_verdict(empty):

    figure = book.cover(read(empty, STUDY), "")
    FigureCanvasAgg(figure).draw()
    assert any("nothing is judged" in text.get_text() for text in texts(figure))
    everything_fits(figure)


@pytest.mark.parametrize(
    "arguments",
    [
        ["draw_figures", "--figures", "figure_99", "--output", "f"],
        ["draw_figures", "--figures", "biotype", "--tables", "nowhere", "--output", "f"],
        ["bind_figures", "--figures", "nowhere.pdf", "--study", "s", "--output", "f.pdf"],
    ],
)
def test_mistakes_are_one_sentence(arguments, small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = arguments if "--tables" in arguments else [*arguments, "--tables", str(small)]
    assert main(flags) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_figures_import_neither_torch_nor_models():
    code = (
        "import sys; from foundationless.reporting.figures import _drawings, book; _drawings(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'transformers') "
        "or m.startswith(('foundationless.models', 'foundationless.tasks'))])"
    )
    root = ROOT / "workflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_inline_models_of_a_plan_are_understood(tmp_path):
    cards = json.dumps({"a.demo": {"label": "A", "tokenizer_class": "bpe", "order": 0, "kind": "model"}})
    (tmp_path / "tasks.tsv").write_text("task\tsuite\tsuite_label\tgroup\tlabel\nH3\tnt\tNT\tmarks\tH3\n")
    for name in ("s", "c"):
        (tmp_path / f"{name}.csv").write_text("analysis,task,model,init,metric,value,delta\n")
    pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]).to_parquet(tmp_path / "r.parquet")
    flags = [
        "--scores",
        "s.csv",
        "--comparisons",
        "c.csv",
        "--records",
        "r.parquet",
        "--tasks",
        "tasks.tsv",
        "--output",
        "t",
    ]
    paths = [flag if flag.startswith("--") else str(tmp_path / flag) for flag in flags]
    assert main(["collect_tables", *paths, "--models", cards]) == 0
    assert pd.read_csv(tmp_path / "t" / "models.csv")["label"].tolist() == ["A"]


@pytest.mark.parametrize("name", ["scores", "comparisons", "across_tasks", "tasks", "models"])
@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", bytes(range(256)), None])
def test_broken_tables_are_named(name, content, empty, tmp_path):
    directory = shutil.copytree(empty, tmp_path / "tables")
    path = directory / f"{name}.csv"
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.csv"):
        read(directory)
