"""What a drawn figure shows, and what is wrong with how it lies on its page."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from foundationless.reporting.figures import style

SMALLEST = 5.0  # points of a text
TALLEST = 260.0  # mm of a page
SLACK = 1.0  # pixels of 100 to the inch: 0.25 mm
LEAST = 20  # pixels of a panel's height and width


def laid_out(figure: Figure) -> Figure:
    """The figure once its layout is done."""
    with style.sheet():
        FigureCanvasAgg(figure).draw()
    return figure


def panels(figure) -> list[Axes]:
    """Every panel of a figure and of the strips within it."""
    return list(dict.fromkeys(axes for part in _parts(figure) for axes in part.axes))


def texts(figure) -> list[Text]:
    """Texts that are drawn; of tick labels those of ticks in view."""
    every = panels(figure)
    axis = [one for panel in every for one in (panel.xaxis, panel.yaxis)]
    ticks = {label for one in axis for label in one.get_ticklabels(which="both")}
    shown = {tick.label1 for one in axis if one.axes.axison for tick in one._update_ticks()}
    hidden = {text for panel in every if not panel.get_visible() for text in panel.findobj(Text)}
    written = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in written if text not in hidden and (text not in ticks or text in shown)]


def words(figure) -> list[str]:
    """The same as plain text, without line breaks."""
    return [" ".join(text.get_text().split()) for text in texts(figure)]


def marks_of(figure, look: style.Look, init: str) -> np.ndarray:
    """Places [n, 2] of the marks of one arm of a model."""
    return points(figure, look.marker, color=look.color, markerfacecolor=style.filling(look, init)["markerfacecolor"])


def points(figure, marker: str, **having) -> np.ndarray:
    """Places [n, 2] of every mark of a kind within panels, of those `having` a `color` or `markerfacecolor` only."""
    lines = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == marker]
    lines = [line for line in lines if all(getattr(line, f"get_{name}")() == value for name, value in having.items())]
    return np.concatenate([np.empty((0, 2)), *(line.get_xydata() for line in lines)])


def faults(figure) -> list[str]:
    """What no page may show: texts one on the other, off the page, cut or too small; panels and pages without room."""
    shown = texts(figure)
    sentences = [*_misplaced(figure, shown), *_squeezed(figure)]
    for text in shown:
        if text.get_fontsize() < SMALLEST:
            sentences.append(f"'{text.get_text()}' is too small to read")
        if text.get_clip_on() and (text.get_clip_box() or text.get_clip_path()):
            sentences.append(f"'{text.get_text()}' is cut by its panel")
    return sentences


def _parts(figure) -> list:
    return [figure, *(inner for part in figure.subfigs for inner in _parts(part))]


def _squeezed(figure) -> list[str]:
    size = figure.get_size_inches() * 25.4
    width = any(np.isclose(size[0], known) for known in (style.ONE_COLUMN, style.TWO_COLUMNS))
    sentences = [] if width and size[1] < TALLEST else [f"the page is {size[0]:.0f} x {size[1]:.0f} mm"]
    boxes = [axes.get_window_extent() for axes in panels(figure) if axes.axison]
    return sentences + [f"{box} leaves no room" for box in boxes if min(box.height, box.width) <= LEAST]


def _misplaced(figure, shown: list[Text]) -> list[str]:
    outlines, page = [_outline(text) for text in shown], figure.bbox
    outside = [
        f"'{text.get_text()}' leaves the page"
        for text, shape in zip(shown, outlines, strict=True)
        if (shape < -SLACK).any() or (shape > [page.x1 + SLACK, page.y1 + SLACK]).any()
    ]
    lows, highs = (np.array([getattr(shape, name)(axis=0) for shape in outlines]) for name in ("min", "max"))
    near = ((lows[:, None] < highs[None] - SLACK) & (highs[:, None] > lows[None] + SLACK)).all(axis=2)
    pairs = [(i, j) for i, j in zip(*np.nonzero(near), strict=True) if i < j]
    return outside + [
        f"'{shown[i].get_text()}' lies on '{shown[j].get_text()}'"
        for i, j in pairs
        if _depth(outlines[i], outlines[j]) > SLACK
    ]


def _outline(text: Text) -> np.ndarray:
    """Corners [4, 2] of what a text covers, turned as it is."""
    angle = text.get_rotation()
    if angle % 90 == 0:
        return text.get_window_extent().corners()[[0, 1, 3, 2]]
    text.set_rotation(0)
    level = text.get_window_extent()
    text.set_rotation(angle)
    box, turn = text.get_window_extent(), np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [level.width / 2, level.height / 2]
    return np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]) + half @ matrix.T


def _depth(first: np.ndarray, second: np.ndarray) -> float:
    """How far two convex outlines lie over each other, in pixels; at most 0 where they are apart."""
    axes = [np.diff(np.vstack([shape, shape[:1]]), axis=0) for shape in (first, second)]
    normals = np.vstack(axes) @ np.array([[0, 1], [-1, 0]])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 0] / lengths[lengths > 0, None]
    one, two = first @ normals.T, second @ normals.T
    return float((np.minimum(one.max(0), two.max(0)) - np.maximum(one.min(0), two.min(0))).min())
