"""One made-up study for all tests of figures, at full size, small and empty, and what is drawn of it."""

import pytest

from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.inputs import read
from support.figure_tables import SENTENCE, change_tables, write_tables
from support.figures import laid_out


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """Tables of 7 models × 52 tasks and of every other analysis; nobody writes into them."""
    return write_tables(tmp_path_factory.mktemp("full") / "tables")


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Two models, fine-tuned on one benchmark, and every other analysis."""
    return write_tables(tmp_path_factory.mktemp("small") / "tables", models=2, suites=("gb",))


@pytest.fixture(scope="session")
def empty(full, tmp_path_factory):
    """The tables of a study of which nothing has been summarised yet."""
    return change_tables(full, tmp_path_factory.mktemp("empty") / "tables", lambda rows: rows.iloc[:0])


@pytest.fixture(scope="session")
def drawn():
    """`drawn(name, directory)`: a figure with its layout done, kept for the tests that follow."""
    kept = {}

    def draw(name, directory):
        if (name, directory) not in kept:
            kept[name, directory] = laid_out(resolve(name)(read(directory, SENTENCE)))
        return kept[name, directory]

    return draw
