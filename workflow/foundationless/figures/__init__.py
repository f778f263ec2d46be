"""Tables in, figures out. Nothing here knows torch, models or tasks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.errors import UserError
from foundationless.plan import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foundationless.figures.tables import Tables


def _drawings() -> "dict[str, Callable[[Tables], Figure]]":
    from foundationless.figures import (
        benchmarks,
        claims,
        controls,
        cost,
        defects,
        features,
        features_extra,
        leakage,
        mutagenesis,
        variation,
    )

    return {
        "verdict_forest": benchmarks.forest,
        "figure_01_benchmarks": benchmarks.means,
        "figure_03_low_data": features.low_data,
        "figure_04_width_random": features.width_random,
        "figure_05_width_pretrained": features.width_pretrained,
        "figure_06_sensitivity_ancestry": variation.sensitivity_ancestry,
        "figure_07_best_random": benchmarks.best_random,
        "figure_08_nt": partial(benchmarks.suite, name="nt"),
        "figure_09_gue": partial(benchmarks.suite, name="gue"),
        "figure_10_gb": partial(benchmarks.suite, name="gb"),
        "biotype": features.biotype,
        "fewshot": features_extra.fewshot,
        "probing": features_extra.probing,
        "clustering": features_extra.clustering,
        "variants": variation.variants,
        "mutagenesis": mutagenesis.mutagenesis,
        "controls": controls.controls,
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
    from foundationless.figures import style
    from foundationless.figures.tables import read

    if name not in FIGURES:
        raise UserError(f"no figure '{name}'; there are {', '.join(FIGURES)}.")
    if output.suffix != ".pdf" or output.with_suffix(".png").is_dir():
        raise UserError(f"{output}: figures are written as .pdf, with a .png file of the same name beside it.")
    figure = _drawings()[name](read(tables, study))
    style.save(figure, output)
    return figure
