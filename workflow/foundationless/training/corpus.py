"""Windows to pretrain on: drawn from genomes by random access, from the reference or from people's haplotypes.

A window starts anywhere in the contigs that are left after `exclude` and `holdout`, all starts alike; one that is more
than half N is drawn again (paper, "Models"). Nothing is held in memory but indices and the variants read last, so a
genome of 3 Gb costs what one of 3 Mb costs.

With people, a window is `window` nucleotides of one haplotype of one of them, from the drawn start of the reference on:
as many bases of the reference as that takes, with the person's alleles in place by the rules of `data.haplotypes`
(those of `bcftools consensus` on the stretch from that start). A window never reaches into what is excluded: where
deletions leave less than `window` nucleotides before the end of a stretch, another one is drawn. Contigs that no VCF
covers are read as the reference. (The paper wrote one consensus genome for each of 50 people, 10 per superpopulation.)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from foundationless.data.dna import reverse_complement
from foundationless.data.haplotypes import People, choose_people
from foundationless.data.reference import Genome, Stretch
from foundationless.errors import UserError
from foundationless.runtime.files import sha256

ATTEMPTS = 1000  # draws in a row that may be N or too short


class Drawn(Protocol):
    """What draws windows of at most `window` nucleotides."""

    window: int

    def draw(self, generator: np.random.Generator) -> str:
        """One window; `UserError` where there is none."""


class Reading(NamedTuple):
    """What pretraining reads: windows to train on and held-out ones (None: nothing is held out), whose haplotypes
    they are of, and the bases to train on by where they lie."""

    train: Drawn
    heldout: Drawn | None
    people: list[str]
    bases: dict[str, int]


class Source(Protocol):
    """What windows are drawn from: a corpus of genomes (`Corpus`), or the rows of a task."""

    def read(self, window: int, flip: float, seed: int) -> Reading:
        """Windows of so many nucleotides, reverse-complemented with probability `flip` where they are trained on."""

    def facts(self, people: Sequence[str]) -> dict[str, Any]:
        """What decides the windows, for a fingerprint."""

    def described(self, reading: Reading) -> dict[str, Any]:
        """What weights say of it (`corpus`), and what of it was `excluded` and `heldout`."""


@dataclass(frozen=True)
class Corpus:
    """What windows come from, as files: genomes, what is left out, what is held out, whose variants are put in.

    `exclude` and `holdout` name contigs or regions; they are left out of every genome that knows them. `people` are
    named, or drawn from `panel` by `per_superpopulation`.
    """

    genomes: Sequence[Path]
    exclude: Sequence[str] = ()
    holdout: Sequence[str] = ()
    vcfs: Sequence[Path] = ()
    people: Sequence[str] = ()
    panel: Path | None = None
    per_superpopulation: int | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        drawn = self.panel is not None and self.per_superpopulation is not None
        if (self.panel is None) != (self.per_superpopulation is None):
            raise UserError("--panel and --people-per-superpopulation belong together; give both or none.")
        if bool(self.vcfs) != (drawn or bool(self.people)) or (drawn and self.people):
            raise UserError("--vcf needs --people, or --panel with --people-per-superpopulation, and they need --vcf.")

    def population(self, seed: int) -> People | None:
        """The people whose haplotypes are read; None: the reference is."""
        if not self.vcfs:
            return None
        if self.panel is None or self.per_superpopulation is None:
            return People(self.vcfs, sorted(set(self.people)))
        return People(self.vcfs, choose_people(self.vcfs, self.panel, self.per_superpopulation, seed))

    def facts(self, people: Sequence[str]) -> dict[str, Any]:
        """What decides the windows, for a fingerprint. VCFs by name and size: hashing those of a genome takes hours."""
        return {
            "genomes": [sha256(path) for path in self.genomes],
            "exclude": sorted(self.exclude),
            "holdout": sorted(self.holdout),
            "vcfs": [[path.name, path.stat().st_size] for path in self.vcfs],
            "people": list(people),
        }

    def read(self, window: int, flip: float, seed: int) -> Reading:
        """Windows of `window` nucleotides, of the reference or of people that are drawn with `seed`."""
        train, held = self.stretches()
        people = self.population(seed)
        windows = Windows(train, window, flip, "the training contigs", people)
        unseen = Windows(held, window, 0.0, "the --holdout contigs", people) if self.holdout else None
        return Reading(windows, unseen, people.names if people else [], bases_by_contig(train))

    def described(self, reading: Reading) -> dict[str, Any]:
        """Genomes by name, bases to train on, and how many people; names of what is left out and held out."""
        names = [path.name for path in self.genomes]
        facts = {"genomes": names, "bases": sum(reading.bases.values()), "people": len(reading.people)}
        return {"corpus": facts, "excluded": sorted(self.exclude), "heldout": sorted(self.holdout)}

    def stretches(self) -> tuple[list[Stretch], list[Stretch]]:
        """Stretches to train on and held-out ones; a name that no genome knows is a `UserError`."""
        genomes = [Genome(path) for path in self.genomes]
        known: dict[str, list[Genome]] = {}
        for text in dict.fromkeys([*self.exclude, *self.holdout]):
            for genome in genomes:
                try:
                    genome.region(text)
                except UserError:
                    continue
                known.setdefault(text, []).append(genome)
            if text not in known:
                names = ", ".join(path.name for path in self.genomes)
                raise UserError(f"'{text}' (--exclude or --holdout) is in none of {names}.")
        train = [
            Stretch(genome, *place)
            for genome in genomes
            for place in genome.stretches([text for text in known if genome in known[text]])
        ]
        if not train:
            raise UserError("--exclude and --holdout leave no contig to train on; exclude less.")
        held = []
        for text in dict.fromkeys(self.holdout):
            for genome in known[text]:
                contig, low, high = genome.region(text)
                spans = ((max(start, low), min(end, high)) for start, end in genome.coverage(contig))
                held += [Stretch(genome, contig, start, end) for start, end in spans if start < end]
        return train, held


def bases_by_contig(stretches: Sequence[Stretch]) -> dict[str, int]:
    """Bases of stretches by `genome:contig`."""
    bases: Counter[str] = Counter()
    for stretch in stretches:
        bases[f"{stretch.genome.path.name}:{stretch.contig}"] += stretch.end - stretch.start
    return dict(bases)


@dataclass
class Windows:
    """Uniform draws of `window` nucleotides from stretches.

    `flip` is the probability of the reverse complement; `where` says in error messages what the stretches are; those
    shorter than `window` are left out.
    """

    stretches: Sequence[Stretch]
    window: int
    flip: float
    where: str
    people: People | None = None
    _ends: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Count the starts."""
        self.stretches = [stretch for stretch in self.stretches if stretch.end - stretch.start >= self.window]
        if not self.stretches:
            raise UserError(
                f"{self.where}: no stretch of {self.window} nucleotides is left; exclude less or lower --window."
            )
        self._ends = np.cumsum([stretch.end - stretch.start - self.window + 1 for stretch in self.stretches])

    def draw(self, generator: np.random.Generator) -> str:
        """One window, at most half of it N; `UserError` when a thousand draws in a row give none."""
        for _ in range(ATTEMPTS):
            start = int(generator.integers(self._ends[-1]))
            number = int(np.searchsorted(self._ends, start, side="right"))
            stretch = self.stretches[number]
            start += stretch.start - (int(self._ends[number - 1]) if number else 0)
            if self.people is None:
                sequence = stretch.genome.fetch(stretch.contig, start, start + self.window)
            else:
                sequence = self.people.draw(stretch, start, self.window, generator)
            if len(sequence) == self.window and 2 * sequence.count("N") <= self.window:
                return reverse_complement(sequence) if generator.random() < self.flip else sequence
        raise UserError(
            f"{self.where}: nearly everything is N, or too short for a window; give a genome with known sequence."
        )
