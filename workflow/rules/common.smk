import functools
import gc
import importlib
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(workflow.basedir))
from foundationless.errors import UserError
from foundationless.runtime import timers, worker
from foundationless.study import checks, job_counts, names, progress, status
from foundationless.study import looks as study_looks
from foundationless.study import vocabulary
from foundationless.study.price import shares, workload
from foundationless.study.plan import Cell
from foundationless.study.config import read_margins
from foundationless.study.families import PIECES, PUBLISHED
from foundationless.study.price.requests import FLOOR_MINUTES, Allocation


def get_study(config):
    """The plan of this config; a mistake in it is one sentence and exit code 2."""
    try:
        return checks.read_study(config)
    except UserError as error:
        print(f"foundationless: error: {error}", file=sys.stderr)
        sys.exit(2)


# Planning makes millions of objects that stay: looking for garbage among them is a fifth of its time.
gc.set_threshold(100_000, 50, 100)

# What `--config from_records=true` says arrives as text.
for key in ("from_records", "energy"):
    if config.get(key) in ("true", "false"):
        config[key] = config[key] == "true"

study = get_study(config)
FROM_RECORDS = config.get("from_records", False)
sizes = Path(workflow.basedir).parent / "resources" / "lists" / "task_sizes.tsv"
allocation = Allocation(workload.Workload(study, workload.read_sizes(sizes)))


def escape_braces(path):
    """A path for what Snakemake formats: its braces are letters."""
    return path.replace("{", "{{").replace("}", "}}")


# A cluster signals every process of a job at once. What computes keeps its state then and ends; bash and the Snakemake
# above it have to wait for that, or SLURM takes the step for over and kills what is still keeping. `trap :`, unlike
# `trap ""`, is not inherited by the command.
signal.signal(signal.SIGUSR1, lambda *_: None)
let_script_wait()
# The package lies beside the Snakefile; conda environments drop PYTHONPATH, a prefix survives them.
shell.prefix(
    f"trap : TERM USR1; set -euo pipefail; export PYTHONPATH={escape_braces(shlex.quote(str(workflow.basedir)))}"
    f"{' FOUNDATIONLESS_ENERGY=1' if config.get('energy') else ''}; "
)


MODEL = r"[a-z][a-z0-9_]*(\.[a-z0-9]+)*"
OTHER_PRETRAINING = "|".join((*vocabulary.OTHER_CORPORA, vocabulary.STEP_ARM))
NETWORK_ARMS = "|".join(("pretrained", "random", *vocabulary.CONTROL_ARMS, OTHER_PRETRAINING, vocabulary.SELF))
EFFECT_ARMS = "|".join(vocabulary.ANALYSES["borrowed"].arms)


wildcard_constraints:
    analysis="|".join(vocabulary.ANALYSES),
    task=r"[A-Za-z0-9_]+(\.[a-z0-9]+)*",
    model=MODEL,
    init=f"{NETWORK_ARMS}|{EFFECT_ARMS}|baseline",
    seed=r"\d+",
    part=r"\d+",
    leg=r"\d+",


def get_recipe(rulename):
    """The number that stands for edits behind `python -m foundationless`, which Snakemake does not see."""
    return importlib.import_module(f"foundationless.commands.{rulename}").RECIPE


def get_analyses(rulename):
    """A pattern of the analyses whose cells this rule computes."""
    computed = vocabulary.ANALYSES.items()
    return "|".join(name for name, analysis in computed if analysis.rule == rulename)


def get_source(source):
    """Path of a source: a dataset of the ledger, a prepared genome, a file of the simulation, a window of a dataset,
    or a sequence set."""
    kind, _, name = source.rpartition(":")
    if kind == "task":
        return f"results/sequences/{name}.parquet"
    if kind == "simulated":
        return f"resources/simulated/{name}"
    if kind == "genome":
        return f"resources/genomes/{name}.fa"
    if kind == "region":
        return f"resources/regions/{name}.vcf.gz"
    return study.local_path(name) or f"resources/datasets/{study.datasets[name]['file']}"


def get_pieces(wildcards):
    return get_watched(piece["source"] for piece in study.config["genomes"][wildcards.genome]["pieces"])


def get_piece_flags(wildcards):
    genome = study.config["genomes"][wildcards.genome]
    flags = ["--soft-masked"] if genome.get("soft_masked") else []
    for piece in genome["pieces"]:
        options = [f"{key}={piece[key]}" for key in ("contig", "start", "strand", "prefix") if key in piece]
        flags += ["--piece", ",".join([f"path={get_source(piece['source'])}", *options])]
    return flags


def get_mirror_flags(wildcards, output):
    """Reads `output`, so derived to Snakemake: files from elsewhere are the same, and make nothing anew."""
    return ["--mirror", config["mirror"]] if config["mirror"] else []


def get_task_files(wildcards):
    return get_watched(study.sources(wildcards.task).values())


def get_reader_flags(wildcards):
    flags = ["--reader", study.task(wildcards.task)["reader"]]
    for role, source in study.sources(wildcards.task).items():
        flags += ["--source", f"{role}={get_source(source)}"]
    for option in study.options(wildcards.task):
        flags += ["--option", option]
    flags += get_checksum_flags(wildcards)
    limits = {} if study.task(wildcards.task)["reader"] == "effects" else study.config["limits"]
    for split, number in limits.get(wildcards.task, limits.get("default", {})).items():
        flags += ["--limit", f"{split}={number}"]
    return flags
