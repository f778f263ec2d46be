"""Genotype baselines: dosage against the calls, components against scikit-learn, nothing learned from the test rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.records import read_record
from foundationless.features.genotypes import features
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import words
from support.fine_tuning import metric_of


@pytest.fixture
def frame():
    """Sixty people of three populations, thirty records, the last with two ALT alleles; one call is missing."""
    generator = np.random.default_rng(4)
    labels = np.repeat(["AFR", "EAS", "EUR"], 20)
    share = {label: generator.uniform(0.05, 0.95, 30) for label in np.unique(labels)}
    rows = []
    for number, label in enumerate(labels):
        split = ("train", "train", "train", "validation", "test")[number % 5]
        for copy in (1, 2):
            calls = (generator.random(30) < share[label]).astype(np.int8)
            calls[29] *= generator.integers(1, 3)
            rows.append((f"P{number}.{copy}", "ACGT", label, split, f"P{number}", f"P{number}", copy, calls))
    columns = ["id", "sequence", "label", "split", "group", "sample", "haplotype", "alleles"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.loc[0, "alleles"][3] = -1
    return frame


def people_means(frame, matrix, split=None):
    table = pd.DataFrame(matrix).groupby(frame["sample"].to_numpy(), sort=False).mean()
    if split:
        table = table.loc[frame.loc[frame["split"] == split, "sample"].unique()]
    return table.to_numpy()


def test_mean_of_a_persons_rows_is_half_the_dosage(frame):
    found = features("genotype", frame, min_count=1)
    calls = np.stack(frame["alleles"])
    expected = np.column_stack([calls == 1, calls[:, 29] == 2])
    assert found.dtype == np.float32 and np.array_equal(found, expected)
    dosage = pd.DataFrame(expected).groupby(frame["sample"].to_numpy(), sort=False).sum().to_numpy()
    assert np.allclose(people_means(frame, found), dosage / 2)


def test_alleles_of_few_or_of_all_training_rows_are_left_out(frame):
    train = frame["split"] == "train"
    for row, calls in frame["alleles"].items():
        calls[0] = not train[row]  # only outside train
        calls[1] = 1  # everywhere
        calls[2] = row == 0  # once in train
    assert features("genotype", frame, min_count=1).shape[1] == 31 - 2
    assert features("genotype", frame).shape[1] == 31 - 3


def test_components_equal_scikit_learn_on_training_people(frame):
    found = features("genotype_pca", frame, components=6)
    dosage = people_means(frame, features("genotype", frame).astype(float))
    train = people_means(frame, features("genotype", frame).astype(float), "train")
    p = train.mean(axis=0)
    scale = np.sqrt(p * (1 - p))
    oracle = PCA(6, svd_solver="full").fit(train / scale)
    expected, mine = oracle.transform(dosage / scale), people_means(frame, found)
    assert np.allclose(np.abs(expected), np.abs(mine), atol=1e-4)
    signs = np.sign((expected * mine).sum(axis=0))
    assert np.allclose(expected * signs, mine, atol=1e-4)


def test_test_rows_teach_nothing(frame):
    changed = frame.copy()
    last = frame.index[frame["split"] == "test"][-1]
    changed["alleles"] = [1 - calls if row == last else calls for row, calls in frame["alleles"].items()]
    others = frame.index != last
    for family in ("genotype", "genotype_pca"):
        before, after = features(family, frame), features(family, changed)
        assert np.array_equal(before[others], after[others]) and not np.array_equal(before[last], after[last])


def test_more_components_than_people_is_their_rank(frame):
    assert features("genotype_pca", frame, components=500).shape[1] == min(31, 36 - 1)
    two = frame[frame["sample"].isin(["P0", "P1", "P4"])]
    assert features("genotype_pca", two, min_count=1).shape == (6, 1)


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        ("genotype", {"components": 3}, "no option 'components'"),
        ("genotype_pca", {"components": 0}, "whole number from 1"),
        ("genotype", {"min_count": 1000}, "no allele is carried by 1000"),
        ("kmer", {}, "no genotype baseline"),
    ],
)
def test_mistakes_are_one_sentence(frame, family, options, words):
    with pytest.raises(UserError, match=words):
        features(family, frame, **options)
    with pytest.raises(UserError, match="no column 'alleles'"):
        features("genotype", frame.drop(columns="alleles"))


@pytest.mark.parametrize("family", ["genotype", "genotype_pca"])
def test_command_beats_permuted_labels(tmp_path, frame, family):
    path = tmp_path / "set.parquet"

    def score(table):
        write_sequences(path, table)
        flags = {"sequences": path, "family": family, "classifier": "logistic", "options": "{}", "seed": 0}
        flags |= {"analysis": "ancestry", "task": "t", "model": "m", "init": "baseline", "metric": "accuracy"}
        flags |= {"aggregate": "sample", "record": tmp_path / "r.json", "predictions": tmp_path / "p.parquet"}
        assert main(words("fit_baseline", **flags)) == 0
        assert len(pd.read_parquet(tmp_path / "p.parquet").query("split == 'test'")) == 12
        return metric_of(read_record(tmp_path / "r.json"), "validation", metric="accuracy")[0]

    assert score(frame) > 0.8
    people = frame.drop_duplicates("sample").set_index("sample")["label"]
    dealt = pd.Series(np.random.default_rng(0).permutation(people), index=people.index)
    assert score(frame.assign(label=frame["sample"].map(dealt))) < 0.7
