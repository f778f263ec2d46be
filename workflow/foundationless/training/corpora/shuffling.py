"""A genome with its dinucleotides counted as they are and their order drawn anew (Altschul and Erickson 1985).

Text with every dinucleotide as often as before is a path over the letters that uses every step of the old one once (an
Euler path); all such paths are equally likely. First and last letter of a stretch stay by necessity, so stretches that
are shuffled one by one still add up to the same counts.
"""

import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pysam

from foundationless.data.reference import Genome, normalise, parse_region
from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path

BLOCK = (
    100_000  # bases that are shuffled together: memory stays bounded, and composition over longer stretches as it is
)
_KNOWN = re.compile("[^N]+")


def shuffle_dinucleotides(sequence: str, generator: np.random.Generator) -> str:
    """A sequence drawn uniformly from all that have the same first letter and the same count of every dinucleotide.

    Altschul and Erickson, Mol Biol Evol 1985, 2: 526: the last step out of each letter is drawn such that they all lead
    to the last letter (a random tree by Wilson's walks, STOC 1996: 296); the steps before it stand in a random order.
    """
    if len(sequence) < 4:
        return sequence  # there is no other
    letters, codes = np.unique(np.frombuffer(sequence.encode("ascii"), np.uint8), return_inverse=True)
    steps = [codes[1:][codes[:-1] == letter] for letter in range(len(letters))]
    last = int(codes[-1])
    ends = _last_steps(steps, last, generator)
    ordered = []
    for letter, targets in enumerate(steps):
        if letter == last:
            ordered.append(generator.permutation(targets))
            continue
        rest = np.delete(targets, np.flatnonzero(targets == ends[letter])[0])
        ordered.append(np.append(generator.permutation(rest), ends[letter]))
    following = [iter(targets.tolist()) for targets in ordered]
    path = [int(codes[0])]
    at = path[0]
    for _ in range(len(codes) - 1):
        at = next(following[at])
        path.append(at)
    return letters[path].tobytes().decode("ascii")


def shuffle_known(sequence: str, generator: np.random.Generator) -> str:
    """A sequence whose stretches between runs of N are shuffled one by one, the runs left where they are."""
    return _KNOWN.sub(lambda run: shuffle_dinucleotides(run[0], generator), sequence)


def _last_steps(steps: Sequence[np.ndarray], last: int, generator: np.random.Generator) -> dict[int, int]:
    """Letter -> where its last step leads: a tree that ends in `last`, drawn by its number of choices of steps."""
    away = {letter: targets[targets != letter] for letter, targets in enumerate(steps)}
    inside, ends = {last}, dict[int, int]()
    for letter in range(len(steps)):
        at = letter
        while at not in inside:
            ends[at] = int(generator.choice(away[at]))
            at = ends[at]
        at = letter
        while at not in inside:
            inside.add(at)
            at = ends[at]
    return ends


def shuffle_genome(genome: Path, apart: Sequence[str], seed: int, output: Path) -> int:
    """Write a genome's contigs, each block of `BLOCK` bases shuffled, with a `.fai` beside; bases that were shuffled.

    Runs of N stay where they are. Regions `apart` (`chr2:1-5000`, whole contigs; of other genomes: without effect) are
    shuffled by themselves: what a corpus leaves out must not come in by this door.
    """
    ends = _ends(genome, apart)
    count, index = 0, output.with_name(f"{output.name}.fai")
    with pysam.FastaFile(str(genome)) as fasta, atomic_path(output) as part:
        with part.open("w") as stream:
            for name, length in zip(fasta.references, fasta.lengths, strict=True):
                stream.write(f">{name}\n")
                contig, start, _ = parse_region(name)
                kept = ""
                for low, high in _blocks(length, [end - start for end in ends.get(contig, [])]):
                    block = normalise(fasta.fetch(name, low, high))  # a genome may be soft-masked
                    generator = np.random.default_rng([seed, crc32(contig.encode()), start + low])
                    kept += shuffle_known(block, generator)
                    count += len(block) - block.count("N")
                    whole = len(kept) - len(kept) % 60
                    stream.writelines(f"{line}\n" for line in textwrap.wrap(kept[:whole], 60))
                    kept = kept[whole:]
                stream.write(f"{kept}\n" if kept else "")
        index.unlink(missing_ok=True)
        pysam.faidx(str(part))
        part.with_name(f"{part.name}.fai").replace(index)
    return count


def _ends(path: Path, regions: Sequence[str]) -> dict[str, list[int]]:
    """Contig -> where regions of this genome begin and end."""
    genome, ends = Genome(path), dict[str, list[int]]()
    for text in regions:
        try:
            contig, start, end = genome.region(text)
        except UserError:  # of another genome of the corpus
            continue
        ends.setdefault(contig, []).extend((start, end))
    return ends


def _blocks(length: int, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches of at most `BLOCK` that none of `ends` lies in."""
    cuts = sorted({*range(0, length, BLOCK), *(end for end in ends if 0 < end < length), length})
    yield from itertools.pairwise(cuts)
