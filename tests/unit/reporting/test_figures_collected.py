"""Figures of what `collect_tables` itself writes: of nothing yet, and of maps of substitutions."""

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables.collect import collect
from foundationless.reporting.tables.inputs import Inputs, read_substitutions
from foundationless.study.vocabulary import FIGURES
from support.figure_tables import SENTENCE, substitutions
from support.figures import faults, laid_out, words


def collected(directory, **given):
    """The tables of a study of one model and one task of which only `given` has been computed."""
    none = pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"])
    tasks = pd.DataFrame([{"task": "BRCA2", "suite": "v", "suite_label": "V", "group": "g", "label": "BRCA2"}])
    models = {"hyenadna": {"label": "HyenaDNA", "tokenizer_class": "character", "order": 0, "kind": "model"}}
    collect(directory, Inputs(none, none.assign(versus="", delta=0.0), none, tasks, models, 0.02, **given))
    return directory


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    return collected(tmp_path_factory.mktemp("nothing") / "tables")


@pytest.mark.parametrize("name", FIGURES)
def test_of_nothing_every_page_says_what_it_lacks(name, nothing, drawn):
    figure = drawn(name, nothing)
    assert not faults(figure)
    assert any(text.startswith("No ") for text in words(figure))


def test_collected_maps_are_those_of_the_first_window(tmp_path):
    frame = substitutions("BRCA2", ["hyenadna"])
    frame = pd.concat([frame, frame.assign(window="v")])
    frame.to_parquet(tmp_path / "p.parquet")
    directory = collected(tmp_path / "tables", substitutions=[read_substitutions(tmp_path / "p.parquet")])
    kept = read(directory).substitutions
    assert set(kept["window"]) == {"w"} and len(kept) == 2 * 600
    assert not faults(laid_out(resolve("mutagenesis")(read(directory, SENTENCE))))
    frame.drop(columns="llr").to_parquet(tmp_path / "p.parquet")
    with pytest.raises(UserError, match="no column llr"):
        read_substitutions(tmp_path / "p.parquet")
