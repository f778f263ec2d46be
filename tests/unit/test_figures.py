"""Figures of a made-up study of full size: everything inside the page, fonts embedded, same bytes twice."""

import json
import shutil
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_tables import change_tables, write_tables
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.text import Text

from foundationless.reporting import figures
from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import read
from foundationless.study.plan import FIGURES
from foundationless.evaluation.bootstrap import verdict
from foundationless.reporting.tables.collect import collect
from foundationless.reporting.tables.verdict import build

CARDS = {
    "hyenadna": ("HyenaDNA", "character"),
    "caduceus": ("Caduceus-PS", "character"),
    "mistral": ("Mistral", "character"),
    "nt500m": ("NT-500M", "kmer"),
    "ntv2": ("NTv2-50M", "kmer"),
    "gena_lm": ("GENA-LM", "bpe"),
    "dnabert2": ("DNABERT-2", "bpe"),
}
GREY = {"length_gc": "length + GC", "kmer_xgboost": "k-mers + XGBoost", "cnn": "one-hot CNN"}
MARKS = ["H3", "H3K14ac", "H3K36me3", "H3K4me1", "H3K4me2", "H3K4me3", "H3K79me3", "H3K9ac", "H4", "H4ac"]
NT = {
    "Histone marks (yeast)": MARKS,
    "Enhancers (human)": ["enhancers", "enhancers_types"],
    "Promoters (human)": ["promoter_all", "promoter_no_tata", "promoter_tata"],
    "Splice sites (human)": ["splice_sites_all", "splice_sites_acceptors", "splice_sites_donors"],
}
GUE = {
    "Histone marks (yeast)": [f"EMP_{mark}" for mark in MARKS],
    "TF binding (human)": [f"tf_human_{i}" for i in range(5)],
    "TF binding (mouse)": [f"tf_mouse_{i}" for i in range(5)],
    "Virus": ["covid"],
    "Promoters (human)": ["prom_300_all", "prom_300_notata", "prom_300_tata"],
    "Core promoters (human)": ["prom_core_all", "prom_core_notata", "prom_core_tata"],
    "Splice sites (human)": ["splice_reconstructed"],
}
GB = {
    "Human": ["human_nontata_promoters", "human_ensembl_regulatory", "human_enhancers_ensembl", "human_enhancers_cohn"],
    "Other": ["drosophila_enhancers_stark", "demo_human_or_worm"],
}
SUITES = {"nt": ("NT benchmark", NT, "mcc"), "gue": ("GUE", GUE, "mcc"), "gb": ("Genomic Benchmarks", GB, "accuracy")}
POOLINGS, GENES = ("cls", "site", "mean", "max"), ("TP53", "BRCA2", "CFTR")
STUDY = "Synthetic tables of the tests; no number here is a result."


def make_tables(directory: Path, models: int = 7, suites=tuple(SUITES), seed: int = 0) -> Path:
    """Tables as `collect_tables` writes them, of `models` models on all tasks of `suites` and every other analysis."""
    generator = np.random.default_rng(seed)
    names = list(CARDS)[:models]
    shared = {
        "protocol": "corrected",
        "seeds": 3,
        "folds": 3,
        "runs": 9,
        "n_test": 1500,
        "groups": 1500,
        "seconds": 60.0,
    }
    scores, comparisons, tasks = [], [], []

    def score(analysis, task, model, init, metric, value, **extra):
        half = generator.uniform(0.005, 0.03)
        scores.append(
            {"analysis": analysis, "task": task, "model": model, "init": init, "metric": metric, "value": value}
            | {"low": value - half, "high": value + half, "sd": half / 2, "parameters": 10**6} | shared | extra
        )  # fmt: skip
        return value

    def compare(analysis, task, model, metric, versus, reference, delta):
        low, high = delta - 0.02, delta + 0.02
        comparisons.append(
            {"analysis": analysis, "task": task, "model": model, "init": "pretrained", "versus": versus}
            | {"reference": reference, "metric": metric, "delta": delta, "low": low, "high": high, "p": 0.01}
            | {"verdict": verdict(low, high, 0.02), "margin": 0.02, "reference_seeds": 3, "resamples": 200} | shared
        )  # fmt: skip

    def classification(analysis, task, metric, chosen, center=0.7):
        center += generator.normal(scale=0.08)
        randoms = {m: score(analysis, task, m, "random", metric, center - 0.05 * i / 3) for i, m in enumerate(chosen)}
        baseline = max(
            score(analysis, task, m, "random" if m == "cnn" else "baseline", metric, center - 0.1 * (i + 1))
            for i, m in enumerate(GREY)
        )
        for model in chosen:
            value = score(analysis, task, model, "pretrained", metric, randoms[model] + generator.normal(0.04, 0.04))
            compare(analysis, task, model, metric, "random", model, value - randoms[model])
            compare(analysis, task, model, metric, "best_random", chosen[0], value - max(randoms.values()))
            compare(analysis, task, model, metric, "baseline", "kmer_xgboost", value - baseline)

    for suite in suites:
        label, groups, metric = SUITES[suite]
        for group, members in groups.items():
            for task in members:
                tasks.append({"task": task, "suite": suite, "suite_label": label, "group": group, "label": task})
                classification("finetune", task, metric, names)
    for task in ("biotype", "ancestry", "chr2", "BRCA2", "CFTR"):
        tasks.append({"task": task, "suite": task, "suite_label": task, "group": task, "label": task.capitalize()})
    first = [task["task"] for task in tasks[:4]]
    for task, percent in product(first, (1, 5, 10, 50)):
        classification("lowdata", f"{task}.pct{percent}", "mcc", names[:4], 0.3 + percent / 150)
    classification("finetune", f"{first[0]}.permuted", "mcc", names, 0.0)
    classification("finetune", f"{first[1]}.dedup", "mcc", names)
    classification("biotype", "biotype", "weighted_f1", names)
    classification("ancestry", "ancestry", "weighted_f1", names)
    widths = {}
    for i, model in enumerate(names):
        for width in (64, 256, 1024, 4096):
            widths[f"{model}.char.w{width}"] = model
            score(
                "width",
                "biotype",
                f"{model}.char.w{width}",
                "random",
                "weighted_f1",
                0.4 + 0.03 * np.log2(width) - 0.02 * i,
            )
    for width, init in product((64, 256, 1024), ("pretrained", "random")):
        widths[f"hyenadna.w{width}"] = "hyenadna"
        score("width", "biotype", f"hyenadna.w{width}", init, "weighted_f1", 0.4 + 0.03 * np.log2(width))
    for i, (model, init) in enumerate(product(names, ("pretrained", "random"))):
        for pooling in POOLINGS:
            for mutations in (1, 64, 128, 256, 512, 1024):
                value = 1 - 0.03 * (i + 1) * np.log10(mutations + 1) / 4
                score(
                    "sensitivity",
                    "chr2",
                    model,
                    init,
                    "cosine",
                    value,
                    pooling=pooling,
                    mutations=mutations,
                    null=False,
                )
            score(
                "sensitivity", "chr2", model, init, "cosine", 0.8 - i / 50, pooling=pooling, mutations=None, null=True
            )
        for gene, label in product(GENES, ("benign", "pathogenic")):
            distance = 10 ** generator.uniform(-4, -1)
            score("similarity", "BRCA2", model, init, "cosine", 1 - distance, gene=gene, label=label, pooling="max",
                  unit="variant", low=1 - 1.3 * distance, high=1 - 0.7 * distance)  # fmt: skip
        for task in ("BRCA2", "CFTR"):
            score("likelihood", task, model, init, "auroc", generator.uniform(0.4, 0.7))
    steps = [
        {"analysis": "pretrain", "task": "genome", "model": model, "init": "pretrained", "seed": 0}
        | {"metric": "bits_per_base", "value": 1.9 + 0.1 * np.exp(-step / 300) - i / 100}
        | {"step": step, "n": 1000, "protocol": "run"}
        for i, model in enumerate(names) for step in range(0, 1001, 50)
    ]  # fmt: skip
    cards = {
        name: {
            "label": CARDS[base][0],
            "tokenizer_class": CARDS[base][1],
            "order": list(CARDS).index(base),
            "kind": "model",
        }
        for name, base in ({name: name for name in names} | widths).items()
    } | {
        name: {"label": label, "tokenizer_class": None, "order": 9, "kind": "baseline"} for name, label in GREY.items()
    }
    output = directory / "tables"
    collect(
        output, scores=pd.DataFrame(scores), comparisons=pd.DataFrame(comparisons), records=pd.DataFrame(steps),
        tasks=pd.DataFrame(tasks), models=cards, margin=0.02,
    )  # fmt: skip
    return output


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The design of the whole study with every table, the study's numbers and the ranks among them."""
    return write_tables(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp("small"), models=2, suites=("gb",))


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A study of which nothing has been summarised yet."""
    output = tmp_path_factory.mktemp("empty") / "tables"
    collect(
        output, scores=pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]),
        comparisons=pd.DataFrame(columns=["analysis", "task", "model", "init", "versus", "delta"]),
        records=pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]),
        tasks=pd.DataFrame([{"task": "H3", "suite": "nt", "suite_label": "NT", "group": "marks", "label": "H3"}]),
        models={"hyenadna": {"label": "HyenaDNA", "tokenizer_class": "character", "order": 0, "kind": "model"}},
        margin=0.02,
    )  # fmt: skip
    return output


@pytest.fixture(scope="module")
def drawn():
    """`drawn(name, tables)`: a figure with its layout done, kept for the tests that follow."""
    kept: dict[tuple[str, Path], Any] = {}

    def draw(name, directory):
        if (name, directory) not in kept:
            figure = figures._drawings()[name](read(directory, STUDY))
            with style.sheet():
                FigureCanvasAgg(figure).draw()
            kept[name, directory] = figure
        return kept[name, directory]

    return draw


def texts(figure):
    """Every text that is drawn, tick labels of ticks in view included."""
    axes = [panel for part in parts(figure) for panel in part.axes]
    ticks = {
        label for panel in axes for axis in (panel.xaxis, panel.yaxis) for label in axis.get_ticklabels(which="both")
    }
    seen = {
        tick.label1 for panel in axes for axis in (panel.xaxis, panel.yaxis) for tick in axis._update_ticks()
    }  # fmt: skip
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in found if text not in ticks or text in seen]


def parts(figure):
    return [figure, *(inner for part in figure.subfigs for inner in parts(part))]


def everything_fits(figure):
    """No text and no panel leaves the page, and no two level texts overlap."""
    page, shown = figure.bbox, [(text, text.get_window_extent()) for text in texts(figure)]
    for text, box in shown:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"'{text.get_text()}' leaves the page: {box} in {page}"
    for part in parts(figure):
        for axes in part.axes:
            box = axes.get_window_extent()
            assert not axes.axison or (box.width > 20 and box.height > 20)
    level = [(text, box) for text, box in shown if text.get_rotation() % 90 == 0]  # slanted boxes exceed their ink
    for (one, first), (two, second) in combinations(level, 2):
        beside = first.x1 < second.x0 + 1 or second.x1 < first.x0 + 1
        above = first.y1 < second.y0 + 1 or second.y1 < first.y0 + 1
        assert beside or above, f"'{one.get_text()}' lies on '{two.get_text()}'"


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_at_full_size(name, tables, drawn):
    figure = drawn(name, tables)
    everything_fits(figure)
    assert figure.get_figwidth() * 25.4 in (pytest.approx(85), pytest.approx(174))
    assert figure.get_figheight() * 25.4 < 260


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_a_small_study(name, small, drawn):
    everything_fits(drawn(name, small))


@pytest.mark.parametrize("name", FIGURES)
def test_missing_data_are_named(name, empty, drawn):
    figure = drawn(name, empty)
    everything_fits(figure)
    assert any(text.get_text().startswith("No ") for text in texts(figure))


def marks(figure, marker, face=None):
    found = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == marker]
    return sum(len(line.get_xdata()) for line in found if face is None or line.get_markerfacecolor() == face)


def test_points_are_as_many_as_scores(tables, drawn):
    frame = read(tables)
    look = frame.looks["hyenadna"]
    figure = drawn("figure_09_gue", tables)
    assert marks(figure, look.marker, look.color) == marks(figure, look.marker, "white") == 28
    assert marks(figure, "|") == 28 * len(GREY) * len(CARDS)
    figure = drawn("figure_07_best_random", tables)
    assert marks(figure, look.marker, look.color) == 52
    figure = drawn("figure_04_width_random", tables)
    assert marks(figure, look.marker, "white") == 4
    assert marks(figure, look.marker, look.color) == 0
    figure = drawn("figure_03_low_data", tables)
    assert marks(figure, look.marker, look.color) == 4 * 5
    figure = drawn("verdict_forest", tables)
    shown = [line for axes in figure.axes for line in axes.lines if line.get_marker() == look.marker]
    values = [line.get_xdata()[0] for line in shown if line.get_color() == look.color]
    across = frame.across.set_index(["suite", "versus", "model"])["delta"]
    families = frame.families.set_index(["versus", "model"])["delta"]
    assert values == [
        across["all", "random", "hyenadna"], *families["random", "hyenadna"], across["all", "baseline", "hyenadna"]
    ]  # fmt: skip
    assert len(families["random", "hyenadna"]) > 5


def test_the_full_study_has_the_studys_numbers_beside_ours(whole, drawn):
    frame = read(whole)
    reported = frame.extra("reported_comparison")
    nt = reported[reported["task"].isin(frame.tasks.loc[frame.tasks["suite"] == "nt", "task"])]
    nt = nt[nt["experiment"] == "nt_finetune"]
    figure = drawn("figure_08_nt", whole)
    for arm, marker in style.STUDY_MARKS.items():
        lines = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == marker]
        values = np.concatenate([line.get_xdata() for line in lines])
        assert sorted(values) == sorted(nt.loc[nt["arm"] == arm, "reported"])
    paired = nt.pivot_table(index="task", columns=["model", "arm"], values="reported")
    figure = drawn("figure_07_best_random", whole)
    found = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == "x"]
    drawn_values = np.concatenate([line.get_xdata() for line in found])
    best = paired.xs("random", axis=1, level="arm").max(axis=1)
    for model in paired.columns.get_level_values("model").unique():
        own = paired[model, "pretrained"]
        for expected in (own - paired[model, "random"], own - best):
            assert np.isclose(expected.to_numpy()[:, None], drawn_values[None], atol=1e-12).any(axis=1).all()


def test_the_forest_has_the_studys_own_evidence(whole, tmp_path, drawn):
    """Of the same scope, and of the architecture that stands behind a model's name."""

    def over_all(frame):
        return frame.assign(suite="all") if {"source", "suite", "versus"} <= set(frame) else frame

    directory = change_tables(whole, tmp_path / "tables", over_all)
    frame = read(directory)
    figure = drawn("verdict_forest", directory)
    values = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "x"]
    expected = frame.extra("reported_across").query("versus == 'random'").set_index("model")["delta"]
    expected = expected[expected.index.isin(frame.across["model"])]
    ends = figure.axes[0].get_xlim()
    assert sorted(values) == sorted(expected.clip(*ends)) and len(values) >= 5
    assert not [line for line in drawn("verdict_forest", whole).axes[0].lines if line.get_marker() == "x"]  # suite nt


def test_every_number_of_the_study_is_a_mark(whole, drawn):
    frame = read(whole)
    figure = drawn("reported", whole)
    found = frame.extra("reported_comparison")
    scores, differences = (part.axes[0] for part in figure.subfigs[1].subfigs)
    inside = [line for line in scores.lines if line.get_marker() not in ("None", None, "")]
    points = np.concatenate([np.column_stack([line.get_xdata(), line.get_ydata()]) for line in inside])
    assert sorted(map(tuple, points)) == sorted(zip(found["reported"], found["ours"], strict=True))
    marked = [line.get_xdata() for line in differences.lines if line.get_marker() not in ("None", None, "")]
    assert sorted(np.concatenate(marked)) == sorted(found["difference"])
    counted = [text.get_text().split(" · ") for text in differences.texts[:-1]]
    assert sum(int(number) for numbers in counted for number in numbers) == len(found)


@pytest.mark.parametrize("seed", range(4))
def test_bars_of_ranks_are_those_of_an_independent_library(seed):
    """scikit-posthocs joins the maximal cliques of its graph of alike arms; with Nemenyi's p these are stretches."""
    import scikit_posthocs
    from matplotlib.figure import Figure

    from foundationless.reporting.figures.verdict import ALPHA, maximal_runs

    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(20, 22)) + np.linspace(0, 2.5, 22) * (seed > 0)
    p = scikit_posthocs.posthoc_nemenyi_friedman(scores)
    ranks = pd.DataFrame(-scores).rank(axis=1).mean()
    drawn = scikit_posthocs.critical_difference_diagram(ranks, p, ax=Figure().subplots(), alpha=ALPHA)
    expected = {tuple(np.round(np.sort(bar[0].get_xdata())[[0, -1]], 9)) for bar in drawn["crossbars"]}
    order = ranks.sort_values().index
    bars = maximal_runs(p.loc[order, order].to_numpy(), ALPHA)
    assert {tuple(np.round([ranks[order[first]], ranks[order[last]]], 9)) for first, last in bars} == expected
    assert bars


def test_ranks_have_a_row_per_arm_and_baseline(whole, drawn):
    ranks = read(whole).extra("ranks")
    axes, side = drawn("critical_difference", whole).axes
    assert len(axes.get_yticklabels()) == len(ranks) >= 20
    at = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert at == sorted(ranks["rank"])
    assert side.lines


@pytest.mark.parametrize("name", ["verdict_forest", "critical_difference", "reported"])
def test_the_verdict_is_made_for_one_column(name, whole, drawn):
    figure = drawn(name, whole)
    everything_fits(figure)
    assert figure.get_figwidth() * 25.4 == pytest.approx(style.ONE_COLUMN)
    assert min(text.get_fontsize() for text in texts(figure)) >= 5


def test_the_cover_names_holes(small, tmp_path):
    from foundationless.reporting.figures import book as binding

    rows = [("finetune", task, "hyenadna", "random", seed) for task in ("H3", "H4") for seed in (0, 2)]
    rows += [("biotype", f"task{i}", f"model{i}", "random", 0) for i in range(80)]
    holes = pd.DataFrame(rows, columns=["analysis", "task", "model", "init", "seed"])
    directory = shutil.copytree(small, tmp_path / "tables")
    holes.assign(what="record", note="it is not there").to_csv(directory / "holes.csv", index=False)
    lines = binding.holes(read(directory))
    assert lines[0] == "84 holes." and "51 more" in lines[-1]
    assert lines[1] == "Record: finetune/hyenadna/random: H3 (seed 0, 2), H4 (seed 0, 2)."
    figure = binding.cover(read(directory, STUDY), "")
    FigureCanvasAgg(figure).draw()
    assert any(text.get_text().startswith("Record: finetune/hyenadna/random") for text in texts(figure))
    everything_fits(figure)
    assert binding.holes(read(small)) == ["None: no cell of the design is missing."]


def test_values_stand_where_the_table_says(tables, drawn):
    frame = read(tables)
    figure = drawn("biotype", tables)
    scores = frame.scores[frame.scores["analysis"] == "biotype"].set_index(["model", "init"])
    for model in CARDS:
        look = frame.looks[model]
        drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == look.marker]
        assert drawn == [scores.loc[(model, init), "value"] for init in ("random", "pretrained")] or drawn == [
            scores.loc[(model, init), "value"] for init in ("pretrained", "random")
        ]


def test_a_model_looks_the_same_at_every_width_and_classes_share_a_hue(tables):
    looks = read(tables).looks
    assert looks["hyenadna"] == looks["hyenadna.char.w64"] == looks["hyenadna.w1024"]
    assert len({(looks[name].color, looks[name].marker) for name in CARDS}) == len(CARDS)
    assert {looks[name].color for name in GREY} == {style.GREY}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("character", "character"),
        ("6-mer", "kmer"),
        ("kmer6", "kmer"),
        ("BPE", "bpe"),
        (None, "other"),
        (np.nan, "other"),
    ],
)
def test_tokenizer_classes(name, expected):
    assert style.tokenizer_class(name) == expected


def test_fonts_are_embedded_and_the_bytes_repeat(small, tmp_path):
    from pypdf import PdfReader

    first, second = tmp_path / "a.pdf", tmp_path / "b.pdf"
    for path in (first, second):
        figures.draw("biotype", small, STUDY, path)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".png").read_bytes() == second.with_suffix(".png").read_bytes()
    fonts = PdfReader(first).pages[0]["/Resources"]["/Font"]
    described = [
        font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object() for font in fonts.values()
    ]
    assert described and all("/FontFile2" in font for font in described)


def test_commands_draw_and_bind(small, tmp_path):
    from pypdf import PdfReader

    names = ["biotype", "figure_08_nt"]
    pdfs = [tmp_path / f"{name}.pdf" for name in names]
    drawn = ["draw_figures", "--figures", *names, "--tables", str(small), "--study", STUDY, "--output", str(tmp_path)]
    assert main(drawn) == 0
    outputs = [tmp_path / "all.pdf", tmp_path / "again.pdf"]
    for output in outputs:
        code = main(
            ["bind_figures", "--figures", *map(str, pdfs), "--tables", str(small), "--study", STUDY,
             "--notes", "Notes of the study. " * 12, "--output", str(output)]
        )  # fmt: skip
        assert code == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert not list(tmp_path.glob("*cover*"))
    reader = PdfReader(outputs[0])
    assert len(reader.pages) == 3
    cover, more, biotype, study, figures_of_study = reader.outline
    assert (cover.title, more.title, study.title) == ("Cover", FIGURES["biotype"], FIGURES["figure_08_nt"])
    assert [item.title for item in biotype] == ["Biotype"]
    assert [item.title for item in figures_of_study] == ["Figure 8: NT benchmark"]
    assert [reader.get_destination_page_number(item) for item in (more, biotype[0], study)] == [1, 1, 2]
    text = " ".join(reader.pages[0].extract_text().split())
    for sentence in build(small, STUDY, STUDY)["sentences"]:
        assert " ".join(sentence.split()) in text
    across = read(small).across.query("suite == 'all' and versus == 'random'")
    assert f"{across['delta'].max():+.3f}" in text
    assert "foundationless" in text and "Notes of the study." in text


def test_a_study_without_pairs_has_a_cover_without_a_verdict(empty):
    from foundationless.reporting.figures import book as binding

    figure = binding.cover(read(empty, STUDY), "")
    FigureCanvasAgg(figure).draw()
    assert any("nothing is judged" in text.get_text() for text in texts(figure))
    everything_fits(figure)


@pytest.mark.parametrize(
    "arguments",
    [
        ["draw_figures", "--figures", "figure_99", "--output", "f"],
        ["draw_figures", "--figures", "biotype", "--tables", "nowhere", "--output", "f"],
        ["bind_figures", "--figures", "nowhere.pdf", "--study", "s", "--output", "f.pdf"],
    ],
)
def test_mistakes_are_one_sentence(arguments, small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = arguments if "--tables" in arguments else [*arguments, "--tables", str(small)]
    assert main(flags) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_figures_import_neither_torch_nor_models():
    code = (
        "import sys; from foundationless.reporting.figures import _drawings, binding; _drawings(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'transformers') "
        "or m.startswith(('foundationless.models', 'foundationless.tasks'))])"
    )
    root = Path(figures.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_inline_models_of_a_plan_are_understood(tmp_path):
    cards = json.dumps({"a.demo": {"label": "A", "tokenizer_class": "bpe", "order": 0, "kind": "model"}})
    (tmp_path / "tasks.tsv").write_text("task\tsuite\tsuite_label\tgroup\tlabel\nH3\tnt\tNT\tmarks\tH3\n")
    for name in ("s", "c"):
        (tmp_path / f"{name}.csv").write_text("analysis,task,model,init,metric,value,delta\n")
    pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]).to_parquet(tmp_path / "r.parquet")
    flags = [
        "--scores",
        "s.csv",
        "--comparisons",
        "c.csv",
        "--records",
        "r.parquet",
        "--tasks",
        "tasks.tsv",
        "--output",
        "t",
    ]
    paths = [flag if flag.startswith("--") else str(tmp_path / flag) for flag in flags]
    assert main(["collect_tables", *paths, "--models", cards]) == 0
    assert pd.read_csv(tmp_path / "t" / "models.csv")["label"].tolist() == ["A"]


@pytest.mark.parametrize("name", ["scores", "comparisons", "across_tasks", "tasks", "models"])
@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", bytes(range(256)), None])
def test_broken_tables_are_named(name, content, empty, tmp_path):
    directory = shutil.copytree(empty, tmp_path / "tables")
    path = directory / f"{name}.csv"
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.csv"):
        read(directory)
