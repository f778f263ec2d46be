"""The one style sheet of all figures: page, fonts, colours, marks, captions and files.

A model keeps its colour and its marker everywhere: the hue says the tokenizer class, the shade the model. Arms differ
by filling: filled = pretrained, open = random initialisation, half filled = the controls between them, grey =
baseline. The hues (blue, vermilion, green) and their shades are ones that the colour-blind tell apart; markers repeat
what they say.
"""

import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from foundationless.runtime.files import atomic_path
from foundationless.study.names import side_of

MM = 1 / 25.4  # inches
ONE_COLUMN, TWO_COLUMNS = 85.0, 174.0  # mm
GREY, INK, BAND = "#8c8c8c", "#222222", "#e9e9e9"
HUES = {  # dark to light end of each tokenizer class
    "character": ("#08306b", "#4a9fd8"),
    "kmer": ("#8c2d04", "#f0882b"),
    "bpe": ("#00483d", "#3fae86"),
    "other": ("#7a2e5b", "#cc79a7"),
}
SIDES = {"readout": "character", "target": "kmer"}  # hues of borrowed vectors of genes, which have no tokenizer
ARMS = ("pretrained", "copy", "embedding", "permuted", "dinucleotide", "self", "spectrum", "random")
ARM_LINES = {"pretrained": "-", "random": "--"}
CONTROL_ARMS: Any = {
    "copy": "top",
    "embedding": "bottom",
    "permuted": "left",
    "dinucleotide": "right",
    "self": "full",  # in grey
    "spectrum": "right",  # of embeddings of genes alone, which have no other
}  # which part of the mark is filled
MARKERS = "osD^vPXhd<>p"
NO_DATES: Any = {"CreationDate": None, "Producer": None, "Creator": None}  # the same figure, the same bytes
PAPER_MARKS = {"pretrained": "x", "random": "+"}  # the numbers that the paper printed, beside ours
CAPTION_POINTS, TITLE_POINTS, LEGEND_POINTS = 6.0, 8.0, 6.5

SHEET: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": LEGEND_POINTS,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.3,
    "ytick.minor.width": 0.3,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "lines.linewidth": 0.9,
    "lines.markersize": 4,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.4,
    "text.color": INK,
    "axes.labelcolor": INK,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "foundationless",
}


@dataclass(frozen=True)
class Look:
    """How one model is drawn: its label, colour and marker."""

    label: str
    color: str
    marker: str


def tokenizer_class(name: Any) -> str:
    """One of `HUES` for whatever a model table calls its tokenizer class: `6-mer`, `kmer`, `BPE`, `character`.

    Of borrowed vectors of genes the side is the class: `readout`, `target`.
    """
    text = str(name).lower().replace("_", "").replace("-", "")
    if text in SIDES:
        return SIDES[text]
    if text.startswith("char"):
        return "character"
    if "mer" in text:
        return "kmer"
    return "bpe" if "bpe" in text else "other"


def looks(cards: Sequence[Mapping[str, Any]]) -> dict[str, Look]:
    """Look of every model of `cards` (model, label, tokenizer_class, kind), in their order; baselines are grey."""
    own = [card for card in cards if card.get("kind") != "baseline"]
    found: dict[str, Look] = {}
    for name, ends in HUES.items():
        members = [card for card in own if _class_of(card) == name]
        shades = colors.LinearSegmentedColormap.from_list(name, ends)
        for card, shade in zip(members, np.linspace(0, 1, max(2, len(members))), strict=False):
            marker = MARKERS[own.index(card) % len(MARKERS)]
            found[str(card["model"])] = Look(str(card["label"]), colors.to_hex(shades(shade)), marker)
    grey = [card for card in cards if card.get("kind") == "baseline"]
    found |= {str(card["model"]): Look(str(card["label"]), GREY, "|") for card in grey}
    return {str(card["model"]): found[str(card["model"])] for card in cards}


def _class_of(card: Mapping[str, Any]) -> str:
    """Of `HUES` that of a card: by the side that its name says, else by its tokenizer."""
    return tokenizer_class(side_of(str(card["model"])) or card.get("tokenizer_class"))


def filling(look: Look, init: str) -> dict[str, Any]:
    """Keywords of `plot` for the mark of an arm."""
    if init == "baseline" or look.marker == "|":
        return {"color": GREY, "marker": "|", "markeredgewidth": 1.1, "linestyle": "none"}
    face = look.color if init == "pretrained" else "white"
    mark = {"color": look.color, "marker": look.marker, "markerfacecolor": face, "markeredgewidth": 0.8}
    if init in CONTROL_ARMS:
        side = CONTROL_ARMS[init]
        face = GREY if side == "full" else look.color
        mark |= {"fillstyle": side, "markerfacecolor": face, "markerfacecoloralt": "white"}
    return mark


def handle(**mark: Any) -> Line2D:
    """A legend entry, larger than the marks of panels where `mark` states no size."""
    return Line2D([], [], **({"markersize": 6.0, "linewidth": 1.5} | mark))


def model_handles(shown: Iterable[Look]) -> list[Line2D]:
    """Legend entries of models (filled), each look once."""
    marks = {look: filling(look, "pretrained") | {"linestyle": "none"} for look in shown}
    return [handle(label=look.label, **mark) for look, mark in marks.items()]


def arm_handles(arms: Collection[str] = ("pretrained", "random"), *, lines: bool = False) -> list[Line2D]:
    """Legend entries of the arms that are shown: filled, open, and grey ticks for baselines."""
    halves = {
        arm: handle(color=INK, marker="o", linestyle="none", fillstyle=side, markerfacecoloralt="white")
        for arm, side in CONTROL_ARMS.items()
    }
    halves["self"].set_markerfacecolor(GREY)
    shown = {
        "pretrained": handle(color=INK, marker="o", linestyle="-" if lines else "none"),
        **halves,
        "random": handle(color=INK, marker="o", markerfacecolor="white", linestyle="--" if lines else "none"),
        "baseline": handle(color=GREY, marker="|", markeredgewidth=1.1, linestyle="none"),
    }
    labels = {"embedding": "only the embedding pretrained", "permuted": "pretrained, permuted in each tensor"}
    labels |= {"spectrum": "random with the same spectrum", "dinucleotide": "pretrained on shuffled dinucleotides"}
    labels |= {"self": "pretrained on the task's own sequences"}
    for name, entry in shown.items():
        entry.set_label(labels.get(name, name))
    return [entry for name, entry in shown.items() if name in arms]


def reported(init: str = "pretrained") -> dict[str, Any]:
    """Keywords of `plot` for a number that the paper printed: a thin black cross, upright for random arms."""
    marker = PAPER_MARKS.get(init, "x")
    return {"color": "black", "marker": marker, "markersize": 3.6, "markeredgewidth": 0.6, "linestyle": "none"}


def reported_handles(arms: Collection[str]) -> list[Line2D]:
    """Legend entries of the paper's numbers, of the arms that are shown."""
    shown = [arm for arm in PAPER_MARKS if arm in arms]
    words = {arm: f"reported by the paper ({arm})" if len(shown) > 1 else "reported by the paper" for arm in shown}
    return [handle(label=words[arm], **reported(arm)) for arm in shown]


def band_handle(margins: str) -> Patch:
    """Legend entry of the equivalence band of so many units, in words (`layout.margin_words`)."""
    return Patch(facecolor=BAND, edgecolor="none", label=f"equivalence, {margins}" if margins else "equivalence")


def page(
    body_mm: float, *, title: str, caption: str, handles: Sequence[Sequence[Any]] = (), width_mm: float = TWO_COLUMNS
) -> tuple[Figure, SubFigure]:
    """A figure of three strips (title and legends, body, caption) and its body, `body_mm` high.

    `handles` are legends, one below the other. The strips have the heights that their text needs, so neither legend nor
    caption can touch the data.
    """
    caption = " ".join(caption.split())
    blocks = [(list(block), *_legend_grid(block, width_mm)) for block in handles if block]
    titles = textwrap.wrap(title, width=int(width_mm / (TITLE_POINTS * 0.235)))
    lines = textwrap.wrap(caption, width=int((width_mm - 6) / (CAPTION_POINTS * 0.19)))
    head = 1.2 + 3.6 * len(titles) + sum(3.2 * rows + 0.4 for _, rows, _ in blocks) + 1.0
    foot = 2.0 + 2.75 * len(lines)
    height = head + body_mm + foot
    figure = Figure(figsize=(width_mm * MM, height * MM), layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.02))
    strips: Any = figure.subfigures(3, 1, height_ratios=[head, body_mm, foot])
    top, body, bottom = strips
    edge, y = 1.5 / width_mm, head - 1.2
    top.text(edge, y / head, "\n".join(titles), va="top", ha="left", fontsize=TITLE_POINTS, fontweight="bold")
    y -= 3.6 * len(titles)
    for block, rows, columns in blocks:
        legend = Legend(
            top, block, [handle.get_label() for handle in block], loc="upper left", ncols=columns,
            bbox_to_anchor=(edge, y / head), bbox_transform=top.transSubfigure, borderaxespad=0.0, borderpad=0.0,
            handletextpad=0.3, columnspacing=1.2, labelspacing=0.3, handlelength=1.8,
        )  # fmt: skip
        legend.set_in_layout(False)
        top.add_artist(legend)
        y -= 3.2 * rows + 0.4
    text = "\n".join(lines)
    bottom.text(edge, 1 - 0.8 / foot, text, va="top", ha="left", fontsize=CAPTION_POINTS, color="#444444")
    figure.set_label(title)  # both in words, too: `save` writes them beside the picture
    bottom.set_label(caption)
    return figure, body


def sheet() -> AbstractContextManager[None]:
    """The style sheet, for the length of a `with`."""
    return matplotlib.rc_context(SHEET)


def _legend_grid(handles: Sequence[Any], width_mm: float) -> tuple[int, int]:
    """Rows and columns of the widest legend that fits: a column takes its longest label and 9 mm."""
    lengths = [9 + len(str(handle.get_label())) * LEGEND_POINTS * 0.19 for handle in handles]
    for columns in range(len(lengths), 1, -1):
        if sum(part.max() for part in np.array_split(lengths, columns)) <= width_mm:
            return -(-len(lengths) // columns), columns
    return len(lengths), 1


def interval(axes: Axes, place: Any, low: Any, high: Any, color: str, *, vertical: bool = False) -> None:
    """Thin lines from `low` to `high` at `place` (numbers or arrays); none where an interval is unknown."""
    at, ends = np.atleast_1d(place), np.stack([np.atleast_1d(low), np.atleast_1d(high)]).astype(float)
    known = np.isfinite(ends).all(axis=0)
    if known.any():
        draw = axes.vlines if vertical else axes.hlines
        draw(at[known], *ends[:, known], color=color, linewidth=0.8, zorder=2)


def missing(title: str, sentence: str) -> Figure:
    """A page that says which data a figure lacks."""
    figure, body = page(30, title=title, caption="")
    body.text(0.5, 0.5, "\n".join(textwrap.wrap(sentence, 100)), ha="center", va="center", fontsize=8)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write `path` (PDF), the PNG beside it (200 dpi) and its title and caption in words (reStructuredText, `.rst`).

    The same figure gives the same bytes. In the text, everything that might be markup stands behind a backslash.
    """
    words = [str(figure.get_label()), *(str(part.get_label()) for part in figure.subfigs)]
    text = "\n\n".join(re.sub(r"([^\w\s]|_)", r"\\\1", " ".join(word.split())) for word in words if word)
    for strip in figure.findobj(SubFigure):  # they have no colour, and an edge at 0 that rounding may turn into -0
        strip.patch.set_visible(False)
    with sheet(), atomic_path(path) as part:
        figure.savefig(part, format="pdf", metadata=NO_DATES)
    with sheet(), atomic_path(path.with_suffix(".png")) as part:
        figure.savefig(part, format="png", dpi=200, metadata={"Software": None})
    with atomic_path(path.with_suffix(".rst")) as part:
        part.write_text(text + "\n")
