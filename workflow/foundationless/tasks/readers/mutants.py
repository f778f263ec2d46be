"""`mutants`: windows of a genome and their random mutants, for the sensitivity of embeddings (paper, Fig 6a)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.errors import UserError

_STEP = 1000
_LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


def mutate(sequence: str, count: int, generator: np.random.Generator) -> tuple[str, np.ndarray]:
    """`sequence` (A, C, G, T) with `count` substitutions at distinct sites [count] int32; each changes its base."""
    letters = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)
    sites = np.sort(generator.choice(len(letters), size=count, replace=False)).astype(np.int32)
    mutant = letters.copy()
    codes = np.searchsorted(_LETTERS, letters[sites])
    mutant[sites] = _LETTERS[(codes + generator.integers(1, 4, size=count)) % 4]
    return mutant.tobytes().decode("ascii"), sites


def place_window(genome: Genome, contig: str, start: int, length: int) -> int:
    """`start` (0-based), moved right by 1 kb until the window is free of N."""
    at, end = start, genome.end(contig)
    while at + length <= end:
        if "N" not in genome.fetch(contig, at, at + length):
            return at
        at += _STEP
    raise UserError(
        f"{genome.path.name}: no window of {length} bases free of N on {contig} from position {start + 1} on; "
        "choose another start."
    )


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: per window the reference (`mutations` 0) and `replicates` mutants for each number of mutations.

    `window` is the region, `sites` the mutated positions in it (0-based int32), the label is null. A mutant depends
    on the seed and on its own window and numbers alone.
    """
    genome, length = Genome(sources["genome"]), options["length"]
    if any(not 0 < count <= length for count in options["mutations"]):
        raise UserError(f"option mutations: each number must lie between 1 and the length, {length}.")
    if not options["mutations"]:
        raise UserError("option mutations: give one number of substitutions or more.")
    if any(start < 0 for start in options["starts"]):
        raise UserError("option starts: a start in Mb is 0 or more.")
    requested = [(contig, round(start * 1e6)) for contig in options["contigs"] for start in options["starts"]]
    for text in options["windows"]:
        contig, _, start = text.rpartition(":")
        if not contig or not start.isdecimal() or int(start) < 1:
            raise UserError(f"option windows: '{text}' is not CONTIG:START with a start from 1.")
        requested.append((contig, int(start) - 1))
    if not requested:
        raise UserError("no windows: give the options contigs and starts, or windows.")
    rows: list[tuple[Any, ...]] = []
    seen: set[str] = set()
    for contig, start in requested:
        name = genome.resolve(contig)
        at = place_window(genome, name, start, length)
        window = f"{name}:{at + 1}-{at + length}"
        if window in seen:
            raise UserError(f"two windows became {window} when moved to known sequence; choose starts further apart.")
        seen.add(window)
        reference = genome.fetch(name, at, at + length)
        rows.append((window, reference, window, 0, 0, np.empty(0, dtype=np.int32)))
        for count in options["mutations"]:
            for replicate in range(1, options["replicates"] + 1):
                generator = np.random.default_rng([seed, *name.encode(), at, count, replicate])
                mutant, sites = mutate(reference, count, generator)
                rows.append((f"{window}.m{count}.r{replicate}", mutant, window, count, replicate, sites))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "window", "mutations", "replicate", "sites"])
    return frame.assign(label=None, split="test", group=frame["window"])
