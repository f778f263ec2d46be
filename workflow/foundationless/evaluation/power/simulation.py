"""Power of a design: how often the rule of `aggregate` says `equivalent` or `better`, by simulation.

The difference of the arms on task t (of family f) at seed s is

    d = mu + F_f + T_t + I_t + (A_s + e_ts of one arm) - (A_s + e_ts of the other),

with a part of the family, of the task, of its test items (shared by its seeds), and per arm a part that a seed has in
common on all tasks, and one of every run. All are normal and independent; `Components` says how large they are. Tables
of such differences go through `aggregate.weigh` itself, with its estimated standard errors and degrees of freedom:
nothing is approximated but by the number of draws, and a change of the rule is a change of its power.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from foundationless.evaluation.aggregate import ALPHA, Evidence, weigh
from foundationless.evaluation.bootstrap import POWER
from foundationless.study.vocabulary import FEWEST_SEEDS, TOO_FEW_SEEDS

DRAWS = 4000  # standard error of a power: at most 0.008
SEED = 20241218  # the same draws for every design: two designs differ by what they are


@dataclass(frozen=True)
class Components:
    """Standard deviations of a difference, in units of accuracy; NaN: not known.

    `family` and `task`: of true differences, between families and between the tasks of one. Per arm, `common`: what a
    seed adds on all tasks; `seed`: what one run adds beyond that. `items`: of the difference on one test item, so that
    n items leave items / sqrt(n).
    """

    family: float
    task: float
    common: float
    seed: float
    items: float

    def fill(self, other: "Components") -> "Components":
        """These, with what is not known taken from `other`."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(other, **{name: value for name, value in own.items() if np.isfinite(value)})


@dataclass(frozen=True)
class Task:
    """A task of a design: its family, a name that tasks of the same sequences share, and the rows of its test set.

    `scale`: units of its metric to one of accuracy.
    """

    family: str
    cluster: str
    items: float
    scale: float = 1.0


@dataclass(frozen=True)
class Design:
    """What is compared: tasks, seeds of both arms (0: an arm with nothing random), models of the scope, margin.

    `span`: the largest difference that the metric allows.
    """

    tasks: tuple[Task, ...]
    seeds: tuple[int, int]
    models: int = 1
    margin: float = 0.02
    span: float = 1.0

    @property
    def families(self) -> int:
        """How many families the tasks are of."""
        return len({task.family for task in self.tasks})

    @property
    def drawn_seeds(self) -> int:
        """Fewest seeds of an arm that has any randomness; as many as a word needs where neither has."""
        return min((count for count in self.seeds if count), default=FEWEST_SEEDS)


@dataclass(frozen=True)
class Power:
    """Probabilities of `equivalent` at a difference of 0 and of `better` at the stated one.

    `detectable`: the smallest difference that the test finds with 80 % power (NaN: none within the metric's range).
    `no_word`: why there can be no word (`one seed`, `two seeds`, `one family`), or empty.
    """

    equivalent: float
    better: float
    detectable: float
    no_word: str = ""


@lru_cache(maxsize=1024)
def power(design: Design, components: Components, scope: str, difference: float) -> Power:
    """Power of one model of `design` in a scope of `vocabulary.SCOPES`, in the first of Holm's steps.

    In `these` the true difference is that of these very tasks, in `like-these` that of all tasks of which theirs are a
    sample. `better` counts where that is the word, so not where `equivalent` comes first.
    """
    if design.drawn_seeds < FEWEST_SEEDS:
        return Power(0.0, 0.0, np.nan, TOO_FEW_SEEDS[design.drawn_seeds])
    same = simulate(design, components, scope)
    if scope == "like-these" and same.units < 2:
        return Power(0.0, 0.0, np.nan, "one family")
    level = ALPHA / max(1, design.models)
    other = replace(same, delta=same.delta + difference)
    better = (other.p < level) & (other.delta > 0) & ~(other.p_tost(design.margin) < level)
    critical = special.stdtrit(same.df, 1 - level / 2) * same.se
    detectable = float(np.quantile(critical - same.delta, POWER))
    return Power(
        float(np.mean(same.p_tost(design.margin) < level)),
        float(np.mean(better)),
        detectable if detectable <= design.span else np.nan,
    )


def simulate(design: Design, components: Components, scope: str, draws: int = DRAWS, seed: int = SEED) -> Evidence:
    """What the rule makes of simulated tables [draws] whose true difference is 0.

    Tasks of one cluster share what their task and their items add.
    """
    rng = np.random.default_rng(seed)
    tasks = design.tasks
    scales = np.array([task.scale for task in tasks])
    clusters, families = _number([task.cluster for task in tasks]), _number([task.family for task in tasks])
    items = components.items * scales / np.sqrt([task.items for task in tasks])
    deltas = items * rng.standard_normal((draws, clusters.max() + 1))[:, clusters]
    if scope == "like-these":
        deltas += components.family * scales * rng.standard_normal((draws, families.max() + 1))[:, families]
        deltas += components.task * scales * rng.standard_normal((draws, clusters.max() + 1))[:, clusters]
    arms = []
    for sign, count in zip((1, -1), design.seeds, strict=True):
        if count:
            runs = components.seed * rng.standard_normal((draws, len(tasks), count))
            runs += components.common * rng.standard_normal((draws, 1, count))
            arms.append(runs * scales[:, None])
            deltas += sign * arms[-1].mean(axis=-1)
    names = [task.cluster for task in tasks]
    return weigh(deltas, items, arms, [task.family for task in tasks], names, names, scope=scope)


def _number(names: Sequence[str]) -> NDArray[np.int64]:
    """Names as numbers from 0."""
    order = list(dict.fromkeys(names))
    return np.array([order.index(name) for name in names])
