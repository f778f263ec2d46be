"""How often intervals cover the truth and tests cry *different* where nothing is: the numbers of the README's limits.

Simulated predictions of two equal arms go through the bootstrap of one task (`bootstrap`), simulated differences of
equal arms through the mixed model over families of tasks (`aggregate`). Nominal: 95 % and 5 %.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.random import Generator
from setting import call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.evaluation.aggregate import weigh
from foundationless.evaluation.bootstrap import Run, compare_arms, join, score_runs

SEEDS, SPREADS = (1, 2, 3, 5), (0.0, 0.02, 0.1)  # sd of accuracy between seeds
FAMILIES = {"equal": (5,) * 8, "like the paper's": (10, 7, 5, 5, 5, 4, 1, 1, 1), "uneven": (18, 10, 6, 3, 3, 2, 2, 1)}
SHARES = (0.0, 0.3, 0.6, 0.9)  # of the variance of differences that families make


def run_arm(generator: Generator, easy: np.ndarray, seeds: int, spread: float) -> list[Run]:
    """Runs of an arm whose accuracy is 0.8 on average, harder on some items and worse with some seeds."""
    labels = (np.arange(len(easy)) % 2).astype(str)
    ids = np.arange(len(easy)).astype(str)
    runs = []
    for seed in range(seeds):
        right = generator.random(len(easy)) < np.clip(easy + generator.normal(0, spread), 0, 1)
        predicted = np.where(right, labels, (labels == "0").astype(int).astype(str))
        runs.append(Run(seed, 0, labels, ids, predicted, ids=ids))
    return runs


def cover_task(generator: Generator, trials: int, items: int, seeds: int, spread: float) -> float:
    """Share of intervals of the difference of two equal arms that hold 0."""
    held = []
    for trial in range(trials):
        easy = generator.beta(4, 1, items)
        arms = [run_arm(generator, easy, seeds, spread) for _ in range(2)]
        scored = score_runs([*arms[0], *arms[1]], "accuracy", ["0", "1"], 400, trial)
        found = compare_arms(join(scored[:seeds]), join(scored[seeds:]), trial)
        held.append(found.low <= 0 <= found.high)
    return float(np.mean(held))


def reject_families(generator: Generator, trials: int, sizes: Sequence[int], share: float) -> float:
    """Share of mixed models of differences around 0 whose p is below 5 %."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    cried = []
    for _ in range(trials):
        effects = generator.normal(0, share**0.5, len(sizes))
        deltas = effects[owner] + generator.normal(0, (1 - share) ** 0.5, len(owner))
        cried.append(weigh(deltas, np.ones(len(owner)), owner.tolist(), [""] * len(owner)).p < 0.05)
    return float(np.mean(cried))


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "a few simulations")
    parser.add_argument("--trials", type=count, default=1000, help="simulations per number (default 1000)")
    parser.add_argument("--items", type=count, default=300, help="test items of a task (default 300)")
    given = parser.parse_args(argv)
    trials = 5 if given.smoke else given.trials
    generator = np.random.default_rng(1)
    print(f"{date.today()}, numpy {np.__version__}\n")
    rows = [[str(seeds), *(cover_task(generator, trials, given.items, seeds, spread) for spread in SPREADS)]
            for seeds in SEEDS]  # fmt: skip
    print(f"Intervals of one task that cover, {trials} trials, {given.items} items\n")
    print(table(["seeds", *(f"sd between seeds {spread:g}" for spread in SPREADS)], rows))
    rows = [[name, *(reject_families(generator, trials, sizes, share) for share in SHARES)]
            for name, sizes in FAMILIES.items()]  # fmt: skip
    print(f"\nFalse alarms of the mixed model at 5 %, {trials} trials\n")
    print(table(["families", *(f"share of families {share:g}" for share in SHARES)], rows))


if __name__ == "__main__":
    call(main)
