"""The readers of raw data, one declaration each: sources, options, what they make, and where the function is.

The Snakefile checks a study against it, `build_sequences --explain` prints it, and `foundationless.tasks.readers` calls
it: a new reader is a module there, an entry here, and a row of a task table.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundationless.study.vocabulary import ANY, CLASSES, TRACKS, VALUES


@dataclass(frozen=True)
class Option:
    """One `KEY=VALUE` of a reader: the kind of its value (`tasks.options.KINDS`), its default, its meaning."""

    kind: str
    default: Any
    help: str


@dataclass(frozen=True)
class Reader:
    """What a reader takes and makes.

    `makes` is the kind of set: `classes` (sequences with labels to learn), `variants`, `mutants`, `transfer` (labels of
    two tasks), or `effects`, which are no sequences. `function` is `module:function` in `foundationless.tasks.readers`;
    of `effects` in `foundationless.perturbation`. A source that ends in `*` stands for any name of that beginning;
    `required` sources must be given, or in their place the one source `whole`, which holds all splits. `labels` are the
    kinds of labels (`vocabulary.LABELS`) that it can make; of several the option `label_kind` says which. `offers` are
    columns of its sets that features of variants may read (`vocabulary.VARIANT_FEATURES`).
    """

    makes: str
    function: str
    help: str
    sources: Mapping[str, str]
    required: tuple[str, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    whole: str = ""
    labels: tuple[str, ...] = (CLASSES,)
    offers: tuple[str, ...] = ()

    def knows(self, source: str) -> bool:
        """Whether a source of that name is one of the reader's."""
        return any(source == name or (name[-1] == "*" and source.startswith(name[:-1])) for name in self.sources)

    def missing(self, given: Collection[str]) -> list[str]:
        """Sources that must be given beside those that are."""
        return [] if self.whole and self.whole in given else [name for name in self.required if name not in given]

    def label_kind(self, options: Mapping[str, str]) -> str:
        """The kind of labels that it makes with these options, one of `labels`; what stands in `label_kind` as it is,
        and of `transfer` nothing: the sets that it reads say it."""
        if "label_kind" in self.options:
            return options.get("label_kind", str(self.options["label_kind"].default))
        return self.labels[0] if len(self.labels) == 1 else ""

    def explain(self) -> str:
        """Help, sources and options, one a line."""
        lines = [self.help, "  sources:"]
        for name, text in self.sources.items():
            lines.append(f"    {name}{'' if name in self.required else ' (optional)'}: {text}")
        lines += ["  options:"] if self.options else []
        lines += [f"    {name}: {option.help} (default {option.default!r})" for name, option in self.options.items()]
        return "\n".join(lines)


# How rows are dealt out to splits: what may not be torn.
DEALS = ("clusters", "groups", "identical", "rows")

# How rows are weighted towards the set that a transfer is asked about.
WEIGHTINGS = ("kmer",)

_ALPHABET = {
    "strict_alphabet": Option(
        "yes_or_no",
        False,
        "yes: refuse letters other than A, C, G, T, N; no: upper case, U to T, ambiguity letters to N",
    )
}
_SPLITS = {
    "test_contigs": Option("words", [], "chromosomes of the test split, as chr8,chr9; without it, fractions are drawn"),
    "validation_contigs": Option("words", [], "chromosomes of the validation split"),
    "fractions": Option("numbers", [0.72, 0.08, 0.2], "shares of train, validation and test without contigs"),
}
_DEALT = {
    "deal": Option(
        "deal",
        "",
        "how splits are drawn where none is given: clusters (near duplicates and overlapping windows stay together), "
        "groups, identical (identical sequences do), or rows (each by itself, as a random split)",
    ),
}
_LABELS = {
    "label_kind": Option(
        "label_kind",
        CLASSES,
        "what a label is: classes (one class), values (one number or several: regression) or tracks (zeros and ones of "
        "which several may be one: multi-label)",
    ),
}
_SHARES = {
    "fractions": Option("numbers", [0.64, 0.16, 0.2], "of the source all: shares of train, validation and test"),
}
_CLASSES = {
    "classes": Option("words", [], "biotypes to keep, as lncRNA,miRNA; without it, all"),
    "max_per_class": Option("at_least_zero", 0, "most members of a class, drawn at random (3000 in the paper); 0: all"),
    "min_per_class": Option("at_least_one", 1, "classes with fewer members are left out"),
}
_LENGTH = {"length": Option("at_least_one", 1024, "bases of the window, with the variant in the middle")}
_KINDS = {
    "longest": Option("at_least_one", 50, "bases of the longest allele that is read; longer ones are structural"),
}
_KIND_WORDS = "kinds of variants to keep: snv, mnv, insertion, deletion, delins, indel (the last three), or all"
_MATRIX = {
    "values": Option("text", "auto", "what the numbers are: counts, lognorm (ln(1 + counts per 10,000)), z, or auto"),
    "layer": Option("text", "", "layer of an .h5ad in place of X, or raw for raw/X"),
    "member": Option("text", "", "file of a ZIP or TAR archive, as norman/perturb_processed.h5ad or *.h5ad"),
    "gene": Option("text", "", "column of an .h5ad's var with the ids of genes; without it, its index"),
    "symbol": Option("text", "", "column of an .h5ad's var with symbols; without it, one of a usual name, or the ids"),
    "rows": Option("text", "genes", "what the rows of a plain or R matrix are: genes or cells"),
}
_GENOME = {"genome": "FASTA made by prepare_genome"}
_GRCH38 = {"genome": "GRCh38 FASTA made by prepare_genome"}
_MEASURED = {
    "labels": Option(
        "label_map",
        {},
        "what other labels mean, as LOF:pathogenic,FUNC:benign,INT:unknown; pathogenic stands for what is to "
        "be found, whatever it is, and unknown for none; a blank in a label is written _",
    ),
    "below": Option("number", None, "without labels: scores below it are pathogenic; between it and above, unknown"),
    "above": Option("number", None, "without labels: scores of at least it are benign"),
    "columns": Option("words", [], "further columns to keep, as scores of other programs: CADD,phyloP"),
    "filter": Option("row_filters", {}, "rows to keep, as consequence=intron_variant/splice_region,star=1"),
    "kinds": Option("variant_kinds", ["snv", "mnv", "insertion", "deletion", "delins"], _KIND_WORDS),
    "mismatches": Option(
        "share", 0.0, "share of the variants, at most, whose REF differs from the genome's: they are left out"
    ),
    "unlabelled": Option("yes_or_no", True, "yes: keep those without a label; or no"),
}
_TOLD = {
    "label": Option("text", "", "column of the label: pathogenic or benign, 1 or 0, true or false"),
    "score": Option("text", "", "column of a function score (lower: less functional)"),
    "consequence": Option("text", "", "column of the consequence"),
}
_ON_TRANSCRIPTS = {
    "variant": Option("text", "hgvs_nt", "column of the names, as c.340+5G>A or ENST00000256474.3:c.340+5G>A"),
    "transcript": Option("text", "", "transcript of names that say none"),
    "mismatches": Option(
        "share",
        0.0,
        "share of the variants, at most, whose REF differs from the genome's, and of those that the transcript cannot "
        "have: they are left out",
    ),
}
_ANNOTATED = {
    "table": "CSV, TSV, Parquet or Excel, a variant a row (the text ones .gz too)",
    "table.*": "further parts of the table",
    "genes": "GTF with the transcript's exons and coding sequence (.gz too)",
} | _GRCH38
_SAVED_EXONS = {
    "whole": Option("text", "exon", "what a split keeps whole: exon (of the experiment) or position"),
    "test_exons": Option("words", [], "exons of the test split, as X2,X15; without it, fractions are drawn"),
    "validation_exons": Option("words", [], "exons of the validation split"),
    "fractions": Option("numbers", [0.64, 0.16, 0.2], "shares of train, validation and test without exons"),
}

READERS = {
    "table": Reader(
        makes="classes",
        function="table:read",
        help="tables of sequences and labels, one file a split or one for all: CSV, TSV, Parquet, Excel, or FASTA with "
        "headers NAME|LABEL",
        sources={
            "train": "columns sequence, label, perhaps id: .csv, .tsv, .parquet, .xlsx or .fna (the text ones .gz too)",
            "validation": "the same; without it validation is drawn from train",
            "test": "the same",
            "all": "the same, with all rows, in place of the other three: its rows are dealt out here",
            "genome": "genome that the sequences come from, to split by chromosome",
        },
        required=("train", "test"),
        whole="all",
        options={
            "validation_fraction": Option(
                "share", 0.1, "share of train that becomes validation: by label, or with a genome by chromosome"
            ),
            "test_contigs": Option("words", [], "chromosomes of the test split, as IV,XII; needs the source genome"),
            "sequence": Option(
                "text", "sequence", "column of the sequence; of pairs the columns of both, as promoter,enhancer"
            ),
            "gap": Option("at_least_zero", 50, "of pairs: how many N are put between the one sequence and the other"),
            "label": Option("text", "label", "column of the label; of values and tracks one each, as dev,hk"),
            "labels": Option("label_map", {}, "names of the labels, as 0:none,1:promoter; without it, as they stand"),
            "filter": Option("row_filter", None, "rows to keep of a file that holds several tasks, as task=H3"),
            "split": Option(
                "text", "", "of the source all: column of the split: train, validation (or dev, val), test"
            ),
            "group": Option("text", "", "of the source all: column of what stays together, as a gene or a patient"),
        }
        | _LABELS
        | _DEALT
        | _SHARES
        | _ALPHABET,
        labels=ANY,
    ),
    "joined_tables": Reader(
        makes="classes",
        function="outputs.joined_tables:read",
        help="one table of sequences and labels 0 and 1 per split and track; the source names say which "
        "(train.H3=FILE): sequences are joined, and a track that does not hold one is not known there",
        sources={
            "train.*": "table of a track for training: columns sequence and label, as of the reader table",
            "validation.*": "the same for validation; without any, validation is drawn from train",
            "test.*": "the same for testing",
            "all.*": "table of a track in place of these: its rows are dealt out here",
            "genome": "genome that the sequences come from, to split by chromosome",
        },
        required=(),
        options={
            "validation_fraction": Option("share", 0.1, "share of train that becomes validation"),
            "test_contigs": Option("words", [], "chromosomes of the test split, as IV,XII; needs the source genome"),
            "sequence": Option("text", "sequence", "column of the sequence"),
            "label": Option("text", "label", "column of the label"),
            "labels": Option("label_map", {}, "what the labels mean, as none:0,marked:1; without it, as they stand"),
        }
        | _DEALT
        | _SHARES
        | _ALPHABET,
        labels=(TRACKS,),
    ),
    "tracks": Reader(
        makes="classes",
        function="outputs.tracks:read",
        help="windows of a genome and a BED of peaks per track (track.NAME=FILE): which have a peak at the centre",
        sources={
            "track.*": "BED of the peaks of a track, as narrowPeak (.gz too)",
            "windows": "BED of windows, which are centred on its intervals; without it they stand on a grid",
        }
        | _GENOME,
        required=("genome",),
        options={
            "length": Option("at_least_one", 1000, "bases of a window"),
            "bin": Option("at_least_one", 200, "bases in the middle of a window that a peak must cover"),
            "overlap": Option("share", 0.5, "share of the bin that one peak covers at least"),
            "step": Option("at_least_one", 200, "bases between the windows of the grid"),
            "contigs": Option("words", [], "contigs of the windows; without it, those that have peaks"),
            "empty": Option("share", 0.2, "share of the set, at most, of windows at which no track has a peak"),
        }
        | _SPLITS,
        labels=(TRACKS,),
    ),
    "reporters": Reader(
        makes="classes",
        function="outputs.reporters:read",
        help="reporter assays (STARR-seq, MPRA): sequences in a FASTA or a table, activities in a table; a regression",
        sources={
            "train.table": "table of activities for training: CSV, TSV, Parquet or Excel",
            "validation.table": "the same for validation; without it validation is drawn from train",
            "test.table": "the same for testing",
            "train.fasta": "FASTA of the sequences, where the table has none",
            "validation.fasta": "the same for validation",
            "test.fasta": "the same for testing",
        },
        required=("train.table", "test.table"),
        options={
            "label": Option("words", [], "columns of the activities, one an output, as dev,hk"),
            "sequence": Option("text", "sequence", "column of the sequence, where there is no FASTA"),
            "id": Option("text", "", "column of the first words of the headers; without it, both have one order"),
            "trim": Option("whole_numbers", [0, 0], "constant bases at the start and at the end, cut off, as 15,15"),
            "validation_fraction": Option("share", 0.1, "share of train that becomes validation"),
        }
        | _ALPHABET,
        labels=(VALUES,),
    ),
    "labelled_places": Reader(
        makes="classes",
        function="outputs.labelled_places:read",
        help="a table of places of a genome with splits and labels (as BEND and the Genomics Long-Range Benchmark)",
        sources={
            "places": "table with a header: contig, start and end or a position, split, labels (.gz too)",
            "values": "table of the labels, row by row, where they stand in a file of their own",
        }
        | _GENOME,
        required=("places", "genome"),
        options={
            "contig": Option("text", "chromosome", "column of the contig"),
            "start": Option("text", "start", "column of the first base"),
            "end": Option("text", "end", "column of the end"),
            "base": Option("at_least_zero", 0, "number of a contig's first base in the column start: 0 (as BED) or 1"),
            "position": Option("text", "", "column of a 1-based position, in place of start and end"),
            "strand": Option("text", "", "column of the strand; without it, +"),
            "length": Option("at_least_zero", 0, "bases of windows around the middles; 0: from start to end"),
            "split": Option("text", "split", "column of the split: train, validation (or valid), test"),
            "label": Option("words", [], "columns of the labels; without it label, or all of the source values"),
            "coding": Option(
                "text",
                "columns",
                "of tracks: columns (one a track), positives (numbers of those that are one, from 0, as 0,3) or list "
                "(zeros and ones, as [1, 0, 0])",
            ),
            "outputs": Option("words", [], "of tracks in one column: their names, or how many there are"),
            "validation_fraction": Option("share", 0.1, "share of train that becomes validation, by megabases"),
        }
        | _LABELS,
        labels=ANY,
    ),
    "fasta_classes": Reader(
        makes="classes",
        function="fasta_classes:read",
        help="one FASTA (or table of intervals) per split and class; the source names say which (train.strong=FILE)",
        sources={
            "train.*": "FASTA of a class for training",
            "validation.*": "FASTA of a class for validation; without any, validation is drawn from train",
            "test.*": "FASTA of a class for testing",
            "all.*": "FASTA of a class in place of these: its records are dealt out here",
            "genome": "genome, where the files are CSV tables of region, start, end (0-based, half-open) and strand",
        },
        required=(),
        options={
            "validation_fraction": Option("share", 0.1, "share of train that becomes validation, stratified by label"),
            "merge": Option("merged_classes", {}, "classes to unite, as strong+weak:enhancer"),
        }
        | _DEALT
        | _SHARES
        | _ALPHABET,
    ),
    "intervals": Reader(
        makes="classes",
        function="intervals:read",
        help="BED6 and a genome: strand-aware sequences, the BED name is the label, or the score its value",
        sources={
            "bed": "BED with six columns; the name is the class, or names tracks (H3,H4; a point for none); of values "
            "the score counts"
        }
        | _GENOME,
        required=("bed", "genome"),
        options=_LABELS | _SPLITS | _DEALT,
        labels=ANY,
    ),
    "genes": Reader(
        makes="classes",
        function="genes:read",
        help="gene bodies by biotype, from a GTF, GFF3 or BED and a genome",
        sources={
            "genes": "GTF or GFF3 (.gz too), or BED of contig, start, end, strand, gene, symbol, type, or BED6 and type"
        }
        | _GENOME,
        required=("genes", "genome"),
        options={
            "window": Option(
                "whole_numbers", [], "bases before the start of a gene and after it, as 1000,500: promoters, no bodies"
            ),
            "counts": Option(
                "class_counts", {}, "members of each class, drawn at random, as TEC:1056,lncRNA:3000 (paper: Table 10)"
            ),
        }
        | _CLASSES
        | _SPLITS,
    ),
    "region_kinds": Reader(
        makes="classes",
        function="regions.kinds:read",
        help="windows of a genome by kind: exon, promoter, intron, repeat (lower case) or other",
        sources={
            "genes": "GTF or GFF3 (.gz too) with genes and exons; without it, windows are repeats or other",
            "genome": "FASTA; of repeats a soft-masked one: as published, or a genome of the study with soft_masked",
        },
        required=("genome",),
        options={
            "length": Option("at_least_one", 500, "bases of a window"),
            "promoter": Option("at_least_one", 500, "bases before the start of a gene that are its promoter"),
            "per_kind": Option("at_least_zero", 200, "most windows of a kind and split, drawn at random; 0: all"),
            "contigs": Option("words", [], "contigs of the windows; without it, all"),
        }
        | _SPLITS,
    ),
    "transcripts": Reader(
        makes="classes",
        function="transcripts:read",
        help="transcripts by the biotype of their gene, from a FASTA and annotables tables",
        sources={
            "fasta": "transcripts; the first word of a header is the transcript",
            "genes": "gene table with ensgene and biotype (.rda, CSV or TSV)",
            "tx2gene": "transcript table with enstxp and ensgene (.rda, CSV or TSV)",
        },
        required=("fasta", "genes", "tx2gene"),
        options=_CLASSES
        | {"fractions": Option("numbers", [0.72, 0.08, 0.2], "shares of train, validation and test, by gene")}
        | _ALPHABET,
    ),
    "people": Reader(
        makes="classes",
        function="people:read",
        help="each person's haplotypes of a window with the superpopulation as label, from a VCF",
        sources={
            "vcf": "VCF or BCF with genotypes, haploid or phased diploid",
            "genome": "FASTA made by prepare_genome",
            "panel": "table of people: sample, super_pop (or SampleID, Superpopulation)",
            "families": "pedigree, for the columns family and unrelated: sample and family, or fatherID and motherID",
            "unrelated": "table of the only people who may be called unrelated, such as the panel of the 2,504",
        },
        required=("vcf", "genome", "panel"),
        options={
            "contig": Option("text", "", "contig of the window; must be given"),
            "start": Option("at_least_one", None, "first position of the window, 1-based; without it, the contig's"),
            "end": Option("at_least_one", None, "last position of the window, included; without it, the contig's"),
            "label": Option("text", "super_pop", "column of the panel that is the label, or its synonym there"),
            "fractions": Option("numbers", [0.72, 0.08, 0.2], "shares of train, validation and test, by label"),
            "as_written": Option("yes_or_no", False, "yes: take unphased alleles as written; no"),
        },
    ),
    "mutants": Reader(
        makes="mutants",
        function="mutants:read",
        help="windows of a genome and mutants of them with random substitutions",
        sources=_GENOME,
        required=("genome",),
        options={
            "contigs": Option("words", [], "contigs of the windows, with starts (paper: chr7,chr11,chr12,chr17,chr19)"),
            "starts": Option("numbers", [], "starts in Mb on each contig (paper: 1,2,5,10,20), moved right free of N"),
            "windows": Option("words", [], "further windows as CONTIG:START, 1-based, moved right likewise"),
            "length": Option("at_least_one", 1024, "bases of a window"),
            "mutations": Option("whole_numbers", [1, 64, 128, 256, 512, 1024], "numbers of substitutions"),
            "replicates": Option("at_least_one", 5, "mutants for each number"),
        },
    ),
    "transfer": Reader(
        makes="transfer",
        function="transfer:read",
        help="train and validation of one sequence set, test of another with the same classes, or outputs",
        sources={"train": "sequence set to learn from", "test": "sequence set whose test split tests"},
        required=("train", "test"),
        options={
            "labels": Option(
                "label_map", {}, "labels (or names of outputs) of the test set as the training set has them: promoter:1"
            ),
            "target_rows": Option(
                "at_least_zero",
                0,
                "training rows of the test set's that join those to learn from; of 10 and 100 the 10",
            ),
            "weighting": Option(
                "weighting",
                "",
                "kmer: rows to learn from weigh as much as their k-mers are those of the test set's training rows, "
                "whose labels are not read",
            ),
        },
        labels=ANY,
    ),
    "clinical": Reader(
        makes="variants",
        function="variant_sets:read_clinical",
        help="variants of a ClinVar-style VCF with benign and pathogenic labels: SNVs, or every kind",
        sources={"vcf": "VCF with CLNSIG, GENEINFO and MC"} | _GRCH38,
        required=("vcf", "genome"),
        options={
            "genes": Option("words", [], "genes to keep (GENEINFO), as TP53,BRCA2; without it, all"),
            "consequences": Option(
                "words",
                [],
                "consequences to keep (MC), as missense_variant; coding: all SNVs of coding sequence; without it, all",
            ),
        }
        | _LENGTH
        | {
            "unlabelled": Option("yes_or_no", False, "yes: keep those neither benign nor pathogenic; or no"),
            "score": Option("text", "", "INFO field that becomes the column score"),
            "kinds": Option("variant_kinds", ["snv"], _KIND_WORDS),
            "consequence": Option(
                "yes_or_no",
                False,
                "yes: the set has a column consequence, the most severe term of MC, which alone decides what "
                "consequences keeps; or no",
            ),
        }
        | _KINDS,
    ),
    "variant_table": Reader(
        makes="variants",
        function="variant_tables:read",
        help="a published table of variants: contig, position, REF and ALT, with a label, a score, or both (TraitGym, "
        "saturation genome editing, and most benchmarks of variant effects)",
        sources={
            "table": "CSV, TSV, Parquet or Excel, a variant a row (the text ones .gz too)",
            "table.*": "further parts of the table",
        }
        | _GENOME,
        required=("table", "genome"),
        options={
            "contig": Option("text", "chrom", "column of the chromosome, as 17 or chr17"),
            "position": Option("text", "pos", "column of the position"),
            "base": Option("at_least_zero", 1, "number of a contig's first base in that column: 1 (as VCF) or 0"),
            "ref": Option("text", "ref", "column of REF"),
            "alt": Option("text", "alt", "column of ALT"),
            "group": Option("text", "", "column of what is matched or measured together; without it, the gene"),
            "gene": Option("text", "", "column of the gene; without it, the contig is the group"),
        }
        | _TOLD
        | _MEASURED
        | _KINDS
        | _LENGTH,
    ),
    "transcript_variants": Reader(
        makes="variants",
        function="transcript_variants:read",
        help="variants that are named on a transcript (c. of HGVS), with a label, a score, or both: saturation genome "
        "editing as MaveDB has it",
        sources=_ANNOTATED,
        required=("table", "genes", "genome"),
        options=_MEASURED | _ON_TRANSCRIPTS | _TOLD | _KINDS | _LENGTH,
        offers=("splice_distance",),
    ),
    "transcript_values": Reader(
        makes="classes",
        function="outputs.transcript_values:read",
        help="the same as a regression: windows with the other allele in place and their scores; splits keep exons of "
        "the transcript (with their introns' ends), or positions, whole",
        sources=_ANNOTATED,
        required=("table", "genes", "genome"),
        options=_ON_TRANSCRIPTS
        | {
            "score": Option("text", "score", "column of the score"),
            "filter": _MEASURED["filter"],
            "kinds": _MEASURED["kinds"],
        }
        | _KINDS
        | _LENGTH
        | _SAVED_EXONS,
        labels=(VALUES,),
    ),
    "alleles": Reader(
        makes="classes",
        function="alleles:read",
        help="variants of any VCF with their class, or numbers, in INFO fields, as windows with the other allele in "
        "place",
        sources={"vcf": "VCF or BCF"} | _GENOME,
        required=("vcf", "genome"),
        options={
            "label": Option(
                "text",
                "",
                "INFO field of the class; of CLNSIG benign and pathogenic are read; of values and tracks one each",
            )
        }
        | _LABELS
        | _LENGTH
        | _SPLITS
        | _DEALT,
        labels=ANY,
    ),
    "sge": Reader(
        makes="variants",
        function="variant_sets:read_sge",
        help="BRCA1 saturation genome editing (Findlay 2018): SNVs with function scores",
        sources={"table": "the publication's workbook (.xlsx)"} | _GRCH38,
        required=("table", "genome"),
        options=_LENGTH
        | {
            "offset": Option("whole_number", 1847983, "hg38 position less hg19 position, constant over BRCA1"),
            "unlabelled": Option("yes_or_no", True, "yes: keep those of intermediate function, without label; or no"),
            "columns": Option(
                "words",
                [],
                "what the set tells of a variant besides: phylop, cadd, protein (p.S4F), splice_distance (bp)",
            ),
        },
    ),
    "sge_values": Reader(
        makes="classes",
        function="outputs.sge_values:read",
        help="BRCA1 saturation genome editing (Findlay 2018) as a regression: windows with the other allele in place "
        "and their function scores; splits keep exons, or positions, whole",
        sources={"table": "the publication's workbook (.xlsx)"} | _GRCH38,
        required=("table", "genome"),
        options=_LENGTH
        | {
            "offset": Option("whole_number", 1847983, "hg38 position less hg19 position, constant over BRCA1"),
        }
        | _SAVED_EXONS,
        labels=(VALUES,),
    ),
    "tp53_missense": Reader(
        makes="variants",
        function="variant_sets:read_tp53_missense",
        help="TP53 missense SNVs worked out from a table of protein changes",
        sources={"table": "CSV with mutation (R175H) and label (benign, pathogenic)"} | _GRCH38,
        required=("table", "genome"),
        options=_LENGTH,
        offers=("protein",),
    ),
    "effects": Reader(
        makes="effects",
        function="expression.build:read",
        help="mean expression of each condition of a perturbation screen, from cells, wells or means of conditions",
        sources={
            "matrix": "matrix: .h5ad, .mtx or its directory, .gct, .rda, .rds, .npz, .csv, .tsv (.gz), .parquet; "
            "or an archive of one",
            "features": "table of a .mtx: id and symbol, tab-separated, no header",
            "barcodes": "table of a .mtx: names of the cells",
            "obs": "table of the cells, wells or samples, with a column of their names (CSV or TSV)",
            "names": "names of genes, old and new: HGNC's complete set, or a table of annotables (.rda, CSV)",
        },
        required=("matrix",),
        options={
            "condition": Option("text", "condition", "column of the conditions; else names of rows"),
            "target": Option("text", "", "column of the perturbed genes, where the condition's name is none of them"),
            "control": Option("words", [], "names of the control, may end in *; else the usual ones (ctrl, NT)"),
            "halves": Option(
                "text",
                "drawn",
                "how replicates are dealt into halves: drawn at random; ordered: the first and the second half of "
                "them; interleaved: the same, and every other one of the control",
            ),
            "controls": Option("row_filters", {}, "rows that are control whatever their name, as pert_type=ctl_vector"),
            "separator": Option("text", "+", "sign between two genes, or its name: underscore, semicolon, bar, none"),
            "keep": Option("row_filters", {}, "rows to keep, as cell_type=K562/k562,dose=1"),
            "direction": Option("text", "unknown", "activation, knockdown, knockout or unknown"),
            "min_cells": Option("at_least_one", 1, "conditions of fewer cells are left out"),
            "barcode": Option("text", "", "column of obs that names the rows of the matrix; without it, the first"),
        }
        | _MATRIX,
    ),
}

SEQUENCE_READERS = {name: reader for name, reader in READERS.items() if reader.makes != "effects"}
EFFECT_READERS = {name: reader for name, reader in READERS.items() if reader.makes == "effects"}
