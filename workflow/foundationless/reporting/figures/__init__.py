"""Tables in, figures out. Nothing here knows torch, models or tasks."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.errors import UserError
from foundationless.runtime.processes import counted, map_forked
from foundationless.study.vocabulary import CLASSIFICATIONS, FIGURES, figures_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foundationless.reporting.figures.inputs import Tables


def resolve(name: str) -> "Callable[[Tables], Figure]":
    """What draws figure `name`, in the style of all: the function that its declaration in the vocabulary names."""
    from foundationless.reporting.figures import style

    declared = FIGURES[name]
    module, _, function = declared.draw.partition(":")
    draw = getattr(import_module(f"{__name__}.{module}"), function)

    def styled(tables: "Tables") -> "Figure":
        with style.sheet():
            figure: Figure = draw(tables, **declared.arguments)
            return figure

    return styled


def draw_all(names: Sequence[str] | None, tables: Path, study: str, output: Path, processes: int) -> None:
    """Draw figures from a directory of tables to `NAME.pdf` (and PNG) in `output`, in up to so many processes at once.

    Without `names` those of the analyses in the tables are drawn. A figure whose data are missing becomes a page that
    says which. Raises `UserError` for an unknown name.
    """
    from foundationless.reporting.figures.inputs import read

    for name in names or ():
        if name not in FIGURES:
            raise UserError(f"no figure '{name}'; there are {', '.join(FIGURES)}.")
        if (output / f"{name}.png").is_dir():
            raise UserError(f"{output / name}.png: a directory; figures are written as .pdf and .png.")
    frames = read(tables, study)
    judged = frames.scores["analysis"].isin(CLASSIFICATIONS)
    every = figures_of(frames.scores["analysis"], frames.scores.loc[judged, "metric"].unique())
    drawn = list(every) if names is None else names
    for name in drawn:
        resolve(name)  # imports its module once, before the processes fork
    for _ in counted(drawn, map_forked(partial(_draw, frames, output), drawn, processes)):
        pass


def _draw(tables: "Tables", directory: Path, name: str) -> None:
    from foundationless.reporting.figures import style

    style.save(resolve(name)(tables), directory / f"{name}.pdf")
