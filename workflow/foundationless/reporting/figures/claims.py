"""Which claims of the paper survive: each contrast as the paper made it, and cured."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import Tables, each
from foundationless.reporting.figures.layout import draw_margins, named_rows, span

ROW_MM = 4.4
LOOKS = {"test": ("white", -0.17), "validation": (style.INK, 0.17)}  # face of the mark, and place within the row
WORDS = {"yes": "holds", "no": "fails", "open": "open"}


def claims(tables: Tables) -> Figure:
    """A block per claim, a row per model, two marks a row: the paper's selection and ours."""
    title = "Claims of the paper, as it made them and cured"
    contrasts = tables.extra("claims")
    contrasts = contrasts[contrasts["model"].isin(tables.looks) & contrasts["difference"].notna()]
    contrasts = contrasts[contrasts["selection"].isin(LOOKS)]  # layers.pdf has those of the last layer
    if contrasts.empty:
        return style.missing(title, "No claim of the paper can be judged with these data (claims.csv has no rows).")
    blocks = contrasts.groupby("claim", sort=False)
    rows = [(str(claim), name) for claim, part in blocks for name in ["", *tables.order(part["model"])]]
    caption = (
        "Every claim says that something does not help: it holds where the contrast is equivalent (within the grey "
        "band, the margin of the metric) or below 0, fails where it is above, and is open where its intervals (90 % "
        "for equivalence, else the 95 % drawn) allow both, or, cured, where seeds are fewer than three or no arm "
        "learned anything. Open circle: runs chosen by test score, arms paired as in the paper; filled: chosen by "
        "validation, each model against its own random self, the task without its defect where a derived set exists "
        f"(column contrast of claims.csv). Right: as made → cured. {_counted(contrasts)} {tables.study}"
    )
    faces = zip(("as the paper made it", "cured"), LOOKS.values(), strict=True)
    handles = [[style.handle(color=style.INK, marker="o", markerfacecolor=face, linestyle="none", label=label)
                for label, (face, _) in faces]]  # fmt: skip
    figure, body = style.page(10 + ROW_MM * len(rows), title=title, caption=caption, handles=handles)
    axes = body.subplots()
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    for y, (claim, name) in enumerate(rows):
        if name:
            _row(axes, tables, y, contrasts[(contrasts["claim"] == claim) & (contrasts["model"] == name)], name)
    named_rows(axes, [(tables.looks[name].label, "normal") if name else (claim[:1].upper() + claim[1:], "bold")
                      for claim, name in rows], size=6.5)  # fmt: skip
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlabel("Contrast (metric of the tasks; above 0: it would help)")
    return figure


def _counted(found: pd.DataFrame) -> str:
    """How many tasks stand behind a row, what its interval is, and what is not adjusted."""
    n = f"n = {span(found['n'])} task(s) a row; " if found["n"].notna().any() else ""
    return (
        f"{n}intervals: Student's t, as made over tasks, cured over the means of their families (those that share "
        "sequences are one); of a single one its bootstrap. No test and no adjustment for the number of claims."
    )


def _row(axes: Axes, tables: Tables, y: int, rows: pd.DataFrame, name: str) -> None:
    verdicts = {}
    for row in each(rows):
        face, shift = LOOKS[row.selection]
        color = tables.looks[name].color
        face = color if face == style.INK else face
        draw_margins(axes, [y + shift], [row.margin], half=0.25)
        style.interval(axes, y + shift, row.low, row.high, color)
        axes.plot(row.difference, y + shift, "o", color=color, markerfacecolor=face, markersize=3, zorder=3)
        verdicts[row.selection] = WORDS[row.holds]
    text = " → ".join(verdicts.get(selection, "–") for selection in LOOKS)
    axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), fontsize=5.5, va="center")
