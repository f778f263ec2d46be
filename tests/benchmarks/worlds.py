"""How often the demo's verdicts agree with the truth, over simulated worlds.

A world is the demo's text and its questions simulated with another seed, by which everything else is drawn, too: random
weights, batches, heads, resamples. Of each the models that `config/config.yaml` says the truth of are pretrained, and
fine-tuned as its main analysis has it, through the workflow's own commands; its words are those of the scope `these`.
Goals: 90 % of the words agree with the truth, and at most 5 % contradict it (another word that decides something).

Worlds are kept in `--directory`, cell by cell: the same command goes on where it was killed, and several commands at
once may share a directory if they are given different worlds.
"""

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from setting import ROOT, call, plain_parser, table

from foundationless.__main__ import main as command
from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.evaluation import table_files
from foundationless.evaluation.across_tasks import summarise_tasks
from foundationless.runtime.files import read_json, write_json
from foundationless.runtime.processes import map_forked
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.plan import Cell, Plan
from foundationless.study.vocabulary import DECISIONS

BLOCK = 1000  # seeds of one world lie within so many
SMOKE = {"steps": 3, "warmup": 1, "checkpoint_every": 3, "window": 64}  # of pretraining


def read_world(seed: int, smoke: bool) -> Plan:
    """The demo's verdict alone, drawn by another seed."""
    config = read_yaml(ROOT / "config/config.yaml")
    config["tables"] = {key: str(ROOT / name) for key, name in config["tables"].items()}
    analysis = next(case.get("analysis", "finetune") for case in config["truth"])
    config["analyses"] = {analysis: config["analyses"][analysis] | {"baselines": ["majority"]}}
    config["truth"] = [case for case in config["truth"] if case.get("analysis", analysis) == analysis]
    if smoke:
        chosen = config["analyses"][analysis]
        chosen |= {"tasks": chosen["tasks"][:2], "seeds": [0, 1, 2]}
        for task in chosen["tasks"]:
            config["limits"][task] = {"train": 8, "validation": 8, "test": 12}
        for case in config["truth"]:
            config["models"][case["model"]]["pretraining"] |= SMOKE
    config["seed"] = seed
    return read_study(config)


def run(name: str, *flags: Any) -> None:
    """A command of the program, in this process."""
    words = [str(word) for flag in flags for word in (flag if isinstance(flag, list) else [flag])]
    if code := command([name, *words]):
        raise UserError(f"{name} {' '.join(words)} ended with code {code}.")


def once(path: Path, work: Callable[[], None]) -> None:
    """Do what makes a file, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        work()


def options(settings: dict[str, Any]) -> list[str]:
    """Settings as flags."""
    words: list[str] = []
    for key, value in settings.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{key.replace('_', '-')}", *map(str, values)]
    return words


def make_sets(study: Plan, place: Path, tasks: Sequence[str]) -> None:
    """Simulate the text and build the sequence sets of its questions."""
    seed = study.config["seed"]
    once(place / "text/words.fa", lambda: run("simulate_words", "--seed", seed, "--output", place / "text"))
    for task in tasks:
        sources = dict(study.sources(task))
        files = {role: place / "text" / source.partition(":")[2] for role, source in sources.items()}
        files["genome"] = place / f"text/{sources['genome'].partition(':')[2]}.fa"
        flags = [["--source", f"{role}={path}"] for role, path in files.items()]
        flags += [["--option", option] for option in study.options(task)]
        limits = study.config["limits"].get(task, study.config["limits"]["default"])
        flags += [["--limit", f"{split}={number}"] for split, number in limits.items()]
        path = place / f"sequences/{task}.parquet"
        build = partial(run, "build_sequences", "--reader", study.task(task)["reader"])
        once(path, partial(build, *flags, "--seed", seed, "--output", path))


def weights_of(study: Plan, place: Path, model: str, init: str, seed: int) -> Path:
    """The directory of an arm's weights, made where they are not there; the same random ones for equal networks."""
    card, drawn = study.model(model).entry, study.config["seed"] * BLOCK + seed
    random = place / f"weights/{model}/random/seed{seed}"
    flags = ["--family", card["family"], "--config", json.dumps(card["config"]), "--tokenizer", card["tokenizer"]]
    flags += ["--model", model, "--seed", drawn, "--output", random]
    once(random / "weights.json", partial(run, "initialise", *flags))
    if init == "random":
        return random
    corpus = study.config["corpora"][card["pretrained"]["corpus"]]
    output = place / f"weights/{model}/pretrained"
    flags = ["--weights", random, "--exclude", *corpus["exclude"], "--holdout", *corpus["holdout"]]
    flags += [["--genome", place / f"text/{genome}.fa"] for genome in corpus["genomes"]]
    flags += [options(study.pretraining(model)), "--model", model, "--seed", drawn]
    flags += ["--checkpoints", place / f"pretrain/{model}/checkpoints", "--output", output, "--threads", "1"]
    flags += ["--record", place / f"pretrain/{model}/record.json", "--losses", place / f"pretrain/{model}/losses.tsv"]
    once(output / "weights.json", partial(run, "pretrain", *flags))
    return output


def tuning_flags(study: Plan, place: Path, cell: Cell) -> list[Any]:
    """Flags of a job that fine-tunes a cell, whose weights are made where they are not there."""
    settings = dict(study.finetuning(cell.task, cell.analysis))
    lora = settings.pop("lora")
    settings |= {f"lora_{key}": value for key, value in lora.items()}
    known = ("learning_rates", "extend", "fold_count", "folds", "epochs", "patience", "batch_size", "pooling", "rungs",
             "lora_rank", "lora_alpha", "lora_dropout", "precision")  # fmt: skip
    flags = options({key: settings[key] for key in known if key in settings})
    there = directory_of(place, cell)
    weights = weights_of(study, place, cell.model, cell.init, 0 if cell.init == "pretrained" else cell.seed)
    named = ["--analysis", cell.analysis, "--task", cell.task, "--model", cell.model, "--init", cell.init]
    named += ["--seed", cell.seed, "--metric", study.task(cell.task)["metric"], "--threads", "1"]
    files = ["--weights", weights, "--sequences", place / f"sequences/{cell.task}.parquet", "--runs", there / "runs"]
    files += ["--record", there / "record.json", "--predictions", there / "predictions.parquet"]
    return [*named, *flags, *files]


def directory_of(place: Path, cell: Cell) -> Path:
    """Where the record of a cell stands."""
    return place / cell.analysis / cell.task / cell.model / cell.init / f"seed{cell.seed}"


def compute(study: Plan, place: Path, cell: Cell, name: str = "finetune_model", more: Sequence[Any] = ()) -> None:
    """The record and the predictions of a cell, by a command that fine-tunes."""
    run(name, *tuning_flags(study, place, cell), *more)
    shutil.rmtree(directory_of(place, cell) / "runs", ignore_errors=True)


def judge_world(directory: Path, smoke: bool, seed: int) -> list[dict[str, Any]]:
    """What was planted and found in a world, a row per truth, with bits per base of its pretraining."""
    study, place = read_world(seed, smoke), directory / f"world{seed}"
    if (place / "verdict.json").exists():
        return list(read_json(place / "verdict.json")["cases"])
    (analysis,) = study.by_task
    cells = [cell for cell in study.cells if cell.init != "baseline"]
    make_sets(study, place, list(study.by_task[analysis]))
    for cell in cells:
        path = place / analysis / cell.task / cell.model / cell.init / f"seed{cell.seed}/record.json"
        once(path, partial(compute, study, place, cell))
    summarised = place / "summary"
    summarised.mkdir(exist_ok=True)
    tasks = [
        {"metric": study.task(task)["metric"], "tasks": [task],
         "cells": [f"{cell.model}/{cell.init}/seed{cell.seed}" for cell in cells if cell.task == task]}
        for task in study.by_task[analysis]
    ]  # fmt: skip
    flags = ["--analysis", analysis, "--directory", place / analysis, "--cells", json.dumps(tasks), "--seed", seed]
    run("summarise_analysis", *flags, "--resamples", study.config["statistics"]["resamples"], "--output", summarised)
    comparisons, runs = (table_files.read_table(summarised / f"{name}.csv", name) for name in ("comparisons", "runs"))
    chosen = [frame[frame["selection"] == "validation"] for frame in (comparisons, runs)]
    known = pd.read_csv(study.config["tables"]["tasks"], sep="\t", keep_default_na=False)
    evidence = summarise_tasks(*chosen, known, {})
    cases = [_case(place, case, evidence) for case in study.truths]
    write_json(place / "verdict.json", {"cases": cases})
    return cases


def _case(place: Path, case: dict[str, str], evidence: pd.DataFrame) -> dict[str, Any]:
    rows = evidence[(evidence["model"] == case["model"]) & (evidence["versus"] == case["versus"])]
    rows = rows[(rows["suite"] == "all") & (rows["family"] == "")].set_index("scope")
    curve = pd.read_csv(place / f"pretrain/{case['model']}/losses.tsv", sep="\t")
    bits = float(curve.loc[curve["split"] == "heldout", "bits_per_base"].iloc[-1])
    numbers = {key: float(rows.loc["these", key]) for key in ("delta", "low", "high")}
    found = {"found": str(rows.loc["these", "verdict"]), "like": str(rows.loc["like-these", "verdict"])}
    return {"model": case["model"], "truth": case["word"], "bits": bits} | found | numbers


def main(argv: Sequence[str] | None = None) -> None:
    made = plain_parser(__doc__, "one world, two tasks, three steps")
    made.add_argument("--worlds", type=int, nargs="+", help="seeds of the worlds (default: 103 to 122)")
    made.add_argument("--directory", type=Path, help="what is computed is kept there (default: nowhere)")
    made.add_argument("--processes", type=count, default=1, help="worlds at once (default 1)")
    given = made.parse_args(argv)
    seeds = given.worlds or list(range(103, 104 if given.smoke else 123))
    with tempfile.TemporaryDirectory() as aside:
        directory = (given.directory or Path(aside)).resolve()
        judged = []
        worlds = map_forked(partial(judge_world, directory, given.smoke), seeds, given.processes)
        for seed, cases in zip(seeds, worlds, strict=True):
            judged += cases
            print(f"world {seed}: {json.dumps(cases)}", file=sys.stderr)
    print(f"{date.today()}, numpy {np.__version__}, {len(seeds)} worlds\n")
    rows = []
    for model in dict.fromkeys(case["model"] for case in judged):
        mine = [case for case in judged if case["model"] == model]
        words = Counter(case["found"] for case in mine)
        like = Counter(case["like"] for case in mine)
        deltas, bits = [case["delta"] for case in mine], np.mean([case["bits"] for case in mine])
        rows.append([
            model, mine[0]["truth"], *_shares(mine), _said(words), _said(like),
            f"{np.mean(deltas):+.3f} ({min(deltas):+.3f} to {max(deltas):+.3f})", f"{bits:.2f}",
        ])  # fmt: skip
    rows.append(["all", "", *_shares(judged), "", "", "", ""])
    headings = ["model", "truth", "agrees", "contradicts", "found", "on tasks like these", "difference in MCC", "bits"]
    print(table(headings, rows))


def _shares(cases: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Shares of words that agree with the truth, and that decide otherwise."""
    agree = sum(case["found"] == case["truth"] for case in cases)
    against = sum(case["found"] in DECISIONS and case["found"] != case["truth"] for case in cases)
    return f"{agree / len(cases):.0%}", f"{against / len(cases):.0%}"


def _said(words: Counter[str]) -> str:
    return ", ".join(f"{word} {number}" for word, number in words.most_common())


if __name__ == "__main__":
    call(main)
