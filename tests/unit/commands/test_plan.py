"""What `plan` prints of power beside the cost: a power for every word, why there is none, and what it rests on."""

import re

import pytest

from foundationless.__main__ import main
from foundationless.study.config import read_yaml, yaml_text
from support import ROOT
from support.power import write_pilot


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def printed(capsys, *flags):
    assert main(["plan", *flags]) == 0
    return capsys.readouterr().out.partition("\nPower of")[2]


def row(text, analysis, scope):
    """(equivalent, better, detectable) of a row of the table."""
    numbers = r"(\d\.\d\d) +(\d\.\d\d) +(none|\d\.\d{3})"
    return re.search(rf"^ *{analysis} .* {scope} +{numbers}", text, re.MULTILINE).groups()


def test_both_scopes_are_answered_with_what_the_answer_rests_on(capsys):
    text = printed(capsys, "--configfile", "config/mistral.yaml")
    these, like = row(text, "finetune", "these"), row(text, "finetune", "like-these")
    assert float(these[1]) > float(like[1]) and float(these[2]) < float(like[2]), "the second question costs more"
    assert "`equivalent` at a difference of 0, `better` at +0.03" in text
    assert re.search(r"the paper's fine-tuning: family 0\.0\d+, task 0\.0\d+, seed on all tasks", text)
    assert "half of their variance taken for" in text, "an assumption is named as one"
    larger = printed(capsys, "--configfile", "config/mistral.yaml", "--difference", "0.1")
    assert row(larger, "finetune", "these")[1] > these[1] and "at +0.1" in larger


def test_a_word_that_cannot_be_had_is_no_power(capsys, tmp_path):
    demo = read_yaml("config/config.yaml")
    demo["analyses"]["finetune"]["seeds"] = [0]
    (tmp_path / "one.yaml").write_text(yaml_text(demo))
    text = printed(capsys, "--configfile", str(tmp_path / "one.yaml"))
    assert "it takes three seeds; one seed in: finetune," in text and " frozen " in text.partition("No word")[0]
    few = printed(capsys, "--configfile", "config/ablations.yaml")
    assert "two seeds in: finetune." in few
    assert " these " not in few.partition("No word")[0].partition("80 %")[2], "no row of zeros"


def test_a_pilot_replaces_what_it_knows(capsys, tmp_path):
    plain = printed(capsys, "--configfile", "config/mistral.yaml")
    path = write_pilot(tmp_path, ("nt_H3", "nt_enhancers"), analysis="finetune", model="mistral", se=0.4)
    text = printed(capsys, "--configfile", "config/mistral.yaml", "--components", str(path))
    assert row(text, "finetune", "these")[1] < row(plain, "finetune", "these")[1]
    assert row(text, "biotype", "these") == row(plain, "biotype", "these"), "no analysis of the pilot"
    assert re.search(
        r"^- finetune of the pilot: .*test item 4\.00; the rest, if any, as the paper's", text, re.MULTILINE
    )
    path = write_pilot(tmp_path, ("nt_H3", "nt_enhancers"), analysis="frozen", model="mistral", se=0.4)
    text = printed(capsys, "--configfile", "config/mistral.yaml", "--components", str(path))
    assert "- not in this study, and left out of the pilot: frozen." in text
