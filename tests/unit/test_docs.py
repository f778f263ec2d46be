"""What the Markdown files say is there: generated parts, links, commands, paths, and functions by file and name."""

import re

import pytest

from foundationless.__main__ import summaries
from support import ROOT, docs

PAGES = docs.pages()
TEXTS = [*PAGES, *sorted((ROOT / "config").glob("*.yaml")), *sorted((ROOT / "workflow" / "report").glob("*.rst"))]
PLACES = (ROOT, docs.PACKAGE, docs.PACKAGE / "models" / "architectures", docs.FIGURES_ROOM, ROOT / "workflow" / "rules")
# What a run makes, what a user brings, and what stands for a name.
MADE = re.compile(r"^(results|resources|logs|benchmarks|config/trials|lab|path|MODEL|OWNER|\.snakemake|\.venv)/|[{}*…<>$ ]")
ENDINGS = "md py smk yaml tsv toml txt ini cff js"


def name(path):
    return str(path.relative_to(ROOT))


def anchors(text):
    """Names of a page's headings, as they are linked to."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(word, page):
    return any((place / word).exists() for place in (page.parent, *PLACES))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_parts_are_current(page):
    assert page.read_text() == docs.current(page.read_text()), "run `make docs`"


def test_every_part_stands_somewhere():
    written = re.findall(r"<!-- generated: (\w+) -->", "\n".join(page.read_text() for page in PAGES))
    assert sorted(written) == sorted(docs.PARTS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(found.read_text()), f"{target}: no such heading"


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_commands_exist(page):
    text = page.read_text()
    named = {found for found in re.findall(r"python -m\s+foundationless\s+([a-z_]+)", text) if found not in ("see",)}
    assert named <= summaries().keys()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"`make ([a-z]+)", text)) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_exist(page):
    for word in re.findall(r"`([^`\n]+)`", page.read_text()):
        file = word.split(":")[0]
        path = "/" in file or file.rsplit(".", 1)[-1] in ENDINGS.split()
        if path and re.fullmatch(r"[\w./+-]+", file) and not MADE.search(file) and not file.startswith("/"):
            assert page.name == "CHANGELOG.md" or exists(file.rstrip("/"), page), f"`{word}`: no such file"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_functions_stand_in_the_files_named(page):
    for file, known in re.findall(r"`([\w/]+\.(?:py|smk)):(\w+)`", page.read_text()):
        source = next(place / file for place in (*PLACES, page.parent) if (place / file).exists()).read_text()
        assert re.search(rf"^(def|class|rule) {known}\b|^{known}\b.* = ", source, re.M), f"{file} has no {known}"
