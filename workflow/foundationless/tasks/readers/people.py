"""`people`: each person's haplotypes of a window, with the superpopulation as label, and who is kin to whom."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.data.samples import _PERSON, column, families, label_column, read_people, unrelated
from foundationless.data.variants import haplotypes, open_vcf
from foundationless.errors import UserError
from foundationless.tasks.options import Option, Reader, at_least_one, note, numbers, yes_or_no
from foundationless.tasks.splits import draw_splits, shares


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: one row per haplotype with `sample`, `haplotype` (1, 2) and `alleles`.

    `alleles` (int8, one per record of the window that was kept) are the haplotype's calls: 0 REF, from 1 the ALT, -1
    missing. `group` is the person, as in the study. A pedigree adds `family` (joined by parents or family id, named by
    its first member) and `unrelated` (True in a largest set without first-degree relatives), from which the derivations
    `family` and `unrelated` work. People who are not in both the VCF and the panel are left out. Equal haplotypes are
    one string in memory: of a window of the 3,202 people there are as many as are distinct.
    """
    if not options["contig"]:
        raise UserError("option contig is missing: name the contig of the window.")
    labels = _labels(sources["panel"], options["label"])
    called = list(open_vcf(sources["vcf"]).samples)
    samples = [sample for sample in called if sample in labels.index]
    if not samples:
        raise UserError(f"{sources['vcf'].name}: none of its {len(called)} samples is in {sources['panel'].name}.")
    genome = Genome(sources["genome"])
    start, end = options["start"], options["end"]
    if start is not None and end is not None and end < start:
        raise UserError(f"options start={start} and end={end}: the window ends before it starts.")
    if end is not None and end > genome.end(options["contig"]):
        raise UserError(
            f"option end={end}: {options['contig']} of {genome.path.name} ends at {genome.end(options['contig'])}; "
            "shift the window."
        )
    found = haplotypes(
        sources["vcf"],
        genome,
        options["contig"],
        None if start is None else start - 1,
        end,
        samples,
        require_phase=not options["as_written"],
    )
    if not found.counts["records"]:
        raise UserError(
            f"{sources['vcf'].name}: no variants in this window of {options['contig']}; all would be equal."
        )
    people, copies = np.nonzero(found.index >= 0)
    names = np.array(found.samples, dtype=object)[people]
    frame = pd.DataFrame({"id": [f"{name}.{copy + 1}" for name, copy in zip(names, copies, strict=True)]})
    # Objects, not pandas strings: those would be copied for every carrier.
    carried = np.array(found.sequences, dtype=object)[found.index[people, copies]]
    frame["sequence"] = pd.Series(carried, dtype=object)
    frame["label"] = labels.loc[names].to_numpy()
    frame["sample"], frame["haplotype"], frame["group"] = names, copies + 1, names
    if "families" in sources:
        candidates = found.samples
        if "unrelated" in sources:
            listed = read_people(sources["unrelated"])
            if (person := column(listed, _PERSON)) is None:
                raise UserError(f"{sources['unrelated']}: has no column of people (sample, sampleID, Individual ID).")
            candidates = [sample for sample in found.samples if sample in set(listed[person])]
        frame["family"] = frame["sample"].map(families(sources["families"], found.samples))
        frame["unrelated"] = frame["sample"].isin(unrelated(sources["families"], candidates))
        note(
            f"{frame['family'].nunique()} families; {frame.loc[frame['unrelated'], 'sample'].nunique()} of "
            f"{len(found.samples)} people without a relative of the first degree among them"
        )
    elif "unrelated" in sources:
        raise UserError("source unrelated: give families, the pedigree, too.")
    frame["alleles"] = list(found.alleles[people, copies])
    frame["split"] = draw_splits(frame["label"], frame["group"], shares(options["fractions"]), seed)
    distinct = len(set(found.index[found.index >= 0]))
    note(
        f"{len(samples)} of {len(called)} people; {len(frame)} haplotypes, {distinct} of them distinct: kept and "
        f"embedded once each, a saving of {len(frame) / distinct:.1f} times; "
        + ", ".join(f"{count} {name}" for name, count in found.counts.items())
    )
    kin = [name for name in ("family", "unrelated") if name in frame.columns]
    return frame[["id", "sequence", "label", "split", "group", "sample", "haplotype", *kin, "alleles"]]


def _labels(path: Path, name: str) -> pd.Series:
    """The label of every person of a panel."""
    panel = read_people(path)
    person, label = column(panel, _PERSON), label_column(panel, name)
    for wanted, found in (("sample", person), (name, label)):
        if found is None:
            raise UserError(f"{path}: has no column '{wanted}' (it has {', '.join(panel.columns)}).")
    if panel[person].duplicated().any():
        repeated = panel.loc[panel[person].duplicated(), person].iloc[0]
        raise UserError(f"{path}: sample '{repeated}' stands there twice.")
    labels = panel.set_index(person)[label]
    if (blank := labels == "").any():
        raise UserError(f"{path}: sample '{labels.index[blank][0]}' has no {label}.")
    return labels


READER = Reader(
    summary="each person's haplotypes of a window with the superpopulation as label, from a VCF",
    sources={
        "vcf": "VCF or BCF with genotypes, haploid or phased diploid",
        "genome": "FASTA made by prepare_genome",
        "panel": "table of people: sample, super_pop (or SampleID, Superpopulation)",
        "families": "pedigree, for the columns family and unrelated: sample and family, or fatherID and motherID",
        "unrelated": "table of the only people who may be called unrelated, such as the panel of the 2,504",
    },
    required=("vcf", "genome", "panel"),
    options={
        "contig": Option(str, "", "contig of the window; must be given"),
        "start": Option(
            at_least_one, None, "first position of the window, 1-based; without it, the start of the contig"
        ),
        "end": Option(at_least_one, None, "last position of the window, included; without it, the end of the contig"),
        "label": Option(str, "super_pop", "column of the panel that is the label, or its synonym there"),
        "fractions": Option(numbers, [0.72, 0.08, 0.2], "shares of train, validation and test, stratified by label"),
        "as_written": Option(yes_or_no, False, "yes: take unphased alleles as written; no"),
    },
    read=read,
)
