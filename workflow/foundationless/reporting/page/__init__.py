"""The report: one HTML page of our own with the verdict, every figure and every table, which works without a network.

The page carries what it needs (style, scripts, pictures, tables), and a content policy under which a browser runs the
scripts that stand here and no other, and requests nothing. Whatever comes from tables, configs or verdicts is text:
the template escapes it, and the scripts put it into cells as text.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.reporting.page import contents
from foundationless.reporting.tables.verdict import read
from foundationless.reporting.tables.verdict_words import MARKS, PLACES, PRICED, prices, truths
from foundationless.runtime.files import atomic_path, read_table
from foundationless.study.config import check_schema, read_schema, read_yaml, yaml_text
from foundationless.study.own.rows import own_datasets
from foundationless.study.vocabulary import METRICS, REFERENCES

HERE = Path(__file__).parent


def write_report(
    output: Path, *, tables: Path, figures: Path, verdict: Path, config: Mapping[str, Any], datasets: Path
) -> None:
    """Write `output`: one HTML file.

    `tables` is the directory of collect_tables, `figures` that of draw_figures, `verdict` the file of write_verdict,
    `config` the study's config, `datasets` the ledger of data files.
    The same inputs give the same bytes. Raises `UserError` for a missing or broken input.
    """
    check_schema(config, read_schema("config"), "--config")
    answer = read(verdict)
    groups = contents.read_tables(tables, os.path.relpath(tables, output.parent))
    listed = [table for group in groups.values() for table in group]
    tasks, scores = contents.read_csv(tables / "tasks.csv"), contents.read_csv(tables / "scores.csv")
    scored = set(scores["base_task"])
    sources = tasks.loc[tasks["task"].isin(scored), "sources"].dropna().astype(str)
    models = contents.read_models(contents.read_csv(tables / "models.csv"), answer["models"])
    page = _template().render(
        title=config.get("title", "foundationless"),
        notes=config.get("notes", ""),
        question=answer.get("question", ""),
        verdict=answer,
        places=PLACES,
        truths=truths(answer),
        priced=PRICED,
        prices=prices(answer),
        marks=MARKS,
        references=REFERENCES,
        config=config,
        settings=yaml_text(dict(config)),
        design=_design(config, scores, answer["margins"]),
        groups=groups,
        figures=contents.read_pictures(figures),
        models=models,
        anchors={model.name: model.anchor for model in models},
        of_a_model=[table for name in contents.OF_A_MODEL for table in listed if table.name == name],
        costs=contents.sum_costs(contents.read_csv(tables / "cost.csv")),
        missing=contents.read_missing(tables / "missing.csv"),
        verification=contents.read_verification(tables / "verification.csv"),
        versions=contents.versions(tables / "records.parquet"),
        data=contents.data_files(
            [*read_table(datasets, ["name", "file"]), *own_datasets(config, str(datasets), set())],
            [*sources, *contents.texts(config)],
        ),
    )
    with atomic_path(output) as part:
        part.write_text(page, encoding="utf-8")


def read_config(given: str) -> dict[str, Any]:
    """The study's config, from JSON or from a YAML file."""
    try:
        config = json.loads(given) if given.lstrip().startswith("{") else read_yaml(given)
    except json.JSONDecodeError as error:
        raise UserError(f"--config: not valid JSON ({error}).") from None
    if not isinstance(config, dict):
        raise UserError(f"--config: {given} is not a study; give a file like those in config.")
    return config


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    library, own = _data_tables(), (HERE / "page.js").read_text()
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in (library, own)]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"signed": _signed, "number": _number, "p": _p, "inert": _inert}
    environment.globals |= {
        "policy": Markup(policy + "script-src " + " ".join(f"'sha256-{value}'" for value in hashes)),
        "scripts": [Markup(library), Markup(own)],
        "styles": [Markup(_library("dt_bundle.css")), Markup((HERE / "style.css").read_text())],
    }
    return environment.get_template("template.html")


def _library(name: str) -> str:
    """A file of DataTables, as the package itables brings it."""
    from importlib.util import find_spec

    spec = find_spec("itables")
    if spec is None or spec.origin is None:
        raise UserError("the package itables is not installed; install requirements.txt again.")
    return (Path(spec.origin).parent / "html" / name).read_text(encoding="utf-8")


def _data_tables() -> str:
    """DataTables as an inline module: what the bundle exports as default becomes a name of the page."""
    script = _library("dt_bundle.js")
    inline, exports = re.subn(
        r"export\{[^}]*?(\w+) as default[^}]*\}", r"globalThis.DataTable=\1", script.replace("<!--", r"<\!--")
    )
    if exports != 1 or "</script" in inline.lower():
        raise UserError("itables' DataTables cannot be put into a page; install the version of requirements.txt.")
    return inline


def _seeds(given: Any) -> Any:
    """How many seeds a config asks for: a number, or `3 to 10` where looks decide."""
    return f"{given['from']} to {given['to']}" if isinstance(given, Mapping) else len(given)


def _design(config: Mapping[str, Any], scores: Any, margins: Mapping[str, float]) -> dict[str, str]:
    """What the study consists of, in words."""
    statistics = config.get("statistics", {})
    stated = {
        "Models": len(config.get("models", {})),
        "Baselines": len(config.get("baselines", {})),
        "Analyses": scores["analysis"].nunique(),
        "Tasks": scores["task"].nunique(),
        "Seeds": _seeds(config.get("seeds", [])),
        "Selection": config.get("selection", ""),
        "Equivalence margins": ", ".join(
            f"±{size:g} ({METRICS[name].label if name in METRICS else name})" for name, size in margins.items()
        ),
        "Bootstrap resamples": statistics.get("resamples", ""),
    }
    return {key: str(value) for key, value in stated.items() if value not in ("", 0)}


def _inert(text: str) -> Any:
    """JSON inside a script element, in which nothing can end it."""
    from markupsafe import Markup

    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _number(value: Any, digits: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return "–" if not isinstance(value, int | float) or value != value else f"{value:,.{digits}f}"


def _signed(value: Any) -> str:
    """A difference with its sign."""
    return "–" if not isinstance(value, int | float) or value != value else f"{value:+.3f}".replace("-", "−")


def _p(value: Any) -> str:
    """A probability."""
    if not isinstance(value, int | float) or value != value:
        return "–"
    return "< 0.001" if value < 0.001 else "> 0.999" if 0.999 < value < 1 else f"{value:.3f}"
