"""What is refused of few training rows that are drawn, before anything runs: heads, and networks trained on them."""

from collections.abc import Mapping
from typing import Any

from foundationless.errors import UserError
from foundationless.study.names import parse_task
from foundationless.study.plan import Plan
from foundationless.study.vocabulary import ANALYSES, CLASSES, FIXED, LEAVE_ONE_OUT, VALIDATION

OF_EPOCHS = ("learning_rates", "epochs", "patience", "folds", "fold_count", "extend", "search", "rungs")
TRAINED = ("steps", "learning_rate", "rate_from")  # of a section `shots` that trains networks


def check_shots(plan: Plan, analysis: str, spec: Mapping[str, Any]) -> None:
    """That heads have one that chooses, that networks have a learning rate, and that their rows can be drawn."""
    said, trains = spec.get("shots", {}), ANALYSES[analysis].rule == "finetune_shots"
    where = f"analysis '{analysis}', shots"
    if not trains:
        if odd := [key for key in TRAINED if key in said]:
            raise UserError(f"{where}: '{odd[0]}' is of networks that are trained; say it in fewshot_finetune.")
        _check_head(plan, analysis, said.get("head"), where)
        return
    if not said:
        raise UserError(f"{where}: say how many rows a class are drawn, as 'shots: {{numbers: [5, 20]}}'.")
    if "head" in said:
        raise UserError(f"{where}: the whole network is trained, and its head is none to choose; leave 'head' out.")
    for task in spec["tasks"]:
        row = plan.tasks.get(parse_task(task).base_task)  # the check of tasks says which is not known
        if row and plan.labels(task) != CLASSES:
            raise UserError(f"{where}: labels of '{task}' are {plan.labels(task)}, no classes; leave it out.")
        if row and row["reader"] == "people":
            raise UserError(f"{where}: '{task}' is of people, whose haplotypes nothing averages here; leave it out.")
    _check_rate(plan, analysis, said, where)
    settings = {**plan.config["finetuning"], **spec.get("finetuning", {})}
    if odd := [key for key in OF_EPOCHS if key in spec.get("finetuning", {})]:
        raise UserError(f"{where}: 'finetuning: {odd[0]}' decides nothing here; say steps and learning_rate of shots.")
    if settings.get("unfreeze"):
        raise UserError(
            f"{where}: 'unfreeze' counts epochs, and there are none; say 'finetuning: {{unfreeze: 0}}' there."
        )
    if settings.get("chunks", "none") != "none":
        raise UserError(f"{where}: 'chunks' is not for few rows yet; say 'finetuning: {{chunks: none}}' there.")


def _check_head(plan: Plan, analysis: str, head: str | None, where: str) -> None:
    choice = plan.config["analyses"][analysis].get("probing", {}).get("choice")
    if head and choice and choice != head:
        raise UserError(f"{where}: head '{head}' and 'choice: {choice}' under its probing say two things; drop one.")
    if head == FIXED and plan.config["probing"].get("choice") == VALIDATION and not choice:
        raise UserError(f"{where}: the study says 'choice: validation'; say 'choice: fixed' under its probing.")
    if head == LEAVE_ONE_OUT and plan.probing(analysis)["probes"] != ["logistic"]:
        raise UserError(f"{where}: leave-one-out chooses the strength of logistic regression; name no other probe.")


def _check_rate(plan: Plan, analysis: str, said: Mapping[str, Any], where: str) -> None:
    other = said.get("rate_from", "")
    if other and (other not in plan.config["analyses"] or ANALYSES[other].rule != "finetune_model"):
        raise UserError(f"{where}, rate_from: '{other}' is no analysis of this study that fine-tunes; correct it.")
    if not other:
        if "learning_rate" not in said:
            raise UserError(f"{where}: nothing searches a learning rate; give 'learning_rate', or 'rate_from'.")
        return
    known, own = plan.config["analyses"][other], plan.config["analyses"][analysis]
    arms = {}
    for name in set(plan.names_of(analysis)) & set(plan.names_of(other)):
        usual = plan.model(name).arms
        arms[name] = [arm for arm in own.get("arms", usual) if arm not in known.get("arms", usual)]
        if arms[name] and len(arms[name]) < len(own.get("arms", usual)):
            raise UserError(
                f"{where}, rate_from: '{other}' chose a rate for some arms of '{name}' and none for "
                f"'{arms[name][0]}', so arms would be tuned unequally; add it there, or give 'learning_rate' alone."
            )
    if "learning_rate" in said:
        return
    lacking = [task for task in own["tasks"] if task not in known["tasks"]]
    lacking += [
        name
        for name in plan.names_of(analysis)
        if name not in plan.names_of(other) and not plan.model(name).is_baseline
    ]
    lacking += [f"seed {seed}" for seed in plan.seeds(analysis) if seed not in plan.seeds(other)]
    lacking += [arm for each in arms.values() for arm in each]
    if lacking:
        raise UserError(f"{where}, rate_from: '{other}' has no '{lacking[0]}'; give a 'learning_rate' for it, too.")
