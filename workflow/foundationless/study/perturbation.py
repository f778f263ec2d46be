"""What is refused of a study of gene perturbations before anything runs: one sentence for every mistake."""

from collections.abc import Mapping
from typing import Any

from foundationless.errors import UserError
from foundationless.study.config import unknown
from foundationless.study.names import EFFECT_DERIVATIONS, SIDES, is_derivation, kind_of, parse_task
from foundationless.study.names import words_behind as words
from foundationless.study.plan import Model, Plan
from foundationless.study.vocabulary import ANALYSES, EFFECT_BASELINES, OF_THE_MEAN, SIMULATED, VECTOR_SOURCES

# How vectors are read, and of which sources it can be said.
READ_WITH = {"namespace": ("table", "go", "cells"), "rows": ("table",), "names": ("table", "go", "cells")}


def check_vectors(plan: Plan, name: str, model: Model) -> None:
    """An embedding of genes: where its vectors come from."""
    where, genes = f"model '{name}', genes", model.entry["genes"]
    if said := [key for key in ("family", "tokenizer", "pretrained", "config", "classifier") if key in model.entry]:
        raise UserError(f"{where}: it has no network, so {said[0]} says nothing; leave it out.")
    if name in plan.config["baselines"]:
        raise UserError(f"{where}: an embedding of genes has arms, so it stands under models; move it there.")
    needed = VECTOR_SOURCES.get(genes["source"])
    if needed and needed not in genes:
        raise UserError(f"{where}: source {genes['source']} reads {needed}; add it.")
    if odd := [key for key in VECTOR_SOURCES.values() if key in genes and key != needed]:
        raise UserError(f"{where}: {odd[0]} is not for source {genes['source']}; leave it out.")
    if genes["source"] == "cells" and "dims" not in genes:
        raise UserError(f"{where}: components are counted by dims; add it.")
    if genes["source"] in ("table", "go") and len(genes["datasets"]) > 1:
        raise UserError(f"{where}: source {genes['source']} is one dataset, not {len(genes['datasets'])}; name one.")
    for key, sources in READ_WITH.items():
        if key in genes and genes["source"] not in sources:
            raise UserError(f"{where}: {key} is for {', '.join(sources)}; leave it out.")
    known: dict[str, Mapping[str, Any] | tuple[str, ...]] = {
        "datasets": plan.datasets, "task": plan.tasks, "file": SIMULATED, "names": plan.datasets
    }  # fmt: skip
    for key in known:
        given = genes.get(key, [])
        for one in given if isinstance(given, list) else [given]:
            if one not in known[key]:
                kind = "dataset" if known[key] is plan.datasets else key
                raise UserError(f"{where}: " + unknown(kind, one, known[key]))
    if "task" in genes and plan.tasks[genes["task"]]["reader"] != "effects":
        raise UserError(f"{where}: task '{genes['task']}' is no screen of perturbations; name one of reader effects.")


def check_cells(plan: Plan) -> None:
    """Single cells that are pretrained on."""
    for name, cells in plan.config.get("cells", {}).items():
        for source in cells["datasets"]:
            kind, _, file = source.rpartition(":")
            if kind not in ("", "simulated") or file not in (SIMULATED if kind else plan.datasets):
                raise UserError(f"cells '{name}': " + unknown("dataset", source, plan.datasets))
        for task in cells.get("keep", ()):
            if task not in plan.tasks or plan.tasks[task]["reader"] != "effects":
                raise UserError(f"cells '{name}', keep: '{task}' is no task of reader effects; correct it.")


def check_analysis(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """An analysis of perturbations, or one that is none and says what only those do."""
    kind, where = ANALYSES[analysis], f"analysis '{analysis}'"
    if not kind.predicts_effects:
        if "perturbation" in spec:
            fits = ", ".join(name for name, other in ANALYSES.items() if other.predicts_effects)
            raise UserError(f"{where}: 'perturbation' is for {fits}; leave it out here.")
        about = [name for name in plan.names_of(analysis) if _is_about_genes(plan.model(name))]
        if about:
            raise UserError(f"{where}: '{about[0]}' is about genes, of which nothing is asked here; leave it out.")
        own = [task for task in spec["tasks"] if parse_task(task).derivation in ("halves", "offtarget")]
        if own:
            raise UserError(f"{where}: '{own[0]}' is of perturbations, of which nothing is asked here; leave it out.")
        return
    for name in plan.names_of(analysis):
        if not plan.reads(analysis, name):
            raise UserError(f"{where}: '{name}' predicts nothing of what is asked here; leave it out.")
        if plan.embeds_genes(name):
            _check_gene_set(plan, analysis, name)
        if plan.model(name).is_of_halves and plan.model(name).side == "readout":
            raise UserError(
                f"{where}: '{name}' borrows what the other half of the replicates says of targets, which is nothing of "
                "read-out genes; drop .readout."
            )
        _check_nearest(plan, plan.model(name), where)
    if (known := plan.genes_read["names"]) is not None and known not in plan.datasets:
        raise UserError("perturbation, names: " + unknown("dataset", known, plan.datasets))
    for task in spec["tasks"]:
        _check_task(plan, analysis, task)


def _check_gene_set(plan: Plan, analysis: str, name: str) -> None:
    """That a model of DNA has sequences of genes to read."""
    where, task = f"analysis '{analysis}'", plan.genes_read["genes"]
    if task is None:
        raise UserError(
            f"{where}: '{name}' reads DNA; name the task whose set has the sequence of each gene (perturbation.genes)."
        )
    if task not in plan.tasks:
        raise UserError("perturbation, genes: " + unknown("task", task, plan.tasks))
    if plan.tasks[task]["reader"] == "effects":
        raise UserError(f"perturbation, genes: task '{task}' is a screen and has no sequences; name a set of them.")


def _check_nearest(plan: Plan, model: Model, where: str) -> None:
    if model.family != "nearest_go":
        return
    read = str((model.entry.get("options") or {}).get("vectors", ""))
    if read not in plan.config["models"] or not plan.model(read).is_vectors:
        raise UserError(
            f"{where}: baseline '{model.name}' looks for neighbours in the embedding of genes that its option "
            f"'vectors' names, and '{read}' is none of the study's models; correct it."
        )


def _check_task(plan: Plan, analysis: str, task: str) -> None:
    parts, where = parse_task(task), f"analysis '{analysis}', task '{task}'"
    if (metric := plan.tasks[parts.base_task]["metric"]) not in OF_THE_MEAN:
        raise UserError(
            f"{where}: metric '{metric}' judges no effects, for what the mean of the training perturbations scores is "
            f"not known; use one of {', '.join(OF_THE_MEAN)}."
        )
    behind = words(task, parts.base_task)
    if odd := [word for word in behind if is_derivation(word) and word not in EFFECT_DERIVATIONS]:
        raise UserError(f"{where}: '.{odd[0]}' is none of {', '.join(f'.{word}' for word in EFFECT_DERIVATIONS)}.")


def check_side(analysis: str, model: Model) -> None:
    """That only a linear model of perturbations borrows a side."""
    sides = [word for word in words(model.name, model.stem) if kind_of(word) == "side"]
    if sides and (ANALYSES[analysis].rule != "predict_effects" or model.is_baseline):
        fits = ", ".join(name for name, other in ANALYSES.items() if other.rule == "predict_effects")
        raise UserError(
            f"analysis '{analysis}': '.{sides[0]}' of '{model.name}' is a side of the linear model of perturbations "
            f"({', '.join(SIDES)}) in {fits}; leave it out."
        )


def _is_about_genes(model: Model) -> bool:
    return model.is_vectors or model.of_cells or is_effect_baseline(model)


def is_effect_baseline(model: Model) -> bool:
    """Whether a baseline predicts effects of perturbations, and so has no classifier."""
    return model.is_baseline and model.family in EFFECT_BASELINES
