"""Windows by kind: what an annotation, and the case of letters, say of their bases."""

import numpy as np
import pytest

from foundationless.data.reference import Genome, Piece, prepare_genome
from foundationless.errors import UserError
from foundationless.tasks.readers.regions.kinds import read

OPTIONS = {"length": 100, "promoter": 200, "per_kind": 0, "contigs": [], "test_contigs": ["chr2"],
           "validation_contigs": [], "fractions": [0.7, 0.1, 0.2]}  # fmt: skip


def line(contig, feature, start, end, strand):
    return f'{contig}\tx\t{feature}\t{start}\t{end}\t.\t{strand}\t.\tgene_id "g"; gene_type "t";\n'


@pytest.fixture
def sources(tmp_path):
    generator = np.random.default_rng(0)
    text = {name: "".join(generator.choice(list("ACGT"), 1000)) for name in ("chr1", "chr2")}
    text["chr1"] = text["chr1"][:900] + text["chr1"][900:].lower()
    text["chr2"] = text["chr2"][:800] + "N" * 50 + text["chr2"][850:]
    fasta, genes = tmp_path / "g.fa", tmp_path / "g.gtf"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in text.items()))
    plus = [("gene", 301, 700), ("exon", 301, 400), ("exon", 601, 700)]
    minus = [("gene", 101, 400), ("exon", 101, 400)]
    genes.write_text(
        "".join(line("chr1", *each, "+") for each in plus) + "".join(line("2", *each, "-") for each in minus)
    )
    return {"genome": fasta, "genes": genes}


def test_a_window_is_what_most_of_its_bases_are(sources):
    frame = read(sources, OPTIONS, 1).set_index("id")
    kinds = ["other", "promoter", "promoter", "exon", "intron", "intron", "exon", "other", "other", "repeat"]
    assert [frame.loc[f"chr1:{100 * k + 1}", "label"] for k in range(10)] == kinds
    assert frame.loc["chr1:901", "sequence"].isupper()
    other = ["other", "exon", "exon", "exon", "promoter", "promoter", "other", "other"]
    assert [frame.loc[f"chr2:{100 * k + 1}", "label"] for k in range(8)] == other
    assert "chr2:801" not in frame.index, "half of it is not known"
    assert set(frame.loc[frame["split"] == "test", "group"]) == {"chr2:0"}


def test_without_an_annotation_there_are_repeats_and_others(sources):
    frame = read({"genome": sources["genome"]}, OPTIONS | {"per_kind": 3}, 1)
    assert frame.groupby(["label", "split"]).size().to_dict() == {
        ("other", "test"): 3, ("other", "train"): 3, ("repeat", "train"): 1
    }  # fmt: skip


def test_an_annotation_without_exons_is_no_ground_for_introns(sources):
    sources["genes"].write_text(line("chr1", "gene", 5, 90, "+"))
    with pytest.raises(UserError, match="holds no exons"):
        read(sources, OPTIONS, 1)
    sources["genes"].write_text(line("chr1", "exon", 90, 5, "+"))
    with pytest.raises(UserError, match="is no interval"):
        read(sources, OPTIONS, 1)


@pytest.mark.parametrize("strand", ["+", "-"])
def test_repeats_of_a_prepared_genome_are_those_of_its_source(sources, tmp_path, strand):
    """The case of letters goes the whole way where the genome is soft-masked, else all is upper."""
    raw = "ACGTN" * 20 + "acgtnr" * 20 + "TTTGC" * 20
    (tmp_path / "raw.fa").write_text(f">chr1\n{raw}\n")
    piece = Piece(tmp_path / "raw.fa", strand=strand)
    prepare_genome([piece], tmp_path / "masked.fa", soft_masked=True)
    prepare_genome([piece], tmp_path / "upper.fa")
    masked, upper = (Genome(tmp_path / f"{name}.fa") for name in ("masked", "upper"))
    letters = masked.letters("chr1", 0, len(raw))
    assert letters.upper() == upper.letters("chr1", 0, len(raw)) == masked.fetch("chr1", 0, len(raw))
    step = 1 if strand == "+" else -1
    assert [letter.islower() for letter in letters] == [letter.islower() for letter in raw[::step]]
