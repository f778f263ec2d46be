"""Twelve frauds and more, planted into a tree that the commands made: each is named with its path, and nothing else.

Every fraud is planted twice: as an edit that forgets the hashes of the record, and by a forger who writes them anew.
"""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.evaluation.verification import tree
from foundationless.evaluation.verification.cells import COLUMNS
from foundationless.models.weights import initialise, save_weights
from foundationless.runtime.files import read_json, sha256, write_json
from foundationless.tasks.sequence_sets import write_sequences
from support import ROOT
from support.commands import call
from support.fine_tuning import command_line, planted
from support.networks import HYENA
from support.simulated_study import sign

PRETRAINED, RANDOM = "finetune/planted/hyena/pretrained/seed0", "finetune/planted/hyena/random/seed0"
BASELINE, PROBED = "finetune/planted/kmer/baseline/seed0", "biotype/planted/hyena/pretrained/seed0"
RANKED = "likelihood/variants/hyena/pretrained/seed0"
CELLS = {
    "finetune": ["hyena/pretrained/seed0", "hyena/pretrained/seed1", "hyena/random/seed0", "hyena/random/seed1",
                 "kmer/baseline/seed0", "majority/baseline/seed0"],
    "biotype": ["hyena/pretrained/seed0", "hyena/random/seed0"],
    "likelihood": ["hyena/pretrained/seed0", "hyena/random/seed0"],
}  # fmt: skip
TASKS = {"finetune": "planted", "biotype": "planted", "likelihood": "variants"}


def variants(count=60):
    """Windows of 41 nt with a substitution in their middle, of two genes."""
    generator = np.random.default_rng(5)
    rows = []
    for number in range(count):
        sequence = "".join(generator.choice(list("ACGT"), 41))
        alt = "ACGT"[("ACGT".index(sequence[20]) + 1) % 4]
        gene, label = f"GENE{number % 2}", ("benign", "pathogenic")[number // 2 % 2]
        rows.append((f"v{number}", sequence, label, "test", gene, gene, 20, sequence[20], alt))
    columns = ["id", "sequence", "label", "split", "group", "gene", "offset", "ref", "alt"]
    return pd.DataFrame(rows, columns=columns)


def write_weights(root, init, seed, drawn):
    card = {"model": "hyena", "family": "hyenadna", "tokenizer": "hyenadna", "init": init, "seed": seed}
    save_weights(root / f"weights/hyena/{init}/seed{seed}", initialise("hyenadna", HYENA, drawn), card | {"source": {}})


def run(root, command, analysis, cell, **flags):
    task = TASKS[analysis]
    place = root / analysis / task / cell
    place.mkdir(parents=True)
    model, init, seed = cell.split("/")
    identity = {"task": task, "model": model, "init": init, "seed": seed.removeprefix("seed"), "analysis": analysis}
    files = {"sequences": root / f"sequences/{task}.parquet", "record": place / "record.json"}
    files |= {"predictions": place / "predictions.parquet"}
    assert main(command_line(command, identity | files | flags)) == 0


def summarise(root, analysis, output=None):
    cells = [{"metric": "auroc" if analysis == "likelihood" else "mcc", "tasks": [TASKS[analysis]],
              "cells": CELLS[analysis]}]  # fmt: skip
    return main(
        ["summarise_analysis", "--analysis", analysis, "--directory", str(root / analysis), "--resamples", "20",
         "--cells", json.dumps(cells), "--seed", "1", "--output", str(output or root / analysis)]
    )  # fmt: skip


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """What the commands leave behind of a small study."""
    root = tmp_path_factory.mktemp("honest") / "results"
    (root / "sequences").mkdir(parents=True)
    write_sequences(root / "sequences/planted.parquet", planted())
    write_sequences(root / "sequences/variants.parquet", variants())
    for init, seed in (("pretrained", 0), ("random", 0), ("random", 1)):
        write_weights(root, init, seed, 40 + seed if init == "random" else 7)
    training = {"metric": "mcc", "learning_rates": [0.003, 0.01], "epochs": 2, "batch_size": 32, "pooling": "max"}
    for cell in CELLS["finetune"]:
        model, init, seed = cell.split("/")
        if init == "baseline":
            kind = {"kmer": "logistic", "majority": "majority"}[model]
            run(root, "fit_baseline", "finetune", cell, family=model, classifier=kind, metric="mcc")
        else:
            weights = root / f"weights/hyena/{init}/{seed if init == 'random' else 'seed0'}"
            runs = {"weights": weights, "runs": root / "finetune/planted" / cell / "runs"}
            run(root, "finetune_model", "finetune", cell, **training, **runs)
    for cell in CELLS["biotype"]:
        embedded = root / "embeddings/planted" / cell / "embeddings.parquet"
        embedded.parent.mkdir(parents=True)
        given = {"weights": root / "weights" / cell, "sequences": root / "sequences/planted.parquet"}
        assert main(command_line("embed", given | {"poolings": ["max"], "output": embedded})) == 0
        chosen = {"probes": ["logistic", "knn"], "poolings": "max", "metric": "mcc", "pca": 3, "cv_folds": 3}
        run(root, "probe", "biotype", cell, embeddings=embedded, **chosen)
    for cell in CELLS["likelihood"]:
        run(root, "score_likelihood", "likelihood", cell, weights=root / "weights" / cell)
    for analysis in CELLS:
        assert summarise(root, analysis) == 0
    return root


@pytest.fixture
def copy(honest, tmp_path):
    return shutil.copytree(honest, tmp_path / "results")


# ---- the frauds: each changes a tree and returns the cells whose hashes a forger would write anew


def change(root, cell, edit):
    path = root / cell / "record.json"
    record = read_json(path)
    edit(record)
    write_json(path, record)
    return cell


def repredict(root, cell, edit):
    path = root / cell / "predictions.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    return cell


def permute_predictions(root):
    def edit(frame):
        order = np.random.default_rng(1).permutation(len(frame))
        return frame.assign(**{name: frame[name].to_numpy()[order] for name in ("predicted", "probabilities")})

    return [repredict(root, PRETRAINED, edit)]


def predict_the_label(root):
    return [repredict(root, PRETRAINED, lambda frame: frame.assign(predicted=frame["label"]))]


def turn_the_probabilities(root):
    def edit(frame):
        return frame.assign(probabilities=[each[::-1] for each in frame["probabilities"]])

    return [repredict(root, RANDOM, edit)]


def raise_a_test_value(root):
    def edit(record):
        for row in record["results"]:
            if row["split"] == "test" and row["metric"] == "mcc":
                row["value"] = 0.999
        for selection in record["selections"]:
            if selection["split"] == "test":
                selection["tried"] = dict.fromkeys(selection["tried"], 0.999)

    return [change(root, PRETRAINED, edit)]


def exchange_predictions(root):
    first, second = (root / cell / "predictions.parquet" for cell in (PRETRAINED, RANDOM))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    return [PRETRAINED, RANDOM]


def exchange_inits(root):
    return [
        change(root, cell, lambda record, init=init: record.update(init=init))
        for cell, init in ((PRETRAINED, "random"), (RANDOM, "pretrained"))
    ]


def copy_the_arm(root):
    for name in ("record.json", "predictions.parquet"):
        (root / RANDOM / name).write_bytes((root / PRETRAINED / name).read_bytes())
    return [change(root, RANDOM, lambda record: record.update(init="random"))]


def train_longer(root):
    return [change(root, RANDOM, lambda record: record["settings"].update(epochs=20))]


def take_other_rates(root):
    return [change(root, RANDOM, lambda record: record["settings"].update(learning_rates=[0.0001, 0.0003]))]


def take_another_training_set(root):
    return [change(root, RANDOM, lambda record: record["settings"].update(sequences="0" * 64))]


def mark_another_run(root):
    """In predictions and in the rows of the runs: what was tried still says otherwise."""

    def flip(record):
        for row in record["results"]:
            if row["selection"] == "run":
                row["extra"]["selected"] = not row["extra"]["selected"]

    repredict(root, PRETRAINED, lambda frame: frame.assign(selected=~frame["selected"]))
    return [change(root, PRETRAINED, flip)]


def choose_another_run(root):
    """The choice itself, and all that hangs on it: what was tried would have chosen otherwise."""

    def flip(record):
        for row in record["results"]:
            if row["selection"] == "run":
                row["extra"]["selected"] = not row["extra"]["selected"]
        for selection in record["selections"]:
            if selection["what"] == "learning_rate" and selection["split"] == "validation":
                (selection["chosen"],) = set(selection["tried"]) - {selection["chosen"]}

    repredict(root, PRETRAINED, lambda frame: frame.assign(selected=~frame["selected"]))
    return [change(root, PRETRAINED, flip)]


def raise_a_validation_value(root):
    """Wherever the record says it."""

    def edit(record):
        for row in record["results"]:
            if row["split"] == "validation":
                row["value"] = 0.9999
        for selection in record["selections"]:
            selection["tried"][selection["chosen"]] = 0.9999

    return [change(root, BASELINE, edit)]


def raise_a_validation_value_of_training(root):
    """Of fine-tuning no validation predictions are kept: it stands in three places, and two of them were changed."""

    def edit(record):
        for row in record["results"]:
            if row["split"] == "validation" and row["extra"]["selected"]:
                row["value"] = 0.9999
        for selection in record["selections"]:
            if selection["what"] == "learning_rate" and selection["split"] == "validation":
                selection["tried"][selection["chosen"]] = 0.9999

    return [change(root, PRETRAINED, edit)]


def take_the_predictions_of_another_seed(root):
    """One seed told as two."""
    first, second = (root / f"finetune/planted/hyena/random/seed{seed}" for seed in (0, 1))
    for name in ("record.json", "predictions.parquet"):
        (second / name).write_bytes((first / name).read_bytes())
    cell = str(second.relative_to(root))
    return [change(root, cell, lambda record: record.update(seed=1))]


def raise_a_value_of_cross_validation(root):
    """Nothing is kept to compute it from: the hash alone knows it."""

    def edit(record):
        row = next(row for row in record["results"] if row["selection"] == "crossvalidation")
        row["value"] = 0.999

    return [change(root, PROBED, edit)]


def turn_the_sign_of_a_score(root):
    return [repredict(root, RANKED, lambda frame: frame.assign(score=-frame["score"]))]


FRAUDS = {
    permute_predictions: "by its predictions",
    predict_the_label: "predicted classes are not the most probable ones",
    turn_the_probabilities: "predicted classes are not the most probable ones",
    raise_a_test_value: "is 0.999 in the record and",
    exchange_predictions: "by its predictions",
    exchange_inits: "it lies where that of",
    copy_the_arm: "to the last digit",
    train_longer: "the setting epochs is 20, and 2 in finetune/planted/hyena/pretrained/seed0",
    take_other_rates: "learning_rates is [0.0001, 0.0003]",
    take_another_training_set: "sequence set",
    mark_another_run: "the run that validation chose in fold -1 is",
    choose_another_run: "validation would choose",
    raise_a_validation_value: "on validation is 0.9999 in the record and",
    raise_a_validation_value_of_training: "was chosen",
    take_the_predictions_of_another_seed: "to the last digit",
    turn_the_sign_of_a_score: "by its predictions",
}


def test_an_honest_tree_has_no_misfit(honest):
    check = tree.verify(honest, 1)
    assert not check.misfits, "\n".join(map(str, check.misfits))
    assert check.counts["records"] == check.counts["predictions"] == 10 and check.counts["pairs"] == 5
    assert not [reason for reason in check.unchecked if "hashes" in reason or "not there" in reason.split("files")[0]]
    assert check.counts["values"] > 100 and check.counts["selections"] > 20


def test_tables_say_what_was_checked(honest):
    table = pd.read_csv(honest / "finetune/verification.csv")
    assert list(table.columns[: len(COLUMNS)]) == list(COLUMNS)
    counts = table.set_index("model")
    assert counts["records"].to_dict() == {"hyena": 4, "kmer": 1, "majority": 1} and counts.loc["hyena", "pairs"] == 3
    assert counts.loc["kmer", "unchecked"] == 0, "its validation predictions are kept"
    assert counts.loc["hyena", "unchecked"] == 8, "a validation value per run: four cells of two rates"


@pytest.mark.parametrize("signed", [False, True], ids=["edited", "signed"])
@pytest.mark.parametrize("fraud", FRAUDS, ids=lambda fraud: fraud.__name__)
def test_a_fraud_is_named(copy, fraud, signed, tmp_path, capsys):
    touched = fraud(copy)
    for cell in touched if signed else ():
        sign(copy / cell / "record.json")
    check = tree.verify(copy, 1)
    told = [str(misfit) for misfit in check.misfits]
    mine = [text for text in told if any(f"{copy / cell}/" in text.partition(": ")[0] for cell in touched)]
    assert any(FRAUDS[fraud] in text for text in mine), "\n".join(told)
    assert all(text.endswith(".") and "\n" not in text for text in told)
    capsys.readouterr()
    analysis = touched[0].partition("/")[0]
    (tmp_path / "tables").mkdir()
    assert summarise(copy, analysis, tmp_path / "tables") == 2 and not list((tmp_path / "tables").iterdir())
    said = capsys.readouterr().err
    assert any(f"{copy / cell}/" in said for cell in touched)


def test_a_grid_that_validation_extended_in_one_arm_is_no_misfit(copy):
    """Rates that were tried beyond those asked are an outcome; one that never ran is a misfit."""

    def extend(rate):
        def edit(record):
            record["settings"] |= {"extended": {"published": [rate]}}
            runs = [row for row in record["results"] if row["selection"] == "run" and row["learning_rate"] == 0.01]
            for row in runs:
                value = min(row["value"], -0.5)
                row = row | {"learning_rate": rate, "value": value, "extra": row["extra"] | {"run": "further"}}
                record["results"].append(row | {"extra": row["extra"] | {"selected": False}})
                chosen = (one for one in record["selections"] if one["what"] == "learning_rate")
                next(one for one in chosen if one["split"] == row["split"])["tried"][f"{rate:g}"] = value

        return edit

    path = copy / RANDOM / "record.json"
    kept = path.read_bytes()
    change(copy, RANDOM, extend(0.03))
    sign(path)
    assert not tree.verify(copy, 1).misfits
    path.write_bytes(kept)
    change(copy, RANDOM, lambda record: record["settings"].update(extended={"published": [0.03]}))
    sign(path)
    (misfit,) = tree.verify(copy, 1).misfits
    assert "learning rates are not those of the runs (0.03)" in misfit.text


def test_what_only_the_hash_knows(copy):
    """Named after an edit, not after one that wrote the hash anew: the page of the format says so."""
    (cell,) = raise_a_value_of_cross_validation(copy)
    (misfit,) = tree.verify(copy, 1).misfits
    assert misfit.path == copy / cell / "record.json" and "the record's own hash" in misfit.text
    sign(copy / cell / "record.json")
    assert not tree.verify(copy, 1).misfits


def test_weights_that_are_not_those_of_the_records(copy):
    first, second = (copy / f"weights/hyena/{init}/seed0" for init in ("pretrained", "random"))
    kept, theirs = read_json(first / "weights.json"), read_json(second / "weights.json")
    write_json(first / "weights.json", kept | {"source": {"repository": "somebody/else"}})
    told = {(misfit.path, misfit.text) for misfit in tree.verify(copy, 1).misfits}
    said = f"it was made with weights of another card than {first / 'weights.json'}"
    assert told == {(copy / cell / "record.json", said) for cell in (PRETRAINED, PROBED, RANKED,
                                                                   PRETRAINED.replace("seed0", "seed1"))}  # fmt: skip
    write_json(first / "weights.json", theirs)
    write_json(second / "weights.json", kept)
    said = "\n".join(str(misfit) for misfit in tree.verify(copy, 1).misfits)
    assert "the card says init random, and it lies where that of pretrained belongs" in said
    assert "the hash of the card is not that of model.safetensors beside it" in said
    write_json(second / "weights.json", theirs)
    shutil.copyfile(second / "model.safetensors", first / "model.safetensors")
    write_json(first / "weights.json", kept | {"sha256": sha256(first / "model.safetensors")})
    said = "\n".join(str(misfit) for misfit in tree.verify(copy, 1).misfits)
    assert f"these weights are those of {first / 'weights.json'}" in said and "it was made with" in said


@pytest.mark.parametrize(("name", "column"), [("scores", "value"), ("comparisons", "delta")])
def test_tables_that_were_edited(copy, name, column):
    path = copy / f"finetune/{name}.csv"
    table = pd.read_csv(path)
    table.loc[0, column] += 0.01
    table.to_csv(path, index=False)
    (misfit,) = tree.verify(copy, 1).misfits
    assert misfit.path == path and misfit.text.startswith(f"{column} of finetune planted hyena pretrained mcc")


def test_a_verdict_that_the_tables_do_not_give(copy):
    (copy / "tables").mkdir()
    row = {"model": "hyena", "suite": "all", "delta": 0.1, "low": 0.0, "high": 0.2, "n": 3, "verdict": "undecided"}
    pd.DataFrame([row, row | {"delta": 0.3}]).to_csv(copy / "tables/across_tasks.csv", index=False)
    fact = {name: row[name] for name in ("delta", "low", "high", "n", "verdict")}
    verdict = {"models": {"hyena": {"label": "Hyena", "versus_random": fact, "families": {"x": fact | {"delta": 0.3}}}}}
    write_json(copy / "verdict.json", verdict)
    assert not tree.verify(copy, 1).misfits
    for change in ({"verdict": "better"}, {"delta": 0.2}, {"n": 4}):
        verdict["models"]["hyena"]["versus_random"] = fact | change
        write_json(copy / "verdict.json", verdict)
        (misfit,) = tree.verify(copy, 1).misfits
        assert misfit.path == copy / "verdict.json" and "hyena (versus_random)" in misfit.text


def test_records_of_before_are_said_and_still_computed_again(copy):
    for path in copy.glob("finetune/**/record.json"):
        record = read_json(path)
        del record["hashes"]
        write_json(path, record)
    check = tree.verify(copy, 1)
    assert not check.misfits and check.unchecked["records of before, which have no hashes"] == 6
    raise_a_test_value(copy)
    assert tree.verify(copy, 1).misfits


def test_the_command_says_it_and_exits_with_it(copy, tmp_path, capsys):
    outcome = tmp_path / "outcome.json"
    assert call(["verify", copy, "--json", outcome, "--processes", 2]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("0 misfits; 10 records, 10 with predictions, ")
    assert "3/3 likelihood/variants" in said.err and read_json(outcome)["misfits"] == []
    train_longer(copy)
    assert call(["verify", copy, "--json", outcome]) == 1
    out = capsys.readouterr().out
    assert f"{copy / RANDOM}/record.json: the setting epochs is 20" in out
    assert {misfit["path"] for misfit in read_json(outcome)["misfits"]} == {str(copy / RANDOM / "record.json")}
    assert call(["verify", tmp_path / "nowhere"]) == 2 and "no tree of results" in capsys.readouterr().err


def test_broken_files_are_misfits_and_no_crash(copy):
    (copy / PRETRAINED / "record.json").write_text("{")
    (copy / RANDOM / "predictions.parquet").write_bytes(b"no table")
    (copy / BASELINE / "predictions.parquet").unlink()
    change(copy, PROBED, lambda record: record["selections"][0].update(tried=[1, 2]))
    (copy / "weights/hyena/random/seed0/weights.json").write_text("[]")
    told = "\n".join(str(misfit) for misfit in tree.verify(copy, 1).misfits)
    for place in (f"{PRETRAINED}/record.json", f"{RANDOM}/predictions.parquet", f"{PROBED}/record.json",
                  f"{BASELINE}/predictions.parquet: no such file", "random/seed0/weights.json"):  # fmt: skip
        assert place in told, place


def test_a_reviewer_needs_no_torch(honest):
    code = (
        "import sys; sys.modules['torch'] = None; from foundationless.__main__ import main; "
        f"sys.exit(main(['verify', {str(honest)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "workflow", capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
