"""Checkpoints that people use: a tiny one in the layout of each is entered, as the list of them says."""

import csv
import json

import pytest

from foundationless.errors import UserError
from foundationless.models import onboarding
from foundationless.models.hub import describe_directory
from foundationless.study.config import read_yaml
from support import ROOT
from support.catalogue import LIST, build

with (ROOT / LIST).open(newline="") as file:
    ROWS = list(csv.DictReader(file, delimiter="\t"))
KINDS = {tuple(row[key] for key in ("architecture", "read_by", "model_type", "tokenizer")): row for row in ROWS}
READ = {kind: row for kind, row in KINDS.items() if row["read_by"]}


def test_most_are_accepted():
    assert len(ROWS) == 112 and len({row["repository"] for row in ROWS}) == 112
    assert sum(bool(row["read_by"]) for row in ROWS) >= 95
    assert all(bool(row["read_by"]) != bool(row["refused"]) for row in ROWS)


@pytest.mark.parametrize("kind", READ, ids="-".join)
def test_a_layout_is_accepted(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(ROOT)
    row, directory = READ[kind], build_in(tmp_path, READ[kind])
    published = describe_directory(directory)
    entry = onboarding.describe_model({"source": "local", "path": str(directory)}, published, None, None, "Tiny")
    assert entry["family"] == row["read_by"]
    assert onboarding.introduce(entry, published).has_head
    onboarding.write_trial(read_yaml("config/mini.yaml"), "tiny", entry, None, tmp_path / "tiny.yaml")


def build_in(tmp_path, row):
    return build(tmp_path / row["repository"].rpartition("/")[2], row)


def test_what_is_code_of_its_repository_is_refused(tmp_path):
    refused = [row for row in ROWS if not row["read_by"]]
    assert refused
    for row in refused:
        for model_type in (row["architecture"].lower(), "llama"):
            config = {"architectures": [row["architecture"]], "model_type": model_type}
            (tmp_path / "config.json").write_text(json.dumps(config))
            with pytest.raises(UserError, match=r"no family is known by it|code of its repository"):
                onboarding.recognise(config, tmp_path / "config.json")
