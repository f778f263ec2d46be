"""How a job that would take too long is cut into jobs of at most `longest_job` hours. Standard library only.

Fine-tuning is cut into *groups* of its units, which wait for nothing of each other: runs (fold × learning rate), or
whole folds where a run depends on its fold's others, in a race and where `extend` may add rates. A group that takes
longer still, and pretraining, is cut into *legs*, one after another, each of which ends at a checkpoint after its share
of the epochs or steps. Hours are those of the estimate on the default device, whatever `plan` is asked about, so that a
study has the same jobs everywhere.
"""

import math
from dataclasses import dataclass

from foundationless.study.price.workload import Workload

HOURS = 12.0  # of a job at most, where a study does not say


@dataclass(frozen=True)
class Cut:
    """A job in so many groups side by side, each of so many legs; `units` are dealt out to the groups."""

    units: int = 1
    groups: int = 1
    legs: int = 1

    @property
    def parts(self) -> int:
        """Jobs that it is cut into, what puts them together left out; 0: it stays one job."""
        pieces = self.groups * self.legs
        return pieces if pieces > 1 else 0

    def place(self, part: int) -> tuple[int, int]:
        """(Group, leg) of a part, both from 0: the legs of a group follow on each other."""
        return divmod(part, self.legs)

    def last_parts(self) -> list[int]:
        """The parts that end a group: what puts all together waits for these."""
        return [group * self.legs + self.legs - 1 for group in range(self.groups)] if self.parts else []


def members(units: int, groups: int, group: int) -> range:
    """Which units a group has: as many as the others, or one more."""
    return range(units * group // groups, units * (group + 1) // groups)


def reached(total: int, legs: int, leg: int) -> int:
    """How many of so many steps or epochs are done at the end of a leg (from 0): all at the last one's."""
    return -(-total * (leg + 1) // legs)


class Shares:
    """The cuts of a study's jobs; every answer is kept."""

    def __init__(self, workload: Workload) -> None:
        self.plan = workload.plan
        self._workload = Workload(workload.plan, workload.sizes)  # on the default device
        self.seconds = 3600 * float(self.plan.config.get("longest_job", HOURS))
        self._known: dict[tuple[str, str, str], Cut] = {}

    def finetuning(self, analysis: str, task: str, model: str, **_: object) -> Cut:
        """Of the runs of a cell."""
        key = (analysis, task, model)
        if key not in self._known:
            self._known[key] = self._cut_runs(*key)
        return self._known[key]

    def _cut_runs(self, analysis: str, task: str, model: str) -> Cut:
        whole = self._workload.of("finetune_model", analysis=analysis, task=task, model=model).seconds
        if whole <= self.seconds:
            return Cut()
        settings = self.plan.finetuning(task, analysis)
        folds = max(1, len(settings["folds"]))
        units = folds if "rungs" in settings or settings.get("extend") else folds * len(settings["learning_rates"])
        start = self._workload.start("finetune_model")
        room, each = max(self.seconds - start, 1e-6), (whole - start) / units
        groups = math.ceil(units / max(1, math.floor(room / each)))
        legs = math.ceil(each / room) if groups == units else 1
        return Cut(units, groups, max(1, min(legs, int(settings["epochs"]))))

    def pretraining(self, model: str) -> Cut:
        """Of the steps of a model's pretraining."""
        key = ("pretrain", "", model)
        if key not in self._known:
            work, start = self._workload.of("pretrain", model=model), self._workload.start("pretrain")
            seconds = work.gpu / self._workload.processes("pretrain", model) + work.cpu - start
            legs = math.ceil(seconds / max(self.seconds - start, 1e-6))
            legs = min(legs, int(self.plan.pretraining(model)["steps"]))
            self._known[key] = Cut(legs=max(1, legs))
        return self._known[key]
