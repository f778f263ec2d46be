"""What the recipes of CONTRIBUTING.md promise: one of each is added to a copy, in as many files as they say, and works.

An edit is a text put behind an anchor that stands once in the file, or the text of a new file.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, figure_tables
from support.studies import ENVIRONMENT, checkout, snakemake

PACKAGE = "workflow/foundationless"
VOCABULARY = f"{PACKAGE}/study/vocabulary.py"
MODULE = '"""A module of a test."""\n\n'

Edits = dict[str, str | list[tuple[str, str]]]

ANALYSIS: Edits = {
    VOCABULARY: [
        ("\nANALYSES = {\n", '    "added": Analysis("probe", "biotype", "is it planned?", figure="probing"),\n')
    ],
    "config/config.yaml": [
        ("\nanalyses:\n", "  added: {tasks: [sim_enhancer], models: [ntv2.demo], baselines: [], seeds: [0]}\n")
    ],
}

RULE: Edits = {
    VOCABULARY: [
        ("\nRULES = (\n", '    "score_added",\n'),
        (
            "\nANALYSES = {\n",
            '    "added": Analysis("score_added", "variants", "is it planned?", sets=("variants",)),\n',
        ),
    ],
    "config/config.yaml": [("\nanalyses:\n", "  added: {tasks: [sim_variants], models: [ntv2.demo], seeds: [0]}\n")],
    f"{PACKAGE}/commands/score_added.py": MODULE
    + """RECIPE = 1


def add_arguments(parser):
    parser.add_argument("--record", required=True)


def run(arguments):
    from foundationless.scoring.added import score

    score(arguments.record)
""",
    f"{PACKAGE}/scoring/added.py": MODULE + "\n\ndef score(record):\n    raise NotImplementedError\n",
    "workflow/rules/added.smk": """rule score_added:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/score_added/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/score_added/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("score_added"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("score_added"),
    message:
        "Score {wildcards.task} with {wildcards.model} by what was added"
    shell:
        "python -m foundationless score_added --record {output.record:q} 2> {log:q}"
""",
    "workflow/Snakefile": [('    include: "rules/features.smk"\n', '    include: "rules/added.smk"\n')],
}

NETWORK = (
    MODULE
    + """from foundationless.models.architectures.cnn import ConvolutionalNetwork


class Added(ConvolutionalNetwork):
    \"\"\"As its parent.\"\"\"

    family = "FAMILY"
"""
)

SMALL = "{width: 16, depth: 2, kernel_size: 9, vocab_size: 10, pad_token_id: 0, max_tokens: 1024}"
ENTRY = f"""
added:
  label: Added
  family: FAMILY
  tokenizer: character
  tokenizer_class: character
  objective: masked
  max_tokens: 1024
  parameters: 3000
  licence: Apache-2.0
  arms: [random]
  config: {SMALL}
"""
CNN = "dilation_max: 128, vocab_size: 10, pad_token_id: 0, max_tokens: 131072}\n"  # the last line of an entry

OUTSIDE: Edits = {
    "own.py": NETWORK.replace("FAMILY", "own.py:Added"),
    "config/models.yaml": [(CNN, ENTRY.replace("FAMILY", "own.py:Added"))],
}

ARCHITECTURE: Edits = {
    f"{PACKAGE}/models/architectures/added.py": NETWORK.replace("FAMILY", "added"),
    f"{PACKAGE}/study/families.py": [
        ("\nFAMILIES = {\n", '    "added": Family("added:Added", {"width": 1}, "depth"),\n')
    ],
    "config/models.yaml": [(CNN, ENTRY.replace("FAMILY", "added"))],
}

READER: Edits = {
    f"{PACKAGE}/study/readers.py": [
        (
            "\nREADERS = {\n",
            '    "added": Reader("classes", "added:read", "what was added", {"lines": "sequences"}, ("lines",)),\n',
        )
    ],
    f"{PACKAGE}/tasks/readers/added.py": MODULE
    + """import pandas as pd


def read(sources, settings, seed):
    lines = sources["lines"].read_text().split()
    splits = ["train", "train", "validation", "validation", "test", "test"]
    labels = ["a", "b"] * 3
    names = [f"s{number}" for number in range(6)]
    return pd.DataFrame({"id": names, "sequence": lines, "label": labels, "split": splits, "group": names})
""",
}

FIGURE: Edits = {
    VOCABULARY: [("\nFIGURES = {\n", '    "added": Figure(FURTHER, "added:added"),\n')],
    f"{PACKAGE}/reporting/figures/added.py": MODULE
    + """from foundationless.reporting.figures import style


def added(tables):
    return style.missing("Added", "What was added has no data.")
""",
}

BASELINE: Edits = {
    VOCABULARY: [("\nFEATURES = {\n", '    "added": Features(),\n')],
    f"{PACKAGE}/features/composition.py": [
        ("    return known\n\n\n", "def added() -> Reader:\n    return lambda codes: np.array([len(codes)])\n\n\n")
    ],
    "config/models.yaml": [
        (
            CNN,
            "\nadded:\n  label: Added\n  family: added\n  tokenizer: null\n  tokenizer_class: null\n"
            "  arms: [baseline]\n  classifier: logistic\n",
        )
    ],
}

METRIC: Edits = {
    VOCABULARY: [("\nMETRICS = {\n", '    "added": Metric("added", "count"),\n')],
    f"{PACKAGE}/evaluation/metrics.py": [
        (
            "\n_FUNCTIONS: dict[str, Callable[..., Floats]] = {\n",
            '    "added": lambda right, truths, answers: _sum(right),\n',
        )
    ],
}

# Heading in CONTRIBUTING.md, up to the number of files; what is done; and the most files that it may ever be.
RECIPES = {
    "analysis": ("An analysis on an existing rule (", ANALYSIS, 5),
    "rule": ("An analysis with a rule of its own (", RULE, 8),
    "outside": ("A model: an architecture (", OUTSIDE, 2),
    "architecture": ("A model: an architecture (2 outside the package, ", ARCHITECTURE, 4),
    "reader": ("A reader (", READER, 3),
    "figure": ("A figure (", FIGURE, 2),
    "baseline": ("A baseline (", BASELINE, 3),
    "metric": ("A metric (", METRIC, 2),
}


@pytest.fixture
def add(tmp_path):
    """`add(recipe)` follows a recipe in a copy of the working tree and returns its directory."""

    def follow(recipe: str) -> Path:
        directory = checkout(tmp_path / "copy")
        for name, edits in RECIPES[recipe][1].items():
            path = directory / name
            if isinstance(edits, str):
                assert not path.exists(), f"{name} is there already"
                path.write_text(edits)
                continue
            text = path.read_text()
            for anchor, behind in edits:
                assert text.count(anchor) == 1, f"{name} holds {anchor!r} {text.count(anchor)} times"
                text = text.replace(anchor, anchor + behind)
            path.write_text(text)
        return directory

    return follow


def importing(directory: Path) -> dict[str, str]:
    """An environment in which the package is the copy's."""
    return ENVIRONMENT | {"PYTHONPATH": str(directory / "workflow")}


def python(directory: Path, *arguments: str) -> str:
    """Output of Python in a copy, which imports the copy's package."""
    answer = subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=importing(directory), capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def command(directory: Path, *arguments: str) -> str:
    return python(directory, "-m", "foundationless", *arguments)


@pytest.mark.parametrize("recipe", RECIPES)
def test_as_many_files_as_promised(recipe):
    heading, edits, most = RECIPES[recipe]
    (promised,) = re.findall(rf"^### {re.escape(heading)}(\d+)", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    assert len(edits) == int(promised) <= most


@pytest.mark.parametrize(("recipe", "rule"), [("analysis", "probe"), ("rule", "score_added")])
def test_an_analysis_is_planned(recipe, rule, add):
    directory = add(recipe)
    plan = snakemake("-n", "results/added/scores.csv", directory=directory, environment=importing(directory))
    assert plan.returncode == 0, plan.stdout[-3000:]
    assert re.search(rf"^{rule} +2$", plan.stdout, re.M), plan.stdout[-3000:]


@pytest.mark.parametrize(("recipe", "family"), [("outside", "own.py:Added"), ("architecture", "added")])
def test_an_architecture_is_drawn(recipe, family, add):
    directory = add(recipe)
    flags = ["--config", re.sub(r"(\w+):", r'"\1":', SMALL), "--tokenizer", "character", "--seed", "0"]
    command(directory, "initialise", "--family", family, "--model", "added", *flags, "--output", "weights")
    assert (directory / "weights/model.safetensors").is_file()
    assert "\nadded " in command(directory, "models")


def test_a_reader_makes_a_set(add):
    directory = add("reader")
    assert "added: what was added" in command(directory, "build_sequences", "--explain")
    (directory / "lines.txt").write_text("ACGT\nGGCA\nTTTT\nCATG\nAACC\nGTGT\n")
    flags = ["--reader", "added", "--source", "lines=lines.txt", "--seed", "0", "--output", "set.parquet"]
    command(directory, "build_sequences", *flags)
    code = "import pandas; print(*pandas.read_parquet('set.parquet')['sequence'])"
    assert sorted(python(directory, "-c", code).split()) == ["AACC", "ACGT", "CATG", "GGCA", "GTGT", "TTTT"]


def test_a_figure_is_drawn(add, tmp_path):
    directory, tables = add("figure"), tmp_path / "tables"
    tables.mkdir()
    figure_tables.write_tables(tables)
    command(directory, "draw_figures", "--figures", "added", "--tables", str(tables), "--output", "figures")
    assert (directory / "figures/added.pdf").stat().st_size > 1000
    assert "Added" in (directory / "figures/added.rst").read_text()


def test_a_baseline_has_features(add):
    directory = add("baseline")
    assert "added" in command(directory, "fit_baseline", "--help")
    code = "from foundationless.features.composition import features; print(features('added', ['ACGT', 'AC']).tolist())"
    assert python(directory, "-c", code).strip() == "[[4.0], [2.0]]"


def test_a_metric_scores(add):
    directory = add("metric")
    assert "added" in command(directory, "probe", "--help")
    table = directory / "config/tasks.tsv"
    table.write_text(table.read_text().replace("\tmcc\t", "\tadded\t"))
    assert snakemake("-n", "--quiet", directory=directory, environment=importing(directory)).returncode == 0
    code = (
        "from foundationless.evaluation.metrics import evaluate\n"
        "print(evaluate(['a', 'b', 'b'], [[1, 0], [0, 1], [1, 0]], ['a', 'b'])['added'])"
    )
    assert python(directory, "-c", code).strip() == "2.0"
