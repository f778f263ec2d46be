"""Arms that another program computed, from the exported sequences to a verdict, by the example of the README."""

import hashlib
import json
import subprocess

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

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


def write_scores(directory, arm, higher):
    """Scores of variants as a program of conservation would write them: they know the alternative base alone."""
    table = pq.read_table(directory / f"exports/{VARIANTS}.parquet")
    scores = [(ord(alt) + len(alternative) * 7 + place % 13) % 97 / 97
              for place, (alt, alternative) in enumerate(zip(table["alt"].to_pylist(), table["alternative"].to_pylist()))]
    path = directory / f"outside/{arm}/{VARIANTS}.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": table["id"], "score": pa.array(scores, pa.float64())}), path)
    exported = json.loads((directory / f"exports/{VARIANTS}.json").read_text())
    card = {"by": "a lab", "model": arm, "revision": "1.7", "command": "score", "arm": "baseline", "higher": higher}
    card |= {"task": VARIANTS, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card | {"sequences_sha256": exported["sequences_sha256"]}))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A checkout with a study of a model with both arms from outside, of one without a random arm, and of scores."""
    directory = checkout(tmp_path_factory.mktemp("checkout"))
    both = {"label": "Tiny BERT", "source": "outside", "arms": ["pretrained", "random"], "poolings": ["mean", "max"]}
    alone = {"label": "Closed", "source": "outside", "arms": ["pretrained"], "poolings": ["mean"]}
    score = {"label": "Scores", "source": "outside", "arms": ["baseline"], "scores": "outside/cadd/{task}.parquet"}
    write_study(
        directory / "study.yaml",
        seeds=SEEDS,
        limits={"default": {"train": 60, "validation": 30, "test": 60}, VARIANTS: {}},
        statistics={"resamples": 100},
        models={
            "tiny": both | {"vectors": "outside/tiny/{init}/seed{seed}/{task}.parquet"},
            "closed": alone | {"vectors": "outside/closed/{task}.parquet"},
        },
        baselines={"length_gc": {}, "cadd": score},
        probing={"probes": ["logistic"], "poolings": ["max"], "rounds": 5, "depth": 1, "eta": 0.1, "colsample": 1.0,
                 "early_stopping": 0},
        analyses={"frozen": {"tasks": [TASK]}, "clustering": {"tasks": [TASK], "models": ["closed"]},
                  "likelihood": {"tasks": [VARIANTS]}},
    )  # fmt: skip
    return directory


def test_the_example_leads_to_a_verdict(elsewhere, tmp_path):
    model = publish(tmp_path / "model")
    study = ("--configfile", "study.yaml", "--cores", "2")
    sets = [f"results/sequences/{task}.parquet" for task in (TASK, VARIANTS)]
    built = snakemake(*study, *sets, directory=elsewhere)
    assert built.returncode == 0, built.stdout[-3000:]
    python(elsewhere, "-m", "foundationless", "export_sequences", "--task", TASK, VARIANTS, "--output", "exports")
    given = ("--sequences", f"exports/{TASK}.parquet", "--revision", "1", "--by", "a lab")
    arms = [("pretrained/seed0", ()), *((f"random/seed{seed}", ("--random", seed)) for seed in SEEDS)]
    for place, random in arms:
        python(elsewhere, EXAMPLE, *given, "--model", model, *random, "--output", f"outside/tiny/{place}/{TASK}.parquet")
    (elsewhere / "composition.py").write_text(
        "def embed(sequences):\n    return [[each.count(base) / len(each) for base in 'ACGT'] for each in sequences]\n"
    )
    own = ("--function", "composition:embed", "--parameters", 1, "--output", f"outside/closed/{TASK}.parquet")
    python(elsewhere, EXAMPLE, *given, *own)
    write_scores(elsewhere, "cadd", "damaging")
    done = snakemake(*study, directory=elsewhere)
    assert done.returncode == 0, done.stdout[-6000:]
