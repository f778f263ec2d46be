"""Tables in, figures out. Nothing here knows torch, models or tasks."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.errors import UserError
from foundationless.runtime.processes import counted, map_forked
from foundationless.study.vocabulary import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foundationless.reporting.figures.inputs import Tables


def _drawings() -> "dict[str, Callable[[Tables], Figure]]":
    from foundationless.reporting.figures import (
        benchmarks,
        claims,
        confusion,
        controls,
        cost,
        curves,
        data_and_width,
        defects,
        factorial,
        leakage,
        mutagenesis,
        probing,
        variability,
        variation,
        verdict,
    )

    return {
        "verdict_forest": verdict.forest,
        "critical_difference": verdict.critical_difference,
        "reported": verdict.reported,
        "figure_01_benchmarks": benchmarks.means,
        "figure_03_low_data": data_and_width.low_data,
        "figure_04_width_random": data_and_width.width_random,
        "figure_05_width_pretrained": data_and_width.width_pretrained,
        "figure_06_sensitivity_ancestry": variation.sensitivity_ancestry,
        "figure_07_best_random": benchmarks.best_random,
        "figure_08_nt": partial(benchmarks.suite, name="nt"),
        "figure_09_gue": partial(benchmarks.suite, name="gue"),
        "figure_10_gb": partial(benchmarks.suite, name="gb"),
        "factorial": factorial.factorial,
        "learning_curves": curves.learning_curves,
        "biotype": data_and_width.biotype,
        "confusion": confusion.confusion,
        "fewshot": probing.fewshot,
        "probing": probing.probing,
        "clustering": probing.clustering,
        "variants": variation.variants,
        "roc": curves.roc,
        "mutations": variation.mutations,
        "mutagenesis": mutagenesis.mutagenesis,
        "controls": controls.controls,
        "seed_variance": variability.seed_variance,
        "lora": controls.adapters,
        "leakage": leakage.leakage,
        "epochs": defects.epochs,
        "optimism": defects.optimism,
        "calibration": defects.calibration,
        "defects": defects.defects,
        "claims": claims.claims,
        "pretraining": controls.pretraining,
        "cost": cost.cost,
    }


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
    _drawings()  # imports them once, before the processes fork
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

    figure = _drawings()[name](tables)
    style.save(figure, output)
    return figure
