"""From cells to effects: what names say, means and halves worked out by pandas, and each mistake of a user."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.perturbation.effects import read_effects, write_effects
from foundationless.perturbation.expression.conditions import targets_of
from foundationless.perturbation.expression.h5ad import write_h5ad
from foundationless.perturbation.expression.matrix import Expression, named_rows
from foundationless.runtime.files import sha256
from foundationless.study.readers import EFFECT_READERS, SEQUENCE_READERS
from support.commands import error_in, refused

GENES = ("ENSG00000000001.4", "ENSG00000000002", "ENSG00000000003")
SYMBOLS = ("KLF1", "MAP3K21", "MYC")
CONDITIONS = ["ctrl", "KLF1+ctrl", "ctrl+MYC", "MYC+KLF1", "KLF1+MYC", "ABSENT+ctrl", "ctrl"] * 4
COUNTS = np.random.default_rng(1).poisson(2, size=(28, 3)).astype(np.float32)


@pytest.fixture
def screen(tmp_path):
    obs = pd.DataFrame({"condition": CONDITIONS, "line": ["k562", "a549"] * 14}, dtype=object)
    names = [f"c{number}" for number in range(28)]
    write_h5ad(tmp_path / "screen.h5ad", Expression(COUNTS, GENES, SYMBOLS, named_rows(names, obs)))
    return tmp_path / "screen.h5ad"


def building(source, *options, seed=1, **more):
    flags = [f"--source=matrix={source}", *(f"--source={role}={path}" for role, path in more.items())]
    output = source.parent / "effects.parquet"
    return [
        "build_effects",
        *flags,
        *(f"--option={option}" for option in options),
        f"--seed={seed}",
        f"--output={output}",
    ]


def built(source, *options, **more):
    assert main(building(source, *options, **more)) == 0
    return read_effects(source.parent / "effects.parquet")


@pytest.mark.parametrize(
    ("name", "separator", "targets"),
    [
        ("ctrl", "+", ()), ("Control", "+", ()), ("non-targeting_00123", "+", ()), ("NT", "+", ()),
        ("A+ctrl", "+", ("A",)), ("ctrl+A", "+", ("A",)), ("B+A", "+", ("B", "A")), ("A_B", "_", ("A", "B")),
        ("A_B", "underscore", ("A", "B")), ("A;B", "semicolon", ("A", "B")), ("A|B|C", "bar", ("A", "B", "C")),
        ("A+A", "+", ("A",)), ("HLA-A", "+", ("HLA-A",)), ("", "+", None), ("nan", "+", None),
        ("A_B", "none", ("A_B",)),
        # a control beside a gene is no control of the whole
        ("NegCtrl0_KLF1", "_", ("KLF1",)), ("KLF1_NegCtrl0", "_", ("KLF1",)), ("NegCtrl0_NegCtrl1", "_", ()),
        ("non-targeting+KLF1", "+", ("KLF1",)), ("non-targeting_00123", "_", ()), ("NT5E", "+", ("NT5E",)),
        ("non_targeting", "_", ()), ("non_targeting_KLF1", "_", ("KLF1",)), ("non_targeting_0012", "_", ()),
        ("KLF1 + ctrl", "+", ("KLF1",)), ("ctrl+ctrl", "+", ()),
    ],
)  # fmt: skip
def test_names_of_conditions_are_understood(name, separator, targets):
    assert targets_of(name, separator) == targets


@pytest.mark.parametrize(
    ("name", "separator", "words", "targets"),
    [
        ("WT", "+", ["WT"], ()), ("A+ctrl", "+", ["WT"], ("A",)), ("A+WT", "+", ["WT"], ("A",)),
        ("ctrl", "+", ["WT"], None), ("A+B", "+", ["WT"], ("A", "B")), ("neg1_A", "_", ["neg*"], ("A",)),
        ("neg1_neg2", "_", ["neg*"], ()), ("no_guide", "_", ["no_guide"], ()),
        ("A_no_guide", "_", ["no_guide"], ("A",)),
    ],
)  # fmt: skip
def test_words_of_the_user_name_whole_conditions_and_the_usual_ones_hold_for_parts(name, separator, words, targets):
    assert targets_of(name, separator, words) == targets


def test_means_are_those_of_pandas_and_halves_are_halves(screen):
    effects = built(screen, "direction=activation")
    table = np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4)
    merged = [{"KLF1+MYC": "MYC+KLF1", "ctrl+MYC": "MYC"}.get(name, name.replace("+ctrl", "")) for name in CONDITIONS]
    expected = pd.DataFrame(table).groupby(merged, sort=False)
    assert effects.conditions == ("ctrl", "KLF1", "MYC", "MYC+KLF1", "ABSENT") == tuple(expected.groups)
    assert np.allclose(effects.means, expected.mean(), atol=1e-6) and list(effects.cells) == [8, 4, 4, 8, 4]
    assert effects.targets == ((), (GENES[0],), (GENES[2],), (GENES[2], GENES[0]), ("ABSENT",))
    assert effects.kinds == ("control", "single", "single", "double", "single")
    assert effects.directions == ("unknown", *["activation"] * 4) and effects.values == "lognorm"
    assert list(effects.singles) == [1, 2, 4] and list(effects.doubles) == [3]
    assert np.array_equal(effects.control, effects.means[0].astype(float)) and effects.symbols == SYMBOLS
    # of even numbers of cells the mean is the mean of the halves, and the halves differ
    assert np.allclose(effects.halves.mean(axis=0), effects.means, atol=1e-6)
    assert (np.abs(effects.halves[0] - effects.halves[1]).max(axis=1) > 0).all()


def test_the_deal_is_a_function_of_the_seed_and_the_condition(screen, tmp_path):
    first, again = built(screen), built(screen)
    other, fewer = built(screen, seed=2), built(screen, "keep=condition=ctrl/KLF1+ctrl")
    assert np.array_equal(first.halves, again.halves) and not np.array_equal(first.halves, other.halves)
    assert np.array_equal(first.halves[:, :2], fewer.halves)
    assert np.array_equal(first.means, other.means) and fewer.conditions == ("ctrl", "KLF1")


def test_odd_and_single_replicates(tmp_path):
    names = ["ctrl"] * 5 + ["A+ctrl"] * 3 + ["B+ctrl"]
    matrix = np.arange(18, dtype=np.float32).reshape(9, 2) / 2
    write_h5ad(tmp_path / "m.h5ad", Expression(matrix, ("A", "B"), ("A", "B"),
                                               named_rows(range(9), pd.DataFrame({"condition": names}))))  # fmt: skip
    effects = built(tmp_path / "m.h5ad", "values=lognorm")
    assert np.isnan(effects.halves[:, 2]).all() and not np.isnan(effects.halves[:, :2]).any()
    sizes = np.array([[3, 2], [2, 1]])
    for row, (one, two) in enumerate(sizes):
        joined = (one * effects.halves[0, row] + two * effects.halves[1, row]) / (one + two)
        assert np.allclose(joined, effects.means[row], atol=1e-5)
    column = pq.read_table(tmp_path / "effects.parquet")["half_a"]
    assert column.null_count == 1 and column[2].as_py() is None
    few = built(tmp_path / "m.h5ad", "values=lognorm", "min_cells=2")
    assert few.conditions == ("ctrl", "A")


def test_means_of_conditions_have_no_halves(tmp_path):
    pd.DataFrame({"gene": ["A", "B"], "control": [1.5, 2.5], "A_B": [0.5, 1.5], "A": [1.0, 3.25]}).to_csv(
        tmp_path / "m.csv", index=False
    )
    effects = built(tmp_path / "m.csv", "separator=underscore")
    assert effects.halves is None and effects.conditions == ("ctrl", "A+B", "A") and list(effects.cells) == [1, 1, 1]
    assert np.array_equal(effects.means, np.array([[1.5, 2.5], [0.5, 1.5], [1.0, 3.25]], dtype=np.float32))


def test_a_table_of_cells_and_one_of_names(tmp_path):
    """Conditions from another file, targets under an old symbol and an Entrez number."""
    frame = pd.DataFrame(COUNTS[:6], index=[f"c{number}" for number in range(6)], columns=GENES)
    frame.to_csv(tmp_path / "m.csv")
    obs = {"barcode": [f"c{number}" for number in (5, 4, 3, 2, 1, 9)], "guide": ["x"] * 6,
           "gene": ["KIAA1804", "NA", "10661", "ctrl", "KIAA1804", "MYC"]}  # fmt: skip
    pd.DataFrame(obs).to_csv(tmp_path / "obs.csv", index=False)
    pd.DataFrame(
        {"symbol": SYMBOLS, "prev_symbol": ["", "KIAA1804|MLK4", ""], "alias_symbol": ["", "", "c-Myc"],
         "entrez_id": ["10661", "84451", "4609"], "ensembl_gene_id": [name.split(".")[0] for name in GENES]}
    ).to_csv(tmp_path / "names.tsv", sep="\t", index=False)  # fmt: skip
    sources = {"obs": tmp_path / "obs.csv", "names": tmp_path / "names.tsv"}
    effects = built(tmp_path / "m.csv", "rows=cells", "condition=gene", **sources)
    assert effects.targets == ((GENES[1],), (), (GENES[0],)) and list(effects.cells) == [2, 1, 1]


def test_controls_by_another_column(tmp_path):
    matrix = np.array([[1.0, -1], [2, 0], [3, 1], [4, 2]], dtype=np.float32)
    obs = pd.DataFrame({"target": ["7", "-666", "GFP", "7"], "type": ["sh", "vector", "vector", "sh"]}, dtype=object)
    write_h5ad(tmp_path / "m.h5ad", Expression(matrix, ("7", "8"), ("G7", "G8"), named_rows("abcd", obs)))
    effects = built(tmp_path / "m.h5ad", "condition=target", "controls=type=vector", "direction=knockdown")
    assert effects.conditions == ("G7", "ctrl") and effects.targets == (("7",), ()) and effects.values == "z"
    assert np.array_equal(effects.means, np.array([[2.5, 0.5], [2.5, 0.5]], dtype=np.float32))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["condition=guide"], "nothing of 'guide' (columns: condition, line)"),
        (["control=vehicle"], "no condition is the control"),
        (["keep=line=hela"], "no row is left"),
        (["keep=plate=1"], "correct the option keep"),
        (["controls=plate=1"], "correct the option controls"),
        (["direction=up"], "none of activation, knockdown"),
        (["values=tpm"], "say what they are"),
        (["min_cells=0"], "not understood"),
        (["layer=counts"], "no layer 'counts'"),
        (["gene=gene_id"], "var has no column 'gene_id'"),
        (["member=x.h5ad"], "no ZIP or TAR"),
        (["colour=red"], "option 'colour' is not known"),
    ],
)
def test_mistakes_are_one_sentence(screen, capsys, options, words):
    said = refused(capsys, building(screen, *options))
    assert words in said and "task 'effects': " in said
    assert not (screen.parent / "effects.parquet").exists()


def test_nothing_is_left(screen, capsys):
    capsys.readouterr()
    assert main(building(screen, "min_cells=9")) == 2
    assert "no condition beside the control" in error_in(capsys.readouterr().err)


def test_sources_and_readers_that_are_not_known(screen, capsys):
    assert "source 'cells' is not known" in refused(capsys, building(screen, cells=screen))
    assert "source 'matrix' is missing" in refused(capsys, ["build_effects", "--seed=1", f"--output={screen}.parquet"])
    assert "is not KEY=VALUE" in refused(capsys, [*building(screen), "--source=matrix"])
    assert "one of effects" in refused(capsys, [*building(screen), "--reader=table"])
    assert "effects" not in SEQUENCE_READERS and list(EFFECT_READERS) == ["effects"]
    with pytest.raises(SystemExit):
        main(["build_effects", "--explain"])
    assert "controls: rows that are control" in capsys.readouterr().out


def test_a_screen_that_is_read_where_it_lies_is_held_to_its_checksum(screen, capsys):
    assert main([*building(screen), f"--sha256=matrix={sha256(screen)}"]) == 0
    assert "it changed" in refused(capsys, [*building(screen), f"--sha256=matrix={'0' * 64}"])


def test_files_of_effects_are_checked(screen, tmp_path):
    effects = built(screen)
    about = json.loads(pq.read_schema(tmp_path / "effects.parquet").metadata[b"foundationless"])
    assert about["genes"] == list(GENES) and about["source"].startswith("screen.h5ad ")
    write_effects(tmp_path / "again.parquet", effects)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "effects.parquet").read_bytes()
    for name, words in (("none.parquet", "no such file"), ("screen.h5ad", "holds no effects")):
        with pytest.raises(UserError, match=words):
            read_effects(tmp_path / name)
    pd.DataFrame({"condition": ["ctrl"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="holds no effects"):
        read_effects(tmp_path / "other.parquet")


def labelled(path, names):
    """A screen whose rows have these conditions."""
    obs = named_rows(range(len(names)), pd.DataFrame({"condition": names}, dtype=object))
    write_h5ad(path, Expression(COUNTS[: len(names)], GENES, SYMBOLS, obs))
    return path


def test_the_control_of_the_user_leaves_the_parts_of_names_alone(tmp_path):
    effects = built(labelled(tmp_path / "m.h5ad", ["WT", "KLF1+ctrl", "KLF1+MYC", "ctrl"] * 2), "control=WT")
    assert effects.conditions == ("ctrl", "KLF1", "KLF1+MYC") and list(effects.cells) == [2, 2, 2]


@pytest.mark.parametrize(
    ("double", "options", "sign"),
    [
        ("KLF1_MYC", [], "underscore"), ("KLF1;MYC", [], "semicolon"), ("KLF1|ctrl", [], "bar"),
        ("KLF1+MYC", ["separator=underscore"], "plus"),
    ],
)  # fmt: skip
def test_another_sign_between_genes_is_asked_for(tmp_path, capsys, double, options, sign):
    screen = labelled(tmp_path / "m.h5ad", ["ctrl", "KLF1", "MYC", double] * 2)
    said = refused(capsys, building(screen, *options))
    assert f"'{double}' is no gene that is read out" in said and f"separator={sign}" in said
    assert "KLF1" in built(screen, f"separator={sign}").conditions
    assert built(screen, "separator=none").conditions == ("ctrl", "KLF1", "MYC", double)


def test_names_that_hold_a_sign_of_their_own_are_left_alone(tmp_path):
    names = ["ctrl", "KLF1", "62(mod)_pBA581", "KLF1_1", "ABSENT_MYC"]
    assert built(labelled(tmp_path / "m.h5ad", names * 2)).conditions == tuple(names)


def test_what_values_were_taken_for_stands_in_the_log(screen, capsys):
    built(screen)
    assert "values are taken as counts (by their range" in capsys.readouterr().err
    built(screen, "values=lognorm")
    assert "values are taken as lognorm (as the option values says)" in capsys.readouterr().err


def test_replicates_in_the_source_s_order_make_halves(screen, capsys):
    table = np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4)
    control, single = (np.flatnonzero(np.array(CONDITIONS) == name) for name in ("ctrl", "KLF1+ctrl"))
    ordered, interleaved = built(screen, "halves=ordered"), built(screen, "halves=interleaved", seed=9)
    for effects, parts in ((ordered, (control[:4], control[4:])), (interleaved, (control[::2], control[1::2]))):
        assert np.allclose(effects.halves[:, 0], [table[part].mean(axis=0) for part in parts], atol=1e-6)
        halves = [table[part].mean(axis=0) for part in (single[:2], single[2:])]
        assert np.allclose(effects.halves[:, 1], halves, atol=1e-6)
    assert "halves=mixed is none of drawn, ordered, interleaved" in refused(capsys, building(screen, "halves=mixed"))
