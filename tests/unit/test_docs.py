"""What the Markdown files say is there: generated parts, links, commands, paths, and functions by file and name."""

import re

import pytest

from foundationless.__main__ import summaries
from support import ROOT, docs

PAGES = docs.pages()
TEXTS = [*PAGES, *sorted((ROOT / "config").glob("*.yaml")), *sorted((ROOT / "workflow" / "report").glob("*.rst"))]
PLACES = (ROOT, docs.PACKAGE, docs.PACKAGE / "models" / "architectures", docs.FIGURES_ROOM, ROOT / "workflow" / "rules")
# Made by a run, brought along, or a stand-in for a name.
MADE = re.compile(r"(results|resources|logs|benchmarks|config/trials)/|\.\./shared|.*\b[A-Z]{3,}\b")
CODE = (".md", ".py", ".smk", ".yaml", ".tsv", ".toml", ".cff")


def name(path):
    return str(path.relative_to(ROOT))


def anchors(text):
    """Names of a page's headings, as they are linked to."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find(file, page):
    """The file or folder of the repository that a page calls by this path, if there is one."""
    return next((place / file for place in (page.parent, *PLACES) if (place / file).exists()), None)


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
    assert set(re.findall(r"python -m\s+foundationless\s+([a-z_]+)", text)) <= summaries().keys()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_files_and_their_functions_exist(page):
    for file, known in re.findall(r"`([\w./+-]+)(?::(\w+))?`", page.read_text()):
        if MADE.match(file) or not (file.endswith(CODE) or ("/" in file and find(file.split("/")[0], page))):
            continue
        assert (path := find(file, page)), f"`{file}`: no such file"
        if known:
            defined = rf"^(def|class|rule) {known}\b|^{known}\b.* = "
            assert re.search(defined, path.read_text(), re.M), f"{file} has no {known}"
