"""`genes`: gene bodies by biotype, from a GTF or a BED with gene types, and a genome.

The paper (Table 10) has nine classes and at most 3,000 genes of each: TEC 1,056, lncRNA 3,000, miRNA 1,879,
misc_RNA 2,212, processed_pseudogene 3,000, protein_coding 3,000, snRNA 1,901, snoRNA 943, unprocessed_pseudogene 2,614.
"""

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.readers.intervals import read_bed
from foundationless.tasks.readers.places import covered_places, extract
from foundationless.tasks.splits import cap_classes, split_rows

_ATTRIBUTE = re.compile(r'(\w+) "([^"]*)"')


def read_gtf(path: Path) -> pd.DataFrame:
    """Genes of a GTF (plain or gzip): contig, start (0-based), end, strand, gene, label (gene_type or gene_biotype).

    GENCODE's second copies of pseudoautosomal genes (`…_PAR_Y`) are left out.
    """
    rows = []
    try:
        with path.open("rb") as stream:
            zipped = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt") if zipped else path.open() as lines:
            for number, line in enumerate(lines, 1):
                fields = line.rstrip("\n").split("\t")
                if line.startswith("#") or len(fields) < 9 or fields[2] != "gene":
                    continue
                attributes = dict(_ATTRIBUTE.findall(fields[8]))
                label = attributes.get("gene_type") or attributes.get("gene_biotype")
                if "gene_id" not in attributes or not label:
                    raise UserError(f"{path}: line {number} has no gene_id or no gene_type (gene_biotype).")
                if attributes["gene_id"].endswith("_PAR_Y"):
                    continue  # the same gene as on chrX, in sequence that is masked on chrY
                start, end = int(fields[3]) - 1, int(fields[4])
                if not 0 <= start < end:
                    raise UserError(f"{path}: line {number} is no interval ({fields[3]} to {fields[4]}).")
                rows.append((fields[0], start, end, fields[6], attributes["gene_id"], label))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; download it again.") from None
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as GTF ({error}).") from None
    if not rows:
        raise UserError(f"{path}: holds no gene records.")
    return pd.DataFrame(rows, columns=["contig", "start", "end", "strand", "gene", "label"])


def read_genes_bed(path: Path) -> pd.DataFrame:
    """Genes of a BED: contig, start, end, then strand, gene, symbol, type; or BED6 (name is the gene) and a type."""
    rows = []
    for fields in read_bed(path, 7):
        place: tuple[str, int, int] = (fields[0], int(fields[1]), int(fields[2]))
        strand, gene = (fields[3], fields[4]) if fields[3] in {"+", "-"} else (fields[5], fields[3])
        rows.append((*place, strand, gene, fields[6]))
    return pd.DataFrame(rows, columns=["contig", "start", "end", "strand", "gene", "label"])


def draw_counts(frame: pd.DataFrame, counts: dict[str, int], seed: int, where: str) -> pd.DataFrame:
    """That many rows of each class, drawn at random, in the order of `frame`; classes not named are left out."""
    generator = np.random.default_rng(seed)
    keep = []
    for label, number in sorted(counts.items()):
        members = np.flatnonzero(frame["label"] == label)
        if not len(members):
            raise UserError(f"{where}: class '{label}' of the option counts does not occur.")
        if len(members) < number:
            tell(f"{where}: {len(members)} of class {label} instead of the {number} asked for: all are taken")
        keep.append(generator.permutation(members)[:number])
    return frame.iloc[np.sort(np.concatenate(keep))].reset_index(drop=True)


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: strand-aware gene bodies; id and `group` are the gene.

    Genes that are more than half outside the genome are left out before classes are capped.
    """
    path = sources["genes"]
    gtf = any(suffix in {".gtf", ".gff"} for suffix in path.suffixes)
    genes = read_gtf(path) if gtf else read_genes_bed(path)
    genome = Genome(sources["genome"])
    frame = covered_places(genome, genes, path.name)
    if counts := options["counts"]:
        if options["classes"] or options["max_per_class"]:
            raise UserError("option counts names the classes and their sizes; leave out classes and max_per_class.")
        frame = draw_counts(frame, counts, seed, path.name)
    frame = cap_classes(frame, options["classes"], options["max_per_class"], options["min_per_class"], seed)
    if frame.empty:
        raise UserError(f"{path.name}: no genes are left; check the classes and min_per_class.")
    frame = frame.assign(id=frame["gene"], group=frame["gene"], sequence=extract(genome, frame))
    frame["split"] = split_rows(frame, frame["contig"], options, seed, path.name)
    return frame[["id", "sequence", "label", "split", "group"]]
