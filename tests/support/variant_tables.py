"""The table of scores of variants of a made-up study, for figures: the arms of its likelihoods, numbers drawn."""

import numpy as np
import pandas as pd

KEYS = ["analysis", "task", "model", "init"]
SCORES = {"probe": 0.1, "cosine_mean": 0.02, "l2_mean": 0.03, "llr_site": -0.05, "llr_marginal": -0.02}
CHEAP = 6  # baselines beside them


def variant_frames(scores: pd.DataFrame, seed: int = 0) -> dict[str, pd.DataFrame]:
    """`variant_scores` of every arm of the analysis likelihood; random arms are lower, larger models better probed."""
    rng = np.random.default_rng(seed)
    arms = scores[(scores["analysis"] == "likelihood") & scores["init"].isin(["pretrained", "random"])]
    sizes = scores[(scores["analysis"] == "width") & (scores["init"] == "random")].drop_duplicates("model")[:2]
    sizes = sizes.assign(task=arms["task"].iloc[0], parameters=[50_000, 400_000][: len(sizes)]) if len(arms) else sizes
    arms = pd.concat([arms, sizes])[[*KEYS, "parameters"]].drop_duplicates(["task", "model", "init"])
    arms = arms.assign(analysis="variant_probe")
    rows = []
    for arm in arms.to_dict("records"):
        for name, gain in SCORES.items():
            if name == "llr_marginal" and "nt" not in arm["model"]:
                continue
            value = 0.6 + gain * (arm["init"] == "pretrained") + rng.normal(0, 0.02)
            rows.append(arm | {"scored_by": name, "auroc_within": value, "seeds": 3})
    cheap = scores.loc[scores["init"] == "baseline", "model"].unique()[:CHEAP]
    for task in arms["task"].unique():
        for name in cheap:
            arm = {"analysis": "variant_probe", "task": task, "model": name, "init": "baseline", "parameters": 0}
            rows.append(arm | {"scored_by": "probe", "auroc_within": 0.55 + rng.normal(0, 0.02), "seeds": 1})
    table = pd.DataFrame(rows)
    ends = {"auroc_within_low": table["auroc_within"] - 0.05, "auroc_within_high": table["auroc_within"] + 0.05}
    return {"variant_scores": table.assign(**ends, n_test=480, held_out="chromosome", selected=False)}
