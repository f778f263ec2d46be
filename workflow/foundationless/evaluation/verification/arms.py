"""The cells of one task beside each other: arms that differ in their weights alone, and files that pose as others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from foundationless.evaluation.effects.predictions import same_observed
from foundationless.evaluation.task_results import name_of
from foundationless.evaluation.verification.cells import COUNTS, Cell, Check, check_cell
from foundationless.study.names import parse_model
from foundationless.study.vocabulary import ANALYSES, DRAWN, has_one_checkpoint

# Settings in which arms, or seeds of one, differ by what they are; `permutation_p` is a result, and so is how far the
# learning rates were `extended`. Arms from `outside` are of one model and revision, whoever computed them.
OWN = ("seed", "weights", "permutation_p", "extended", "outside_by", "outside_command", "outside_note")
# Of linear models of effects: what validation chose, and of which arm of a network the vectors are.
OF_EFFECTS = ("dims_used", "vectors_arm")
# Of the paper's reading also what has no vector, for its random ones are drawn for all genes that are read out.
DROPPED = ("dropped", "missing_readout", "missing_targets")
LONGEST = 60  # characters of a setting that a sentence quotes


def check_task(
    paths: Sequence[Path], records: Sequence[Mapping[str, Any]], tables: Sequence[pa.Table | None]
) -> tuple[Check, list[dict[str, Any]]]:
    """Check all cells of a task: what was found, and a row of `cells.COLUMNS` per model.

    `paths` are those of the records, `tables` all rows of their predictions; they run parallel.
    """
    cells = [check_cell(*each) for each in zip(paths, records, tables, strict=True)]
    whole = check_arms(cells)
    rows = count_by_model(cells, whole)
    for cell in cells:
        whole.add(cell.check)
    return whole, rows


def count_by_model(cells: Sequence[Cell], between: Check) -> list[dict[str, Any]]:
    """A row of `cells.COLUMNS` per model; `between` says how many pairs of its arms were compared."""
    rows = []
    for model in dict.fromkeys(cell.record["model"] for cell in cells):
        total = Check()
        mine = [cell for cell in cells if cell.record["model"] == model]
        for cell in mine:
            total.add(cell.check)
        counts = total.counts | {"pairs": between.counts[f"pairs of {model}"], "unchecked": total.unchecked.total()}
        names = {key: mine[0].record[key] for key in ("analysis", "task")} | {"model": model}
        rows.append(names | {name: counts.get(name, 0) for name in COUNTS})
    return rows


def check_arms(cells: Sequence[Cell]) -> Check:
    """Compare the cells of one analysis and task: settings, training sets, test items, weights, and outputs."""
    check = Check()
    for model in dict.fromkeys(cell.record["model"] for cell in cells):
        mine = [cell for cell in cells if cell.record["model"] == model]
        # the pretrained arm first: it is what the others are compared with
        mine.sort(key=lambda cell: cell.record["init"] != "pretrained")
        for other in mine[1:]:
            _check_settings(check, mine[0], other)
        _check_weights(check, mine)
    _check_shared(check, cells)
    _check_outputs(check, cells)
    return check


def _check_settings(check: Check, one: Cell, other: Cell) -> None:
    """Settings of two cells of a model must be the same but for `OWN`; of their networks, so must the size."""
    check.counts["pairs"] += 1
    check.counts[f"pairs of {one.record['model']}"] += 1
    first, second = one.record["settings"], other.record["settings"]
    misread = parse_model(one.record["model"]).reading != "published"  # its random arm may be of another family
    own = {*OWN, *(("trainable_parameters", "max_tokens", "truncated", "layers", "last_layer") if misread else ())}
    chosen = one.of_effects or other.of_effects  # and with it the size of the model
    own |= {*OF_EFFECTS, *(DROPPED if misread else ())} if chosen else set()
    for name in dict.fromkeys([*first, *second]):
        ours, theirs = first.get(name), second.get(name)
        if name in own or ours == theirs or (name == "learning_rates" and _extended(ours, theirs)):
            continue
        text = f"the setting {name} is {_quoted(theirs)}, and {_quoted(ours)} in {name_of(one.record)}"
        check.say(other.path, f"{text}, with which it is compared")
    if not misread and not chosen and one.record["parameters"] != other.record["parameters"]:
        sizes = f"{other.record['parameters']} parameters, and {one.record['parameters']} in {name_of(one.record)}"
        check.say(other.path, f"the model has {sizes}, with which it is compared")


def _extended(one: Any, other: Any) -> bool:
    """Whether two grids of rates differ only beyond the ends of what they share, where one was extended."""
    if not isinstance(one, list) or not isinstance(other, list) or not (common := {*one} & {*other}):
        return False
    return all(not min(common) < rate < max(common) for rate in {*one} ^ {*other}) and len(common) > 1


def _quoted(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _check_weights(check: Check, cells: Sequence[Cell]) -> None:
    """Arms of a model have different weights, and so have seeds that are drawn; a copy has the same tensors."""
    by_hash: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        for name, value in _weight_hashes(cell.record):
            other = by_hash.setdefault((name, value), cell)
            inits = {cell.record["init"], other.record["init"]}
            again = (len(inits) == 1 and has_one_checkpoint(*inits)) or (
                name == "weights" and inits <= {"copy", "pretrained"}
            )
            if other is not cell and not again:
                check.say(cell.path, f"it was made with the weights of {name_of(other.record)}, by its own hashes")
                break


def _weight_hashes(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    hashes, card = record["hashes"], record["settings"].get("weights")
    if "weights" in hashes:
        yield "weights", hashes["weights"]
    if card or "card" in hashes:
        yield "card", card or hashes["card"]


def _check_shared(check: Check, cells: Sequence[Cell]) -> None:
    """All cells of a task read the same sequence set and predict the same items; effects are held against the same."""
    _check_observed(check, cells)
    sets: dict[str, Cell] = {}
    items: dict[int, Cell] = {}
    for cell in cells:
        stated = {cell.record["settings"].get("sequences"), cell.record["hashes"].get("sequences")} - {None}
        if len(stated) > 1:
            check.say(cell.path, "settings and hashes name different sequence sets")
        for value in stated:
            first = next(iter(sets.values()), cell)
            if value not in sets and sets:
                check.say(cell.path, f"its sequence set is another than that of {name_of(first.record)}")
            sets.setdefault(value, cell)
        for fold, digest in cell.items.items():
            other = items.setdefault(fold, cell)
            if other.items[fold] != digest and not (other.of_effects and _agree_on_shared(other, cell, fold)):
                both = f"{name_of(cell.record)} and {name_of(other.record)}"
                text = f"{both} predict different test items or labels in fold {fold}; run the older one again"
                check.say(cell.path.with_name("predictions.parquet"), text)


def _check_observed(check: Check, cells: Sequence[Cell]) -> None:
    """What was observed of a perturbation is the same in every arm, gene by gene, but for genes that a reading drops.

    The paper's reading drops genes, and perturbations too: a cell is compared with the first one that knows as many
    genes, or has the same perturbations, those that drop the fewest first.
    """
    for fold in dict.fromkeys(fold for cell in cells for fold in cell.observed):
        mine = sorted((cell for cell in cells if fold in cell.observed), key=partial(_dropped, fold))
        for place, cell in enumerate(mine[1:], 1):
            answers = ((same_observed(other.observed[fold], cell.observed[fold]), other) for other in mine[:place])
            same, other = next((pair for pair in answers if pair[0] is not None), (None, cell))
            if same is None:
                check.skip("what effects are held against, of arms that drop both genes and perturbations")
            elif not same:
                both = f"{name_of(cell.record)} and {name_of(other.record)}"
                text = f"{both} are held against different observed changes in fold {fold}; run the older one again"
                check.say(cell.path.with_name("predictions.parquet"), text)


def _dropped(fold: int, cell: Cell) -> tuple[bool, int]:
    prints = cell.observed[fold]
    return not prints.genes.all(), -len(prints.ids)


def _agree_on_shared(one: Cell, other: Cell, fold: int) -> bool:
    """Whether two cells of effects say the same of the items that both predict; arms of one model have the same."""
    if (one.record["model"], one.record["init"]) == (other.record["model"], other.record["init"]):
        return False
    said = []
    for cell in (one, other):
        found = next((items for (_, number), items in cell.each.items() if number == fold), None)
        said.append({} if found is None else dict(zip(found.ids.tolist(), found.said, strict=True)))
    return all(said[1][item] == told for item, told in said[0].items() if item in said[1])


def _check_outputs(check: Check, cells: Sequence[Cell]) -> None:
    """No two cells give the same probabilities but those that must: copies, and what draws nothing."""
    seen: dict[str, list[tuple[Cell, str]]] = {}
    for cell in cells:
        for run, digest in cell.outputs.items():
            seen.setdefault(digest, []).append((cell, run))
    told = set()
    for places in seen.values():
        for (one, _), (other, run) in combinations(places, 2):
            if one is other or (one.path, other.path) in told or _may_agree(one.record, other.record):
                continue
            if one.of_effects and _may_agree_on_effects(one.record, other.record):
                continue
            told.add((one.path, other.path))
            text = f"the predictions of run {run} are those of {name_of(one.record)}, to the last digit"
            check.say(other.path.with_name("predictions.parquet"), text)


def _may_agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two cells may give the same outputs: a copy, or seeds of what does not depend on them."""
    if one["model"] != other["model"]:
        return False
    inits = {one["init"], other["init"]}
    if inits == {"pretrained", "copy"}:
        return True
    trains = one["analysis"] in ANALYSES and ANALYSES[one["analysis"]].rule in ("finetune_model", "finetune_shots")
    if inits == {"baseline"}:
        return one["settings"].get("family") not in DRAWN
    return len(inits) == 1 and (inits == {"copy"} or has_one_checkpoint(*inits)) and not trains


def _may_agree_on_effects(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two cells may predict the same effects: rules that come to the same thing, as the mean and one that knows
    no more than it; what a seed cannot change; both sides from the training data, whichever is said to be borrowed; and
    the paper's random draws, which are the same for all models."""
    inits, models = {one["init"], other["init"]}, (one["model"], other["model"])
    if "baseline" in inits or (models[0] == models[1] and inits <= {"pretrained", "copy"}):
        return True
    if inits == {"pretrained"} and {each["settings"].get("source") for each in (one, other)} == {"training"}:
        return True
    misread = all(parse_model(model).reading != "published" for model in models)
    return misread and inits == {"random"} and models[0] != models[1] and one["seed"] == other["seed"]


def sentences(misfits: Iterable[object], most: int) -> str:
    """The first misfits in one sentence each, and how many there are beside them."""
    listed = [str(misfit) for misfit in misfits]
    more = f" And {len(listed) - most} more." if len(listed) > most else ""
    return " ".join(listed[:most]) + more
