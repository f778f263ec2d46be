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
from foundationless.reporting.tables import verdict, verdict_words
from foundationless.study.config import read_schema
from foundationless.study.vocabulary import VERDICTS

WORDS = {"good": "better", "same": "equivalent", "bad": "worse", "vague": "undecided"}
THIN = {"once": "one seed", "twice": "two seeds", "blind": "not learned"}
DELTAS = {"better": 0.08, "equivalent": 0.001, "worse": -0.06, "undecided": 0.01} | dict.fromkeys(THIN.values(), 0.02)
SEEDS = {"one seed": 1, "two seeds": 2}


def row(
    model, word, *, scope="these", suite="all", family="", versus="random", analysis="finetune", variant="", **more
):
    delta = DELTAS[word]
    found = dict.fromkeys(across_tasks.ACROSS, np.nan)
    found |= {"analysis": analysis, "variant": variant, "suite": suite, "family": family, "model": model}
    found |= {"versus": versus, "delta": delta, "se": 0.01, "low": delta - 0.02, "high": delta + 0.02, "n": 12}
    found |= {"distinct": 9, "units": 9, "wins": 7, "losses": 5, "scope": scope, "p_holm": 0.01, "metrics": "mcc"}
    found |= {"p_tost_holm": 0.2, "rope_below": 0.1, "rope_within": 0.2, "rope_above": 0.7, "mde": 0.03}
    return found | {"verdict": word, "margin": 0.04, "seeds": SEEDS.get(word, 3), "learned": 12} | more


def like(model, word="undecided", **more):
    """The same on tasks like these: 4 families, a wide interval."""
    return row(model, word, scope="like-these", units=4, low=-0.1, high=0.2, mde=2.5, **more)


@pytest.fixture
def tables(tmp_path):
    directory = tmp_path / "tables"
    directory.mkdir()
    rows = [
        *(row(model, word) for model, word in WORDS.items()),
        *(like(model) for model in WORDS),
        row("good", "worse", versus="baseline"),
        like("good", "better", versus="baseline"),
        row("good", "undecided", family="splice sites"),
        row("good", "better", family="splice sites", versus="baseline"),
        row("good", "worse", suite="nt"),
        row("good", "worse", variant="pct10"),
        row("good", "equivalent", analysis="biotype", units=1, df=np.inf, low=np.nan, high=np.nan, mde=np.nan),
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
    pairs = [("finetune", "t", "mcc", 0.04), ("finetune", "u", "mcc", 0.04), ("biotype", "t", "auroc", 0.02)]
    pairs = pd.DataFrame(pairs, columns=["analysis", "task", "metric", "margin"])
    pairs.assign(versus="random").to_csv(directory / "comparisons.csv", index=False)
    return directory


def add(tables, name, *rows, columns=None):
    """Append rows to a table of the study, or make it of them."""
    path = tables / f"{name}.csv"
    frame = pd.DataFrame(rows, columns=columns)
    (pd.concat([pd.read_csv(path), frame]) if path.exists() else frame).to_csv(path, index=False)


def thin(tables):
    """Models that too few seeds or no learning keep from a word."""
    add(tables, "across_tasks", *(make(model, word) for model, word in THIN.items() for make in (row, like)))
    add(tables, "models", *({"model": name, "label": name.upper(), "kind": "network"} for name in THIN))


@pytest.fixture
def written(tables, tmp_path):
    path = tmp_path / "verdict.json"
    flags = ["--tables", str(tables), "--study", "made", "--title", "Made up", "--output", str(path)]
    assert main(["write_verdict", *flags]) == 0
    return path


def test_it_holds_what_the_tables_say_and_fits_its_schema(written):
    found = json.loads(written.read_text())
    jsonschema.Draft202012Validator(read_schema("verdict")).validate(found)
    words = {name: fact["verdict"] for name, fact in found["models"].items()}
    assert words == {name: {"these": word, "like-these": "undecided"} for name, word in WORDS.items()}, "all suites"
    good = found["models"]["good"]
    these, like_these = good["versus_random"]["these"], good["versus_random"]["like-these"]
    assert these["delta"] == 0.08 and these["rope"]["above"] == 0.7 and (these["units"], like_these["units"]) == (9, 4)
    assert {scope: fact["verdict"] for scope, fact in good["versus_baseline"].items()} == {
        "these": "worse", "like-these": "better"
    }  # fmt: skip
    assert found["models"]["bad"]["versus_baseline"] is None
    assert good["families"].keys() == {"splice sites"}
    assert good["families"]["splice sites"]["these"]["verdict"] == "undecided"
    assert good["families"]["splice sites"]["like-these"] is None
    assert good["families_versus_baseline"]["splice sites"]["these"]["verdict"] == "better"
    assert set(good["analyses"]) == {"finetune", "biotype"} and good["analyses"]["biotype"]["these"]["low"] is None
    assert (found["margins"], these["margin"], these["metrics"]) == ({"mcc": 0.04}, 0.04, ["mcc"])
    assert (found["generated_from"]["records"], found["study"]) == (2, "made")
    assert found["missing"]["count"] == 2 and found["missing"]["cells"][0]["note"] == "there is no record"


TRUTHS = [
    {"model": "good", "word": "better", "why": "Its motif is planted."},
    {"model": "same", "word": "better", "why": "Its motif is planted too"},
    {"model": "vague", "word": "worse", "why": "Its weights are shuffled"},
    {"model": "good", "versus": "baseline", "word": "worse", "why": "Counts tell all"},
    {"model": "same", "versus": "copy", "word": "equivalent", "why": "Never compared"},
    {"model": "good", "analysis": "biotype", "word": "better", "why": "Another analysis"},
]


def test_the_truth_stands_beside_what_was_found(tables, tmp_path, capsys):
    path = tmp_path / "verdict.json"
    flags = ["--tables", str(tables), "--study", "s", "--output", str(path)]
    assert main(["write_verdict", *flags, "--truth", json.dumps(TRUTHS)]) == 0
    found = verdict.read(path)
    assert [case["agrees"] for case in found["truth"]] == [True, False, None, True, None, False]
    assert found["truth_counts"] == {"agree": 2, "contradict": 2, "open": 2}
    first, shuffled, absent = found["truth"][0], found["truth"][2], found["truth"][4]
    assert first["found"] == {"these": "better", "like-these": "undecided"}
    assert (first["versus"], first["analysis"], first["evidence"]["these"]["delta"]) == ("random", "finetune", 0.08)
    assert shuffled["found"]["these"] == "undecided", "what is not decided contradicts nothing"
    assert absent["found"] == {"these": None, "like-these": None} and absent["evidence"] is None
    assert main(["verdict", "--verdict", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 of 6 verdicts agree with it, 2 contradict it, 2 decided nothing" in lines[0]
    assert lines[1].startswith(
        "✓ GOOD against itself at random initialisation: truth: better — found: better, +0.080 ["
    )
    assert lines[1].endswith("(on tasks like these: undecided). Planted: Its motif is planted.")
    assert lines[2].startswith("✗ SAME") and "truth: better — found: equivalent" in lines[2]
    assert lines[5].startswith("○ SAME against a copy of itself: truth: equivalent — found: not compared (")
    assert "(biotype): truth: better — found: equivalent" in lines[6] and lines[7] == ""


def test_it_says_what_a_verdict_cost_and_what_a_decimal_would(tables):
    table = pd.read_csv(tables / "across_tasks.csv")
    mine = table["model"].eq("good") & table["versus"].eq("random") & table["family"].isna() & table["suite"].eq("all")
    mine &= table["analysis"].eq("finetune") & table["variant"].isna()
    these, like_these = mine & table["scope"].eq("these"), mine & table["scope"].eq("like-these")
    table.loc[mine, ["gpu_hours", "cpu_hours", "next_decimal_seeds"]] = 3.25, 0.5, 210
    table["next_decimal"] = np.where(these, "with seeds alone", np.where(like_these, "not with seeds alone", None))
    table.loc[these, ["next_decimal_times", "next_decimal_hours"]] = 1, 1234.4
    table.loc[like_these, ["next_decimal_times", "next_decimal_hours"]] = 40, 12345.6
    table.to_csv(tables / "across_tasks.csv", index=False)
    found = verdict.build(tables, "s", "")
    jsonschema.Draft202012Validator(read_schema("verdict")).validate(found)
    assert found["models"]["good"]["versus_random"]["these"]["next_decimal_hours"] == 1234.4
    assert found["models"]["same"]["versus_random"]["these"]["gpu_hours"] is None, "not known is not nothing"
    (line,) = verdict_words.prices(found)
    assert line == (
        "GOOD: 3.2 GPU-hours and 0.5 core-hours. One more decimal: on these tasks (±0.020 to ±0.0020) with seeds "
        "alone: 210 seeds, 1,234 GPU-hours more; on tasks like these (±0.150 to ±0.0150) not with seeds alone: 40 "
        "times the families and 210 seeds, 12,346 GPU-hours more."
    )


def test_without_a_truth_nothing_is_said_of_one(written, capsys):
    found = verdict.read(written)
    assert found["truth"] == [] and set(found["truth_counts"].values()) == {0}
    assert main(["verdict", "--verdict", str(written)]) == 0
    assert "truth" not in capsys.readouterr().out


@pytest.mark.parametrize("given", ["{", '[{"model": "good", "word": "best", "why": "x"}]', '[{"model": "good"}]'])
def test_a_truth_that_is_none_is_refused(tables, tmp_path, capsys, given):
    flags = ["--tables", str(tables), "--study", "s", "--output", str(tmp_path / "verdict.json")]
    assert main(["write_verdict", *flags, "--truth", given]) == 2
    assert "--truth" in capsys.readouterr().err


def test_a_difference_larger_than_the_metric_can_show_is_not_detectable(tables):
    """MCC spans 2, accuracy 1: 2.5 is beyond both, 1.5 beyond the latter."""
    wide = [("these", "mcc", 1.5, 1.5), ("these", "accuracy", 1.5, "none"), ("like-these", "mcc", np.inf, "none")]
    for place, (scope, metrics, size, _) in enumerate(wide):
        add(tables, "across_tasks", row("good", "better", scope=scope, metrics=metrics, mde=size, family=f"f{place}"))
    good = verdict.build(tables, "s", "")["models"]["good"]
    assert good["versus_random"]["like-these"]["detectable"] == "none"
    assert good["analyses"]["biotype"]["these"]["detectable"] is None, "not known is not none"
    for place, (scope, _, _, expected) in enumerate(wide):
        assert good["families"][f"f{place}"][scope]["detectable"] == expected


def test_the_sentences_are_of_the_numbers(written):
    these, like_these, sizes, power, edges, missing = json.loads(written.read_text())["sentences"]
    for part in ("On these tasks (12 tasks, 9 of them distinct; 3 seeds an arm)", "helps GOOD", "hurts BAD",
                 "(within ±0.04 of MCC) for SAME", "undecided for VAGUE"):  # fmt: skip
        assert part in these
    assert like_these.startswith("On tasks like these (over 4 families") and "helps" not in like_these
    assert "undecided for GOOD, SAME, BAD and VAGUE" in like_these
    assert "−0.060 [−0.080, −0.040] for BAD to +0.080 [+0.060, +0.100] for GOOD" in sizes
    assert "0 of 1 are better than the best baseline" in sizes
    assert "on these tasks a difference of 0.030" in power and "on tasks like these no difference at all" in power
    assert "not known" in edges and "2 cells of the design are missing" in missing


def test_the_sentences_are_honest_about_few_seeds_and_what_never_learned(tables):
    thin(tables)
    add(tables, "across_tasks", row("once", "one seed", versus="baseline"))
    these, like_these, sizes, *_ = verdict.build(tables, "s", "")["sentences"]
    assert "95 % intervals, with a single seed of test items alone" in sizes
    assert "0 of 2 are better than the best baseline (for 1 there are too few seeds to say)" in sizes
    for sentence in (these, like_these):
        assert "too few seeds for a word (one of three) for ONCE" in sentence
        assert "too few seeds for a word (two of three) for TWICE" in sentence
        assert "neither arm beats a constant answer, for BLIND" in sentence
    assert "1 to 3 seeds an arm" in these


def test_choices_on_the_edge_of_their_grid_are_counted_and_said(tables):
    names = ["analysis", "task", "model", "init", "seed", "what", "within", "split", "candidate", "chosen", "edge"]
    names.append("variant")

    def choice(edge, model="good", init="pretrained", what="learning_rate", split="validation", chosen=True,
               analysis="finetune", variant=""):  # fmt: skip
        return analysis, "t", model, init, 0, what, "", split, 1, chosen, edge, variant

    models = pd.read_csv(tables / "models.csv")
    more = pd.DataFrame({"model": ["kmer"], "label": ["KMER"], "kind": ["baseline"]})
    pd.concat([models, more]).to_csv(tables / "models.csv", index=False)
    add(
        tables, "selections", choice("high"), choice("low", init="random"), choice(""), choice("", model="bad"),
        choice("high", "kmer", "baseline", "strength"), choice("", "kmer", "baseline", "strength"),
        choice("high", split="test"), choice("high", chosen=False), choice("high", analysis="lowdata"),
        choice("high", variant="pct10"), choice("", what="epoch"), choice("", what="run"), choice("high", init="copy"),
        columns=names,
    )  # fmt: skip
    found = verdict.build(tables, "s", "")
    assert found["edges"] == {
        "models": {"choices": 4, "low": 1, "high": 1}, "baselines": {"choices": 2, "low": 0, "high": 1}
    }  # fmt: skip
    assert found["models"]["good"]["edges"] == {"choices": 3, "low": 1, "high": 1}
    assert found["models"]["vague"]["edges"] == {"choices": 0, "low": 0, "high": 0}
    (said,) = [sentence for sentence in found["sentences"] if "edge" in sentence]
    assert "2 of 4 choices of the compared arms (1 the lowest, 1 the highest)" in said
    assert "1 of 2 choices of the baselines" in said
    older = pd.read_csv(tables / "selections.csv").drop(columns="edge")
    older.to_csv(tables / "selections.csv", index=False)
    assert verdict.build(tables, "s", "")["edges"] == {"models": None, "baselines": None}


def test_what_a_rule_without_a_model_reaches_stands_beside_every_task(tables):
    scores = ["analysis", "task", "model", "init", "metric", "value", "low", "high", "selection", "variant"]
    add(tables, "models", {"model": "kmer", "label": "KMER", "kind": "baseline"})
    add(
        tables, "scores",
        *(("finetune", "h3", *one, "validation", "") for one in (
            ("good", "pretrained", "mcc", 0.6, 0.5, 0.7), ("good", "random", "mcc", 0.9, 0.8, 1.0),
            ("kmer", "baseline", "mcc", 0.4, 0.3, 0.5),
        )),
        ("finetune", "splice", "good", "pretrained", "mcc", 0.3, 0.2, 0.4, "validation", ""),
        ("finetune", "h3.pct10", "good", "pretrained", "mcc", 0.1, 0.0, 0.2, "validation", "pct10"),
        columns=scores,
    )  # fmt: skip
    without = verdict.build(tables, "s", "")
    assert [row["task"] for row in without["rules"]] == ["h3", "splice"]
    assert without["rules"][0]["baseline"]["value"] == 0.4 and without["rules"][0]["rule"] is None
    add(
        tables, "shortcuts", ("splice", "motif", "train", "mcc", 0.567, 0.55, 0.58, 0.1, "shortcut"),
        ("splice", "length", "train", "mcc", 0.0, -0.1, 0.1, 0.1, "none"),
        ("splice", "twin", "train", "share", 0.9, 0.8, 1.0, 0.1, "twins"),
        columns=["task", "check", "against", "metric", "value", "low", "high", "threshold", "word"],
    )  # fmt: skip
    found = verdict.build(tables, "s", "")
    jsonschema.Draft202012Validator(read_schema("verdict")).validate(found)
    rule = found["rules"][1]["rule"]
    assert (rule["check"], rule["value"], rule["word"]) == ("motif", 0.567, "shortcut"), "a share is no score"
    assert found["rules"][1]["pretrained"]["value"] == 0.3
    assert any("reaches the best pretrained model on 1 of 2 tasks" in sentence for sentence in found["sentences"])


def test_rules_on_another_metric_are_compared_on_theirs(tables):
    """The audit's rules have MCC; the task is scored by accuracy, and scores hold both. What is unknown is no rule."""
    add(tables, "models", {"model": "kmer", "label": "KMER", "kind": "baseline"})
    shared = {
        "analysis": "finetune",
        "task": "t",
        "metric": "accuracy",
        "low": 0.1,
        "high": 0.2,
        "selection": "validation",
    }
    add(
        tables, "scores", shared | {"model": "good", "init": "pretrained", "value": 0.9, "mcc": 0.8},
        shared | {"model": "kmer", "init": "baseline", "value": 0.8, "mcc": 0.6},
    )  # fmt: skip
    rule = {"task": "t", "against": "earlier", "metric": "mcc", "low": 0.6, "high": 0.8, "threshold": 0.1}
    add(
        tables, "shortcuts", rule | {"check": "motifs", "value": 0.7, "word": "shortcut"},
        rule | {"check": "genome", "value": 0.99, "word": "unknown"},
    )  # fmt: skip
    (row,) = verdict.build(tables, "s", "")["rules"]
    assert row["metric"] == "mcc" and (row["rule"]["check"], row["rule"]["value"]) == ("motifs", 0.7)
    assert (row["pretrained"]["value"], row["baseline"]["value"], row["baseline"]["low"]) == (0.8, 0.6, None)


def test_an_unknown_difference_is_no_number_and_fewer_tasks_of_a_model_are_said(written):
    found = json.loads(written.read_text())
    lost = found["models"]["good"]["versus_random"]["these"]
    lost |= {"delta": None, "low": None, "high": None, "n": 0, "distinct": 0}
    these, _, sizes, *_ = verdict_words.sentences(found)
    assert "(0 to 12 tasks, 0 to 9 of them distinct" in these and "GOOD" not in sizes and "0.000" not in sizes


def test_a_study_without_two_arms_says_so(tables, tmp_path):
    for name in ("across_tasks", "missing", "comparisons"):
        pd.read_csv(tables / f"{name}.csv").iloc[:0].to_csv(tables / f"{name}.csv", index=False)
    found = verdict.build(tables, "s", "t")
    verdict.write(tmp_path / "v.json", found)
    assert found["models"] == {} and found["margins"] == {} and "nothing is judged" in found["sentences"][0]
    assert "No cell of the design is missing" in found["sentences"][2]
    assert main(["verdict", "--verdict", str(tmp_path / "v.json")]) == 0


def test_without_fine_tuning_the_analysis_of_most_tasks_is_judged(tables):
    frame = pd.read_csv(tables / "across_tasks.csv", keep_default_na=False)
    frame = frame[frame["variant"] == ""].replace({"analysis": {"finetune": "frozen"}})
    frame.to_csv(tables / "across_tasks.csv", index=False)
    pairs = pd.read_csv(tables / "comparisons.csv").replace({"analysis": {"finetune": "frozen"}})
    pairs.to_csv(tables / "comparisons.csv", index=False)
    found = verdict.build(tables, "s", "")
    assert found["generated_from"]["analysis"] == "frozen" and found["models"]["good"]["verdict"]["these"] == "better"


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
        (["--model", "good", "--scope", "like-these", "--fail-unless", "better"], 1),
        (["--model", "good", "--scope", "like-these", "--fail-unless", "undecided"], 0),
        (["--model", "good", "--versus", "baseline", "--scope", "like-these", "--fail-unless", "better"], 0),
        (["--model", "good", "--family", "splice sites", "--scope", "like-these", "--fail-unless", *VERDICTS], 1),
        (["--scope", "all"], 2),
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


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--model", "once", "--fail-unless", "better"], 3, "once has 1 seed, a word needs 3; run 2 more."),
        (["--model", "twice", "--fail-unless", "worse"], 3, "twice has 2 seeds, a word needs 3; run 1 more."),
        (["--model", "once", "--scope", "like-these", "--fail-unless", "better"], 3, "on tasks like these"),
        (["--model", "good", "once", "--fail-unless", "better"], 3, "Too few seeds"),
        (["--model", "bad", "once", "--fail-unless", "better"], 1, "Not better on these tasks: bad."),
        (["--model", "once", "--fail-unless", "one seed"], 0, ""),
        (["--model", "twice", "--fail-unless", "one seed"], 3, "run 1 more"),
        (["--model", "blind", "--fail-unless", "equivalent"], 1, "Not equivalent on these tasks: blind."),
        (["--model", "blind", "--fail-unless", "not learned"], 0, ""),
    ],
)
def test_too_few_seeds_have_an_exit_code_and_a_sentence_of_their_own(tables, tmp_path, capsys, flags, code, said):
    thin(tables)
    verdict.write(tmp_path / "v.json", verdict.build(tables, "s", ""))
    arguments = ["verdict", "--verdict", str(tmp_path / "v.json"), *flags]
    if code:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == code
    else:
        assert main(arguments) == 0
    assert said in capsys.readouterr().err


def test_it_prints_a_table(written, capsys):
    assert main(["verdict", "--verdict", str(written)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:7] == ["model", "scope", "verdict", "delta", "95", "%", "interval"]
    assert lines[0][7:] == ["units", "tasks", "seeds", "detectable"]
    assert lines[1] == ["GOOD", "these", "better", "+0.080", "[+0.060,", "+0.100]", "9", "12", "3", "0.030"]
    assert lines[2] == ["GOOD", "like-these", "undecided", "+0.010", "[−0.100,", "+0.200]", "4", "12", "3", "none"]
    assert main(["verdict", "--verdict", str(written), "--versus", "baseline", "--model", "bad"]) == 0
    assert "not compared" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"schema_version": 3}, {"models": {"good": {}}}, {"extra": 1}])
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
    assert found["models"]["gone"]["verdict"] == {"these": None, "like-these": None} and found["models"]["gone"]["lost"]
    assert "cnn" not in found["models"] and "not compared for want of records: GONE." in found["sentences"][0]
    assert "gone" in verdict.unmet(verdict.select(found), VERDICTS)[0]


@pytest.mark.parametrize(("tasks", "main_one"), [("vwxy", "finetune"), ("tu", "finetune"), ("tuv", "frozen")])
def test_an_analysis_with_all_tasks_of_fine_tuning_and_more_speaks(tables, tasks, main_one):
    add(tables, "across_tasks", row("good", "worse", analysis="frozen", n=14))
    add(tables, "comparisons", *({"analysis": "frozen", "task": task, "versus": "random"} for task in tasks))
    found = verdict.build(tables, "s", "t")
    assert found["generated_from"]["analysis"] == main_one
    assert found["models"]["good"]["verdict"]["these"] == ("worse" if main_one == "frozen" else "better")


def test_frozen_features_say_which_layers_they_rest_on(tables, tmp_path):
    """The last layers' evidence and the layers chosen stand beside; a study without layers has none of it."""
    path = tmp_path / "v.json"
    flags = ["--tables", str(tables), "--study", "made", "--title", "Made up", "--output", str(path)]
    assert main(["write_verdict", *flags]) == 0
    before = json.loads(path.read_text())
    assert not any("layers" in fact for fact in before["models"].values())
    add(tables, "last_layer", row("good", "undecided"), like("good"), row("good", "worse", family="splice sites"))
    keys = {"analysis": "finetune", "task": "t", "model": "good", "split": "validation", "variant": ""}
    chosen = [("pretrained", 0, 0), ("pretrained", 3, 2), ("pretrained", 4, 1), ("random", 0, 3), ("random", 4, 0)]
    rows = [keys | {"init": arm, "layer": layer, "last": layer == 4, "chosen": times} for arm, layer, times in chosen]
    add(tables, "layers", *rows, keys | {"init": "random", "layer": 2, "last": False, "chosen": 5, "variant": "pct10"})
    assert main(["write_verdict", *flags]) == 0
    found = json.loads(path.read_text())
    layers = found["models"]["good"].pop("layers")["finetune"]
    assert layers["last"] == 4 and layers["chosen"] == {"pretrained": {"3": 2, "4": 1}, "random": {"0": 3}}
    assert layers["last_layer"]["these"]["verdict"] == "undecided" and layers["last_layer"]["like-these"]
    assert found["models"] == before["models"], "nothing else changes"
    said = [sentence for sentence in found["sentences"] if sentence not in before["sentences"]]
    assert said == [
        "Each arm reads the layer that validation chose for it, from 0, the embedding, on: GOOD pretrained 3 to 4, "
        "random 0 of 4 (last layers of both: +0.010 [−0.010, +0.030], undecided)."
    ]


def test_without_a_random_arm_there_is_no_word_and_the_best_baseline_beside(tables):
    add(tables, "across_tasks", row("alone", "better", versus="baseline"))
    found = verdict.build(tables, "s", "")
    jsonschema.Draft202012Validator(read_schema("verdict")).validate(found)
    assert found["models"]["alone"]["verdict"] == {"these": None, "like-these": None}
    assert found["models"]["alone"]["versus_random"] is None
    (said,) = [text for text in found["sentences"] if "ALONE" in text]
    assert said == (
        "No random arm exists of ALONE, so nothing says what pretraining is worth there; against the best baseline on "
        "these tasks: better (+0.080 [+0.060, +0.100]) for ALONE."
    )
    across = pd.read_csv(tables / "across_tasks.csv")
    across[across["model"] == "alone"].to_csv(tables / "across_tasks.csv", index=False)
    (tables / "missing.csv").write_text("analysis,task,model,init,seed,what,note\n")
    only = verdict.build(tables, "s", "")
    assert only["sentences"][:2] == ["No model has both arms, so nothing is judged.", said]


def test_what_a_model_from_outside_cost_is_said_to_be_unknown(tables):
    models = pd.read_csv(tables / "models.csv")
    models.assign(pretrained=models["model"].map({"good": "outside"})).to_csv(tables / "models.csv", index=False)
    found = verdict.build(tables, "s", "")
    assert [name for name, fact in found["models"].items() if fact["outside"]] == ["good"]
    assert verdict_words.prices(found) == ["GOOD: not known, for another program computed it."]


@pytest.mark.parametrize(
    ("metric", "said"), [("skill", "the mean of the training perturbations"), ("mcc", "a constant answer")]
)
def test_what_was_not_learned_is_named_by_what_is_constant(tables, metric, said):
    thin(tables)
    across = pd.read_csv(tables / "across_tasks.csv")
    across.assign(metrics=metric).to_csv(tables / "across_tasks.csv", index=False)
    answer, *_ = verdict_words.sentences(verdict.build(tables, "test", "Test"))
    assert f"cannot be judged, for neither arm beats {said}, for BLIND" in answer
