"""Synthetic tables of a study, and what a drawn figure shows."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.text import Text

from foundationless.evaluation.bootstrap import verdict
from foundationless.reporting.tables.collect import collect

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
        "selection": "validation",
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
        | {"step": step, "n": 1000, "selection": "run"}
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


def marks(figure, marker, face=None):
    found = [line for line in figure.findobj(Line2D) if line.axes is not None and line.get_marker() == marker]
    return sum(len(line.get_xdata()) for line in found if face is None or line.get_markerfacecolor() == face)
