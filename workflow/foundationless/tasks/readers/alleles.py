"""`alleles`: variants of any VCF with a class or numbers in INFO fields, as windows with the other allele in place."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.dna import alternative
from foundationless.data.reference import Genome
from foundationless.data.variants import (
    allele_scores,
    alternatives,
    clinical_label,
    known_places,
    number_of,
    open_vcf,
    records,
    reference_allele,
    window,
)
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks.dealing import deal
from foundationless.tasks.options import words
from foundationless.tasks.outputs.labels import known_rows, read_outputs
from foundationless.tasks.sequence_sets import with_outputs
from foundationless.tasks.splits import legible, named_by_text, split_rows

LONGEST = 50  # bases of an allele that is read
CLINICAL = "CLNSIG"


def read_variants(path: Path, field: str) -> pd.DataFrame:
    """Alleles (`contig`, `position`, `ref`, `alt`, `label`) of the records that have the INFO field.

    Of several alleles each has its own label, or all have the one that stands there; CLNSIG is read as benign or
    pathogenic, and what is neither is left out. Symbolic and long alleles are left out too, and counted.
    """
    rows, lost, plain = [], 0, 0
    for record in records(open_vcf(path), path):
        value, ref = record.INFO.get(field), reference_allele(record)
        if value is None or value in ("", "."):
            plain += len(record.ALT)
            continue
        cells = [str(cell) for cell in value] if isinstance(value, tuple) else str(value).split(",")
        if field == CLINICAL:
            cells = [clinical_label(str(value)) or ""]
        labels = cells if len(cells) == len(record.ALT) else [",".join(cells)] * len(record.ALT)
        for alt, label in zip(alternatives(record), labels, strict=True):
            if not label:
                plain += 1
            elif alt is None or max(len(alt), len(ref)) > LONGEST:
                lost += 1
            else:
                rows.append((record.CHROM, record.POS, ref, alt, label))
    if not rows:
        raise UserError(f"{path}: no variant has a class in the INFO field '{field}'; name the field that has it.")
    if lost or plain:
        tell(
            f"{path.name}: {plain} alleles have no class, and {lost} are symbolic or longer than {LONGEST} bases: left "
            "out"
        )
    return pd.DataFrame(rows, columns=["contig", "position", "ref", "alt", "label"])


def read_measured(path: Path, fields: list[str], kind: str) -> pd.DataFrame:
    """Alleles (`contig`, `position`, `ref`, `alt`, `label`) with the numbers that INFO fields give each of them.

    Those of which no field says anything are left out, symbolic and long ones too, and counted.
    """
    if len(set(fields)) < len(fields):
        raise UserError(f"{path}: of the INFO fields {', '.join(fields)} one is named twice; name each once.")
    vcf = open_vcf(path)
    numbers = {field: number_of(vcf, field) for field in fields}
    rows, cells, lost = [], [], 0
    for record in records(vcf, path):
        values = [allele_scores(record, field, number, path.name) for field, number in numbers.items()]
        ref = reference_allele(record)
        for alt, each in zip(alternatives(record), zip(*values, strict=True), strict=True):
            if alt is None or max(len(alt), len(ref)) > LONGEST:
                lost += 1
                continue
            rows.append((record.CHROM, record.POS, ref, alt))
            cells.append(["" if value != value else repr(value) for value in each])
    if not rows:
        raise UserError(f"{path}: holds no variant of at most {LONGEST} bases.")
    if lost:
        tell(f"{path.name}: {lost} alleles are symbolic or longer than {LONGEST} bases: left out")
    labels = read_outputs(pd.DataFrame(cells, columns=fields, index=range(1, len(cells) + 1)), kind, path.name)
    frame = pd.DataFrame(rows, columns=["contig", "position", "ref", "alt"]).assign(label=labels.to_numpy())
    return with_outputs(known_rows(frame, path.name), kind, fields)


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are CONTIG:POSITION:REF:ALT, `group` is the contig where contigs split, otherwise as it is dealt."""
    path, genome = sources["vcf"], Genome(sources["genome"])
    if not options["label"]:
        raise UserError(f"{path}: say which INFO field has the class of a variant: option label.")
    kind, fields = options["label_kind"], words(options["label"])
    found = read_variants(path, options["label"]) if kind == CLASSES else read_measured(path, fields, kind)
    frame = known_places(found, genome, path.name)
    places = zip(frame["contig"], frame["position"], frame["ref"], frame["alt"], strict=True)
    texts = ((*window(genome, contig, at, options["length"]), ref, alt) for contig, at, ref, alt in places)
    keys = frame["contig"] + ":" + frame["position"].astype(str) + ":" + frame["ref"] + ":" + frame["alt"]
    frame = frame.assign(id=keys, sequence=[alternative(text, *allele) for text, *allele in texts])
    if (torn := frame.groupby("id")["label"].nunique() > 1).any():
        raise UserError(f"{path.name}: variant {torn.index[torn][0]} stands there with two labels; remove one.")
    frame = legible(frame.drop_duplicates("id").reset_index(drop=True))
    if options["test_contigs"]:
        frame = split_rows(frame, options, seed, path.name)
        frame["group"] = named_by_text(frame["sequence"], frame["contig"])
    else:
        frame = deal(frame, options, seed, path.name)
    return frame[["id", "sequence", "label", "split", "group"]]
