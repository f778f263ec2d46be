"""The workflow from outside: it plans, refuses bad configs in one sentence, draws the demo, survives being killed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from pypdf import PdfReader

from foundationless.runtime.files import read_table
from foundationless.study import vocabulary
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.price.estimate import estimate
from foundationless.study.price.workload import read_sizes
from support import ROOT
from support.studies import ENVIRONMENT, checkout, outcome, snakemake, write_study


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def whole_study(elsewhere):
    """The plan of the whole study, by the command of the README."""
    return snakemake("--profile", "slurm", "-n", directory=elsewhere)


@pytest.mark.parametrize("study", ["config", "mini", "mini-full", "mistral", "ablations", "outputs"])
def test_every_study_plans(elsewhere, study):
    answer = snakemake("-n", "--configfile", f"config/{study}.yaml", directory=elsewhere)
    assert answer.returncode == 0, answer.stdout[-2000:]
    assert re.search(r"^bind_figures +1$", answer.stdout, re.M)


@pytest.mark.parametrize("target", ["demo", "finetune", "biotype", "ancestry", "variants", "ablations", "all"])
def test_every_named_target_plans(elsewhere, target):
    answer = snakemake("-n", target, directory=elsewhere)
    assert answer.returncode == 0 and "Job stats" in answer.stdout


@pytest.mark.parametrize("study", ["config", "paper"])
def test_the_estimate_counts_the_jobs_that_snakemake_plans(elsewhere, whole_study, study):
    answer = whole_study if study == "paper" else snakemake("-n", directory=elsewhere)
    planned = dict(re.findall(r"^(\w+) +(\d+)$", answer.stdout.split("Job stats:")[1], flags=re.MULTILINE))
    design = read_study(read_yaml(ROOT / f"config/{study}.yaml"))
    found, _ = estimate(design, read_sizes(ROOT / "resources/lists/task_sizes.tsv"), 1e12)  # sizes say what is cut
    counted = found[(found["target"] == "all") & (found["rule"] != "total")].set_index("rule")["jobs"]
    assert {"finetune_model", "probe", "embed", "fit_baseline", "initialise", "score_likelihood"} <= set(counted.index)
    for rule, jobs in counted.drop("build_sequences").items():  # derived sets are another rule there
        assert jobs == int(planned[rule]), rule


def test_the_slurm_profile_is_found_by_its_literal_name_and_plans_the_whole_study(whole_study):
    assert whole_study.returncode == 0, whole_study.stdout[-2000:]
    assert "config/paper.yaml" in whole_study.stdout
    assert re.search(r"^bind_figures +1$", whole_study.stdout, re.M)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (("  epochs: 3\n", "  epoch: 3\n"), "unknown key 'epoch'; did you mean 'epochs'?"),
        (("models: [hyenadna.demo]", "models: [hyenadna.dmeo]"), "unknown model 'hyenadna.dmeo'"),
        (
            ("tasks: [sim_enhancer,", "tasks: [sim_enhancre,"),
            "unknown task 'sim_enhancre'; did you mean 'sim_enhancer'?",
        ),
        (("seed: 1 ", "seed: one "), "config, seed: 'one' is not of type 'integer'"),
        (("config/tasks.tsv", "config/task.tsv"), "config/task.tsv: no such file."),
        (("study: demo", "stdy: demo"), "unknown key 'stdy'; did you mean 'study'?"),
        (("folds: []", "folds: [99]"), "folds lie between 0 and 9"),
        (("eta: 0.1", "eta: .nan"), "config, probing.eta: not a finite number"),
        (("corpus: simulated}", "corpus: human}"), "unknown corpus 'human'"),
        (('[{source: "simulated:genome.fa"}]', '[{source: "simulated:genom.fa"}]'), "did you mean 'genome.fa'?"),
    ],
)
def test_a_bad_config_is_one_sentence_and_exit_code_2(elsewhere, tmp_path, edit, sentence):
    text = (ROOT / "config/config.yaml").read_text()
    assert edit[0] in text
    path = tmp_path / "bad.yaml"
    path.write_text(text.replace(edit[0], edit[1], 1))
    answer = snakemake("-n", "--configfile", path, directory=elsewhere)
    assert answer.returncode == 2
    assert sentence in answer.stdout.splitlines()[-1] and "Traceback" not in answer.stdout


SMALL_MODEL = {
    "config": {"d_model": 16, "d_inner": 32, "n_layer": 1, "filter_order": 16},
    "pretrained": {"source": "workflow", "corpus": "simulated"},
    "pretraining": {"steps": 30, "checkpoint_every": 5},
}


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A study of one model with every kind of job of the long way, a minute long."""
    demo = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return write_study(
        tmp_path_factory.mktemp("study") / "small.yaml",
        models={"hyenadna.small": SMALL_MODEL},
        baselines={"length_gc": {}},
        limits=demo["limits"] | {"default": {"train": 60, "validation": 30, "test": 60}},
        analyses={
            "finetune": {"tasks": ["sim_promoter"]},
            "lowdata": {"tasks": ["sim_promoter.pct50"], "baselines": [], "seeds": [0]},
            "biotype": {"tasks": ["sim_biotype"], "seeds": [0]},
            "likelihood": {"tasks": ["sim_variants"], "seeds": [0]},
        },
    )


def test_killed_at_any_point_it_ends_in_the_same_result(small, tmp_path):
    undisturbed, killed = checkout(tmp_path / "undisturbed"), checkout(tmp_path / "killed")
    answer = snakemake("--configfile", small, directory=undisturbed)
    assert answer.returncode == 0, answer.stdout[-4000:]

    command = ["snakemake", "--configfile", str(small)]
    for finished in (2, 6):  # records on disk at the moment of death, of at least twelve: by progress, not by the clock
        process = subprocess.Popen(
            command, cwd=killed, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        while process.poll() is None and len(list((killed / "results").glob("*/**/record.json"))) < finished:
            time.sleep(0.05)
        assert process.poll() is None, "the kill must hit a running study"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert snakemake("--unlock", "--configfile", small, directory=killed).returncode == 0
    answer = snakemake("--configfile", small, directory=killed)
    assert answer.returncode == 0, answer.stdout[-4000:]
    assert not list((killed / "results").rglob(".part-*/record.json"))

    ours, theirs = outcome(killed), outcome(undisturbed)
    assert ours[0].keys() == theirs[0].keys() and len(ours[0]) >= 12
    assert ours == theirs


def test_an_architecture_of_ones_own_goes_through_every_experiment(tmp_path):
    """The eighth model: a file beside the study, an entry in a table, and nothing else."""
    directory = checkout(tmp_path / "own")
    shutil.copy(ROOT / "tests/support/recurrent.py", directory / "recurrent.py")
    assert len((directory / "recurrent.py").read_text().splitlines()) <= 40
    table = yaml.safe_load((ROOT / "config/models.yaml").read_text())
    table["own"] = {
        "label": "Recurrent", "family": "recurrent.py:Recurrent", "tokenizer": "character",
        "arms": ["pretrained", "random"], "tokenizer_class": "character", "objective": "causal",
        "scaling": {"width": {"width": 1}},
        "config": {"width": 16, "vocab_size": 10, "max_tokens": 1026},
        "pretrained": {"source": "workflow", "corpus": "simulated"},
    }  # fmt: skip
    (directory / "models.yaml").write_text(yaml.safe_dump(table))
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config |= {"seeds": [0], "models": {"own": {}}, "baselines": {"length_gc": {}}}
    del config["truth"]
    config["tables"]["models"] = "models.yaml"
    config["limits"]["default"] = {"train": 40, "validation": 20, "test": 40}
    config["finetuning"] |= {"learning_rates": [1.0e-3], "epochs": 1}
    config["pretraining"] |= {"steps": 10, "warmup": 2}
    del config["analyses"]["finetuned"], config["cells"]  # of networks that read cells
    config["analyses"]["ingredients"]["arms"] = ["pretrained", "dinucleotide", "step5", "random"]
    config["analyses"]["fewshot"]["shots"] = {"numbers": [2, 5], "draws": 3}
    config["analyses"]["fewshot_finetune"]["shots"] |= {"numbers": [2, 5], "steps": 2}
    for analysis, spec in config["analyses"].items():
        spec["models"] = ["own.w8", "own.w24"] if analysis == "width" else ["own"]
        spec["tasks"] = spec["tasks"][:1]
        spec["baselines"] = []
    (directory / "own.yaml").write_text(yaml.safe_dump(config))
    answer = snakemake("--configfile", "own.yaml", directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    scores = pd.read_csv(directory / "results/tables/scores.csv")
    assert set(scores["analysis"]) == set(config["analyses"])
    assert set(scores["model"]) == {"own", "own.w8", "own.w24"}
    # Its file is an input of its weights: an edit makes them, and what follows, anew.
    with (directory / "recurrent.py").open("a") as stream:
        stream.write("# edited\n")
    answer = snakemake("-n", "--configfile", "own.yaml", directory=directory)
    made = list(directory.glob("results/weights/own*/random/seed*/weights.json"))
    assert len(made) >= 3 and re.search(rf"^initialise +{len(made)}$", answer.stdout, re.M)


@pytest.fixture(scope="session")
def demo():
    """The demo in the checkout itself: what `make demo` runs."""
    answer = snakemake()
    assert answer.returncode == 0, answer.stdout[-4000:]
    return ROOT / "results"


def test_the_demo_draws_every_figure(demo):
    text = [page.extract_text() for page in PdfReader(demo / "figures/all.pdf").pages]
    assert len(text) == 1 + len(vocabulary.FIGURES)
    cover, *rest = PdfReader(demo / "figures/all.pdf").outline
    assert cover["/Title"] == "Cover" and rest[::2]
    assert len(rest) == 2 * len({figure.group for figure in vocabulary.FIGURES.values()})
    assert sum(len(group) for group in rest[1::2]) == len(vocabulary.FIGURES)
    for name in vocabulary.FIGURES:
        if name == "reported":  # no simulated task is one of the paper's
            continue
        page = PdfReader(demo / f"figures/{name}.pdf").pages[0].extract_text()
        assert not re.search(r"^No (?!mark\b)[a-z]", page, re.M), f"{name} has nothing to draw: {page}"
        assert (demo / f"figures/{name}.png").stat().st_size > 5000
    assert "Question" in text[0] and "Versions" in text[0]


def test_the_demo_is_then_up_to_date(demo):
    answer = snakemake("results/figures/all.pdf", "-n")
    assert answer.returncode == 0 and "Nothing to be done" in answer.stdout


def test_both_reports_of_the_demo_open_in_a_browser(demo, browser):
    """Ours whole; Snakemake's with the figures by category, each with its own caption."""
    ours, theirs = demo / "report.html", demo.parent / "report.html"
    answer = snakemake("--report", theirs)
    assert answer.returncode == 0, answer.stdout[-4000:]
    assert max(ours.stat().st_size, theirs.stat().st_size) < 20e6
    page = theirs.read_text()
    assert not re.search(r'(src|href)="https?://[^"]*\.(js|css|png)"', page)
    assert "verdict_forest" in page and "scores.csv" in page
    browser.open(ours, "#figures")
    browser.wait("[...document.images].every(image => image.complete || !image.src)")
    drawn = "[...document.querySelectorAll('#figures img')].filter(image => image.naturalWidth > 600 && image.alt)"
    assert browser(f"{drawn}.length") == len(vocabulary.FIGURES)
    assert browser.complaints == []
    for number, category in enumerate(dict.fromkeys(figure.group for figure in vocabulary.FIGURES.values()), 1):
        browser.open(theirs)
        browser.wait("document.body.innerText.includes('Tables')")
        click = f"[...document.querySelectorAll('a')].find(link => link.textContent.endsWith('{number}. {category}'))"
        browser(f"{click}.click()")
        browser.wait("document.querySelectorAll('td a').length > 0")
        members = [name for name, figure in vocabulary.FIGURES.items() if figure.group == category]
        text = browser("document.body.innerText")
        assert all(name.replace("_", " ") in text for name in members)
        browser("document.querySelectorAll('td a')[1].click()")  # what is known of the first
        browser.wait("document.body.innerText.includes('DESCRIPTION')")
        title = (demo / f"figures/{members[0]}.rst").read_text().splitlines()[0]
        assert re.sub(r"\\(.)", r"\1", title) in browser("document.body.innerText")
    assert [url for url in browser.requests if not url.startswith(("data:", "file:"))] == []


def test_the_demo_finds_what_was_planted_and_nothing_in_permuted_labels(demo):
    scores = pd.read_csv(demo / "tables/scores.csv").set_index(["analysis", "task", "model", "init"])
    for kind in ("vocabulary", "decay", "strand", "insert", "mixture"):
        assert scores.loc[("finetune", f"sim_{kind}_letters", "kmer_logistic", "baseline"), "low"] > 0.5
    assert scores.loc[("tokenizer", "sim_promoter", "kmer_xgboost", "baseline"), "low"] > 0.6
    assert scores.loc[("tokenizer", "sim_promoter", "hyenadna.demo", "pretrained"), "low"] > 0.5
    verdict = json.loads((demo / "verdict.json").read_text())
    assert [case["found"]["these"] for case in verdict["truth"]] == [case["word"] for case in verdict["truth"]]
    permuted = scores.xs("sim_mark.permuted", level="task")
    assert len(permuted) >= 5
    # Several arms at the 95 % level: one interval may miss chance, and none by much.
    misses = (permuted["low"] > 0) | (permuted["high"] < 0)
    assert misses.sum() <= 1 and permuted["value"].abs().max() < 0.25


def test_the_demo_finds_numbers_and_tracks_and_nothing_in_permuted_ones(demo):
    """Whoever read the words knows amounts and topics of them; k-mers can be told; what is dealt anew tells nobody."""
    planted = ["sim_amounts", "sim_topics"]
    pairs = pd.read_csv(demo / "tables/comparisons.csv")
    read = pairs[pairs["analysis"].eq("lora") & pairs["versus"].eq("random") & pairs["selection"].eq("validation")]
    assert (read.set_index("task").loc[planted, "low"] > 0).all() and (read["verdict"] == "better").all()
    scores = pd.read_csv(demo / "tables/scores.csv")
    scores = scores[scores["selection"].eq("validation")].set_index(["analysis", "task", "model", "init"])
    for task, least in zip(planted, (0.8, 0.95), strict=True):
        assert scores.loc[("tokenizer", task, "kmer_logistic", "baseline"), "low"] > least
        assert scores.loc[("tokenizer", task, "dilated_cnn.demo", "random"), "learned"]
    permuted = scores[scores.index.get_level_values("task").isin([f"{task}.permuted" for task in planted])]
    assert len(permuted) >= 16 and (permuted["value"] - permuted["chance"]).abs().max() < 0.15
    analyses = set(
        scores.index[scores.index.get_level_values("task").str.contains("amounts|topics")].unique("analysis")
    )
    assert analyses == {"lowdata", "epochs", "tokenizer", "controls", "lora", "frozen", "transfer"}
    # What stands for a task is the mean over its outputs.
    outputs = pd.read_csv(demo / "tables/outputs.csv")
    plain = outputs[outputs["versus"].isna()]
    keys, own = ["analysis", "task", "model", "init", "metric"], plain["output"].notna()
    means = plain[own].groupby(keys)["value"].mean()
    assert len(means) > 100 and np.allclose(means, plain[~own].set_index(keys)["value"].reindex(means.index), atol=1e-9)


def test_the_demo_mends_calibration_and_says_what_transfer_loses(demo):
    """Temperatures of validation rows lower errors on test rows, sets hold their classes, rows of the target help."""
    table = pd.read_csv(demo / "tables/recalibration.csv")
    table = table[table["init"].isin(["pretrained", "random"])]
    scaled = table[table["method"] == "temperature"]
    assert len(scaled) > 50 and scaled["ece_change"].mean() < -0.02 and (scaled["ece_change"] <= 0).mean() > 0.7
    near = table[(table["method"] == "none") & ~table["task"].str.contains("transfer")]
    assert table["note"].isna().all() and (near["coverage"] >= near["expected_low"]).mean() > 0.9
    gaps = pd.read_csv(demo / "tables/transfer_gaps.csv").query("model == 'kmer_logistic'").set_index("task")
    assert gaps.loc["sim_transfer", "gap_low"] > 0
    assert gaps.loc["sim_transfer_target100", "gap"] < gaps.loc["sim_transfer", "gap"]


def test_the_demo_explains_the_model_that_was_taught_words_by_where_words_differ(demo):
    """Mutagenesis points at the middle of words where the pretrained model was taught them, not in its random self."""
    found = pd.read_csv(demo / "tables/explanations.csv", keep_default_na=False, na_values=["nan"])
    found = found[found["method"] == "mutagenesis"].set_index(["model", "init", "versus"])
    words = found["verdict"].xs("hyenadna.words")
    assert words["pretrained", "random"] == words["pretrained", "chance"] == "better"
    assert float(found.loc[("hyenadna.words", "pretrained", ""), "low"]) > 0.55
    assert words["random", "chance"] != "better"


def test_a_copy_of_the_weights_is_no_different_and_both_protocols_share_their_runs(demo):
    """Comparisons that must find nothing, exactly; and the paper's choice, which can only look better on test."""
    pairs = pd.read_csv(demo / "tables/comparisons.csv")
    copies = pairs[pairs["versus"] == "copy"]
    assert len(copies) >= 2 and (copies[["delta", "low", "high"]] == 0).all(axis=None)
    selections = pd.read_csv(demo / "tables/optimism.csv")
    tuned = [name for name, analysis in vocabulary.ANALYSES.items() if analysis.rule == "finetune_model"]
    arms = selections[selections["versus"].isna() & selections["analysis"].isin(tuned)]
    assert len(arms) > 50 and (arms["optimism"] >= -1e-12).all() and (arms["optimism"] > 0).any()


def test_every_choice_can_be_traced(demo):
    """The chosen candidate is among those tried, and has the best value that decided."""
    choices = pd.read_csv(demo / "tables/selections.csv")
    assert {"learning_rate", "epoch", "run"} <= set(choices["what"])
    rates = choices[choices["what"].eq("learning_rate") & choices["value"].notna()]
    keys = ["analysis", "task", "model", "init", "seed", "within", "split"]
    best = rates.groupby(keys)["value"].max()
    chosen = rates[rates["chosen"]].set_index(keys)["value"]
    assert len(chosen) == len(best) > 100 and (chosen == best[chosen.index]).all()
    tuned = choices[choices["analysis"].eq("finetune") & choices["what"].eq("learning_rate")]
    assert set(tuned["split"]) == {"validation", "test"}, "ours, and the paper's"


def test_the_studys_errors_and_claims_are_numbers(demo):
    defects = pd.read_csv(demo / "tables/defects.csv")
    assert set(range(2, 13)) <= set(defects["item"]), "item 1 needs Caduceus with two layers: config/mini-full.yaml"
    known = defects.dropna(subset=["low", "high"])
    assert (known["low"] <= known["difference"] + 1e-9).all() and (known["difference"] <= known["high"] + 1e-9).all()
    length = defects[defects["what"].eq("length alone, against the majority class") & defects["task"].eq("sim_biotype")]
    assert (length["low"] > 0).all(), "biotypes differ in length, also in the simulation"
    claims = pd.read_csv(demo / "tables/claims.csv")
    assert claims.groupby("claim")["selection"].nunique().eq(2).all() and claims["claim"].nunique() >= 6
    # No test sequence of the demo stands in another split, and contigs of test sequences are kept out of the corpus.
    audits = pd.read_csv(demo / "tables/audits.csv").set_index("task")
    assert not audits.loc[["sim_mark", "sim_promoter", "sim_enhancer"], "duplicate"].any()
    # What is planted at one place, and the lengths of biotypes, no model is needed for.
    checks = pd.read_csv(demo / "tables/shortcuts.csv").set_index(["task", "check"])
    assert checks.loc[("sim_promoter", "motifs"), "word"] == checks.loc[("sim_biotype", "length"), "word"] == "shortcut"
    assert checks.loc[("sim_mark", "length"), "word"] == "none"
    corpora = pd.read_csv(demo / "tables/corpora.csv").set_index("task")
    assert not corpora.loc[["sim_mark", "sim_promoter", "sim_biotype"], "half"].any()


def test_gains_by_tokenizer_power_laws_and_rows_worth_have_numbers(demo):
    gate = pd.read_csv(demo / "tables/tokenizer_gate.csv").set_index(["analysis", "basis", "first", "scope"])
    assert set(gate.loc[("biotype", "models"), "models"].dropna()) >= {2, 3, 4, 5} and len(
        gate.loc[("biotype", "models")]
    )
    one = gate.loc[("tokenizer", "architecture", "kmer", "these")]
    assert one["members"].str.contains("hyenadna.demo.kmer").all() and one["delta"].notna().any()
    assert gate.loc[("tokenizer", "architecture", "bpe", "these"), "note"].str.startswith("no architecture").all()
    fits = pd.read_csv(demo / "tables/scaling_fits.csv")
    fitted = fits[fits["task"].eq("sim_promoter") & fits["selection"].eq("validation")]
    assert len(fitted) == 2 and (fitted["points"] == 4).all() and (fitted["c_low"] <= fitted["c_high"]).all()
    assert fits.loc[fits["axis"].eq("width"), "flag"].str.startswith("no fit").all()
    worth = pd.read_csv(demo / "tables/rows_worth.csv")
    assert set(worth["task"]) == {"sim_promoter", "sim_amounts"} and worth["said"].notna().all()


def test_every_record_says_where_it_comes_from(demo):
    flat = pd.read_parquet(demo / "tables/records.parquet")
    columns = ["model", "init", "seed", "task", "metric", "selection", "n", "parameters", "device", "seconds"]
    assert flat[[*columns, "peak_memory_mb", "version_foundationless", "version_commit"]].notna().all(axis=None)
    tuned = flat[flat["analysis"].eq("finetune") & flat["init"].ne("baseline")]
    assert tuned["learning_rate"].notna().all() and tuned["fold"].notna().all()
    assert set(tuned["selection"]) == {"run", "validation", "test"}
    # The paper's selection looks at the test set: it can only be better.
    pair = tuned[tuned["split"].eq("test")].pivot_table(
        index=["task", "model", "init", "seed", "metric"], columns="selection", values="value", aggfunc="first"
    )
    main = {row["task"]: row["metric"] for row in read_table(ROOT / "config/tasks.tsv", ["task"])}
    chosen = pair[[metric == main[task] for task, *_, metric in pair.index]]
    assert len(chosen) and (chosen["test"] >= chosen["validation"] - 1e-12).all()


def test_half_of_the_records_draws_everything_and_names_what_is_missing(demo, tmp_path):
    """Tables, figures, verdict and report of what is left: no number differs where all records of an arm are there."""
    directory = checkout(tmp_path / "half")
    shutil.copytree(
        demo, directory / "results", dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*.safetensors", "embeddings", "sequences", "tables", "figures", "runs"),
    )  # fmt: skip
    jobs = sorted(path.parent for path in (directory / "results").glob("*/*/*/*/seed*/record.json"))
    jobs = [path for path in jobs if directory / "results/pretrain" not in path.parents]  # of the arm self
    lost = random.Random(6).sample(jobs, len(jobs) // 2)
    for path in [*lost, *(directory / "results").glob("*/scores.csv")]:  # and what was made of all of them
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    answer = snakemake("--config", "from_records=true", directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    assert answer.stdout.count("foundationless: there is no results/") == 20
    assert f"foundationless: and {2 * len(lost) - 20} more: results/tables/missing.csv" in answer.stdout
    results = directory / "results"
    assert len(PdfReader(results / "figures/all.pdf").pages) == 1 + len(vocabulary.FIGURES)
    assert (results / "report.html").stat().st_size > 100_000 and (results / "verdict.json").is_file()
    missing = pd.read_csv(results / "tables/missing.csv")
    named = missing[missing["what"] == "record"]
    named = named.assign(seed="seed" + named["seed"].astype(int).astype(str))
    cells = set(named[["analysis", "task", "model", "init", "seed"]].itertuples(index=False, name=None))
    assert cells == {job.relative_to(results).parts for job in lost}

    keys = ["analysis", "task", "model", "init"]
    touched = {cell[:4] for cell in cells}
    whole, rest = (pd.read_csv(path / "tables/scores.csv", low_memory=False) for path in (demo, results))
    left = [frame[[tuple(cell) not in touched for cell in frame[keys].to_numpy()]] for frame in (whole, rest)]
    assert len(left[0]) == len(left[1]) > 100
    for column in whole.columns.intersection(rest.columns):
        first, second = (frame[column].reset_index(drop=True) for frame in left)
        both = first.notna() & second.notna()
        assert (first[both] == second[both]).all(), column
    assert left[1]["value"].notna().sum() == left[0]["value"].notna().sum()
