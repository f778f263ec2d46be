"""Simulated people: haplotypes under a published human demography, with indels, and families of known pedigree."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foundationless.data.simulate_genome import read_contig, seeded, staged, substitute, write_vcf
from foundationless.errors import UserError

DEMOGRAPHY = "AmericanAdmixture_4B18"  # Browning et al. 2018, doi:10.1371/journal.pgen.1007385

SUPERPOPULATIONS = {"AFR": "AFR", "EUR": "EUR", "ASIA": "EAS", "ADMIX": "AMR"}  # of the demography's populations
INDEL_FRACTION = 0.08  # of the variant sites
RECOMBINATION = 1e-8  # crossovers per base and meiosis, the human mean
CHILDREN_SEED = 2**32 - 5  # beside the seed: with children or without, everything else is drawn alike
CPG_MUTABILITY = 12.0  # relative to other bases; makes recurrent, hence multi-allelic, sites

Sites = list[tuple[int, np.ndarray]]  # offset in the window, and the haplotypes' alleles there
Couples = list[tuple[int, int]]  # father and mother of each child


def _haplotypes(window: str, people: int, seed: int) -> tuple[list[str], Sites]:
    """Populations of the people, and (offset, allele indices [2 * people], 0 = ancestral) of each polymorphic site."""
    import msprime
    import stdpopsim

    species = stdpopsim.get_species("HomSap")
    model = species.get_demographic_model(DEMOGRAPHY)
    region = species.get_contig(length=len(window), mutation_rate=model.mutation_rate)
    samples = dict.fromkeys(SUPERPOPULATIONS, people)
    tree_sequence = stdpopsim.get_engine("msprime").simulate(model, region, samples, seed=seed)
    is_cpg = np.array([window[max(i - 1, 0) : i + 1] == "CG" or window[i : i + 2] == "CG" for i in range(len(window))])
    rates = np.where(is_cpg, CPG_MUTABILITY, 1.0)
    mutated = msprime.sim_mutations(
        tree_sequence,
        rate=msprime.RateMap(position=np.arange(len(window) + 1), rate=rates * model.mutation_rate / rates.mean()),
        model=msprime.InfiniteAlleles(),
        random_seed=seed,
        keep=False,
    )
    people_nodes = [node for person in mutated.individuals() for node in person.nodes]
    populations = [mutated.population(mutated.node(node).population).metadata["name"] for node in people_nodes[::2]]
    order = {node: column for column, node in enumerate(mutated.samples().tolist())}
    columns = [order[node] for node in people_nodes]
    sites = []
    for variant in mutated.variants():
        seen, alleles = np.unique(np.append(0, variant.genotypes[columns]), return_inverse=True)
        if 2 <= len(seen) <= 4 and len(np.unique(alleles[1:])) > 1:
            sites.append((int(variant.site.position), alleles[1:]))
    return populations, sites


def _indel(rng: np.random.Generator, window: str, offset: int, limit: int) -> tuple[str, str] | None:
    """REF and ALT of a left-aligned insertion or deletion anchored at `offset`, its REF ending before `limit`."""
    anchor, size = window[offset], int(min(rng.geometric(0.4), 8))
    if rng.random() < 0.5:
        inserted = "".join("ACGT"[code] for code in rng.integers(4, size=size))
        return None if inserted[-1] == anchor else (anchor, anchor + inserted)
    deleted = window[offset + 1 : offset + 1 + size]
    fits = len(deleted) == size and offset + size < limit
    return (anchor + deleted, anchor) if fits and deleted[-1] != anchor else None


def _couples(populations: Sequence[str], children: int) -> Couples:
    """Father and mother (numbers of people) of every child: `children` of each population, couples taken in turn."""
    parents = []
    for population in dict.fromkeys(populations):
        members = [number for number, name in enumerate(populations) if name == population]
        couples = list(zip(members[0::2], members[1::2], strict=False))
        parents += [couples[number % len(couples)] for number in range(children)]
    return parents


def _gamete(rng: np.random.Generator, calls: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
    """What a parent hands on [sites] of its two haplotypes `calls` [sites, 2]: one, exchanged at crossovers."""
    crossovers = np.sort(rng.uniform(0, length, rng.poisson(RECOMBINATION * length)))
    copy = (rng.integers(2) + np.searchsorted(crossovers, offsets, side="right")) % 2
    handed: np.ndarray = calls[np.arange(len(calls)), copy]
    return handed


def _with_children(rng: np.random.Generator, sites: Sites, parents: Couples, length: int) -> Sites:
    """The sites with the children's alleles behind the others', the father's haplotype first."""
    offsets = np.array([offset for offset, _ in sites])
    calls = np.stack([alleles for _, alleles in sites]).reshape(len(sites), -1, 2)
    gametes = [_gamete(rng, calls[:, parent], offsets, length) for couple in parents for parent in couple]
    added = np.array(gametes, dtype=calls.dtype).reshape(-1, len(sites)).T
    return [(offset, np.append(alleles, row)) for (offset, alleles), row in zip(sites, added, strict=True)]


def simulate_population(
    genome: Path, contig: str, start: int, length: int, people: int, seed: int, directory: Path, children: int = 0
) -> None:
    """Write population.vcf.gz(.tbi), panel.tsv and pedigree.tsv: phased people of four superpopulations on a window.

    The genealogy comes from stdpopsim's human demography `AmericanAdmixture_4B18` with its mutation rate and the
    human mean recombination rate; the ancestral base of a site is the genome's base (REF). Bases in CpG mutate more
    often, most changes are transitions, and a few per cent of the biallelic sites are small left-aligned indels.

    Args:
        genome: FASTA that holds `contig`.
        start: first base of the window, 0-based.
        length: of the window in bp; it may hold no N.
        people: unrelated diploid people per population.
        directory: where the files are written.
        children: children per population besides them, by Mendelian transmission from couples of them; couples take
            turns, so more children than couples are siblings. The pedigree is in the format of the 1000 Genomes
            Project's 3,202 people: sampleID, fatherID, motherID, sex (1 male, 2 female), 0 where unknown.
    """
    rng = seeded(seed)
    if people < 1 or length < 1 or start < 0:
        given = f"--people-per-population {people} --start {start} --length {length}"
        raise UserError(f"{given}: people and length are 1 or more, start is 0 or more.")
    if children < 0 or (children and people < 2):
        raise UserError(f"--children-per-population {children}: 0 or more, and of couples of two or more people.")
    _, bases = read_contig(genome, contig)
    window = bases[start : start + length]
    if len(window) < length:
        raise UserError(f"{genome}: {contig} ends at {len(bases):,}, before {start + length:,}; shift the window.")
    if odd := re.search("[^ACGT]", window):
        where = f"{contig}:{start + odd.start() + 1}"
        raise UserError(f"{genome}: '{odd.group()}' at {where}; choose a window of A, C, G and T only.")
    populations, sites = _haplotypes(window, people, int(rng.integers(1, 2**31)))
    if not sites:
        raise UserError(f"--length {length}: no site of the window came to vary; choose a longer window.")
    parents = _couples(populations, children)
    populations = populations + [populations[father] for father, _ in parents]
    sites = _with_children(np.random.default_rng([seed, CHILDREN_SEED]), sites, parents, length)
    names = [f"SIM{number:05d}" for number in range(1, len(populations) + 1)]
    lines = [
        "##fileformat=VCFv4.2",
        f"##source=stdpopsim HomSap {DEMOGRAPHY}",
        f"##contig=<ID={contig},length={len(bases)}>",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">',
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Number of alleles">',
        '##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]),
    ]
    ends = [offset for offset, _ in sites[1:]] + [length]
    for (offset, alleles), limit in zip(sites, ends, strict=True):
        reference, alternatives = _alleles(rng, window, offset, limit, int(alleles.max()))
        lines.append(_record(contig, start + offset + 1, reference, alternatives, alleles))
    panel, pedigree = _tables_of_people(rng, names, populations, parents)
    with staged(directory) as stage:
        (stage / "panel.tsv").write_text("\n".join(panel) + "\n")
        (stage / "pedigree.tsv").write_text("\n".join(pedigree) + "\n")
        write_vcf(stage / "population.vcf.gz", lines)


def _alleles(rng: np.random.Generator, window: str, offset: int, limit: int, count: int) -> tuple[str, list[str]]:
    """REF and `count` ALT alleles at a site of the window, mostly substitutions."""
    reference = window[offset]
    alternatives: list[str] = []
    is_cpg = "CG" in (window[max(offset - 1, 0) : offset + 1], window[offset : offset + 2])
    while len(alternatives) < count:
        base = substitute(rng, reference, 0.9 if is_cpg else 0.6)
        alternatives += [base] if base not in alternatives else []
    if len(alternatives) == 1 and rng.random() < INDEL_FRACTION and (indel := _indel(rng, window, offset, limit)):
        return indel[0], [indel[1]]
    return reference, alternatives


def _record(contig: str, position: int, reference: str, alternatives: Sequence[str], alleles: np.ndarray) -> str:
    """Line of the VCF of a site; `alleles` [2 * people] are the haplotypes' alleles, 0 = REF."""
    counts = [int((alleles == index + 1).sum()) for index in range(len(alternatives))]
    frequencies = ",".join(f"{count / len(alleles):.6g}" for count in counts)
    info = f"AC={','.join(map(str, counts))};AN={len(alleles)};AF={frequencies}"
    genotypes = [f"{left}|{right}" for left, right in alleles.reshape(-1, 2).tolist()]
    columns = [contig, str(position), ".", reference, ",".join(alternatives), ".", "PASS", info, "GT"]
    return "\t".join(columns + genotypes)


def _tables_of_people(
    rng: np.random.Generator, names: Sequence[str], populations: Sequence[str], parents: Couples
) -> tuple[list[str], list[str]]:
    """Lines of the panel and of the pedigree; the last people are the children, and parents have their sex."""
    panel = ["sample\tpop\tsuper_pop\tgender"]
    pedigree = ["sampleID\tfatherID\tmotherID\tsex"]
    fathers, mothers = ({couple[role] for couple in parents} for role in (0, 1))
    known = [("0", "0")] * (len(names) - len(parents)) + [(names[father], names[mother]) for father, mother in parents]
    for number, (name, population) in enumerate(zip(names, populations, strict=True)):
        male = bool(rng.integers(2))
        male = (male or number in fathers) and number not in mothers
        panel.append(f"{name}\t{population}\t{SUPERPOPULATIONS[population]}\t{'male' if male else 'female'}")
        pedigree.append("\t".join([name, *known[number], "1" if male else "2"]))
    return panel, pedigree
