"""Haplotypes of chosen people, read from phased VCF or BCF files where they are asked for.

`variants.haplotypes` builds every sample's sequence of one window; here windows lie anywhere in a genome, one person's
copy is wanted at a time, and no more than the variants read last is kept.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pysam

from foundationless.data.reference import Stretch, canonical_contig, normalise
from foundationless.data.samples import column, label_column, read_people
from foundationless.data.variants import (
    ReferenceCheck,
    alternatives,
    consensus,
    genotypes,
    open_vcf,
    records,
    reference_allele,
)
from foundationless.errors import UserError

TILE = 4096  # bp of a contig whose variants are read at once
TILES = 4096  # tiles kept, the last used: all of a small corpus, about 100 MB of a large one
SLACK = 64  # bp read behind a window at first, for its deletions
PLOIDY = 2
PEOPLE_SEED = 2**32 - 3  # stands for the step in the seed that chooses people, out of reach of training


class Site(NamedTuple):
    """A variant that one of the people carries; `start` 0-based, `alleles` [people, ploidy] as `genotypes` gives."""

    start: int
    ref: str
    alts: tuple[str | None, ...]
    alleles: np.ndarray

    @property
    def end(self) -> int:
        """End of REF, 0-based and exclusive."""
        return self.start + len(self.ref)


class _File(NamedTuple):
    path: Path
    vcf: Any
    order: list[int]  # of the people among its samples, which come in the order of the file

    def sites(self, contig: str | None = None, start: int = 0, end: int | None = None) -> Iterator[tuple[str, Site]]:
        """Contig and site of the records that one of the people carries."""
        for record in records(self.vcf, self.path, contig, start, end):
            alleles = genotypes(record, self.path, self.vcf.samples)
            if alleles.max(initial=0) > 0:
                alts = alternatives(record)
                yield record.CHROM, Site(record.start, reference_allele(record), alts, alleles[self.order])


class People:
    """Haplotypes of chosen people from phased VCF or BCF files.

    With an index a file is read tile by tile, as windows need it; one without is read through once and kept. A record
    of 2,500 people takes 0.2 ms (BCF) to 0.4 ms (VCF), one of 50 people 0.03 ms: for a large corpus, cut the files
    to the chosen people first (`bcftools view --samples-file`).

    Raises
    ------
    UserError: for a person who is not in every file, and for a file that is not whole.
    """

    def __init__(self, paths: Sequence[Path], names: Sequence[str]) -> None:
        self.names = list(names)
        self._files: dict[str, list[_File]] = {}
        self._held: dict[tuple[str, int], list[Site]] = {}
        self._tile = lru_cache(maxsize=TILES)(self._read_tile)
        for path in paths:
            vcf = open_vcf(path, self.names)
            if absent := set(self.names) - set(vcf.samples):
                raise UserError(f"{path.name}: person '{min(absent)}' is not in it; choose among its samples.")
            file = _File(path, vcf, [vcf.samples.index(name) for name in self.names])
            if any(path.with_name(path.name + suffix).is_file() for suffix in (".tbi", ".csi")):
                with pysam.VariantFile(str(path)) as indexed:
                    for contig in map(str, indexed.index):  # of a BCF, every contig of its header
                        if next(indexed.fetch(contig), None) is not None:
                            self._files.setdefault(canonical_contig(contig), []).append(file)
                continue
            for contig, site in file.sites():
                self._held.setdefault((canonical_contig(contig), site.start // TILE), []).append(site)

    def _read_tile(self, contig: str, number: int) -> list[Site]:
        found = list(self._held.get((contig, number), []))
        for file in self._files.get(contig, []):
            found += [site for _, site in file.sites(contig, number * TILE, (number + 1) * TILE)]
        return sorted(found, key=lambda site: site.start)

    def haplotype(self, stretch: Stretch, start: int, length: int, person: int, copy: int) -> str:
        """First `length` nucleotides of a haplotype from `start` on; fewer where the stretch holds no more.

        `person` is a position in `names`, `copy` 0 or 1; a person who has a single copy there (`1` instead of `0|1`)
        lends it to both. A REF that is not the genome's is a `UserError`; one where the genome has an N is left out.
        """
        slack = SLACK
        while True:
            reach = min(start + length + slack, stretch.end)
            sites = [site for site in self._sites(stretch.contig, start, reach) if site.end <= stretch.end]
            end = max([reach, *(site.end for site in sites)])
            letters = stretch.genome.letters(stretch.contig, start, end)
            check = ReferenceCheck(stretch.genome, "--vcf")
            sites = [
                site
                for site in sites
                if check(stretch.contig, site.start + 1, site.ref, letters[site.start - start : site.end - start])
            ]
            check.finish()
            calls = np.array([site.alleles[person, copy] if copy < site.alleles.shape[1] else -2 for site in sites])
            if (calls == -2).all():
                calls = np.array([site.alleles[person, 0] for site in sites])
            placed = [(site.start - start, site.ref, site.alts) for site in sites]
            text = consensus(normalise(letters), placed, np.maximum(calls, 0), Counter())
            # Behind `reach` variants were not asked for: what stands there is not used.
            if len(text) - (end - reach) >= length or reach == stretch.end:
                return text[:length]
            slack *= 4

    def draw(self, stretch: Stretch, start: int, length: int, generator: np.random.Generator) -> str:
        """`haplotype` of any of the people, either copy."""
        person, copy = int(generator.integers(len(self.names))), int(generator.integers(PLOIDY))
        return self.haplotype(stretch, start, length, person, copy)

    def _sites(self, contig: str, start: int, end: int) -> Iterator[Site]:
        name = canonical_contig(contig)
        for number in range(start // TILE, (end - 1) // TILE + 1):
            for site in self._tile(name, number):
                if start <= site.start < end:
                    yield site


def choose_people(vcfs: Sequence[Path], panel: Path, count: int, seed: int) -> list[str]:
    """`count` people of each superpopulation, drawn among those of the panel who are in every VCF; sorted.

    The panel is a table with a header: a column `sample` (or `SampleID`) and one `super_pop` (or `Superpopulation`).
    """
    table = read_people(panel)
    person, group = column(table, ("sample", "sampleid")), label_column(table, "super_pop")
    if person is None or group is None:
        raise UserError(f"{panel}: needs the columns sample and super_pop (it has {', '.join(table.columns)}).")
    called = set.intersection(*(set(open_vcf(path).samples) for path in vcfs))
    table = table[table[person].isin(called)].drop_duplicates(person)
    generator = np.random.default_rng([seed, PEOPLE_SEED])
    chosen: list[str] = []
    for name, rows in table.groupby(group):
        if len(rows) < count:
            raise UserError(
                f"--people-per-superpopulation {count}: {panel.name} has {len(rows)} people of {name} who are in every "
                "--vcf; lower it."
            )
        chosen += generator.choice(sorted(rows[person]), count, replace=False).tolist()
    if not chosen:
        raise UserError(f"{panel}: none of its people is in every --vcf; is it the panel of these files?")
    return sorted(chosen)
