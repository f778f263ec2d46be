"""Files as people have them: what readers make of copies, gaps, other spellings and other conventions."""

import gzip
import random

import pandas as pd
import pytest

from foundationless.data.dna import reverse_complement
from foundationless.tasks.splits import joined_by_text, named_by_text
from support.commands import building, built, call, output_of, refused


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def fasta(path, records):
    path.write_text("".join(f">{name}\n{text}\n" for name, text in records.items()))
    return path


def one_split_each(frame) -> bool:
    """Identical sequences, on either strand, are of one group and in one split."""
    text = frame["sequence"].map(lambda held: min(held, reverse_complement(held)))
    return bool((frame.groupby(text)[["split", "group"]].nunique() == 1).all(axis=None))


@pytest.fixture
def genome(tmp_path):
    """X and Y with 40 genes of 60 bases in common, Y's in other places; a gap on X, and an X that is a slice."""
    shared = [dna(60, seed) for seed in range(40)]
    parts = {"chrX": [dna(500, 90)], "chrY": [dna(300, 91)], "chr1": [dna(9000, 92)]}
    for number, text in enumerate(shared):
        parts["chrX"] += [dna(40, 200 + number), text]
        parts["chrY"] += [dna(31, 300 + number), text]
    whole = {name: "".join(texts) for name, texts in parts.items()}
    whole["chr1"] = whole["chr1"][:2000] + "N" * 700 + whole["chr1"][2700:]
    whole["chr2:5001-7000"] = dna(2000, 93)
    return fasta(tmp_path / "genome.fa", whole)


def pseudoautosomal(gtf: bool):
    """Genes on X and their copies on Y with ids of their own, and others on chr1."""
    rows = []
    for number in range(40):
        kind = ("protein_coding", "lncRNA")[number % 2]
        rows += [
            ("chrX", 540 + 100 * number, f"ENSG{number}", kind),
            ("chrY", 331 + 91 * number, f"ENSGR{number}", kind),
        ]
        rows.append(("chr1", 3000 + 100 * number, f"ENSG{100 + number}", kind))
    if not gtf:
        return "".join(f"{c}\t{s}\t{s + 60}\t{gene}\t0\t+\t{kind}\n" for c, s, gene, kind in rows)
    text = '{}\tx\tgene\t{}\t{}\t.\t+\t.\tgene_id "{}"; gene_type "{}";\n'
    return "".join(text.format(c, s + 1, s + 60, gene, kind) for c, s, gene, kind in rows)


@pytest.mark.parametrize("gtf", [True, False])
@pytest.mark.parametrize("by_contig", [True, False])
def test_copies_of_genes_on_y_are_not_torn(tmp_path, genome, gtf, by_contig, capsys):
    path = tmp_path / ("genes.gtf" if gtf else "genes.bed")
    path.write_text(pseudoautosomal(gtf))
    options = ["test_contigs=chrY"] if by_contig else []
    frame = built(tmp_path / "set.parquet", "genes", {"genes": path, "genome": genome}, options)
    assert one_split_each(frame)
    if by_contig:
        assert set(frame.loc[frame["id"].str.startswith("ENSGR"), "split"]) == {"test"}
        assert "40 sequences on contigs of an earlier split stand on those of a later" in capsys.readouterr().err
        assert not frame["id"].isin([f"ENSG{number}" for number in range(40)]).any()
    else:
        assert len(frame) == 120 and set(frame["split"]) == {"train", "validation", "test"}
        pairs = frame.set_index("id")["group"]
        assert all(pairs[f"ENSGR{number}"] == pairs[f"ENSG{number}"] for number in range(40))


def test_identical_sequences_are_one_group_in_every_reader(tmp_path, genome):
    """Each reader is given sequences that stand in several of its rows, once on the other strand."""
    texts = [dna(50, seed) for seed in range(60)]
    doubled = [*texts, *texts[:30], *map(reverse_complement, texts[30:45])]
    labels = ["ab"[number % 2] for number in range(len(doubled))]
    table = tmp_path / "train.csv"
    pd.DataFrame({"sequence": doubled, "label": labels}).to_csv(table, index=False)
    other = tmp_path / "test.csv"
    pd.DataFrame({"sequence": [dna(50, seed) for seed in range(900, 920)], "label": ["a", "b"] * 10}).to_csv(
        other, index=False
    )
    made = {
        "table": built(tmp_path / "1.parquet", "table", {"train": table, "test": other}, ["validation_fraction=0.4"])
    }
    named = fasta(tmp_path / "a.fa", {f"chr{number}_1_50": text for number, text in enumerate(doubled)})
    tested = fasta(tmp_path / "t.fa", {f"t{number}": dna(50, 990 + number) for number in range(5)})
    sources = {f"{split}.{label}": path for split, path in (("train", named), ("test", tested)) for label in "a"}
    made["fasta_classes"] = built(tmp_path / "2.parquet", "fasta_classes", sources, ["validation_fraction=0.4"])
    places = [(540 + 100 * n, "chrX", "+-"[n % 2]) for n in range(40)] + [
        (331 + 91 * n, "chrY", "+") for n in range(40)
    ]
    bed = "".join(
        f"{contig}\t{start}\t{start + 60}\t{'ab'[n % 2]}\t0\t{strand}\n"
        for n, (start, contig, strand) in enumerate(places)
    )
    (tmp_path / "i.bed").write_text(bed)
    made["intervals"] = built(tmp_path / "3.parquet", "intervals", {"bed": tmp_path / "i.bed", "genome": genome})
    fasta(tmp_path / "tx.fa", {f"T{number}": text for number, text in enumerate(doubled)})
    pd.DataFrame([(f"T{n}", f"G{n // 3}") for n in range(len(doubled))], columns=["enstxp", "ensgene"]).to_csv(
        tmp_path / "tx.csv", index=False
    )
    pd.DataFrame({"ensgene": [f"G{n}" for n in range(35)], "biotype": ["x", "y"] * 17 + ["x"]}).to_csv(
        tmp_path / "g.csv", index=False
    )
    sources = {"fasta": tmp_path / "tx.fa", "genes": tmp_path / "g.csv", "tx2gene": tmp_path / "tx.csv"}
    made["transcripts"] = built(tmp_path / "4.parquet", "transcripts", sources, ["fractions=0.4,0.2,0.4"])
    for reader, frame in made.items():
        assert one_split_each(frame), reader
        assert frame["split"].nunique() > 1 and frame["sequence"].duplicated().any(), reader
    frame = made["transcripts"]  # no gene is torn either
    assert (frame.assign(gene=frame["id"].str[1:].astype(int) // 3).groupby("gene")["split"].nunique() == 1).all()


def test_groups_are_linked_as_networkx_links_them():
    networkx = pytest.importorskip("networkx")
    generator = random.Random(1)
    for size in (1, 5, 40, 200):
        sequences = [dna(20, generator.randrange(size)) for _ in range(size)]
        sequences = [generator.choice([text, reverse_complement(text)]) for text in sequences]
        groups = [f"g{generator.randrange(1 + 2 * size)}" for _ in sequences]
        keys = [min(text, reverse_complement(text)) for text in sequences]
        graph = networkx.Graph(list(zip(keys, groups, strict=True)))
        part = {name: number for number, names in enumerate(networkx.connected_components(graph)) for name in names}
        joined = joined_by_text(sequences, groups)
        assert all(
            (a == b) == (part[x] == part[y])
            for a, x in zip(joined, groups, strict=True)
            for b, y in zip(joined, groups, strict=True)
        )
        assert set(joined) <= set(groups)
        assert named_by_text(sequences, groups) == [groups[keys.index(key)] for key in keys]


def test_intervals_by_class_outside_the_genome_are_left_out_as_bedtools_does(tmp_path, genome, tool, capsys):
    """Beyond the end of a contig, in a gap of a slice, on a contig that is not there, in a run of N."""
    inside = [("chr1", at, at + 50, "+") for at in range(0, 1800, 60)] + [("chr2", 5100, 5150, "-")]
    outside = [
        ("chr1", 20_000, 20_050, "+"),
        ("chr2", 100, 150, "+"),
        ("chr2", 8000, 8050, "+"),
        ("chr9", 5, 55, "+"),
        ("chr1", 2100, 2150, "+"),
    ]
    rows = pd.DataFrame([*inside, *outside], columns=["region", "start", "end", "strand"])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    sources = {"genome": genome, "train.a": tmp_path / "rows.csv", "test.a": tmp_path / "rows.csv"}
    frame = built(tmp_path / "set.parquet", "fasta_classes", sources)
    told = capsys.readouterr().err
    assert "rows.csv: 4 of 36 places are more than half outside the genome: left out" in told
    assert "2 of 64 sequences hold no A, C, G or T: left out" in told
    assert frame["sequence"].str.contains("[ACGT]").all() and len(frame) == 2 * len(inside)
    (tmp_path / "in.bed").write_text("".join(f"{c}\t{s}\t{e}\t.\t.\t{strand}\n" for c, s, e, strand in inside[:-1]))
    answer = output_of(tool("bedtools"), "getfasta", "-s", "-tab", "-fi", genome, "-bed", tmp_path / "in.bed")
    expected = [line.split("\t")[1] for line in answer.splitlines()]
    assert list(frame.loc[frame["id"].str.startswith("test"), "sequence"])[:-1] == expected
    rows.iloc[len(inside) :].to_csv(tmp_path / "rows.csv", index=False)
    assert call(building(tmp_path / "none.parquet", "fasta_classes", sources)) == 2
    assert "none of the 2 sequences holds an A, C, G or T" in capsys.readouterr().err


@pytest.mark.parametrize("reader", ["table", "fasta_classes", "transcripts"])
def test_ambiguous_letters_and_rna_are_spelt_alike(tmp_path, reader, capsys):
    """`strict_alphabet` says what becomes of them: the default mends, `yes` refuses."""
    texts = ["ACGTRYSWKMBDHVN", "acguACGU", "NNNN", dna(30, 1), dna(30, 2)]
    if reader == "table":
        pd.DataFrame({"sequence": texts, "label": list("ababa")}).to_csv(tmp_path / "t.csv", index=False)
        sources = {"train": tmp_path / "t.csv", "test": tmp_path / "t.csv"}
    else:
        path = fasta(tmp_path / "t.fa", {f"T{number}": text for number, text in enumerate(texts)})
        sources = {"train.a": path, "test.a": path}
    if reader == "transcripts":
        pd.DataFrame({"enstxp": [f"T{n}" for n in range(5)], "ensgene": [f"G{n}" for n in range(5)]}).to_csv(
            tmp_path / "x.csv"
        )
        pd.DataFrame({"ensgene": [f"G{n}" for n in range(5)], "biotype": "a"}).to_csv(tmp_path / "g.csv")
        sources = {"fasta": path, "genes": tmp_path / "g.csv", "tx2gene": tmp_path / "x.csv"}
    frame = built(tmp_path / "set.parquet", reader, sources)
    assert {"ACGT" + "N" * 11, "ACGTACGT"} <= set(frame["sequence"]) and not frame["sequence"].eq("NNNN").any()
    assert "sequences hold no A, C, G or T: left out" in capsys.readouterr().err
    assert not frame["sequence"].str.contains("[^ACGTN]").any()
    argv = building(tmp_path / "no.parquet", reader, sources, ["strict_alphabet=yes"])
    assert call(argv) == 2 and "holds 'R' at position 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "table", "ids"),
    [
        (["ENST1.2", "ENST2.11"], ["ENST1", "ENST2"], ["ENST1", "ENST2"]),
        (["ENST1.2|ENSG1.5|OTTHUMG|x|", "ENST2.11|ENSG2|"], ["ENST1", "ENST2"], ["ENST1", "ENST2"]),
        (["ENST1.2|ENSG1.5|", "ENST2.1|ENSG2|"], ["ENST1.2", "ENST2.1"], ["ENST1.2", "ENST2.1"]),
        (["ENST1", "ENST2"], ["ENST1.2", "ENST2.7"], ["ENST1.2", "ENST2.7"]),
        (["AT1G01010.1", "AT1G01010.2"], ["AT1G01010.1", "AT1G01010.2"], ["AT1G01010.1", "AT1G01010.2"]),
        (["Y74C9A.3a.1", "Y74C9A.3b"], ["Y74C9A.3a.1", "Y74C9A.3b"], ["Y74C9A.3a.1", "Y74C9A.3b"]),
        (["Os01t0100100-01.3", "NM_1.2"], ["Os01t0100100-01", "NM_1"], ["Os01t0100100-01", "NM_1"]),
        (["ENST1.2_PAR_Y", "ENST1.2", "ENST2.2"], ["ENST1", "ENST2"], ["ENST1", "ENST2"]),
        (["ENST1.2_PAR_Y|ENSG1.1_PAR_Y|", "ENST1.2|ENSG1|", "ENST2"], ["ENST1", "ENST2"], ["ENST1", "ENST2"]),
    ],
)
def test_transcripts_are_found_by_whole_and_by_unversioned_ids(tmp_path, names, table, ids):
    path = fasta(tmp_path / "t.fa", {name + " more.5 text": dna(40, number) for number, name in enumerate(names)})
    pd.DataFrame({"enstxp": table, "ensgene": ["G1.4", "G2"]}).to_csv(tmp_path / "x.csv", index=False)
    pd.DataFrame({"ensgene": ["G1", "G2.8"], "biotype": ["a", "b"]}).to_csv(tmp_path / "g.csv", index=False)
    sources = {"fasta": path, "genes": tmp_path / "g.csv", "tx2gene": tmp_path / "x.csv"}
    frame = built(tmp_path / "set.parquet", "transcripts", sources)
    assert list(frame["id"]) == ids and list(frame["label"]) == ["a", "b"]


GENCODE = "ID={id};gene_id={id};gene_type={kind};gene_name=x%3By"
ENSEMBL = "ID=gene:{id};Name=x;biotype={kind};gene_id={id};version=3"
NCBI = "ID=gene-{id};Dbxref=GeneID:1;Name=x;gbkey=Gene;gene={id};gene_biotype={kind}"
GTF = 'gene_id "{id}"; gene_type "{kind}"; note "a; b";'


@pytest.mark.parametrize("name", ["g.gff3", "g.gff3.gz", "g.gff", "g.gtf", "g.txt"])
@pytest.mark.parametrize(
    ("attributes", "feature"),
    [(GENCODE, "gene"), (ENSEMBL, "gene"), (ENSEMBL, "ncRNA_gene"), (NCBI, "pseudogene"), (GTF, "gene")],
)
def test_annotations_are_read_by_what_they_hold(tmp_path, genome, name, attributes, feature):
    lines = ["##gff-version 3"] if attributes is not GTF else ["#!genome-build x"]
    lines.append("chr1\tx\tregion\t1\t9000\t.\t.\t.\t" + ("ID=chr1" if attributes is not GTF else 'note "chr1";'))
    for number in range(20):
        kind = ("lncRNA", "snRNA")[number % 2]
        start, strand = 3001 + 100 * number, "+-"[number % 2]
        for what, end in ((feature, start + 49), ("exon", start + 9)):
            text = attributes.format(id=f"G{number}", kind=kind)
            lines.append(f"1\tx\t{what}\t{start}\t{end}\t.\t{strand}\t.\t{text}")
    lines.append(f"1\tx\t{feature}\t1\t50\t.\t+\t.\t" + attributes.format(id="G7.2_PAR_Y", kind="lncRNA"))
    if attributes is not GTF:
        lines += ["##FASTA", ">chr1", "ACGT"]
    text = ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    frame = built(tmp_path / "set.parquet", "genes", {"genes": tmp_path / name, "genome": genome}).set_index("id")
    known = genome.read_text().split(">chr1\n")[1].split("\n")[0]
    assert len(frame) == 20 and frame["label"].value_counts().to_dict() == {"lncRNA": 10, "snRNA": 10}
    assert frame.loc["G2", "sequence"] == known[3200:3250]
    assert frame.loc["G3", "sequence"] == reverse_complement(known[3300:3350])


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        ("01", ["0.0", "1.0"], ["0", "1"]),
        (["0.0", "1.0"], "01", ["0", "1"]),
        (["0", "1", "0.0"], ["1.0"], ["0", "1"]),
        (["0.0", "1.0"], ["1.0"], ["0.0", "1.0"]),
        (["-1", "1"], ["-1.0", "1."], ["-1", "1"]),
        (["0.5", "1.5"], ["1.5"], ["0.5", "1.5"]),
        ("12", "01", None),
        (["yes", "no"], ["Yes", "no"], None),
    ],
)
def test_labels_of_all_files_mean_one_thing(tmp_path, capsys, train, test, classes):
    for split, labels in (("train", train), ("test", test)):
        texts = [dna(30, len(split) * 100 + number) for number in range(2 * len(labels))]
        pd.DataFrame({"sequence": texts, "label": [*labels, *labels]}).to_csv(tmp_path / f"{split}.csv", index=False)
    request = tmp_path / "set.parquet", "table", {split: tmp_path / f"{split}.csv" for split in ("train", "test")}
    if classes is None:
        assert "that no training row has" in refused(capsys, building(*request))
    else:
        assert sorted(set(built(*request)["label"])) == classes


def test_the_names_of_labels_fit_other_spellings(tmp_path):
    for split, labels in (("train", ["0", "1"] * 5), ("test", ["0.0", "1.0"])):
        texts = [dna(30, len(split) * 100 + number) for number in range(len(labels))]
        pd.DataFrame({"sequence": texts, "label": labels}).to_csv(tmp_path / f"{split}.csv", index=False)
    sources = {split: tmp_path / f"{split}.csv" for split in ("train", "test")}
    frame = built(tmp_path / "set.parquet", "table", sources, ["labels=0:none,1:site"])
    assert set(frame["label"]) == {"none", "site"}


def test_ids_that_count_anew_in_each_file(tmp_path, capsys):
    for split, start in (("train", 0), ("validation", 50), ("test", 80)):
        rows = {"id": range(6), "sequence": [dna(30, start + n) for n in range(6)], "label": ["a", "b"] * 3}
        pd.DataFrame(rows).to_csv(tmp_path / f"{split}.csv", index=False)
    sources = {split: tmp_path / f"{split}.csv" for split in ("train", "validation", "test")}
    frame = built(tmp_path / "set.parquet", "table", sources)
    assert list(frame["id"]) == [f"{split}_{n}" for split in sources for n in range(6)]
    sources["test"] = sources["train"]  # the same sequences under the same ids: rather a mistake
    assert "stands more than once" in refused(capsys, building(tmp_path / "no.parquet", "table", sources))


def test_an_interval_that_stands_twice(tmp_path, genome, capsys):
    rows = [f"chr1\t{at}\t{at + 50}\t{'ab'[at // 60 % 2]}\t{at % 7}\t+\n" for at in range(0, 1800, 60)]
    bed = tmp_path / "peaks.bed"
    bed.write_text("".join([*rows, *rows[3:6], rows[0].replace("+", "-")]))
    frame = built(tmp_path / "set.parquet", "intervals", {"bed": bed, "genome": genome})
    assert len(frame) == 31 and "3 of 34 rows are repeated: kept once" in capsys.readouterr().err
    assert frame.set_index("id").loc[["chr1:0-50(+)", "chr1:0-50(-)"], "split"].nunique() == 1
    bed.write_text("".join([*rows, rows[0].replace("\ta\t", "\tb\t")]))
    error = refused(capsys, building(tmp_path / "no.parquet", "intervals", {"bed": bed, "genome": genome}))
    assert "peaks.bed: chr1 0 50 + stands there with two labels" in error


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_loses_no_row(tmp_path, genome, mark):
    rows = "".join(f"chr1\t{at}\t{at + 50}\t{'ab'[at // 60 % 2]}\t0\t+\n" for at in range(0, 1800, 60))
    (tmp_path / "i.bed").write_bytes(rows.encode(mark))
    assert len(built(tmp_path / "set.parquet", "intervals", {"bed": tmp_path / "i.bed", "genome": genome})) == 30
    (tmp_path / "i.bed.gz").write_bytes(gzip.compress(rows.encode(mark)))
    assert len(built(tmp_path / "set.parquet", "intervals", {"bed": tmp_path / "i.bed.gz", "genome": genome})) == 30
