"""Files and tasks that a study brings along itself."""

import copy

import pytest

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.own import rows
from support import ROOT


@pytest.fixture
def config(monkeypatch):
    monkeypatch.chdir(ROOT)
    return read_yaml("config/own.yaml")


def test_a_path_stands_in_place_of_a_url(config):
    plan = read_study(config)
    assert plan.local_path("example") == "resources/examples/own_data.csv"
    assert "own_data.csv" not in plan.files and plan.local_path("gue_emp_H3_dev") is None
    assert plan.task("example")["suite"] == "own" and plan.task("example")["label"] == "Example"
    assert plan.sources("example_rows") == {"all": "example"} and "deal=rows" in plan.options("example_rows")


def test_a_row_of_the_ledger_may_have_a_path(config, tmp_path):
    (tmp_path / "mine.csv").write_text("sequence,label\n")
    ledger = (ROOT / "config/datasets.tsv").read_text()
    row = dict.fromkeys(ledger.splitlines()[0].split("\t"), "") | {
        "name": "mine",
        "file": "mine.csv",
        "licence": "mine",
    }
    for place, fits in ((tmp_path / "mine.csv", True), (tmp_path / "gone.csv", False), ("ftp://a/b.csv", False)):
        text = ledger + "\t".join((row | {"url": str(place)}).values()) + "\n"
        (tmp_path / "ledger.tsv").write_text(text)
        study = copy.deepcopy(config)
        study["tables"]["datasets"] = str(tmp_path / "ledger.tsv")
        study["tasks"]["example"]["sources"] = {"all": "mine"}
        if fits:
            assert read_study(study).local_path("mine") == str(place)
            continue
        with pytest.raises(
            UserError, match=r"there is no file '.*gone.csv', which dataset 'mine' names|does not match"
        ):
            read_study(study)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["datasets"].update(yeast_genome={"path": "a"}), "dataset 'yeast_genome'.*row of that name"),
        (lambda c: c["tasks"].update(mini_H3=c["tasks"]["example"]), "task 'mini_H3'.*row of that name"),
        (lambda c: c["datasets"].update(example={"path": "no/such.csv"}), "there is no file 'no/such.csv'"),
        (lambda c: c["datasets"].update(example={}), "give either path or url"),
        (lambda c: c["datasets"].update(example={"path": "a", "url": "https://a/b"}), "datasets.example"),
        (lambda c: c["tasks"]["example"].update(reader="tables"), "unknown reader 'tables'; did you mean 'table'"),
        (lambda c: c["tasks"]["example"]["options"].update(lable="x"), "unknown option 'lable'; did you mean 'label'"),
        (lambda c: c["tasks"]["example"].update(sources={"train": "example"}), "needs the source 'test'"),
        (lambda c: c["tasks"]["example"].update(sources={"all": "exmaple"}), "did you mean 'example'"),
    ],
)
def test_mistakes_are_one_sentence(config, change, sentence):
    change(config)
    with pytest.raises(UserError, match=sentence):
        read_study(config)


def test_rows_go_through_commands_as_text(config):
    plan = read_study(config)
    text = rows.as_text([plan.tasks["example"]])
    (row,) = rows.read_text(text, "here")
    assert row["sources"] == "all=example" and row["options"] == "fractions=0.64,0.16,0.2"
    assert set(row) >= set(read_table(ROOT / "config/tasks.tsv", ["task"])[0])
    with pytest.raises(UserError, match="not a JSON list"):
        rows.read_text("{", "here")
