"""Tables of made-up gene perturbations: what figures of the second paper read, of few models or of many."""

from itertools import product

import numpy as np
import pandas as pd

from foundationless.study.vocabulary import MARGINS
from support import ROOT

BORROWED = [  # model, label, skill of the pretrained arm
    ("scgpt.readout", "scGPT (G)", 0.02), ("go.target", "GO, P", 0.01), ("scgpt.target", "scGPT, P", 0.0),
    ("geneformer.readout", "Geneformer (G)", 0.03), ("geneformer.target", "Geneformer, P", -0.02),
    ("esm2.target", "ESM2 of the protein (P)", 0.03), ("genept.target", "GenePT, P", 0.04),
    ("hyenadna.target", "HyenaDNA of the promoter (P)", 0.0), ("scfoundation.readout", "scFoundation, G", 0.05),
    ("screen_rpe1.target", "RPE1 screen (P)", 0.12), ("halves.target", "other half of the replicates, P", 0.15),
    ("scgpt.readout.paper", "scGPT (G), as in the paper", 0.06),
]  # fmt: skip
BASELINES = [
    ("mean", "mean of the training perturbations", 0.0), ("no_change", "no change", -0.25), ("linear", "linear", -0.01),
    ("additive", "additive", 0.2), ("scaled_additive", "additive × α", 0.35),
]  # fmt: skip
ARMS = {"pretrained": 0.0, "permuted": -0.04, "spectrum": -0.035, "random": -0.05}
COUNTS = (10, 30, 100, 300, 1000)
KINDS = {"buffering": 0.02, "synergistic": 0.006, "opposite": 0.001, "other": 0.012}


def effect_frames(models: int = 12, tasks: int = 4, units: int = 25, splits: int = 3, seed: int = 7) -> dict:
    """Frames by name: effects, interactions, comparisons, tasks, models (cards)."""
    rng = np.random.default_rng(seed)
    own, sets = BORROWED[:models], TASKS[:tasks]
    rows = []
    for (task, *_), analysis in product(sets, ("borrowed", "doubles")):
        if analysis == "doubles" and task != sets[0][0]:
            continue
        sizes = 3 + rng.gamma(2.0, 1.0, units)
        arms = [(name, init, skill + shift) for name, _, skill in own for init, shift in ARMS.items()]
        arms += [(name, "baseline", skill) for name, _, skill in BASELINES
                 if analysis == "doubles" or "additive" not in name]  # fmt: skip
        for (name, init, skill), fold in product(arms, range(1, splits + 1)):
            chosen = rng.permutation(units)[: units // 2]
            values = np.where(name == "mean", 0.0, skill + rng.normal(0, 0.06, len(chosen)))
            usual = sizes[chosen] * (0.96 if "readout.paper" in name else 1.0)  # of the genes that the model knows
            l2 = usual * (1 - values)
            frame = pd.DataFrame({"perturbation": [f"GENE{place}" for place in chosen], "skill": values, "l2": l2})
            found = {"analysis": analysis, "task": task, "model": name, "init": init, "selection": "validation"}
            found |= {"fold": fold, "kind": "double" if analysis == "doubles" else "single", "seeds": 3}
            frame = frame.assign(**found, skill_offtarget=values - 0.01, l2_top=0.95 * l2, l2_offtarget=0.97 * l2)
            frame = frame.assign(l2_mean=usual, l2_mean_top=0.9 * usual, pearson_delta_top=0.65 + values)
            frame = frame.assign(pearson_delta=0.6 + values, norm_observed=1.2 * sizes[chosen])
            frame = frame.assign(norm_predicted=0.6 * sizes[chosen] + rng.normal(0, 0.3, len(chosen)))
            for n in COUNTS:
                share = np.log10(n) / 3.2
                rows_n = {f"l2_n{n}": l2 * share, f"l2_de{n}": l2 * share**0.5 * (1 + 0.1 * skill)}
                frame = frame.assign(**rows_n)
            rows.append(frame)
    effects = pd.concat(rows, ignore_index=True)
    return {
        "effects": effects, "interactions": _interactions(sets[0][0], own, rng),
        "comparisons": _comparisons(effects, rng), "tasks": pd.DataFrame([_task(*names) for names in sets]),
        "models": pd.DataFrame([_card(name, label, "model") for name, label, _ in own]
                               + [_card(name, label, "baseline") for name, label, _ in BASELINES]),
    }  # fmt: skip


TASKS = [
    ("norman_hackathon", "Norman pseudobulk"), ("l1000_a549", "L1000 knock-downs (A549)"), ("adamson", "Adamson"),
    ("replogle_k562", "Replogle K562"), ("replogle_rpe1", "Replogle RPE1"),
]  # fmt: skip


def _task(task: str, label: str) -> dict:
    return {"task": task, "suite": "perturbation", "suite_label": "Gene perturbations", "group": "perturbation",
            "label": label, "metric": "skill"}  # fmt: skip


def _card(model: str, label: str, kind: str) -> dict:
    return {"model": model, "label": label, "kind": kind, "tokenizer_class": "gene", "base": model.split(".")[0],
            "order": 10_000}  # fmt: skip


def _comparisons(effects: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every arm minus the mean, and pretrained and controls minus random."""
    means = effects.groupby(["analysis", "task", "model", "init"], sort=False)["skill"].mean()
    rows = []
    for (analysis, task, model, init), value in means.items():
        for versus in ("mean", "random"):
            other = 0.0 if versus == "mean" else means.get((analysis, task, model, "random"), np.nan)
            if (model if versus == "mean" else init) in ("mean", "random", "baseline"):
                continue
            delta, half = value - other, rng.uniform(0.01, 0.04)
            low, high, margin = delta - half, delta + half, MARGINS["skill"]
            word = "equivalent" if -margin < low and high < margin else "better" if low > 0 else "worse"
            word = "undecided" if word == "worse" and high >= 0 else word
            found = {"analysis": analysis, "task": task, "model": model, "init": init, "versus": versus}
            found |= {"metric": "skill", "selection": "validation", "delta": delta, "low": low, "high": high}
            found |= {
                "margin": margin,
                "verdict": word,
                "seeds": 3,
                "folds": 3,
                "n_test": 36,
                "groups": 24,
                "se": half / 2,
            }
            rows.append(found | {"variant": ""})
    return pd.DataFrame(rows)


def _interactions(task: str, own: list, rng: np.random.Generator) -> pd.DataFrame:
    arms = [("observed", "observed", 1.0)]
    arms += [(name, init, 0.5 + skill + shift) for name, _, skill in own for init, shift in ARMS.items()
             if init in ("pretrained", "random")]  # fmt: skip
    arms += [("no_change", "baseline", 0.5), ("mean", "baseline", 0.4)]
    rows = []
    for model, init, good in arms:
        arm = {"analysis": "doubles", "task": task, "model": model, "init": init, "selection": "validation"}
        for kind, share in KINDS.items():
            count = round(38_000 * share * (1 if model == "observed" else 0.6 * good))
            rows.append(arm | {"what": "class", "name": kind, "x": np.nan, "y": count, "n": 38_000})
        if model == "observed":
            continue
        grid = np.linspace(0, 1, 51)
        shapes = {"tpr_fdp": grid ** (1 / good) * good, "pr": 1 - grid * (1 - 0.3 * good), "roc": grid ** (1 - good)}
        for what, values in shapes.items():
            rows += [
                arm | {"what": what, "name": "", "x": x, "y": y, "n": 38_000} for x, y in zip(grid, values, strict=True)
            ]
        rows += [arm | {"what": "auc", "name": name, "x": np.nan, "y": good * f, "n": 38_000}
                 for name, f in (("auprc", 0.6), ("auroc", 1.4))]  # fmt: skip
        for gene in range(200 if init != "random" else 0):
            change = rng.normal(0, 0.5)
            rows.append(arm | {"what": "example", "name": "CEBPE+CEBPB", "x": change,
                               "y": good * change + rng.normal(0, 0.2), "n": gene})  # fmt: skip
    return pd.DataFrame(rows)


def reported_rows() -> pd.DataFrame:
    """p_reported_across.csv of the committed rows."""
    from foundationless.reporting.second_paper.reported import read_rows, reported_pairs

    folder = ROOT / "resources" / "lists" / "perturbation_rows"
    return reported_pairs({path.stem: read_rows(path) for path in sorted(folder.glob("*.tsv"))}, MARGINS)
