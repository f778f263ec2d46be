import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(workflow.basedir))
from foundationless import plan
from foundationless.errors import UserError


def get_study(config):
    """The design behind this config; a mistake in it is one sentence and exit code 2."""
    schemas = Path(workflow.basedir) / "schemas"
    try:
        plan.check_schema(
            config, plan.read_yaml(schemas / "config.schema.yaml"), "config"
        )
        tables = config["tables"]
        models = plan.read_yaml(tables["models"])
        plan.check_schema(
            models, plan.read_yaml(schemas / "models.schema.yaml"), tables["models"]
        )
        rows = {}
        for name in ("tasks", "datasets"):
            schema = plan.read_yaml(schemas / f"{name}.schema.yaml")
            rows[name] = plan.read_table(tables[name], schema["items"]["required"])
            plan.check_schema(rows[name], schema, tables[name])
        return plan.Plan(config, models, rows["tasks"], rows["datasets"])
    except UserError as error:
        print(f"foundationless: error: {error}", file=sys.stderr)
        sys.exit(2)


study = get_study(config)

# The package lies beside the Snakefile; conda environments drop PYTHONPATH, a prefix survives them.
shell.prefix(
    f"set -euo pipefail; export PYTHONPATH={shlex.quote(str(workflow.basedir))}; "
)


wildcard_constraints:
    analysis="|".join(plan.ANALYSES),
    task=r"[A-Za-z0-9_]+(\.[a-z0-9]+)?",
    model=r"[a-z][a-z0-9_]*(\.[a-z0-9]+)*",
    init="pretrained|random|embedding|permuted|baseline",
    seed=r"\d+",


def get_source(source):
    """Path of a source: a dataset of the ledger, a prepared genome, or a file of the simulation."""
    kind, _, name = source.rpartition(":")
    if kind == "simulated":
        return f"resources/simulated/{name}"
    if kind == "genome":
        return f"resources/genomes/{name}.fa"
    return f"resources/datasets/{study.datasets[name]['file']}"


def get_pieces(wildcards):
    return [
        get_source(piece["source"])
        for piece in study.config["genomes"][wildcards.genome]["pieces"]
    ]


def get_piece_flags(wildcards):
    flags = []
    for piece in study.config["genomes"][wildcards.genome]["pieces"]:
        options = [
            f"{key}={piece[key]}"
            for key in ("contig", "start", "strand", "prefix")
            if key in piece
        ]
        flags += [
            "--piece",
            ",".join([f"path={get_source(piece['source'])}", *options]),
        ]
    return flags


def get_mirror_flags(wildcards):
    return ["--mirror", config["mirror"]] if config["mirror"] else []


def get_task_files(wildcards):
    return [get_source(source) for source in study.sources(wildcards.task).values()]


def get_reader_flags(wildcards):
    flags = ["--reader", study.tasks[wildcards.task]["reader"]]
    for role, source in study.sources(wildcards.task).items():
        flags += ["--source", f"{role}={get_source(source)}"]
    for option in study.options(wildcards.task):
        flags += ["--option", option]
    limits = study.config["limits"]
    for split, number in limits.get(wildcards.task, limits.get("default", {})).items():
        flags += ["--limit", f"{split}={number}"]
    return flags


include: "lookups.smk"
include: "model_lookups.smk"
include: "corpus_lookups.smk"
