"""Variants: reading VCF, people's haplotypes as sequences, and REF/ALT windows with clinical labels.

Positions are 1-based as in VCF; REF is always checked against the genome, and a mismatch is a `UserError` that names
the first: it nearly always means another build.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cyvcf2
import numpy as np
import pandas as pd

from foundationless.data.dna import BASES, reverse_complement
from foundationless.data.files.text import lacks_bgzf_end
from foundationless.data.reference import Genome, canonical_contig, normalise, resolve_contig
from foundationless.errors import UserError
from foundationless.runtime.log import tell

_ALLELE = re.compile("[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+")
_TO_ACGTN = str.maketrans("RYSWKMBDHVU", "NNNNNNNNNNT")

TP53_CODING_EXONS = (
    (7676521, 7676594),
    (7676382, 7676403),
    (7675994, 7676272),
    (7675053, 7675236),
    (7674859, 7674971),
    (7674181, 7674290),
    (7673701, 7673837),
    (7673535, 7673608),
    (7670609, 7670715),
    (7669609, 7669690),
)
"""Coding parts of the exons of NM_000546.6 (ENST00000269305) on GRCh38 chr17, minus strand, in order of translation,
1-based with both ends included; they are 1,182 bases: the 393 residues of p53 (UniProt P04637) and a stop."""

_RESIDUES = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODONS = dict(zip(map("".join, product("TCAG", repeat=3)), _RESIDUES, strict=True))
"""Standard genetic code (NCBI translation table 1)."""


class Snv(NamedTuple):
    """A single-nucleotide variant on the plus strand; `position` is 1-based."""

    position: int
    ref: str
    alt: str


def clinical_label(significance: str) -> str | None:
    """benign, pathogenic or None for a CLNSIG value (paper, Table 5).

    Benign, Likely_benign and Benign/Likely_benign are benign, pathogenic likewise; `,_low_penetrance` and case are
    ignored; every other term, also as a part (`|risk_factor`), gives None.
    """
    terms = set(significance.lower().replace(",_low_penetrance", "").split("/"))
    for label in ("benign", "pathogenic"):
        if terms <= {label, f"likely_{label}"}:
            return label
    return None


def _check_whole(path: Path) -> None:
    """`UserError` for a missing, empty or truncated file; htslib alone reads a truncated one as a shorter one."""
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    damaged = f"{path}: the compressed file is truncated or damaged; download it again."
    with path.open("rb") as stream:
        head = stream.read(18)
        if not head:
            raise UserError(f"{path}: the file is empty; a VCF is needed.")
        if head[:2] != b"\x1f\x8b":
            return
    if head[12:14] == b"BC":
        if lacks_bgzf_end(path):
            raise UserError(damaged)
        return
    try:
        with gzip.open(path) as unzipped:
            while unzipped.read(1 << 20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(damaged) from None


def open_vcf(path: Path, samples: Sequence[str] | None = None) -> cyvcf2.VCF:
    """Open a VCF or BCF, restricted to `samples` in file order; `UserError` where it is not whole or none at all."""
    _check_whole(path)
    try:
        return cyvcf2.VCF(str(path), gts012=False, samples=None if samples is None else list(samples))
    except Exception as error:  # cyvcf2 raises bare Exception for a file without a VCF header
        raise UserError(f"{path}: not a VCF ({' '.join(str(error).split()) or 'no header'}).") from None


def records(
    vcf: cyvcf2.VCF, path: Path, contig: str | None = None, start: int = 0, end: int | None = None
) -> Iterator[Any]:
    """Yield the records of a VCF, or those that start on [start, end) of `contig` (0-based); naming is reconciled.

    An index (`.tbi`, `.csi`) is used where it is there; without one the file is read through. Records must be sorted
    by position within a contig.
    """
    indexed = any(path.with_name(path.name + suffix).is_file() for suffix in (".tbi", ".csi"))
    try:
        if contig is not None and indexed:
            name = resolve_contig(contig, vcf.seqnames, path.name)
            source: Iterable[Any] = vcf(f"{name}:{start + 1}-{end}" if end is not None else f"{name}:{start + 1}-")
        else:
            source = vcf
        latest: dict[str, int] = {}
        for record in source:
            if latest.get(record.CHROM, 0) > record.POS:
                raise UserError(
                    f"{path.name}: {record.CHROM}:{record.POS} comes after position {latest[record.CHROM]}; "
                    "sort the file (bcftools sort)."
                )
            latest[record.CHROM] = record.POS
            inside = record.start >= start and (end is None or record.start < end)
            if contig is None or (inside and canonical_contig(record.CHROM) == canonical_contig(contig)):
                yield record
        if contig is not None and not indexed:
            resolve_contig(contig, latest, path.name)
    except UserError:
        raise
    except Exception as error:  # cyvcf2 raises bare Exception for what htslib cannot parse
        raise UserError(f"{path}: cannot be read as VCF ({' '.join(str(error).split())}).") from None


@dataclass
class ReferenceCheck:
    """Compares REF alleles with a genome and collects the mismatches.

    An N of REF matches every base, and an ambiguity letter of the genome those that it stands for: the VCF has one of
    them there. A base of REF where the genome has an N, or nothing, is compared with nothing.
    """

    genome: Genome
    where: str
    checked: int = 0
    mismatches: int = 0
    unknown: int = 0
    first: str = ""

    def __call__(self, contig: str, position: int, ref: str, found: str) -> bool:
        """True where REF agrees with `found`, the genome's `letters` at the same place, and is known there."""
        self.checked += 1
        letters = found.upper().replace("U", "T")
        agrees = len(ref) == len(letters) and all(
            a == b or "N" in (a, b) or a in BASES.get(b, "") for a, b in zip(ref, letters, strict=True)
        )
        if not agrees:
            self.mismatches += 1
            self.first = self.first or (
                f"{contig}:{position} has REF {ref[:20]}, {self.genome.path.name} has {letters[:20]}"
            )
        elif any(b == "N" != a for a, b in zip(ref, letters, strict=True)):
            self.unknown += 1
            return False
        return agrees

    def finish(self, share: float = 0.0) -> None:
        """`UserError` if more than this share of the REF alleles disagreed."""
        if self.mismatches > share * self.checked:
            raise UserError(
                f"{self.where}: {self.first}; {self.mismatches} of {self.checked} REF alleles disagree with the "
                "genome: use the build that the variants were called on."
            )


def reference_allele(record: Any) -> str:
    """REF of a record in A, C, G, T, N."""
    return str(record.REF).upper().translate(_TO_ACGTN)


def alternatives(record: Any) -> tuple[str | None, ...]:
    """ALT alleles of a record in A, C, G, T, N; None for the symbolic ones (`<DEL>`, `*`, breakends)."""
    return tuple(alt.upper().translate(_TO_ACGTN) if alt and _ALLELE.fullmatch(alt) else None for alt in record.ALT)


def genotypes(record: Any, path: Path, names: Sequence[str], require_phase: bool = True) -> np.ndarray:
    """Allele numbers of a record, int16 [samples, ploidy]: 0 is REF, -1 missing, -2 no such copy.

    `UserError` for a record without genotypes, an allele that it does not list, and, with `require_phase`, an unphased
    heterozygote (`names` are the samples).
    """
    where = f"{path.name}: {record.CHROM}:{record.POS}"
    if "GT" not in record.FORMAT:
        raise UserError(f"{where} has no genotypes (GT); they are needed.")
    calls: np.ndarray = record.genotype.array()
    alleles = calls[:, :-1]
    if alleles.max(initial=0) > len(record.ALT):
        raise UserError(
            f"{where} has a genotype with allele {alleles.max()} and only {len(record.ALT)} ALT; correct the record."
        )
    if require_phase and alleles.shape[1] > 1:
        loose = (alleles.min(axis=1) >= 0) & (alleles.min(axis=1) != alleles.max(axis=1)) & (calls[:, -1] == 0)
        if loose.any():
            raise UserError(
                f"{where} is heterozygous and not phased in sample '{names[int(loose.argmax())]}'; phase the file, or "
                "say that alleles are to be taken as written."
            )
    return alleles.astype(np.int16)


@dataclass(frozen=True)
class Haplotypes:
    """Distinct haplotype sequences of a window and who carries them.

    `index` [samples, ploidy] int32 points into `sequences`; -1: no such haplotype (a haploid call in a diploid file).
    `alleles` [samples, ploidy, records kept] int8 are the calls: 0 REF, from 1 the ALT, -1 missing, -2 no such copy.
    `counts`: `records` read, of them left out those `in unknown sequence`; alleles left out, `overlapping` (once per
    distinct allele vector) or `symbolic` (once per record); records `cut at the window's end`; alleles `missing` (taken
    as REF).
    """

    samples: list[str]
    sequences: list[str]
    index: np.ndarray
    alleles: np.ndarray
    counts: Counter[str] = field(default_factory=Counter)


def haplotypes(
    path: Path,
    genome: Genome,
    contig: str,
    start: int | None = None,
    end: int | None = None,
    samples: Sequence[str] | None = None,
    require_phase: bool = True,
) -> Haplotypes:
    """Each sample's haplotypes over [start, end) of a contig (0-based; default: all that the genome holds of it).

    Rules, those of `bcftools consensus`: alleles are applied from left to right, and one that touches bases already
    replaced is left out (first by position wins; a pure insertion or deletion of which only the anchor base was
    replaced is applied, unless what replaced it was longer than its REF). Symbolic alleles (`<DEL>`, `*`, breakends)
    and missing genotypes leave REF. A record that begins before `start` is left out; of one that ends behind `end`, REF
    and ALT are cut there. Unlike there, a record that has a base in REF where the genome has an N is left out. An
    unphased heterozygote is a `UserError`; with `require_phase=False` its alleles are taken in the order written.
    """
    contig = genome.resolve(contig)
    if start is None or end is None:
        covered = genome.coverage(contig)
        start = covered[0][0] if start is None else start
        end = covered[-1][1] if end is None else end
    letters = genome.letters(contig, start, end)
    reference = normalise(letters)
    vcf = open_vcf(path, samples)
    names = list(vcf.samples)
    if samples is not None and (absent := [sample for sample in samples if sample not in set(names)]):
        raise UserError(f"{path.name}: sample '{absent[0]}' is not in it ({len(absent)} of {len(samples)} are not).")
    if not names:
        raise UserError(f"{path.name}: has no samples; a VCF with genotypes is needed.")
    check = ReferenceCheck(genome, path.name)
    counts: Counter[str] = Counter()
    sites: list[tuple[int, str, tuple[str | None, ...]]] = []
    rows: list[np.ndarray] = []
    for record in records(vcf, path, contig, start, end):
        counts["records"] += 1
        ref, at = reference_allele(record), record.start - start
        if not check(record.CHROM, record.POS, ref[: end - record.start], letters[at : at + len(ref)]):
            continue
        counts["cut at the window's end"] += record.start + len(ref) > end
        alleles = genotypes(record, path, names, require_phase)
        alts = alternatives(record)
        counts["missing"] += int((alleles == -1).sum())
        counts["symbolic"] += sum(alt is None for alt in alts)
        sites.append((at, ref, alts))
        rows.append(alleles)
    check.finish()
    counts["in unknown sequence"] = check.unknown
    ploidy = max((row.shape[1] for row in rows), default=1)
    matrix = np.full((len(rows), len(names), ploidy), -2, dtype=np.int16)
    for number, row in enumerate(rows):
        matrix[number, :, : row.shape[1]] = row
    absent_copy = (matrix == -2).all(axis=0) if rows else np.zeros((len(names), ploidy), dtype=bool)
    vectors = np.ascontiguousarray(np.maximum(matrix, 0).reshape(len(rows), len(names) * ploidy).T)
    distinct, inverse = _distinct_rows(vectors)
    built: dict[str, int] = {}
    texts = (consensus(reference, sites, row, counts) for row in distinct)
    numbers = np.array([built.setdefault(text, len(built)) for text in texts], dtype=np.int32)
    index = numbers[inverse].reshape(len(names), ploidy)
    called = np.ascontiguousarray(np.minimum(matrix, np.iinfo(np.int8).max).astype(np.int8).transpose(1, 2, 0))
    return Haplotypes(names, list(built), np.where(absent_copy, -1, index).astype(np.int32), called, counts)


def _distinct_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in order of first appearance, and for each row the number of its distinct one."""
    seen: dict[bytes, int] = {}
    inverse = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in vectors], dtype=np.int64)
    first = np.unique(inverse, return_index=True)[1]
    return vectors[first], inverse


def _is_indel(ref: str, alt: str) -> bool:
    """True for a pure insertion or deletion behind a shared first base, the anchor (not for `AC` to `AAAG`)."""
    short, long = sorted((ref, alt), key=len)
    shared = next((at for at, base in enumerate(short) if base != long[at]), len(short))
    return len(short) < len(long) and shared > 0 and long.endswith(short[shared:])


def consensus(
    reference: str, sites: list[tuple[int, str, tuple[str | None, ...]]], alleles: np.ndarray, counts: Counter[str]
) -> str:
    """One haplotype by the rules of `haplotypes`: `reference` with the chosen ALT alleles in place.

    `sites` are (offset in `reference`, REF, ALTs) in ascending order, `alleles` [sites] the allele chosen at each. A
    REF that reaches beyond `reference` is cut there, and its ALT to the same length.
    """
    pieces, done, after_insertion = [], 0, False
    for number in np.flatnonzero(alleles):
        at, ref, alts = sites[number]
        alt = alts[alleles[number] - 1]
        if alt is None:
            continue
        anchor = 1 if _is_indel(ref, alt) else 0
        if (room := len(reference) - at) < len(ref):
            ref, alt = ref[:room], alt[:room]
        if at + anchor < done or (after_insertion and at < done):
            counts["overlapping"] += 1
            continue
        pieces += [reference[done : at + anchor], alt[anchor:]]
        done, after_insertion = at + len(ref), len(alt) > len(ref)
    pieces.append(reference[done:])
    return "".join(pieces)


def window(genome: Genome, contig: str, position: int, length: int) -> tuple[str, int]:
    """`length` bases around a 1-based position, and the 0-based index of the position in them: `length // 2`."""
    offset = length // 2
    start = position - 1 - offset
    return genome.fetch(contig, start, start + length), offset


def known_places(frame: pd.DataFrame, genome: Genome, where: str, mismatches: float = 0.0) -> pd.DataFrame:
    """The variants (`contig`, `position`, `ref`, …) on contigs and at bases that the genome knows, by its own names.

    The others are left out and counted; a REF that is not the genome's is a `UserError`, unless at most the share
    `mismatches` are so: those are left out and counted too.
    """
    check = ReferenceCheck(genome, where)
    names = {contig: genome.find(contig) for contig in frame["contig"].unique()}
    if not any(names.values()):
        genome.resolve(frame["contig"].iloc[0])
    places = frame.assign(contig=frame["contig"].map(names)).dropna(subset="contig")
    agree = [
        check(contig, position, ref, genome.letters(contig, position - 1, position - 1 + len(ref)))
        for contig, position, ref in zip(places["contig"], places["position"], places["ref"], strict=True)
    ]
    check.finish(mismatches)
    if lost := len(frame) - sum(agree):
        absent = sorted(contig for contig, name in names.items() if name is None)
        text = f"{len(frame) - len(agree)} of {len(frame)} variants are on contigs that {genome.path.name} lacks"
        text += f" ({', '.join(absent[:5])}{' …' * (len(absent) > 5)})" * bool(absent)
        text += f", {check.unknown} at bases that it does not know"
        text += f", {check.mismatches} have a REF that is not its ({check.first})" * bool(check.mismatches)
        if lost == len(frame):
            raise UserError(f"{where}: {text}; no variant is left.")
        tell(f"{where}: {text}: left out")
    return places[agree].reset_index(drop=True)


def variant_windows(frame: pd.DataFrame, genome: Genome, length: int, where: str) -> pd.DataFrame:
    """Turn single-nucleotide variants into a variant set (see `tasks.sequence_sets`).

    `frame` has `contig`, `position` (1-based), `ref`, `alt`, `gene`, `label` (or null), `score`. Adds `id`
    (CONTIG:POSITION:REF:ALT), `sequence` (the REF window of `length` bases), `offset`, `split` (test), `group` (gene).
    A variant that stands there twice with one label is kept once; with two labels it is a `UserError`, as is any REF
    that is not the genome's. Variants on contigs that the genome lacks, and at bases that it does not know, are left
    out and counted.
    """
    if frame.empty:
        raise UserError(f"{where}: no single-nucleotide variants are left; check the filters.")
    frame = known_places(frame, genome, where)
    offset = length // 2
    sequences = [window(genome, *place, length)[0] for place in zip(frame["contig"], frame["position"], strict=True)]
    keys = frame["contig"] + ":" + frame["position"].astype(str) + ":" + frame["ref"] + ":" + frame["alt"]
    frame = frame.assign(id=keys, sequence=sequences, offset=offset, split="test", group=frame["gene"])
    labels = frame.assign(label=frame["label"].fillna("")).groupby("id")["label"].nunique()
    if (labels > 1).any():
        raise UserError(f"{where}: variant {labels[labels > 1].index[0]} stands there with two labels; remove one.")
    columns = ["id", "sequence", "label", "split", "group"]
    columns += ["contig", "position", "offset", "ref", "alt", "gene", "score"]
    return frame.drop_duplicates("id")[columns].reset_index(drop=True)


def clinical_variants(
    path: Path,
    score: str | None = None,
    genes: Collection[str] = (),
    snvs: bool = True,
    keep: Callable[[str | None, set[str]], bool] | None = None,
) -> tuple[pd.DataFrame, Counter[str]]:
    """SNVs of a ClinVar-style VCF (contig, position, ref, alt, gene, label, score, consequences) and what was left out;
    without `snvs` its variants of every kind, alleles as they stand there. Records of which `keep(label, consequences)`
    is false are passed over, as those of a whole release that a set has no use for.

    `label` is `clinical_label` of CLNSIG; `gene` is the first symbol of GENEINFO, among `genes` where these are given
    (other records are passed over: a whole archive release has millions); `consequences` is the set of terms of MC
    (`SO:0001583|missense_variant` gives `missense_variant`); `score` is that INFO field, of an allele its own
    (`allele_scores`), and a `UserError` where no variant has it.
    """
    rows: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    vcf = open_vcf(path)
    number = number_of(vcf, score) if score else ""
    for record in records(vcf, path):
        counts["records"] += 1
        symbols = [item.split(":")[0] for item in str(record.INFO.get("GENEINFO") or "").split("|")]
        gene = next((symbol for symbol in symbols if symbol in genes), None) if genes else symbols[0] or record.CHROM
        if gene is None:
            counts["in other genes"] += 1
            continue
        terms = {term.split("|")[-1] for term in str(record.INFO.get("MC") or "").split(",") if term}
        label = clinical_label(str(record.INFO.get("CLNSIG") or ""))
        if keep is not None and not keep(label, terms):
            counts["without a wanted label or consequence"] += 1
            continue
        single = [not snvs or (len(record.REF) == 1 and len(alt) == 1 and alt in "ACGTacgt") for alt in record.ALT]
        if snvs:
            counts["not an SNV"] += single.count(False)
        scores = [float("nan")] * len(single)
        if score and any(single):
            scores = allele_scores(record, score, number, path.name)
        for alt, value in ((alt, value) for alt, value, one in zip(record.ALT, scores, single, strict=True) if one):
            rows.append(
                {
                    "contig": record.CHROM,
                    "position": record.POS,
                    "ref": record.REF.upper(),
                    "alt": alt.upper(),
                    "gene": gene,
                    "label": label,
                    "score": value,
                    "consequences": terms,
                }
            )
    if not rows:
        within = f" in {', '.join(genes)} (GENEINFO)" if genes else ""
        raise UserError(f"{path.name}: holds no {'single-nucleotide ' * snvs}variants{within}.")
    frame = pd.DataFrame(rows)
    if score and frame["score"].isna().all():
        raise UserError(f"{path.name}: none of its {len(frame)} variants has the INFO field {score}; name another.")
    return frame, counts


def number_of(vcf: cyvcf2.VCF, field: str) -> str:
    """`Number` of an INFO field in the header of a VCF (`A`: one for each ALT); empty where it is not there."""
    try:
        return str(vcf.get_header_type(field).get("Number", "")).strip('"')
    except KeyError:
        return ""


def allele_scores(record: Any, field: str, number: str, where: str) -> list[float]:
    """The INFO field of a record as a number for each ALT; NaN where it is missing.

    With `Number` A or R each allele has its own; a single number is that of all. Several of which nothing says whose
    they are, and what is no finite number, are a `UserError`.
    """
    value = record.INFO.get(field)
    cells = value.split(",") if isinstance(value, str) else value if isinstance(value, tuple) else (value,)
    place = f"{where}: {record.CHROM}:{record.POS}: INFO field {field}"
    own = {"A": len(record.ALT), "R": len(record.ALT) + 1}.get(number, 1)
    if value is None or (len(cells) == 1 and cells[0] in (None, ".")):
        return [float("nan")] * len(record.ALT)
    if number == "0":
        raise UserError(f"{place} is a flag and no number; name a field of numbers.")
    if len(cells) != own:
        raise UserError(f"{place} has {len(cells)} values where {own} would do (Number={number or 1} of the header).")
    numbers = [_number(cell, place) for cell in cells[number == "R" :]]
    return numbers if number in ("A", "R") else numbers * len(record.ALT)


def _number(cell: Any, place: str) -> float:
    if cell is None or cell in (".", ""):
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        raise UserError(f"{place} is no number ('{str(cell)[:40]}'); name a field of numbers.") from None
    if np.isinf(value):
        raise UserError(f"{place} is not finite ('{cell}').")
    return value


def missense_snvs(genome: Genome, contig: str, exons: Sequence[tuple[int, int]]) -> tuple[str, dict[str, list[Snv]]]:
    """Protein of a gene on the minus strand, and for each amino-acid change (`R175H`) the SNVs that make it.

    `exons` are the coding parts (1-based, both ends included) in order of translation. `UserError` where they are not
    an open reading frame in this genome.
    """
    contig = genome.resolve(contig)
    coding = "".join(reverse_complement(genome.fetch(contig, low - 1, high)) for low, high in exons)
    positions = [position for low, high in exons for position in range(high, low - 1, -1)]
    codons = [coding[at : at + 3] for at in range(0, len(coding), 3)]
    protein = "".join(CODONS.get(codon, "X") for codon in codons)
    if not re.fullmatch(r"M[^*X]*\*", protein):
        raise UserError(
            f"{genome.path.name}: the exons on {contig} are no open reading frame there; a GRCh38 genome that covers "
            f"{contig}:{exons[-1][0]}-{exons[0][1]} is needed."
        )
    changes: dict[str, list[Snv]] = {}
    for number, codon in enumerate(codons):
        for place in range(3):
            for base in "ACGT":
                residue = CODONS[codon[:place] + base + codon[place + 1 :]]
                if residue not in {protein[number], "*"}:
                    snv = Snv(positions[number * 3 + place], reverse_complement(codon[place]), reverse_complement(base))
                    changes.setdefault(f"{protein[number]}{number + 1}{residue}", []).append(snv)
    return protein[:-1], changes
