"""Readers of matrices: the same small matrix in every format, oracles of scipy and pandas, and each mistake."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io as scipy_io
from scipy import sparse

from foundationless.errors import UserError
from foundationless.perturbation.expression.conditions import text_column
from foundationless.perturbation.expression.h5ad import write_h5ad
from foundationless.perturbation.expression.matrix import Expression, log_normalised, named_rows
from foundationless.perturbation.expression.reading import read_expression

COUNTS = np.random.default_rng(3).poisson(1.5, size=(7, 5)).astype(np.float32)
COUNTS[2] = 0  # a cell without molecules
GENES = tuple(f"ENSG0000000000{number}" for number in range(5))
SYMBOLS = tuple(["KLF1", "MAPK1", "TP53", "GATA1", "MYC"])
CELLS = tuple(f"cell{number}" for number in range(7))
CONDITIONS = ["ctrl", "KLF1+ctrl", "ctrl", "ctrl+MYC", "KLF1+MYC", "ctrl", "KLF1+ctrl"]


def dense(expression: Expression) -> np.ndarray:
    return expression.matrix.toarray() if sparse.issparse(expression.matrix) else expression.matrix


def whole(values="counts") -> Expression:
    obs = named_rows(CELLS, pd.DataFrame({"condition": CONDITIONS}, dtype=object))
    return Expression(COUNTS, GENES, SYMBOLS, obs, values)


def mtx_directory(folder: Path, zipped: bool) -> Path:
    folder.mkdir()
    buffer = io.BytesIO()
    scipy_io.mmwrite(buffer, sparse.coo_matrix(COUNTS.T.astype(int)))
    features = "".join(f"{gene}\t{symbol}\tGene Expression\n" for gene, symbol in zip(GENES, SYMBOLS, strict=True))
    files = {"matrix.mtx": buffer.getvalue(), "features.tsv": features.encode(),
             "barcodes.tsv": "".join(f"{cell}\n" for cell in CELLS).encode()}  # fmt: skip
    for name, data in files.items():
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(data) if zipped else data)
    return folder


def gct(path: Path, version: str) -> Path:
    rows = [f"#{version}", "5\t7" if version == "1.2" else "5\t7\t1\t1"]
    names = ["NAME", "Description"] if version == "1.2" else ["id", "pr_gene_symbol"]
    rows.append("\t".join([*names, *CELLS]))
    if version == "1.3":
        rows.append("\t".join(["condition", "na", *CONDITIONS]))
    for number, (gene, symbol) in enumerate(zip(GENES, SYMBOLS, strict=True)):
        rows.append("\t".join([gene, symbol, *(f"{value:g}" for value in COUNTS[:, number])]))
    path.write_text("\n".join(rows) + "\n")
    return path


def write(kind: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """The matrix in one format, and the options that it needs."""
    frame = pd.DataFrame(COUNTS.T, index=pd.Index(GENES, name="gene"), columns=CELLS)
    path = folder / kind
    if kind.startswith("10x"):
        return mtx_directory(path, kind == "10x_gz"), {}
    if kind.startswith("gct"):
        return gct(folder / "m.gct", kind[3:]), {}
    if kind == "dense.h5ad":
        write_h5ad(path, whole())
    elif kind == "sparse.h5ad":
        write_h5ad(path, Expression(sparse.csr_matrix(COUNTS), GENES, SYMBOLS, whole().obs))
    elif kind == "genes.csv":
        frame.to_csv(path)
    elif kind == "cells.tsv.gz":
        frame.T.to_csv(path, sep="\t")
    elif kind == "r.tsv":  # as R's write.table writes: nothing above the names of rows
        text = frame.to_csv(sep="\t")
        path.write_text(text.removeprefix("gene\t"))
    elif kind == "cells.parquet":
        frame.T.reset_index(names="cell").to_parquet(path)
    else:
        np.savez(path, X=COUNTS.T, genes=np.array(GENES), cond=np.array(CELLS), symbols=np.array(SYMBOLS))
    return path, {"rows": "cells"} if kind.startswith("cells") else {}


KINDS = ["dense.h5ad", "sparse.h5ad", "10x", "10x_gz", "gct1.2", "gct1.3", "genes.csv", "cells.tsv.gz", "r.tsv",
         "cells.parquet", "arrays.npz"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_holds_the_same(kind, tmp_path):
    path, options = write(kind, tmp_path)
    read = read_expression(path, options)
    assert np.array_equal(dense(read), COUNTS) and dense(read).dtype == np.float32
    assert (read.genes, read.values, tuple(read.obs.index)) == (GENES, "counts", CELLS)
    assert read.symbols == (SYMBOLS if "10x" in kind or kind.endswith(("h5ad", "npz")) or "gct" in kind else GENES)
    if kind.endswith("h5ad") or kind == "gct1.3":
        assert list(read.obs["condition"]) == CONDITIONS


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_one_sentence(kind, tmp_path):
    path, options = write(kind, tmp_path)
    for file in [next(path.glob("matrix*"))] if path.is_dir() else [path]:
        data = file.read_bytes()
        # of plain text only a torn row tells
        end = data.rindex(b"\n", 0, len(data) * 2 // 3) + 22 if kind in ("genes.csv", "r.tsv") else len(data) * 2 // 3
        file.write_bytes(data[:end])
    with pytest.raises(UserError) as refused:
        read_expression(path, options)
    assert str(refused.value).startswith(str(tmp_path)) and "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [*KINDS, "m.gct"])
def test_a_web_page_in_place_of_data_is_said_so(kind, tmp_path):
    path = tmp_path / (kind if "." in kind and not kind.startswith("gct") else "m.gct")
    path.write_text("\n<!DOCTYPE html><html><body>Sign in</body></html>")
    with pytest.raises(UserError, match="web page"):
        read_expression(path)


def test_old_and_columnwise_layouts_of_anndata(tmp_path):
    """Categories in `__categories` (0.7), compound tables (0.6), columns first, and layers."""
    path = tmp_path / "old.h5ad"
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        csc = sparse.csc_matrix(COUNTS)
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = "csc_matrix", COUNTS.shape
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(csc, name)
        obs = file.create_group("obs")
        obs.attrs["_index"], obs.attrs["column-order"] = "index", np.array(["condition"], dtype=text)
        obs.create_dataset("index", data=list(CELLS), dtype=text)
        categories = sorted(set(CONDITIONS))
        obs.create_dataset("__categories/condition", data=categories, dtype=text)
        codes = np.array([categories.index(name) for name in CONDITIONS], dtype=np.int8)
        codes[0] = -1
        obs["condition"] = codes
        obs["condition"].attrs["categories"] = obs["__categories/condition"].ref
        names = np.array([(gene.encode(), 0) for gene in GENES], dtype=[("index", "S15"), ("n", "i4")])
        file["var"] = names
        file.create_dataset("layers/doubled", data=2 * COUNTS)
    read = read_expression(path)
    assert np.array_equal(dense(read), COUNTS) and read.genes == GENES
    assert pd.isna(read.obs["condition"].iloc[0]) and list(read.obs["condition"])[1:] == CONDITIONS[1:]
    assert np.array_equal(dense(read_expression(path, {"layer": "doubled"})), 2 * COUNTS)
    with pytest.raises(UserError, match=r"no layer 'counts' \(it has doubled\)"):
        read_expression(path, {"layer": "counts"})


def test_matrix_market_equals_scipy_and_drops_other_features(tmp_path):
    folder = mtx_directory(tmp_path / "10x", False)
    lines = (folder / "features.tsv").read_text().splitlines()
    lines[1] = lines[1].replace("Gene Expression", "Antibody Capture")
    (folder / "features.tsv").write_text("\n".join(lines) + "\n")
    read = read_expression(folder / "matrix.mtx")
    kept = [0, 2, 3, 4]
    expected = scipy_io.mmread(folder / "matrix.mtx").toarray().T[:, kept]
    assert np.array_equal(dense(read), expected) and read.symbols == tuple(SYMBOLS[number] for number in kept)


def test_files_of_geo_have_a_prefix_or_are_named(tmp_path):
    folder = mtx_directory(tmp_path / "10x", True)
    for path in list(folder.iterdir()):
        path.rename(folder / f"GSM1_{path.name}")
    assert read_expression(folder / "GSM1_matrix.mtx.gz").genes == GENES
    (folder / "GSM1_features.tsv.gz").rename(tmp_path / "genes.gz")
    with pytest.raises(UserError, match="no features beside it"):
        read_expression(folder / "GSM1_matrix.mtx.gz")
    assert read_expression(folder / "GSM1_matrix.mtx.gz", features=tmp_path / "genes.gz").genes == GENES


def test_normalisation_is_that_of_the_field(tmp_path):
    """ln(1 + counts / total x 10,000), as scanpy's normalize_total and log1p; no cell without counts becomes NaN."""
    totals = COUNTS.sum(axis=1, keepdims=True, dtype=np.float64)
    expected = np.log1p(np.divide(COUNTS * 1e4, totals, out=np.zeros(COUNTS.shape), where=totals > 0))
    for matrix in (COUNTS, sparse.csr_matrix(COUNTS)):
        made = log_normalised(Expression(matrix, GENES, SYMBOLS, whole().obs, "counts"))
        assert made.values == "lognorm" and np.allclose(dense(made), expected, atol=1e-6)
        assert np.array_equal(matrix if matrix is COUNTS else matrix.toarray(), COUNTS)
        assert log_normalised(made) is made


@pytest.mark.parametrize(
    ("change", "values", "words"),
    [
        (lambda x: -x, "counts", "counts cannot be negative"),
        (lambda x: np.where(x == x.max(), np.nan, x), "auto", "missing or infinite"),
        (lambda x: x * 37.5, "auto", "neither counts nor logarithms"),
        (lambda x: np.log1p(x) - (x == x.max()) * 9, "auto", "nor are enough negative for scores; say what they are"),
        (lambda x: x[:, :0], "auto", "holds no genes"),
        (lambda x: x[:0], "auto", "holds no cells"),
        (lambda x: x, "tpm", "say what they are"),
    ],
)
def test_what_cannot_be_expression_is_one_sentence(change, values, words, tmp_path):
    made = change(COUNTS)
    frame = pd.DataFrame(made, index=CELLS[: len(made)], columns=GENES[: made.shape[1]])
    write_h5ad(tmp_path / "m.h5ad", Expression(made, GENES[: made.shape[1]], GENES[: made.shape[1]], frame.iloc[:, :0]))
    with pytest.raises(UserError, match=words):
        read_expression(tmp_path / "m.h5ad", {"values": values})


@pytest.mark.parametrize(
    ("made", "values"), [(COUNTS, "counts"), (np.log1p(COUNTS), "lognorm"), (COUNTS - 1.5, "z"), (COUNTS - 2, "z")]
)
def test_values_are_recognised(made, values, tmp_path):
    np.savez(tmp_path / "m.npz", X=made, genes=np.array(GENES), cells=np.array(CELLS))
    assert read_expression(tmp_path / "m.npz").values == values


@pytest.mark.parametrize("sparsely", [False, True])
def test_genes_that_stand_twice_become_one(sparsely, tmp_path, capsys):
    genes = ("A", "B", "A", "C", "B")
    for values, join in ((COUNTS, np.sum), (np.log1p(COUNTS), np.mean)):
        matrix = sparse.csr_matrix(values) if sparsely else values
        write_h5ad(tmp_path / "m.h5ad", Expression(matrix, genes, genes, whole().obs))
        read = read_expression(tmp_path / "m.h5ad")
        expected = [join(values[:, places], axis=1) for places in ([0, 2], [1, 4], [3])]
        assert read.genes == read.symbols == ("A", "B", "C")
        assert np.allclose(dense(read), np.transpose(expected), atol=1e-6)
        assert "2 columns bear the id of another one" in capsys.readouterr().err


def test_members_of_archives(tmp_path):
    """The one that is named, from any folder; a name that leads elsewhere leads nowhere, and links are not followed."""
    write_h5ad(tmp_path / "m.h5ad", whole())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "m.h5ad", "../../norman/perturb_processed.h5ad")
        archive.writestr("norman/readme.txt", "words")
        archive.writestr("__MACOSX/norman/._perturb_processed.h5ad", "x")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as bundle:
        bundle.add(tmp_path / "m.h5ad", "norman/m.h5ad")
        link = tarfile.TarInfo("norman/link.h5ad")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    assert np.array_equal(dense(read_expression(tmp_path / "a.zip", {"member": "perturb_processed.h5ad"})), COUNTS)
    assert np.array_equal(dense(read_expression(tmp_path / "a.tar.gz", {"member": "*.h5ad"})), COUNTS)
    assert sorted(tmp_path.rglob("*")) == before
    for member, words in (("", "2 files"), ("none.h5ad", "0 files"), ("link.h5ad", "0 files")):
        name = "a.tar.gz" if "link" in member else "a.zip"
        with pytest.raises(UserError, match=words):
            read_expression(tmp_path / name, {"member": member})
    with pytest.raises(UserError, match="no ZIP or TAR"):
        read_expression(tmp_path / "m.h5ad", {"member": "x"})
    data = (tmp_path / "a.zip").read_bytes()
    middle = len(data) // 2
    (tmp_path / "bad.zip").write_bytes(data[: middle - 200] + b"\xff" * 400 + data[middle + 200 :])
    with pytest.raises(UserError, match=r"damaged|no whole"):
        read_expression(tmp_path / "bad.zip", {"member": "perturb_processed.h5ad"})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.csv", "gene,a,b\nX,1,2\nY,3,word\n", "column 'b' is not numeric"),
        ("m.csv", "gene,a,b\nX,1,2,3,4\n", "header has 3 cells and the rows 5"),
        ("m.csv", "", "is empty"),
        ("m.gct", "#1.1\n1\t1\n", "no whole GCT"),
        ("m.rda", "words", "cannot be read as R data"),
        ("m.h5ad", "words", "no whole AnnData"),
        ("m.xyz", "words", "no known matrix"),
        ("m.parquet", "words", "cannot be read as Parquet"),
        ("m.npz", "words", "no whole NumPy archive"),
    ],
)
def test_what_is_no_matrix_is_one_sentence(name, content, words, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words) as refused:
        read_expression(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_an_unknown_side_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_expression(tmp_path / "none.h5ad")
    with pytest.raises(UserError, match="genes or cells"):
        read_expression(write("genes.csv", tmp_path)[0], {"rows": "columns"})


def edited(path: Path, edit) -> Path:
    write_h5ad(path, whole())
    with h5py.File(path, "a") as file:
        edit(file)
    return path


def categorical(file, beyond: int) -> None:
    """Conditions as numbers of categories, `beyond` too large."""
    categories, codes = np.unique(np.array(CONDITIONS), return_inverse=True)
    del file["obs/condition"]
    group = file.create_group("obs/condition")
    group.attrs["encoding-type"] = "categorical"
    group["codes"] = (codes + beyond).astype(np.int8)
    group.create_dataset("categories", data=categories.astype(object), dtype=h5py.string_dtype())


def replaced(file, name: str, value) -> None:
    del file[name]
    file[name] = value


@pytest.mark.parametrize(
    "edit",
    [
        lambda file: categorical(file, 4),
        lambda file: replaced(file, "X", np.arange(35, dtype=np.float32)),
        lambda file: replaced(file, "X", np.array([[b"a"] * 5] * 7)),
        lambda file: replaced(file, "obs/_index", np.zeros((7, 2))),
        lambda file: replaced(file, "obs/condition", np.arange(6)),
    ],
)
def test_damage_within_a_file_is_one_sentence(edit, tmp_path):
    with pytest.raises(UserError, match="no whole AnnData file") as refused:
        read_expression(edited(tmp_path / "m.h5ad", edit))
    assert "\n" not in str(refused.value)


def test_columns_of_an_unknown_encoding_matter_where_they_are_asked_for(tmp_path):
    def edit(file):
        categorical(file, 0)
        for name, kind in (("sparse", "csr_matrix"), ("nested", "dataframe")):
            file.create_group(f"obs/{name}").attrs["encoding-type"] = kind
        file["obs/pairs"] = np.zeros((7, 2))
        columns = ["condition", "sparse", "nested", "pairs"]
        file["obs"].attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
        del file["obs/_index"]
        index = file.create_group("obs/_index")
        index.attrs["encoding-type"] = "nullable-string-array"
        index.create_dataset("values", data=np.array(CELLS, dtype=object), dtype=h5py.string_dtype())
        index["mask"] = np.zeros(7, dtype=bool)

    read = read_expression(edited(tmp_path / "m.h5ad", edit))
    assert tuple(read.obs.index) == CELLS and list(read.obs.columns) == ["condition"]
    assert list(read.obs["condition"]) == CONDITIONS
    for column in ("sparse", "nested", "pairs"):
        with pytest.raises(UserError, match=f"column '{column}' has an encoding that is not read"):
            text_column(read.obs, column, "condition")


@pytest.mark.parametrize(
    "damage",
    [
        {"X": np.arange(5.0)},
        {"X": np.zeros((1, 5, 7))},
        {"X": np.array([["a", "b"]])},
        {"X": np.ones((7, 5)) * 1j},
        {"genes": np.array("a")},
        {"cond": np.array([["a", "b"]])},
    ],
)
def test_arrays_that_are_no_matrix_with_names_are_one_sentence(damage, tmp_path):
    arrays = {"X": COUNTS, "genes": np.array(GENES), "cond": np.array(CONDITIONS)}
    np.savez(tmp_path / "m.npz", **arrays | damage)
    with pytest.raises(UserError, match="X is to be a table of numbers, and genes and cond a list of names"):
        read_expression(tmp_path / "m.npz")


def test_an_object_of_r_that_lacks_a_part(tmp_path, monkeypatch):
    """Descriptions may be absent; without a matrix or names it is one sentence."""
    made = {"class": ["GCT"], "rid": GENES, "cid": CELLS, "mat": SimpleNamespace(values=COUNTS.T)}
    (tmp_path / "m.rda").write_bytes(b"RDX3")
    monkeypatch.setattr("rdata.read_rda", lambda _: {"x": SimpleNamespace(**made)})
    read = read_expression(tmp_path / "m.rda")
    assert read.genes == read.symbols == GENES and np.array_equal(read.matrix, COUNTS) and not len(read.obs.columns)
    for part in ("rid", "mat"):
        lacking = SimpleNamespace(**{name: value for name, value in made.items() if name != part})
        monkeypatch.setattr("rdata.read_rda", lambda _, held=lacking: {"x": held})
        with pytest.raises(UserError, match="is not whole"):
            read_expression(tmp_path / "m.rda")
