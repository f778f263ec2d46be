"""Arms that another program computed, from the exported sequences to a verdict, by the example of the README."""

import hashlib
import json
import runpy
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from foundationless.features.classifiers import STRENGTHS
from foundationless.study.vocabulary import TOO_FEW_SEEDS, VERDICTS
from support.studies import ENVIRONMENT, checkout, snakemake, write_study

SEEDS = [0, 1, 2]
TASK, VARIANTS = "sim_promoter", "sim_variants"
EXAMPLE = "resources/examples/outside_vectors.py"


def publish(directory):
    """A BERT of letters as transformers saves one, with its tokenizer."""
    words = {word: place for place, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "A", "C", "G", "T", "N"])}
    letters = Tokenizer(models.WordLevel(words, unk_token="N"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    letters.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "N"}
    PreTrainedTokenizerFast(tokenizer_object=letters, **special).save_pretrained(directory)
    torch.manual_seed(7)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=512, **shape)).save_pretrained(directory)
    return directory


def python(directory, *words):
    command = ["python", *map(str, words)]
    answer = subprocess.run(command, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer


FUNCTIONS = """
def embed(sequences):
    return [[each.count(base) / len(each) for base in "ACGT"] for each in sequences]

def score(sequences, alternatives):
    sums = [[sum(map(ord, each[::3])) for each in windows] for windows in (sequences, alternatives)]
    return [ref - 1.5 * alt for ref, alt in zip(*sums)]
"""


def write_scores(directory):
    """Scores that know the truth under noise, and their card, as a program of its own would write them."""
    exported = json.loads((directory / f"exports/{VARIANTS}.json").read_text())
    ids = pq.read_table(directory / f"exports/{VARIANTS}.parquet")["id"]
    labels = pq.read_table(directory / f"results/sequences/{VARIANTS}.parquet").to_pandas().set_index("id")["label"]
    truth = (labels[ids.to_pylist()] == "pathogenic").to_numpy()
    scores = truth + np.random.default_rng(3).normal(size=len(truth))
    path = directory / f"outside/cadd/{VARIANTS}.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": ids, "score": scores}), path)
    card = {"by": "a lab", "model": "CADD", "revision": "1.7", "command": "score", "arm": "baseline", "task": VARIANTS}
    card |= {"higher": "damaging", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card | {"sequences_sha256": exported["sequences_sha256"]}))
    return truth, scores


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A checkout with a study of a model with both arms from outside, of one without a random arm, and of scores."""
    directory = checkout(tmp_path_factory.mktemp("checkout"))
    both = {"label": "Tiny BERT", "source": "outside", "arms": ["pretrained", "random"], "poolings": ["mean", "max"]}
    alone = {"label": "Closed", "source": "outside", "arms": ["pretrained"], "poolings": ["mean"]}
    score = {"label": "CADD", "source": "outside", "arms": ["baseline"], "scores": "outside/cadd/{task}.parquet"}
    probing = {"probes": ["logistic"], "poolings": ["max"], "rounds": 5, "depth": 1, "eta": 0.1, "colsample": 1.0}
    write_study(
        directory / "study.yaml",
        seeds=SEEDS,
        limits={"default": {"train": 100, "validation": 40, "test": 100}, VARIANTS: {}},
        statistics={"resamples": 100},
        probing=probing | {"early_stopping": 0},
        models={
            "tiny": both | {"vectors": "outside/tiny/{init}/seed{seed}/{task}.parquet"},
            "closed": alone | dict.fromkeys(("vectors", "scores"), "outside/closed/{task}.parquet"),
        },
        baselines={"length_gc": {}, "cadd": score},
        analyses={
            "frozen": {"tasks": [TASK]},
            "clustering": {"tasks": [TASK], "models": ["closed"]},
            "likelihood": {"tasks": [VARIANTS]},
        },
    )
    return directory


def test_the_example_leads_to_a_verdict(elsewhere, tmp_path, monkeypatch):
    model, study = publish(tmp_path / "model"), ("--configfile", "study.yaml", "--cores", "2")
    sets = [f"results/sequences/{task}.parquet" for task in (TASK, VARIANTS)]
    built = snakemake(*study, *sets, directory=elsewhere)
    assert built.returncode == 0, built.stdout[-3000:]
    said = f"not there yet: 7, the first outside/closed/{TASK}.parquet; `python -m foundationless export_sequences"
    assert said in built.stdout
    python(elsewhere, "-m", "foundationless", "export_sequences", "--task", TASK, VARIANTS, "--output", "exports")
    given = (EXAMPLE, "--sequences", f"exports/{TASK}.parquet", "--revision", "1", "--by", "a lab")
    monkeypatch.chdir(elsewhere)
    for place, random in (("pretrained/seed0", ()), *((f"random/seed{seed}", ("--random", seed)) for seed in SEEDS)):
        output = ("--output", f"outside/tiny/{place}/{TASK}.parquet")
        monkeypatch.setattr(sys, "argv", list(map(str, (*given, "--model", model, *random, *output))))
        runpy.run_path(EXAMPLE, run_name="__main__")  # a process each would import transformers four times
    (elsewhere / "composition.py").write_text(FUNCTIONS)
    function = (*given, "--parameters", 1, "--output", f"outside/closed/{TASK}.parquet")
    python(elsewhere, *function, "--function", "composition:embed")
    variants = ("--sequences", f"exports/{VARIANTS}.parquet", "--output", f"outside/closed/{VARIANTS}.parquet")
    python(elsewhere, *function, *variants, "--function", "composition:score", "--scores", "tolerated")
    truth, known = write_scores(elsewhere)

    done = snakemake(*study, "results/verdict.json", directory=elsewhere)
    assert done.returncode == 0, done.stdout[-6000:]
    verdict = json.loads((elsewhere / "results/verdict.json").read_text())
    tiny, closed = verdict["models"]["tiny"], verdict["models"]["closed"]
    assert tiny["label"] == "Tiny BERT, from outside" and tiny["versus_random"]["these"]["seeds"] == len(SEEDS)
    assert tiny["verdict"]["these"] in VERDICTS and tiny["verdict"]["these"] not in TOO_FEW_SEEDS.values()
    assert tiny["versus_random"]["these"]["gpu_hours"] is None, "nobody counted what it cost"
    assert closed["versus_random"] is None and closed["versus_baseline"]["these"]["verdict"] in VERDICTS
    assert sum("No random arm exists of Closed, from outside" in said for said in verdict["sentences"]) == 1
    _check_numbers(elsewhere, truth, known)
    checked = python(elsewhere, "-m", "foundationless", "verify")
    assert "0 misfits" in checked.stdout and "arms from outside, whose files are not in the tree" in checked.stdout


def _check_numbers(directory, truth, known):
    """Every score is that of scikit-learn on the vectors and scores as they lay outside."""
    scores = pd.read_csv(directory / "results/tables/scores.csv").set_index(["analysis", "model", "init"])
    pairs = pd.read_csv(directory / "results/tables/comparisons.csv").set_index(["analysis", "model", "versus"])
    tolerated = pq.read_table(directory / f"outside/closed/{VARIANTS}.parquet")["score"].to_numpy()
    cadd, closed = (roc_auc_score(truth, damage) for damage in (known, -tolerated))
    assert scores.loc[("likelihood", "cadd", "baseline"), "value"] == pytest.approx(cadd)
    assert scores.loc[("likelihood", "closed", "pretrained"), "value"] == pytest.approx(closed)
    assert pairs.loc[("likelihood", "closed", "baseline"), "delta"] == pytest.approx(closed - cadd)
    assert np.isnan(scores.loc[("likelihood", "closed", "pretrained"), "seconds"])
    record = json.loads((directory / f"results/frozen/{TASK}/tiny/random/seed2/record.json").read_text())
    assert record["settings"]["outside_by"] == "a lab" and record["settings"]["poolings"] == ["mean", "max"]
    (path,) = (directory / "outside/tiny/random/seed2").glob("*.parquet")
    assert record["hashes"]["weights"] == hashlib.sha256(path.read_bytes()).hexdigest()
    vectors, rows = (
        pq.read_table(path).to_pandas().set_index("id"),
        pd.read_parquet(directory / f"results/sequences/{TASK}.parquet"),
    )
    train, test = (rows[rows["split"] == split] for split in ("train", "test"))
    values = []
    for strength in STRENGTHS:
        fit = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        fit.fit(np.stack(vectors.loc[train["id"], "mean"]), train["label"])
        values.append(fit.score(np.stack(vectors.loc[test["id"], "mean"]), test["label"]))
    found = [
        row["value"]
        for row in record["results"]
        if row["split"] == "test" and row["extra"].get("run") == "logistic_mean"
    ]
    assert min(abs(found[0] - value) for value in values) < 0.02
