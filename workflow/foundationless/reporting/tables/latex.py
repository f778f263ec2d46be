"""A table as files: CSV with every digit, Parquet, and LaTeX (booktabs) as it may stand in a paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LONG = 40  # rows beyond which a table breaks over pages
LONGEST_COLUMN = 40  # characters beyond which the text of a column is wrapped
OF_P = ("p", "p_holm", "p_tost", "p_tost_holm", "p_friedman", "wilcoxon_p", "wilcoxon_p_holm")
SYMBOLS = {"−": "$-$", "±": r"$\pm$", "×": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "ρ": r"$\rho$", "·": r"$\cdot$",
           "…": r"\ldots{}", "Δ": r"$\Delta$", "α": r"$\alpha$", "–": "--", "’": "'",
           "µ": r"$\mu$", "μ": r"$\mu$", "χ": r"$\chi$", "β": r"$\beta$", "λ": r"$\lambda$", "σ": r"$\sigma$",
           "≈": r"$\approx$", "∞": r"$\infty$", "→": r"$\rightarrow$", "°": r"$^{\circ}$", "\u00a0": "~"}  # fmt: skip
SYMBOLS |= {sign: f"$^{{{power}}}$" for power, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {"⁻": "$^{-}$"}
ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
           ">": r"\textgreater{}", "|": r"\textbar{}"} | {sign: f"\\{sign}" for sign in "&%$#_{}"}  # fmt: skip
HEAD = r"""\documentclass[a4paper,landscape]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[margin=1cm]{geometry}
\usepackage{booktabs,longtable}
\setlength{\tabcolsep}{2.5pt}
\begin{document}
\tiny
"""


def write_latex(path: Path, frame: pd.DataFrame) -> None:
    """Write a LaTeX fragment: `tabular` or, of a long table, `longtable`; it needs booktabs and longtable.

    A value with its ends (`value`, `low`, `high`; or `x`, `x_low`, `x_high`) becomes one cell. Numbers have three
    decimals, p values two digits, columns without any value are left out.
    """
    shown = fold_intervals(frame)
    cells = pd.DataFrame({name: [_cell(value, str(name)) for value in shown[name]] for name in shown}, dtype=str)
    cells = cells.loc[:, [bool((cells[name] != "").any()) or not len(cells) for name in cells]]
    columns = [_column(shown[name], cells[name]) for name in cells]
    head = " & ".join(escape(str(name).replace("_", " ")) for name in cells) + r" \\"
    body = "".join(" & ".join(row) + " \\\\\n" for row in cells.to_numpy(dtype=str))
    kind, repeated = ("longtable", "\\endhead\n") if len(cells) > LONG else ("tabular", "")
    path.write_text(
        f"\\begin{{{kind}}}{{@{{}}{''.join(columns)}@{{}}}}\n\\toprule\n{head}\n\\midrule\n{repeated}"
        f"{body}\\bottomrule\n\\end{{{kind}}}\n"
    )


def write_document(path: Path, names: Mapping[str, str]) -> None:
    """Write a LaTeX document of the fragments beside it: name of the file without suffix -> heading."""
    part = "\\section*{{{}}}\n\\noindent\\input{{{}}}\n\\clearpage\n"
    body = "\n".join(part.format(escape(title), name) for name, title in names.items())
    path.write_text(HEAD + body + "\\end{document}\n")


def fold_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Each value and its ends as one column of text, `0.512 [0.480, 0.544]`; the ends have no columns of their own.

    Of `x` they are `x_low` and `x_high`, or `low` and `high` right behind it.
    """
    folded: dict[str, Any] = {}
    names = list(map(str, frame))
    for place, name in enumerate(names):
        if name in ("low", "high") or name.endswith(("_low", "_high")):
            continue
        near = names[place + 1 : place + 3] == ["low", "high"]
        low, high = ("low", "high") if near else (f"{name}_low", f"{name}_high")
        if {low, high} <= set(names) and pd.api.types.is_numeric_dtype(frame[name]):
            folded[name] = [_interval(*row) for row in zip(frame[name], frame[low], frame[high], strict=True)]
        else:
            folded[name] = frame[name].to_numpy(dtype=object)
    return pd.DataFrame(folded, columns=list(folded))


def escape(text: str) -> str:
    """Text as LaTeX prints it."""
    # A letter that T1 fonts lack becomes a question mark: a table must compile.
    known = ESCAPED | SYMBOLS
    return "".join(known.get(sign, sign if sign.isascii() or "\u00c0" <= sign <= "\u017f" else "?") for sign in text)


def _interval(value: Any, low: Any, high: Any) -> Any:
    if pd.isna(value) or pd.isna(low) or pd.isna(high):
        return value
    return f"{value:.3f} [{low:.3f}, {high:.3f}]".replace("-", "−")


def _cell(value: Any, name: str) -> str:
    if not isinstance(value, list | dict | tuple) and pd.isna(value):
        return ""
    if isinstance(value, float | np.floating):
        return escape(_number(float(value), name).replace("-", "−"))
    return escape(str(value))


def _number(value: float, name: str) -> str:
    if name in OF_P:
        return "<0.001" if value < 0.001 else f"{value:.2g}"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.1e}"


def _column(values: "pd.Series[Any]", cells: "pd.Series[str]") -> str:
    if len(values) and pd.to_numeric(values, errors="coerce").notna().any():
        return "r"
    return "p{4cm}" if len(cells) and int(cells.str.len().max()) > LONGEST_COLUMN else "l"
