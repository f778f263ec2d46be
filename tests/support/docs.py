"""The parts of the Markdown files that are generated from declarations and docstrings: `make docs` writes them.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is a function of `PARTS`.
"""

import ast
import csv
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from foundationless.__main__ import summaries
from foundationless.reporting.tables.catalogue import TABLES
from foundationless.study.config import read_schema, read_yaml
from foundationless.study.families import FAMILIES, count_parameters
from foundationless.study.plan import Model
from foundationless.study.price.memory import Memory, memory_of
from foundationless.study.readers import READERS
from foundationless.study.vocabulary import ANALYSES, CLASS_METRICS, CLASSIFIERS, FIGURES, METRICS
from support import ROOT

PACKAGE = ROOT / "workflow" / "foundationless"
FIGURES_ROOM = PACKAGE / "reporting" / "figures"


def table(*rows: Iterable[str]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words if word)


def summary(path: Path, function: str = "") -> str:
    """First line of the docstring of a module, or of a function in it, to the end of its sentence."""
    tree = ast.parse(path.read_text())
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    lines = (ast.get_docstring(nodes[0] if function else tree) or "").split("\n\n")[0].split("\n")
    last = next((place for place, line in enumerate(lines) if line.endswith((".", "?"))), len(lines))
    return " ".join(lines[: last + 1])


def rooms() -> list[str]:
    """Rooms of ARCHITECTURE.md that are folders with modules of their own, lowest floor first."""
    (order,) = re.findall(r"^errors < .*$", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    return [name for name in re.split(r"[<,]\s*", order.replace(" ", "")) if (PACKAGE / name).is_dir()]


def modules() -> str:
    def lines() -> Iterator[str]:
        for room in rooms():
            if room == "commands":
                continue  # they have a table of their own
            yield f"\n### {room}\n"
            for path in sorted((PACKAGE / room).rglob("*.py")):
                name = path.relative_to(PACKAGE / room).as_posix().removesuffix(".py")
                if path.name != "__init__.py":
                    yield f"- `{name}`: {summary(path)}"
                elif path.parent.name in ("figures", "page"):  # packages that compute
                    yield f"- `{name.removesuffix('/__init__')}`: {summary(path)}"

    return "\n".join(lines()).strip()


def commands() -> str:
    files = {
        rule: path.name
        for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
        for rule in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    rows = [(f"`{name}`", text, code([files.get(name, "")])) for name, text in summaries().items()]
    return table(("command", "what it does", "rule in"), *rows)


def classifiers() -> str:
    entries = read_yaml(ROOT / "config" / "models.yaml").items()
    named = {one: [name for name, entry in entries if entry.get("classifier") == one] for one in CLASSIFIERS}
    rows = [
        (f"`{name}`", one.what, one.source or "—", one.reads, code(named[name]) or "—")
        for name, one in CLASSIFIERS.items()
    ]
    return table(("classifier", "what it is", "source", "reads", "baselines"), *rows)


def analyses() -> str:
    rows = [
        (f"`{name}`", one.question, one.paper or "—", *map(code, ([one.rule], [one.target], [one.figure])))
        for name, one in ANALYSES.items()
    ]
    return table(("analysis", "question", "in the paper", "rule", "target", "figure"), *rows)


def readers() -> str:
    rows = [
        (
            f"`{name}`",
            reader.help,
            code(source if source in reader.required else f"[{source}]" for source in reader.sources),
            code(reader.options),
        )
        for name, reader in READERS.items()
    ]
    return table(("reader", "reads", "sources ([optional])", "options"), *rows)


def families() -> str:
    rows = [
        (f"`{name}`", f"`{row.path.split(':')[0].replace('.', '/')}.py`", code(row.width), code([row.layers]))
        for name, row in FAMILIES.items()
    ]
    return table(("family", "in `models/architectures/`", "keys of `.wN`", "key of `.lN`"), *rows)


def card() -> str:
    schema = read_schema("outside")
    rows = []
    for key, value in schema["properties"].items():
        kind = " or ".join(f"`{word}`" for word in value["enum"]) if "enum" in value else ""
        said = [kind, value.get("description", "").rstrip(".")]
        name = f"`{key}`" if key in schema["required"] else f"[`{key}`]"
        rows.append((name, ": ".join(filter(None, said)) or "any text"))
    return table(("key ([optional])", "what it says"), *rows)


def figures() -> str:
    rows = []
    for name, figure in FIGURES.items():
        module, function = figure.draw.split(":")
        path = FIGURES_ROOM / f"{module}.py"
        rows.append((f"`{name}`", figure.group, summary(path, function), f"`{module}.py`"))
    return table(("figure", "group", "what it shows", "in `reporting/figures/`"), *rows)


def tables() -> str:
    rows = [
        (f"`{name}`" if one.csv else f"`{name}.parquet`", one.group, one.caption, code(one.keys))
        for name, one in TABLES.items()
    ]
    return table(("table", "group", "what it holds", "one row per"), *rows)


def margins() -> str:
    rows = [(f"`{name}`", f"± {metric.margin:g}", metric.reason) for name, metric in METRICS.items()
            if name in CLASS_METRICS]  # fmt: skip
    return table(("metric", "margin", "why"), *rows)


# What `resources/lists/checkpoints.tsv` calls the files of a tokenizer.
_TOKENIZERS = {
    "pieces": "`tokenizer.json`, pieces",
    "letters": "`tokenizer.json`, letters",
    "words": "`tokenizer.json`, {}-mers",
    "overlapping": "`vocab.txt`, overlapping {}-mers",
    "esm6": "`vocab.txt`, 6-mers",
    "esm6_v2": "`vocab.txt`, 6-mers",
    "generator": "`vocab.txt`, 6-mers, rule of GENERator",
    "prokbert": "`vocab.txt`, 6-mers, rule of ProkBERT",
    "gpn": "`tokenizer.json`, letters of GPN",
    "gena": "`tokenizer.json`, pieces of GENA-LM",
    "rule": "letters, by its class",
}


def checkpoints() -> str:
    """One row per family of checkpoints and way of reading it."""
    with (ROOT / "resources" / "lists" / "checkpoints.tsv").open(newline="") as file:
        held = list(csv.DictReader(file, delimiter="\t"))
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in held:
        how = row["read_by"] + (f" ({row['model_type']})" if row["read_by"] == "transformers" else "")
        kind = row["tokenizer"]
        word = kind.rstrip("23456") if kind not in _TOKENIZERS else kind
        tokens = _TOKENIZERS[word].format(kind[-1]) if kind else "–"
        answer = f"`{how}`" if how else f"refused: {row['refused']}"
        groups.setdefault((row["family"], row["architecture"], answer, tokens), []).append(row["repository"])
    rows = [(kind[0], f"`{kind[1]}`", str(len(names)), kind[2], kind[3]) for kind, names in groups.items()]
    accepted = sum(bool(row["read_by"]) for row in held)
    head = ("checkpoints", "architecture", "number", "read by family", "tokenizer")
    return f"{accepted} of {len(held)} are accepted.\n\n{table(head, *rows)}"


def model_types() -> str:
    """The allow-list of `architectures/native.py`, read without importing it."""
    tree = ast.parse((PACKAGE / "models" / "architectures" / "native.py").read_text())
    (listed,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TYPES"
    )
    assert isinstance(listed, ast.Dict)
    groups: dict[tuple[str, str], list[str]] = {}
    for key, value in zip(listed.keys, listed.values, strict=True):
        assert isinstance(key, ast.Constant) and isinstance(value, ast.Call)
        _, objective, padding = (ast.literal_eval(word) for word in value.args)
        groups.setdefault((objective, padding), []).append(key.value)
    return table(("objective", "padding", "`model_type`"), *((*kind, code(names)) for kind, names in groups.items()))


# Decoders of about 1, 3 and 7 billion parameters: width, inner width, blocks, heads, heads of keys and values.
DECODERS = ((2048, 5632, 22, 32, 4), (3072, 8192, 28, 24, 8), (4096, 14336, 32, 32, 8))
_KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
ADAPTED = {"trainable": "lora", "weight_precision": "bf16", "gradient_checkpointing": True}
TRAINED = {
    "`all`": {},
    "`all`, `gradient_checkpointing`": {"gradient_checkpointing": True},
    "`last_4`, `weight_precision: bf16`": {"trainable": "last_4", "weight_precision": "bf16"},
    "`lora`": {"trainable": "lora"},
    "`lora`, `weight_precision: bf16`, `gradient_checkpointing`": ADAPTED,
    "`head`, `weight_precision: bf16`": {"trainable": "head", "weight_precision": "bf16"},
}


def decoder_memory(sizes: tuple[int, ...], way: Mapping[str, object]) -> tuple[int, Memory]:
    """(Parameters, memory) of a decoder, batches of 64 sequences of 512 tokens, bfloat16 passes."""
    config = dict(zip(_KEYS, sizes, strict=True)) | {"vocab_size": 4096}
    model = Model("m", {"family": "mistral"}, config, None, (), "m")
    count = count_parameters("mistral", config) or 0
    settings = {"epochs": 8, "batch_size": 64, "lora": {"rank": 8 if "lora" in way.values() else 0}} | dict(way)
    return count, memory_of(model, count, settings, "bf16", 512, 800)


def memory() -> str:
    counts = [f"{decoder_memory(sizes, {})[0] / 1e9:.1f} billion" for sizes in DECODERS]
    rows = [
        (words, *(f"{decoder_memory(sizes, way)[1].on_gpu / 1e9:,.0f}" for sizes in DECODERS))
        for words, way in TRAINED.items()
    ]
    return table(("trained", *counts), *rows)


PARTS: dict[str, Callable[[], str]] = {
    part.__name__: part
    for part in (
        modules,
        commands,
        analyses,
        readers,
        classifiers,
        card,
        families,
        margins,
        figures,
        tables,
        checkpoints,
        model_types,
        memory,
    )
}
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.S)


def current(text: str) -> str:
    """The text with its generated parts as they should be."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", text)


def pages() -> list[Path]:
    """Every Markdown file of the repository."""
    listed = subprocess.run(["git", "ls-files", "*.md"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    return [ROOT / name for name in listed.splitlines()]


if __name__ == "__main__":
    for page in pages():
        page.write_text(current(page.read_text()))
