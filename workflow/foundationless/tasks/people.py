"""`people`: each person's haplotypes of a window, with the superpopulation as label."""

from pathlib import Path
from typing import Any

import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from foundationless.errors import UserError
from foundationless.genomes import Genome
from foundationless.tasks.reading import Option, Reader, at_least_one, draw_splits, note, numbers, shares, yes_or_no
from foundationless.variants import haplotypes, open_vcf

_PERSON = ("sample", "sampleid", "individual id", "iid", "individual")
_FAMILY = ("family", "family id", "fid", "familyid")
_PARENTS = ("fatherid", "motherid", "paternal id", "maternal id", "father", "mother", "pat", "mat")


def read_people(path: Path) -> pd.DataFrame:
    """A table of people with a header, separated by tabs or blanks; stray separators at line ends are ignored."""
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a directory; a table of people is needed.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; a table of people is needed.") from None
    if len(lines) < 2:
        raise UserError(f"{path}: the table of people is empty.")
    separator = "\t" if "\t" in lines[0] else None
    header = [name.strip().lstrip("#") for name in lines[0].split(separator)]
    rows = [dict(zip(header, (cell.strip() for cell in line.split(separator)), strict=False)) for line in lines[1:]]
    return pd.DataFrame(rows).drop(columns="", errors="ignore").fillna("")


def families(path: Path, samples: list[str]) -> dict[str, str]:
    """The family of every sample: people joined by parents or by a family id in a pedigree; else the sample itself."""
    table = read_people(path)
    columns = {name.lower(): name for name in table.columns}
    person = next((columns[name] for name in _PERSON if name in columns), None)
    links = [columns[name] for name in (*_FAMILY, *_PARENTS) if name in columns]
    if person is None or not links:
        raise UserError(
            f"{path}: no pedigree; a column of people (sample, sampleID, Individual ID) and one of families or parents "
            "(family, Family ID, fatherID, motherID) are needed."
        )
    edges = [
        (row[person], f"family {row[link]}" if link.lower() in _FAMILY else row[link])
        for row in table.to_dict("records")
        for link in links
        if row[link] not in {"", "0", "NA", "-9"}
    ]
    nodes = {
        name: number for number, name in enumerate(dict.fromkeys([*samples, *(n for edge in edges for n in edge)]))
    }
    left, right = [nodes[a] for a, _ in edges], [nodes[b] for _, b in edges]
    graph = coo_array(([1] * len(edges), (left, right)), shape=(len(nodes), len(nodes)))
    component = connected_components(graph, directed=False)[1]
    first: dict[int, str] = {}
    return {sample: first.setdefault(int(component[nodes[sample]]), sample) for sample in samples}


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: one row per haplotype with `sample` and `haplotype` (1, 2).

    `group` is the person, or the family (named by its first member) where a pedigree is given. People who are not in
    both the VCF and the panel are left out.
    """
    if not options["contig"]:
        raise UserError("option contig is missing: name the contig of the window.")
    panel = read_people(sources["panel"])
    for name in ("sample", options["label"]):
        if name not in panel.columns:
            raise UserError(f"{sources['panel']}: has no column '{name}' (it has {', '.join(panel.columns)}).")
    if panel["sample"].duplicated().any():
        repeated = panel.loc[panel["sample"].duplicated(), "sample"].iloc[0]
        raise UserError(f"{sources['panel']}: sample '{repeated}' stands there twice.")
    labels = panel.set_index("sample")[options["label"]]
    if (blank := labels == "").any():
        raise UserError(f"{sources['panel']}: sample '{labels.index[blank][0]}' has no {options['label']}.")
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
    note(
        f"{len(samples)} of {len(called)} people, {len(found.sequences)} distinct haplotypes; "
        + ", ".join(f"{count} {name}" for name, count in found.counts.items())
    )
    rows = [
        (f"{sample}.{copy + 1}", found.sequences[number], labels[sample], sample, copy + 1)
        for sample, numbers_ in zip(found.samples, found.index, strict=True)
        for copy, number in enumerate(numbers_)
        if number >= 0
    ]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "sample", "haplotype"])
    frame["group"] = frame["sample"]
    if "families" in sources:
        frame["group"] = frame["sample"].map(families(sources["families"], found.samples))
    frame["split"] = draw_splits(frame["label"], frame["group"], shares(options["fractions"]), seed)
    return frame[["id", "sequence", "label", "split", "group", "sample", "haplotype"]]


READER = Reader(
    summary="each person's haplotypes of a window with the superpopulation as label, from a VCF",
    sources={
        "vcf": "VCF or BCF with genotypes, haploid or phased diploid",
        "genome": "FASTA made by prepare_genome",
        "panel": "table of people: sample, super_pop",
        "families": "pedigree, to keep relatives in one split: sample and family, or fatherID and motherID",
    },
    required=("vcf", "genome", "panel"),
    options={
        "contig": Option(str, "", "contig of the window; must be given"),
        "start": Option(
            at_least_one, None, "first position of the window, 1-based; without it, the start of the contig"
        ),
        "end": Option(at_least_one, None, "last position of the window, included; without it, the end of the contig"),
        "label": Option(str, "super_pop", "column of the panel that is the label"),
        "fractions": Option(numbers, [0.72, 0.08, 0.2], "shares of train, validation and test, stratified by label"),
        "as_written": Option(yes_or_no, False, "yes: take unphased alleles as written; no"),
    },
    read=read,
)
