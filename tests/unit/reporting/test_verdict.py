"""The machine-readable verdict: what it takes from the tables, what its sentences say, and what gates on it."""

import argparse
import json
import subprocess
import sys

import jsonschema
import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation import across_tasks
from foundationless.reporting.tables import verdict
from foundationless.study.config import read_schema
from foundationless.study.vocabulary import VERDICTS

WORDS = {"good": "better", "same": "equivalent", "bad": "worse", "vague": "undecided"}


def row(model, word, *, suite="all", family="", versus="random", analysis="finetune", variant="", **more):
    delta = {"better": 0.08, "equivalent": 0.001, "worse": -0.06, "undecided": 0.01}[word]
    found = dict.fromkeys(across_tasks.ACROSS, np.nan)
    found |= {"analysis": analysis, "variant": variant, "suite": suite, "family": family, "model": model}
    found |= {"versus": versus, "delta": delta, "se": 0.01, "low": delta - 0.02, "high": delta + 0.02, "n": 12}
    found |= {"distinct": 9, "families": 4, "wins": 7, "losses": 5, "unit": "families", "p_holm": 0.01}
    found |= {"p_tost_holm": 0.2, "rope_below": 0.1, "rope_within": 0.2, "rope_above": 0.7, "mde": 0.03}
    return found | {"verdict": word, "margin": 0.02} | more


@pytest.fixture
def tables(tmp_path):
    directory = tmp_path / "tables"
    directory.mkdir()
    rows = [
        *(row(model, word) for model, word in WORDS.items()),
        row("good", "worse", versus="baseline"),
        row("good", "undecided", family="splice sites"),
        row("good", "better", family="splice sites", versus="baseline"),
        row("good", "worse", suite="nt"),
        row("good", "worse", variant="pct10"),
        row("good", "equivalent", analysis="biotype", unit="items", df=np.inf, low=np.nan, high=np.nan, mde=np.nan),
    ]
    pd.DataFrame(rows).to_csv(directory / "across_tasks.csv", index=False)
    models = pd.DataFrame({"model": [*WORDS, "alone"], "label": [*(name.upper() for name in WORDS), "ALONE"]})
    models.assign(kind="network").to_csv(directory / "models.csv", index=False)
    missing = [
        ("finetune", "t", "bad", "random", 0, "record", "there is no record"),
        ("a", "b", None, None, None, "c", "d"),
    ]
    names = ["analysis", "task", "model", "init", "seed", "what", "note"]
    pd.DataFrame(missing, columns=names).to_csv(directory / "missing.csv", index=False)
    records = pd.DataFrame([("a", "b", "c", "d", 0)] * 3 + [("a", "b", "c", "d", 1)], columns=names[:5])
    records.to_csv(directory / "records.csv", index=False)
    return directory


@pytest.fixture
def written(tables, tmp_path):
    path = tmp_path / "verdict.json"
    flags = ["--tables", str(tables), "--study", "made", "--title", "Made up", "--output", str(path)]
    assert main(["write_verdict", *flags]) == 0
    return path


def test_it_holds_what_the_tables_say_and_fits_its_schema(written):
    found = json.loads(written.read_text())
    jsonschema.Draft202012Validator(read_schema("verdict")).validate(found)
    assert {name: fact["verdict"] for name, fact in found["models"].items()} == WORDS, "whole tasks, all suites"
    good = found["models"]["good"]
    assert good["versus_random"]["delta"] == 0.08 and good["versus_random"]["rope"]["above"] == 0.7
    assert good["versus_baseline"]["verdict"] == "worse" and found["models"]["bad"]["versus_baseline"] is None
    assert {name: fact["verdict"] for name, fact in good["families"].items()} == {"splice sites": "undecided"}
    assert good["families_versus_baseline"]["splice sites"]["verdict"] == "better"
    assert set(good["analyses"]) == {"finetune", "biotype"} and good["analyses"]["biotype"]["low"] is None
    assert (found["margin"], found["generated_from"]["records"], found["study"]) == (0.02, 2, "made")
    assert found["missing"]["count"] == 2 and found["missing"]["cells"][0]["note"] == "there is no record"


def test_the_sentences_are_of_the_numbers(written):
    first, second, third = json.loads(written.read_text())["sentences"]
    for part in ("Over 12 tasks (9 distinct, in 4 families)", "helps GOOD", "(within ±0.02) for SAME", "hurts BAD",
                 "undecided for VAGUE"):  # fmt: skip
        assert part in first
    assert "−0.060 [−0.080, −0.040] for BAD to +0.080 [+0.060, +0.100] for GOOD" in second
    assert "0 of 1 are better than the best baseline" in second
    assert "0.030" in third and "2 cells of the design are missing" in third


def test_an_unknown_difference_is_no_number_and_fewer_tasks_of_a_model_are_said(written):
    found = json.loads(written.read_text())
    lost = found["models"]["good"]["versus_random"]
    lost |= {"delta": None, "low": None, "high": None, "n": 0}
    first, second, _ = verdict.sentences(found)
    assert "Over 0 to 12 tasks" in first and "GOOD" not in second and "0.000" not in second


def test_a_study_without_two_arms_says_so(tables, tmp_path):
    for name in ("across_tasks", "missing"):
        pd.read_csv(tables / f"{name}.csv").iloc[:0].to_csv(tables / f"{name}.csv", index=False)
    found = verdict.build(tables, "s", "t")
    verdict.write(tmp_path / "v.json", found)
    assert found["models"] == {} and found["margin"] is None and "nothing is judged" in found["sentences"][0]
    assert "No cell of the design is missing" in found["sentences"][2]
    assert main(["verdict", "--verdict", str(tmp_path / "v.json")]) == 0


def test_without_fine_tuning_the_analysis_of_most_tasks_is_judged(tables):
    frame = pd.read_csv(tables / "across_tasks.csv", keep_default_na=False)
    frame = frame[frame["variant"] == ""].replace({"analysis": {"finetune": "frozen"}})
    frame.to_csv(tables / "across_tasks.csv", index=False)
    found = verdict.build(tables, "s", "")
    assert found["generated_from"]["analysis"] == "frozen" and found["models"]["good"]["verdict"] == "better"


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ([], 0),
        (["--fail-unless", "better"], 1),
        (["--model", "good", "--fail-unless", "better"], 0),
        (["--model", "good", "same", "--fail-unless", "better", "equivalent"], 0),
        (["--model", "vague", "--fail-unless", "better", "equivalent", "worse"], 1),
        (["--model", "good", "--versus", "baseline", "--fail-unless", "better"], 1),
        (["--model", "bad", "--versus", "baseline", "--fail-unless", *VERDICTS], 1),
        (["--model", "good", "--family", "splice sites", "--fail-unless", "undecided"], 0),
        (["--model", "good", "--family", "splice sites", "--versus", "baseline", "--fail-unless", "better"], 0),
        (["--versus", "baseline", "--fail-unless", "worse"], 0),
        (["--model", "nobody"], 2),
        (["--family", "nothing"], 2),
    ],
)
def test_a_gate_knows_met_unmet_and_mistaken(written, flags, code):
    asked = [sys.executable, "-m", "foundationless", "verdict", "--verdict", str(written), *flags]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert answer.returncode == code, answer.stderr
    assert ("Traceback" not in answer.stderr) and (code != 2 or answer.stdout == "")
    if code < 2:
        assert "random initialisation of the same model" in answer.stdout


def test_it_prints_a_table(written, capsys):
    assert main(["verdict", "--verdict", str(written)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "verdict", "delta", "95", "%", "interval", "unit", "tasks", "detectable"]
    assert lines[1].split() == ["GOOD", "better", "+0.080", "[+0.060,", "+0.100]", "families", "12", "0.030"]
    assert main(["verdict", "--verdict", str(written), "--versus", "baseline", "--model", "bad"]) == 0
    assert "not compared" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"schema_version": 1}, {"models": {"good": {}}}, {"extra": 1}])
def test_another_file_is_refused(written, capsys, change):
    written.write_text(json.dumps(json.loads(written.read_text()) | change))
    assert main(["verdict", "--verdict", str(written)]) == 2
    assert str(written) in capsys.readouterr().err


def test_a_missing_file_or_table_is_one_sentence(tables, tmp_path, capsys):
    assert main(["verdict", "--verdict", str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file" in capsys.readouterr().err
    pd.read_csv(tables / "across_tasks.csv").drop(columns="mde").to_csv(tables / "across_tasks.csv", index=False)
    with pytest.raises(UserError, match="no column mde; run collect_tables again"):
        verdict.build(tables, "s", "")
    (tables / "across_tasks.csv").unlink()
    with pytest.raises(UserError, match="make the tables with collect_tables first"):
        verdict.build(tables, "s", "")


def test_words_of_the_flags_are_those_of_the_verdict():
    from foundationless.commands import verdict as command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    (gate,) = [action for action in parser._actions if action.dest == "fail_unless"]
    assert set(gate.choices) == set(VERDICTS) == set(read_schema("verdict")["$defs"]["word"]["enum"])


def test_a_model_whose_records_are_gone_is_lost_and_closes_the_gate(tables, tmp_path):
    """A baseline that is a network is compared with nothing, and so is never lost."""
    models = pd.read_csv(tables / "models.csv")
    more = pd.DataFrame({"model": ["gone", "cnn"], "label": ["GONE", "CNN"], "kind": ["network", "baseline"]})
    pd.concat([models, more]).to_csv(tables / "models.csv", index=False)
    missing = pd.read_csv(tables / "missing.csv")
    rows = [("finetune", "t", name, "random", 0, "record", "there is no record") for name in ("gone", "cnn")]
    pd.concat([missing, pd.DataFrame(rows, columns=missing.columns)]).to_csv(tables / "missing.csv", index=False)
    found = verdict.build(tables, "s", "S")
    assert found["models"]["gone"]["verdict"] is None and found["models"]["gone"]["lost"]
    assert "cnn" not in found["models"] and "not compared for want of records: GONE." in found["sentences"][0]
    assert "gone" in verdict.unmet(verdict.select(found), ["better", "worse", "equivalent", "undecided"])
