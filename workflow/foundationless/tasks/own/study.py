"""The study that tries a set of one's own: another one with its tasks replaced."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.tasks.own.classes import FRACTIONS
from foundationless.tasks.own.found import Found

LARGEST = 1 << 29  # bytes of a genome beyond which small models are not pretrained on it


def name_of(files: tuple[Path, ...]) -> str:
    """A name for paths, made of the first file's, or of the directory's where there are several."""
    stem = files[0].name.removesuffix("".join(files[0].suffixes)) if len(files) == 1 else files[0].resolve().parent.name
    name = re.sub("[^a-z0-9]+", "_", stem.lower()).strip("_").lstrip("0123456789_")
    if not name:
        raise UserError(f"{files[0]}: no name can be made of it; give one with --name.")
    return name


def own_study(base: Mapping[str, Any], name: str, label: str, found: Found) -> dict[str, Any]:
    """The study of `base` with this set in place of its own tasks and files.

    Analyses of plain tasks read the set; those of a task with other splits (`deal`) read it so, too. Where a genome is
    given, and chromosomes are held out, small models are pretrained on the rest of it.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UserError(f"name '{name}': small letters, digits and _, a letter first.")
    study = copy.deepcopy(dict(base))
    rows = f"{name}_rows"
    datasets = {f"{name}_{role.replace('.', '_')}": path for role, path in found.sources.items()}
    sources = {role: dataset for role, dataset in zip(found.sources, datasets, strict=True)}
    if found.genome:
        datasets[f"{name}_genome"] = found.genome
        study["genomes"] = {**study["genomes"], f"{name}_genome": {"pieces": [{"source": f"{name}_genome"}]}}
        sources["genome"] = f"genome:{name}_genome"
    study["datasets"] = {dataset: {"path": str(path)} for dataset, path in datasets.items()}
    random = {
        key: value for key, value in found.options.items() if key not in ("test_contigs", "validation_contigs", "split")
    }
    task = {"reader": found.reader, "sources": sources, "metric": found.metric, "twin": name}
    study["tasks"] = {
        name: {"label": label, **task, "sources": dict(sources), "options": dict(found.options)},
        rows: {"label": f"{label}, random split", **task, "options": random | {"deal": "rows", "fractions": FRACTIONS}},
    }
    dealt = {task for task, entry in base["tasks"].items() if entry.get("options", {}).get("deal") == "rows"}
    for spec in study["analyses"].values():
        spec["tasks"] = [rows if set(spec["tasks"]) & dealt else name]
    study["limits"] = {}
    notes = _pretrain_there(study, name, found) or study["notes"]
    notes = f"{notes.rstrip()} {found.seen}" if found.seen else notes
    study |= {"study": f"trial_{name}", "title": f"{label}: which model to use", "notes": notes}
    return study


def _pretrain_there(study: dict[str, Any], name: str, found: Found) -> str:
    """Pretrain the small models on the genome that was given, without what is held out; the notes that say so."""
    test, validation = found.held_out
    if not found.genome or not test or found.genome.stat().st_size > LARGEST:
        return ""
    corpus = {"genomes": [f"{name}_genome"], "exclude": list(test), "holdout": list(validation)}
    study["corpora"] = {**study["corpora"], name: corpus}
    for entry in study["models"].values():
        if (entry.get("pretrained") or {}).get("source") == "workflow":
            entry["pretrained"] = {"source": "workflow", "corpus": name}
    return (
        "Small models, pretrained here for a minute on the genome that was given, without the chromosomes that test: "
        "their pretrained arms say nothing about published models, of which MODEL= tries one."
    )
