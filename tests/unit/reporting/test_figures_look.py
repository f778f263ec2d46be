"""How all figures look at 7 models × 52 tasks: nothing overlaps, is clipped or too small, fonts are in the file."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from pypdf import PdfReader

from foundationless.reporting import figures
from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import base, read
from foundationless.study.vocabulary import FIGURES
from support.figure_tables import STUDY, change_tables, empty_tables, half_tables, write_tables

SMALLEST = 5.0  # points
ONE_COLUMN = (
    "critical_difference", "verdict_forest", "factorial", "learning_curves", "roc", "confusion", "seed_variance",
    "mutations",
)  # fmt: skip
SLACK = 1.0  # pixels of 100 to the inch: 0.25 mm
INK = {  # colours that say something else than which model it is
    style.GREY, style.INK, style.BAND, "#000000", "#ffffff", "#dddddd", "#444444",
}  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("full") / "tables")


@pytest.fixture(scope="module")
def drawn(full):
    """`drawn(name)`: the figure with its layout done, kept for the tests that follow."""
    tables, kept = read(full, STUDY), {}

    def draw(name):
        if name not in kept:
            kept[name] = layout(figures._drawings()[name](tables))
        return kept[name]

    return draw


def layout(figure):
    with style.sheet():
        FigureCanvasAgg(figure).draw()
    return figure


def parts(figure):
    return [figure, *(inner for part in figure.subfigs for inner in parts(part))]


def visible_texts(figure):
    """Texts that are drawn; of tick labels those of ticks in view."""
    axes = [panel for part in parts(figure) for panel in part.axes]
    axis = [one for panel in axes for one in (panel.xaxis, panel.yaxis)]
    ticks = {label for one in axis for label in one.get_ticklabels(which="both")}
    shown = {tick.label1 for one in axis if one.axes.axison for tick in one._update_ticks()}
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    hidden = {text for panel in axes if not panel.get_visible() for text in panel.findobj(Text)}
    return [text for text in found if text not in hidden and (text not in ticks or text in shown)]


def outline(text):
    """Corners [4, 2] of what a text covers, turned as it is."""
    angle, text_box = text.get_rotation(), None
    if angle % 90:
        text.set_rotation(0)
        level = text.get_window_extent()
        text.set_rotation(angle)
        text_box = text.get_window_extent()
        center = np.array([(text_box.x0 + text_box.x1) / 2, (text_box.y0 + text_box.y1) / 2])
        turn = np.deg2rad(angle)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [level.width / 2, level.height / 2]
        return center + half @ matrix.T
    return text.get_window_extent().corners()[[0, 1, 3, 2]]


def depth(first, second):
    """How far two convex outlines lie over each other, in pixels; at most 0 where they are apart."""
    axes = [np.diff(np.vstack([shape, shape[:1]]), axis=0) for shape in (first, second)]
    normals = np.vstack(axes) @ np.array([[0, 1], [-1, 0]])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 0] / lengths[lengths > 0, None]
    one, two = first @ normals.T, second @ normals.T
    return float((np.minimum(one.max(0), two.max(0)) - np.maximum(one.min(0), two.min(0))).min())


def overlaps(figure):
    """Pairs of texts one on the other, and texts that leave the page."""
    shown = [(text, outline(text)) for text in visible_texts(figure)]
    page = figure.bbox
    outside = [
        f"'{text.get_text()}' leaves the page"
        for text, shape in shown
        if (shape < -SLACK).any() or (shape > [page.x1 + SLACK, page.y1 + SLACK]).any()
    ]
    lows, highs = (np.array([getattr(shape, name)(axis=0) for _, shape in shown]) for name in ("min", "max"))
    near = ((lows[:, None] < highs[None] - SLACK) & (highs[:, None] > lows[None] + SLACK)).all(axis=2)
    pairs = [(i, j) for i, j in zip(*np.nonzero(near), strict=True) if i < j]
    return outside + [
        f"'{shown[i][0].get_text()}' lies on '{shown[j][0].get_text()}'"
        for i, j in pairs
        if depth(shown[i][1], shown[j][1]) > SLACK
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_overlaps_or_is_clipped_at_full_size(name, drawn):
    figure = drawn(name)
    assert not overlaps(figure)
    assert figure.get_figheight() * 25.4 < 260
    width = style.ONE_COLUMN if name in ONE_COLUMN else figure.get_figwidth() * 25.4
    assert figure.get_figwidth() * 25.4 == pytest.approx(width)
    assert width in (pytest.approx(style.ONE_COLUMN), pytest.approx(style.TWO_COLUMNS))


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_too_small_to_read_or_cut_by_its_panel(name, drawn):
    figure = drawn(name)
    small = {text.get_text(): text.get_fontsize() for text in visible_texts(figure) if text.get_fontsize() < SMALLEST}
    assert not small
    cut = [
        text for text in visible_texts(figure) if text.get_clip_on() and (text.get_clip_box() or text.get_clip_path())
    ]
    assert not [text.get_text() for text in cut]
    for part in parts(figure):
        for axes in part.axes:
            box = axes.get_window_extent()
            assert not axes.axison or (box.width > 20 and box.height > 15)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_its_data_at_full_size(name, drawn):
    """The full study lacks nothing, so no page is one that names what is missing."""
    assert not [text.get_text() for text in visible_texts(drawn(name)) if text.get_text().startswith("No ")]
    assert any(axes.axison for part in parts(drawn(name)) for axes in part.axes)


@pytest.mark.parametrize("name", FIGURES)
def test_models_keep_their_colours(name, drawn, full):
    """Every colour of a line or mark is a model's, or one of those that stand for no model."""
    looks = read(full).looks
    allowed = INK | {look.color for look in looks.values()}
    if name in ("clustering", "leakage", "seed_variance", "probing"):
        return  # colours of classes, shares and heat stand beside them; marks are made by `style.filling` there too
    found = {
        colors.to_hex(line.get_color())
        for line in drawn(name).findobj(matplotlib.lines.Line2D)
        if line.axes is not None and line.get_visible() and len(line.get_xdata())
    }
    assert found - {tick_color()} <= allowed


def tick_color():
    return colors.to_hex(matplotlib.rcParams["xtick.color"])


def test_every_model_has_a_look_of_its_own(full):
    looks = read(full).looks
    plain = {name: look for name, look in looks.items() if look.marker != "|" and name == base(name)}
    assert len({(look.color, look.marker) for look in plain.values()}) == len(plain) > 7
    for name, look in looks.items():
        assert look == looks.get(base(name), look)


def test_fonts_are_in_the_file_as_truetype(drawn, tmp_path):
    for name in ("verdict_forest", "learning_curves"):
        style.save(drawn(name), tmp_path / f"{name}.pdf")
        page = PdfReader(tmp_path / f"{name}.pdf").pages[0]
        assert [float(page.mediabox[i]) / 72 * 25.4 for i in (2,)] == [pytest.approx(style.ONE_COLUMN, abs=0.1)]
        fonts = [font.get_object() for font in fonts_of(page)]
        assert fonts
        for font in fonts:
            described = font.get("/DescendantFonts", [font])[0].get_object()["/FontDescriptor"].get_object()
            assert font["/Subtype"] in ("/Type0", "/TrueType") and "/FontFile2" in described


def fonts_of(page):
    return list(page["/Resources"]["/Font"].values())


@pytest.fixture(scope="module")
def halved(full, tmp_path_factory):
    return read(half_tables(full, tmp_path_factory.mktemp("half") / "tables"), STUDY)


@pytest.fixture(scope="module")
def nothing(full, tmp_path_factory):
    return read(empty_tables(full, tmp_path_factory.mktemp("empty") / "tables"), STUDY)


@pytest.mark.parametrize("name", FIGURES)
def test_half_of_the_rows_still_draw(name, halved):
    """Drawn without an error, or a page that names what is missing."""
    figure = figures._drawings()[name](halved)
    assert figure.subfigs
    assert not any(np.isinf(axes.get_position().bounds).any() for part in parts(figure) for axes in part.axes)


@pytest.mark.parametrize("name", FIGURES)
def test_empty_tables_make_a_page_that_says_so(name, nothing):
    figure = layout(figures._drawings()[name](nothing))
    assert any(re.match(r"(No|The) ", text.get_text()) for text in visible_texts(figure))
    assert not overlaps(figure)


def test_the_check_itself_sees_what_it_looks_for():
    """Texts that overlap, leave the page or are apart, straight and slanted."""
    figure = matplotlib.figure.Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, "one")
    assert not overlaps(layout(figure))
    slanted = figure.text(0.5, 0.5, "two", rotation=30)
    assert len(overlaps(layout(figure))) == 1
    slanted.set_position((0.2, 0.2))
    assert not overlaps(layout(figure))
    slanted.set_position((0.99, 0.2))
    assert overlaps(layout(figure)) == ["'two' leaves the page"]


def test_rows_that_are_taken_away_are_taken_from_every_table(full, tmp_path):
    kept = change_tables(full, tmp_path / "tables", lambda rows: rows.iloc[:1])
    assert len(read(kept).scores) == 1 and len(read(kept).models) == len(read(full).models)
    assert sorted(path.name for path in Path(kept).iterdir()) == sorted(path.name for path in full.iterdir())


def test_roc_names_both_axes_and_marks_chance(drawn):
    axes = [panel for part in parts(drawn("roc")) for panel in part.axes]
    assert {"TPR", "FPR"} <= {text.get_text() for text in visible_texts(drawn("roc"))}
    aurocs = [panel for panel in axes if panel.get_xlabel() == "AUROC"]
    assert aurocs and all(np.isclose(panel.get_xticks(), 0.5).any() for panel in aurocs)


def test_pretraining_tells_variants_apart_by_their_dashes(drawn):
    axes = drawn("pretraining").subfigs[1].axes[0]
    curves = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    drawn_as = [(line.get_color(), line.get_marker(), line._unscaled_dash_pattern) for line in curves]
    assert len(set(map(str, drawn_as))) == len(curves) > 1
