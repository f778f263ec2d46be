"""The house rules that a machine can check: who imports whom, what is light, what is refused."""

import ast
import importlib
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
RULES = [ROOT / "workflow" / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]

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


def test_modules_are_named_for_what_is_in_them():
    empty = {"utils", "util", "helpers", "common", "misc", "core", "base", "tools", "lib", "shared", "general", "main"}
    assert not [path for path in FILES if path.stem.strip("_") in empty and path.name != "__main__.py"]


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def test_a_job_says_something_in_one_way():
    """`runtime.log.tell` writes a job's lines; `__main__` says why a command ended."""
    for path in FILES:
        if path.relative_to(PACKAGE).as_posix() not in ("runtime/log.py", "__main__.py"):
            words = [(call.lineno, ast.unparse(call)) for call in calls(path)]
            said = [
                line
                for line, text in words
                if re.match(r"(partial\()?print\b.*file=sys\.stderr|sys\.stderr\.write", text)
            ]
            assert not said, f"{path.name}:{said[0]} writes to standard error; use `runtime.log.tell`"


# Words of names behind a dot, as `study.names` has them; a call that cuts or searches text by one takes a name apart.
WORD = re.compile(
    r"(^\.|\\\.)\(?(\?:)?(paper|char|kmer|pct|shot|ep(?!o)|dedup|distant|matched|permuted|unrelated|family|[wl](\d|\\d|\[|\())"
)
CUTS = {"split", "rsplit", "partition", "rpartition", "contains"}  # also at the dot alone
SEARCHES = {"extract", "extractall", "match", "fullmatch", "search", "findall", "sub", "compile", "replace",
            "startswith", "endswith", "removesuffix", "removeprefix"}  # fmt: skip
# Dots of other things than names of models and tasks.
OTHER_DOTS = {
    "path.name.split('.')": "the file of a genome",
    "source.partition('.')": "a role of a source, split.class",
    "tensor.partition('.')": "the module of a network that a tensor belongs to",
}


def test_names_are_taken_apart_in_one_module():
    """Tables have the parts as columns, and whatever holds a name asks `study.names` for them."""
    taken = []
    for path in FILES:
        for call in calls(path) if path.relative_to(PACKAGE).as_posix() != "study/names.py" else []:
            if isinstance(call.func, ast.Attribute) and call.func.attr in CUTS | SEARCHES:
                texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                cut = any((text == "." and call.func.attr in CUTS) or WORD.search(text) for text in texts)
                if cut and not any(ast.unparse(call).endswith(known) for known in OTHER_DOTS):
                    taken.append(f"{path.relative_to(PACKAGE)}:{call.lineno}: {ast.unparse(call)}")
    assert not taken, "\n".join(taken)
    for path in RULES:
        assert not re.search(r"split\([\"']\.[\"']|partition\([\"']\.[\"']", path.read_text()), path.name


def loaded(code: str, *modules: str) -> str:
    """Which of `modules` a fresh interpreter has imported after `code`."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print([m for m in {modules!r} if m in sys.modules])"]
    return subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent, check=True).stdout.strip()


def import_all(*rooms: str) -> str:
    """Code that imports every module of some rooms."""
    names = [module_name(path) for path in FILES if path.relative_to(PACKAGE).parts[0] in rooms]
    return f"import {', '.join(names)}"


def test_what_rules_import_is_light():
    """The room `study`, the commands, of which rules may read the recipe, and whatever else a rules file names.

    `study.price.estimate` makes a table for the command `plan`, and no rule imports it.
    """
    text = "\n".join(map(Path.read_text, RULES))
    named = set(re.findall(r"^\s*from (foundationless\.[\w.]+) import", text, re.M))
    code = import_all("study", "commands").replace("foundationless.study.price.estimate, ", "")
    code += "".join(f"\nimport {name}" for name in sorted(named))
    assert "foundationless.study.price.estimate" not in code and not re.search(r"price import .*\bestimate\b", text)
    assert loaded(code, "torch", "pandas", "numpy", "scipy", "transformers") == "[]"


def test_tables_and_figures_need_no_torch():
    code = import_all("reporting", "evaluation")
    assert loaded(code, "torch", "foundationless.models", "foundationless.tasks") == "[]"


def test_one_file_touches_what_snakemake_does_not_promise():
    for path in RULES:
        if path.name != "internals.smk":
            code = re.sub(r"#.*", "", path.read_text())
            touched = set(re.findall(r"(?<!/)\bworkflow\.(\w+)", code)) - {"basedir"}
            modules = set(re.findall(r"^\s*(?:from|import) (snakemake[\w.]*)", code, re.M)) - {"snakemake.utils"}
            assert not touched | modules, f"{path.name} touches {touched | modules}: internals.smk is the place"


def test_commands_are_small_light_and_documented():
    light = {"argparse", "collections", "foundationless", "json", "pathlib", "typing"}
    for path in sorted((PACKAGE / "commands").glob("[a-z]*.py")):
        heavy = {name.split(".")[0] for name in imports(path, top_level_only=True)} - light
        assert not heavy, f"{path.name} imports {heavy} before it runs"
        assert len(path.read_text().splitlines()) <= 75, f"{path.name} is more than a parser and a call"
    assert all(summaries().values()), "every command's docstring is its help"


def rule_blocks() -> dict[str, str]:
    text = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    parts = re.split(r"^(?:rule|checkpoint) (\w+):$", text, flags=re.M)
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
            assert f'recipe=get_recipe("{name}")' in body
            assert importlib.import_module(f"foundationless.commands.{name}").RECIPE >= 1
    assert set(vocabulary.RULES) == set(blocks)
    graph = re.search(r"```mermaid\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.S)[1]
    assert set(re.findall(r"[a-z]+(?:_[a-z]+)*", graph)) >= set(blocks), "the rule graph misses rules"


def test_rules_files_stay_short():
    assert len((ROOT / "workflow" / "Snakefile").read_text().splitlines()) <= 70
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
    texts = {".py", ".smk", ".yaml", ".md", ".toml", ".tsv", ".txt", ""}
    for name in tracked:
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and path.suffix in texts:
            assert not re.search(r"(?<![\w.])/(work|home|root|Users)/", path.read_text(errors="ignore")), name
