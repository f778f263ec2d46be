"""Few training rows, drawn many times: the rows of derived sets, scikit-learn's heads, and no validation row."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, matthews_corrcoef
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.analysis_summary import Analysis, TaskCells, summarise_task
from foundationless.evaluation.records import read_record
from foundationless.features.classifiers import STRENGTHS, ProbeSettings, Samples
from foundationless.features.shots.heads import run_drawn, run_fixed
from foundationless.features.shots.leave_one_out import choose
from foundationless.features.shots.retrieval import run_retrieval
from foundationless.study.vocabulary import FIXED, LEAVE_ONE_OUT, MARGINS, VALIDATION
from foundationless.tasks.derivations import derive
from foundationless.tasks.draws import Drawn
from foundationless.tasks.sequence_sets import write_sequences

SETTINGS = ProbeSettings(metric="mcc", seed=0)
DRAWN = Drawn((2, 5, 10), 4, 7)


def samples(n: int = 240, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    labels = np.array(["non", "site"])[rng.permutation(np.arange(n) % 2)]
    split = rng.permutation(np.repeat(["train", "validation", "test"], n // 3))
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(n)], "label": labels, "split": split, "group": None})
    good = (rng.normal(size=(n, 6)) + 1.5 * (labels == "site")[:, None]).astype(np.float32)
    return Samples(frame, {"mean": good, "max": good[:, :3]})


def test_a_draw_has_the_rows_of_the_derived_set_and_fewer_are_among_more():
    found = samples()
    ids = {}
    for fold, taken, draw, rows, _ in DRAWN.each(found.frame):
        name = f"shot{taken}" + (f"d{draw}" if draw else "")
        derived = derive(found.frame.assign(sequence="ACGT"), name, DRAWN.seed)[0]
        ids[taken, draw] = set(found.frame["id"].iloc[rows])
        assert ids[taken, draw] == set(derived.loc[derived["split"] == "train", "id"])
        assert (fold // DRAWN.draws, fold % DRAWN.draws) == (DRAWN.taken.index(taken), draw)
    assert all(ids[2, draw] < ids[5, draw] < ids[10, draw] for draw in range(4))
    assert len({frozenset(ids[5, draw]) for draw in range(4)}) == 4


def test_the_fixed_head_is_scikit_learns_and_reads_no_validation_row():
    found = samples()
    outcome = run_drawn(found, ["logistic", "knn"], SETTINGS, drawn=DRAWN, choice=FIXED)
    test = found.rows("test")
    for fold, _, _, rows, _ in DRAWN.each(found.frame):
        scaler = StandardScaler().fit(found.features["mean"][rows])
        model = LogisticRegression(C=1.0, max_iter=1000).fit(
            scaler.transform(found.features["mean"][rows]), found.frame["label"].iloc[rows]
        )
        mine = outcome.predictions[outcome.predictions["fold"] == fold]
        assert mine["id"].tolist() == found.frame["id"].iloc[test].tolist()
        expected = model.predict_proba(scaler.transform(found.features["mean"][test]))
        np.testing.assert_allclose(np.stack(mine["probabilities"]), expected, atol=2e-3)
        (value,) = [result.value for result in outcome.results if result.fold == fold]
        assert value == pytest.approx(matthews_corrcoef(mine["label"], mine["predicted"]))
    frame, features = found.frame.copy(), {name: matrix.copy() for name, matrix in found.features.items()}
    held = found.rows("validation")
    frame.loc[held, "label"] = frame.loc[held, "label"].to_numpy()[::-1]
    for matrix in features.values():
        matrix[held] = 1e6
    spoilt = Samples(frame, features)
    again = run_drawn(spoilt, ["logistic", "knn"], SETTINGS, drawn=DRAWN, choice=FIXED)
    pd.testing.assert_frame_equal(again.predictions, outcome.predictions)
    whole = [run_fixed(each, ["logistic", "knn"], SETTINGS).predictions for each in (found, spoilt)]
    pd.testing.assert_frame_equal(*whole)
    assert whole[0]["run"].unique().tolist() == ["logistic_mean"]
    once = Drawn((5,), 1, 7)
    chosen = [run_drawn(each, ["knn"], SETTINGS, drawn=once, choice=VALIDATION) for each in (found, spoilt)]
    assert not np.allclose(*(np.stack(each.predictions["probabilities"]) for each in chosen)), "validation may choose"


def left_out(found: Samples, one, name: str) -> dict[float, float]:
    """Mean negative log likelihood of rows that scikit-learn leaves out, a shot of every class at once, by strength."""
    matrix, labels = found.features[name][one.rows].astype(float), found.frame["label"].iloc[one.rows].to_numpy()
    losses = {}
    for strength in STRENGTHS[:-3]:  # beyond, probabilities are all but zero, and logarithms anything
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000, tol=1e-8))
        how = {"groups": one.ranks, "cv": LeaveOneGroupOut(), "method": "predict_proba"}
        losses[strength] = log_loss(labels, cross_val_predict(model, matrix, labels, **how), labels=["non", "site"])
    return losses


def test_leave_one_out_chooses_as_scikit_learn_does_and_asks_no_other_row():
    found, drawn = samples(), Drawn((1, 2, 6), 2, 7)
    noise = np.random.default_rng(1).normal(size=(240, 3)).astype(np.float32)
    features = {"mean": noise, "max": np.repeat(found.features["mean"][:, :2], 9, axis=1)}
    found = Samples(found.frame, features)  # the second has more columns than rows, and alone says anything
    outcome = run_drawn(found, ["logistic"], SETTINGS, drawn=drawn, choice=LEAVE_ONE_OUT)
    told = {result.fold: result.extra for result in outcome.results}
    for one in drawn.each(found.frame):
        if one.taken == 1:
            assert (told[one.fold]["head"], told[one.fold]["strength"]) == (FIXED, 1.0)
            continue
        labels = (found.frame["label"].iloc[one.rows] == "site").to_numpy().astype(int)
        least = np.inf
        chosen = choose({name: features[name][one.rows] for name in features}, labels, one.ranks, SETTINGS)
        for name in features:
            expected = left_out(found, one, name)
            mine = {at: chosen.losses[name, at] for at in expected}
            assert mine == pytest.approx(expected, rel=2e-2, abs=2e-3)
            least = min(least, *expected.values())
        assert (told[one.fold]["features"], told[one.fold]["strength"]) == (chosen.name, chosen.strength)
        assert told[one.fold]["head"] == LEAVE_ONE_OUT
        assert min(loss for (_, at), loss in chosen.losses.items() if at <= 10) == pytest.approx(least, abs=2e-3)
    assert outcome.choice == LEAVE_ONE_OUT
    drawn_rows = np.concatenate([one.rows for one in drawn.each(found.frame)])
    other = ~np.isin(np.arange(len(found.frame)), drawn_rows)
    spoilt = Samples(found.frame, {name: np.where(other[:, None], 1e6, one) for name, one in features.items()})
    again = run_drawn(spoilt, ["logistic"], SETTINGS, drawn=drawn, choice=LEAVE_ONE_OUT)
    for result in again.results:
        assert {key: told[result.fold][key] for key in ("features", "strength")} == {
            key: result.extra[key] for key in ("features", "strength")
        }


def test_leave_one_out_may_choose_a_layer_and_leaves_what_has_no_strength_as_it_is():
    found, drawn = samples(), Drawn((4,), 3, 7)
    layers = {"mean": 2, "max": 1}
    outcome = run_drawn(found, ["logistic"], SETTINGS, layers, drawn=drawn, choice=LEAVE_ONE_OUT)
    assert all(result.extra["layer"] == layers[result.extra["features"]] for result in outcome.results)
    kept = [run_drawn(found, ["knn"], SETTINGS, drawn=drawn, choice=choice) for choice in (LEAVE_ONE_OUT, FIXED)]
    pd.testing.assert_frame_equal(kept[0].predictions, kept[1].predictions)
    assert kept[0].choice == FIXED


@pytest.mark.parametrize("by", ["max", "centroid"])
def test_candidates_are_ranked_by_cosine_with_known_sites(by):
    found, drawn = samples(), Drawn((10,), 3, 1)
    settings = ProbeSettings(metric="auprc", seed=0)
    outcome = run_retrieval(found, [], settings, drawn=drawn, by=by, site="")
    matrix = found.features["mean"].astype(float)
    centred = matrix - matrix[found.rows("train")].mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    test, sites = found.rows("test"), found.frame["label"].to_numpy() == "site"
    for fold, _, _, rows, _ in drawn.each(found.frame):
        known = unit[[row for row in rows if sites[row]]]
        assert len(known) == 10
        near = cosine_similarity(unit[test], known if by == "max" else known.mean(axis=0, keepdims=True)).max(axis=1)
        mine = outcome.predictions[outcome.predictions["fold"] == fold]
        np.testing.assert_allclose(mine["score"], near, atol=1e-6)
        (value,) = [result.value for result in outcome.results if result.fold == fold]
        assert value == pytest.approx(average_precision_score(sites[test], near)) and value > 0.8


def test_what_cannot_be_drawn_is_refused_in_a_sentence():
    found, settings = samples(), ProbeSettings(metric="auprc", seed=0)
    three = Samples(
        found.frame.assign(label=found.frame["label"].where(np.arange(240) % 5 > 0, "weak")), found.features
    )
    for sentence, call in {
        "increasing": lambda: Drawn((5, 2), 20, 0),
        "at least 1": lambda: Drawn((5,), 0, 0),
        "judged by": lambda: run_retrieval(found, [], SETTINGS, drawn=DRAWN, by="max", site=""),
        "say which of": lambda: run_retrieval(three, [], settings, drawn=DRAWN, by="max", site=""),
        "no class 'x'": lambda: run_retrieval(found, [], settings, drawn=DRAWN, by="max", site="x"),
        "not of classes": lambda: run_drawn(found, ["knn"], replace(SETTINGS, metric="r2"), drawn=DRAWN, choice=FIXED),
        "classifier ridge": lambda: run_drawn(found, ["ridge"], SETTINGS, drawn=DRAWN, choice=FIXED),
        "'non' has 43 training rows, of which 99": lambda: run_drawn(
            found, ["knn"], SETTINGS, drawn=Drawn((5, 99), 2, 0), choice=FIXED
        ),
        "'site' has 37 training rows, of which 99": lambda: run_retrieval(
            found, [], settings, drawn=Drawn((99,), 2, 0), by="max", site="site"
        ),
        "leave the others": lambda: run_drawn(found, ["knn"], SETTINGS, {"mean": 3}, drawn=DRAWN, choice=FIXED),
    }.items():
        with pytest.raises(UserError, match=sentence):
            call()


@pytest.mark.parametrize("analysis", ["fewshot", "retrieval"])
def test_jobs_write_what_tables_are_made_of_again(analysis, tmp_path):
    rng = np.random.default_rng(3)
    frame = samples().frame
    rich = np.where(frame["label"] == "site", 0.7, 0.4)
    frame["sequence"] = ["".join("CGAT"[int(rng.random() > p) * 2 + rng.integers(2)] for _ in range(60)) for p in rich]
    sequences, metric = tmp_path / "set.parquet", "auprc" if analysis == "retrieval" else "mcc"
    write_sequences(sequences, frame)
    taken = "--shots 10 --retrieve max" if analysis == "retrieval" else "--shots 2 5 10"
    cells = []
    for model, size in (("kmer_logistic", 3), ("gc_logistic", 1)):
        place = tmp_path / analysis / "t" / model / "baseline" / "seed0"
        place.mkdir(parents=True)
        cells.append(f"{model}/baseline/seed0")
        text = (
            f"fit_baseline --family kmer --classifier logistic --sequences {sequences} --analysis {analysis} --task t"
        )
        text += f" --model {model} --init baseline --seed 0 --metric {metric} --choice fixed --draws 4 {taken}"
        text += f" --record {place}/record.json --predictions {place}/predictions.parquet"
        text += f" --importances {place}/importances.parquet"
        assert main([*text.split(), "--options", f'{{"k_max": {size}}}']) == 0
    record = read_record(place / "record.json")
    assert record["settings"]["draws"] == 4 and record["settings"]["chosen_by"] == FIXED and not record["selections"]
    task = TaskCells("t", metric, tuple(cells))
    summary = summarise_task(Analysis(analysis, tmp_path / analysis, 50, MARGINS, 1), task)
    table = summary.diagnostics["fewshot"]
    own = table[table["model"].eq("kmer_logistic") & table["versus"].isna()]
    rows = pq.read_table(place.parents[2] / "kmer_logistic/baseline/seed0/predictions.parquet").to_pandas()
    assert set(own["draws"]) == {4} and (own["low"] <= own["value"]).all() and (own["value"] <= own["high"]).all()
    if analysis == "retrieval":
        assert own["metric"].tolist() == ["auprc", "recall_fpr05"]
        values = rows.groupby("fold")[["label", "score"]].apply(
            lambda part: average_precision_score(part["label"] == "site", part["score"])
        )
        assert own["value"].iloc[0] == pytest.approx(values.mean())
        return
    assert own["measure"].tolist() == ["score"] * 3 + ["area"]
    values = rows.groupby("fold")[["label", "predicted"]].apply(
        lambda part: matthews_corrcoef(part["label"], part["predicted"])
    )
    by_fold = values.to_numpy().reshape(3, 4).mean(axis=1)
    assert own["value"].to_numpy()[:3] == pytest.approx(by_fold)
    area = np.trapezoid(by_fold, np.log([2, 5, 10])) / np.log(5)
    assert own["value"].iloc[3] == pytest.approx(area)
