"""One PDF of all figures behind a cover page that states the study, its verdict in numbers and its versions."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from foundationless.errors import UserError
from foundationless.figures import style
from foundationless.figures.tables import Tables, each, read
from foundationless.files import atomic_path
from foundationless.records import versions
from foundationless.statistics import VERDICTS

QUESTION = (
    "Is a pretrained genomic model better than itself at random initialisation, and than baselines that cost nothing?"
)
WRAP = 112  # characters of 7.5 pt in 162 mm


def bind(pdfs: Sequence[Path], tables: Path, study: str, notes: str, output: Path) -> None:
    """Write `output`: cover, then `pdfs` in order, each with a bookmark; the same inputs give the same bytes."""
    from pypdf import PdfWriter
    from pypdf.errors import PyPdfError

    frames = read(tables, study)
    with atomic_path(output) as part:
        front = part.with_suffix(".cover.pdf")
        try:
            with style.sheet():
                cover(frames, notes).savefig(front, format="pdf", metadata=style.NO_DATES)
            with PdfWriter() as writer:
                for path, name in [(front, "Cover"), *((path, bookmark(path.stem)) for path in pdfs)]:
                    try:
                        writer.append(path, outline_item=name)
                    except FileNotFoundError:
                        raise UserError(f"{path}: no such figure; draw it with draw_figure first.") from None
                    except (PyPdfError, OSError) as error:
                        raise UserError(f"{path}: not a PDF ({error}); delete it and draw it again.") from None
                writer.add_metadata({"/Title": f"foundationless: {study}"})
                writer.page_mode = "/UseOutlines"
                writer.compress_identical_objects()
                writer.write(part)
        finally:
            front.unlink(missing_ok=True)


def bookmark(stem: str) -> str:
    """`Figure 1: benchmarks` for `figure_01_benchmarks`."""
    words = stem.split("_")
    if words[0] == "figure" and len(words) > 2 and words[1].isdecimal():
        return f"Figure {int(words[1])}: {' '.join(words[2:])}"
    return stem.replace("_", " ").capitalize()


def cover(tables: Tables, notes: str) -> Figure:
    """The cover page."""
    stated = versions() | _record_versions(tables)
    blocks = [
        ("Question", [QUESTION]),
        ("Study", [tables.study, *([notes] if notes else [])]),
        ("Verdict", verdict_sentences(tables)),
        ("Behind it", [counts(tables), *sample_sizes(tables)]),
        (
            "Versions",
            [", ".join(f"{name} {value}" for name, value in stated.items())],
        ),
    ]
    wrapped = [(head, [line for text in texts for line in textwrap.wrap(text, WRAP)]) for head, texts in blocks]
    height = 22 + sum(7.5 + 3.7 * len(lines) for _, lines in wrapped)
    with style.sheet():
        figure = Figure(figsize=(style.TWO_COLUMNS * style.MM, height * style.MM))
        y = height - 6
        figure.text(6 / style.TWO_COLUMNS, y / height, "foundationless", fontsize=16, fontweight="bold", va="top")
        y -= 11
        for head, lines in wrapped:
            figure.text(6 / style.TWO_COLUMNS, y / height, head, fontsize=8, fontweight="bold", va="top")
            y -= 4
            for line in lines:
                figure.text(6 / style.TWO_COLUMNS, y / height, line, fontsize=7.5, va="top")
                y -= 3.7
            y -= 3.5
    return figure


def verdict_sentences(tables: Tables) -> list[str]:
    """At most three sentences, every number of which stands in across_tasks.csv."""
    found = tables.across[(tables.across["suite"] == "all") & ~tables.across["model"].isin(tables.baselines)]
    paired = found[found["versus"] == "random"]
    if paired.empty:
        return ["No model has both arms on any fine-tuning task, so there is no verdict."]
    label = {name: look.label for name, look in tables.looks.items()}
    margin, best = paired["margin"].max(), next(each(paired.nlargest(1, "delta")))
    worst = next(each(paired.nsmallest(1, "delta")))
    sentences = [
        f"Over {int(paired['n'].max())} fine-tuning task(s), at an equivalence margin of ±{margin:g}, pretraining is "
        f"{_by_verdict(paired, label)} (95 % t interval over tasks of the paired difference to random initialisation).",
        f"The mean difference runs from {_delta(worst, label)} to {_delta(best, label)}; pretraining wins "
        f"{int(paired['wins'].sum())} of {int(paired['n'].sum())} pairs of arms.",
    ]
    cheap = found[found["versus"] == "baseline"]
    if len(cheap):
        sentences.append(f"Against the best cheap baseline, pretrained models are {_by_verdict(cheap, label)}.")
    else:
        sentences.append("No baseline was run on these tasks.")
    return sentences


def _by_verdict(rows: pd.DataFrame, label: dict[str, str]) -> str:
    parts = []
    for word in VERDICTS:
        names = [label.get(name, name) for name in rows.loc[rows["verdict"] == word, "model"]]
        if names:
            parts.append(f"{word} for {len(names)} of {len(rows)} models ({', '.join(names)})")
    return ", ".join(parts)


def _delta(row: Any, label: dict[str, str]) -> str:
    interval = f" [{row.low:+.3f}, {row.high:+.3f}]" if pd.notna(row.low) else ""
    return f"{row.delta:+.3f}{interval} ({label.get(row.model, row.model)})"


def counts(tables: Tables) -> str:
    """How many numbers, jobs, tasks, models and seeds the records hold."""
    found = tables.records
    keys = [key for key in ("analysis", "task", "model", "init", "seed") if key in found]
    jobs = len(found[keys].drop_duplicates())
    return (
        f"{jobs:,} jobs with {len(found):,} recorded numbers: {found['analysis'].nunique()} analyses, "
        f"{found['task'].nunique()} tasks, {found['model'].nunique()} models and baselines."
    )


def sample_sizes(tables: Tables) -> list[str]:
    """Test items per analysis, as far as predictions were made."""
    if "n_test" not in tables.scores:
        return []
    sized = tables.scores[tables.scores["n_test"].notna()]
    words = []
    for analysis, rows in sized.groupby("analysis", sort=False):
        low, high = int(rows["n_test"].min()), int(rows["n_test"].max())
        words.append(f"{analysis} {low:,}" + (f"–{high:,}" if high > low else ""))
    return [f"Test items per task: {', '.join(words)}."] if words else []


def _record_versions(tables: Tables) -> dict[str, str]:
    """Versions that the records state, several joined by a slash."""
    return {
        str(column).removeprefix("version_"): " / ".join(sorted(tables.records[column].dropna().astype(str).unique()))
        for column in tables.records
        if str(column).startswith("version_")
    }
