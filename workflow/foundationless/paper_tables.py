"""The study's tables, by its numbers, each with the study's own number beside ours where task and model agree.

A number of the study is beside ours where the task says that it is that task (`paper_task` of the task table) and the
model has that architecture; a small model of it is still another model, and its label says so.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.statistics import across_tasks

REPORTED = ["experiment", "task", "model", "arm", "metric", "value", "sd", "source"]

# The study's names of models: architecture, and the qualifiers that tell its variants from the plain one.
PAPER_MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "HyenaDNA": ("hyenadna", ()),
    "Caduceus": ("caduceus", ()),
    "Mistral": ("mistral", ()),
    "NT-500M": ("nt500m", ()),
    "NTv2-50M": ("ntv2", ()),
    "GENA-LM": ("genalm", ()),
    "DNABERT-2": ("dnabert2", ()),
    "HyenaDNA-char": ("hyenadna", ("char",)),
    "HyenaDNA-6mer": ("hyenadna", ("kmer",)),
    "HyenaDNA-d2048": ("hyenadna", ("w2048",)),
}
PAPER_METRICS = {
    "f1_macro": "macro_f1",
    "f1_weighted": "weighted_f1",
    "cosine_maxpool_mean5chunks": "cosine",
    "mcc_category_mean": "mcc",
}
# What the study calls the experiment behind an analysis of ours on the tasks of a suite (one task name stands in two).
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
# Its tasks where they have another name than `paper_task` says.
PAPER_TASKS = {"biotype": "biotype9"}
ALL_WINDOWS = "mean11regions"  # the `paper_task` of every window of ancestry, of which it gives the mean only
ARM_TABLES: dict[str, tuple[str, ...]] = {
    "table_03_tokenizer": ("tokenizer",),
    "table_04_likelihood": ("likelihood",),
    "table_08_lora": ("lora",),
    "table_13_frozen": ("frozen",),
    "table_14_ancestry": ("ancestry",),
    "table_18_finetune": ("finetune",),
}
SETTING_TABLES: dict[str, tuple[str, ...]] = {
    "table_09_finetuning": ("finetune", "lowdata", "lora", "epochs", "tokenizer", "controls"),
    "table_12_xgboost_biotype": ("biotype", "width", "frozen"),
    "table_15_xgboost_ancestry": ("ancestry",),
}
SETTINGS = ["analysis", "model", "setting", "value", "tasks"]
OF_A_JOB = ("seed", "sequences", "weights", "recipe")  # settings that say which job it is, not how it was done
CLASSES = ["task", "label", "train", "validation", "test", "total"]
CARD = [
    "model", "init", "seed", "family", "tokenizer", "source", "repository", "revision", "path", "protocol",
    "parameters", "sha256",
]  # fmt: skip


def read_reported(path: Path) -> pd.DataFrame:
    """The study's own numbers: tab-separated, comments behind #; a file that is none is a `UserError`."""
    try:
        frame = pd.read_csv(path, sep="\t", comment="#", dtype={"task": str, "model": str, "arm": str})
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{path}: not a table of reported numbers ({error}); correct it.") from None
    if missing := set(REPORTED) - set(frame.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; it needs {', '.join(REPORTED)}.")
    return frame


class Reported:
    """Look-up of the study's numbers by our analysis, task, model and arm."""

    def __init__(self, frame: pd.DataFrame | None, tasks: pd.DataFrame, catalogue: pd.DataFrame) -> None:
        paper = tasks["paper_task"] if "paper_task" in tasks else pd.Series(dtype=str)
        self.tasks = dict(zip(tasks["task"], paper.fillna("").astype(str), strict=False))
        self.suites = dict(zip(tasks["task"], tasks["suite"].astype(str), strict=True))
        bases = catalogue["base"] if "base" in catalogue else catalogue["model"].str.split(".").str[0]
        self.bases = dict(zip(catalogue["model"], bases, strict=True))
        self.metrics = dict(zip(tasks["task"], tasks["metric"], strict=True)) if "metric" in tasks else {}
        self.rows: dict[tuple[str, str, str, str], tuple[float, str]] = {}
        self.measured: dict[tuple[str, str, str, str], str] = {}
        for row in [] if frame is None else frame.to_dict("records"):
            key = str(row["experiment"]), str(row["task"]), str(row["model"]), str(row["arm"])
            self.rows[key] = float(row["value"]), str(row["source"])
            self.measured[key] = PAPER_METRICS.get(str(row["metric"]), str(row["metric"]))

    def find(self, analysis: str, task: str, model: str, *arms: str) -> tuple[float, str]:
        """(value, where it stands) of the first of `arms` that the study reports by our metric; (NaN, "") of none."""
        base = self.bases.get(model, model.split(".")[0])
        mine = set(qualifiers(model)) - {"paper"}
        paper_task = self.tasks.get(task, "")  # nothing for derived sets: `biotype.matched` is no task of the study
        experiment = EXPERIMENTS.get((analysis, self.suites.get(task, "")), "")
        names = {paper_task, PAPER_TASKS.get(paper_task, paper_task), paper_task.removeprefix("EMP_")} - {""}
        for name, (architecture, needed) in PAPER_MODELS.items():
            if architecture != base or ("w2048" in needed) != ("w2048" in mine):
                continue
            if needed and not set(needed) <= mine | ({"char"} if base == "hyenadna" and "kmer" not in mine else set()):
                continue
            for arm in arms:
                for other in sorted(names):
                    key = experiment, other, name, arm
                    if key in self.rows and self.metrics.get(task, self.measured[key]) == self.measured[key]:
                        return self.rows[key]
        return float("nan"), ""

    def mean(self, experiment: str, task: str, model: str, arm: str) -> tuple[float, str]:
        """A number that the study gives for several of our tasks together."""
        base = self.bases.get(model, model.split(".")[0])
        if qualifiers(model):
            return float("nan"), ""
        names = [name for name, (architecture, needed) in PAPER_MODELS.items() if architecture == base and not needed]
        return next(
            (self.rows[key] for name in names if (key := (experiment, task, name, arm)) in self.rows),
            (float("nan"), ""),
        )


def qualifiers(model: str) -> list[str]:
    """Tokenizer, width, depth and reading that a model's name states: `char`, `w64`, `l4`, `paper`."""
    return [part for part in model.split(".")[1:] if re.fullmatch(r"char|kmer|paper|[wl][1-9][0-9]*", part)]


def paper_tables(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    effects: pd.DataFrame,
    records: pd.DataFrame,
    tasks: pd.DataFrame,
    catalogue: pd.DataFrame,
    cards: Sequence[Mapping[str, Any]],
    audits: Sequence[Mapping[str, Any]],
    reported: pd.DataFrame | None,
) -> dict[str, pd.DataFrame]:
    """Every table by its file name. Without data a table has a header and no rows."""
    study = Reported(reported, tasks, catalogue)
    labels = dict(zip(catalogue["model"], catalogue.get("label", catalogue["model"]), strict=True))
    found = {
        "table_01_models": _models(catalogue, scores),
        "table_02_biotype": _factorial(scores, comparisons, tasks, labels, study),
        "table_05_similarity": _similarity(scores, tasks, labels, study),
        "table_10_biotype_counts": _class_sizes(audits, set(scores.loc[scores["analysis"] == "biotype", "task"])),
        "table_14_windows": _windows(scores, labels, study),
        "table_16_mutations": _mutations(scores),
        "figure_09_categories": _categories(scores, labels, study),
        "table_17_checkpoints": pd.DataFrame([dict(card) for card in cards]).reindex(columns=CARD),
    }
    found["table_11_widths"] = found["table_02_biotype"].dropna(subset="width").reset_index(drop=True)
    for name, analyses in ARM_TABLES.items():
        found[name] = _arms(scores, comparisons, analyses, tasks, labels, study)
    for name, analyses in SETTING_TABLES.items():
        found[name] = _settings(effects, analyses)
    likelihood = found["table_04_likelihood"]  # ours ranks by -LLR; the study, and so its numbers, by +LLR
    signs = {f"{init}_plus_llr": 1 - likelihood[init].where(likelihood["metric"] == "auroc")
             for init in ("pretrained", "random")}  # fmt: skip
    found["table_04_likelihood"] = likelihood.assign(**signs)
    if len(found["table_08_lora"]):
        found["table_08_lora"] = _with_full(found["table_08_lora"], scores, study)
    return dict(sorted(found.items()))


def _settings(effects: pd.DataFrame, analyses: Sequence[str]) -> pd.DataFrame:
    """Tables 9, 12 and 15: settings of the jobs, and how many tasks share each."""
    mine = effects[(effects["effect"] == "setting") & effects["analysis"].isin(analyses)]
    if mine.empty:
        return pd.DataFrame(columns=SETTINGS)
    mine = mine[~mine["setting"].isin(OF_A_JOB)].rename(columns={"value": "number", "text": "value"})
    return mine.groupby(SETTINGS[:-1], sort=False)["task"].nunique().reset_index(name="tasks")


def _effect(effects: pd.DataFrame, kind: str, columns: Sequence[str], analyses: Sequence[str]) -> pd.DataFrame:
    mine = effects[(effects["effect"] == kind) & effects["analysis"].isin(analyses)]
    return mine.reindex(columns=list(columns)).drop_duplicates().reset_index(drop=True)


def _class_sizes(audits: Sequence[Mapping[str, Any]], tasks: set[str]) -> pd.DataFrame:
    """Table 10: sequences of each class, by split and in all."""
    rows = [
        {"task": audit["task"], "label": label, **splits, "total": sum(splits.values())}
        for audit in audits
        if audit["task"] in tasks
        for label, splits in audit["classes"].items()
    ]
    return pd.DataFrame(rows, columns=CLASSES)


def _models(catalogue: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Table 1: the models with their parameters, as the records count them."""
    counted = scores.groupby("model")["parameters"].max() if "parameters" in scores else pd.Series(dtype=float)
    return catalogue.assign(parameters=catalogue["model"].map(counted).astype("Int64"))


def _arms(
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    analyses: Sequence[str],
    tasks: pd.DataFrame,
    labels: Mapping[str, str],
    study: Reported,
) -> pd.DataFrame:
    """One row per task and model: both arms (or the baseline) with intervals, their difference, the study's numbers."""
    keys = ["task", "model"]
    mine = scores[scores["analysis"].isin(analyses)].drop_duplicates([*keys, "init"])
    table = mine.drop_duplicates(keys)[["analysis", *keys, "metric", "n_test", "seeds", "folds", "parameters"]]
    for init in ("pretrained", "random", "baseline"):
        arm = mine[mine["init"] == init].set_index(keys)[["value", "low", "high", "sd"]]
        arm.columns = pd.Index([init, f"{init}_low", f"{init}_high", f"{init}_sd"])
        table = table.join(arm, on=keys)
    paired = comparisons[comparisons["analysis"].isin(analyses) & (comparisons["versus"] == "random")]
    difference = paired.drop_duplicates(keys).set_index(keys)[["delta", "low", "high", "p", "verdict"]]
    difference.columns = pd.Index(["delta", "delta_low", "delta_high", "p", "verdict"])
    table = table.join(difference, on=keys)
    for init, suffix in (("pretrained", "/LoRA"), ("random", "")):
        numbers = [
            study.find(str(analysis), str(task), str(model), init, f"{init}{suffix}")
            for analysis, task, model in table[["analysis", *keys]].to_numpy()
        ]
        table[f"reported_{init}"] = [value for value, _ in numbers]
        table["reported_source"] = [
            known or source
            for known, (_, source) in zip(table.get("reported_source", [""] * len(table)), numbers, strict=True)
        ]
    table.insert(0, "suite", table["task"].str.split(".").str[0].map(tasks.set_index("task")["suite"]))
    table.insert(4, "model_label", table["model"].map(labels).fillna(table["model"]))
    return table.drop(columns="analysis").reset_index(drop=True)


def _with_full(lora: pd.DataFrame, scores: pd.DataFrame, study: Reported) -> pd.DataFrame:
    """Table 8: beside the adapters, full fine-tuning of the same task and model."""
    full = scores[scores["analysis"] == "finetune"].set_index(["task", "model", "init"])["value"]
    numbers = [study.find("lora", task, model, "pretrained/Full") for task, model in lora[["task", "model"]].to_numpy()]
    columns = {
        f"full_{init}": [
            full.get((task, model, init), np.nan) for task, model in lora[["task", "model"]].to_numpy()
        ]
        for init in ("pretrained", "random")
    }  # fmt: skip
    return lora.assign(**columns, reported_full_pretrained=[value for value, _ in numbers])


def _factorial(
    scores: pd.DataFrame, comparisons: pd.DataFrame, tasks: pd.DataFrame, labels: Mapping[str, str], study: Reported
) -> pd.DataFrame:
    """Tables 2 and 11: initialisation × tokenizer × width; a row per variant of a model, a column per initialisation.

    The study's "larger" arm, its widest model of characters, stands beside the widest of ours.
    """
    analyses = ("biotype", "width")
    table = _arms(scores, comparisons, analyses, tasks, labels, study)
    names = table["model"].map(qualifiers)
    table["base"] = table["model"].map(study.bases).fillna(table["model"])
    table["tokenizer"] = ["char" if "char" in part else "kmer" if "kmer" in part else "default" for part in names]
    wide = [next((int(name[1:]) for name in part if name[0] == "w"), None) for part in names]
    table["width"] = pd.array(wide, dtype="Int64")
    character = table["tokenizer"] == "char"
    widest = table["width"].where(character).groupby([table["task"], table["base"]]).transform("max")
    for place, row in enumerate(table.to_dict("records")):
        arms = []
        if row["tokenizer"] == "default" and pd.isna(row["width"]):
            arms = [("pretrained", "pretrained/default_tok"), ("random", "random/default_tok")]
        elif character.iloc[place] and pd.isna(row["width"]):
            arms = [("random", "random/char_tok")]
        elif character.iloc[place] and row["width"] == widest.iloc[place]:
            arms = [("random", "random/char_tok+larger_dim")]
        plain = str(row["base"])
        for init, arm in arms:
            value, source = study.find("biotype", str(row["task"]), plain, arm)
            table.loc[place, f"reported_{init}"] = value
            table.loc[place, "reported_source"] = source
    return table


def _similarity(scores: pd.DataFrame, tasks: pd.DataFrame, labels: Mapping[str, str], study: Reported) -> pd.DataFrame:
    """Table 5: cosine similarity by gene, class of variant and pooling, one column per arm."""
    extra = ["gene", "label", "pooling", "unit", "matched"]
    mine = scores[(scores["analysis"] == "similarity") & (scores["metric"] == "cosine")]
    keys = ["task", "model", *(column for column in extra if column in mine and mine[column].notna().any())]
    if mine.empty:
        return pd.DataFrame(columns=["task", "model", "model_label", *extra, "pretrained", "random"])
    table = mine.pivot_table(index=keys, columns="init", values="value", aggfunc="mean", sort=False).reset_index()
    table.insert(2, "model_label", table["model"].map(labels).fillna(table["model"]))

    def number(row: Mapping[Any, Any]) -> float:
        as_published = (row.get("pooling"), row.get("unit"), str(row.get("matched"))) == ("max", "chunk", "False")
        as_published &= study.tasks.get(str(row["task"])) == row.get("gene")
        task = f"{row.get('gene')} {str(row.get('label')).lower()}"
        return study.mean("clinvar_cosine", task, str(row["model"]), "pretrained")[0] if as_published else np.nan

    numbers = [number(row) for row in table.to_dict("records")]
    source = ["Table 5" if np.isfinite(value) else "" for value in numbers]
    return table.rename_axis(columns=None).assign(reported_pretrained=numbers, reported_source=source)


def _windows(scores: pd.DataFrame, labels: Mapping[str, str], study: Reported) -> pd.DataFrame:
    """Figure 6b: mean over the windows of ancestry, its t interval and the variance between windows, per arm.

    Tasks of one derivation (all people, without relatives, by family) are windows of one mean.
    """
    mine = scores[scores["analysis"] == "ancestry"]
    mine = mine.assign(derivation=[task.partition(".")[2] for task in mine["task"].astype(str)])
    rows = []
    for (derivation, model, init), part in mine.groupby(["derivation", "model", "init"], sort=False):
        over = across_tasks(part["value"].to_numpy())
        value, source = float("nan"), ""
        if all(study.tasks.get(task) == ALL_WINDOWS for task in part["task"]):
            value, source = study.mean("ancestry", ALL_WINDOWS, str(model), str(init))
        rows.append(
            {"derivation": derivation, "model": model, "model_label": labels.get(str(model), model), "init": init}
            | {"metric": part["metric"].iloc[0], "windows": over.tasks, "mean": over.mean, "low": over.low}
            | {"high": over.high, "sd": part["value"].std(ddof=1), "variance": part["value"].var(ddof=1)}
            | {name: part[name].mean() for name in ("accuracy", "auroc") if name in part}
            | {"reported": value, "reported_source": source}
        )
    columns = ["derivation", "model", "model_label", "init", "metric", "windows", "mean", "low", "high", "sd"]
    columns += ["variance", "accuracy", "auroc", "reported", "reported_source"]
    return pd.DataFrame(rows).reindex(columns=columns)


def _categories(scores: pd.DataFrame, labels: Mapping[str, str], study: Reported) -> pd.DataFrame:
    """Figure 9: means over the GUE tasks of a category, of which the study prints no single ones."""
    columns = ["category", "model", "model_label", "init", "metric", "tasks", "mean", "reported", "reported_source"]
    mine = scores[(scores["analysis"] == "finetune") & (scores["task"].map(study.suites) == "gue")]
    rows = []
    for category, beginnings in CATEGORIES.items():
        members = [task for task in mine["task"].unique() if study.tasks.get(task, "").startswith(beginnings)]
        part = mine[mine["task"].isin(members)]
        for (model, init), arm in part.groupby(["model", "init"], sort=False):
            value, source = study.mean("gue_finetune", category, str(model), str(init))
            rows.append(
                {"category": category, "model": model, "model_label": labels.get(str(model), model), "init": init}
                | {"metric": arm["metric"].iloc[0], "tasks": len(arm), "mean": arm["value"].mean()}
                | {"reported": value, "reported_source": source}
            )
    return pd.DataFrame(rows, columns=columns)


def _mutations(scores: pd.DataFrame) -> pd.DataFrame:
    """Table 16: variants per chunk and class; they belong to the task, so one model tells them."""
    columns = ["task", "gene", "chunk", "gene_start", "label", "mutations"]
    mine = scores[(scores["analysis"] == "similarity") & (scores["metric"] == "mutations")]
    mine = mine.drop(columns="mutations", errors="ignore").rename(columns={"value": "mutations"})
    return mine.reindex(columns=columns).drop_duplicates().reset_index(drop=True)
