"""Probes of variants, against scikit-learn, models whose probabilities are known, and sets whose truth was planted."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.multitest import multipletests

from foundationless.__main__ import main
from foundationless.data.dna import alternative
from foundationless.errors import UserError
from foundationless.evaluation.records import read_record
from foundationless.evaluation.task_results import read_predictions
from foundationless.evaluation.variants.scores import score_variants, weighted_mean, within_strata
from foundationless.features.embedding import embed_sequences
from foundationless.runtime.files import sha256
from foundationless.scoring.probes import arms, probe_network
from foundationless.scoring.probes.background import background
from foundationless.scoring.probes.cheap import RESIDUES, blosum62, features
from foundationless.scoring.probes.folds import held_out_folds
from foundationless.scoring.probes.supervised import STRENGTHS, out_of_fold
from foundationless.tasks.exports import checksum, exported
from foundationless.tasks.sequence_sets import read_sequences, write_sequences
from support.fine_tuning import command_line
from support.networks import TINY, save_model
from unit.scoring.test_scoring import COMPUTE, make_weights, variant_set


def spread_out(n=90, contigs=4, seed=0, **columns):
    """A variant set on several chromosomes, with positions far from each other."""
    frame = variant_set(n, seed=seed)
    places = {"contig": [f"chr{i % contigs + 1}" for i in range(n)], "position": 1000 * np.arange(n)}
    return frame.assign(**{"split": "test", "gene": "G", "score": np.nan, **places, **columns})


def test_folds_are_chromosomes_or_blocks_with_a_gap():
    frame = spread_out()
    folds = held_out_folds(frame)
    assert folds.kind == "chromosome" and folds.each == ["chr1", "chr2", "chr3", "chr4"]
    assert (folds.training(folds.names == "chr2") == (frame["contig"] != "chr2")).all()
    other = held_out_folds(frame.assign(chromosome=np.repeat(["x", "y", "z"], 30)))
    assert other.each == ["x", "y", "z"]
    near = frame.assign(contig="chr1", position=10 * np.arange(90))  # windows of 41 bases overlap
    folds = held_out_folds(near)
    assert folds.kind == "block" and len(folds.each) == 5
    for name in folds.each:
        out = folds.names == name
        places = near["position"].to_numpy()
        gaps = np.abs(places[folds.training(out)][:, None] - places[out]).min(axis=1)
        assert gaps.min() == 50 and np.ptp(places[out]) == 10 * (out.sum() - 1)  # the nearest that no window reaches
        inner = folds.inner(folds.training(out))
        assert (np.sum(inner, axis=0) == folds.training(out)).all()
    groups = held_out_folds(frame.drop(columns=["contig", "position"]).assign(group=np.repeat(list("abcdef"), 15)))
    assert (
        groups.kind == "group" and pd.Series(groups.names).groupby(np.repeat(list("abcdef"), 15)).nunique().max() == 1
    )
    with pytest.raises(UserError, match="at one place"):
        held_out_folds(near.assign(position=5))


@pytest.mark.parametrize("width", [6, 120])
def test_the_probe_is_scikit_learns_on_what_is_not_held_out(width):
    """Also where there are more features than variants, which the probe turns into directions first."""
    frame, rng = spread_out(), np.random.default_rng(1)
    folds, known = held_out_folds(frame), np.ones(90, dtype=bool)
    positive = rng.random(90) < 0.3
    columns = rng.normal(size=(90, width)) * 3 + 7
    columns[positive, 0] += 5
    scores, selections = out_of_fold({"one": columns}, positive, known, folds)
    chosen = {row["within"]: row for row in selections}
    for fold in folds.each:
        out = folds.names == fold
        row = chosen[f"one without {fold}"]
        assert row["chosen"] == min(row["tried"], key=row["tried"].get) and len(row["tried"]) == len(STRENGTHS)
        judge = LogisticRegression(C=float(row["chosen"]), class_weight="balanced", max_iter=1000, tol=1e-8)
        model = make_pipeline(StandardScaler(), judge).fit(columns[~out], positive[~out])
        odds = model.decision_function(columns[out])
        assert scores["probe"][out] == pytest.approx(odds - odds.mean(), abs=2e-2)


def test_labels_of_what_is_held_out_change_nothing_and_noise_ranks_at_chance():
    frame, rng = spread_out(200), np.random.default_rng(2)
    folds, known = held_out_folds(frame), np.ones(200, dtype=bool)
    positive = rng.random(200) < np.where(folds.names == "chr1", 0.8, 0.3)  # shares differ, which must not rank
    columns = {"a": rng.normal(size=(200, 3)), "b": rng.normal(size=(200, 3))}
    scores, _ = out_of_fold(columns, positive, known, folds)
    turned = np.where(folds.names == "chr1", ~positive, positive)
    again, _ = out_of_fold(columns, turned, known, folds)
    mine = folds.names == "chr1"
    assert all((scores[name][mine] == again[name][mine]).all() for name in scores)
    assert 0.4 < roc_auc_score(positive, scores["probe"]) < 0.6
    # Features that tell the fold, and with it the share, and nothing within it
    place = {"a": np.eye(4)[np.unique(folds.names, return_inverse=True)[1]] + 0.01 * rng.normal(size=(200, 4))}
    assert 0.4 < roc_auc_score(positive, out_of_fold(place, positive, known, folds)[0]["probe"]) < 0.6
    planted = columns | {"b": columns["b"] + 2.0 * positive[:, None]}
    scores, selections = out_of_fold(planted, positive, known, folds)
    parts = [(positive[folds.names == name], scores["probe"][folds.names == name]) for name in folds.each]
    assert min(roc_auc_score(*part) for part in parts) > 0.9
    assert {row["chosen"] for row in selections if row["what"] == "features"} == {"b"}
    assert (scores["probe"] == scores["probe_b"]).all()


def test_blosum62_is_the_matrix():
    """Facts of the published matrix: its diagonal, its symmetry, its range, and pairs that everybody quotes."""
    diagonal = dict(zip(RESIDUES, (4, 5, 6, 6, 9, 5, 5, 6, 8, 4, 4, 5, 5, 6, 7, 4, 5, 11, 7, 4), strict=True))
    table = np.array([[blosum62(one, other) for other in RESIDUES] for one in RESIDUES])
    assert (table == table.T).all() and table.min() == -4 and (np.diag(table) == list(diagonal.values())).all()
    pairs = {"IV": 3, "DE": 2, "KR": 2, "FY": 3, "WY": 2, "ST": 1, "LM": 2, "RH": 0, "GW": -2, "CW": -2, "PW": -4}
    assert {pair: blosum62(*pair) for pair in pairs} == pairs and blosum62("R", "*") == -4


def test_features_that_cost_nothing_by_hand():
    rows = [("AACGTA", 2, "C", "T"), ("AACGTA", 3, "G", "A"), ("AACTTA", 3, "T", "G"), ("AACTTA", 2, "C", "CA")]
    frame = pd.DataFrame(rows, columns=["sequence", "offset", "ref", "alt"])
    frame = frame.assign(
        protein=["p.R175H", "p.D2=", "p.L3*", None], cadd=[1.0, None, 3.0, 5.0], splice_distance=[1, 5, 9, None]
    )
    assert features(frame, ["transition"]).tolist() == [[1, 1], [1, 1], [0, 1], [0, 0]]
    assert features(frame, ["cpg"]).tolist() == [[1, 0], [1, 0], [0, 1], [0, 0]]
    context = features(frame, ["trinucleotide"])
    assert context.sum(axis=1).tolist() == [1, 1, 1, 0] and (context[0] != context[2]).any()
    assert (context[0] == context[1]).all()  # ACG to ATG, and the same on the other strand
    assert features(frame, ["blosum62"]).tolist() == [[0, 0, 0], [6, 0, 0], [-4, 1, 0], [0, 0, 1]]
    assert features(frame, ["cadd"]).tolist() == [[1, 0], [3, 1], [3, 0], [5, 0]]
    assert features(frame, ["splice_distance"])[:, 1:].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert features(frame, ["length"])[3, 2] == 1
    for names, text in ((["phylop"], "no column 'phylop'"), (["luck"], "no feature 'luck'")):
        with pytest.raises(UserError, match=text):
            features(frame, names)
    with pytest.raises(UserError, match="holds 'high'"):
        features(frame.assign(cadd="high"), ["cadd"])


@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_the_background_is_what_the_table_says(objective):
    """Characters: the mean log probability of every counted base but the allele's, read off the model's own table."""
    weights = make_weights(objective)
    sequence, offset, ref = dna_of(30), 11, dna_of(30)[11]
    (found,) = background(weights, [(sequence, offset, ref, "A" if ref != "A" else "C")], COMPUTE)
    ids = weights.tokenizer.encode(sequence)
    table, size = weights.model.table.numpy().astype(np.float64), weights.tokenizer.size
    plain = [i for i, token in enumerate(ids) if token not in weights.tokenizer.special_ids]
    counted = [i for i in plain if i != plain[offset]]
    if objective == "causal":
        each = [log_softmax(table[ids[i - 1]])[ids[i]] for i in counted if i > 0]
    else:
        counted, read = counted[3::7], ids.copy()
        read[counted] = weights.tokenizer.mask_id
        each = []
        for i in counted:
            before = table[read[i - 1]] if i else 0
            after = table[size + read[i + 1]] if i + 1 < len(read) else 0
            each.append(log_softmax(before + after)[ids[i]])
    assert found == pytest.approx(np.mean(each), abs=1e-5)


def dna_of(length):
    return "".join(np.random.default_rng(5).choice(list("ACGT"), length))


def test_every_score_of_a_network_and_its_signs():
    frame, weights = spread_out(60), make_weights("causal")
    results, rows, _ = probe_network(weights, frame, ["mean", "site"], COMPUTE, both_strands=True)
    wide = rows.pivot(index="id", columns="run", values="score").loc[frame["id"]]
    alleles = list(zip(frame["sequence"], frame["offset"], frame["ref"], frame["alt"], strict=True))
    before = embed_sequences(weights, frame["sequence"].tolist(), ["mean"], **COMPUTE)["mean"]
    after = embed_sequences(weights, [alternative(*each) for each in alleles], ["mean"], **COMPUTE)["mean"]
    assert wide["l2_mean"].to_numpy() == pytest.approx(np.sqrt(((after - before) ** 2).sum(axis=1)), rel=1e-4)
    mean = (wide["llr_site_forward"] + wide["llr_site_reverse"]) / 2
    assert wide["llr_site"].to_numpy() == pytest.approx(mean.to_numpy())
    assert set(rows.groupby("run")["background"].nunique()) == {rows["background"].nunique()}
    positive = (frame["label"] == "pathogenic").to_numpy()
    by_run = {row.extra["run"]: row.value for row in results if row.metric == "auroc" and row.selection == "run"}
    assert by_run == pytest.approx({name: roc_auc_score(positive, wide[name]) for name in wide})
    assert rows.loc[rows["selected"], "run"].unique().tolist() == ["probe"]


def test_embeddings_that_are_not_finite_are_one_sentence(monkeypatch):
    def overflow(weights, windows, poolings, **more):
        return {"mean": np.where(np.arange(len(windows))[:, None] == len(windows) // 2 + 3, np.inf, np.ones((1, 4)))}

    monkeypatch.setattr(arms, "embed_sequences", overflow)
    with pytest.raises(UserError, match=r"'mean' of 'v3' are not finite; .*fp32"):
        probe_network(make_weights("causal"), spread_out(60), ["mean"], COMPUTE)


def test_weighted_means_and_strata():
    """Even sizes: the mean and its standard error; strata: the AUROC within each, weighted by its pairs."""
    values = np.array([0.5, 0.7, 0.9, 0.6])
    assert weighted_mean(values, np.full(4, 30.0)) == pytest.approx((values.mean(), values.std(ddof=1) / 2))
    assert weighted_mean(values[:2], np.array([1.0, 3.0]))[0] == pytest.approx(0.65)
    assert np.isnan(weighted_mean(values[:1], np.ones(1))[1])
    rng = np.random.default_rng(0)
    positive, strata = rng.random(200) < 0.4, rng.integers(3, size=200)
    scores = rng.normal(size=200) + 3.0 * strata + positive  # strata rank by themselves
    parts = [(positive[strata == s], scores[strata == s]) for s in range(3)]
    pairs = [kind.sum() * (~kind).sum() for kind, _ in parts]
    expected = np.average([roc_auc_score(*part) for part in parts], weights=pairs)
    twice = np.stack([np.ones(200), np.where(strata == 1, 1.0, 0.0)])
    assert within_strata(positive, scores, strata, twice) == pytest.approx([expected, roc_auc_score(*parts[1])])


def add_from_outside(folder, records, tables):
    """Another program's scores of the same set, imported, beside the records and predictions of the other arms."""
    frame = read_sequences(folder / "set.parquet")
    scores = pd.DataFrame({"id": frame["id"], "score": -(frame["label"] == "pathogenic").astype(float)})
    scores.to_parquet(folder / "cadd.parquet")
    card = {"by": "us", "model": "cadd", "revision": "1", "command": "none", "arm": "baseline", "task": "t"}
    card |= {"sha256": sha256(folder / "cadd.parquet"), "sequences_sha256": checksum(exported(frame))}
    (folder / "cadd.json").write_text(json.dumps(card | {"higher": "tolerated"}))
    files = {"record": folder / "cadd.record.json", "predictions": folder / "cadd.predictions.parquet"}
    places = {"scores": folder / "cadd.parquet", "card": folder / "cadd.json", "sequences": folder / "set.parquet"}
    said = {"analysis": "variant_probe", "task": "t", "model": "cadd", "init": "baseline", "seed": 0}
    assert main(command_line("import_scores", {**places, **said, **files})) == 0
    records.append(read_record(files["record"]))
    tables.append(read_predictions(files["predictions"]))


def test_commands_write_what_the_table_reads(tmp_path):
    """Two arms and a baseline, from files to the table: values, differences, and the background against itself."""
    write_sequences(tmp_path / "set.parquet", spread_out(60, contigs=3))
    records, tables = [], []
    options = json.dumps({"features": ["transition", "cpg"]})
    for model, init, source in (("m", "pretrained", 1), ("m", "random", 2), ("variant_cpg", "baseline", None)):
        place = tmp_path / model / init
        arm = {"options": options}
        if source:
            save_model(place / "weights", "hyenadna", TINY["hyenadna"], "hyenadna", source)
            arm = {"weights": place / "weights", "poolings": ["mean"]}
        said = {"analysis": "variant_probe", "task": "t", "model": model, "init": init, "seed": 0}
        files = {"record": place / "record.json", "predictions": place / "predictions.parquet"}
        assert (
            main(command_line("probe_variants", {"sequences": tmp_path / "set.parquet", **arm, **said, **files})) == 0
        )
        records.append(read_record(files["record"]))
        tables.append(read_predictions(files["predictions"]))
    add_from_outside(tmp_path, records, tables)
    table = score_variants(records, tables, 50, 0).set_index(["scored_by", "model", "init"]).sort_index()
    probe = table.loc["probe"]
    assert len(probe) == 3 and probe["folds"].eq(3).all() and probe["held_out"].eq("chromosome").all()
    assert probe["n_test"].nunique() == 1 and (table["auroc"] + table["auroc_opposite"]).to_numpy() == pytest.approx(1)
    theirs = table.loc["outside"].iloc[0]  # a score that knows the truth: its sign turned round by its card
    assert theirs[["auroc", "auroc_within", "auprc", "folds"]].tolist() == [1, 1, 1, 3] and not theirs["selected"]
    own = table.loc["probe", "m"]
    assert own.loc["pretrained", "delta"] == pytest.approx(
        own.loc["pretrained", "auroc_within"] - own.loc["random", "auroc_within"]
    )
    judged = table[table["p"].notna()].drop(index="background", level="scored_by")
    assert set(judged.index.get_level_values("init")) == {"pretrained"} and len(judged) > 4
    assert judged["p_holm"].to_numpy() == pytest.approx(multipletests(judged["p"], method="holm")[1])
    assert table.drop(index=judged.index)["p_holm"].isna().all()
    ground = table.loc["background", "m"]
    assert ground["spearman_background"].to_numpy() == pytest.approx(1)
    assert probe.loc["variant_cpg", "spearman_background"].isna().all()
    bad = {"sequences": tmp_path / "set.parquet", "options": '{"luck": 1}', **said, **files}
    assert main(command_line("probe_variants", bad)) == 2


@pytest.mark.parametrize("analysis", ["pretrain", "of_tomorrow"])
def test_records_of_other_analyses_have_no_scores_of_variants(analysis):
    assert score_variants([{"analysis": analysis}], [None], 10, 0).empty
