"""Tables as files: nothing is lost in CSV and Parquet, and LaTeX is what a page can show."""

import re

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation.table_files import write_csv, write_parquet
from foundationless.reporting.tables import latex as formats

AWKWARD = r"50 % of $x_1 & #2 {a} ~b ^c \d <e> |f| − ± × ρ é 雪"


def rows_of(path):
    """Cells of every row of a fragment, split at the ampersands that separate columns."""
    body = path.read_text().split(r"\midrule")[1].split(r"\bottomrule")[0].replace(r"\endhead", "")
    return [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in body.splitlines() if line.strip()]


def latex(tmp_path, frame):
    path = tmp_path / "table.tex"
    formats.write_latex(path, frame)
    return path


def test_csv_and_parquet_keep_every_digit_and_every_missing_value(tmp_path):
    frame = pd.DataFrame(
        {"x": [0.1 + 0.2, np.nan, 1e-300], "n": pd.array([1, None, 3], dtype="Int64"), "t": ["a", None, "b,c"]}
    )
    write_csv(tmp_path / "t.csv", frame)
    write_parquet(tmp_path / "t.parquet", frame)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame, check_dtype=False)
    read = pd.read_csv(tmp_path / "t.csv")
    assert read["x"].tolist()[0] == 0.1 + 0.2 and read["n"].isna().tolist() == [False, True, False]
    write_parquet(tmp_path / "mixed.parquet", pd.DataFrame({"v": [1, "a", None], "d": [{"a": 1}, {}, None]}))
    assert pd.read_parquet(tmp_path / "mixed.parquet")["v"].tolist()[:2] == ["1", "a"]


def test_every_sign_is_escaped_and_rows_have_the_columns_of_the_head(tmp_path):
    frame = pd.DataFrame({"a_b": [AWKWARD, "plain"], "c&d": [1, 2], "e": [None, 0.25]})
    path = latex(tmp_path, frame)
    text = path.read_text()
    assert {len(row) for row in rows_of(path)} == {3}
    assert r"a b & c\&d & e \\" in text
    assert r"50 \% of \$x\_1 \& \#2 \{a\} \textasciitilde{}b \textasciicircum{}c \textbackslash{}d" in text
    assert r"\textless{}e\textgreater{} \textbar{}f\textbar{} $-$ $\pm$ $\times$ $\rho$ é ?" in text
    # What is left of special signs stands behind a backslash, or makes a pair of braces or of dollars.
    bare = re.sub(r"\\[&%$#_{}\\]", "", text)
    assert not re.search(r"[%#~^_]", bare) and bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text) == ["tabular"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("R²", "R$^{2}$"), ("10³", "10$^{3}$"), ("5 µm", r"5 $\mu$m"), ("5 μm", r"5 $\mu$m"), ("χ²", r"$\chi$$^{2}$"),
        ("37 °C", r"37 $^{\circ}$C"), ("×", r"$\times$"), ("é", "é"), ("雪", "?"),
    ],
)  # fmt: skip
def test_powers_and_greek_are_math(text, shown):
    assert formats.escape(text) == shown


def test_numbers_are_rounded_and_values_stand_with_their_intervals(tmp_path):
    row = {"model": "m", "delta": -0.01234, "low": -0.5, "high": 0.25, "p_holm": 0.00004, "wilcoxon_p": 0.0406}
    row |= {"n": 18, "value": 0.5, "value_low": np.nan, "value_high": np.nan, "tiny": 3.2e-7, "df": np.inf}
    path = latex(tmp_path, pd.DataFrame([row]))
    cells = [cell.strip() for cell in rows_of(path)[0]]
    assert cells == [
        "m", "$-$0.012 [$-$0.500, 0.250]", r"\textless{}0.001", "0.041", "18", "0.500", "3.2e$-$07", "inf",
    ]  # fmt: skip
    assert "low" not in path.read_text()


@pytest.mark.parametrize("rows", [0, formats.LONG, formats.LONG + 1])
def test_long_tables_break_over_pages_and_empty_ones_have_a_head(tmp_path, rows):
    frame = pd.DataFrame({"task": ["t"] * rows, "value": [0.5] * rows, "never": [None] * rows})
    text = latex(tmp_path, frame).read_text()
    assert ("longtable" in text) == (rows > formats.LONG) == (r"\endhead" in text)
    assert text.count(r"\\") == rows + 1
    assert ("never" in text) == (rows == 0), "a column without any value is left out"


def test_the_document_reads_every_fragment(tmp_path):
    formats.write_document(tmp_path / "all.tex", {"table_01": "table 01", "claims": "claims"})
    text = (tmp_path / "all.tex").read_text()
    assert re.findall(r"\\input\{(\w+)\}", text) == ["table_01", "claims"]
    assert text.startswith(r"\documentclass") and text.endswith("\\end{document}\n")
