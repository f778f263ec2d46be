"""Learning on one set, being tested on another: which rows come from where, and what may not be remembered."""

import numpy as np
import pandas as pd
import pytest

from foundationless.tasks.derivations import limit_split
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.tasks.weights.importance import effective_rows, importance
from support.commands import building, built, refused


def rows(*items):
    frame = pd.DataFrame(items, columns=["id", "sequence", "label", "split"])
    return frame.assign(group=frame["id"])


@pytest.fixture
def sets(tmp_path):
    first = rows(
        ("a", "ACGTACGTAA", "0", "train"),
        ("b", "ACGTACGTCC", "1", "train"),
        ("c", "TTTTTGGGGG", "1", "validation"),
        ("d", "AAAAAAAAAC", "0", "test"),
    )
    second = rows(("a", "CCCCCAAAAA", "1", "test"), ("x", "GATTACAGAT", "0", "train"), ("y", "ACGTTTTTTT", "0", "test"))
    write_sequences(tmp_path / "first.parquet", first)
    write_sequences(tmp_path / "second.parquet", second)
    return tmp_path


def request(directory):
    sources = {"train": directory / "first.parquet", "test": directory / "second.parquet"}
    return directory / "out.parquet", "transfer", sources


def test_train_of_one_and_test_of_the_other(sets, capsys):
    found = built(*request(sets)).set_index("id")
    assert set(found.index) == {"train:a", "train:b", "test:a", "test:y"}
    assert list(found.loc[["train:a", "test:a"], "split"]) == ["train", "test"]
    # the validation row is the reverse complement of a test row
    assert "1 of them left out" in capsys.readouterr().err


def test_classes_must_agree(sets, capsys):
    other = pd.read_parquet(sets / "second.parquet")
    write_sequences(sets / "second.parquet", other.assign(label="enhancer"))
    assert "no classes of first.parquet" in refused(capsys, building(*request(sets)))


def test_labels_of_the_test_set_are_said_in_words_of_the_training_set(sets):
    other = pd.read_parquet(sets / "second.parquet")
    write_sequences(sets / "second.parquet", other.assign(label=["yes", "no", "no"]))
    found = built(*request(sets), ["labels=yes:1,no:0"]).set_index("id")
    assert found.loc[["test:a", "test:y"], "label"].tolist() == ["1", "0"]


# ---- rows of the other set among those to learn from, and weights


def drawn(n, gc, generator, name):
    letters = np.array(list("ACGT"))
    shares = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    texts = ["".join(letters[generator.choice(4, 150, p=shares)]) for _ in range(n)]
    split = np.where(np.arange(n) < 0.8 * n, "train", np.where(np.arange(n) < 0.9 * n, "validation", "test"))
    return rows(*zip([f"{name}{i}" for i in range(n)], texts, (np.arange(n) % 2).astype(str), split, strict=True))


@pytest.fixture
def wide(tmp_path):
    generator = np.random.default_rng(0)
    first = pd.concat([drawn(200, 0.4, generator, "a"), drawn(200, 0.6, generator, "b")], ignore_index=True)
    write_sequences(tmp_path / "first.parquet", first)
    write_sequences(tmp_path / "second.parquet", drawn(200, 0.6, generator, "c"))
    return tmp_path


def test_target_rows_join_and_limits_leave_them(wide, capsys):
    few, more = (built(*request(wide), [f"target_rows={n}"]) for n in (10, 40))
    given = [set(frame.loc[frame["joined"], "sequence"]) for frame in (few, more)]
    assert len(given[0]) == 10 and len(given[1]) == 40 and given[0] < given[1]
    theirs = pd.read_parquet(wide / "second.parquet").set_index("sequence")
    assert (theirs.loc[list(given[1]), "split"] == "train").all(), "never what is asked about"
    assert few.loc[few["joined"], "label"].value_counts().tolist() == [5, 5]
    cut = limit_split(more, "train", 50, 1)
    assert cut["joined"].sum() == 40 and (cut["split"] == "train").sum() == 90
    assert "joined" not in built(*request(wide)).columns
    assert "160 training rows" in refused(capsys, building(*request(wide), ["target_rows=161"]))


def test_weights_are_larger_where_rows_look_like_the_other_set(wide, capsys):
    found = built(*request(wide), ["weighting=kmer", "target_rows=10"])
    assert "worth" in capsys.readouterr().err
    own = found[(found["split"] == "train") & ~found["joined"]]
    near = own["sequence"].map(lambda text: sum(text.count(letter) for letter in "GC") / len(text)) > 0.5
    assert own["weight"].mean() == pytest.approx(1) and own["weight"].min() > 1 / 100
    assert own.loc[near, "weight"].mean() > 2 * own.loc[~near, "weight"].mean()
    assert (found.loc[~found.index.isin(own.index), "weight"] == 1).all()
    assert 0.2 * len(own) < effective_rows(own["weight"].to_numpy()) < len(own)


def test_weights_move_a_mean_to_that_of_the_other_set():
    """What they are for: a share that differs between the sets comes near that of the other one, and not beyond.

    Not all the way, for a classifier that is held back, as few rows want it, says less than there is.
    """
    generator = np.random.default_rng(1)
    first = pd.concat([drawn(200, 0.35, generator, "a"), drawn(200, 0.6, generator, "b")])["sequence"]
    second = pd.concat([drawn(40, 0.35, generator, "c"), drawn(360, 0.6, generator, "d")])["sequence"]
    weights = importance(first.tolist(), second.tolist())
    share = np.average(np.repeat([0, 1], 200), weights=weights)
    assert 0.5 + 0.7 * (0.9 - 0.5) < share < 0.93
