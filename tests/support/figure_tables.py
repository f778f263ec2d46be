"""Tables of a made-up study: the design, names and labels are those of `config/paper.yaml`, the numbers are drawn.

Figures are drawn from them in tests; the files are written as `collect_tables` writes them, not by it.
"""

import json
from collections.abc import Callable, Collection
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from foundationless.evaluation.across_tasks import rank_tasks, summarise_tasks
from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.tables.cost_ledger import EMBEDDINGS
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.plan import Plan
from foundationless.study.vocabulary import MARGINS, SCOPES
from foundationless.tasks.shortcuts import CHECKS
from support import ROOT
from support.effect_tables import effect_frames, reported_rows
from support.gain_tables import gain_frames
from support.output_tables import output_frames
from support.structure_tables import structure_table
from support.trend_tables import trend_frames
from support.variant_tables import variant_frames

SENTENCE = "Synthetic tables of the tests; no number here is a result."
KEYS = ["analysis", "task", "model", "init"]
BENCHMARKS = ("nt", "gue", "gb")
SIZES = {"seeds": 3, "folds": 3, "runs": 9, "n_test": 2987, "groups": 2987}
WITHOUT_PARTS = (
    "tasks",
    "models",
    "audits",
    "shortcuts",
    "rank_pairs",
    "reported_comparison",
    "reported_across",
    "p_reported_across",
)  # of names
SKILL = {"random": 0.0, "pretrained": 0.05, "copy": 0.05, "permuted": 0.01, "embedding": 0.02, "baseline": -0.03}
PRETRAINED = {  # GPU-hours; of DNABERT-2 nobody knows
    "hyenadna": 0.5, "caduceus": 2.0, "mistral": 30.0, "nt500m": 900.0, "ntv2": 50.0, "genalm": 20.0,
}  # fmt: skip
EXPERIMENTS = {
    "finetune": "nt_finetune", "biotype": "biotype", "width": "biotype", "frozen": "gue_histone_frozen_xgb",
    "lora": "lora_vs_full", "likelihood": "clinvar_llr", "tokenizer": "tokenizer_ablation",
}  # fmt: skip
CLASSES = {
    "biotype": [
        "protein_coding", "lncRNA", "processed_pseudogene", "unprocessed_pseudogene", "miRNA", "snRNA", "snoRNA",
        "misc_RNA", "TEC",
    ],
    "ancestry": ["AFR", "AMR", "EAS", "EUR", "SAS"],
}  # fmt: skip
DEFECTS = [  # item, what, how often
    (1, "checkpoint loaded in part, padding pooled", 2), (2, "padding pooled", 30),
    (3, "runs chosen on the test set", 700), (4, "compared with the best of all random models", 52),
    (5, "a share of the training rows against all", 16), (6, "sign of the log-likelihood ratio", 14),
    (7, "families split", 11), (8, "classes differ in length", 7), (9, "classes differ in mutations (BRCA2, max)", 7),
    (10, "similarities rounded (max, 1 mutations)", 7), (12, "test rows near training rows", 20),
    (11, "dependent tasks taken as independent (half width of the interval)", 7),
]  # fmt: skip


@cache
def study() -> Plan:
    """The design of the whole study."""
    config = read_yaml(ROOT / "config" / "paper.yaml")
    tables = {name: str(ROOT / path) for name, path in config["tables"].items()}
    return read_study({**config, "tables": tables})


def write_tables(directory: Path, *, models: int = 7, suites: Collection[str] = BENCHMARKS, seed: int = 0) -> Path:
    """Write every table that figures read into `directory`: 7 models × 52 tasks and every other analysis.

    Fewer `models` (with their widths and readings) and `suites` of fine-tuning make a smaller study.
    """
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    cards = json.loads(study().describe_models())
    arms = _arms(cards, models, suites)
    cards = {name: card for name, card in cards.items() if name in set(arms["model"])}
    tasks = pd.DataFrame(study().tasks.values())
    tasks = tasks[tasks["task"].isin(arms["base_task"])].reset_index(drop=True)
    arms["metric"] = arms["base_task"].map(tasks.set_index("task")["metric"])
    unpaired = arms["analysis"].isin(["sensitivity", "similarity", "mutagenesis", "clustering"])
    scores = _scores(arms[~unpaired].reset_index(drop=True), cards, rng)
    comparisons = _comparisons(scores, rng)
    places = {name: place for place, name in enumerate(cards)}
    diagnostics = _diagnostics(scores, tasks, rng)
    ranks, rank_pairs, _ = rank_tasks(scores[scores["analysis"] == "finetune"], tasks, {})
    frames = {
        "scores": pd.concat([scores, _unpaired_scores(arms[unpaired], rng)], ignore_index=True).drop(columns="kind"),
        "comparisons": comparisons,
        "across_tasks": summarise_tasks(comparisons, diagnostics["runs"], tasks, places),
        "ranks": ranks,
        "rank_pairs": rank_pairs,
        "tasks": tasks,
        "models": pd.DataFrame([{"model": name, **card} for name, card in cards.items()]).sort_values(
            "order", kind="stable"
        ),
        "missing": pd.DataFrame(columns=[*KEYS, "seed", "what", "note"]),
        "records": _records(scores, arms, rng),
    }
    frames |= diagnostics | _cost(arms, rng) | _claims(cards, rng)
    frames |= {"shortcuts": _shortcuts(frames["audits"], np.random.default_rng(seed))}
    frames |= _reported(scores, cards, rng) | _importances(scores, rng)
    frames |= gain_frames(models, list(tasks["task"]))
    frames |= _layers(scores, frames["across_tasks"], np.random.default_rng(seed))
    frames |= _trust(scores, np.random.default_rng(seed))
    frames |= trend_frames(comparisons, diagnostics["runs"], tasks, cards, seed)
    frames["fewshot"] = _fewshot(scores, np.random.default_rng(seed))
    frames |= variant_frames(scores)
    further = (effect_frames(*((12, 4) if models > 2 else (2, 1))), output_frames(4 if models > 2 else 2))
    for name, rows in (pair for part in further for pair in part.items()):
        frames[name] = pd.concat([frames[name], rows], ignore_index=True) if name in frames else rows
    frames["p_reported_across"] = reported_rows()
    frames["structure"] = structure_table(arms[arms["analysis"] == "clustering"])
    frames |= _explanations(list(cards), tasks["task"].tolist(), np.random.default_rng(seed))
    for name, frame in frames.items():
        parts = frame if name in WITHOUT_PARTS else add_name_parts(frame)
        parts.to_csv(directory / f"{name}.csv", index=False)
    add_name_parts(frames["records"]).to_parquet(directory / "records.parquet", index=False)
    _maps(arms, rng).to_parquet(directory / "maps.parquet", index=False)
    _substitutions(arms).to_parquet(directory / "mutagenesis.parquet", index=False)
    return directory


def _arms(cards: dict, models: int, suites: Collection[str]) -> pd.DataFrame:
    """Cells of the plan without their seeds, with the parts of their names."""
    every = add_name_parts(pd.DataFrame([cell[:4] for cell in study().cells], columns=KEYS).drop_duplicates())
    arms = every.assign(kind=every["model"].map({name: card["kind"] for name, card in cards.items()}))
    own = list(dict.fromkeys(arms.loc[arms["kind"] == "model", "base"]))[:models]
    dropped = {task for task, row in study().tasks.items() if row["suite"] in {*BENCHMARKS} - {*suites}}
    kept = (arms["kind"] == "baseline") | arms["base"].isin(own)
    kept &= (arms["analysis"] != "finetune") | ~arms["base_task"].isin(dropped)
    return arms[kept].reset_index(drop=True)


def change_tables(source: Path, directory: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    """A copy of tables in which `change` was done to each of them but those of tasks and models."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        kept = path.stem in ("tasks", "models")
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
            (frame if kept else change(frame)).to_parquet(directory / path.name, index=False)
        else:
            frame = pd.read_csv(path, low_memory=False)
            (frame if kept else change(frame)).to_csv(directory / path.name, index=False)
    return directory


def half_tables(source: Path, directory: Path, seed: int = 0) -> Path:
    """The same tables without half of their rows, at random."""
    rng = np.random.default_rng(seed)

    def half(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[rng.random(len(frame)) < 0.5]

    return change_tables(source, directory, half)


def _scores(arms: pd.DataFrame, cards: dict, rng: np.random.Generator) -> pd.DataFrame:
    names = list(cards)
    hard = {name: rng.normal(0.62, 0.12) for name in sorted(set(arms["base_task"]))}
    base = arms["base_task"].map(hard)
    percent, shots, width = (arms[part].astype(float) for part in ("percent", "shots", "width"))
    percent = percent.fillna(100)
    model = arms["base"].map({name: 0.01 * (i % 7) for i, name in enumerate(names)}).fillna(0)
    value = base + arms["init"].map(SKILL) + model + 0.07 * np.log10(percent / 100)
    value += (0.1 * np.log10(shots / 20)).fillna(0) + (0.05 * np.log10(width / 512)).fillna(0)
    value -= 0.04 * (arms["tokenizer"] == "char")
    value = (value + rng.normal(scale=0.02, size=len(arms))).clip(-0.05, 0.985)
    value[arms["derivation"] == "permuted"] = rng.normal(scale=0.01)
    value[arms["analysis"] == "likelihood"] -= 0.1
    half = rng.uniform(0.008, 0.03, len(arms))
    found = arms.assign(selection="validation", value=value, low=value - half, high=value + half, sd=half / 2)
    extras = {"ece": rng.uniform(0.02, 0.2, len(arms)), "brier": rng.uniform(0.1, 0.4, len(arms))}
    return found.assign(parameters=10**6, seconds=60.0, **SIZES, **extras)


def _comparisons(scores: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    own = scores[(scores["kind"] == "model") & (scores["init"] == "pretrained")]
    keys = ["analysis", "task"]
    randoms = scores[(scores["init"] == "random") & (scores["kind"] == "model")]
    cheap = scores[scores["kind"] == "baseline"]
    pairs = []
    for versus, others, by in (
        ("random", randoms, [*keys, "model"]),
        ("best_random", randoms.sort_values("value").drop_duplicates(keys, keep="last"), keys),
        ("baseline", cheap.sort_values("value").drop_duplicates(keys, keep="last"), keys),
    ):
        other = others.rename(columns={"value": "reference_value", "model": "reference", "init": "reference_init"})
        other = other.assign(model=other["reference"]) if "model" in by else other
        pairs.append(
            own.merge(other[[*by, "reference", "reference_init", "reference_value"]], on=by).assign(versus=versus)
        )
    found = pd.concat(pairs, ignore_index=True)
    delta, se = found["value"] - found["reference_value"], rng.uniform(0.004, 0.02, len(found))
    found = found.assign(delta=delta, low=delta - 1.96 * se, high=delta + 1.96 * se, se=se, mde=2.8 * se)
    p = 2 * stats.norm.sf(np.abs(delta / se))
    margin = found["metric"].map(MARGINS)
    found = found.assign(p=p, p_test=p, test="mcnemar", margin=margin, reference_seeds=3, resamples=2000)
    found = found.assign(se_items=se, low_90=delta - 1.645 * se, high_90=delta + 1.645 * se, learned=True)
    found = found.assign(p_tost=stats.norm.sf((margin - delta.abs()) / se), p_learned=1e-4, drawn_seeds=3)
    found = found.assign(nb_low=found["low"] - se, nb_high=found["high"] + se, nb_p=p)
    words = np.select(
        [(found["low_90"] > -margin) & (found["high_90"] < margin), found["low"] > 0, found["high"] < 0],
        ["equivalent", "better", "worse"], "undecided",
    )  # fmt: skip
    return found.assign(verdict=words).drop(columns=["value", "reference_value", "kind", "sd", "ece", "brier"])


def _unpaired_scores(arms: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    models = list(dict.fromkeys(arms["model"]))
    for arm in arms.drop(columns=["metric", "kind"]).to_dict("records"):
        drift = 0.2 * (1 + models.index(arm["model"])) / len(models) * (1.5 if arm["init"] == "random" else 1)

        def add(metric: str, value: float, half: float = 0.01, arm: dict = arm, **extra: object) -> None:
            found = arm | {"metric": metric, "value": value, "low": value - half, "high": value + half}
            rows.append(found | {"seeds": 3, "n": 400, "n_test": 400, "groups": 400, "folds": 1} | extra)

        if arm["analysis"] == "sensitivity":
            for condition, pooling in product(("raw", "centred", "rounded"), ("cls", "site", "mean", "max")):
                shared = {"condition": condition, "pooling": pooling, "windows": 8}
                for count in (1, 64, 128, 256, 512, 1024):
                    value = 1 - drift * np.log10(count + 1) / 3 * (1 if condition == "raw" else 1.5)
                    add("cosine", value, mutations=count, null=False, **shared)
                add("cosine", 0.7 - drift if condition == "raw" else -0.14, null=True, **shared)
        elif arm["analysis"] == "similarity":
            for label in ("benign", "pathogenic"):
                distance = 10 ** rng.uniform(-4, -1)
                add("cosine", 1 - distance, 0.3 * distance, gene=arm["task"].split("_")[-1], label=label,
                    pooling="max", unit="variant")  # fmt: skip
        elif arm["analysis"] == "mutagenesis":
            for measure in ("shift_max", "llr"):
                add("auroc", rng.uniform(0.4, 0.8), measure=measure, window="all")
                add("spearman", rng.uniform(-0.2, 0.5), measure=measure, window="all")
        else:
            for metric in ("adjusted_rand", "normalised_mutual_information", "silhouette", "neighbour_agreement"):
                add(metric, rng.uniform(0.05, 0.6), 0.03, condition="observed")
                add(metric, 0.02, 0.02, condition="permuted_labels")
    return pd.DataFrame(rows)


def _diagnostics(scores: pd.DataFrame, tasks: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    shown = scores[(scores["analysis"] == "finetune")]
    own = shown[shown["kind"] == "model"]
    identity = own[[*KEYS, "metric"]]
    drawn = rng.gamma(1, 0.01, len(own))
    optimism = identity.assign(versus=None, optimism=drawn, low=drawn - 0.01, high=drawn + 0.01)
    optimism = optimism.assign(value_by_validation=own["value"], value_by_test=own["value"] + drawn)
    leaks = {task: rng.binomial(1, 2 / 3) * rng.uniform(0, 0.7) for task in shown["task"].unique()}
    near = shown["task"].map(leaks)
    delta = near / 15 + rng.normal(scale=0.01, size=len(shown))
    leakage = shown[[*KEYS, "metric", "selection"]].assign(
        value_all=shown["value"], value_distant=shown["value"] - delta, value_near=shown["value"] + delta, n_all=2987,
        n_distant=(2987 * (1 - near)).astype(int), n_near=(2987 * near).astype(int), delta=delta, low=delta - 0.01,
        high=delta + 0.01,
    )  # fmt: skip
    leakage = pd.concat([leakage, leakage.assign(selection="test")])
    audits = pd.DataFrame(
        {"task": task, "split": split, "against": against, "rows": 2987, "near_share": share,
         "duplicate_share": share / 3, "known_share": 1.2 * share} for task, share in leaks.items()
        for split, against in (("validation", "earlier"), ("test", "train"), ("test", "earlier"))
    )  # fmt: skip
    bins = identity.drop(columns="metric").assign(selection="validation")
    bins = bins.merge(pd.DataFrame({"bin": range(5, 15)}), "cross")
    middle = (bins["bin"] + 0.5) / 15
    bins = bins.assign(edge=(bins["bin"] + 1) / 15, count=200, confidence=middle, accuracy=middle - 0.08, method="none")
    bins = pd.concat([bins, bins.assign(accuracy=middle - 0.01, method="temperature")], ignore_index=True)
    trained = ["finetune", "biotype", "frozen", "ancestry"]
    spread = scores[scores["analysis"].isin(trained) & (scores["kind"] == "model")]
    cells = pd.DataFrame([(seed, fold) for seed in range(3) for fold in range(3)], columns=["seed", "fold"])
    runs = spread[[*KEYS, "selection", "metric", "value"]].merge(cells, "cross")
    runs["value"] += 0.01 * (runs["seed"] - 1) + rng.normal(scale=0.008, size=len(runs))
    parts = []
    for name, share in (("items", 0.4), ("seed", 0.3), ("fold", 0.1), ("residual", 0.2)):
        share = share * rng.uniform(0.5, 1.5, len(spread))
        parts.append(spread[[*KEYS, "metric", "selection"]].assign(component=name, variance=share * 1e-4, share=share))
    parts.append(parts[1][parts[1]["init"] == "random"].assign(component="weights", variance=-1e-5, share=np.nan))
    components = pd.concat(parts, ignore_index=True)
    components["sd"] = np.sqrt(components["variance"].clip(lower=0))
    ratios = scores[scores["analysis"] == "likelihood"]
    grid = pd.DataFrame({"fpr": np.linspace(0, 1, 101)})
    roc = ratios[[*KEYS, "selection", "value"]].merge(grid, "cross")
    roc["tpr"] = stats.norm.cdf(stats.norm.ppf(roc["fpr"]) + np.sqrt(2) * stats.norm.ppf(roc["value"]))
    width = 0.3 * roc["tpr"] * (1 - roc["tpr"])
    roc = roc.assign(low=roc["tpr"] - width, high=roc["tpr"] + width).drop(columns="value")
    suites = tasks.set_index("task")["suite"]
    counted = []
    for arm in scores[scores["analysis"].isin(CLASSES)].to_dict("records"):
        names = CLASSES[suites[arm["base_task"]]]
        table = rng.poisson(8, (len(names), len(names))) + np.diag(rng.poisson(90 * arm["value"], len(names)))
        counted += [
            {key: arm[key] for key in (*KEYS, "selection")} | {"actual": a, "predicted": b, "count": table[i, j]}
            for i, a in enumerate(names) for j, b in enumerate(names)
        ]  # fmt: skip
    defects = pd.concat(
        [identity.assign(item=item, what=what).sample(min(len(identity), count), random_state=item)
         for item, what, count in DEFECTS], ignore_index=True
    )  # fmt: skip
    defects["difference"] = rng.normal(0.02, 0.03, len(defects))
    defects = defects.assign(low=defects["difference"] - 0.02, high=defects["difference"] + 0.02)
    return {
        "optimism": optimism, "leakage": leakage, "audits": audits, "calibration": bins, "runs": runs,
        "components": components, "roc": roc, "confusion": pd.DataFrame(counted), "defects": defects,
    }  # fmt: skip


def _trust(scores: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Calibration of every classification, and gaps of tasks of transfer, four of which stand for amounts of rows."""
    learned = scores[scores["analysis"].isin(["finetune", "biotype", "ancestry", "frozen", "transfer"])]
    learned = learned[[*KEYS, "selection"]]
    methods = []
    for method, worst in (("none", 0.3), ("temperature", 0.1)):
        sets = {"coverage": rng.normal(0.9, 0.02, len(learned)), "set_size": rng.uniform(1, 1.8, len(learned))}
        ece = rng.uniform(0.01, worst, len(learned))
        methods.append(learned.assign(method=method, ece=ece, expected_low=0.86, expected_high=0.94, **sets))
    far = scores.loc[scores["analysis"] == "transfer", [*KEYS, "metric", "selection", "value"]]
    far = far.rename(columns={"value": "far"})
    place = far["task"].map({task: number for number, task in enumerate(dict.fromkeys(far["task"]))})
    gap = rng.normal(0.1, 0.05, len(far))
    half = {"gap": gap, "gap_low": gap - 0.04, "gap_high": gap + 0.04, "in_domain": far["far"] + gap}
    rows = {"target_rows": place.map({1: 10, 2: 100, 3: 1000}).fillna(0).astype(int), "weighting": ""}
    counted = {"n_in_domain": 3000, "n_test": 2000, "seeds": 3, "source": "nt_H3", "target": "nt2_H3K4me3"}
    gaps = far.assign(**half, **rows, **counted, versus="random", verdict="undecided")
    return {"recalibration": pd.concat(methods, ignore_index=True), "transfer_gaps": gaps}


def _layers(scores: pd.DataFrame, across: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Score and depth of every network on frozen features, of 3 to 33 states: best in the middle."""
    rows = []
    arms = scores[(scores["kind"] == "model") & scores["analysis"].isin(["frozen", "biotype"])]
    arms = arms[arms["init"].isin(["pretrained", "random"]) & (arms["selection"] == "validation")]
    names = list(dict.fromkeys(arms["model"]))
    for arm in arms.to_dict("records"):
        states = (3, 7, 13, 33)[names.index(arm["model"]) % 4]
        best = 0.35 if arm["init"] == "random" else 0.6
        depths = np.arange(states) / (states - 1)
        values = arm["value"] - 0.25 * (depths - best) ** 2 + rng.normal(0, 0.005, states)
        for layer, (depth, value) in enumerate(zip(depths, values, strict=True)):
            place = {"split": "validation", "layer": layer, "depth": depth, "last": layer == states - 1, "seeds": 3}
            place |= {"value": value, "low": value - 0.03, "high": value + 0.03, "sd": 0.01, "n": 400}
            chosen = 3 * (value == values.max())
            rows.append({key: arm[key] for key in (*KEYS, "metric")} | place | {"chosen": chosen})
    last = across[across["versus"].eq("random")]
    last = last.assign(**{name: last[name] - 0.02 for name in ("delta", "low", "high")})
    return {"layers": pd.DataFrame(rows), "last_layer": last}


def _fewshot(scores: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Curves of every arm over training rows a class, areas and recalls, and differences of the pretrained arm."""
    arms = scores[scores["analysis"] == "fewshot"].drop_duplicates(["base_task", "model", "init"])
    said = {"draws": 20, "seeds": 3, "n_test": 600, "margin": 0.04}
    rows = []
    for arm in arms.to_dict("records"):
        own = {"analysis": "fewshot", "task": arm["base_task"], "model": arm["model"], "init": arm["init"], **said}
        places = [("fewshot", arm["metric"], "score", number) for number in (1, 5, 10, 50)]
        places += [("fewshot", arm["metric"], "area", np.nan), ("retrieval", "recall_fpr05", "score", 10)]
        places += [("fewshot_finetune", arm["metric"], "score", number) for number in (5, 50)]
        places += [("fewshot_finetune", arm["metric"], "area", np.nan)]
        for analysis, metric, measure, number in places:
            value = rng.uniform(0.2, 0.3) + 0.1 * np.log10(number if number == number else 7)
            row = own | {"analysis": analysis, "metric": metric, "measure": measure, "rows": number, "value": value}
            rows.append(row | {"versus": "", "low": value - 0.05, "high": value + 0.06})
            for versus in ("random", "baseline") if arm["init"] == "pretrained" else ():
                change = rng.normal(0.05, 0.05)
                word = "better" if change > 0.05 else "undecided"
                word = {"value": change, "low": change - 0.05, "high": change + 0.05, "verdict": word}
                rows.append(row | {"versus": versus, "reference": "kmer_logistic", **word})
    return pd.DataFrame(rows).assign(versus=lambda made: made["versus"].replace("", np.nan))


def _shortcuts(audits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every check of every audited task: most rules near chance, some far from it; few tasks with made negatives."""
    rows = []
    for task, (check, (metric, against, threshold)) in product(audits["task"].unique(), CHECKS.items()):
        strong = rng.random() < 0.15
        top = rng.uniform(0.4, 0.9) if metric == "mcc" else 0.25
        value = rng.normal(0.03, 0.02) if metric == "mcc" and not strong else top * strong
        word = ("constructed" if metric == "share" else "shortcut") if value - 0.03 >= threshold else "none"
        numbers = {"value": value, "low": value - 0.03, "high": value + 0.03, "threshold": threshold, "word": word}
        rows.append({"task": task, "check": check, "against": against, "metric": metric, **numbers, "note": ""})
    table = pd.DataFrame(rows)
    unknown = table["check"] == "genome"
    table.loc[unknown, ["value", "low", "high"]] = np.nan
    return table.assign(word=table["word"].where(~unknown, "unknown"))


def _cost(arms: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Models run on a GPU, baselines and probes of embeddings on a CPU."""
    network, probed = arms["kind"] == "model", arms["analysis"].isin(["biotype", "ancestry", "frozen"])
    hours = rng.lognormal(0, 0.7, len(arms)) * np.where(network & ~probed, 1, 0.02)
    jobs = arms[KEYS].assign(rule="r", seed=0, cpu_hours=hours, gpu_hours=hours * (network & ~probed))
    embedded = jobs[network & probed].assign(analysis=EMBEDDINGS, rule="embed", gpu_hours=1.0)
    made = {"analysis": "pretrain", "task": "genome", "init": "pretrained", "rule": "pretrain", "seed": 0}
    learned = pd.DataFrame(made | {"model": name, "gpu_hours": hours, "cpu_hours": hours}
                           for name, hours in PRETRAINED.items() if name in set(arms["model"]))  # fmt: skip
    return {"cost": pd.concat([jobs, embedded, learned], ignore_index=True).assign(energy_kwh=0.1, seconds=60.0)}


def _claims(cards: dict, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    models = [name for name, card in cards.items() if name == card["base"] and card["kind"] == "model"]
    rows = []
    for claim in ("pretraining does not help fine-tuning", "pretraining does not help frozen features",
                  "6-mers are no better than characters"):  # fmt: skip
        for model in models:
            for selection in ("test", "validation"):
                value = rng.normal(0.02, 0.03)
                found = {"claim": claim, "selection": selection, "model": model, "n": 52, "holds": "open"}
                rows.append(found | {"difference": value, "low": value - 0.02, "high": value + 0.02}
                            | {"verdict": "undecided", "margin": 0.04, "metric": "mcc"})  # fmt: skip
    return {"claims": pd.DataFrame(rows)}


def _importances(scores: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """A baseline per task, of every kind of weight in turn, with as many rows as `collect_tables` keeps."""
    kinds = [
        ("kmer_logistic", "coefficient", ["1"]), ("markov", "nats", ["1"]), ("kmer_xgboost", "gain", [""]),
        ("positional_kmer", "information", ["0", "1", "2"]), ("pwm", "nats", ["promoter", "enhancer, strong", "none"]),
        ("kmer_forest", "impurity", [""]),
    ]  # fmt: skip
    rows = []
    for number, task in enumerate(scores.loc[scores["analysis"] == "finetune", "task"].unique()):
        model, kind, classes = kinds[number % len(kinds)]
        placed = f"{rng.integers(1, 512)}:" if model in ("pwm", "positional_kmer") else ""
        for name, rank in product(classes, range(1, 16)):
            weight = rng.normal() if kind in ("coefficient", "nats") else rng.random()
            found = {"analysis": "finetune", "task": task, "model": model, "init": "baseline", "seed": 0, "rank": rank}
            found |= {"kind": kind, "class": name, "importance": weight / rank, "features": 5460, "metric": "mcc"}
            rows.append(found | {"feature": placed + "".join(rng.choice(list("ACGT"), 6)), "validation": 0.61})
    return {"importances": pd.DataFrame(rows)}


def _reported(scores: pd.DataFrame, cards: dict, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    own = scores[(scores["kind"] == "model") & scores["analysis"].isin(EXPERIMENTS)]
    reported = own["value"] + rng.normal(scale=0.03, size=len(own))
    found = own.assign(experiment=own["analysis"].map(EXPERIMENTS), source="Table 18", paper_task=own["task"])
    found = found.assign(model_label=own["model"].map({name: card["label"] for name, card in cards.items()}))
    found = found.assign(arm=own["init"], reported=reported, reported_sd=0.01, ours=own["value"], same_model=True)
    change = found["ours"] - found["reported"]
    found = found.assign(difference=change, difference_low=change - 0.02, difference_high=change + 0.02)
    word = np.where(change.abs() < 0.01, "equivalent", np.where(change > 0, "higher", "lower"))
    comparison = found.assign(verdict=word, margin=found["metric"].map(MARGINS)).reset_index(drop=True)
    columns = [
        "experiment", "source", "task", "paper_task", "model", "model_label", "arm", "metric", "reported",
        "reported_sd", "ours", "low", "high", "difference", "difference_low", "difference_high", "margin",
        "verdict", "same_model",
    ]  # fmt: skip
    wins = {"mistral": 17, "ntv2": 18, "genalm": 18, "nt500m": 17, "dnabert2": 17, "hyenadna": 12, "caduceus": 7}
    across = pd.DataFrame([
        {"analysis": "finetune", "suite": "nt", "family": "", "model": model, "versus": "random", "n": 18,
         "delta": 0.03 * won / 18, "low": 0.03 * won / 18 - 0.01, "high": 0.03 * won / 18 + 0.01, "wins": won,
         "losses": 18 - won, "wilcoxon_p": 1e-3, "margin": 0.04, "verdict": "undecided", "source": "Table 18",
         "scope": scope}
        for model, won in wins.items() for scope in SCOPES
    ])  # fmt: skip
    return {"reported_comparison": comparison[columns], "reported_across": across}


def _records(scores: pd.DataFrame, arms: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    steps = pd.DataFrame({"step": range(0, 572_001, 20_000)})
    made = [{"analysis": "pretrain", "task": "genome", "model": name, "init": "pretrained", "seed": 0}
            for name in dict.fromkeys(arms.loc[arms["tokenizer"] != "char", "model"])
            if name.startswith(("mistral", "hyenadna.scratch"))]  # fmt: skip
    losses = pd.DataFrame(made).merge(steps, "cross")
    losses["value"] = 1.88 + 0.1 * np.exp(-losses["step"] / 1e5) + 0.002 * losses["model"].str.len()
    losses = losses.assign(metric="bits_per_base", n=1000, selection="run")
    probed = scores[scores["analysis"].isin(["biotype", "frozen", "ancestry"]) & (scores["kind"] == "model")]
    probed = probed.loc[probed["variant"] == "", [*KEYS, "metric", "value"]]
    poolings = ("max", "max_pca64", "mean", "mean_pca64")
    names = ["_".join(parts) for parts in product(("xgboost", "logistic", "svm"), poolings)]
    runs = probed.merge(pd.DataFrame({"run": names}), "cross").merge(pd.DataFrame({"seed": range(2)}), "cross")
    runs["value"] += rng.normal(scale=0.02, size=len(runs))
    runs = runs.assign(selection="run", split="test", selected=runs["run"] == names[0], n=2987)
    folds = probed[probed["analysis"] == "biotype"].merge(pd.DataFrame({"fold": range(5)}), "cross")
    folds = folds.assign(selection="crossvalidation", split="test", run="chosen", seed=0, n=2987)
    runs = runs.astype({"selected": object})
    explained = arms.loc[arms["analysis"] == "clustering", KEYS].merge(pd.DataFrame({"component": [1, 2]}), "cross")
    explained = explained.assign(seed=0, metric="explained_variance", value=0.2)
    trusted = explained.assign(metric="trustworthiness", value=0.71, component=np.nan)
    trusted = trusted.assign(measure=np.tile(["pca", "tsne"], len(trusted) // 2))
    return pd.concat([losses, runs, folds, explained, trusted], ignore_index=True)


def _explanations(models: list[str], tasks: list[str], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Scores of every method, without rollout for the first model, and logos of two motifs."""
    scores, logos, models = [], [], models[:6]
    for task, name, init in product(tasks[:5], models, ("pretrained", "random")):
        arm = {"analysis": "explanations", "task": task, "model": name, "init": init}
        for method in ("gradient_input", "integrated_gradients", "rollout", "mutagenesis"):
            if method == "rollout" and name == models[0]:
                continue
            value = 0.5 + 0.3 * rng.random() * (init == "pretrained")
            shared = arm | {"method": method, "value": value, "n": 64, "seeds": 3}
            scores.append(shared | {"versus": "", "low": value - 0.03, "high": value + 0.03})
            if init == "pretrained":
                scores.append(shared | {"versus": "random", "delta": value - 0.5, "verdict": "undecided"})
            heights = rng.normal(size=(18, 4))
            shares = rng.dirichlet(np.full(4, 0.4), 18)
            logos += [
                arm | {"method": method, "motif": "TATA", "position": place - 6, "letter": letter, "n": 52}
                | {"height": heights[place, k], "share": shares[place, k]}
                for place, (k, letter) in product(range(18), enumerate("ACGT"))
            ]  # fmt: skip
    return {"explanations": pd.DataFrame(scores), "logos": pd.DataFrame(logos)}


def _maps(arms: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    shown = arms[arms["analysis"] == "clustering"][["task", "model", "init"]]
    found = shown.merge(pd.DataFrame({"id": [f"r{i}" for i in range(500)]}), "cross").assign(seed=0)
    labels = found["id"].str[1:].astype(int)
    names = np.array(CLASSES["biotype"])
    found = found.assign(
        label=names[labels % len(names)], x=rng.normal(size=len(found)) + labels % 9, y=rng.normal(size=len(found))
    )
    return found.assign(tsne_x=found["y"] * 9, tsne_y=found["x"] * 9)


def _substitutions(arms: pd.DataFrame) -> pd.DataFrame:
    shown = arms[arms["analysis"] == "mutagenesis"].groupby("task", sort=False)["model"].unique()
    return pd.concat([substitutions(task, names, told=60, length=150) for task, names in shown.items()])


def substitutions(
    task: str, models: Collection[str], *, length: int = 200, told: int = 150, likelihood: bool = True
) -> pd.DataFrame:
    """Every substitution of one window in both arms of `models`; those of ten positions from `told` on are labelled."""
    rng = np.random.default_rng(3)
    letters = rng.choice(list("ACGT"), length)
    rows = [
        {"position": i, "id": f"w:{i + 1}:{ref}:{alt}", "ref": ref, "alt": alt}
        | {"label": ("pathogenic" if i % 2 else "benign") if told <= i < told + 10 else None}
        for i, ref in enumerate(letters) for alt in "ACGT".replace(ref, "")
    ]  # fmt: skip
    arms = pd.DataFrame(product(models, ("pretrained", "random")), columns=["model", "init"])
    every = arms.assign(task=task, seed=0, window="w").merge(pd.DataFrame(rows), "cross")
    llr = rng.normal(size=len(every)) if likelihood else np.nan
    return every.assign(shift_max=rng.random(len(every)), llr=llr)
