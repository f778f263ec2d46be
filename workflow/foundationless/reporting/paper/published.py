"""The paper's own numbers: which of them our tasks and models answer, and what they say through our statistics.

A number of the paper is beside ours where the task says that it is that task (`paper_task` of the task table) and the
model has that architecture; a small model of it is still another model: `same_model` says so.

The two are not chosen alike: the paper prints the best test score of its learning rates; ours are chosen by validation
and tested once (selection `validation`), unless a study is set to the selection `test`. So the paper's are too high by
what its choice is worth (`optimism.csv`), which is part of every difference.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.evaluation.across_tasks import ACROSS, summarise_tasks, task_kinds
from foundationless.evaluation.aggregate import across_tasks, independent_difference, wilcoxon
from foundationless.evaluation.bootstrap import verdict
from foundationless.evaluation.table_files import read_csv
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.names import parse_model

REPORTED = ["experiment", "task", "model", "arm", "metric", "value", "sd", "source"]
_UNREPORTED = ("seeds", "learned", "clusters")  # the paper says nothing of them
_KNOWN = [name for name in ACROSS if name not in _UNREPORTED]
REPORTED_ACROSS = [*_KNOWN[:5], "model_label", *_KNOWN[5:], "source"]

# The paper's names of models -> ours.
PAPER_MODELS = {
    "HyenaDNA": "hyenadna",
    "Caduceus": "caduceus",
    "Mistral": "mistral",
    "NT-500M": "nt500m",
    "NTv2-50M": "ntv2",
    "GENA-LM": "genalm",
    "DNABERT-2": "dnabert2",
    "HyenaDNA-char": "hyenadna.char",
    "HyenaDNA-6mer": "hyenadna.kmer",
    "HyenaDNA-d2048": "hyenadna.w2048",
}
ARCHITECTURES = tuple(dict.fromkeys(parse_model(name).base for name in PAPER_MODELS.values()))
CHARACTERS = ("hyenadna", "caduceus", "mistral")  # their own tokenizer is characters: `.char` is the plain model
# Its widest models (Table 11), which are its arm `char_tok+larger_dim` of Table 2.
WIDEST = {
    "hyenadna": 4096, "ntv2": 4096, "mistral": 4096, "caduceus": 2048, "dnabert2": 3072, "genalm": 3072, "nt500m": 3840,
}  # fmt: skip
LARGER = "random/char_tok+larger_dim"
PAPER_METRICS = {
    "f1_macro": "macro_f1",
    "f1_weighted": "weighted_f1",
    "cosine_maxpool_mean5chunks": "cosine",
    "mcc_category_mean": "mcc",
}
# What the paper calls the experiment behind an analysis of ours on the tasks of a suite (one task name stands in two).
EXPERIMENTS: dict[tuple[str, str], str] = {
    ("finetune", "nt"): "nt_finetune",
    ("finetune", "gb"): "gb_finetune",
    ("biotype", "biotype"): "biotype",
    ("width", "biotype"): "biotype",
    ("frozen", "gue"): "gue_histone_frozen_xgb",
    ("lora", "nt"): "lora_vs_full",
    ("likelihood", "variants"): "clinvar_llr",
    ("tokenizer", "nt"): "tokenizer_ablation",
}
# Its categories of GUE tasks, of which it gives means only, by what `paper_task` begins with.
CATEGORIES = {
    "EMP": ("EMP_", "H3", "H4"),
    "TF-human": ("human_tf_",),
    "TF-mouse": ("mouse_",),
    "Promoter": ("prom_300_",),
    "CorePromoter": ("prom_core_",),
    "Splice": ("splice_",),
}
SIZES = {"EMP": 10, "TF-human": 5, "TF-mouse": 5, "Promoter": 3, "CorePromoter": 3, "Splice": 1}  # tasks of a category
# Its tasks where they have another name than `paper_task` says.
PAPER_TASKS = {"biotype": "biotype9"}
ALL_WINDOWS = "mean11regions"  # the `paper_task` of every window of ancestry, of which it gives the mean only
WINDOWS = 11  # of ancestry, behind that mean (Fig 6b)
FINETUNED = {"nt_finetune": "nt", "gb_finetune": "gb", "gue_finetune": "gue"}
# Means of differences that its Figure 1 states, by suite, the metric that they are of, and tasks behind them (of GUE
# those of its six categories and COVID).
FIGURE_1 = {
    "NT hist+enh (12)": ("nt", "mcc", 12), "GB": ("gb", "accuracy", 6),
    "GUE (7 cat.)": ("gue", "mcc", sum(SIZES.values()) + 1),
}  # fmt: skip
RUNS = 3  # behind each sd of Table 18: folds 0, 5 and 9
DIRECTIONS = {"better": "higher", "worse": "lower"}

Row = dict[str, Any]


class Number(NamedTuple):
    """A number of the paper: value and sd (NaN: none), table or figure, and its own names of what was measured."""

    value: float = float("nan")
    sd: float = float("nan")
    source: str = ""
    experiment: str = ""
    task: str = ""
    arm: str = ""
    metric: str = ""  # by our name


def read_reported(path: Path) -> pd.DataFrame:
    """The paper's own numbers: tab-separated, comments behind #; a file that is none is a `UserError`."""
    again = f"give a table of reported numbers, with {', '.join(REPORTED)}"
    return read_csv(path, REPORTED, again, sep="\t", comment="#", dtype=dict.fromkeys(("task", "model", "arm"), str))


class Reported:
    """Look-up of the paper's numbers by our analysis, task, model and arm; `labels` are our models' names in lists."""

    def __init__(self, frame: pd.DataFrame, tasks: pd.DataFrame, labels: Mapping[str, str] | None = None) -> None:
        names = tasks.get("paper_task", pd.Series("", tasks.index)).astype(object).fillna("").astype(str)
        self.tasks = dict(zip(tasks["task"], names, strict=True))
        self.suites = dict(zip(tasks["task"], tasks["suite"].astype(str), strict=True))
        self.labels = labels or {}
        self.metrics = dict(zip(tasks["task"], tasks["metric"], strict=True)) if "metric" in tasks else {}
        self.rows: dict[tuple[str, str, str, str], Number] = {}
        for row in frame.to_dict("records"):
            key = str(row["experiment"]), str(row["task"]), str(row["model"]), str(row["arm"])
            metric = PAPER_METRICS.get(str(row["metric"]), str(row["metric"]))
            value, sd, source = float(row["value"]), float(row.get("sd", np.nan)), str(row["source"])
            self.rows[key] = Number(value, sd, source, key[0], key[1], key[3], metric)

    def find(self, analysis: str, task: str, model: str, *arms: str) -> Number:
        """The first of `arms` that the paper reports by our metric; an empty `Number` of none."""
        paper_task = self.tasks.get(task, "")  # nothing for derived sets: `biotype.matched` is no task of the paper
        experiment = EXPERIMENTS.get((analysis, self.suites.get(task, "")), "")
        names = {paper_task, PAPER_TASKS.get(paper_task, paper_task), paper_task.removeprefix("EMP_")} - {""}
        for name in self.names(model):
            for arm in arms:
                for other in sorted(names):
                    number = self.rows.get((experiment, other, name, arm))
                    if number and self.metrics.get(task, number.metric) == number.metric:
                        return number
        return Number()

    def mean(self, experiment: str, task: str, model: str, arm: str) -> Number:
        """A number that the paper gives for several of our tasks together."""
        known = (self.rows.get((experiment, task, name, arm)) for name in self.names(model))
        return next((number for number in known if number), Number())

    def names(self, model: str) -> list[str]:
        """The paper's names of a model of ours: its plain name of a model as published, a variant's of that variant.

        Tokenizer, width and layers must be those of the name; another reading or size is no other name.
        """
        return [name for name, other in PAPER_MODELS.items() if _architecture(other) == _architecture(model)]

    def distinct(self, tasks: Iterable[str]) -> int:
        """How many tasks of the paper these are."""
        return len({self.tasks[task].removeprefix("EMP_") for task in tasks})

    def in_category(self, category: str, tasks: "pd.Series[str]") -> "pd.Series[bool]":
        """Which of `tasks` belong to a category of GUE."""
        names = {task for task, paper in self.tasks.items() if paper.startswith(CATEGORIES[category])}
        return tasks.isin([task for task in names if self.suites[task] == "gue"])


def _architecture(model: str) -> tuple[Any, ...]:
    parts = parse_model(model)
    own = parts.tokenizer == "char" and parts.base in CHARACTERS
    return parts.base, "" if own else parts.tokenizer, parts.width, parts.layers


def same_model(model: str, arm: str) -> bool:
    """Whether a model that has the number of an arm of the paper is the paper's: its size, tokenizer and width.

    Everything but the widest arm of Table 2 has its number by the name of that very variant; there ours is the widest
    that we ran, whichever that is.
    """
    parts = parse_model(model)
    return not parts.size and (arm != LARGER or parts.width == WIDEST.get(parts.base, 0))


def compare_reported(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    paper: Reported,
    margins: Mapping[str, float],
) -> pd.DataFrame:
    """One row per number of the paper that one of our tasks and models answers.

    `difference` is ours minus the paper's. Its interval puts that of ours (bootstrap, or Student's t over tasks of a
    mean) together with that of the paper's number (MOVER): t on 2 of its three runs where it states an sd, else the
    number is taken as exact. `verdict` is `equivalent`, `higher`, `lower` or `undecided` at the metric's margin.
    `tables` are those of `paper_tables`, for means over several of our tasks; of a part of the paper's tasks (`3 of
    10`) there is no difference: a mean over other tasks is another quantity.
    """
    from scipy import stats

    rows = []
    for task, model, metric, ours, number, (held, size) in _answered(scores, comparisons, tables, paper):
        if not (np.isfinite(number.value) and np.isfinite(ours[0])):
            continue
        half = 0.0 if np.isnan(number.sd) else float(stats.t.ppf(0.975, RUNS - 1)) * number.sd / RUNS**0.5
        theirs = number.value, number.value - half, number.value + half
        difference, low, high = independent_difference(ours, theirs)
        margin = margins[metric]
        word = verdict(low, high, margin)
        if held < size:
            difference, low, high, word = np.nan, np.nan, np.nan, ""
        rows.append(
            {"experiment": number.experiment, "source": number.source, "task": task, "paper_task": number.task}
            | {"tasks": f"{held} of {size}", "model": model, "model_label": paper.labels.get(model, model)}
            | {"arm": number.arm, "metric": metric, "reported": number.value, "reported_sd": number.sd}
            | dict(zip(("ours", "low", "high"), ours, strict=True))
            | {"difference": difference, "difference_low": low, "difference_high": high}
            | {"margin": margin, "verdict": DIRECTIONS.get(word, word), "same_model": same_model(model, number.arm)}
        )
    return pd.DataFrame(rows, columns=columns_of("reported_comparison"))


# (task, model, metric, (ours, low, high), the paper's number, (tasks held, its tasks))
Answer = tuple[str, str, str, tuple[float, float, float], Number, tuple[int, int]]
ONE = (1, 1)


def _answered(
    scores: pd.DataFrame, comparisons: pd.DataFrame, tables: Mapping[str, pd.DataFrame], paper: Reported
) -> Iterator[Answer]:
    """All that both measured: single scores, the arms of a factorial, means over tasks, and differences."""
    yield from _single(scores, paper)
    for row in tables["table_02_biotype"].to_dict("records"):
        for init, arm in factorial_arms(row):
            if init in row:
                number = paper.find("biotype", row["task"], row["base"], arm)
                ours = _interval(row, init, f"{init}_low", f"{init}_high")
                yield row["task"], row["model"], row["metric"], ours, number, ONE
    for row in tables["table_14_windows"].dropna(subset="reported").to_dict("records"):
        held, number = row["windows"], paper.mean("ancestry", ALL_WINDOWS, row["model"], row["init"])
        yield f"{held} windows", row["model"], row["metric"], _interval(row, "mean"), number, (held, WINDOWS)
    for row in tables["figure_09_categories"].to_dict("records"):
        held, name = row["tasks"], row["category"]
        number = paper.mean("gue_finetune", name, row["model"], row["init"])
        yield f"{held} of {name}", row["model"], row["metric"], _interval(row, "mean"), number, (held, SIZES[name])
    for row in tables["table_05_similarity"].to_dict("records"):
        if row.get("reported_source"):
            name = f"{row['gene']} {str(row['label']).lower()}"
            number = paper.mean("clinvar_cosine", name, row["model"], "pretrained")
            yield row["task"], row["model"], "cosine", _interval(row, "pretrained"), number, ONE
    yield from _differences(comparisons, paper)


def _single(scores: pd.DataFrame, paper: Reported) -> Iterator[Answer]:
    """Scores of single tasks; those of the factorial (biotype, width) have arms of their own."""
    own = scores[(scores["init"] != "baseline") & ~scores["analysis"].isin(["biotype", "width"])]
    for row in own.to_dict("records"):
        analysis, task, model, init, metric = (row[key] for key in ("analysis", "task", "model", "init", "metric"))
        ours = _interval(row, "value")
        if analysis == "likelihood":  # ours ranks by -LLR; the paper by +LLR
            ours = 1 - ours[0], 1 - ours[2], 1 - ours[1]
        adapted = (f"{init}/LoRA",) if analysis == "lora" else ()
        yield task, model, metric, ours, paper.find(analysis, task, model, init, *adapted), ONE
        if analysis == "finetune":
            yield task, model, metric, ours, paper.find("lora", task, model, f"{init}/Full"), ONE


def _interval(row: Mapping[Any, Any], value: str, low: str = "low", high: str = "high") -> tuple[float, float, float]:
    return float(row[value]), float(row.get(low, np.nan)), float(row.get(high, np.nan))


def _differences(comparisons: pd.DataFrame, paper: Reported) -> Iterator[Answer]:
    """Pretrained minus random: of each fine-tuned task, and the means that Figure 1 states."""
    own = comparisons[
        (comparisons["analysis"] == "finetune") & (comparisons["versus"] == "random")
        & (comparisons["init"] == "pretrained") & (comparisons["variant"] == "")
    ]  # fmt: skip
    for row in own.to_dict("records"):
        task, model = row["task"], row["model"]
        first, second = (paper.find("finetune", task, model, init) for init in ("pretrained", "random"))
        sd = float(np.hypot(first.sd, second.sd))
        change = first._replace(value=first.value - second.value, sd=sd, arm="delta")
        yield task, model, row["metric"], (row["delta"], row["low"], row["high"]), change, ONE
    for name, (suite, metric, size) in FIGURE_1.items():
        mine = own[(own["task"].map(paper.suites) == suite) & (own["metric"] == metric) & own["delta"].notna()]
        # Only tasks that the paper has: of GUE its categories, each of which counts as one.
        mine = mine[mine["task"].isin([task for task, other in paper.tasks.items() if other])]
        part = mine["task"]
        if suite == "gue":
            part = pd.Series("COVID", index=mine.index)
            for category in CATEGORIES:
                part = part.mask(paper.in_category(category, mine["task"]), category)
        for named, rows in mine.groupby("model", sort=False):
            means = rows["delta"].groupby(part.loc[rows.index]).mean()
            over = across_tasks(means.to_numpy())
            number = paper.mean("fig1_delta", name, str(named), "pretrained-random")._replace(arm="delta")
            ours, held = (over.mean, over.low, over.high), paper.distinct(rows["task"])
            yield f"{over.tasks} of {suite}", str(named), metric, ours, number, (held, size)


def factorial_arms(row: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """(arm of ours, the paper's name of it) of a row of table 2: tokenizer, width, and whether it is the widest."""
    if pd.notna(row["layers"]):
        return []
    if row["tokenizer"] == "default" and pd.isna(row["width"]):
        return [("pretrained", "pretrained/default_tok"), ("random", "random/default_tok")]
    if row["tokenizer"] == "char" and (row["widest"] or pd.isna(row["width"])):
        return [("random", "random/char_tok" if pd.isna(row["width"]) else LARGER)]
    return []


def reported_across(reported: pd.DataFrame, tasks: pd.DataFrame, margins: Mapping[str, float]) -> pd.DataFrame:
    """The paper's own fine-tuning through `summarise_tasks` (columns: `REPORTED_ACROSS`), a row for each scope.

    Each model against its own random self, and against the best random model of each task, as its Figure 7 does. The
    tasks are the paper's, GUE by its categories; families and twins are those of the tasks of ours that they are.
    `model` is the architecture in the model table. The paper tells neither seeds nor what a constant answer scores: its
    words are those of the tests alone. Of `these` tasks the only error that it tells is the sd over three runs of Table
    18; nobody knows what its runs share, so all tasks are taken to move with them. That interval leaves test items out,
    and where a task has no sd there is none. Wilcoxon's p is there over tasks.
    """
    mine = reported[reported["experiment"].isin(FINETUNED) & reported["arm"].isin(["pretrained", "random"])]
    mine = mine.assign(suite=mine["experiment"].map(FINETUNED), metric=mine["metric"].replace(PAPER_METRICS))
    mine = mine.assign(name=mine["suite"] + ":" + mine["task"], label=mine["model"], analysis="finetune")
    mine["model"] = [parse_model(PAPER_MODELS[name]).base for name in mine["label"]]
    pairs = _pair_arms(mine).assign(margin=lambda rows: rows["metric"].map(dict(margins)))
    paper, kinds = Reported(reported, tasks), task_kinds(tasks)
    cards = [
        {"task": name, "suite": suite, "group": suite} | _kind(paper, kinds, suite, task)
        for name, suite, task in pairs[["name", "suite", "paper_task"]].drop_duplicates().to_numpy()
    ]
    known = pd.DataFrame(cards, columns=["task", "suite", "group", "family", "twin"])
    order = {name: place for place, name in enumerate(ARCHITECTURES)}
    scopes = [
        table[table["scope"] == scope]
        for scope, runs, items in (("these", _three_runs(mine), 0.0), ("like-these", None, np.nan))
        for table in [summarise_tasks(pairs.assign(se_items=items), runs, known, order)]
    ]
    scopes[0] = _without_errors(scopes[0], set(mine["suite"]) - set(mine.loc[mine["sd"].isna(), "suite"]))
    scopes[0]["wilcoxon_p"] = list(_over_tasks(scopes[0], pairs, task_kinds(known)))
    table = pd.concat(scopes).sort_index(kind="stable").reset_index(drop=True)
    named = dict(zip(mine["model"], mine["label"], strict=True))
    sources = table["suite"].where(table["family"] == "").map(mine.groupby("suite")["source"].agg(_join))
    sources = sources.astype(object).fillna(_join(mine["source"])).astype(str)
    table = table.assign(model_label=table["model"].map(named), source=sources)
    return table.reindex(columns=REPORTED_ACROSS)


def _pair_arms(mine: pd.DataFrame) -> pd.DataFrame:
    """Differences of the paper's pretrained arms to their own random one, and to the best one of the task."""
    keys = ["analysis", "suite", "task", "name", "metric", "model"]
    arms = mine.pivot_table(index=keys, columns="arm", values="value", sort=False)
    arms = arms.reindex(columns=["pretrained", "random"]).dropna().reset_index()
    best = arms.loc[arms.groupby("name")["random"].idxmax()].set_index("name")
    rivals = {"random": (arms["model"], arms["random"]),
              "best_random": tuple(arms["name"].map(best[column]) for column in ("model", "random"))}  # fmt: skip
    pairs = [
        arms.assign(versus=versus, reference=reference, delta=arms["pretrained"] - value)
        for versus, (reference, value) in rivals.items()
    ]
    table = pd.concat(pairs, ignore_index=True).assign(init="pretrained", reference_init="random")
    return table.assign(paper_task=table["task"], task=table["name"])


def _three_runs(mine: pd.DataFrame) -> pd.DataFrame:
    """Three runs with the mean and sd that the paper prints of an arm on a task."""
    told = mine[mine["sd"].notna()].assign(init=mine["arm"], task=mine["name"])
    shifted = [
        told.assign(seed=seed, value=told["value"] + shift * told["sd"]) for seed, shift in enumerate((-1, 0, 1))
    ]
    return pd.concat(shifted, ignore_index=True)


def _over_tasks(table: pd.DataFrame, pairs: pd.DataFrame, kinds: pd.DataFrame) -> Iterator[float]:
    """Wilcoxon's p of every row over its distinct tasks, which it takes for independent, as the paper does."""
    placed = pairs.assign(**{name: pairs["task"].map(kinds[name]) for name in ("suite", "family", "twin")})
    for row in table.to_dict("records"):
        mine = placed[(placed["versus"] == row["versus"]) & (placed["model"] == row["model"])]
        mine = mine[mine["suite"].isin([row["suite"]]) | (row["suite"] == "all")]
        mine = mine[mine["family"].isin([row["family"]]) | (row["family"] == "")]
        yield wilcoxon(mine.groupby("twin")["delta"].mean().to_numpy())


def _without_errors(table: pd.DataFrame, told: Iterable[str]) -> pd.DataFrame:
    """Rows of `these` tasks without interval, tests and word where not every task is of a suite with an sd."""
    silent = ~table["suite"].isin(list(told))
    numbers = ["se", "df", "low", "high", "mde", "se_items", "se_seeds", "se_units"]
    numbers += [name for name in map(str, table) if name.startswith(("p", "rope_"))]
    table = table.astype({"verdict": object}).assign(se_items=np.nan)
    table.loc[silent, numbers] = np.nan
    table.loc[silent, "verdict"] = ""
    return table


def _join(sources: "pd.Series[str]") -> str:
    return "; ".join(dict.fromkeys(sources.astype(str)))


def _kind(paper: Reported, kinds: pd.DataFrame, suite: str, task: str) -> dict[str, str]:
    """Family and twin of a task of the paper; a category's is the family of its first task, and nobody's twin."""
    if suite == "gue":
        same = kinds.index[paper.in_category(task, kinds.index.to_series()).to_numpy()].tolist()
    else:
        same = [name for name, other in paper.tasks.items() if other == task and paper.suites[name] == suite]
    family, twin = kinds.loc[same[0], ["family", "twin"]] if same else (task, "")
    return {"family": family, "twin": "" if suite == "gue" else twin}
