"""How often the rules of evidence are wrong: false words, coverage of both scopes' intervals, and power.

Simulated differences of tasks (families × tasks × seeds × items) go through the rule of `aggregate.weigh` and the tests
behind its words; simulated predictions of single tasks go through the bootstrap and `aggregate.decide`. The word
`equivalent` is judged where the true difference is the margin, `better` and `worse` where there is none. Nominal: 5 %
of false words, 95 % of intervals that cover.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from setting import call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.evaluation.aggregate import ALPHA, Evidence, decide, weigh
from foundationless.evaluation.bootstrap import Run, compare_arms, join, score_runs
from foundationless.runtime.log import progress
from foundationless.study.vocabulary import SCOPES

TASKS, FAMILIES, SEEDS, ITEMS = (1, 2, 4, 18, 52), (1, 3, 4, 10), (3, 5), (400, 3000, 20000)
FAMILY_SD, SEED_SD, COMMON_SD = (0.0, 0.015, 0.03), (0.01, 0.03), (0.0, 0.01, 0.02)
MARGIN, HELPFUL = 0.02, 0.03  # of accuracy; a difference that should be seen
UNLIKE = 0.2  # share of items on which one arm is right and the other wrong: items make a variance of that over n
BLOCK = 2000  # simulations at once
SHAPES = ("even", "uneven")


class Design(NamedTuple):
    """One cell of the simulation; all sd are of a score, `common` is what a seed does to all tasks of an arm."""

    tasks: int
    families: int
    shape: str
    seeds: int
    items: int
    family_sd: float
    seed_sd: float
    common_sd: float

    def owner(self) -> np.ndarray:
        """Family of each task; uneven: each has about half of what is left."""
        shares = np.ones(self.families) if self.shape == "even" else 0.5 ** np.arange(self.families)
        sizes = np.maximum(1, np.floor((self.tasks - self.families) * shares / shares.sum()) + 1).astype(int)
        sizes[0] += self.tasks - sizes.sum()
        return np.repeat(np.arange(self.families), sizes)


class Rates(NamedTuple):
    """Shares of simulations."""

    covered: float
    false_different: float
    false_equivalent: float
    equivalent: float
    better: float


def designs() -> Iterator[Design]:
    """Every cell; families of one size and of unequal ones differ from three families on."""
    for tasks, families, shape in itertools.product(TASKS, FAMILIES, SHAPES):
        if families <= tasks and (shape == "even" or (families > 1 and tasks > families)):
            for rest in itertools.product(SEEDS, ITEMS, FAMILY_SD, SEED_SD, COMMON_SD):
                yield Design(tasks, families, shape, *rest)


def simulate(generator: Generator, design: Design, trials: int) -> dict[str, Rates]:
    """Rates by scope; one family has no answer about others."""
    owner = design.owner()
    sums = {scope: np.zeros(5) for scope in SCOPES if scope == "these" or design.families > 1}
    for start in range(0, trials, BLOCK):
        size = min(BLOCK, trials - start)
        true = generator.normal(0, design.family_sd, (size, design.families))[:, owner]
        noise = (UNLIKE / design.items) ** 0.5
        shape = (size, len(owner), design.seeds)
        arms = [
            generator.normal(0, design.common_sd, (size, 1, design.seeds)) + generator.normal(0, design.seed_sd, shape)
            for _ in range(2)
        ]
        items = generator.normal(0, noise, (size, len(owner)))
        deltas = true + items + arms[0].mean(axis=2) - arms[1].mean(axis=2)
        for scope in sums:
            truth = true.mean(axis=1) if scope == "these" else np.zeros(size)
            sums[scope] += _count(deltas, truth, np.full(deltas.shape, noise), arms, owner, scope)
    return {scope: Rates(*(total / trials)) for scope, total in sums.items()}


def _count(
    deltas: np.ndarray, truth: np.ndarray, noise: np.ndarray, arms: Sequence[np.ndarray], owner: np.ndarray, scope: str
) -> np.ndarray:
    none = weigh(deltas - truth[:, None], noise, arms, owner.tolist(), scope=scope)

    def judged(shift: float) -> Evidence:  # what moves all tasks alike moves the mean, and no error
        return replace(none, delta=none.delta + shift)

    helpful = judged(HELPFUL)
    covered = (none.low <= 0) & (none.high >= 0)
    better = (helpful.p < ALPHA) & (helpful.delta > 0) & ~(helpful.p_tost(MARGIN) < ALPHA)
    words = (covered, none.p < ALPHA, judged(MARGIN).p_tost(MARGIN) < ALPHA, none.p_tost(MARGIN) < ALPHA, better)
    return np.array([word.sum() for word in words], dtype=float)


# ---- one task, from predictions


def run_arm(generator: Generator, easy: np.ndarray, seeds: int, spread: float, gain: float = 0.0) -> list[Run]:
    """Runs of an arm whose accuracy is 0.8 + gain on average, harder on some items and worse with some seeds."""
    labels = (np.arange(len(easy)) % 2).astype(str)
    ids = np.arange(len(easy)).astype(str)
    runs = []
    for seed in range(seeds):
        right = generator.random(len(easy)) < np.clip(easy + gain + generator.normal(0, spread), 0, 1)
        predicted = np.where(right, labels, (labels == "0").astype(int).astype(str))
        runs.append(Run(seed, 0, labels, ids, predicted, ids=ids))
    return runs


def judge_task(
    generator: Generator, trials: int, items: int, seeds: int, spread: float, resamples: int
) -> tuple[float, float, float]:
    """Of one task: shares of intervals that cover 0, of false `better` or `worse`, and of false `equivalent`."""
    held, words = [], {0.0: [""], MARGIN: [""]}
    for trial in range(trials):
        for gain, said in words.items():
            easy = generator.uniform(0.65, 0.95, items)
            arms = run_arm(generator, easy, seeds, spread, gain), run_arm(generator, easy, seeds, spread)
            scored = score_runs([*arms[0], *arms[1]], "accuracy", ["0", "1"], resamples, trial)
            seen = compare_arms(join(scored[:seeds]), join(scored[seeds:]), trial)
            assert seen.p is not None
            said.append(decide(seen.p, seen.p_tost(MARGIN), seen.value, seeds=seeds))
            held += [seen.low <= gain <= seen.high]
    different = sum(word in ("better", "worse") for word in words[0.0]) / trials
    return float(np.mean(held)), different, words[MARGIN].count("equivalent") / trials


# ---- tables


def worst_rows(rates: dict[str, dict[Design, Rates]]) -> list[list[str]]:
    """By scope and number of tasks the worst of every rate, over all other things."""
    rows = []
    for scope, tasks in itertools.product(rates, TASKS):
        some = [rate for design, rate in rates[scope].items() if design.tasks == tasks]
        if some:
            worst = (
                max(rate.false_different for rate in some),
                max(rate.false_equivalent for rate in some),
                min(rate.covered for rate in some),
                max(rate.covered for rate in some),
            )
            rows.append([scope, str(tasks), str(len(some)), *(f"{share:.1%}" for share in worst)])
    return rows


def power_rows(rates: dict[str, dict[Design, Rates]]) -> list[list[str]]:
    """Power where families differ by 0.015 and seeds move all tasks by 0.01, families being uneven."""
    rows = []
    for tasks, families, seeds, seed_sd in itertools.product((4, 18, 52), (1, 4, 10), SEEDS, SEED_SD):
        shape = "uneven" if tasks > families > 1 else "even"
        for items in ITEMS:
            design = Design(tasks, families, shape, seeds, items, 0.015, seed_sd, 0.01)
            known = [rates[scope].get(design) for scope in SCOPES]
            if known[0]:
                shares = [f"{share:.0%}" if rate else "–" for rate in known
                          for share in (rate[3:] if rate else ("", ""))]  # fmt: skip
                rows.append([*map(str, (tasks, families, seeds, seed_sd, items)), *shares])
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "a few simulations of a few designs")
    parser.add_argument("--trials", type=count, default=10000, help="simulations per design (default 10000)")
    parser.add_argument("--predicted", type=count, default=400, help="simulations of predictions (default 400)")
    given = parser.parse_args(argv)
    trials, predicted = (4, 2) if given.smoke else (given.trials, given.predicted)
    generator = np.random.default_rng(1)
    print(f"{date.today()}, numpy {np.__version__}, {trials} simulations per design\n")
    chosen = list(designs())[:: 97 if given.smoke else 1]
    rates: dict[str, dict[Design, Rates]] = {scope: {} for scope in SCOPES}
    with progress(len(chosen), "designs", "design") as bar:
        for design in chosen:
            for scope, rate in simulate(generator, design, trials).items():
                rates[scope][design] = rate
            bar.update()
    headings = ["scope", "tasks", "designs", "false better/worse ≤", "false equivalent ≤", "coverage ≥", "coverage ≤"]
    print("Worst over families, seeds, items and all sd\n")
    print(table(headings, worst_rows(rates)))
    headings = ["tasks", "families", "seeds", "sd of seeds", "items"]
    headings += [f"{scope}: {word}" for scope in SCOPES for word in ("equivalent at 0", f"better at {HELPFUL}")]
    print(f"\nPower at a margin of ±{MARGIN}; sd of families 0.015, common part of seeds 0.01\n")
    print(table(headings, power_rows(rates)))
    cells = itertools.product(SEEDS, SEED_SD, (50,) if given.smoke else ITEMS)
    rows = [
        [*map(str, cell), *(f"{share:.1%}" for share in judge_task(generator, predicted, cell[2], *cell[:2], 400))]
        for cell in cells
    ]
    print(f"\nSingle tasks from predictions, {predicted} simulations each, 400 resamples\n")
    print(table(["seeds", "sd of seeds", "items", "coverage", "false better/worse", "false equivalent"], rows))


if __name__ == "__main__":
    call(main)
