"""Leakage audit and the sets derived from it: planted copies come out, MMseqs2 agrees, controls are at chance."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.tasks import derivations, leakage
from support.commands import mmseqs_similarity, refused, words

LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


def dna(length: int, seed: int) -> str:
    return LETTERS[np.random.default_rng(seed).integers(0, 4, length)].tobytes().decode()


def mutate(sequence: str, substitutions: int, seed: int, gaps: int = 0) -> str:
    """The sequence with so many bases changed into others, and then so many taken out."""
    generator = np.random.default_rng(seed)
    letters = list(sequence)
    for place in generator.choice(len(letters), substitutions, replace=False):
        letters[place] = str(generator.choice([base for base in "ACGT" if base != letters[place]]))
    for place in sorted(generator.choice(len(letters), gaps, replace=False), reverse=True):
        del letters[place]
    return "".join(letters)


def sequence_set(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split"])
    return frame.assign(group=frame["id"])


@pytest.fixture
def planted() -> pd.DataFrame:
    one, two, three, four = known = [dna(300, seed) for seed in range(4)]
    rows = [(f"t{n + 1}", text, "aabb"[n], "train") for n, text in enumerate(known)]
    rows += [("v1", two, "b", "validation"), ("v2", dna(300, 10), "a", "validation")]
    tested = [one, reverse_complement(two), mutate(three, 15, 5), four[60:260], dna(300, 11)]
    rows += [(f"e{n + 1}", text, "abbaa"[n], "test") for n, text in enumerate(tested)]
    return sequence_set(rows)


def test_planted_copies_are_told_apart(planted):
    rows, counts = leakage.audit(planted)
    rows = rows.set_index("id")
    assert list(rows.index[rows["exact"]]) == ["v1", "e1"]
    assert list(rows.index[rows["reverse_complement"]]) == ["e2"]
    assert list(rows.index[rows["near"]]) == ["v1", "e1", "e2", "e3", "e4"]
    assert rows["nearest"].dropna().to_dict() == {"v1": "t2", "e1": "t1", "e2": "t2", "e3": "t3", "e4": "t4"}
    assert rows.loc["e3", "similarity"] == pytest.approx(1 - 15 / 300) and rows.loc["e4", "similarity"] == 1
    assert rows.loc["e5", "similarity"] == 0
    # v1 says b of a sequence that train calls a; so does e2, though validation agrees with it. e4 only lies within.
    assert list(rows.index[rows["conflict"]]) == ["v1", "e2"]
    table = counts.set_index(["split", "against"])
    assert table.loc[("test", "train"), ["rows", "exact", "reverse_complement", "near"]].tolist() == [5, 1, 1, 4]
    assert table.loc[("test", "validation"), ["exact", "reverse_complement", "near"]].tolist() == [0, 1, 1]
    assert table.loc[("validation", "earlier"), "near_share"] == 0.5
    assert table.loc[("test", "earlier"), ["near_share", "duplicate_share"]].tolist() == [0.8, 0.4]


def test_a_sequence_without_a_split_before_it_is_clean():
    rows, counts = leakage.audit(sequence_set([("a", dna(50, 1), "x", "test"), ("b", dna(50, 1), "x", "test")]))
    assert not rows["near"].any() and rows["nearest"].isna().all()
    assert counts[["split", "against", "near"]].to_numpy().tolist() == [["test", "earlier", 0]]


def test_similarity_is_bounded_by_the_planted_edits():
    generator = np.random.default_rng(0)
    targets = [dna(400, 100 + number) for number in range(60)]
    edits = [(int(generator.integers(0, 40)), int(generator.integers(0, 8))) for _ in targets]
    queries = [
        mutate(text, *pair[:1], number, pair[1]) for number, (text, pair) in enumerate(zip(targets, edits, strict=True))
    ]
    queries = [reverse_complement(text) if number % 2 else text for number, text in enumerate(queries)]
    shuffled = generator.permutation(60)
    similarity, index = leakage.nearest(queries, [targets[place] for place in shuffled])
    assert list(shuffled[index]) == list(range(60))
    least = [1 - sum(pair) / len(text) for pair, text in zip(edits, queries, strict=True)]
    assert (similarity >= np.array(least) - 1e-12).all() and (similarity <= np.array(least) + 0.02).all()


def test_unrelated_rows_and_ambiguous_letters():
    texts = [dna(200, seed) for seed in range(40)]
    similarity, index = leakage.nearest(texts[:20], texts[20:])
    assert (similarity == 0).all() and (index == -1).all()
    # Runs of N are no k-mers: what they share is not looked at. Rows shorter than a k-mer have none.
    similarity, _ = leakage.nearest(["N" * 100, "ACGT", texts[0]], ["N" * 100, "ACGTACGT", texts[0][:90] + "N" * 110])
    assert similarity.tolist() == [0, 0, 0]


def test_repeats_do_not_hide_the_nearest():
    """Every row holds the same repeat, more rows than are remembered for a k-mer; the rest tells which is nearest."""
    repeat = dna(150, 1)
    targets = [repeat + dna(150, 100 + number) for number in range(3 * leakage.POSTINGS)]
    picked = [0, 60, 149]
    _, index = leakage.nearest([mutate(targets[number], 20, 7) for number in picked], targets)
    assert list(index) == picked


def test_long_pairs_are_estimated_alike(monkeypatch):
    base = dna(8000, 1)
    query = mutate(base, 400, 2)
    exact, _ = leakage.nearest([query], [dna(8000, 3), base])
    monkeypatch.setattr(leakage, "CELLS", 1)
    estimate, index = leakage.nearest([query], [dna(8000, 3), base])
    assert exact[0] == pytest.approx(0.95, abs=0.002) and estimate[0] == pytest.approx(0.95, abs=0.02) and index[0] == 1


def test_near_duplicates_equal_mmseqs(tmp_path, tool):
    targets = [dna(300, 1000 + number) for number in range(120)]
    generator = np.random.default_rng(1)
    queries = [mutate(text, int(generator.integers(0, 75)), number) for number, text in enumerate(targets[:80])]
    queries += [text[shift:] + dna(shift, shift) for shift, text in zip(range(3, 123, 3), targets[80:], strict=True)]
    queries = [reverse_complement(text) if number % 3 == 0 else text for number, text in enumerate(queries)]
    queries += [dna(300, 5000 + number) for number in range(40)]
    ours, _ = leakage.nearest(queries, targets)
    theirs = mmseqs_similarity(tool("mmseqs"), tmp_path, queries, targets)
    # A local alignment leaves ends out that hold a mismatch, so it may count a little less, never more.
    assert (ours >= np.where(theirs >= 0.82, theirs - 1e-9, 0)).all()
    found = ours >= 0.8
    assert found.sum() > 60 and (theirs[found] >= 0.74).all() and not found[-40:].any()
    assert np.abs(ours - theirs)[found].mean() < 0.02


def test_audit_task_writes_rows_and_summary(tmp_path, planted, capsys):
    planted.to_parquet(tmp_path / "set.parquet")
    flags = [f"--sequences={tmp_path}/set.parquet", f"--output={tmp_path}/a.parquet", f"--summary={tmp_path}/a.json"]
    assert main(["audit_task", "--task=T", *flags]) == 0
    told = "T: of 5 test rows 2 are duplicates and 4 near ones of earlier rows, and 3 overlap them."
    assert told in capsys.readouterr().err
    rows = pd.read_parquet(tmp_path / "a.parquet")
    assert rows["near"].sum() == 5 and rows["near"].dtype == bool and list(rows["id"]) == list(planted["id"])
    summary = json.loads((tmp_path / "a.json").read_text())
    assert summary["rows"] == {"train": 4, "validation": 2, "test": 5} and set(summary["repeats"].values()) == {0}
    table = pd.DataFrame(summary["pairs"])
    assert table.query("split == 'test' and against == 'earlier'")["near_share"].tolist() == [0.8]
    assert main(["audit_task", "--task=T", *flags, "--overlap=1", "--bases=250"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["overlap"] == {"share": 1, "bases": 250, "identity": 0.97}
    assert pd.read_parquet(tmp_path / "a.parquet")["collinear"].sum() == 3  # v1, e1 and e2: e4 has 200 bases
    wrong = {"--kmer=5": "8 to 16", "--similarity=0.5": "0.7 to 1", "--overlap=2": "from 0 to 1"}
    for bad, sentence in (wrong | {"--identity=0.5": "from 0.7 to 1"}).items():
        assert sentence in refused(capsys, ["audit_task", "--task=T", *flags, bad])


def test_overlap_finds_what_tasks_share():
    pool = [dna(120, seed) for seed in range(80)]

    def task(train, test):
        rows = [(f"t{n}", text, "x", "train") for n, text in enumerate(train)]
        return sequence_set(rows + [(f"e{n}", text, "x", "test") for n, text in enumerate(test)])

    sets = {
        "one": task(pool[:10], pool[10:20]),
        "two": task([reverse_complement(text) for text in pool[10:15]], pool[20:30]),
        "within": task(pool[30:40], [text[20:90] for text in pool[20:24]]),
        "alone": task(pool[40:50], [*pool[40:42], *pool[50:58]]),
    }
    found = leakage.overlap(sets).set_index(["task", "other"])
    assert found.loc[("one", "two"), ["n", "shared", "share", "equal"]].tolist() == [10, 5, 0.5, 5]
    assert found.loc[("two", "one"), "shared"] == 0
    assert found.loc[("within", "two"), ["n", "shared", "equal"]].tolist() == [4, 4, 0]
    assert found.loc[("alone", "alone"), "shared"] == 2 and found.loc[("one", "one"), "shared"] == 0
    assert found["cluster"].groupby("task").first().to_dict() == {"one": 1, "two": 1, "within": 1, "alone": 2}
    assert (found["clusters"] == 2).all()
    assert (leakage.overlap(sets, link=0.6)["clusters"] == 3).all()


def test_overlap_command(tmp_path, planted, capsys):
    planted.to_parquet(tmp_path / "a.parquet")

    def argv(count, *names):
        files = [tmp_path / "a.parquet"] * count
        return [*words("audit_overlap", output=tmp_path / "overlap.csv", sequences=files), "--names", *names]

    assert "1 sequence sets but 2 names" in refused(capsys, argv(1, "x", "y"))
    assert "named twice" in refused(capsys, argv(2, "x", "x"))
    assert "at most 1" in refused(capsys, argv(2, "x", "y", "--link", "7"))
    assert main(argv(2, "x", "y")) == 0
    table = pd.read_csv(tmp_path / "overlap.csv")
    assert table.loc[(table["task"] == "x") & (table["other"] == "y"), "share"].tolist() == [1.0]
    assert (table["clusters"] == 1).all()


def test_what_a_corpus_holds_outside_of_its_exclusions(tmp_path, capsys):
    held, excluded = dna(2000, 1), dna(2000, 2)
    (tmp_path / "raw.fa").write_text(f">chr1\n{held}\n>chr2\n{excluded}\n")
    assert main(["prepare_genome", f"--piece=path={tmp_path}/raw.fa", f"--output={tmp_path}/genome.fa"]) == 0
    half, reverse = held[700:800] + dna(100, 5), reverse_complement(held[500:580])
    texts = [held[100:300], reverse, half, excluded[100:300], dna(200, 6), held[100:300]]
    rows = [(f"s{n}", text, "x", "test" if n < 5 else "train") for n, text in enumerate(texts)]
    sequence_set(rows).to_parquet(tmp_path / "set.parquet")
    flags = ["audit_corpus", "--task=T", f"--sequences={tmp_path}/set.parquet", f"--genome={tmp_path}/genome.fa"]
    assert main([*flags, "--exclude", "chr2", f"--output={tmp_path}/a.json"]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert [found[name] for name in ("rows", "whole", "half", "part")] == [5, 2, 3, 3]
    assert found["mean_share"] == pytest.approx(2.5 / 5)
    assert main([*flags, f"--output={tmp_path}/b.json"]) == 0
    assert json.loads((tmp_path / "b.json").read_text())["whole"] == 3
    assert "is in none of" in refused(capsys, [*flags, "--exclude", "chr9", f"--output={tmp_path}/c.json"])


@pytest.fixture
def labelled() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    means = {"short": 4.6, "middle": 5.4, "long": 5.6, "giant": 8.0}
    rows = []
    for label, mean in means.items():
        for number, length in enumerate(np.exp(generator.normal(mean, 0.25, 400)).astype(int)):
            split = ("train", "train", "train", "validation", "test")[number % 5]
            rows.append((f"{label}{number}", dna(max(20, min(length, 6000)), number), label, split))
    return sequence_set(rows)


def test_draws_are_nested_and_differ(labelled):
    def train(derivation):
        frame, _ = derivations.derive(labelled, derivation, 1)
        assert (frame["split"] != "train").sum() == (labelled["split"] != "train").sum()
        kept = frame[frame["split"] == "train"]
        return set(kept["id"]), kept["label"].value_counts().to_dict()

    assert train("pct10") == train("pct10d0") and train("shot5") == train("shot5d0")
    assert len({frozenset(train(f"pct10d{draw}")[0]) for draw in range(4)}) == 4
    assert len({frozenset(train(f"shot10d{draw}")[0]) for draw in range(4)}) == 4
    for draw in ("", "d2"):
        one, five, ten = (train(f"shot{shots}{draw}") for shots in (1, 5, 10))
        assert one[0] < five[0] < ten[0] and set(ten[1].values()) == {10} and set(one[1].values()) == {1}
        assert train(f"pct1{draw}")[0] < train(f"pct5{draw}")[0] < train(f"pct50{draw}")[0]
    everything, text = derivations.derive(labelled, "shot300", 1)
    assert len(everything) == len(labelled) and "fewer than 300 of giant, long, middle, short" in text


def test_matched_lengths_say_nothing(labelled):
    """A tree on length alone tells the classes apart before, and is at chance after."""

    def auroc(frame):
        lengths = frame["sequence"].str.len().to_numpy()[:, None]
        train, test = (frame["split"] == "train").to_numpy(), (frame["split"] == "test").to_numpy()
        labels = frame["label"].isin(["long"]).to_numpy()
        tree = DecisionTreeClassifier(max_leaf_nodes=8, random_state=0).fit(lengths[train], labels[train])
        return roc_auc_score(labels[test], tree.predict_proba(lengths[test])[:, 1])

    two = labelled[labelled["label"].isin(["middle", "long"])]
    made, text = derivations.derive(labelled, "matched", 1)
    assert set(made["label"]) == {"middle", "long"} and "left out: giant, short" in text
    assert auroc(two) > 0.65 and abs(auroc(made) - 0.5) < 0.1
    assert made.groupby(["split", "label"]).size().unstack().nunique(axis=1).eq(1).all()
    rows = labelled.set_index("id").loc[made["id"]].reset_index()
    assert rows.equals(made[list(rows.columns)])
    means = made.groupby(["split", "label"])["sequence"].apply(lambda texts: texts.str.len().mean()).unstack()
    assert ((means["long"] / means["middle"] - 1).abs() < 0.1).all()


def test_what_a_set_lacks_for_a_derivation_is_a_sentence(labelled):
    apart, people = labelled[labelled["label"].isin(["short", "giant"])], labelled.assign(sample="a")
    wrong = [("matched", apart, "no two classes"), ("matched", people, "single sequences")]
    for derivation, frame, sentence in [*wrong, *((kin, labelled, "pedigree") for kin in ("unrelated", "family"))]:
        with pytest.raises(UserError, match=sentence):
            derivations.derive(frame, derivation, 1)


def test_matched_of_many_classes():
    rows = [
        (f"{label}{split}{n}", "A" * (100 if label < 13 else 3000), f"c{label:02d}", split)
        for label in range(14) for split in ("train", "test") for n in range(3)
    ]  # fmt: skip
    made, out = derivations.match_lengths(sequence_set(rows), 0)
    assert out == ["c13"] and made["label"].nunique() == 13


def test_distant_takes_near_test_rows_out(planted):
    made, text = derivations.derive(planted, "distant", 1)
    assert list(made.loc[made["split"] == "test", "id"]) == ["e5"] and "removed 4 test rows" in text
    assert (made["split"] != "test").sum() == 6
    rows, _ = leakage.audit(made)
    assert not rows.loc[rows["split"] == "test", "near"].any()
    with pytest.raises(UserError, match="none would be left"):
        derivations.derive(planted[planted["id"] != "e5"], "distant", 1)


def test_kin_derivations_of_a_pedigree(labelled):
    """Half of the people are children of the other half, whose random split tears families."""
    people = labelled.assign(sample=labelled["id"], family=[f"f{n // 2}" for n in range(len(labelled))])
    people["unrelated"] = np.arange(len(people)) % 2 == 0
    made, text = derivations.derive(people, "unrelated", 1)
    assert len(made) == len(people) / 2 and made["family"].is_unique and "removed people" in text
    made, _ = derivations.derive(people, "family", 1)
    assert (people.groupby("family")["split"].nunique() > 1).any()
    assert (made.groupby("family")["split"].nunique() == 1).all() and set(made["id"]) == set(people["id"])
