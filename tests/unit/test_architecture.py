"""The house rules that a machine can check: who imports whom, what is light, what is refused."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from foundationless.__main__ import summaries
from foundationless.study import plan
from support import ROOT

PACKAGE = ROOT / "workflow" / "foundationless"
FILES = sorted(PACKAGE.rglob("*.py"))

# Higher layers may import lower ones; same-layer imports must not form a cycle.
LAYERS = {
    "errors": 0,
    "files": 1,
    "flags": 1,
    "interruption": 1,
    "stopwatch": 1,
    "tally": 1,
    "progress": 1,
    "standing": 3,
    "costs": 2,
    "records": 2,
    "sequences": 2,
    "audit": 2,
    "genomes": 2,
    "variants": 2,
    "metrics": 2,
    "statistics": 2,
    "tables": 2,
    "summaries": 2,
    "bench": 2,
    "effects": 2,
    "analyses": 2,
    "components": 2,
    "paired_tests": 2,
    "processes": 2,
    "paper_tables": 2,
    "formats": 1,
    "evidence": 2,
    "across": 2,
    "reported": 2,
    "verdict": 2,
    "defects": 2,
    "batching": 2,
    "vectors": 2,
    "download": 2,
    "regions": 2,
    "simulation": 2,
    "configuration": 1,
    "plan": 2,
    "workload": 3,
    "estimate": 4,
    "allocation": 4,
    "claims": 2,
    "models": 3,
    "tasks": 3,
    "embedding": 4,
    "shards": 4,
    "scoring": 4,
    "classifiers": 3,
    "clustering": 4,
    "probes": 4,
    "adapters": 4,
    "training": 4,
    "runs": 4,
    "sequence_classifier": 4,
    "packing": 4,
    "fitting": 4,
    "finetuning": 4,
    "haplotypes": 4,
    "windows": 4,
    "objectives": 4,
    "parallel": 4,
    "trial": 4,
    "pretraining": 4,
    "figures": 4,
    "report": 4,
    "commands": 5,
    "__main__": 6,
    "__init__": 0,
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        if name.startswith("foundationless.") and room(name) in LAYERS:
            assert LAYERS[room(name)] <= LAYERS[own], f"{own} imports {name}"


def test_no_import_cycle():
    modules = {module_name(path): path for path in FILES}
    edges = {name: {other for other in imports(path) if other in modules} - {name} for name, path in modules.items()}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import cycle: {' -> '.join((*trail, name))}"
        if name not in state:
            state[name] = 1
            # A package's own __init__ re-exports its modules: that edge is not a dependency of theirs.
            for other in edges[name]:
                if not name.startswith(f"{other}."):
                    visit(other, (*trail, name))
            state[name] = 2

    for name in modules:
        visit(name, ())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_package_knows_neither_workflow_nor_paths(path):
    found = imports(path)
    assert not any(name.split(".")[0] == "snakemake" for name in found)
    if path.name != "configuration.py":
        assert not any(name.split(".")[0] == "yaml" for name in found), "only one module reads configuration"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.match(r"(results|resources|config)/", node.value), f"a path of the workflow: {node.value!r}"


def test_no_module_is_called_utils():
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common", "misc"}]


def loaded(code: str, *modules: str) -> str:
    """Which of `modules` a fresh interpreter has imported after `code`."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print([m for m in {modules!r} if m in sys.modules])"]
    return subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent, check=True).stdout.strip()


def test_snakefile_imports_nothing_heavy():
    code = "from foundationless import plan, progress, standing, tally"
    assert loaded(code, "torch", "pandas", "numpy", "transformers") == "[]"


def test_figures_run_without_torch():
    code = (
        "import pkgutil, importlib, foundationless.reporting.figures as f, foundationless.evaluation.bootstrap, foundationless.reporting.tables.collect\n"
        "for m in pkgutil.iter_modules(f.__path__): importlib.import_module(f'{f.__name__}.{m.name}')"
    )
    assert loaded(code, "torch", "foundationless.models", "foundationless.tasks") == "[]"


def test_commands_are_small_light_and_documented():
    for path in sorted((PACKAGE / "commands").glob("*.py")):
        heavy = {name.split(".")[0] for name in imports(path, top_level_only=True)} - {
            "argparse",
            "pathlib",
            "foundationless",
            "collections",
            "json",
        }
        assert not heavy, f"{path.name} imports {heavy} before it runs"
        shared = path.name == "__init__.py"  # flags of several commands, no command
        assert shared or len(path.read_text().splitlines()) <= 66, f"{path.name} is more than a parser and a call"
    assert all(summaries().values()), "every command's docstring is its help"


def rule_blocks() -> dict[str, str]:
    text = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    parts = re.split(r"^rule (\w+):$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_rule_is_one_command_with_all_directives():
    blocks = rule_blocks()
    assert blocks
    for name, body in blocks.items():
        for directive in ("output", "log", "benchmark", "conda", "threads", "resources", "params", "message", "shell"):
            assert re.search(rf"^    {directive}:", body, re.M), f"rule {name} has no {directive}"
        assert f"python -m foundationless {name} " in body, f"rule {name} does not call its command"
        assert f'"logs/{name}' in body and f'"benchmarks/{name}' in body
        assert name in summaries()
        if name != "fetch":
            assert f'recipe=plan.RECIPES["{name}"]' in body
    assert set(plan.RECIPES) == set(blocks) - {"fetch"}
    readme = (ROOT / "README.md").read_text()
    assert not [name for name in blocks if name not in readme], "the rule graph of the README misses rules"


def test_rules_files_stay_short():
    assert len((ROOT / "workflow" / "Snakefile").read_text().splitlines()) <= 60
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        assert len(path.read_text().splitlines()) <= 150, path.name


def test_environments_carry_the_locked_versions():
    lock = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M))
    normal = {name.lower().replace("_", "-"): version for name, version in lock.items()}
    seen = set()
    for path in (ROOT / "envs").glob("*.yaml"):
        pins = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
        for pin in pins:
            name, version = pin.split("==")
            assert normal[name.lower().replace("_", "-")] == version, f"{path.name}: {pin}"
            seen.add(path.name)
    used = set(re.findall(r"envs/(\w+\.yaml)", "\n".join(rule_blocks().values())))
    assert seen == used


def test_no_path_of_a_machine_is_committed():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()
    for name in tracked:
        path = ROOT / name
        if (
            path.is_file()
            and not path.is_symlink()
            and path.suffix in {".py", ".smk", ".yaml", ".md", ".toml", ".tsv", ".txt", ""}
        ):
            assert not re.search(r"(?<![\w.])/(work|home|root|Users)/", path.read_text(errors="ignore")), name
