"""Which arm to use for a set of one's own, in sentences: the choice, what leaks, what flatters, how sure, what it cost.

The numbers are those of `recommend_model`; nothing is computed here but sums of costs.
"""

import math
from collections.abc import Mapping
from typing import Any

from foundationless.study.names import parse_model
from foundationless.study.vocabulary import CLASSES, COUNTERPARTS, METRICS, TRACKS, VALUES, labels_of

Fact = Mapping[str, Any]
FLAGS = ("shortcut", "constructed")
MEMORY = "nearest"  # the baseline that looks training sequences up
FEW_ROWS = 100  # of the test split: below, hardly any difference is real
# The answer that needs no sequence, and what a label is, by the kind of labels.
CONSTANT = {
    CLASSES: "one constant answer",
    VALUES: "one constant answer, the mean",
    TRACKS: "one constant answer, the share of ones",
}
LABEL = {CLASSES: "label", VALUES: "value", TRACKS: "label"}
SHOWN = 4  # outputs that are named one by one
CHECKS = {
    "length": "the lengths of the sequences alone",
    "N": "the places without a known base alone",
    "case": "upper and lower case alone",
    "composition": "the frequencies of bases and pairs of bases alone",
    "k-mers": "short words alone",
    "motifs": "a few words at fixed places alone",
    "look-up": "looking up the most similar training sequence",
    "constant segments": "segments that never change, such as adapters or vectors",
    "genome": "where in the genome a sequence lies",
    "defining site": "a site that one class always has and others lack",
    "shuffled twins": "negatives that are shuffled positives",
    "shuffled twins anywhere": "negatives that are shuffled positives",
    "positional twins": "negatives that are positives with changed places",
    "positional twins anywhere": "negatives that are positives with changed places",
    "without bases": "sequences without bases",
}


def section(found: Fact, labels: Mapping[str, str]) -> dict[str, Any]:
    """What the verdict holds of a set: the arm to use, the evidence, and sentences for people."""
    use, choice = _choose(found, labels)
    said = [
        *choice,
        *_meaning(found, use, labels),
        *_outputs(found, labels),
        *_leaks(found),
        *_flattery(found, labels),
        _sure(found, labels),
        *_cost(found, labels, use),
    ]
    return {
        "task": found["task"],
        "title": f"Which to use for this set: {found['label']}",
        "use": use and {"model": use["model"], "init": use["init"]},
        "metric": found["metric"],
        "difference": found["difference"],
        "flattery": found["flattery"],
        "arms": [{**arm, "label": _name(arm, found, labels)} for arm in found["arms"]],
        "sentences": said,
    }


def _choose(found: Fact, labels: Mapping[str, str]) -> tuple[Fact | None, list[str]]:
    """The arm to use, None where neither the best nor the cheap one learned, and three sentences."""
    best, cheap, difference = (found[key] for key in ("best", "cheap", "difference"))
    if best is None:
        return None, ["No arm has a validation value, so nothing is recommended."]
    name, metric = _name(best, found, labels), METRICS[found["metric"]].label
    constant = CONSTANT[labels_of(found["metric"]) or CLASSES]
    first = (
        f"Of {len(found['arms'])} arms and baselines, {name} is the best on the validation rows ({metric} "
        f"{_plain(best['validation'])}) and reaches {_value(best, metric)} on the {found['test_rows']:,} test rows, "
        "which ranked no arm."
    )
    if not best["learned"] and not (cheap and cheap["learned"]):
        tried = f"; nor does {_name(cheap, found, labels)}, the best of the cheap baselines" if difference else ""
        return None, [
            first,
            f"That is not shown to be better than {constant} ({metric} {_plain(found['constant'])}){tried}: "
            "as far as these rows can tell, nothing learns these labels from these sequences.",
            "Use none of them: either the labels do not depend on the sequence, or there are too few rows to see how.",
        ]
    if best["kind"] == "baseline":
        rival = max((arm for arm in found["arms"] if arm["kind"] == "network"), key=_by_validation, default=None)
        second = "No network was tried."
        if rival is not None:
            second = (
                f"The best network, {_name(rival, found, labels)}, is not better on the validation rows and reaches "
                f"{_value(rival, metric)} on the test rows."
            )
        return best, [first, second, f"Use {name}: it suffices here, trains in seconds and needs no GPU."]
    if cheap is None or difference is None:
        return best, [first, "No cheap baseline was tried.", f"Use {name}."]
    above = difference["low"] is not None and difference["low"] > 0
    why = "not every seed of the network is better" if above else "its 95 % interval does not lie above 0"
    other, size = _name(cheap, found, labels), f"{_signed(difference['delta'])} {_interval(difference)}"
    compared = f"The best of the cheap baselines, {other}, reaches {_value(cheap, metric)}; the difference, {size}, is "
    if difference["counts"]:
        return best, [first, f"{compared}real.", f"Use {name}: the network sees what {other} cannot."]
    if not cheap["learned"]:
        return best, [
            first,
            f"{compared}not shown to count, but {other} is not shown to be better than {constant}.",
            f"Use {name}, which is; more rows may show whether a cheap baseline suffices.",
        ]
    if difference["real"]:
        return cheap, [
            first,
            f"{compared}real but so small that it counts as none.",
            f"Use {other}: it is as good for any purpose, trains in seconds and needs no GPU.",
        ]
    return cheap, [
        first,
        f"{compared}not shown to be real: {why}.",
        f"Use {other}: it is as good as these rows can tell, trains in seconds and needs no GPU; more rows may show "
        "what a network adds.",
    ]


def _meaning(found: Fact, use: Fact | None, labels: Mapping[str, str]) -> list[str]:
    """What the scores of the arm to use amount to, of labels that are numbers or tracks, in a sentence."""
    if use is None or labels_of(found["metric"]) == CLASSES:
        return []
    known, name = {**use.get("also", {}), found["metric"]: use["value"]}, _name(use, found, labels)
    said = [word for word in (_explained(known), *_ranked(known)) if word]
    return [f"On the test rows {name} {', and '.join(said)}."] if said else []


def _explained(known: Mapping[str, float]) -> str:
    """`explains 43 % of the variance of the values`; of none, that a constant answer is as near."""
    if "r2" not in known:
        return ""
    if known["r2"] <= 0:
        return f"comes no nearer to the values than their mean does (R² {_plain(known['r2'])})"
    error = f", at a typical error of {known['rmse']:.3g} in their units" if "rmse" in known else ""
    return f"explains {100 * known['r2']:.0f} % of the variance of the values{error}"


def _ranked(known: Mapping[str, float]) -> list[str]:
    """How often what is higher, or has a track, is ranked higher."""
    said = []
    if "spearman" in known:
        said.append(f"ranks the sequences by them with {METRICS['spearman'].label} {_plain(known['spearman'])}")
    if "macro_auroc" in known:
        said.append(
            "ranks a sequence that has a track above one that lacks it in "
            f"{100 * known['macro_auroc']:.0f} % of pairs (a coin: 50 %), mean over the tracks"
        )
    if "macro_auprc" in known:
        said.append(f"has a {METRICS['macro_auprc'].label} of {_plain(known['macro_auprc'])}")
    return said


def _by_validation(arm: Fact) -> float:
    return -math.inf if arm["validation"] is None else float(arm["validation"])


def _outputs(found: Fact, labels: Mapping[str, str]) -> list[str]:
    """What the best arm reaches for each output, of labels with several."""
    known = {each: value for each, value in (found.get("outputs") or {}).items() if value is not None}
    if not known:
        return []
    metric, name = METRICS[found["metric"]].label.removeprefix("macro "), _name(found["best"], found, labels)
    order = sorted(known, key=lambda each: -known[each])
    if len(order) <= SHOWN:
        return [f"{name} by label, {metric}: {', '.join(f'{each} {_plain(known[each])}' for each in order)}."]
    best, worst = order[0], order[-1]
    middle = sorted(known.values())[len(known) // 2]
    return [
        f"{name} on each of {len(order)} labels, {metric}: {best} {_plain(known[best])} down to {worst} "
        f"{_plain(known[worst])}, with {_plain(middle)} in the middle."
    ]


def _leaks(found: Fact) -> list[str]:
    """What the audit of the split says."""
    audit = found["audit"]
    if not audit:
        return ["The splits were not audited."]
    pairs = [pair for pair in audit["pairs"] if (pair["split"], pair["against"]) == ("test", "earlier")]
    pair = pairs[0] if pairs else {}
    known, rows = pair.get("known", 0) or 0, pair.get("rows", 0)
    said = (
        f"What leaks: {known:,} of {rows:,} test rows stand in training or validation too, as they are, nearly, or by "
        "half of their length, so that memory answers them."
        if known
        else "What leaks: no test row stands in training or validation, neither as it is nor nearly nor by half."
    )
    if pair.get("conflict"):
        said += f" {pair['conflict']:,} test rows have another {LABEL[labels_of(found['metric']) or CLASSES]} there."
    checks = dict.fromkeys(
        f"{CHECKS.get(check['check'], check['check'])} ({check['value']:.2f})"
        for check in audit.get("shortcuts", [])
        if check["word"] in FLAGS
    )
    if checks:
        return [said, f"What a rule without a model goes by on the test rows: {'; '.join(checks)}."]
    return [said]


def _flattery(found: Fact, labels: Mapping[str, str]) -> list[str]:
    """What a random split of the same rows would have said of the cheap baselines."""
    rows = {(row["model"], row["init"]): row for row in found["flattery"]}
    if not rows or found["cheap"] is None:
        return []
    mine = rows.get((found["cheap"]["model"], found["cheap"]["init"]))
    memory = next((row for (model, _), row in rows.items() if parse_model(model).base == MEMORY), None)
    if mine is None:
        return []
    metric, name = METRICS[found["metric"]].label, _name(found["cheap"], found, labels)
    verb = "would have flattered" if mine["low"] > 0 else "flatters nothing that these rows can show:"
    said = (
        f"A random split, each row by itself, {verb} {name}{':' if mine['low'] > 0 else ' reaches'} {metric} "
        f"{_plain(mine['there'])} there and {_plain(mine['here'])} here, {_signed(mine['delta'])} {_interval(mine)}"
    )
    if memory and memory is not mine and mine["low"] > 0 and memory["low"] > 0:
        label = labels.get(memory["model"], memory["model"])
        label, size = label[:1].lower() + label[1:], f"{_signed(memory['delta'])} {_interval(memory)}"
        said += f"; and the {label}, which is memory alone, {size}"
    return [f"{said}."]


def _sure(found: Fact, labels: Mapping[str, str]) -> str:
    groups = f" in {found['groups']:,} groups" if found["groups"] < found["test_rows"] else ""
    few = " These rows are few: a difference has to be large to show." if found["test_rows"] < FEW_ROWS else ""
    few += "".join(f" {note}." for note in found["few_groups"])
    networks = [arm for arm in found["arms"] if arm["seeds"] > 1 and arm["validation"] is not None]
    best = max(networks, key=_by_validation, default=None)
    seeds = ""
    if best is not None:
        values, name = best["by_seed"], _name(best, found, labels)
        seeds = f"; the {len(values)} seeds of {name} reach {_plain(min(values))} to {_plain(max(values))}"
    return (
        f"How sure: intervals are 95 % ones over the {found['test_rows']:,} test rows{groups}, of what was trained "
        f"here on one split{seeds}.{few}"
    )


def _cost(found: Fact, labels: Mapping[str, str], use: Fact | None) -> list[str]:
    trained = sum(arm["seconds"] for arm in found["arms"])
    pretrained = sum(found["pretraining"].values())
    said = f"What it cost: all arms together {_minutes(trained)}"
    said += f", and pretraining {_minutes(pretrained)}" if pretrained else ""
    if use is not None:
        said += f"; {_name(use, found, labels)} alone {_minutes(use['seconds'])}"
    return [f"{said} of computing."]


def _minutes(seconds: float) -> str:
    if seconds < 2:
        return "a second"
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _name(arm: Fact, found: Fact, labels: Mapping[str, str]) -> str:
    """A label; of a model with two arms, which one. Of values it names what a classifier of classes is there."""
    label = labels.get(arm["model"], arm["model"])
    if labels_of(found["metric"]) == VALUES:
        for classifier, other in COUNTERPARTS.items():
            label = label.removesuffix(f", {classifier}") + f", {other}" * label.endswith(f", {classifier}")
    inits = {other["init"] for other in found["arms"] if other["model"] == arm["model"]}
    words = {"pretrained": "pretrained", "random": "from random weights"}
    return f"{label} ({words.get(arm['init'], arm['init'])})" if len(inits) > 1 else label


def _value(arm: Fact, metric: str) -> str:
    return f"{metric} {_plain(arm['value'])} {_interval(arm)}"


def _interval(fact: Fact) -> str:
    if fact["low"] is None or fact["high"] is None:
        return "[no interval]"
    write = _signed if "delta" in fact else _plain
    return f"[{write(fact['low'])}, {write(fact['high'])}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _plain(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
