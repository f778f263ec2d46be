"""Numbers and zeros and ones in files of one's own: how their kind is seen, the right set, or one sentence."""

import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from foundationless.data.outputs import parse_outputs
from foundationless.errors import UserError
from foundationless.study.checks import read_study
from foundationless.study.own.keep import read_base
from foundationless.tasks.own.found import Given
from foundationless.tasks.own.look import look
from foundationless.tasks.own.study import own_study
from foundationless.tasks.readers import build_set
from foundationless.tasks.sequence_sets import labels_in
from support import ROOT
from support.own_sets import COLUMNS, planted

ROWS = 240


def looked(path, **said):
    return look(Given((path,), **said), 1)


def made(found, **more):
    return build_set(found.reader, dict(found.sources) | more, found.options, 1)


def table(values, name="y"):
    """A table whose label column holds these values, one after the other until the rows are full."""
    frame = planted("motif", ROWS, 60).drop(columns="class")
    return frame.assign(**{name: [values[row % len(values)] for row in range(ROWS)]})


def saved(tmp_path, frame):
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("values", "metric", "said"),
    [
        ([0, 1], "mcc", ""),
        (list(range(10)), "mcc", "10 different whole numbers: they are read as classes; KIND=values"),
        (list(range(11)), "mcc", "11 different whole numbers: they are read as classes; KIND=values"),
        (
            [0, 0, 0, 0, 0, *range(25)],
            "pearson",
            "25 different whole numbers, some in fewer than 12 rows: a regression",
        ),
        (list(range(60)), "pearson", "60 different whole numbers: a regression"),
        ([n / 2 for n in range(20)], "mcc", "20 different numbers: they are read as classes"),
        ([n / 2 for n in range(21)], "pearson", "21 different numbers: a regression; KIND=classes"),
        ([f"{n}.0" for n in range(11)], "mcc", "11 different whole numbers"),
        (["a", "b", "3"], "mcc", ""),
    ],
)
def test_one_column_is_read_by_how_many_different_numbers_it_holds(tmp_path, values, metric, said):
    found = looked(saved(tmp_path, table(values)), label="y")
    assert found.metric == metric and said in " ".join(found.sentences)
    assert ("label_kind" in found.options) == (metric != "mcc")


def test_kind_overrides_what_is_seen(tmp_path):
    path = saved(tmp_path, table([0, 1, 2, 3]))
    assert looked(path, label="y").metric == "mcc"
    assert looked(path, label="y", kind="values").metric == "pearson"
    path = saved(tmp_path, table([n / 2 for n in range(20)] + [10.5]))
    assert looked(path, label="y").metric == "pearson"
    with pytest.raises(UserError, match=r"class '.*' has 11 rows"):
        looked(path, label="y", kind="classes")
    with pytest.raises(UserError, match=r"KIND=numbers .* is none of classes, values, tracks"):
        looked(path, label="y", kind="numbers")
    path = saved(tmp_path, table([0, 1]).assign(z=lambda t: 1 - t["y"]))
    assert looked(path, label="y", kind="tracks").metric == "macro_auroc"
    assert looked(path, label="y,z").metric == "macro_auroc"
    assert looked(path, label="y,z", kind="values").metric == "pearson"
    with pytest.raises(UserError, match="classes stand in one column"):
        looked(path, label="y,z", kind="classes")


@pytest.mark.parametrize("kind", list(COLUMNS))
def test_planted_sets_are_their_own_labels(tmp_path, kind):
    planted_table = planted(kind, ROWS, 60)
    path = saved(tmp_path, planted_table)
    found = looked(path, label=",".join(COLUMNS[kind]))
    frame = made(found)
    labels, names = labels_in(frame)
    assert tuple(names) == COLUMNS[kind] and labels == ("tracks" if kind == "marked" else "values")
    truth = planted_table[list(COLUMNS[kind])].to_numpy(dtype=float)
    held = parse_outputs(frame["label"], names)
    kept = ~np.isnan(truth).all(axis=1)
    np.testing.assert_array_equal(held, truth[kept])
    assert frame["sequence"].tolist() == planted_table["dna"][kept].tolist()
    assert set(frame["split"]) == {"train", "validation", "test"}
    study = own_study(read_base(ROOT / "config/own.yaml"), "mine", "Mine", found)
    plan = read_study(study)
    assert study["tasks"]["mine"]["metric"] == study["tasks"]["mine_rows"]["metric"] == found.metric
    assert "is judged by" in study["notes"] and found.seen in study["notes"]
    assert f"label_kind={labels}" in plan.options("mine_rows") and "deal=rows" in plan.options("mine_rows")


def test_numbers_are_told(tmp_path):
    frame = planted("counted", ROWS, 60).assign(other=range(ROWS))
    frame.loc[3, "value"] = None
    frame.loc[4, ["value", "other"]] = None
    found = looked(saved(tmp_path, frame), label="value,other")
    said = " ".join(found.sentences)
    known = frame["value"]
    assert (
        f"'value' {known.min():.4g} to {known.max():.4g}, mean {known.mean():.4g} ± {known.std():.4g} (SD)".replace(
            "-", "−"
        )
        in said
    )
    assert "2 columns of numbers: a regression of several values. What is learned is judged by Pearson's r" in said
    assert "'other' 0 to 239" in said and f"Of {2 * (ROWS - 1)} labels 1 are not known" in said
    said = " ".join(looked(saved(tmp_path, planted("marked", ROWS, 60)), label="ctcf,cre,gata").sentences)
    share = planted("marked", ROWS, 60)["ctcf"].mean()
    assert f"Ones: ctcf {share:.0%}" in said and "zeros and ones, of which several may be one" in said


@pytest.mark.parametrize(
    ("change", "given", "sentence"),
    [
        (lambda t: t.assign(value=t["value"].map("{:.3f}".format).str.replace(".", ",")), {}, "a number with a comma"),
        (lambda t: t.assign(value=["5.1 nM", *t["value"][1:]]), {}, "row 1 of 'value' holds '5.1 nM', a number with a"),
        (lambda t: t.assign(value=["<0.1", *t["value"][1:]]), {}, "a bound, and no number"),
        (lambda t: t.assign(value=["inf", *t["value"][1:]]), {}, "holds 'inf', which is not finite"),
        (lambda t: t.assign(value=["1e400", *t["value"][1:]]), {}, "which is not finite"),
        (lambda t: t.assign(value=["1e300", *t["value"][1:]]), {}, "too large to compute with; give its logarithm"),
        (lambda t: t.assign(value=["1_000", *t["value"][1:]]), {}, "signs between its digits"),
        (lambda t: t.assign(value=["high", "low", *t["value"][2:]]), {}, "no number .2 rows hold no number."),
        (lambda t: t.assign(value=["−1.2", *t["value"][1:]]), {}, "minus sign of typesetters"),
        (lambda t: t.assign(value=0.5, more=t["value"]), {"label": "value,more"}, "all rows of 'value' hold 0.5"),
        (
            lambda t: t.assign(value=[""] * 200 + [1.5, 2.5] * 20),
            {"kind": "values"},
            "40 rows of 'value' are known, too",
        ),
        (lambda t: t.assign(b="x"), {"label": "value,b"}, "row 1 of 'b' holds 'x', which is no number"),
        (lambda t: t, {"label": "value,value"}, "names the column 'value' twice"),
        (lambda t: t, {"label": "value,valve"}, "has no column 'valve' .LABEL=.; did you mean 'value'"),
        (lambda t: t, {"kind": "tracks"}, "and tracks hold 1, 0 or nothing"),
        (
            lambda t: t.assign(a=[1, *[0] * 239], b=1 - t.index % 2),
            {"label": "a,b"},
            "'a' has 1 ones, and 12 is the le",
        ),
        (lambda t: t.assign(a=[0, *[1] * 239], b=1 - t.index % 2), {"label": "a,b"}, "'a' has 1 zeros"),
        (lambda t: t.rename(columns={"value": "v;w"}), {"label": "v;w"}, "a comma or semicolon in its name"),
        (lambda t: t.set_axis(["name", "value", "value"], axis=1), {}, "two columns are called 'value'"),
        (lambda t: t.assign(plate=["a"] * 216 + ["b"] * 12 + ["c"] * 12), {"group": "plate"}, "never tested on"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, change, given, sentence):
    path = saved(tmp_path, change(planted("counted", ROWS, 60)))
    with pytest.raises(UserError, match=sentence) as error:
        looked(path, **{"label": "value"} | given)
    assert "\n" not in str(error.value)


def test_truths_are_tracks_and_rows_without_any_label_are_left_out(tmp_path, capsys):
    frame = planted("marked", ROWS, 60)
    words = frame.assign(**{name: frame[name].map({1.0: "TRUE", 0.0: "False"}) for name in COLUMNS["marked"]})
    words.loc[:4, list(COLUMNS["marked"])] = ""
    path = saved(tmp_path, words)
    built = made(looked(path, label="ctcf,cre,gata"))
    held = parse_outputs(built["label"], COLUMNS["marked"])
    np.testing.assert_array_equal(held, frame[list(COLUMNS["marked"])].to_numpy()[5:])
    assert "5 of 240 rows have no label: left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="a word; write 1 and 0"):
        looked(path, label="ctcf,cre,gata", kind="values")


def test_groups_and_columns_of_splits_are_kept(tmp_path):
    frame = planted("counted", ROWS, 60).assign(gene=[f"g{row // 4}" for row in range(ROWS)])
    built = made(looked(saved(tmp_path, frame), label="value", group="gene"))
    assert (built.groupby("group")["split"].nunique() == 1).all() and built["group"].nunique() == 60
    part = ["train"] * 160 + ["dev"] * 40 + ["test"] * 40
    found = looked(saved(tmp_path, frame.assign(part=part)), label="value", split="part")
    assert found.sizes["train"] == 160 and made(found)["split"].tolist() == [
        name.replace("dev", "validation") for name in part
    ]


def test_sequences_in_pairs_are_joined(tmp_path):
    frame = planted("counted", ROWS, 60)
    frame = frame.assign(first=frame["dna"].str[:30], second=frame["dna"].str[30:]).drop(columns="dna")
    found = looked(saved(tmp_path, frame), label="value", sequence="first,second")
    assert made(found)["sequence"].iloc[0] == frame["first"][0] + "N" * 50 + frame["second"][0]
    assert "sequences are in 'first', 'second'" in found.sentences[0] and "not known: it is read" not in str(found)


def genome(tmp_path):
    path = tmp_path / "genome.fa"
    texts = ["".join(random.Random(number).choices("ACGT", k=4000)) for number in range(6)]
    path.write_text("".join(f">chr{number + 1}\n{text}\n" for number, text in enumerate(texts)))
    return path, texts


def test_scores_and_tracks_of_a_bed(tmp_path):
    fasta, texts = genome(tmp_path)
    dice, bed = random.Random(1), tmp_path / "mine.bed"
    places = [(contig, 100 * at, dice.gauss(0, 1)) for contig in range(6) for at in range(30)]
    lines = [f"chr{contig + 1}\t{start}\t{start + 80}\t.\t{score:.4f}\t+\n" for contig, start, score in places]
    bed.write_text("".join(lines))
    found = looked(bed, genome=fasta)
    frame = made(found, genome=fasta)
    assert found.metric == "pearson" and "no classes (1 different), so its scores are read" in " ".join(found.sentences)
    assert frame["sequence"].iloc[0] == texts[0][:80] and frame["label"].iloc[0] == f"{places[0][2]:.4f}".rstrip("0")
    assert frame.groupby("group")["split"].nunique().max() == 1 and len(found.held_out[0]) == 1
    bed.write_text("".join(line.replace("\t.\t", "\tab\t"[: 3 + row % 2] + "\t" * (1 - row % 2)) for row, line in
                           enumerate(lines)))  # fmt: skip
    assert looked(bed, genome=fasta, kind="values").metric == "pearson"
    with pytest.raises(UserError, match="row 1 of 'score' holds 'x', which is no number"):
        bed.write_text("".join(lines).replace(lines[0].split("\t")[4], "x", 1))
        looked(bed, genome=fasta, kind="values")
    names = ["H3", "H4", "H3,H4", "."]
    bed.write_text("".join(line.replace("\t.\t", f"\t{names[row % 4]}\t") for row, line in enumerate(lines)))
    found = looked(bed, genome=fasta, kind="tracks")
    assert found.metric == "macro_auroc" and made(found, genome=fasta)["label"].tolist()[:4] == [
        "1;0", "0;1", "1;1", "0;0",
    ]  # fmt: skip


def test_numbers_of_a_vcf(tmp_path):
    fasta, texts = genome(tmp_path)
    lines = ["##fileformat=VCFv4.2"]
    lines += [f'##INFO=<ID={name},Number=A,Type=Float,Description="x">' for name in ("LFC", "SE")]
    lines += [f"##contig=<ID=chr{number},length=4000>" for number in range(1, 7)]
    lines += ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for row in range(180):
        contig, at = row // 30, 100 * (row % 30) + 300
        ref = texts[contig][at]
        lines.append(
            f"chr{contig + 1}\t{at + 1}\t.\t{ref}\t{'CGTA'['ACGT'.index(ref)]}\t.\t.\tLFC={row / 8};SE={row % 5}"
        )
    vcf = tmp_path / "mine.vcf"
    vcf.write_text("\n".join(lines) + "\n")
    found = looked(vcf, genome=fasta, label="LFC")
    assert found.metric == "pearson" and "by chromosome" in " ".join(found.sentences)
    assert made(found, genome=fasta)["label"].tolist()[:3] == ["0", "0.125", "0.25"]
    found = looked(vcf, genome=fasta, label="LFC,SE")
    assert made(found, genome=fasta)["label"].tolist()[:3] == ["0;0", "0.125;1", "0.25;2"]
    assert looked(vcf, genome=fasta, label="SE").metric == "mcc"
    with pytest.raises(UserError, match="of the INFO fields LFC, LFC one is named twice"):
        looked(vcf, genome=fasta, label="LFC,LFC")
    with pytest.raises(UserError, match="tracks hold 1, 0 or nothing"):
        looked(vcf, genome=fasta, label="LFC", kind="tracks")


# ---- edits of cells, with pandas as the oracle

CELLS = [
    "", " ", "NA", "N/A", "nan", "NaN", "null", "None", ".", "-", "inf", "-inf", "Infinity", "1e400", "1e300", "1e-400",
    "0,51", "1,234.5", "1.234,5", "5 nM", "5nM", "50%", "<0.5", "~2", "1_000", "1 000", "0x1F", "1e", "e5", "+", "--1",
    "1.2.3", "−1.5", "½", "٣", "１", "True", "yes", "high", "0", "1", "1.0", "01", "+1", " 2.5 ", ".5", "5.", "-0", "2",
    "1E3", "é", "\u200b1", "1;0", '"', "#DIV/0!", "#N/A", "1d5",
]  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, 79), st.integers(0, 2), st.sampled_from(CELLS)), min_size=0, max_size=3
)  # fmt: skip
COLUMN_EDITS = st.sampled_from(["none"] * 6 + ["twice", "blank name", "quoted", "all commas", "units", "wide"])


def fuzzed(kind: str, edits, change: str) -> pd.DataFrame:
    """80 rows of `name`, `dna` and labels as text, with cells replaced, and perhaps a whole column."""
    frame = planted("counted", 80, 60) if kind == "values" else planted("marked", 80, 60)
    labels = ["value"] if kind == "values" else list(COLUMNS["marked"])
    if kind == "several":
        frame = planted("counted", 80, 60).assign(second=range(80))
        labels = ["value", "second"]
    text = frame[labels].map(lambda cell: "" if cell != cell else str(cell))
    for row, column, cell in edits:
        text.iloc[row, column % len(labels)] = cell
    if change in ("all commas", "units"):
        text[labels[0]] = text[labels[0]].str.replace(".", ",") if change == "all commas" else text[labels[0]] + " nM"
    if change == "quoted":
        text[labels[-1]] = " " + text[labels[-1]] + "\t"
    frame = frame[["name", "dna"]].join(text)
    if change == "wide":
        frame["more"] = "1"
    if change in ("twice", "blank name"):
        names = [labels[0], ""][change == "blank name"]
        frame.insert(2, names, "0.5", allow_duplicates=True)
    return frame


def oracle(path, names) -> pd.DataFrame | None:
    """The labels as pandas reads them, with its usual words for what is not known; None where a column is no number."""
    cells = pd.read_csv(path, usecols=names, dtype=str, keep_default_na=False).apply(lambda column: column.str.strip())
    unknown = cells.isin([*STR_NA_VALUES, ".", "-", "none", "None"])
    numbers = cells.replace({"True": "1", "False": "0"}).apply(pd.to_numeric, errors="coerce")
    wrong = (numbers.isna() & ~unknown) | np.isinf(numbers)
    return None if wrong.any().any() else numbers


@pytest.mark.parametrize("kind", ["values", "several", "tracks"])
def test_edited_tables_are_the_set_of_pandas_or_one_sentence(tmp_path, kind):
    names = {"values": ["value"], "several": ["value", "second"], "tracks": list(COLUMNS["marked"])}[kind]
    read = []

    @settings(
        max_examples=40, derandomize=True, deadline=None, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    @given(EDITS, COLUMN_EDITS)
    def run(edits, change):
        path = tmp_path / "mine.csv"
        frame = fuzzed(kind, edits, change)
        with open(path, "w", encoding="utf-8", newline="") as stream:
            frame.to_csv(stream, index=False)
        try:
            found = looked(path, label=",".join(names))
            built = made(found)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            return
        truth = oracle(path, names)
        assert truth is not None, f"{edits}: pandas reads no numbers"
        labels, outputs = labels_in(built)
        assert labels == ("tracks" if kind == "tracks" and found.metric == "macro_auroc" else "values")
        held = parse_outputs(built["label"], outputs)
        kept = truth.notna().any(axis=1)
        np.testing.assert_allclose(held, truth[kept].to_numpy(), rtol=1e-12)
        assert built["sequence"].tolist() == frame["dna"][kept].tolist()
        assert not np.isnan(held).all(axis=1).any() and np.isfinite(held[~np.isnan(held)]).all()
        read.append(edits)

    run()
    assert len(read) >= 15  # the edits are not all refused
