"""`genes`: gene bodies by biotype, from a GTF, a GFF3 or a BED with gene types, and a genome.

The paper (Table 10) has nine classes and at most 3,000 genes of each: TEC 1,056, lncRNA 3,000, miRNA 1,879,
misc_RNA 2,212, processed_pseudogene 3,000, protein_coding 3,000, snRNA 1,901, snoRNA 943, unprocessed_pseudogene 2,614.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd

from foundationless.data.files.text import read_lines
from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.readers.intervals import read_bed
from foundationless.tasks.readers.places import covered_places, extract, is_interval, once
from foundationless.tasks.splits import cap_classes, legible, named_by_text, split_rows

_GTF = re.compile(r'(\w+)\s+(?:"([^"]*)"|([^";\s]+))')
_GFF3 = re.compile(r"\s*([^=;]+)=([^;]*)")
_GENES = {"gene", "ncRNA_gene", "pseudogene"}  # features of GFF3 that are genes; a GTF has the first alone
_LABELS = ("gene_type", "gene_biotype", "biotype")  # GENCODE, NCBI and the GTF of Ensembl, its GFF3


def read_annotation(path: Path) -> pd.DataFrame:
    """Genes of a GTF or GFF3 (plain or gzip): contig, start (0-based), end, strand, gene, label (their biotype).

    GENCODE's second copies of pseudoautosomal genes (`…_PAR_Y`) are left out.
    """
    rows = []
    for number, line in enumerate(read_lines(path, "a GTF or GFF3"), 1):
        if line.startswith("##FASTA"):
            break  # of GFF3: what follows are sequences
        fields = line.rstrip("\r\n").split("\t")
        if line.startswith("#") or len(fields) < 9 or fields[2] not in _GENES:
            continue
        gff3 = re.match(r"\s*\w+=", fields[8]) is not None
        if not gff3 and fields[2] != "gene":
            continue
        gene, label = _gene_of(fields[8], gff3)
        if not gene or not label:
            raise UserError(f"{path}: line {number} has no gene_id (ID) or no {', '.join(_LABELS)}.")
        if gene.endswith("_PAR_Y"):
            continue  # the same gene as on chrX, in sequence that is masked on chrY
        if not (fields[3].isdecimal() and is_interval(str(int(fields[3]) - 1), fields[4])):
            raise UserError(f"{path}: line {number} is no interval ({fields[3]} to {fields[4]}).")
        rows.append((fields[0], int(fields[3]) - 1, int(fields[4]), fields[6], gene, label))
    if not rows:
        raise UserError(f"{path}: holds no gene records.")
    return pd.DataFrame(rows, columns=["contig", "start", "end", "strand", "gene", "label"])


def _gene_of(text: str, gff3: bool) -> tuple[str, str]:
    """Gene and biotype of the ninth column; empty where it does not say them."""
    if gff3:
        attributes = {key: unquote(value.strip()) for key, value in _GFF3.findall(text)}
    else:
        attributes = {key: quoted or bare for key, quoted, bare in _GTF.findall(text)}
    identity = re.sub("^gene[:-]", "", attributes.get("ID", ""))
    gene = attributes.get("gene_id") or identity
    if identity.endswith("_PAR_Y"):
        gene = identity
    return gene, next((attributes[key] for key in _LABELS if attributes.get(key)), "")


def is_annotation(path: Path) -> bool:
    """Whether a file is a GTF or GFF3 and no BED, by its first line of nine columns or by what stands above."""
    for line in read_lines(path, "a GTF, GFF3 or BED"):
        fields = line.split("\t")
        if line.startswith("##gff-version"):
            return True
        if not line.startswith("#") and len(fields) > 4:
            return not (fields[1].isdecimal() and fields[2].isdecimal()) and fields[3].isdecimal()
    return False


def read_genes_bed(path: Path) -> pd.DataFrame:
    """Genes of a BED: contig, start, end, then strand, gene, symbol, type; or BED6 (name is the gene) and a type."""
    rows = []
    for fields in read_bed(path, 7):
        place: tuple[str, int, int] = (fields[0], int(fields[1]), int(fields[2]))
        strand, gene = (fields[3], fields[4]) if fields[3] in {"+", "-"} else (fields[5], fields[3])
        rows.append((*place, strand, gene, fields[6]))
    return pd.DataFrame(rows, columns=["contig", "start", "end", "strand", "gene", "label"])


def around_starts(genes: pd.DataFrame, window: Sequence[int], where: str) -> pd.DataFrame:
    """The same genes at so many bases before their start and after it; the first transcribed one counts as after."""
    if len(window) != 2 or min(window) < 0 or not sum(window):
        raise UserError(f"{where}: option window is two numbers, bases before a start and after it: 1000,500.")
    before, after = window
    forward = genes["strand"] != "-"
    start = genes["start"].where(forward, genes["end"]) - np.where(forward, before, after)
    return genes.assign(start=start.clip(lower=0), end=start + before + after)


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
    """The set: strand-aware gene bodies; id and `group` are the gene, of identical ones (copies on X and Y) the first.

    Genes that are more than half outside the genome are left out before classes are capped.
    """
    path = sources["genes"]
    named = any(suffix in {".gtf", ".gff", ".gff3"} for suffix in path.suffixes)
    genes = read_annotation(path) if named or is_annotation(path) else read_genes_bed(path)
    if options["window"]:
        genes = around_starts(genes, options["window"], path.name)
    genome = Genome(sources["genome"])
    places = ["contig", "start", "end", "strand", "gene"]
    frame = once(covered_places(genome, genes, path.name), places, path.name)
    if counts := options["counts"]:
        if options["classes"] or options["max_per_class"]:
            raise UserError("option counts names the classes and their sizes; leave out classes and max_per_class.")
        frame = draw_counts(frame, counts, seed, path.name)
    frame = cap_classes(frame, options["classes"], options["max_per_class"], options["min_per_class"], seed)
    if frame.empty:
        raise UserError(f"{path.name}: no genes are left; check the classes and min_per_class.")
    frame = legible(frame.assign(id=frame["gene"], sequence=extract(genome, frame)))
    frame = split_rows(frame, options, seed, path.name)
    frame["group"] = named_by_text(frame["sequence"], frame["gene"])
    return frame[["id", "sequence", "label", "split", "group"]]
