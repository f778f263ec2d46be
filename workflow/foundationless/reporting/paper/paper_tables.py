"""The paper's tables, by its numbers, each with the paper's own number beside ours where task and model agree.

Which of the paper's numbers stands beside ours is said in `published`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import across_tasks
from foundationless.reporting.paper.published import ALL_WINDOWS, CATEGORIES, SIZES, WINDOWS, Reported, factorial_arms
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.inputs import Inputs
from foundationless.study.names import parse_model

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
# Its Mistral (Tables 6 and 7): key of our configuration or settings, words, the paper's value.
ARCHITECTURE: dict[str, tuple[str, str]] = {
    "num_hidden_layers": ("layers", "16"),
    "num_attention_heads": ("attention heads", "16"),
    "num_key_value_heads": ("key and value heads", ""),
    "hidden_size": ("width", "1408"),
    "intermediate_size": ("width of the feed-forward layers", "7168"),
    "vocab_size": ("vocabulary", "12"),
    "max_position_embeddings": ("longest input (tokens)", "4096"),
    "parameters": ("parameters", "580 M"),
}
PRETRAINING: dict[str, tuple[str, str]] = {
    "corpus": ("corpus", "consensus genomes of 50 people of the 1000 Genomes Project, chromosomes 1 to X"),
    "people": ("people", "50 (10 per superpopulation)"),
    "tokens": ("tokens", "150 B"),
    "steps": ("steps", ""),
    "window": ("bases per window", "4096 tokens"),
    "batch_size": ("windows per step", "64"),
    "reverse_complement_probability": ("probability of the reverse complement", "0.5"),
    "learning_rate": ("highest learning rate", "7.2e-4"),
    "minimum_learning_rate": ("lowest learning rate", "4.2e-5"),
    "warmup": ("steps of warm-up", "some"),
    "betas": ("AdamW, betas", "0.9, 0.95"),
    "weight_decay": ("AdamW, weight decay", ""),
    "precision": ("precision", ""),
    "gpus": ("GPUs", "48 (6 x 8 H100)"),
    "loss": ("held-out loss at the end", ""),
}
OF_A_JOB = ("seed", "sequences", "weights", "recipe")  # settings that say which job it is, not how it was done


def paper_tables(inputs: Inputs, tables: Mapping[str, pd.DataFrame], paper: Reported) -> dict[str, pd.DataFrame]:
    """Every table by its file name. Without data a table has a header and no rows.

    `tables` are those that `collect` made: scores and comparisons of the study's selection.
    """
    scores, comparisons, models = tables["scores"], tables["comparisons"], inputs.model_table
    factorial = _factorial(scores, comparisons, paper)
    biotype = set(scores.loc[scores["analysis"] == "biotype", "task"])
    made = {
        "table_01_models": _models(models, scores),
        "table_02_biotype": factorial,
        "table_05_similarity": _similarity(scores, paper),
        "table_06_mistral": _mistral(models, scores),
        "table_07_mistral_pretraining": _mistral_pretraining(inputs.pretraining),
        "table_10_biotype_counts": _class_sizes(inputs.audits, biotype),
        "table_11_widths": factorial.dropna(subset="width").reset_index(drop=True),
        "table_14_windows": _windows(scores, paper),
        "table_16_mutations": _mutations(scores),
        "figure_09_categories": _categories(scores, paper, inputs.tasks),
        "table_17_checkpoints": _checkpoints(inputs.cards),
    }
    made |= {name: _arms(scores, comparisons, analyses, paper) for name, analyses in ARM_TABLES.items()}
    made |= {name: _settings(tables["settings"], name, analyses) for name, analyses in SETTING_TABLES.items()}
    likelihood = made["table_04_likelihood"]  # ours ranks by -LLR; the paper, and so its numbers, by +LLR
    signs = {f"{init}_plus_llr": 1 - likelihood[init].where(likelihood["metric"] == "auroc")
             for init in ("pretrained", "random")}  # fmt: skip
    made["table_04_likelihood"] = likelihood.assign(**signs)
    if len(made["table_08_lora"]):
        made["table_08_lora"] = _with_full(made["table_08_lora"], scores, paper)
    return made


def _checkpoints(cards: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Table 17: every weight set; cards of before do not say their reading, but the names of models do."""
    rows = [{**card, "reading": parse_model(card["model"]).reading} for card in cards]
    return pd.DataFrame(rows).reindex(columns=columns_of("table_17_checkpoints"))


def _settings(settings: pd.DataFrame, name: str, analyses: Sequence[str]) -> pd.DataFrame:
    """Tables 9, 12 and 15: settings of the jobs, and how many tasks share each."""
    mine = settings[settings["analysis"].isin(analyses) & ~settings["setting"].isin(OF_A_JOB)]
    if mine.empty:
        return pd.DataFrame(columns=columns_of(name))
    shared = mine.rename(columns={"text": "value"}).groupby(columns_of(name)[:-1], sort=False)
    return shared["task"].nunique().reset_index(name="tasks")


def _class_sizes(audits: Sequence[Mapping[str, Any]], tasks: set[str]) -> pd.DataFrame:
    """Table 10: sequences of each class, by split and in all."""
    rows = [
        {"task": audit["task"], "label": label, **splits, "total": sum(splits.values())}
        for audit in audits
        if audit["task"] in tasks
        for label, splits in audit["classes"].items()
    ]
    return pd.DataFrame(rows, columns=columns_of("table_10_biotype_counts"))


def _models(models: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Table 1: the models with their parameters, as the records count them, and their `ratio` to a matched model's."""
    counts = scores.groupby("model")["parameters"].max()
    counted = models["model"].map(counts)
    match = models.get("match", pd.Series(np.nan, models.index, dtype=object))
    sizes = {"parameters": counted.astype("Int64"), "match": match, "ratio": counted / match.map(counts)}
    return models.drop(columns="config", errors="ignore").assign(**sizes)


def _mistral(models: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Table 6: architecture of the paper's Mistral, and of each of ours."""
    counted = scores.groupby("model")["parameters"].max()
    ours = []
    for card in _of_mistral(models.to_dict("records")):
        known = dict(config) if isinstance(config := card.get("config"), Mapping) else {}
        if np.isfinite(count := counted.get(card["model"], np.nan)):
            known["parameters"] = int(count)
        ours.append((str(card["model"]), known))
    return _beside("table_06_mistral", ARCHITECTURE, ours, "Table 6")


def _mistral_pretraining(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Table 7: how the paper's Mistral was pretrained, and each of ours was."""
    ours = []
    for record in _of_mistral([record for record in records if record.get("init") == "pretrained"]):  # no controls
        settings = record.get("settings", {})
        corpus = settings.get("corpus", {})
        losses = [row["value"] for row in record["results"] if row["metric"] == "loss" and row["split"] == "heldout"]
        known = {**settings, "corpus": ", ".join(corpus.get("genomes", [])), "people": corpus.get("people")}
        known |= {"gpus": record["cost"].get("gpus"), "loss": losses[-1] if losses else None}
        ours.append((str(record["model"]), known))
    return _beside("table_07_mistral_pretraining", PRETRAINING, ours, "Table 7")


def _of_mistral(rows: Sequence[Mapping[Any, Any]]) -> list[Mapping[Any, Any]]:
    """The models themselves, not their widths and tokenizers."""
    names = [parse_model(str(row["model"])) for row in rows]
    return [row for row, name in zip(rows, names, strict=True) if name.base == "mistral" and not name.qualified]


def _beside(
    name: str, settings: Mapping[str, tuple[str, str]], ours: Sequence[tuple[str, Mapping[str, Any]]], source: str
) -> pd.DataFrame:
    """The table `name`: one row per model of ours, or none, and setting, values as text."""
    rows = []
    for model, known in ours or [("", {})]:
        for key, (words, value) in settings.items():
            own = known.get(key)
            text = ", ".join(map(str, own)) if isinstance(own, list) else "" if own is None else str(own)
            rows.append({"setting": words, "reported": value, "model": model, "ours": text, "reported_source": source})
    return pd.DataFrame(rows, columns=columns_of(name))


def _arms(scores: pd.DataFrame, comparisons: pd.DataFrame, analyses: Sequence[str], paper: Reported) -> pd.DataFrame:
    """One row per task and model: both arms (or the baseline) with intervals, their difference, the paper's numbers."""
    keys = ["task", "model"]
    mine = scores[scores["analysis"].isin(analyses)].drop_duplicates([*keys, "init"])
    own = ["analysis", *keys, "metric", "n_test", "seeds", "folds", "parameters", "base_task"]
    table = mine.drop_duplicates(keys)[own]
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
            paper.find(str(analysis), str(task), str(model), init, f"{init}{suffix}")
            for analysis, task, model in table[["analysis", *keys]].to_numpy()
        ]
        table[f"reported_{init}"] = [number.value for number in numbers]
        known = table.get("reported_source", [""] * len(table))
        table["reported_source"] = [one or number.source for one, number in zip(known, numbers, strict=True)]
    table.insert(0, "suite", table["base_task"].map(paper.suites))
    table.insert(4, "model_label", [paper.labels.get(model, model) for model in table["model"]])
    return table.drop(columns=["analysis", "base_task"]).reset_index(drop=True)


def _with_full(lora: pd.DataFrame, scores: pd.DataFrame, paper: Reported) -> pd.DataFrame:
    """Table 8: beside the adapters, full fine-tuning of the same task and model."""
    full = scores[scores["analysis"] == "finetune"].set_index(["task", "model", "init"])["value"]
    numbers = [paper.find("lora", task, model, "pretrained/Full") for task, model in lora[["task", "model"]].to_numpy()]
    for init in ("pretrained", "random"):
        lora[f"full_{init}"] = [full.get((*arm, init), np.nan) for arm in lora[["task", "model"]].to_numpy()]
    return lora.assign(reported_full_pretrained=[number.value for number in numbers])


def _factorial(scores: pd.DataFrame, comparisons: pd.DataFrame, paper: Reported) -> pd.DataFrame:
    """Tables 2 and 11: initialisation × tokenizer × width; a row per variant of a model, a column per initialisation.

    The paper's "larger" arm, its widest model of characters, stands beside the widest of ours.
    """
    table = _arms(scores, comparisons, ("biotype", "width"), paper)
    parts = scores.drop_duplicates("model").set_index("model")[["base", "tokenizer", "width", "layers"]]
    table = table.join(parts, on="model")
    character = (table["tokenizer"] == "char") & table["layers"].isna()
    widest = table["width"].where(character).groupby([table["task"], table["base"]]).transform("max")
    table["tokenizer"] = table["tokenizer"].replace("", "default")
    table["widest"] = character & (table["width"] == widest).fillna(False).astype(bool)
    for place, row in enumerate(table.to_dict("records")):
        for init, arm in factorial_arms(row):
            number = paper.find("biotype", str(row["task"]), str(row["base"]), arm)
            table.loc[place, f"reported_{init}"] = number.value
            table.loc[place, "reported_source"] = number.source
    return table


def _similarity(scores: pd.DataFrame, paper: Reported) -> pd.DataFrame:
    """Table 5: cosine similarity by gene, class of variant and pooling, one column per arm."""
    extra = ["gene", "label", "pooling", "unit", "matched"]
    mine = scores[(scores["analysis"] == "similarity") & (scores["metric"] == "cosine")]
    keys = ["task", "model", *(column for column in extra if column in mine and mine[column].notna().any())]
    if mine.empty:
        return pd.DataFrame(columns=[*columns_of("table_05_similarity"), *extra, "pretrained", "random"])
    table = mine.pivot_table(index=keys, columns="init", values="value", aggfunc="mean", sort=False).reset_index()
    table.insert(2, "model_label", [paper.labels.get(model, model) for model in table["model"]])

    def number(row: Mapping[Any, Any]) -> float:
        as_published = (row.get("pooling"), row.get("unit"), str(row.get("matched"))) == ("max", "chunk", "False")
        as_published &= paper.tasks.get(str(row["task"])) == row.get("gene")
        task = f"{row.get('gene')} {str(row.get('label')).lower()}"
        return paper.mean("clinvar_cosine", task, str(row["model"]), "pretrained").value if as_published else np.nan

    numbers = [number(row) for row in table.to_dict("records")]
    source = ["Table 5" if np.isfinite(value) else "" for value in numbers]
    return table.rename_axis(columns=None).assign(reported_pretrained=numbers, reported_source=source)


def _windows(scores: pd.DataFrame, paper: Reported) -> pd.DataFrame:
    """Figure 6b: mean over the windows of ancestry, its t interval and the variance between windows, per arm.

    Tasks of one variant (all people, without relatives, by family) are windows of one mean. The paper's number is
    the mean over `reported_windows`; ours is set against it in `reported_comparison` only where it holds as many.
    """
    mine = scores[scores["analysis"] == "ancestry"]
    rows = []
    for (variant, model, init), part in mine.groupby(["variant", "model", "init"], sort=False):
        over = across_tasks(part["value"].to_numpy())
        whole = all(paper.tasks.get(task) == ALL_WINDOWS for task in part["task"])
        number = paper.mean("ancestry", ALL_WINDOWS if whole else "", str(model), str(init))
        rows.append(
            {"variant": variant, "model": model, "model_label": paper.labels.get(str(model), model), "init": init}
            | {"metric": part["metric"].iloc[0], "windows": over.tasks, "mean": over.mean, "low": over.low}
            | {"high": over.high, "sd": part["value"].std(ddof=1), "variance": part["value"].var(ddof=1)}
            | {name: part[name].mean() for name in ("accuracy", "auroc") if name in part}
            | {"reported": number.value, "reported_source": number.source}
            | {"reported_windows": WINDOWS if number.source else None}
        )
    return pd.DataFrame(rows).reindex(columns=columns_of("table_14_windows")).astype({"reported_windows": "Int64"})


def _categories(scores: pd.DataFrame, paper: Reported, tasks: pd.DataFrame) -> pd.DataFrame:
    """Figure 9: means over the GUE tasks of a category, with t intervals; the paper prints no single ones.

    `tasks` are those that ours is the mean of, `reported_tasks` those of the paper's number; the two are set against
    each other in `reported_comparison` only where ours holds as many. `group` is that of ours which holds no tasks of
    another category, if there is one.
    """
    mine = scores[(scores["analysis"] == "finetune") & (scores["task"].map(paper.suites) == "gue")]
    groups = mine["task"].map(dict(zip(tasks["task"], tasks["group"], strict=True)) if "group" in tasks else {})
    held = {category: set(groups[paper.in_category(category, mine["task"])].dropna()) for category in CATEGORIES}
    shared = {name for name in groups.unique() if sum(name in names for names in held.values()) > 1}
    rows = []
    for category in CATEGORIES:
        part = mine[paper.in_category(category, mine["task"])]
        for (model, init), arm in part.groupby(["model", "init"], sort=False):
            number = paper.mean("gue_finetune", category, str(model), str(init))
            over = across_tasks(arm["value"].to_numpy())
            count = paper.distinct(arm.loc[arm["value"].notna(), "task"])
            rows.append(
                {"category": category, "model": model, "model_label": paper.labels.get(str(model), model), "init": init}
                | {"metric": arm["metric"].iloc[0], "tasks": count, "mean": over.mean, "low": over.low}
                | {"high": over.high, "reported": number.value, "reported_source": number.source}
                | {"reported_tasks": SIZES[category], "group": next(iter(sorted(held[category] - shared)), "")}
            )
    return pd.DataFrame(rows, columns=columns_of("figure_09_categories"))


def _mutations(scores: pd.DataFrame) -> pd.DataFrame:
    """Table 16: variants per chunk and class; they belong to the task, so one model tells them."""
    mine = scores[(scores["analysis"] == "similarity") & (scores["metric"] == "mutations")]
    mine = mine.drop(columns="mutations", errors="ignore").rename(columns={"value": "mutations"})
    return mine.reindex(columns=columns_of("table_16_mutations")).drop_duplicates().reset_index(drop=True)
