"""What an embedding has so far, kept beside its output, so that a job that was interrupted goes on where it was.

Inputs run in an order that their lengths decide, and each adds to the vectors of the sequences that own it. A shard is
the vectors that have changed since the shard before, as they stand after so many inputs: reading the shards in turn
restores the bits, and the batches that follow are those of an undisturbed run (on a CPU, therefore, the same result).
Shards appear every so many seconds, not every so many tokens, which would mean milliseconds here and hours there; a job
shorter than that writes none.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from foundationless.runtime.files import atomic_path
from foundationless.runtime.log import tell
from foundationless.runtime.signals import STATUS

LEDGER = "cost.json"
LARGEST = 1 << 28  # bytes of vectors in a shard: what a copy of them may take besides


class Shards:
    """The shards of one output: a context whose end removes them, unless an exception ends it.

    `seconds`: time between two shards. `ledger` is the place for the cost of the job's tries, removed with the shards.
    """

    def __init__(self, output: Path, seconds: float) -> None:
        self.directory = output.with_name(f"{output.name}.shards")
        self.ledger = self.directory / LEDGER
        self._fingerprint = ""
        self._seconds, self._saved = seconds, time.monotonic()
        self._vectors: dict[str, np.ndarray] = {}
        self._changed, self._rows = np.zeros(0, dtype=bool), 0
        self._done, self._count, self._largest = 0, 0, LARGEST

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and any(self.directory.glob("*.npz")):
            return
        self._remove_from(1)
        self.ledger.unlink(missing_ok=True)
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def identify(self, facts: Mapping[str, Any]) -> None:
        """Say all that decides the vectors, before `resume`: shards of other facts are not continued."""
        self._fingerprint = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def resume(self, vectors: dict[str, np.ndarray]) -> int:
        """Restore `vectors` ({pooling: float32 [sequences, width]}, which are held on to); how many inputs are done."""
        self._vectors = vectors
        self._changed = np.zeros(len(next(iter(vectors.values()))), dtype=bool)
        while self._read(self._path(self._count + 1)):
            self._count += 1
        self._remove_from(self._count + 1)
        if self._count:
            self._say(f"continued after {self._done} inputs")
        self._saved = time.monotonic()
        return self._done

    def touch(self, members: np.ndarray) -> None:
        """Take note of sequences whose vectors have changed."""
        self._rows += int(np.count_nonzero(~self._changed[members]))
        self._changed[members] = True

    def after(self, done: int, terminated: bool) -> None:
        """Keep what `done` inputs in all gave if it is time; if the job was told to end, at once, and end it."""
        size = self._rows * sum(matrix[0].nbytes for matrix in self._vectors.values())
        late = time.monotonic() - self._saved > self._seconds
        if self._rows and (terminated or late or size > self._largest):
            try:
                self._write(done)
                self._largest = LARGEST
            except OSError as error:
                self._say(f"no shard could be kept ({error.strerror or error}); free space, the job goes on")
                self._saved, self._largest = time.monotonic(), 2 * size  # not again after every batch
        if terminated:
            self._say(f"terminated: {self._done} inputs are kept; run the same command to continue")
            sys.exit(STATUS)

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:06d}.npz"

    def _write(self, done: int) -> None:
        members = np.flatnonzero(self._changed)
        kept = {name: matrix[members] for name, matrix in self._vectors.items()}
        with atomic_path(self._path(self._count + 1)) as part:
            kept |= {"fingerprint": np.array(self._fingerprint), "members": members}
            np.savez(part, allow_pickle=False, after=self._done, done=done, **kept)
        self._changed[members], self._rows = False, 0
        self._count, self._done, self._saved = self._count + 1, done, time.monotonic()

    def _read(self, path: Path) -> bool:
        """Whether a shard is there, whole, and the next one of this job; then its vectors are restored."""
        if not path.exists():
            return False
        try:
            with np.load(path, allow_pickle=False) as kept:
                fingerprint, after = str(kept["fingerprint"]), int(kept["after"])
                done, members = int(kept["done"]), kept["members"]
                rows = {name: kept[name] for name in self._vectors}
        except Exception as error:  # a broken file may raise nearly anything; computing anew is always right
            self._say(f"{path.name} is unreadable ({type(error).__name__}): computed again, with what follows it")
            return False
        if fingerprint != self._fingerprint or after != self._done:
            self._say(f"{path.name} is of other weights, sequences or settings: computed again")
            return False
        for name, matrix in self._vectors.items():
            matrix[members] = rows[name]
        self._done = done
        return True

    def _remove_from(self, number: int) -> None:
        for path in self.directory.glob("*.npz"):
            if path.stem >= f"{number:06d}":
                path.unlink(missing_ok=True)

    def _say(self, message: str) -> None:
        tell(f"{self.directory.name}: {message}")
