"""False alarms and seeds saved of studies that look after each seed, by simulation through the real rule.

A study has tasks with test items of their own, seeds that move all tasks together and single runs (`power.simulation`),
in the scope `these`; after 3 to 10 seeds `aggregate.weigh` says what it knows, `spending.Looks` what its p values are
worth at this look, `aggregate.decide` the word. It stops at the first word.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
from setting import call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.evaluation.aggregate import decide, weigh
from foundationless.evaluation.power.simulation import Components
from foundationless.evaluation.spending import Looks

FIRST, LAST, MARGIN = 3, 10, 0.04
# In units of MCC: common part of a seed, part of a run, of items (each on one task); tasks.
CASES = {
    "seeds alone": (Components(0, 0, 0.01, 0.04, 0.0), 12),
    "seeds and items": (Components(0, 0, 0.01, 0.04, 0.02), 12),
    "noisy seeds, few tasks": (Components(0, 0, 0.03, 0.06, 0.02), 4),
}
TRUTHS = (0.0, 0.03, 0.04, -0.04, 0.06)


def simulate(components, tasks, truth, studies, seed=1, looks=True):
    """(words [studies], seeds [studies]) of studies with this true difference; without looks after the last seed."""
    rng = np.random.default_rng(seed)
    items = np.full((studies, tasks), components.items)
    noise = components.items * rng.standard_normal((studies, tasks))
    arms = [
        components.seed * rng.standard_normal((studies, tasks, LAST))
        + components.common * rng.standard_normal((studies, 1, LAST))
        for _ in range(2)
    ]
    words, ended = np.full(studies, "undecided", dtype=object), np.full(studies, LAST)
    names = [str(task) for task in range(tasks)]
    for now in range(FIRST if looks else LAST, LAST + 1):
        first, second = (arm[..., :now] for arm in arms)
        deltas = truth + noise + first.mean(axis=-1) - second.mean(axis=-1)
        found = weigh(deltas, items, [first, second], names, names, names, scope="these")
        p, p_tost = found.p, found.p_tost(MARGIN)
        if looks:
            p, p_tost = Looks(FIRST, LAST, now).repeated(p), Looks(FIRST, LAST, now).repeated_one_sided(p_tost)
        for study in np.flatnonzero(words == "undecided"):
            word = decide(float(p[study]), float(p_tost[study]), float(found.delta[study]), seeds=now)
            if word != "undecided":
                words[study], ended[study] = word, now
    return words, ended


def false_alarms(words, truth):
    """Share of studies whose word is false: better or worse at 0 or of the other sign, equivalent at the margin."""
    wrong = {"better": truth <= 0, "worse": truth >= 0, "equivalent": abs(truth) >= MARGIN}
    return float(np.mean([wrong.get(word, False) for word in words]))


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "a few studies of each kind")
    parser.add_argument("--studies", type=count, default=20000, help="simulated studies a row (default 20000)")
    given = parser.parse_args(argv)
    studies = 4 if given.smoke else given.studies
    print(f"{date.today()}, numpy {np.__version__}, {studies} simulated studies a row,")
    print(f"looks after {FIRST} to {LAST} seeds, margin ±{MARGIN}; `fixed`: the same studies with {LAST} seeds and no look before\n")
    rows = []
    for name, (components, tasks) in CASES.items():
        for truth in TRUTHS:
            words, ended = simulate(components, tasks, truth, studies)
            fixed, _ = simulate(components, tasks, truth, studies, looks=False)
            rows.append(
                [
                    name, f"{truth:+.2f}", f"{false_alarms(words, truth):.1%}", f"{false_alarms(fixed, truth):.1%}",
                    f"{np.mean(words != 'undecided'):.0%}", f"{np.mean(fixed != 'undecided'):.0%}",
                    f"{ended.mean():.1f}", f"{1 - ended.mean() / LAST:.0%}",
                ]  # fmt: skip
            )
    headings = ["study", "truth", "false words", "fixed", "decided", "fixed", "seeds on average", "seeds saved"]
    print(table(headings, rows))


if __name__ == "__main__":
    call(main)
