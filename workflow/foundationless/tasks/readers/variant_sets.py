"""`clinical`, `sge` and `tp53_missense`: variants with REF windows and benign or pathogenic labels."""

import re
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.tables import read_text_table
from foundationless.data.reference import Genome
from foundationless.data.variant_kinds.windows import allele_windows
from foundationless.data.variants import TP53_CODING_EXONS, clinical_variants, missense_snvs, variant_windows
from foundationless.errors import UserError
from foundationless.runtime.log import tell

CODING = (
    "synonymous_variant",
    "missense_variant",
    "nonsense",
    "stop_gained",
    "stop_lost",
    "stop_retained_variant",
    "start_lost",
    "initiator_codon_variant",
    "initiatior_codon_variant",  # so ClinVar spelt it for years
)
"""Consequences of SNVs that lie in a coding sequence, as ClinVar's MC names them."""

SEVERITY = (
    "splice_acceptor_variant",
    "splice_donor_variant",
    "nonsense",
    "stop_gained",
    "frameshift_variant",
    "stop_lost",
    "start_lost",
    "initiator_codon_variant",
    "initiatior_codon_variant",
    "inframe_insertion",
    "inframe_deletion",
    "inframe_indel",
    "missense_variant",
    "stop_retained_variant",
    "synonymous_variant",
    "5_prime_UTR_variant",
    "3_prime_UTR_variant",
    "non-coding_transcript_variant",
    "intron_variant",
    "genic_upstream_transcript_variant",
    "genic_downstream_transcript_variant",
)
"""Consequences as ClinVar's MC names them, the most severe first: the order in which Ensembl's VEP has them."""

SGE_LABELS = {"FUNC": "benign", "LOF": "pathogenic", "INT": None}
"""Functional classes of Findlay et al. 2018 (Nature 562, 217) and the labels they stand for."""


SGE_COLUMNS = {"phylop": "phyloP (mammalian)", "cadd": "CADD.score", "protein": "protein_variant"}
"""Columns of a set of variants that baselines read, and those of the table that hold them."""

_SGE_SOURCES = (*SGE_COLUMNS.values(), "transcript_variant", "experiment")
_INTRONIC = re.compile(r"c\.[-*]?\d+[+-](\d+)")  # c.134+3A>G: three bases from the exon, in the intron


def read_clinical(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """Variants of a ClinVar-style VCF, SNVs unless `kinds` says more; see `variants.clinical_variants`.

    With the option `consequence` the most severe term of MC becomes a column, and alone decides what is kept.
    """
    snvs = options["kinds"] == ["snv"]
    plain = snvs and not options["consequence"]
    wanted = set(options["consequences"])
    wanted |= set(CODING) if "coding" in wanted else set()

    def keep(label: object, terms: set[str]) -> bool:  # of a frame no label is NaN
        told = {_most_severe(terms)} if options["consequence"] else terms
        return (options["unlabelled"] or isinstance(label, str)) and (not wanted or bool(told & wanted))

    early = None if plain or options["genes"] else keep  # of a whole release few are wanted
    frame, counts = clinical_variants(sources["vcf"], options["score"] or None, options["genes"], snvs, early)
    tell(", ".join(f"{count} {name}" for name, count in counts.items()))
    if absent := [gene for gene in options["genes"] if gene not in set(frame["gene"])]:
        raise UserError(f"{sources['vcf'].name}: no variant lies in gene '{absent[0]}' (GENEINFO).")
    if wanted or not options["unlabelled"]:
        frame = frame[[keep(*pair) for pair in zip(frame["label"], frame["consequences"], strict=True)]]
    if options["consequence"]:
        frame = frame.assign(consequence=frame["consequences"].map(_most_severe))
    genome, length, where = Genome(sources["genome"]), options["length"], sources["vcf"].name
    if plain:
        return variant_windows(frame, genome, length, where)
    frame = frame.drop(columns="consequences")
    return allele_windows(frame, genome, length, where, options["kinds"], options["longest"])


def _most_severe(terms: set[str]) -> str:
    """The term that is first in `SEVERITY`; of others the first by the alphabet, and `none` of none."""
    known = [term for term in SEVERITY if term in terms]
    return (known + sorted(terms) + ["none"])[0]


def read_sge_table(path: Path, offset: int, *further: str) -> pd.DataFrame:
    """SNVs of the BRCA1 saturation genome editing table, as `variant_windows` takes them; position is hg19 + `offset`.

    The header is the third row of the first sheet; reference and alt are given on the plus strand. Columns that are
    named `further` stand beside, as text.
    """
    import openpyxl

    try:
        with path.open("rb") as stream:
            sheet = openpyxl.load_workbook(stream, read_only=True).worksheets[0]
            rows = list(sheet.iter_rows(min_row=3, values_only=True))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as a workbook ({error}); download it again.") from None
    names = ["gene", "chromosome", "position (hg19)", "reference", "alt", "func.class", "function.score.mean"]
    names += further
    header = list(rows[0]) if rows else []
    if absent := [name for name in names if name not in header]:
        raise UserError(f"{path}: row 3 of its first sheet has no column '{absent[0]}'; the SGE table is needed.")
    table = pd.DataFrame(rows[1:], columns=header)[names].dropna(subset=["chromosome", "position (hg19)"])
    if odd := sorted(set(table["func.class"].astype(str)) - set(SGE_LABELS)):
        raise UserError(f"{path}: func.class '{odd[0]}' is not known; it is {', '.join(SGE_LABELS)}.")
    for name in ("reference", "alt"):
        if odd := sorted(set(table[name].astype(str)) - set("ACGT")):
            raise UserError(f"{path}: {name} '{odd[0]}' is no single base; it is A, C, G or T.")
    try:
        numbers = table[["chromosome", "position (hg19)"]].astype(int)
        score = table["function.score.mean"].astype(float)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: a chromosome, position or function score is no number ({error}).") from None
    return pd.DataFrame(
        {
            "contig": numbers["chromosome"].astype(str),
            "position": numbers["position (hg19)"] + offset,
            "ref": table["reference"],
            "alt": table["alt"],
            "gene": table["gene"],
            "label": table["func.class"].map(SGE_LABELS).astype(object),
            "score": score,
        }
        | {name: table[name].astype(str) for name in further}
    )


def read_sge(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """BRCA1 SNVs with their function score (lower: less functional), and of `columns` what the table says besides."""
    columns = options["columns"]
    if odd := [name for name in columns if name not in (*SGE_COLUMNS, "splice_distance")]:
        raise UserError(f"option columns: '{odd[0]}' is none of {', '.join(SGE_COLUMNS)}, splice_distance.")
    frame = read_sge_table(sources["table"], options["offset"], *(_SGE_SOURCES if columns else ()))
    if columns:
        frame["splice_distance"] = splice_distances(frame)
        frame = frame.rename(columns={source: name for name, source in SGE_COLUMNS.items()})
    if not options["unlabelled"]:
        frame = frame[frame["label"].notna()]
    variants = variant_windows(frame, Genome(sources["genome"]), options["length"], sources["table"].name)
    if not columns:
        return variants
    keys = ["position", "ref", "alt"]
    told = frame[[*keys, *columns]].drop_duplicates(keys).replace("NA", None)
    numbers = [name for name in columns if name != "protein"]
    told[numbers] = told[numbers].apply(pd.to_numeric, errors="coerce")
    return variants.merge(told, on=keys, how="left", validate="one_to_one")


def splice_distances(frame: pd.DataFrame) -> pd.Series:
    """Bases from the nearest splice site (1: beside it) of SNVs of an SGE table with its `transcript_variant` and
    `experiment`: of one in an intron as its name says, of others as far as the nearest such one of the same exon."""
    named = frame["transcript_variant"].str.extract(_INTRONIC, expand=False).astype(float)
    distances = named.copy()
    for _, exon in frame.groupby("experiment"):
        inside = exon.index[named[exon.index].isna()]
        introns = exon.loc[named[exon.index].notna(), "position"].to_numpy()
        if len(introns):
            places = exon.loc[inside, "position"].to_numpy()
            distances[inside] = abs(places[:, None] - introns).min(axis=1)
    return distances


def read_tp53_missense(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """TP53 SNVs of a table of protein changes, where exactly one SNV makes the change; adds `protein` (R175H)."""
    table = read_text_table(sources["table"], ["mutation", "label"])
    genome = Genome(sources["genome"])
    _, changes = missense_snvs(genome, "chr17", TP53_CODING_EXONS)
    unique = table["mutation"].map(lambda change: len(changes.get(change, [])) == 1)
    tell(f"{int(unique.sum())} of {len(table)} protein changes are made by exactly one SNV; the others are left out")
    table = table[unique]
    snvs = [changes[change][0] for change in table["mutation"]]
    frame = pd.DataFrame(snvs, columns=["position", "ref", "alt"])
    frame = frame.assign(contig="chr17", gene="TP53", label=list(table["label"]), score=float("nan"))
    proteins = dict(zip(map(tuple, snvs), table["mutation"], strict=True))
    result = variant_windows(frame, genome, options["length"], sources["table"].name)
    keys = zip(result["position"], result["ref"], result["alt"], strict=True)
    return result.assign(protein=[proteins[key] for key in keys])
