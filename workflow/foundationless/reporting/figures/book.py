"""One PDF of all figures behind a cover page that states the study, its verdict in numbers and its versions."""

import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from foundationless.errors import UserError
from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import Tables, read
from foundationless.reporting.figures.layout import margin_words, span
from foundationless.reporting.tables.verdict import read as read_verdict
from foundationless.reporting.tables.verdict_words import PRICED, prices, truths
from foundationless.runtime.files import atomic_path
from foundationless.runtime.versions import versions
from foundationless.study.vocabulary import FIGURES

QUESTION = (
    "Is a pretrained genomic model better than itself at random initialisation, and than baselines that cost nothing?"
)
NAMES = {  # where a file's name does not make a title
    "verdict_forest": "Verdict by model and family",
    "critical_difference": "Critical difference",
    "reported": "Reported and ours",
    "figure_08_nt": "Figure 8: NT benchmark",
    "figure_09_gue": "Figure 9: GUE",
    "figure_10_gb": "Figure 10: Genomic Benchmarks",
    "fewshot": "Few shots",
    "roc": "ROC",
    "lora": "LoRA",
    "p_figure_1": "P 1: Combinations",
    "p_figure_2": "P 2: Unseen perturbations",
    "p_reported": "P: On the second paper's rows",
    "p_error_by_genes": "P ED 2, 8: Error by number of genes",
    "p_curves": "P ED 4: Interactions",
    "p_variation": "P ED 7: Size of predictions",
}
MOST_MISSING = 30  # lines of the cover
WRAP = 112  # characters of 7.5 pt in 162 mm


def bind(pdfs: Sequence[Path], tables: Path, verdict: Path, study: str, notes: str, output: Path) -> None:
    """Write `output`: cover, then `pdfs` in order, each bookmarked under its group (`vocabulary.FIGURES`).

    The same inputs, with the same times, give the same bytes.
    """
    from pypdf import PdfWriter
    from pypdf.errors import PyPdfError

    frames, answer = read(tables, study), read_verdict(verdict)
    with atomic_path(output) as part:
        front = part.with_suffix(".cover.pdf")
        try:
            with style.sheet():
                cover(frames, answer, notes).savefig(front, format="pdf", metadata=style.NO_DATES)
            with PdfWriter() as writer:
                chapters: dict[str, Any] = {}
                for path in [front, *pdfs]:
                    first = len(writer.pages)
                    try:
                        writer.append(path, import_outline=False)
                    except FileNotFoundError:
                        raise UserError(f"{path}: no such figure; draw it with draw_figures first.") from None
                    except (PyPdfError, OSError) as error:
                        raise UserError(f"{path}: not a PDF ({error}); delete it and draw it again.") from None
                    if path == front:
                        writer.add_outline_item(title="Cover", page_number=first)
                        continue
                    group = FIGURES[path.stem].group if path.stem in FIGURES else "Others"
                    if group not in chapters:
                        chapters[group] = writer.add_outline_item(title=group, page_number=first, bold=True)
                    name = bookmark(path.stem)
                    writer.add_outline_item(title=name, page_number=first, parent=chapters[group])
                writer.add_metadata({"/Title": f"foundationless: {study}"})
                writer.page_mode = "/UseOutlines"
                writer.compress_identical_objects()
                writer.write(part)
        finally:
            front.unlink(missing_ok=True)


def bookmark(stem: str) -> str:
    """`Figure 1: Benchmarks` for `figure_01_benchmarks`."""
    if stem in NAMES:
        return NAMES[stem]
    words = stem.split("_")
    if words[0] == "figure" and len(words) > 2 and words[1].isdecimal():
        return f"Figure {int(words[1])}: {' '.join(words[2:]).capitalize()}"
    return stem.replace("_", " ").capitalize()


def cover(tables: Tables, verdict: Mapping[str, Any], notes: str) -> Figure:
    """The cover page of the tables and of the verdict that `write_verdict` made of them."""
    stated = versions() | _record_versions(tables)
    blocks = [
        *([("Truth", known)] if (known := truths(verdict)) else []),
        ("Question", [QUESTION]),
        ("Study", [tables.study, *([notes] if notes else [])]),
        ("Design", design(tables)),
        ("Verdict", [str(sentence) for sentence in verdict["sentences"]]),
        *([("Price", [PRICED, *priced])] if (priced := prices(verdict)) else []),
        ("Behind it", [counts(tables), *sample_sizes(tables)]),
        ("Missing", missing(tables)),
        ("Date of the data", [dated(tables)]),
        ("Versions", [", ".join(f"{name} {value}" for name, value in stated.items())]),
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


def design(tables: Tables) -> list[str]:
    """What was compared with what, by which tests, in sentences."""
    scores = tables.scored("finetune") if len(tables.scored("finetune")) else tables.scores
    own = tables.own(scores)
    sentences = [
        "Each pretrained model and the same architecture at random initialisation run through the same lines, as do "
        "baselines of sequence composition; validation data choose, the test set is read once, and every prediction is "
        "kept."
    ]
    if own["seeds"].notna().any():
        sentences.append(
            f"{own['model'].nunique()} models and {tables.others(scores)['model'].nunique()} baselines on "
            f"{scores['task'].nunique()} tasks, {span(own['seeds'])} seed(s) and {span(own['folds'])} fold(s)."
        )
    pairs = tables.comparisons[tables.comparisons["analysis"].isin(scores["analysis"])]
    if margins := margin_words(pairs):
        sentences.append(
            f"Differences are paired, item by item; within {margins} they count as none. Two questions are answered: "
            "on these tasks (seeds and test items are random) and on tasks like these (families of tasks are random "
            "too, by a t test over their means; families that share sequences are one, and the same data in two suites "
            "count once). A word takes three seeds, an arm that learned something, and a t test or two one-sided tests "
            "(TOST) at 5 % after Holm's adjustment over models; both kinds together err for any model in at most 10 %."
        )
    return sentences


def missing(tables: Tables) -> list[str]:
    """What is missing, a line per analysis, model and arm with its tasks and seeds; the rest is in missing.csv."""
    cells = tables.extra("missing")
    if cells.empty:
        return ["None: no cell of the design is missing."]
    cells = cells.astype(object).fillna("")
    lines = []
    for keys, part in cells.groupby(["what", "analysis", "model", "init"], sort=False):
        tasks = [
            " ".join(filter(None, [str(task), f"(seed {', '.join(seeds)})" if (seeds := _seeds(rows)) else ""]))
            for task, rows in part.groupby("task", sort=False)
        ]
        what, *cell = (str(key) for key in keys)
        lines.append(f"{what.capitalize()}: {'/'.join(filter(None, cell))}: {', '.join(filter(None, tasks))}.")
    shown = lines[:MOST_MISSING]
    rest = [f"… and {len(lines) - len(shown)} more lines like these: missing.csv."] if len(lines) > len(shown) else []
    return [f"{len(cells):,} missing.", *shown, *rest]


def _seeds(rows: pd.DataFrame) -> list[str]:
    return [f"{int(float(seed))}" for seed in rows["seed"] if str(seed) != ""]


def dated(tables: Tables) -> str:
    """When the tables were collected from the records."""
    moment = datetime.fromtimestamp((tables.directory / "records.parquet").stat().st_mtime, UTC)
    return f"Tables collected from the records on {moment:%Y-%m-%d} (UTC)."


def counts(tables: Tables) -> str:
    """How many numbers, jobs, tasks, models and seeds the records hold."""
    found = tables.records
    jobs = len(found[["analysis", "task", "model", "init", "seed"]].drop_duplicates())
    return (
        f"{jobs:,} jobs with {len(found):,} recorded numbers: {found['analysis'].nunique()} analyses, "
        f"{found['task'].nunique()} tasks, {found['model'].nunique()} models and baselines."
    )


def sample_sizes(tables: Tables) -> list[str]:
    """Test items per analysis, as far as predictions were made."""
    sized = tables.scores[tables.scores["n_test"].notna()]
    words = [f"{analysis} {span(rows)}" for analysis, rows in sized.groupby("analysis", sort=False)["n_test"]]
    return [f"Test items per task: {', '.join(words)}."] if words else []


def _record_versions(tables: Tables) -> dict[str, str]:
    """Versions that the records state, several joined by a slash."""
    return {
        str(column).removeprefix("version_"): " / ".join(sorted(tables.records[column].dropna().astype(str).unique()))
        for column in tables.records
        if str(column).startswith("version_")
    }
