"""The house rules that a machine can check: who imports whom, what is light, what is refused."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from foundationless.__main__ import summaries
from foundationless.study import vocabulary
from support import ROOT

PACKAGE = ROOT / "workflow" / "foundationless"
FILES = sorted(PACKAGE.rglob("*.py"))

# Floors, lowest first, as ARCHITECTURE.md says them: a room imports from lower floors only.
(ORDER,) = re.findall(r"^errors < .*$", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
FLOORS = {room.strip(): floor for floor, rooms in enumerate(ORDER.split("<")) for room in rooms.split(",")}
LONGEST = 60  # lines of a function, its docstring left out
MOST_MODULES = 13  # of a room, commands and figures excepted


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
        if name.startswith("foundationless.") and room(name) not in (own, "__version__"):
            assert FLOORS[room(name)] < FLOORS[own], f"{own} imports {name}"


def test_everything_lives_in_a_room():
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders | {"errors", "__main__"} == set(FLOORS)
    for place in {path.parent for path in FILES}:
        modules = [path for path in place.glob("*.py") if path.name != "__init__.py"]
        if place.name not in ("commands", "figures"):
            assert len(modules) <= MOST_MODULES, f"{place.name} has {len(modules)} modules"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_stay_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            said = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
            lines = node.end_lineno - node.lineno + 1 - said
            assert lines <= LONGEST, f"{node.name} has {lines} lines"


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
    if path.relative_to(PACKAGE).as_posix() != "study/config.py":
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
    code = "from foundationless.study import job_counts, plan, progress, requests, status"
    assert loaded(code, "torch", "pandas", "numpy", "transformers") == "[]"


def test_figures_run_without_torch():
    code = (
        "import pkgutil, importlib, foundationless.reporting.figures as f, foundationless.evaluation.bootstrap, foundationless.reporting.tables.collect\n"
        "for m in pkgutil.iter_modules(f.__path__): importlib.import_module(f'{f.__name__}.{m.name}')"
    )
    assert loaded(code, "torch", "foundationless.models", "foundationless.tasks") == "[]"


def test_commands_are_small_light_and_documented():
    for path in sorted((PACKAGE / "commands").glob("[a-z]*.py")):
        heavy = {name.split(".")[0] for name in imports(path, top_level_only=True)} - {
            "argparse",
            "pathlib",
            "foundationless",
            "collections",
            "json",
        }
        assert not heavy, f"{path.name} imports {heavy} before it runs"
        shared = path.name == "__init__.py"  # flags of several commands, no command
        assert shared or len(path.read_text().splitlines()) <= 75, f"{path.name} is more than a parser and a call"
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
            assert f'recipe=vocabulary.RECIPES["{name}"]' in body
    assert set(vocabulary.RECIPES) == set(blocks) - {"fetch"}
    graph = re.search(r"```mermaid\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.S)[1]
    assert set(re.findall(r"[a-z]+(?:_[a-z]+)*", graph)) >= set(blocks), "the rule graph misses rules"


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
