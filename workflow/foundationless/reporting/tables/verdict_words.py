"""What a verdict says in sentences, and as a table of text; the numbers are those of `verdict.build`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foundationless.study.vocabulary import (
    EFFECT_METRICS,
    METRICS,
    OF_EFFECTS,
    OUTPUT_METRICS,
    REFERENCES,
    SCOPES,
    TOO_FEW_SEEDS,
    VERDICTS,
    labels_of,
)

PLACES = {"these": "on these tasks", "like-these": "on tasks like these"}
PHRASES = {
    "better": "helps",
    "equivalent": "makes no difference (within {margin}) for",
    "worse": "hurts",
    "undecided": "remains undecided for",
    "not learned": "cannot be judged, for neither arm beats {constant}, for",
    "two seeds": "has too few seeds for a word (two of three) for",
    "one seed": "has too few seeds for a word (one of three) for",
}
BORROWED = {"better": "is better for", "worse": "is worse for"}  # better than random alone is no help
PRICED = (
    "What each verdict against random cost: both arms, their embeddings and weights, each job once, though other "
    "verdicts rest on it too. And what an interval ten times as narrow would: only the part of the seeds shrinks with "
    "their number, that of test items (on these tasks) or families (on tasks like these) takes more of its own; hours "
    "for predicting further items are not known."
)
# What a metric of numbers or tracks says, its best value, and what a constant answer has.
MEANINGS = {
    "pearson": "how well predicted and observed numbers lie on a line (1 at best, a constant answer 0)",
    "spearman": "how well predictions rank the sequences by their numbers (1 at best, a constant answer 0)",
    "r2": "the share of the variance of the numbers that predictions explain (1 at best, a constant answer 0)",
    "macro_auroc": "how often a sequence that has a track ranks above one that lacks it (1 at best, a constant answer "
    "0.5)",
    "macro_auprc": "the precision of ranking the sequences that have a track first (1 at best, a constant answer their "
    "share)",
}
MOST_FAMILIES = 6  # that a sentence names
MARKS = {True: "✓", False: "✗", None: "○"}  # agrees with the truth, contradicts it, decides nothing
Fact = Mapping[str, Any]


def sentences(verdict: Mapping[str, Any]) -> list[str]:
    """The answer on these tasks, that on tasks like these, how large, what could be shown, and what it rests on."""
    judged = {name: fact for name, fact in verdict["models"].items() if fact["versus_random"]}
    alone = _alone(verdict)
    if not judged:
        return [
            "No model has both arms, so nothing is judged.",
            *(alone or ["No difference was measured."]),
            _missing(verdict),
        ]
    lost = [fact["label"] for fact in verdict["models"].values() if fact["lost"]]
    analysis = verdict["generated_from"]["analysis"]
    borrowed = analysis in OF_EFFECTS
    answers = [answer for scope in SCOPES if (answer := _answer(judged, scope, borrowed))]
    both = verdict.get("perturbation", {}).get("sentences", {}).get(analysis, []) if borrowed else []
    if lost:
        answers[0] = f"{answers[0][:-1]}; not compared for want of records: {_list(lost)}."
    stopped = [verdict["looks"]["sentence"]] if "looks" in verdict else []
    layers = _layers(judged, analysis)
    rest = [_power(judged), *_edges(verdict), *_rules(verdict), _missing(verdict)]
    return [*both, *answers, *alone, *stopped, *metrics_words(judged), _sizes(judged), *layers, *rest]


def metrics_words(judged: Mapping[str, Any]) -> list[str]:
    """What metrics of numbers and tracks mean; where others stand beside them, what each such family of tasks says.

    Nothing where all labels are classes.
    """
    facts = [fact["versus_random"]["these"] for fact in judged.values() if fact["versus_random"]["these"]]
    metrics = list(dict.fromkeys(name for fact in facts for name in fact["metrics"]))
    own = [name for name in metrics if name in OUTPUT_METRICS]
    if not own:
        return []
    said = "; ".join(f"{METRICS[name].label} is {MEANINGS.get(name, 'one of them')}" for name in own)
    lines = [f"Of labels that are numbers or tracks, {said}; of several outputs it is their mean."]
    if len({labels_of(name) for name in metrics}) > 1:
        lines.append(
            f"The tasks' metrics, {_list([METRICS[name].label for name in metrics])}, are no one scale, so the mean "
            f"over all tasks is one of unlike units{_by_family(judged)}."
        )
    return lines


def _by_family(judged: Mapping[str, Any]) -> str:
    """`: by family of tasks, enhancers (Pearson's r) +0.10 [+0.05, +0.15] for A (better)`, of numbers and tracks."""
    found: dict[str, list[str]] = {}
    for one in judged.values():
        for family, pair in one["families"].items():
            fact = pair["these"]
            if fact and fact["delta"] is not None and set(fact["metrics"]) & {*OUTPUT_METRICS}:
                name = f"{family} ({', '.join(METRICS[metric].label for metric in fact['metrics'])})"
                size = f"{signed(fact['delta'])} {interval(fact)} for {one['label']} ({fact['verdict']})"
                found.setdefault(name, []).append(size)
    if not found:
        return ""
    shown = list(found.items())[:MOST_FAMILIES]
    said = "; ".join(f"{family}: {', '.join(sizes)}" for family, sizes in shown)
    more = f"; and {len(found) - len(shown)} more families" if len(found) > len(shown) else ""
    return f". By family of tasks against random initialisation: {said}{more}"


def _alone(verdict: Mapping[str, Any]) -> list[str]:
    """What is said of models without a random arm: how they compare with the best baseline, and nothing more."""
    found: dict[str, str] = {}
    for fact in verdict["models"].values():
        against = (fact["versus_baseline"] or {}).get("these")
        if not fact["versus_random"] and not fact["lost"] and against:
            size = f"{signed(against['delta'])} {interval(against)}" if against["delta"] is not None else "not measured"
            found[fact["label"]] = f"{against['verdict']} ({size}) for {fact['label']}"
    if not found:
        return []
    return [
        f"No random arm exists of {_list(list(found))}, so nothing says what pretraining is worth there; against the "
        f"best baseline on these tasks: {'; '.join(found.values())}."
    ]


def truths(verdict: Mapping[str, Any]) -> list[str]:
    """What was planted beside what was found, a line each behind their count; nothing where no truth is known."""
    cases, counts = verdict["truth"], verdict["truth_counts"]
    if not cases:
        return []
    said = f"{counts['agree']} of {_count(len(cases), 'verdict')} {'agrees' if counts['agree'] == 1 else 'agree'} with"
    others = f"{counts['contradict']} {'contradicts' if counts['contradict'] == 1 else 'contradict'} it, "
    first = f"The data are simulated, so the truth is known: {said} it, {others}{counts['open']} decided nothing."
    return [first, *(f"{MARKS[case['agrees']]} {_case(case)}" for case in cases)]


def _case(case: Fact) -> str:
    here, there = (case["found"][scope] or "not compared" for scope in ("these", "like-these"))
    fact = (case["evidence"] or {}).get("these")
    size = f", {signed(fact['delta'])} {interval(fact)}" if fact and fact["delta"] is not None else ""
    analysis = "" if case["analysis"] == "finetune" else f" ({case['analysis']})"
    return (
        f"{case['label']} against {REFERENCES[case['versus']]}{analysis}: truth: {case['word']} — found: {here}{size} "
        f"(on tasks like these: {there}). Planted: {case['why'].rstrip('.')}."
    )


def prices(verdict: Mapping[str, Any]) -> list[str]:
    """What each model's verdict cost, and what one more decimal would, a line a model; nothing where no job tells."""
    lines = []
    for fact in verdict["models"].values():
        pair = fact["versus_random"] or {}
        if (pair.get("these") or {}).get("gpu_hours") is not None:
            lines.append(f"{fact['label']}: {_spent(pair['these'])}. One more decimal: {_takes(pair)}.")
        elif pair.get("these") and fact.get("outside"):
            lines.append(f"{fact['label']}: not known, for another program computed it.")
    return lines


def _takes(pair: Mapping[str, Any]) -> str:
    told = {scope: pair[scope] for scope in SCOPES if pair.get(scope) and pair[scope]["next_decimal"]}
    said = "; ".join(f"{PLACES[scope]} {_further(fact, scope)}" for scope, fact in told.items())
    return said or "not known (that takes two seeds and an interval)"


def _spent(fact: Fact) -> str:
    said = [_hours(fact["gpu_hours"], "GPU")] if fact["gpu_hours"] else []
    return " and ".join([*said, *([_hours(fact["cpu_hours"], "core")] if fact["cpu_hours"] or not said else [])])


def _further(fact: Fact, scope: str) -> str:
    """What an interval a tenth as wide as that of a scope takes."""
    half = (fact["high"] - fact["low"]) / 2 if fact["low"] is not None else 0.0
    seeds, times, hours = (fact[f"next_decimal_{name}"] for name in ("seeds", "times", "hours"))
    alone, over_families = times == 1, scope != "these"
    more = "" if alone else f": {times:,.0f} times the {'families' if over_families else 'test items'}"
    takes = f"{more}{' and' if more else ':'} {seeds:,.0f} seeds" if seeds is not None else more
    unit = "GPU" if fact["gpu_hours"] else "core"
    least = "at least " if not alone and not over_families else ""
    price = f", {least}{_hours(hours, unit)} more" if hours is not None else ""
    return f"(±{half:.3f} to ±{half / 10:.4f}) {fact['next_decimal']}{takes}{price}"


def _hours(hours: float, unit: str) -> str:
    """`12 GPU-hours`; of less than an hour two digits."""
    number = f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"
    return f"{number} {unit}-hours"


def _answer(judged: Mapping[str, Any], scope: str, borrowed: bool = False) -> str:
    """Who is better, by the word of a scope; `borrowed`: vectors of genes, and random ones like them."""
    known = {name: fact for name, fact in judged.items() if fact["versus_random"][scope]}
    if not known:
        return ""
    facts = [fact["versus_random"][scope] for fact in known.values()]
    by_word = {word: [one["label"] for one in known.values() if one["verdict"][scope] == word] for word in VERDICTS}
    margin = margin_words(facts)
    phrases = PHRASES | (BORROWED if borrowed else {})
    said = {word: phrases[word].format(margin=margin, constant=constant_words(facts)) for word in by_word}
    subject = "what is pretrained" if borrowed else "pretraining"
    parts = [f"{said[word]} {_list(names)}" for word, names in by_word.items() if names]
    place = PLACES[scope]
    if scope != "these":
        families = span([fact["units"] for fact in facts])
        behind = f"over {families} {'family' if families == '1' else 'families'} of tasks that share no sequences"
        return f"{place[0].upper()}{place[1:]} ({behind}) {subject} {'; '.join(parts)}."
    n, distinct, seeds = (span([fact[name] for fact in facts]) for name in ("n", "distinct", "seeds"))
    tasks = f"{n} {'task' if n == '1' else 'tasks'}" + (f", {distinct} of them distinct" if distinct != n else "")
    drawn = f"; {seeds} {'seed' if seeds == '1' else 'seeds'} an arm" if seeds else ""
    other = "the same at random" if borrowed else "random initialisation of the same model"
    return f"{place[0].upper()}{place[1:]} ({tasks}{drawn}), compared with {other}, {subject} {'; '.join(parts)}."


def margin_words(facts: Iterable[Fact]) -> str:
    """`±0.04 of MCC`; of several metrics that their tasks' mean is meant."""
    known = [fact for fact in facts if fact["margin"] is not None]
    sizes = sorted({f"{fact['margin']:.3g}" for fact in known}, key=float)
    if not sizes:
        return "an unknown margin"
    names = list(dict.fromkeys(METRICS[name].label for fact in known for name in fact["metrics"]))
    size = f"±{sizes[0]}" + (f" to ±{sizes[-1]}" if len(sizes) > 1 else "")
    if not names:
        return size
    return f"{size} of {names[0]}" if len(names) == 1 else f"{size}, the mean of the tasks' margins of {_list(names)}"


def constant_words(facts: Iterable[Fact]) -> str:
    """What an arm that learned anything beats: of effects of perturbations, their mean."""
    metrics = [name for fact in facts for name in fact["metrics"]]
    of_effects = metrics and all(name in EFFECT_METRICS for name in metrics)
    return REFERENCES["mean"] if of_effects else "a constant answer"


def span(numbers: Iterable[int | None]) -> str:
    """`3`, or `1 to 3`; nothing where no number is known."""
    known = sorted({number for number in numbers if number is not None})
    if not known:
        return ""
    return f"{known[0]}" if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _sizes(judged: Mapping[str, Any]) -> str:
    pairs = [(fact, fact["versus_random"]["these"] or {}) for fact in judged.values()]
    ordered = sorted(((one, fact) for one, fact in pairs if fact.get("delta") is not None), key=lambda p: p[1]["delta"])
    if not ordered:
        return "No difference was measured."
    shown = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    said = " to ".join(f"{signed(fact['delta'])} {interval(fact)} for {one['label']}" for one, fact in shown)
    cheap = [(one["versus_baseline"] or {}).get("these") for one, _ in ordered]
    known = [fact for fact in cheap if fact]
    beaten = sum(fact["verdict"] == "better" for fact in known)
    short = sum(fact["verdict"] in TOO_FEW_SEEDS.values() for fact in known)
    baseline = f"; {beaten} of {len(known)} are better than the best baseline" if known else ""
    baseline += f" (for {short} there are too few seeds to say)" if short else ""
    alone = ", with a single seed of test items alone" if any(fact["seeds"] == 1 for _, fact in ordered) else ""
    return f"The mean difference on these tasks is {said} (95 % intervals{alone}){baseline}."


def _layers(judged: Mapping[str, Any], analysis: str) -> list[str]:
    """Which layers of frozen features the verdict rests on, and what it is with the last ones."""
    known = [
        (fact["label"], fact["layers"][analysis]) for fact in judged.values() if analysis in fact.get("layers", {})
    ]
    if not known:
        return []
    said = "; ".join(f"{label} {layers_words(facts)}" for label, facts in known)
    return [f"Each arm reads the layer that validation chose for it, from 0, the embedding, on: {said}."]


def layers_words(facts: Mapping[str, Any]) -> str:
    """`pretrained 3 to 7, random 0 of 12 (last layers: +0.010 [+0.001, +0.019], better)`."""
    chosen = ", ".join(f"{arm} {span(map(int, layers))}" for arm, layers in facts["chosen"].items())
    fact = facts["last_layer"]["these"]
    known = fact and fact["delta"] is not None
    last = f"{signed(fact['delta'])} {interval(fact)}, {fact['verdict']}" if known else "not compared"
    return f"{chosen} of {facts['last']} (last layers of both: {last})"


def _power(judged: Mapping[str, Any]) -> str:
    said = [
        f"{PLACES[scope]} {size}" for scope in SCOPES
        if (size := detectable_words(fact["versus_random"][scope] for fact in judged.values()))
    ]  # fmt: skip
    if not said:
        return "What difference these data could have shown is not known."
    return f"With a power of 80 % these data would show, adjusted over models, {', and '.join(said)}."


def detectable_words(facts: Iterable[Fact | None]) -> str:
    """`a difference of 0.012 to 0.030`, `no difference at all`, or both; nothing where none is known."""
    known = [fact["detectable"] for fact in facts if fact and fact["detectable"] is not None]
    sizes = [size for size in known if size != "none"]
    none = "no difference at all (it would have to exceed the metric's range)"
    if not sizes:
        return none if known else ""
    low, high = f"{min(sizes):.3f}", f"{max(sizes):.3f}"
    text = f"a difference of {low}" + (f" to {high}" if high != low else "")
    return (
        f"{text}, and for {len(known) - len(sizes)} of {len(known)} comparisons {none}"
        if len(sizes) < len(known)
        else text
    )


def _edges(verdict: Mapping[str, Any]) -> list[str]:
    """How many of the choices behind the verdict lie on the edge of their grid."""
    said = []
    for kind, whose in (("models", "the compared arms"), ("baselines", "the baselines")):
        counted = verdict["edges"][kind]
        if counted is None:
            return ["Whether choices lie on the edge of their grid is not known."]
        if counted["choices"]:
            on_edge = counted["low"] + counted["high"]
            ends = f" ({counted['low']} the lowest, {counted['high']} the highest)" if on_edge else ""
            said.append(f"{on_edge} of {_count(counted['choices'], 'choice')} of {whose}{ends}")
    if not said:
        return []
    return [f"On the edge of their grid lie {', and '.join(said)}: beyond an edge there may be something better."]


def _rules(verdict: Mapping[str, Any]) -> list[str]:
    """On how many tasks a rule without a model, or a baseline, does as well as the best pretrained model."""
    known = [(row, cheap) for row in verdict["rules"] if row["pretrained"] and (cheap := _cheapest(row)) is not None]
    if not known:
        return []
    reached = [row for row, value in known if value >= row["pretrained"]["value"]]
    text = f"A rule without a model or a baseline reaches the best pretrained model on {len(reached)} of "
    return [f"{text}{_count(len(known), 'task')}."]


def _cheapest(row: Mapping[str, Any]) -> float | None:
    values = [row[kind]["value"] for kind in ("rule", "baseline") if row[kind]]
    return max(values, default=None)


def _missing(verdict: Mapping[str, Any]) -> str:
    count = verdict["missing"]["count"]
    return f"{_count(count, 'cell') if count else 'No cell'} of the design {'are' if count > 1 else 'is'} missing."


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def interval(fact: Fact) -> str:
    """An interval in brackets."""
    return "[no interval]" if fact["low"] is None else f"[{signed(fact['low'])}, {signed(fact['high'])}]"


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def describe(verdict: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any] | None]) -> str:
    """The truth where it is known, the chosen evidence as an aligned text table, a line a scope, and the sentences."""
    rows = [("model", "scope", "verdict", "delta", "95 % interval", "units", "tasks", "seeds", "detectable")]
    for name, pair in chosen.items():
        label = verdict["models"][name]["label"]
        for scope in SCOPES:
            fact = (pair or {}).get(scope)
            rows.append((label, scope, *(_cells(fact) if fact else ("not compared", *[""] * 6))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    known, priced = truths(verdict), [f"Price of {line}" for line in prices(verdict)]
    told = [line for fact in verdict.get("own", []) for line in (f"{fact['title']}:", *fact["sentences"], "")]
    return "\n".join([*told, *known, *([""] if known else []), *lines, "", *verdict["sentences"], "", *priced])


def _cells(fact: Fact) -> tuple[str, ...]:
    size = fact["detectable"]
    counts = tuple("" if fact[name] is None else str(fact[name]) for name in ("units", "n", "seeds"))
    delta = "" if fact["delta"] is None else signed(fact["delta"])
    return fact["verdict"], delta, interval(fact), *counts, f"{size:.3f}" if isinstance(size, float) else size or ""
