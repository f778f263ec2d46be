"""Figures of frozen features on made-up tables: every arm at its number, null bars, maps, and nothing off the page."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from foundationless.reporting.figures import probing, style
from foundationless.reporting.figures.inputs import Tables
from support.figures import everything_fits

CARDS = [
    ("hyenadna", "HyenaDNA", "character"),
    ("caduceus", "Caduceus-PS", "character"),
    ("mistral", "Mistral", "character"),
    ("nt500m", "NT-500M", "kmer"),
    ("ntv2", "NTv2-50M", "kmer"),
    ("genalm", "GENA-LM", "bpe"),
    ("dnabert2", "DNABERT-2", "bpe"),
]
SIZES = {"seeds": 3, "folds": 1, "runs": 3, "n_test": 800, "groups": 800}
ARMS = ("pretrained", "random")


def make(models: int) -> Tables:
    rng = np.random.default_rng(0)
    cards = [
        {"model": m, "label": label, "tokenizer_class": kind, "kind": "model"} for m, label, kind in CARDS[:models]
    ]
    cards.append({"model": "kmer_logistic", "label": "k-mers, logistic", "tokenizer_class": None, "kind": "baseline"})
    tasks = pd.DataFrame(
        [
            {"task": t, "suite": t, "suite_label": t, "group": t, "label": t.capitalize()}
            for t in ("biotype", "H3", "H4")
        ]
    )
    scores, records, maps = [], [], []
    names = [card["model"] for card in cards[:-1]]
    for task, (i, model), shots, draw in product(("H3", "H4"), enumerate([*names, "kmer_logistic"]), (1, 5, 20), "012"):
        for init in ARMS if model in names else ("baseline",):
            value = 0.1 + 0.15 * np.log(shots) + 0.02 * i + rng.normal(scale=0.02)
            name = f"{task}.shot{shots}" + (f"d{draw}" if draw != "0" else "")
            scores.append({"analysis": "fewshot", "task": name, "model": model, "init": init}
                          | {"metric": "mcc", "value": value, "low": value - 0.1, "high": value + 0.1}
                          | SIZES)  # fmt: skip
    runs = [f"{k}_{p}{c}" for k in ("xgboost", "logistic", "svm") for p in ("max", "mean") for c in ("", "_pca64")]
    for task, model, init, seed in product(("biotype", "H3"), names, ARMS, (0, 1)):
        identity = {
            "analysis": "biotype" if task == "biotype" else "frozen",
            "task": task,
            "model": model,
            "init": init,
        }
        identity |= {"seed": seed, "metric": "weighted_f1", "split": "test"}
        chosen = rng.choice(runs)
        for run in runs:
            facts = {"run": run, "selected": run == chosen, "value": rng.uniform(0.3, 0.7)}
            records.append(identity | facts | {"selection": "run", "fold": None})
            if task == "biotype":
                facts |= {"selection": "crossvalidation"}
                records += [
                    identity | facts | {"fold": fold, "run": "chosen", "value": rng.uniform(0.4, 0.6)}
                    for fold in range(3)
                ]
    for task, model, init in product(("biotype", "H3"), names, ARMS):
        identity = {"analysis": "clustering", "task": task, "model": model, "init": init}
        for metric in probing.CLUSTER_METRICS:
            for variant, value in (("observed", rng.uniform(0.1, 0.5)), ("permuted_labels", 0.0)):
                scores.append(identity | {"metric": metric, "variant": variant, "value": value} | SIZES
                              | {"low": value - 0.02, "high": value + 0.02})  # fmt: skip
        for component in (1, 2):
            records.append(identity | {"seed": 0, "metric": "explained_variance", "component": component, "value": 0.2})
        classes = [f"class {c}" for c in "ABCDEFGHI"[: 9 if task == "biotype" else 2]]
        labels = rng.choice(classes, 600)
        places = rng.normal(size=(600, 2)) + np.array([[classes.index(x), classes.index(x) % 3] for x in labels])
        columns = {"id": np.arange(600).astype(str), "label": labels, "x": places[:, 0], "y": places[:, 1]}
        maps.append(pd.DataFrame({"task": task, "model": model, "init": init, "seed": 0} | columns))
    none = pd.DataFrame()
    return Tables(pd.DataFrame(scores), none, none, tasks, pd.DataFrame(cards), pd.DataFrame(records),
                  "Made-up tables; no number here is a result.", pd.concat(maps, ignore_index=True))  # fmt: skip


@pytest.fixture(scope="module", params=[7, 1])
def tables(request):
    return make(request.param)


FIGURES = ("fewshot", "probing", "clustering")


@pytest.mark.parametrize("name", FIGURES)
def test_everything_fits_the_page(tables, name):
    figure = getattr(probing, name)(tables)
    with style.sheet():
        FigureCanvasAgg(figure).draw()
        everything_fits(figure)
    assert figure.get_figheight() * 25.4 < 297


@pytest.mark.parametrize("name", FIGURES)
def test_without_data_a_page_says_so(name):
    none = pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"])
    empty = Tables(none, none, none, none, pd.DataFrame(columns=["model", "kind"]), none)
    words = " ".join(text.get_text() for text in getattr(probing, name)(empty).findobj(Text))
    assert "No scores" in words or "No recorded runs" in words


def test_few_shots_are_means_over_draws(tables):
    figure = probing.fewshot(tables)
    panel = next(axes for axes in figure.findobj(Axes) if axes.get_title(loc="left") == "H3")
    scores = tables.scores
    rows = scores[(scores["model"] == "hyenadna") & (scores["init"] == "random") & scores["task"].str.startswith("H3.")]
    means = [rows[rows["task"].str.fullmatch(rf"H3\.shot{n}(d\d)?")]["value"].mean() for n in (1, 5, 20)]
    assert any(np.allclose(line.get_ydata(), means) for line in panel.lines if len(line.get_ydata()) == 3)
    lines = [line for line in panel.lines if len(line.get_ydata()) == 3]
    assert len(lines) == 2 * (len(tables.models) - 1) + 1  # both arms of every model, and the baseline


def test_probes_show_every_run_and_frame_the_chosen(tables):
    figure = probing.probing(tables)
    images = [axes for axes in figure.findobj(Axes) if axes.images]
    heats = [axes for axes in images if len(axes.get_xticks()) == 12]
    assert len(heats) == 2
    arms = 2 * (len(tables.models) - 1)
    for axes, task in zip(heats, ("biotype", "H3"), strict=True):
        table = np.asarray(axes.images[0].get_array())
        runs = tables.records[(tables.records["task"] == task) & (tables.records["selection"] == "run")]
        assert table.shape == (arms, 12) and len(axes.patches) == arms
        some = runs[(runs["model"] == "hyenadna") & (runs["init"] == "pretrained") & (runs["run"] == "logistic_mean")]
        assert table[0, 6] == pytest.approx(some["value"].mean())


def test_maps_show_every_arm_and_null_bars_lie_under_the_dots(tables):
    figure = probing.clustering(tables)
    panels = [axes for axes in figure.findobj(Axes) if axes.collections]
    maps = [axes for axes in panels if any(isinstance(c, PathCollection) for c in axes.collections)]
    assert len(maps) == 2 * 2 * (len(tables.models) - 1)
    assert maps[0].get_xlabel() == "PC1 (20 %)" and maps[0].get_title(loc="left") == "HyenaDNA"
    assert all(len(axes.collections[0].get_offsets()) <= probing.MOST_POINTS for axes in maps)
