"""False alarms and seeds saved of studies that look after each seed, by simulation through the real rule.

A study has tasks with test items of their own, seeds that move all tasks of an arm together and single runs
(`power.simulation`), in the scope `these`; after each seed from the first number on `aggregate.weigh` says what it
knows, `spending.Looks` what its p values are worth at this look, `aggregate.decide` the word. It stops at the first
word. The second table looks for the mixes of errors and the numbers of looks that err most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from setting import call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.evaluation.aggregate import decide, weigh
from foundationless.evaluation.power.simulation import Components
from foundationless.evaluation.spending import SPENT, Looks


@dataclass(frozen=True)
class Study:
    """Errors in units of MCC: of a seed's common part, of a run, of items (each on one task); `second`: how much of the
    errors of seeds the second arm has. Looks after `first` to `last` seeds; without `looks` only after the last.
    """

    components: Components
    tasks: int
    first: int = 3
    last: int = 10
    second: float = 1.0
    margin: float = 0.04
    looks: bool = True
    difference: bool = True  # False: equivalence alone is tested, for at the margin `better` is true and ends a study


STUDIES = {
    "seeds alone": Study(Components(0, 0, 0.01, 0.04, 0.0), 12),
    "seeds and items": Study(Components(0, 0, 0.01, 0.04, 0.02), 12),
    "pretrained arm moves half as much": Study(Components(0, 0, 0.01, 0.04, 0.02), 12, second=0.5),
    "noisy seeds, few tasks": Study(Components(0, 0, 0.03, 0.06, 0.02), 4),
}
TRUTHS = (0.0, 0.03, 0.04, -0.04, 0.06)
# The second table: one task, errors in units of a run of the first arm.
WORST_LOOKS = ((3, 4), (3, 5), (3, 10), (5, 10))
SECOND, ITEMS = (1.0, 0.3, 0.15, 0.0), (0.0, 0.1, 0.2)


def worst(items):
    """Errors of a study on one task: runs of the first arm 1, and test items."""
    return Components(0, 0, 0, 1.0, items)


def simulate(study, truth, studies, seed=1):
    """(words [studies], seeds [studies]) of studies with this true difference."""
    rng = np.random.default_rng(seed)
    parts, tasks = study.components, study.tasks
    items, noise = np.full((studies, tasks), parts.items), parts.items * rng.standard_normal((studies, tasks))
    arms = [
        size * (parts.seed * rng.standard_normal((studies, tasks, study.last))
                + parts.common * rng.standard_normal((studies, 1, study.last)))
        for size in (1.0, study.second)
    ]  # fmt: skip
    words, ended = np.full(studies, "undecided", dtype=object), np.full(studies, study.last)
    names = [str(task) for task in range(tasks)]
    for now in range(study.first if study.looks else study.last, study.last + 1):
        first, second = (arm[..., :now] for arm in arms)
        deltas = truth + noise + first.mean(axis=-1) - second.mean(axis=-1)
        found = weigh(deltas, items, [first, second], names, names, names, scope="these")
        look = Looks(study.first, study.last, now)
        p = look.p(found) if study.looks else found.p
        p = p if study.difference else np.ones(studies)
        p_tost = look.p_tost(found, study.margin) if study.looks else found.p_tost(study.margin)
        for case in np.flatnonzero((words == "undecided") & (np.minimum(p, p_tost) < 0.06)):
            word = decide(float(p[case]), float(p_tost[case]), float(found.delta[case]), seeds=now)
            if word != "undecided":
                words[case], ended[case] = word, now
    return words, ended


def false_alarms(words, truth, margin):
    """Share of studies whose word is false: better or worse at 0 or of the other sign, equivalent at the margin."""
    wrong = {"better": truth <= 0, "worse": truth >= 0, "equivalent": abs(truth) >= margin}
    return float(np.mean([wrong.get(word, False) for word in words]))


def show_studies(studies):
    """False alarms and seeds saved of studies as there are."""
    rows = []
    for name, study in STUDIES.items():
        for truth in TRUTHS:
            words, ended = simulate(study, truth, studies)
            fixed, _ = simulate(replace(study, looks=False), truth, studies)
            rows.append(
                [
                    name,
                    f"{truth:+.2f}",
                    *(f"{false_alarms(these, truth, study.margin):.1%}" for these in (words, fixed)),
                    *(f"{np.mean(these != 'undecided'):.0%}" for these in (words, fixed)),
                    f"{ended.mean():.1f}",
                    f"{1 - ended.mean() / study.last:.0%}",
                ]
            )
    headings = ["study", "truth", "false words", "fixed", "decided", "fixed", "seeds on average", "seeds saved"]
    print(table(headings, rows))


def show_worst(studies):
    """Most false alarms of any mix of errors: found with some studies, then stated of others, five times as many."""
    rows = []
    for first, last in WORST_LOOKS:
        for word, margin in (("better, worse", 0.0), ("equivalent", 20.0)):  # the truth lies at 0, and at the margin
            mixes = [
                Study(worst(items), 1, first, last, second, margin, difference=not margin)
                for second in SECOND
                for items in ITEMS
            ]
            rates = [false_alarms(simulate(mix, margin, studies, 2)[0], margin, margin) for mix in mixes]
            most = mixes[int(np.argmax(rates))]
            again = false_alarms(simulate(most, margin, 5 * studies, 3)[0], margin, margin)
            fixed = false_alarms(simulate(replace(most, looks=False), margin, 5 * studies, 3)[0], margin, margin)
            error = np.sqrt(again * (1 - again) / (5 * studies))
            of = f"second arm {most.second:g}, items {most.components.items:g}"
            rows.append([f"{first} to {last}", word, of, f"{again:.2%} ± {error:.2%}", f"{fixed:.2%}"])
    print(table(["seeds", "false word", "worst mix", "looks", "fixed"], rows))


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "a few studies of each kind")
    parser.add_argument("--studies", type=count, default=20000, help="simulated studies a row (default 20000)")
    given = parser.parse_args(argv)
    studies = 4 if given.smoke else given.studies
    print(
        f"{date.today()}, numpy {np.__version__}, {studies} simulated studies a row, {SPENT:.0%} of 5 % spent on looks."
    )
    print("Looks after 3 to 10 seeds, margin ±0.04; `fixed`: the same studies with 10 seeds and no look before.\n")
    show_studies(studies)
    print(
        f"\nOf {len(SECOND) * len(ITEMS)} mixes the one that errs most (errors in units of a run of the first arm):\n"
    )
    show_worst(studies)


if __name__ == "__main__":
    call(main)
