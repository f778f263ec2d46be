"""Tables in, figures out. Nothing here knows torch, models or tasks."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.errors import UserError
from foundationless.runtime.processes import counted, map_forked
from foundationless.study.vocabulary import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foundationless.reporting.figures.inputs import Tables


def resolve(name: str) -> "Callable[[Tables], Figure]":
    """The function that draws figure `name`, as its declaration in the vocabulary names it."""
    declared = FIGURES[name]
    module, _, function = declared.draw.partition(":")
    return partial(getattr(import_module(f"{__name__}.{module}"), function), **declared.arguments)


def draw(name: str, tables: Path, study: str, output: Path) -> "Figure":
    """Draw figure `name` from a directory of tables; write `output` (PDF) and the PNG beside it.

    A figure whose data are missing becomes a page that says which. Raises `UserError` for an unknown name.
    """
    from foundationless.reporting.figures.inputs import read

    _check(name, output)
    return _draw(name, read(tables, study), output)


def draw_all(names: Sequence[str], tables: Path, study: str, output: Path, processes: int) -> None:
    """`draw` every one of `names` to `NAME.pdf` in the directory `output`, in up to so many processes at once."""
    from foundationless.reporting.figures.inputs import read

    for name in names:
        _check(name, output / f"{name}.pdf")
        resolve(name)  # imports its module once, before the processes fork
    frames = read(tables, study)
    work = map_forked(partial(_draw_into, frames, output), names, processes)
    for _ in counted(names, work):
        pass


def _check(name: str, output: Path) -> None:
    if name not in FIGURES:
        raise UserError(f"no figure '{name}'; there are {', '.join(FIGURES)}.")
    if output.suffix != ".pdf" or output.with_suffix(".png").is_dir():
        raise UserError(f"{output}: figures are written as .pdf, with a .png file of the same name beside it.")


def _draw_into(tables: "Tables", directory: Path, name: str) -> None:
    _draw(name, tables, directory / f"{name}.pdf")


def _draw(name: str, tables: "Tables", output: Path) -> "Figure":
    from foundationless.reporting.figures import style

    figure = resolve(name)(tables)
    style.save(figure, output)
    return figure
