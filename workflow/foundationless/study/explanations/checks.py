"""What is refused of an analysis of explanations before anything runs."""

from collections.abc import Mapping
from typing import Any

from foundationless.errors import UserError
from foundationless.study.config import unknown
from foundationless.study.names import parse_task
from foundationless.study.plan import Plan
from foundationless.study.vocabulary import ANALYSES, CLASSES, NO_CHUNKS


def check_explaining(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """That the motifs of every task are known, and that what is trained can be explained."""
    where, said = f"analysis '{analysis}', explaining", spec.get("explaining", {})
    bases = [parse_task(task).base_task for task in spec["tasks"]]
    motifs = said.get("motifs", {})
    if odd := [task for task in motifs if task not in bases]:
        raise UserError(f"{where}.motifs: " + unknown("task", odd[0], bases))
    for task, name in zip(spec["tasks"], bases, strict=True):
        if name not in plan.tasks:
            continue  # the check of tasks says so
        if plan.labels(task) != CLASSES:
            raise UserError(
                f"{where}: labels of '{task}' are {plan.labels(task)}, and a class is explained; leave it out."
            )
        if name not in motifs and not plan.planted(task):
            raise UserError(f"{where}: nothing was planted in '{task}'; name its motifs under motifs.{name}.")
        if spec.get("finetuning", {}).get("chunks", NO_CHUNKS) != NO_CHUNKS:
            raise UserError(
                f"{where}: a classifier of chunks is not explained; say 'finetuning: {{chunks: none}}' there."
            )
    for task, motif in motifs.items():
        if "matrices" in motif and motif["matrices"] not in plan.datasets:
            raise UserError(f"{where}.motifs.{task}: " + unknown("dataset", motif["matrices"], plan.datasets))
        if extra := [key for key in ("names", "threshold") if key in motif and "matrices" not in motif]:
            raise UserError(f"{where}.motifs.{task}: {extra[0]} is of matrices, and there are none; leave it out.")
        if "between" in motif and motif["between"][0] > motif["between"][1]:
            raise UserError(f"{where}.motifs.{task}: 'between' ends before it begins; give first and last position.")
    if "references" in said and said.get("baseline") != "shuffled":
        raise UserError(f"{where}: references are of the baseline 'shuffled'; say it there, or leave them out.")
    other = said.get("rate_from")
    if other and (other not in plan.config["analyses"] or ANALYSES[other].rule != "finetune_model"):
        raise UserError(
            f"{where}.rate_from: '{other}' is no analysis of this study that fine-tunes; name one, or none."
        )
    if read := [name for name in plan.names_of(analysis) if plan.model(name).reading == "as_in_paper"]:
        raise UserError(f"{where}: '{read[0]}' is read as in the paper, which is not explained; drop .paper.")
