"""Training sequences of a task as what a network is pretrained on: the arm `self`.

Whoever has a task has its sequences, so a network may have seen them before it is fine-tuned, without any genome
(Amos et al. 2023, arXiv:2310.02980; Krishna et al. 2022, arXiv:2209.14389). What pretraining on a genome gains beyond
that is what the genome gains.

Sequences of the split `train` are read, and those of `validation` are held out to measure the loss. Labels are not
read, and neither is a row of the split `test`.

A sequence is read whole where it is no longer than the window; of a longer one a window is read that starts anywhere
in it. Sequences are drawn alike, longer ones as often as windows fit in, rounded up: one of 2.5 windows three times as
often as one that is read whole. A window of a longer one that is more than half N is drawn again, and so is a sequence
of N alone; a pair that many N join is read. On the other strand a pair has its second sequence first. Batches hold
windows of several lengths; padding is neither predicted nor, by the family's own rule, read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from foundationless.data.dna import digest, reverse_complement
from foundationless.errors import UserError
from foundationless.tasks.sequence_sets import read_sequences
from foundationless.training.corpus import ATTEMPTS, Reading

TRAIN, HELDOUT = "train", "validation"


class OwnRows:
    """The training sequences of the set at `path`, which is called `task`; its validation sequences are held out."""

    def __init__(self, path: Path, task: str) -> None:
        frame = read_sequences(path, ("id", "sequence", "split"), splits=(TRAIN, HELDOUT))
        self.task = task
        self.rows, self.heldout = (
            frame.loc[frame["split"] == split, "sequence"].tolist() for split in (TRAIN, HELDOUT)
        )
        if not self.rows:
            raise UserError(f"{path}: has no row of split {TRAIN}, and these alone are read; name another task.")

    def read(self, window: int, flip: float, seed: int) -> Reading:
        """Windows of at most `window` nucleotides; nothing is drawn here, so that `seed` says nothing."""
        train = RowWindows(self.rows, window, flip, f"the training rows of {self.task}")
        held = RowWindows(self.heldout, window, 0.0, f"the validation rows of {self.task}") if self.heldout else None
        return Reading(train, held, [], {f"{self.task}:{TRAIN}": sum(map(len, self.rows))})

    def facts(self, people: Sequence[str]) -> dict[str, Any]:
        """The sequences that are read, as digests; the file itself has labels and test rows too."""
        return {"task": self.task, "rows": digest(self.rows), "heldout": digest(self.heldout)}

    def described(self, reading: Reading) -> dict[str, Any]:
        """Whose rows and how many they are, and their digest."""
        facts = {"task": self.task, "rows": len(self.rows), "heldout_rows": len(self.heldout)}
        facts |= {"bases": sum(reading.bases.values()), "sha256": digest(self.rows)}
        return {"corpus": facts, "excluded": ["test"], "heldout": [HELDOUT]}


@dataclass
class RowWindows:
    """Draws of at most `window` nucleotides from sequences (see the module); arguments as those of `corpus.Windows`."""

    rows: Sequence[str]
    window: int
    flip: float
    where: str
    _ends: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Count how often each is drawn."""
        self._ends = np.cumsum([max(1, -(-len(row) // self.window)) for row in self.rows])

    def draw(self, generator: np.random.Generator) -> str:
        """One window, at most half of it N where it is cut; `UserError` when a thousand draws in a row give none."""
        for _ in range(ATTEMPTS):
            row = self.rows[int(np.searchsorted(self._ends, generator.integers(self._ends[-1]), side="right"))]
            start = int(generator.integers(len(row) - self.window + 1)) if len(row) > self.window else 0
            sequence = row[start : start + self.window]
            known = len(sequence) - sequence.count("N")
            if known and (len(row) <= self.window or 2 * known >= len(sequence)):
                return reverse_complement(sequence) if generator.random() < self.flip else sequence
        raise UserError(f"{self.where}: nearly everything is N; take a task with known sequence.")
