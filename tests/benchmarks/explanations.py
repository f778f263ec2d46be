"""How often explanations find the words that were planted, over worlds on whose seeds no setting was chosen.

A world is the demo's text and its question about strands, simulated with another seed, by which all else is drawn, too.
Of each the demo's model is pretrained, and it, its random self and a CNN are fine-tuned and explained as the demo's
analysis `explanations` has it, through the workflow's own commands. Three times it is asked where the letters are:

- `planted`: words carry the label, and the sites are those of the words. Integrated gradients once more from shuffles.
- `permuted`: the same windows with labels permuted: words stand there, pretraining knows them, no label speaks of them.
- `moved`: what was computed for `planted`, held against sites that every sequence has moved by a random number of
  letters, around its end: nothing stands there. So many draws a world; the word `better` is false, and due in 2.5 %.

Accuracy stands beside, for a network that has not learned its labels has nothing to explain. Worlds are kept in
`--directory`, cell by cell: the same command goes on where it was killed.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from setting import ROOT, call, plain_parser, table
from worlds import SMOKE, compute, directory_of, make_sets, once, run

from foundationless.commands._flags import count
from foundationless.evaluation.explanations.tables import score_table
from foundationless.evaluation.records import read_record
from foundationless.runtime.processes import map_forked
from foundationless.scoring.explanations.job import inside, rank_letters
from foundationless.scoring.explanations.motifs import ENDS, Site
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.plan import Cell, Plan

ANALYSIS, FIRST, WORLDS, MOVES = "explanations", 301, 20, 20
ARMS = ("pretrained", "random", "CNN")  # as they are called here
KINDS = ("planted", "permuted", "moved")
REFERENCES = 5  # shuffles of each sequence, where gradients start from these


def read_world(seed: int, smoke: bool) -> Plan:
    """The demo's explanations alone, drawn by another seed."""
    config = read_yaml(ROOT / "config/config.yaml")
    config["tables"] = {key: str(ROOT / name) for key, name in config["tables"].items()}
    config |= {"analyses": {ANALYSIS: config["analyses"][ANALYSIS]}, "truth": [], "seed": seed}
    if smoke:
        chosen = config["analyses"][ANALYSIS]
        chosen["finetuning"]["epochs"] = 1
        chosen["explaining"] = {"sequences": 3, "steps": 2}
        for task in chosen["tasks"]:
            config["limits"][task] = {"train": 8, "validation": 8, "test": 12}
        for model in set(chosen["models"]) & {"hyenadna.words"}:
            config["models"][model]["pretraining"] |= SMOKE
    return read_study(config)


def explaining_flags(study: Plan, task: str) -> list[Any]:
    """What the rule `explain` gives its command beside the flags of fine-tuning."""
    said = study.explaining(ANALYSIS)
    flags = ["--methods", *said["methods"], "--explained", said["sequences"], "--steps", said["steps"]]
    flags += ["--baseline", said["baseline"], "--words", study.planted(task)]
    return [*flags, "--simulation-seed", study.config["seed"]]


def arm_of(cell: Cell) -> str:
    """What an arm is called here."""
    return "CNN" if cell.model.startswith("cnn") else cell.init


def judge_world(directory: Path, smoke: bool, seed: int) -> dict[str, Any]:
    """What was found in a world: {scores: [...], accuracy: [...]}, rows by kind, and by arm and method or seed."""
    study, place = read_world(seed, smoke), directory / f"world{seed}"
    (base,) = study.by_task[ANALYSIS]
    make_sets(study, place, [base])
    permuted = place / f"sequences/{base}.permuted.parquet"
    flags = ["--sequences", place / f"sequences/{base}.parquet", "--derivation", "permuted", "--seed", seed]
    once(permuted, partial(run, "derive_sequences", *flags, "--output", permuted))
    rows: list[dict[str, Any]] = []
    accuracy: list[dict[str, Any]] = []
    for kind, task in (("planted", base), ("permuted", f"{base}.permuted")):
        cells = [cell._replace(task=task) for cell in study.cells]
        for cell in cells:
            path = directory_of(place, cell) / "record.json"
            once(path, partial(compute, study, place, cell, "explain", explaining_flags(study, base)))
            accuracy.append({"world": seed, "kind": kind, "arm": arm_of(cell)} | accuracy_of(read_record(path)))
        predictions = [pd.read_parquet(directory_of(place, cell) / "predictions.parquet") for cell in cells]
        rows += judge(study, predictions, {"world": seed, "kind": kind, "whole words": whole_words(predictions[0])})
        if kind == "planted":
            shuffled = [from_shuffles(study, place, cell) for cell in cells]
            rows += judge(study, shuffled, {"world": seed, "kind": kind})
            for draw in range(2 if smoke else MOVES):
                moved = [move_sites(frame, seed, draw) for frame in predictions]
                rows += judge(study, moved, {"world": seed, "kind": "moved", "draw": draw})
    return {"scores": rows, "accuracy": accuracy}


def from_shuffles(study: Plan, place: Path, cell: Cell) -> pd.DataFrame:
    """Predictions of the same cell whose integrated gradients start from shuffles of the sequence."""
    there = directory_of(place, cell) / "shuffled"
    flags = ["--methods", "integrated_gradients", "--baseline", "shuffled", "--references", REFERENCES]
    flags += ["--record", there / "record.json", "--predictions", there / "predictions.parquet"]
    flags = [*explaining_flags(study, cell.task), *flags]  # of a flag given twice the last one counts
    once(there / "record.json", partial(compute, study, place, cell, "explain", flags))
    found = pd.read_parquet(there / "predictions.parquet")
    return found.assign(method=found["method"] + " (shuffled)")


def whole_words(frame: pd.DataFrame) -> float:
    """What an explanation scores that marks every letter of every word, and no other: sites are their middles alone."""
    found = []
    for _, row in frame.drop_duplicates("id").iterrows():
        sites = read_sites(row["sites"])
        words = [site._replace(start=max(0, site.start - ENDS), end=site.end + ENDS) for site in sites]
        found.append(rank_letters(inside(words, len(row["sequence"])).astype(float), sites))
    return float(np.mean(found))


def read_sites(text: str) -> list[Site]:
    """Sites of a row of predictions."""
    ends = [site.split(":")[0].split("-") for site in text.split()]
    return [Site(int(start), int(end), "+", "") for start, end in ends]


def accuracy_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The MCC of a classifier on validation and test rows."""
    chosen = next(each for each in record["selections"] if each["what"] == "learning_rate")
    test = [row["value"] for row in record["results"] if row["extra"].get("measure") == "classifier"
            and row["metric"] == chosen["metric"]]  # fmt: skip
    return {"validation": max(chosen["tried"].values()), "test": test[0]}


def judge(study: Plan, predictions: Sequence[pd.DataFrame], said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scores and words of every method, as explanations.csv of the world has them."""
    resamples = study.config["statistics"]["resamples"]
    scores = score_table(predictions, resamples=resamples, seed=study.config["seed"])
    rows = []
    for method, part in scores.groupby("method", sort=False):
        of = part.assign(arm=np.where(part["model"].str.startswith("cnn"), "CNN", part["init"]))
        of = of.set_index(["arm", "versus"])
        rows.append(
            {**said, "method": str(method)}
            | {arm: float(of.loc[(arm, ""), "value"]) for arm in ARMS}
            | {f"{arm} to chance": str(of.loc[(arm, "chance"), "verdict"]) for arm in ARMS}
            | {key: float(of.loc[("pretrained", "random"), key]) for key in ("delta", "low", "high")}
            | {"word": str(of.loc[("pretrained", "random"), "verdict"])}
        )
    return rows


def move_sites(frame: pd.DataFrame, seed: int, draw: int) -> pd.DataFrame:
    """Attributions held against sites that stand elsewhere: of each sequence by another number of letters, of all arms,
    seeds and methods the same."""
    ids = sorted(frame["id"].unique())
    rng = np.random.default_rng((seed, draw))
    shift = dict(zip(ids, rng.random(len(ids)).tolist(), strict=True))
    found = []
    for name, sequence, text, values in frame[["id", "sequence", "sites", "attributions"]].itertuples(index=False):
        letters = inside(read_sites(text), len(sequence))
        moved = np.roll(letters, int(shift[name] * len(sequence)))
        sites = [Site(place, place + 1, "+", "") for place in np.flatnonzero(moved).tolist()]
        found.append(rank_letters(np.asarray(values, dtype=np.float64), sites))
    return frame.assign(auroc=found)


def share(words: Sequence[str], word: str = "better") -> str:
    """How often a word was said, with Wilson's interval of 95 %."""
    said = sum(each == word for each in words)
    ends = binomtest(said, len(words)).proportion_ci(method="wilson")
    return f"{said} of {len(words)}: {said / len(words):.0%} ({ends.low:.0%} to {ends.high:.0%})"


def spread(values: Sequence[float], sign: str = "") -> str:
    return f"{np.mean(values):{sign}.3f} ({min(values):{sign}.3f} to {max(values):{sign}.3f})"


def main(argv: Sequence[str] | None = None) -> None:
    made = plain_parser(__doc__, "one world, one epoch, few rows")
    made.add_argument("--worlds", type=int, nargs="+", help=f"seeds of the worlds (default: {WORLDS} from {FIRST})")
    made.add_argument("--directory", type=Path, help="what is computed is kept there (default: nowhere)")
    made.add_argument("--processes", type=count, default=1, help="worlds at once (default 1)")
    given = made.parse_args(argv)
    seeds = given.worlds or list(range(FIRST, FIRST + (1 if given.smoke else WORLDS)))
    with tempfile.TemporaryDirectory() as aside:
        directory = (given.directory or Path(aside)).resolve()
        worlds = []
        for seed, one in zip(
            seeds, map_forked(partial(judge_world, directory, given.smoke), seeds, given.processes), strict=True
        ):
            worlds.append(one)
            print(f"world {seed}: {json.dumps(one['accuracy'])}", file=sys.stderr)
    print(f"{date.today()}, numpy {np.__version__}, {len(seeds)} worlds\n")
    print_tables(
        pd.DataFrame([row for one in worlds for row in one["scores"]]),
        pd.DataFrame([row for one in worlds for row in one["accuracy"]]),
    )


def print_tables(scores: pd.DataFrame, accuracy: pd.DataFrame) -> None:
    """All worlds together, then accuracy, then each world."""
    methods = list(dict.fromkeys(scores["method"]))
    rows = []
    for kind in KINDS:
        for method in methods:
            of = scores[(scores["kind"] == kind) & (scores["method"] == method)]
            if of.empty:
                continue
            others = Counter(of.loc[of["word"] != "better", "word"])
            rows.append([
                kind, method, *(f"{of[arm].mean():.3f}" for arm in ARMS), spread(of["delta"], "+"), share(of["word"]),
                ", ".join(f"{word} {number}" for word, number in others.most_common()) or None,
                *(share(of[f"{arm} to chance"]) for arm in ARMS),
            ])  # fmt: skip
    heads = ["labels", "method", *ARMS, "pretrained − random", "`better` than random", "other words"]
    print(table([*heads, *(f"{arm}: `better` than chance" for arm in ARMS)], rows))
    words = scores.loc[scores["kind"] == "planted", "whole words"].dropna()
    print(f"\nAUROC of marking every letter of every word and no other, for sites are their middles: {spread(words)}")
    print("\nMCC of the classifiers that are explained, mean over worlds and seeds (of worlds the range)\n")
    rows = []
    for kind in KINDS[:2]:
        for arm in ARMS:
            of = accuracy[(accuracy["kind"] == kind) & (accuracy["arm"] == arm)].groupby("world")
            rows.append([kind, arm, *(spread(of[split].mean()) for split in ("validation", "test"))])
    print(table(["labels", "arm", "validation", "test"], rows))
    print("\nEvery world, its labels as they are\n")
    planted = scores[scores["kind"] == "planted"]
    tested = accuracy[accuracy["kind"] == "planted"].groupby(["world", "arm"])["test"].mean()
    rows = []
    for world, part in planted.groupby("world"):
        cells = [f"{tested[world, arm]:.2f}" for arm in ARMS]
        for row in part.to_dict("records"):
            cells += [*(f"{row[arm]:.3f}" for arm in ARMS), row["word"]]
        rows.append([str(world), *cells])
    heads = [f"MCC, {arm}" for arm in ARMS]
    heads += [f"{method}, {what}" for method in methods for what in (*ARMS, "word")]
    print(table(["world", *heads], rows))


if __name__ == "__main__":
    call(main)
