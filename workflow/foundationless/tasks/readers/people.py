"""`people`: each person's haplotypes of a window, with the superpopulation as label, and who is kin to whom."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.data.samples import PERSON, column, families, label_column, read_people, unrelated
from foundationless.data.variants import Haplotypes, haplotypes, open_vcf
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.splits import draw_splits, shares


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: one row per haplotype with `sample`, `haplotype` (1, 2) and `alleles`.

    `alleles` (int8, one per record of the window that was kept) are the haplotype's calls: 0 REF, from 1 the ALT, -1
    missing. `group` is the person, as in the paper. A pedigree adds `family` (joined by parents or family id, named by
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
    window = _window(sources, options, samples)
    people, copies = np.nonzero(window.index >= 0)
    names = np.array(window.samples, dtype=object)[people]
    frame = pd.DataFrame({"id": [f"{name}.{copy + 1}" for name, copy in zip(names, copies, strict=True)]})
    # Objects, not pandas strings: those would be copied for every carrier.
    carried = np.array(window.sequences, dtype=object)[window.index[people, copies]]
    frame["sequence"] = pd.Series(carried, dtype=object)
    frame["label"] = labels.loc[names].to_numpy()
    frame["sample"], frame["haplotype"], frame["group"] = names, copies + 1, names
    kin = _kin(sources, window.samples)
    for name, column_of in kin.items():
        frame[name] = frame["sample"].map(column_of)
    if kin:
        tell(
            f"{frame['family'].nunique()} families; {frame.loc[frame['unrelated'], 'sample'].nunique()} of "
            f"{len(window.samples)} people without a relative of the first degree among them"
        )
    frame["alleles"] = list(window.alleles[people, copies])
    frame["split"] = draw_splits(frame["label"], frame["group"], shares(options["fractions"]), seed)
    distinct = len(set(window.index[window.index >= 0]))
    tell(
        f"{len(samples)} of {len(called)} people; {len(frame)} haplotypes, {distinct} of them distinct: kept and "
        f"embedded once each, a saving of {len(frame) / distinct:.1f} times; "
        + ", ".join(f"{count} {name}" for name, count in window.counts.items())
    )
    return frame[["id", "sequence", "label", "split", "group", "sample", "haplotype", *kin, "alleles"]]


def _window(sources: dict[str, Path], options: dict[str, Any], samples: list[str]) -> Haplotypes:
    """Haplotypes of the samples over the window that the options name."""
    genome, start, end = Genome(sources["genome"]), options["start"], options["end"]
    if start is not None and end is not None and end < start:
        raise UserError(f"options start={start} and end={end}: the window ends before it starts.")
    if end is not None and end > genome.end(options["contig"]):
        raise UserError(
            f"option end={end}: {options['contig']} of {genome.path.name} ends at {genome.end(options['contig'])}; "
            "shift the window."
        )
    first = None if start is None else start - 1
    phased = not options["as_written"]
    window = haplotypes(sources["vcf"], genome, options["contig"], first, end, samples, require_phase=phased)
    if not window.counts["records"]:
        raise UserError(
            f"{sources['vcf'].name}: no variants in this window of {options['contig']}; all would be equal."
        )
    return window


def _kin(sources: dict[str, Path], samples: list[str]) -> dict[str, dict[str, Any]]:
    """Of every sample its `family` and whether it is `unrelated`, by the pedigree; empty without one."""
    if "families" not in sources:
        if "unrelated" in sources:
            raise UserError("source unrelated: give families, the pedigree, too.")
        return {}
    candidates = samples
    if "unrelated" in sources:
        listed = read_people(sources["unrelated"])
        if (person := column(listed, PERSON)) is None:
            raise UserError(f"{sources['unrelated']}: has no column of people (sample, sampleID, Individual ID).")
        candidates = [sample for sample in samples if sample in set(listed[person])]
    alone = unrelated(sources["families"], candidates)
    family = families(sources["families"], samples)
    return {"family": family, "unrelated": {sample: sample in alone for sample in samples}}


def _labels(path: Path, name: str) -> pd.Series:
    """The label of every person of a panel."""
    panel = read_people(path)
    person, label = column(panel, PERSON), label_column(panel, name)
    for wanted, held in (("sample", person), (name, label)):
        if held is None:
            raise UserError(f"{path}: has no column '{wanted}' (it has {', '.join(panel.columns)}).")
    if panel[person].duplicated().any():
        repeated = panel.loc[panel[person].duplicated(), person].iloc[0]
        raise UserError(f"{path}: sample '{repeated}' stands there twice.")
    labels = panel.set_index(person)[label]
    if (blank := labels == "").any():
        raise UserError(f"{path}: sample '{labels.index[blank][0]}' has no {label}.")
    return labels
