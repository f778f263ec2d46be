"""Labels with outputs, regression and multi-label: what readers make of them, and what draws and audits do."""

import random

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from foundationless.data.dna import reverse_complement
from foundationless.data.outputs import format_outputs
from foundationless.data.reference import Piece, prepare_genome
from foundationless.errors import UserError
from foundationless.tasks import derivations, leakage, shortcuts
from foundationless.tasks.dealing import deal
from foundationless.tasks.outputs import shortcuts as of_outputs
from foundationless.tasks.outputs.agreement import agreement
from foundationless.tasks.outputs.labels import output_values
from foundationless.tasks.sequence_sets import labels_in, read_sequences, with_outputs, write_sequences
from support.commands import building, built, call, refused


def dna(length, seed):
    return "".join(random.Random(seed).choices("ACGT", k=length))


def numbers(count=120, seed=0):
    """A table of sequences with two numbers, of which some are not known, and one of zeros and ones."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"sequence": [dna(80, 1000 * seed + row) for row in range(count)]})
    table["dev"] = rng.normal(size=count) * 1e3
    table["hk"] = np.where(np.arange(count) % 5 == 0, np.nan, rng.normal(size=count) / 3)
    return table.assign(open=rng.integers(0, 2, count))


def build(tmp_path, reader, sources, options=(), *more, name="set.parquet", seed=1):
    return built(tmp_path / name, reader, sources, options, *more, seed=seed)


VALUES = ["label=dev,hk", "label_kind=values"]


# ---- the reader table


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "xlsx"])
def test_values_are_those_of_pandas(tmp_path, ending):
    table, path = numbers(), tmp_path / f"all.{ending}"
    write = {"csv": table.to_csv, "parquet": table.to_parquet, "xlsx": table.to_excel}
    if ending == "tsv":
        table.to_csv(path, sep="\t", index=False, na_rep="NA")
    else:
        write[ending](path, index=False)
    table = pd.read_excel(path) if ending == "xlsx" else table  # which keeps 16 digits
    frame = build(tmp_path, "table", {"all": path}, VALUES)
    assert labels_in(frame) == ("values", ["dev", "hk"]) and len(frame) == len(table)
    known = table.set_index("sequence").loc[frame["sequence"], ["dev", "hk"]].to_numpy()
    np.testing.assert_array_equal(output_values(frame), known)


@pytest.mark.parametrize(("written", "read"), [
    ("1", 1), ("1.0", 1), ("true", 1), ("True", 1), ("0", 0), ("0.00", 0), ("FALSE", 0), ("NA", None), ("nan", None),
    ("", None), (" ", None),
])  # fmt: skip
def test_tracks_are_written_in_many_ways(tmp_path, written, read):
    table = numbers().assign(open=lambda made: made["open"].astype(str), other=0)
    table.loc[3, "open"] = written
    table.loc[::2, "other"] = 1
    table.to_csv(tmp_path / "all.csv", index=False)
    frame = build(tmp_path, "table", {"all": tmp_path / "all.csv"}, ["label=open,other", "label_kind=tracks"])
    value = output_values(frame)[frame["sequence"] == table["sequence"][3], 0]
    assert value == read if read is not None else np.isnan(value)


def test_rows_of_which_nothing_is_known_are_left_out_and_counted(tmp_path, capsys):
    table = numbers()
    table.loc[[4, 5, 9], ["dev", "hk"]] = np.nan
    table.to_csv(tmp_path / "all.csv", index=False)
    frame = build(tmp_path, "table", {"all": tmp_path / "all.csv"}, VALUES)
    assert set(frame["sequence"]) == set(table["sequence"].drop([4, 5, 9]))
    assert "3 of 120 rows have no label: left out" in capsys.readouterr().err


def test_given_splits_and_a_validation_split_without_strata(tmp_path):
    """Numbers that are all distinct are no strata: a tenth of train is drawn for validation, not a row of each."""
    numbers(200).to_csv(tmp_path / "train.csv", index=False)
    numbers(50, seed=1).to_csv(tmp_path / "test.csv", index=False)
    frame = build(tmp_path, "table", {split: tmp_path / f"{split}.csv" for split in ("train", "test")}, VALUES)
    assert frame["split"].value_counts().to_dict() == {"train": 180, "validation": 20, "test": 50}
    assert labels_in(frame) == ("values", ["dev", "hk"])


@pytest.mark.parametrize(("change", "options", "said"), [
    ({"dev": "high"}, VALUES, r"row 8 has 'high' in the column 'dev', which is no finite number"),
    ({"hk": "0,5"}, VALUES, r"row 8 has '0,5' in the column 'hk', which is no finite number"),
    ({"hk": "1e300"}, VALUES, r"row 8 has '1e300' in the column 'hk', which is no finite number of at most 1e+15"),
    ({"hk": "inf"}, VALUES, r"row 8 has 'inf' in the column 'hk'"),
    ({"hk": "1_000"}, VALUES, r"row 8 has '1_000' in the column 'hk'"),
    ({"open": 2}, ["label=open", "label_kind=tracks"], r"row 8 has '2' in the column 'open', which is none of 0 and 1"),
    ({}, ["label=dev,gone", "label_kind=values"], r"has no column 'gone'"),
    ({}, ["label=dev,dev", "label_kind=values"], r"each column is named once"),
    ({}, ["label=dev", "label_kind=numbers"], r"option label_kind=numbers is not understood"),
    ({}, [*VALUES, "labels=1:one"], r"option labels names classes; of label_kind=values leave it out"),
    ({}, ["sequence=sequence,sequence", "label=open"], r"option sequence=sequence,sequence: each column"),
])  # fmt: skip
def test_mistakes_name_row_and_column(tmp_path, capsys, change, options, said):
    table = numbers().astype(object)
    for column, value in change.items():
        table.loc[7, column] = value
    table.to_csv(tmp_path / "all.csv", index=False)
    line = refused(capsys, building(tmp_path / "set.parquet", "table", {"all": tmp_path / "all.csv"}, options))
    assert said.strip("r") in line and not (tmp_path / "set.parquet").exists()


@pytest.mark.parametrize(("train", "test", "said"), [
    ({"hk": 1.5}, {}, "output 'hk' has no two training rows that differ of which it is known"),
    ({"hk": np.nan}, {}, "output 'hk' has no two training rows"),
    ({}, {"hk": np.nan}, "output 'hk' has no test row"),
    ({}, {"hk": 1.0, "dev": 2.0}, "no output has two test rows that differ"),
])  # fmt: skip
def test_an_output_that_cannot_be_learned_or_tested_is_refused(tmp_path, capsys, train, test, said):
    numbers().assign(**train).to_csv(tmp_path / "train.csv", index=False)
    numbers(40, seed=1).assign(**test).to_csv(tmp_path / "test.csv", index=False)
    sources = {split: tmp_path / f"{split}.csv" for split in ("train", "test")}
    line = refused(capsys, building(tmp_path / "set.parquet", "table", sources, VALUES))
    assert said in line


@pytest.mark.parametrize("kind", ["values", "classes"])
def test_pairs_are_joined_by_a_gap(tmp_path, kind):
    table = numbers().assign(promoter=[dna(30, 5000 + row) for row in range(120)])
    table.to_csv(tmp_path / "all.csv", index=False)
    label = {"values": "dev", "classes": "open"}[kind]
    options = ["sequence=promoter,sequence", "gap=7", f"label={label}", f"label_kind={kind}"]
    frame = build(tmp_path, "table", {"all": tmp_path / "all.csv"}, options)
    assert set(frame["sequence"]) == set(table["promoter"] + "N" * 7 + table["sequence"])
    table.loc[2, "promoter"] = ""
    table.to_csv(tmp_path / "all.csv", index=False)
    argv = building(tmp_path / "other.parquet", "table", {"all": tmp_path / "all.csv"}, options)
    assert call(argv) == 2


def test_a_limit_is_drawn_without_strata(tmp_path):
    numbers().to_csv(tmp_path / "all.csv", index=False)
    whole = build(tmp_path, "table", {"all": tmp_path / "all.csv"}, VALUES)
    frame = build(tmp_path, "table", {"all": tmp_path / "all.csv"}, VALUES, "--limit=train=20", name="few.parquet")
    assert (frame["split"] == "train").sum() == 20 and (frame["split"] != "train").sum() == (
        whole["split"] != "train"
    ).sum()
    assert labels_in(frame) == labels_in(whole)


# ---- the readers intervals and alleles


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "raw.fa").write_text("".join(f">chr{number}\n{dna(6000, number)}\n" for number in (1, 2, 3)))
    prepare_genome([Piece(tmp_path / "raw.fa")], tmp_path / "genome.fa")
    return tmp_path / "genome.fa"


def write_bed(path, rows):
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def test_scores_of_a_bed_are_values(tmp_path, genome, capsys):
    rows = [(f"chr{at % 3 + 1}", 40 * at, 40 * at + 60, "x", at / 8 if at % 9 else ".", "+") for at in range(100)]
    bed = write_bed(tmp_path / "a.bed", rows)
    options = ["label_kind=values", "test_contigs=chr3", "validation_contigs=chr2"]
    frame = build(tmp_path, "intervals", {"bed": bed, "genome": genome}, options)
    assert labels_in(frame) == ("values", ["score"]) and len(frame) == 100 - 12
    expected = {f"{row[0]}:{row[1]}-{row[2]}(+)": row[4] for row in rows if row[4] != "."}
    assert dict(zip(frame["id"], output_values(frame)[:, 0], strict=True)) == expected
    assert "12 of 100 rows have no label" in capsys.readouterr().err
    rows[6] = (*rows[6][:4], "much", "+")
    argv = building(tmp_path / "b.parquet", "intervals", {"bed": write_bed(bed, rows), "genome": genome}, options)
    assert "row 7 has 'much' in the column 'score'" in refused(capsys, argv)


def test_names_of_a_bed_are_tracks_and_repeated_places_are_of_all(tmp_path, genome):
    names = ["H3", "H3,H4", ".", "H4", ""]
    rows = [(f"chr{at % 3 + 1}", 40 * at, 40 * at + 60, names[at % 5], 0, "+") for at in range(100)]
    rows += [("chr1", 0, 60, "K27", 0, "+"), ("chr2", 40, 100, "K27", 0, "+"), ("chr3", 80, 140, "K27", 0, "+")]
    rows += [("chr1", 120, 180, "K27", 0, "+")]
    options = ["label_kind=tracks", "test_contigs=chr3", "validation_contigs=chr2"]
    frame = build(tmp_path, "intervals", {"bed": write_bed(tmp_path / "a.bed", rows), "genome": genome}, options)
    assert labels_in(frame) == ("tracks", ["H3", "H4", "K27"]) and len(frame) == 100
    found = dict(zip(frame["id"], frame["label"], strict=True))
    assert [found[f"chr{at % 3 + 1}:{40 * at}-{40 * at + 60}(+)"] for at in range(5)] == [
        "1;0;1", "1;1;1", "0;0;1", "0;1;1", "0;0;0",
    ]  # fmt: skip


def test_numbers_of_a_vcf_are_of_their_alleles(tmp_path, genome, capsys):
    texts = {f"chr{number}": dna(6000, number) for number in (1, 2, 3)}
    lines = ['##INFO=<ID=S,Number=A,Type=Float,Description="s">', '##INFO=<ID=T,Number=1,Type=Float,Description="t">']
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={name},length=6000>" for name in texts), *lines]
    lines.append("#" + "\t".join(["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]))
    expected = {}
    for contig, text in texts.items():
        for at in range(100, 5900, 200):
            ref = text[at]
            others = sorted(set("ACGT") - {ref})[:2]
            second = "." if at % 600 == 100 else str(at / 4)
            lines.append(f"{contig}\t{at + 1}\t.\t{ref}\t{','.join(others)}\t.\t.\tS={at / 8},{second};T={at}")
            for alt, value in zip(others, (at / 8, None if second == "." else at / 4), strict=True):
                expected[f"{contig}:{at + 1}:{ref}:{alt}"] = (value, at)
    (tmp_path / "a.vcf").write_text("\n".join(lines) + "\n")
    sources = {"vcf": tmp_path / "a.vcf", "genome": genome}
    options = ["label=S,T", "label_kind=values", "length=40", "test_contigs=chr3", "validation_contigs=chr2"]
    frame = build(tmp_path, "alleles", sources, options)
    assert labels_in(frame) == ("values", ["S", "T"]) and set(frame["id"]) == set(expected)
    for row, values in zip(frame.itertuples(), output_values(frame), strict=True):
        contig, at, _, alt = row.id.split(":")
        assert tuple(None if value != value else value for value in values) == expected[row.id]
        assert row.sequence == texts[contig][int(at) - 21 : int(at) - 1] + alt + texts[contig][int(at) : int(at) + 19]
    frame = build(tmp_path, "alleles", sources, ["label=S", *options[1:]], name="one.parquet")
    assert len(frame) == sum(value is not None for value, _ in expected.values())
    argv = building(tmp_path / "no.parquet", "alleles", sources, ["label=S", "label_kind=tracks", *options[2:]])
    assert "in the column 'S', which is none of 0 and 1" in refused(capsys, argv)
    argv = building(tmp_path / "no.parquet", "alleles", sources, ["label=NOT", *options[1:]])
    assert "none of its 174 rows has a label" in refused(capsys, argv)


@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx"])
@pytest.mark.parametrize("again", ["dev", "dev ", "sequence "])
def test_a_column_that_is_there_twice_is_refused_where_it_is_read(tmp_path, capsys, ending, again):
    table, path = numbers(), tmp_path / f"all.{ending}"
    twice = table.set_axis(["sequence", "dev", "hk", again], axis=1)
    if ending == "xlsx":
        twice.to_excel(path, index=False)
    else:
        twice.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    line = refused(capsys, building(tmp_path / "set.parquet", "table", {"all": path}, VALUES))
    assert f"two columns are called '{again.strip()}'" in line
    twice.set_axis(["sequence", "dev", "hk", "hk.2"], axis=1).assign(x=1).to_csv(tmp_path / "b.csv", index=False)
    assert len(build(tmp_path, "table", {"all": tmp_path / "b.csv"}, VALUES)) == len(table)


@pytest.mark.parametrize("index", ["sequence", "dev", "id"])
def test_a_column_that_pandas_wrote_as_the_index_of_parquet_is_read(tmp_path, index):
    table, path = numbers().assign(id=[f"row{row}" for row in range(120)]), tmp_path / "all.parquet"
    table.to_parquet(path, index=False)
    plain = build(tmp_path, "table", {"all": path}, VALUES)
    table.set_index(index).to_parquet(path)
    pd.testing.assert_frame_equal(build(tmp_path, "table", {"all": path}, VALUES), plain)
    assert set(plain["id"]) == set(table["id"])


# ---- the reader joined_tables


def write_track(path, rows):
    pd.DataFrame(rows, columns=["sequence", "label"]).to_csv(path, index=False)
    return path


def test_tables_of_tracks_are_joined_by_sequence(tmp_path, capsys):
    texts = [dna(70, row) for row in range(60)]
    sources = {
        "train.a": [(text, row % 2) for row, text in enumerate(texts[:30])],
        "train.b": [(text, row % 3 == 0) for row, text in enumerate(texts[10:40])],
        "test.a": [(text, row % 2) for row, text in enumerate(texts[35:50])],
        # Also a training row of a, on the other strand and as it is; a repeated row that contradicts itself.
        "test.b": [(reverse_complement(texts[0]), 1), (texts[5], 0), (texts[50], 1), (texts[50], 0), (texts[51], 1)],
    }
    paths = {role: write_track(tmp_path / f"{role}.csv", rows) for role, rows in sources.items()}
    frame = build(tmp_path, "joined_tables", paths, ["validation_fraction=0.2"])
    said = capsys.readouterr().err
    assert "1 labels are 0 in one row of a track and 1 in another" in said and "have no label: left out" in said
    assert labels_in(frame) == ("tracks", ["a", "b"])
    rows = frame.set_index("sequence")
    assert texts[50] not in rows.index and len(frame) == 51 + 1
    assert rows.loc[texts[12], "label"] == "0;0" and rows.loc[texts[13], "label"] == "1;1"
    assert rows.loc[texts[45], "label"] == "0;" and rows.loc[texts[51], "label"] == ";1"
    held_out = {*texts[35:50], texts[51], texts[0], texts[5], reverse_complement(texts[0])}
    assert set(frame.loc[frame["split"] == "test", "sequence"]) == held_out
    assert rows.loc[texts[0], "group"] == rows.loc[reverse_complement(texts[0]), "group"]
    assert (frame["split"] == "validation").sum() == pytest.approx(0.2 * (frame["split"] != "test").sum(), abs=1)


def test_tables_of_all_rows_are_dealt_out(tmp_path):
    texts = [dna(70, row) for row in range(100)]
    paths = {
        f"all.{name}": write_track(tmp_path / f"{name}.csv", [(text, row // 3 % 2) for row, text in enumerate(part)])
        for name, part in {"a": texts[:80], "b": texts[40:]}.items()
    }
    frame = build(tmp_path, "joined_tables", paths)
    assert set(frame["sequence"]) == set(texts) and set(frame["split"]) == {"train", "validation", "test"}


def test_joined_tables_by_chromosome(tmp_path, genome):
    texts = {number: dna(6000, number) for number in (1, 2, 3)}
    cut = {number: [text[at : at + 60] for at in range(0, 5900, 100)] for number, text in texts.items()}
    every = [(text, row % 2) for part in cut.values() for row, text in enumerate(part)]
    paths = {f"{split}.{name}": write_track(tmp_path / f"{split}{name}.csv", every) for split in ("train", "test")
             for name in "ab"}  # fmt: skip
    frame = build(tmp_path, "joined_tables", paths | {"genome": genome}, ["test_contigs=chr3"])
    assert {split: set(part["group"]) for split, part in frame.groupby("split")}["test"] == {"chr3"}
    assert set(frame.loc[frame["split"] == "test", "sequence"]) == set(cut[3]) and len(frame) == 3 * len(cut[1])
    assert "" not in set(frame["label"]) and set(frame["label"]) == {"0;0", "1;1"}


def test_joined_tables_of_which_nothing_is_left_to_train_are_refused(tmp_path, capsys, genome):
    path = write_track(tmp_path / "a.csv", [(dna(60, 900 + row), row % 2) for row in range(20)])
    roles = dict.fromkeys(["train.a", "test.a"], path)
    assert call(building(tmp_path / "s.parquet", "joined_tables", roles)) == 2
    assert "none is left to train" in capsys.readouterr().err
    roles |= {"genome": genome}
    assert call(building(tmp_path / "s.parquet", "joined_tables", roles, ["test_contigs=chr3"])) == 2
    assert "none of the sequences is left" in capsys.readouterr().err


@pytest.mark.parametrize(("roles", "options", "said"), [
    ([], [], "no source begins with 'test.'"),
    (["train.a", "test"], [], "source 'test' is not known to this reader"),
    (["train.a"], [], "no source begins with 'test.'"),
    (["train.a", "all.b"], [], "sources all.* hold the rows of every split"),
    (["train.a", "test.a"], ["test_contigs=I"], "go together"),
    (["train.a", "test."], [], "names no track"),
])  # fmt: skip
def test_mistakes_of_joined_tables(tmp_path, capsys, roles, options, said):
    path = write_track(tmp_path / "a.csv", [(dna(40, row), row % 2) for row in range(10)])
    argv = building(tmp_path / "set.parquet", "joined_tables", dict.fromkeys(roles, path), options)
    assert said in refused(capsys, argv)


# ---- draws and derived sets


def a_set(kind="values", rows=300, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 2)) if kind == "values" else rng.integers(0, 2, (rows, 2)).astype(float)
    values[::7, 1] = np.nan
    labels = format_outputs(values)
    frame = pd.DataFrame(
        {"id": [f"r{row}" for row in range(rows)], "sequence": [dna(60, 10**6 * seed + row) for row in range(rows)]}
    ).assign(label=labels, split=rng.permutation((["train"] * 6 + ["validation"] * 2 + ["test"] * 2) * (rows // 10)))
    return with_outputs(frame.assign(group=frame["id"]), kind, ["a", "b"])


@pytest.mark.parametrize("kind", ["values", "tracks"])
@pytest.mark.parametrize("derivation", ["pct10", "pct10d2", "dedup", "distant", "permuted"])
def test_derived_sets_keep_their_outputs(tmp_path, kind, derivation):
    frame = a_set(kind)
    write_sequences(tmp_path / "set.parquet", frame)
    argv = ["derive_sequences", "--sequences", tmp_path / "set.parquet", "--derivation", derivation, "--seed", 1]
    assert call([*argv, "--output", tmp_path / "made.parquet"]) == 0
    made = read_sequences(tmp_path / "made.parquet")
    assert labels_in(made) == (kind, ["a", "b"])
    if derivation.startswith("pct"):
        assert (made["split"] == "train").sum() == 18 and (made["split"] == "test").sum() == 60
    if derivation == "permuted":
        moved = made["label"].to_numpy() != frame["label"].to_numpy()
        assert moved.mean() > (0.9 if kind == "values" else 0.5)
        for inside in (frame["split"] == "test", frame["split"] != "test"):
            assert sorted(made.loc[inside, "label"]) == sorted(frame.loc[inside, "label"])


def test_shares_are_nested_and_drawn_anew():
    frame = a_set()
    kept = {
        name: set(derivations.derive(frame, name, 1)[0].query("split == 'train'")["id"])
        for name in ("pct5", "pct20", "pct5d1")
    }
    assert kept["pct5"] < kept["pct20"] and kept["pct5d1"] != kept["pct5"] and len(kept["pct5d1"]) == len(kept["pct5"])


@pytest.mark.parametrize("derivation", ["shot5", "matched", "unrelated", "family"])
def test_what_needs_classes_is_refused(derivation):
    with pytest.raises(UserError, match=r"draws rows of each class|is for sets of people"):
        derivations.derive(a_set(), derivation, 1)


@pytest.mark.parametrize("how", ["", "identical", "rows"])
def test_deals_have_no_strata(how):
    frame = a_set().drop(columns=["split", "group"])
    dealt = deal(frame, {"deal": how, "fractions": [0.6, 0.2, 0.2]}, 1, "here")
    assert dealt["split"].value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.6, "validation": 0.2, "test": 0.2}, abs=0.01
    )
    assert labels_in(dealt) == ("values", ["a", "b"])


# ---- transfer


@pytest.fixture
def two_sets(tmp_path):
    learned, asked = a_set(seed=1), a_set(seed=2)
    asked = with_outputs(asked, "values", ["B", "a"])
    for name, frame in (("learned", learned), ("asked", asked)):
        write_sequences(tmp_path / f"{name}.parquet", frame)
    return learned, asked, {"train": tmp_path / "learned.parquet", "test": tmp_path / "asked.parquet"}


def test_transfer_has_the_outputs_of_the_training_set(tmp_path, two_sets):
    learned, asked, sources = two_sets
    frame = build(tmp_path, "transfer", sources, ["labels=B:b"])
    assert labels_in(frame) == ("values", ["a", "b"])
    test = frame[frame["split"] == "test"]
    theirs = asked[asked["split"] == "test"]
    np.testing.assert_array_equal(output_values(test), output_values(theirs)[:, ::-1])
    assert len(frame) == len(theirs) + (learned["split"] != "test").sum()


def test_transfer_between_other_labels_is_refused(tmp_path, two_sets, capsys):
    sources = two_sets[2]
    line = refused(capsys, building(tmp_path / "set.parquet", "transfer", sources))
    assert "its outputs are not those of learned.parquet (B, b)" in line
    write_sequences(tmp_path / "asked.parquet", a_set("tracks", seed=3))
    line = refused(capsys, building(tmp_path / "set.parquet", "transfer", sources))
    assert "its labels are tracks, and those of learned.parquet values" in line


# ---- audits


def test_labels_agree_as_far_as_both_are_known():
    same = agreement(a_set("tracks"))
    assert [same("1;0", other) for other in ("1;0", "1;", ";0", ";1", "0;")] == [True, True, True, False, False]
    assert same("1;", ";0") is None
    frame = with_outputs(a_set().assign(label=["0;0", "4;10", ";"] * 100), "values", ["a", "b"])
    same = agreement(frame)  # standard deviations 2 and 5
    assert [same("0;0", other) for other in ("1;2.5", "1.01;0", "0;2.6", ";2.4")] == [True, False, False, True]
    plain = agreement(a_set().drop(columns=[]).pipe(lambda made: pd.DataFrame(made.to_dict("list"))))
    assert plain("x", "x") is True and plain("x", "y") is False


@pytest.mark.parametrize("kind", ["values", "tracks"])
def test_copies_with_another_label_are_conflicts(kind):
    frame = a_set(kind)
    train, test = (frame.index[frame["split"] == split] for split in ("train", "test"))
    near = "0.05;0.05" if kind == "values" else "1;"
    frame.loc[train[:3], "label"] = "0.1;0.1" if kind == "values" else "1;0"
    frame.loc[test[:3], "label"] = [near, "3.1;0.1" if kind == "values" else "0;0", near]
    frame.loc[test[:2], "sequence"] = frame.loc[train[:2], "sequence"].to_numpy()
    frame.loc[test[2], "sequence"] = reverse_complement(frame.loc[train[2], "sequence"])
    rows, counts = leakage.audit(frame)
    assert rows.loc[test[:3], "conflict"].tolist() == [False, True, False] and rows["conflict"].sum() == 1
    assert rows.loc[test[:3], "same_label"].tolist() == [True, False, True]
    summary = leakage.summarise("x", frame, counts)
    assert summary["classes"] == {} and summary["labels"] == kind
    known = np.isfinite(output_values(frame))
    assert summary["outputs"]["b"]["test"] == known[(frame["split"] == "test").to_numpy(), 1].sum()


def planted(kind, share=1.0, rows=600, seed=0):
    """Sequences whose two outputs follow the share of G and C, and their length, but for noise."""
    rng = np.random.default_rng(seed)
    texts, lengths = [], rng.integers(60, 120, rows)
    for length in lengths:
        gc = rng.uniform(0.2, 0.8)
        texts.append("".join(rng.choice(list("ACGT"), length, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])))
    signal = np.column_stack([[(text.count("G") + text.count("C")) / len(text) for text in texts], lengths / 100])
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    values = share * signal + (1 - share) * rng.normal(size=signal.shape)
    values = (values > 0).astype(float) if kind == "tracks" else values
    frame = a_set(kind, rows).assign(sequence=texts, label=format_outputs(values))
    return with_outputs(frame, kind, ["gc", "length"])


@pytest.mark.parametrize("kind", ["values", "tracks"])
def test_planted_shortcuts_are_found_and_others_not(kind):
    rows = {row["check"]: row for row in of_outputs.audit(planted(kind))}
    assert set(rows) == set(shortcuts.CHECKS)
    assert {name for name, row in rows.items() if row["word"] == "shortcut"} >= {"length"}
    assert rows["composition"]["value"] > (0.45 if kind == "values" else 0.7) and rows["N"]["word"] == "none"
    assert rows["motifs"]["word"] == "unknown" and rows["motifs"]["note"] == "a question about classes"
    assert all(row["metric"] in ("spearman", "macro_auroc", "share") for row in rows.values())
    nothing = {row["check"]: row for row in of_outputs.audit(planted(kind, share=0.0, seed=1))}
    assert not [name for name, row in nothing.items() if row["word"] == "shortcut"]
    chance = 0 if kind == "values" else 0.5
    for name in ("length", "composition", "k-mers"):
        assert nothing[name]["low"] < chance + 0.1 and abs(nothing[name]["value"] - chance) < 0.15, name


def test_scores_of_rules_are_those_of_scipy_and_scikit_learn():
    rng = np.random.default_rng(0)
    truth, guess = rng.normal(size=(90, 3)), rng.normal(size=(90, 3)).round(1)
    truth[::4, 1] = np.nan
    truth[:, 2] = 1
    known = np.isfinite(truth[:, 1])
    found = of_outputs.scores("values", truth, guess)
    assert found[0] == pytest.approx(spearmanr(truth[:, 0], guess[:, 0]).statistic) and np.isnan(found[2])
    assert found[1] == pytest.approx(spearmanr(truth[known, 1], guess[known, 1]).statistic)
    marks = np.where(np.isnan(truth), np.nan, truth > 0)
    found = of_outputs.scores("tracks", marks, guess)
    assert found[0] == pytest.approx(roc_auc_score(marks[:, 0], guess[:, 0])) and np.isnan(found[2])
    assert found[1] == pytest.approx(roc_auc_score(marks[known, 1], guess[known, 1]))


def test_a_look_up_of_copies_is_flagged_and_the_command_writes_it(tmp_path):
    frame = a_set("values", 400)
    test, train = (frame.index[frame["split"] == split] for split in ("test", "train"))
    frame.loc[test, ["sequence", "label"]] = frame.loc[train[: len(test)], ["sequence", "label"]].to_numpy()
    write_sequences(tmp_path / "set.parquet", frame)
    argv = ["audit_task", "--task", "x", "--sequences", tmp_path / "set.parquet", "--output", tmp_path / "a.parquet"]
    assert call([*argv, "--summary", tmp_path / "a.json"]) == 0
    found = {row["check"]: row for row in pd.read_json(tmp_path / "a.json", typ="series")["shortcuts"]}
    assert found["look-up"]["word"] == "shortcut" and found["look-up"]["value"] > 0.99
    assert pd.read_parquet(tmp_path / "a.parquet")["same_label"].sum() >= len(test)


def test_words_of_four_letters_are_counted_on_both_strands():
    text = dna(200, 5)
    shares = of_outputs.kmer_shares([text, reverse_complement(text), "ACGTN", "ACG"])
    np.testing.assert_allclose(shares[0], shares[1])
    assert shares[0].sum() == pytest.approx(1) and shares[3].sum() == 0
    assert shares[2].nonzero()[0].tolist() == [0 * 64 + 1 * 16 + 2 * 4 + 3], "ACGT is its own reverse complement"
