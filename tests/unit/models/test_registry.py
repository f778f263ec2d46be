"""Families outside the package: a file named in the model table, or an entry point of an installed distribution."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from foundationless.errors import UserError
from foundationless.models import tokenizers
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, load_weights, save_weights
from foundationless.study import families
from foundationless.study.config import read_yaml
from foundationless.study.families import FAMILIES, class_path, size_keys
from support import ROOT

OWN = ROOT / "tests/support/recurrent.py"
CONFIG = {"width": 8, "vocab_size": 10, "max_tokens": 40}
CARD = {"model": "own", "tokenizer": "character", "init": "random", "seed": 3, "source": "test"}


def test_every_row_is_a_class_and_names_keys_of_its_configuration():
    table = read_yaml(ROOT / "config/models.yaml")
    configs = {entry["family"]: entry["config"] for entry in table.values() if entry.get("config")}
    for name, row in FAMILIES.items():
        assert family_class(name).__name__ == class_path(name)[1]
        assert (row.width and row.layers) or name == "transformers", name  # whose classes have each their own words
        assert set(size_keys(name)) <= set(configs.get(name, size_keys(name))), name
        assert family_class(row.paper_random or name) and not (row.only and not row.reason)


def test_the_tokenizers_declared_are_those_that_load():
    assert (tuple(families.TOKENIZERS), families.PIECES) == (tokenizers.TOKENIZERS, tuple(tokenizers.PIECES))
    for name, kind in families.TOKENIZERS.items():
        if kind != "bpe":
            assert (load_tokenizer(name).k > 1) == (kind == "kmer"), name


def test_a_file_beside_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(OWN, "mine.py")
    model = initialise("mine.py:Recurrent", CONFIG, 3)
    save_weights("weights", model, CARD | {"family": "mine.py:Recurrent"})
    loaded = load_weights("weights")
    ids = torch.from_numpy(load_tokenizer("character").encode("ACGTN"))[None]
    assert torch.equal(loaded.model(ids)[1], model(ids)[1])
    assert family_class("mine.py:Recurrent") is type(model), "one class, however often it is asked for"


def test_an_entry_point(tmp_path, monkeypatch):
    shutil.copy(OWN, tmp_path / "somebodys_package.py")
    facts = tmp_path / "somebodys_package-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Name: somebodys-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[foundationless.families]\nrecurrent = somebodys_package:Recurrent\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert initialise("recurrent", CONFIG, 3).width == 8
    with pytest.raises(UserError, match=r"the families are hyenadna, .*recurrent"):
        family_class("recurent")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("absent.py:Model", None, r"'absent.py:Model': cannot be imported \(FileNotFoundError"),
        ("mine.py:Model", "import nothing_of_this_name", r"cannot be imported \(ModuleNotFoundError"),
        ("mine.py:Model", "class Model(:", r"cannot be imported \(SyntaxError"),
        ("mine.py:Other", "class Model: pass", r"cannot be imported \(AttributeError"),
        ("mine.py:Model", "class Model: pass", "not a subclass of foundationless.models.contract.GenomicModel"),
    ],
)
def test_what_is_no_family_is_one_sentence(tmp_path, monkeypatch, name, text, sentence):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("mine.py").write_text(text)
    with pytest.raises(UserError, match=sentence):
        initialise(name, json.loads(json.dumps(CONFIG)), 0)
