"""Every figure at full size, small and without data: nothing overlaps, is cut or too small; fonts are in the file."""

import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from matplotlib.lines import Line2D
from pypdf import PdfReader

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.reporting import figures
from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables.verdict import build, write
from foundationless.study.vocabulary import FIGURES, PAPER, Figure
from support import ROOT
from support.figure_tables import SENTENCE, change_tables, half_tables
from support.figures import faults, laid_out, panels, texts, words

ONE_COLUMN = (
    "critical_difference", "reported", "factorial", "learning_curves", "roc", "confusion",
    "seed_variance", "mutations",
)  # fmt: skip
INK = {  # colours that say something else than which model it is
    style.GREY, style.INK, style.BAND, "#000000", "#ffffff", "#dddddd", "#444444",
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_at_full_size_and_small_and_draws_its_data(name, full, small, drawn):
    for directory in (full, small):
        figure = drawn(name, directory)
        assert not faults(figure)
        if name in ONE_COLUMN:
            assert figure.get_figwidth() * 25.4 == pytest.approx(style.ONE_COLUMN)
    figure = drawn(name, full)
    assert not [text for text in words(figure) if text.startswith("No ")], "the full study lacks nothing"
    assert any(axes.axison for axes in panels(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_empty_tables_make_a_page_that_says_so(name, empty, drawn):
    figure = drawn(name, empty)
    assert any(text.startswith("No ") for text in words(figure))
    assert not faults(figure)


@pytest.fixture(scope="module")
def halved(full, tmp_path_factory):
    return read(half_tables(full, tmp_path_factory.mktemp("half") / "tables"), SENTENCE)


@pytest.mark.parametrize("name", FIGURES)
def test_half_of_the_rows_still_draw(name, halved):
    figure = figures.resolve(name)(halved)
    assert figure.subfigs
    assert not any(np.isinf(axes.get_position().bounds).any() for axes in panels(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_models_keep_their_colours(name, full, drawn):
    """Every colour of a line or mark is a model's, or one of those that stand for no model."""
    allowed = INK | {look.color for look in read(full).looks.values()}
    allowed |= {colors.to_hex(matplotlib.rcParams["xtick.color"])}
    if name in ("clustering", "leakage", "seed_variance", "probing"):
        return  # colours of classes, shares and heat stand beside them; marks are made by `style.filling` there too
    shown = {
        colors.to_hex(line.get_color())
        for line in drawn(name, full).findobj(Line2D)
        if line.axes is not None and line.get_visible() and len(line.get_xdata())
    }
    assert shown <= allowed


def test_a_model_keeps_its_look_and_no_other_has_it(full):
    tables = read(full)
    looks = tables.looks
    plain = {name: look for name, look in looks.items() if look.marker != "|" and tables.stems[name] == name}
    assert len({(look.color, look.marker) for look in plain.values()}) == len(plain) > 7
    assert all(look == looks[tables.stems[name]] for name, look in looks.items())
    assert {"hyenadna.char.w64", "hyenadna.w2048"} < {name for name, stem in tables.stems.items() if stem == "hyenadna"}
    assert {looks[name].color for name in tables.baselines} == {style.GREY}
    # Other weights, and 6-mers in place of characters, are other models to the eye.
    apart = ["caduceus", "caduceus.paper", "hyenadna", "hyenadna.scratch", "hyenadna.scratch.kmer"]
    assert [tables.stems[name] for name in apart] == apart
    assert tables.stems["hyenadna.scratch.kmer.w64"] == "hyenadna.scratch.kmer"


def test_tokenizer_classes():
    classes = {"character": "character", "6-mer": "kmer", "kmer6": "kmer", "BPE": "bpe", None: "other", np.nan: "other"}
    for name, expected in classes.items():
        assert style.tokenizer_class(name) == expected


def test_a_task_is_named_with_what_makes_it_a_variant(full):
    tables = read(full)
    label = tables.task_label("nt_H3")
    assert tables.task_label("nt_H3.permuted") == f"{label} (permuted)"
    assert tables.task_label("nt_H3.pct10d2.ep30") == f"{label} (pct10.ep30, draw 2)"
    assert tables.task_label("unknown") == "unknown"
    rows = tables.task_rows(["nt_H4", "nt_H3.dedup", "nt_H3", "unknown"])
    assert rows["task"].tolist() == ["nt_H3", "nt_H3.dedup", "nt_H4"]
    assert rows["base_task"].tolist() == ["nt_H3", "nt_H3", "nt_H4"]


def test_fonts_are_in_the_file_as_truetype_and_the_bytes_repeat(full, tmp_path):
    for name, width in (("verdict_forest", style.TWO_COLUMNS), ("learning_curves", style.ONE_COLUMN)):
        first, second = tmp_path / "a" / f"{name}.pdf", tmp_path / "b" / f"{name}.pdf"
        for path in (first, second):
            figures.draw_all([name], full, SENTENCE, path.parent, 1)
        assert first.read_bytes() == second.read_bytes()
        assert first.with_suffix(".png").read_bytes() == second.with_suffix(".png").read_bytes()
        page = PdfReader(first).pages[0]
        assert float(page.mediabox[2]) / 72 * 25.4 == pytest.approx(width, abs=0.1)
        fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
        assert fonts
        for font in fonts:
            described = font.get("/DescendantFonts", [font])[0].get_object()["/FontDescriptor"].get_object()
            assert font["/Subtype"] in ("/Type0", "/TrueType") and "/FontFile2" in described


def test_a_figure_is_declared_once(full, monkeypatch):
    """A function of a module and its arguments, as data; the name alone draws it."""
    monkeypatch.setitem(FIGURES, "again", Figure("Verdict", "benchmarks:suite", {"name": "gb"}))
    (title, *_) = words(figures.resolve("again")(read(full)))
    assert title == words(figures.resolve("figure_10_gb")(read(full)))[0]
    for declared in FIGURES.values():
        assert (ROOT / "workflow/foundationless/reporting/figures" / f"{declared.draw.split(':')[0]}.py").is_file()


def test_figures_import_neither_torch_nor_models():
    code = (
        "import sys; from foundationless.reporting.figures import book, resolve; "
        "from foundationless.study.vocabulary import FIGURES; [resolve(name) for name in FIGURES]; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'transformers') "
        "or m.startswith(('foundationless.models', 'foundationless.tasks'))])"
    )
    root = ROOT / "workflow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["draw_figures", "--figures", "figure_99", "--output", "f"],
        ["draw_figures", "--figures", "biotype", "--tables", "nowhere", "--output", "f"],
        ["bind_figures", "--figures", "nowhere.pdf", "--study", "s", "--output", "f.pdf", "--verdict"],
        ["bind_figures", "--figures", "nowhere.pdf", "--study", "s", "--output", "f.pdf", "--verdict", "nowhere.json"],
    ],
)
def test_mistakes_are_one_sentence(arguments, small, tmp_path, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if arguments[-1] == "--verdict":
        arguments = [*arguments, str(tmp_path_factory.mktemp("verdict") / "verdict.json")]
        write(Path(arguments[-1]), build(small, "s", "s"))
    flags = arguments if "--tables" in arguments else [*arguments, "--tables", str(small)]
    assert main(flags) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


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


def test_the_check_itself_sees_what_it_looks_for():
    """Texts that overlap, leave the page, are cut or too small, straight and slanted; panels and pages without room."""
    figure = matplotlib.figure.Figure(figsize=(style.ONE_COLUMN * style.MM, 2))
    figure.text(0.5, 0.5, "one")
    assert not faults(laid_out(figure))
    slanted = figure.text(0.5, 0.5, "two", rotation=30)
    assert len(faults(laid_out(figure))) == 1
    slanted.set_position((0.2, 0.2))
    assert not faults(laid_out(figure))
    slanted.set_position((0.99, 0.2))
    assert faults(laid_out(figure)) == ["'two' leaves the page"]
    slanted.set(position=(0.2, 0.2), fontsize=4)
    assert faults(laid_out(figure)) == ["'two' is too small to read"]
    slanted.remove()
    axes = figure.add_axes((0.6, 0.6, 0.3, 0.3))
    axes.set(xticks=[], yticks=[])
    inside = axes.text(0.5, 0.5, "three", clip_on=True)
    assert faults(laid_out(figure)) == ["'three' is cut by its panel"]
    inside.remove()
    assert not faults(laid_out(figure))
    axes.set_position((0.6, 0.6, 0.3, 0.05))
    assert [fault.endswith("leaves no room") for fault in faults(laid_out(figure))] == [True]
    axes.remove()
    figure.set_size_inches(4, 2)
    assert faults(laid_out(figure)) == ["the page is 102 x 51 mm"]


def test_rows_that_are_taken_away_are_taken_from_every_table(full, tmp_path):
    kept = change_tables(full, tmp_path / "tables", lambda rows: rows.iloc[:1])
    assert len(read(kept).scores) == 1 and len(read(kept).models) == len(read(full).models)
    assert sorted(path.name for path in kept.iterdir()) == sorted(path.name for path in full.iterdir())


def test_roc_names_both_axes_and_marks_chance(full, drawn):
    assert {"TPR", "FPR"} <= {text.get_text() for text in texts(drawn("roc", full))}
    aurocs = [panel for panel in panels(drawn("roc", full)) if panel.get_xlabel() == "AUROC"]
    assert aurocs and all(np.isclose(panel.get_xticks(), 0.5).any() for panel in aurocs)


def test_pretraining_tells_variants_apart_by_their_dashes(full, drawn):
    axes = drawn("pretraining", full).subfigs[1].axes[0]
    curves = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    drawn_as = [(line.get_color(), line.get_marker(), line._unscaled_dash_pattern) for line in curves]
    assert len(set(map(str, drawn_as))) == len(curves) > 1


@pytest.fixture(scope="module")
def unreported(small, tmp_path_factory):
    """The small study, of whose tasks the paper reports no number: the tables beside it have no rows."""
    directory = shutil.copytree(small, tmp_path_factory.mktemp("unreported") / "tables")
    for path in directory.glob("reported_*.csv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")
    return directory


@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.group == PAPER])
def test_figures_draw_where_the_paper_has_no_number(name, unreported, drawn):
    assert not faults(drawn(name, unreported))
