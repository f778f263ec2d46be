"""Splits that are made here: what is near stays on one side, and what cannot be split is one sentence."""

import random

import numpy as np
import pandas as pd
import pytest

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.tasks import leakage
from foundationless.tasks.dealing import clusters, deal, draw

OPTIONS = {"deal": "", "fractions": [0.6, 0.2, 0.2]}


def dna(length, seed):
    return "".join(random.Random(seed).choices("ACGT", k=length))


def changed(text, share, seed):
    dice = random.Random(seed)
    return "".join(dice.choice("ACGT".replace(base, "")) if dice.random() < share else base for base in text)


def rows(sequences, labels=None, **columns):
    labels = labels or [str(number % 2) for number in range(len(sequences))]
    ids = [f"r{number}" for number in range(len(sequences))]
    return pd.DataFrame({"id": ids, "sequence": sequences, "label": labels, **columns})


def test_clusters_link_near_duplicates_overlaps_and_strands_and_nothing_else():
    base = [dna(300, seed) for seed in range(60)]
    near = [changed(base[number], 0.06, number) for number in range(10)]
    other_strand = [reverse_complement(base[number]) for number in range(10, 20)]
    windows = [base[number][150:] + base[number + 1][:150] for number in range(20, 30)]  # links two of them
    found = clusters([*base, *near, *other_strand, *windows])
    assert [found[60 + number] == found[number] for number in range(10)] == [True] * 10
    assert [found[70 + number] == found[10 + number] for number in range(10)] == [True] * 10
    assert len(set(found[20:31])) == 1, "a chain of windows is one cluster"
    assert len(set(found[31:60])) == 29 and not set(found[31:60]) & set(found[:31])


@pytest.mark.parametrize("seed", range(3))
def test_no_test_row_is_near_to_training(seed):
    families = [[changed(dna(200, 100 * seed + number), 0.05, copy) for copy in range(4)] for number in range(40)]
    frame = rows([text for family in families for text in family], [str(n // 4 % 2) for n in range(160)])
    dealt = deal(frame, OPTIONS, seed, "here")
    audited, _ = leakage.audit(dealt)
    assert not audited["near"].any() and not audited["collinear"].any()
    assert abs((dealt["split"] == "test").mean() - 0.2) < 0.06
    flattering = deal(frame, OPTIONS | {"deal": "rows"}, seed, "here")
    audited, _ = leakage.audit(flattering)
    assert audited.loc[audited["split"] == "test", "near"].mean() > 0.8


def test_groups_are_not_torn_and_identical_sequences_join_them():
    texts = [dna(80, seed) for seed in range(98)]
    frame = rows([*texts, texts[0], texts[5]], group=[f"g{number // 2}" for number in range(100)])
    dealt = deal(frame, OPTIONS, 1, "here")
    assert (dealt.groupby("group")["split"].nunique() == 1).all()
    assert dealt["split"].iloc[98] == dealt["split"].iloc[0] and dealt["split"].iloc[99] == dealt["split"].iloc[5]
    assert dealt["group"].iloc[98] == dealt["group"].iloc[0]


@pytest.mark.parametrize("named", [False, True])
def test_rows_that_are_dealt_singly_keep_their_groups(named):
    """Copies are right or wrong together, whatever split they are in: the bootstrap draws them together."""
    families = [[changed(dna(200, number), 0.03, copy) for copy in range(5)] for number in range(30)]
    columns = {"group": [f"g{number // 10}" for number in range(150)]} if named else {}
    frame = rows([text for family in families for text in family], [str(n // 5 % 2) for n in range(150)], **columns)
    dealt = deal(frame, OPTIONS | {"deal": "rows"}, 1, "here")
    assert dealt["group"].nunique() == (15 if named else 30)
    assert (dealt.groupby("group")["split"].nunique() > 1).mean() > 0.9
    assert dealt["group"].tolist() == deal(frame, OPTIONS, 1, "here")["group"].tolist()


def test_a_split_of_the_owner_is_taken_and_lacks_no_more_than_validation():
    words = ["train"] * 60 + ["dev"] * 20 + ["TEST"] * 20
    dealt = deal(rows([dna(60, seed) for seed in range(100)], split=words), OPTIONS, 1, "here")
    assert dealt["split"].tolist() == ["train"] * 60 + ["validation"] * 20 + ["test"] * 20
    dealt = deal(rows([dna(60, seed) for seed in range(100)], split=["train"] * 80 + ["test"] * 20), OPTIONS, 1, "here")
    assert dealt["split"].value_counts().to_dict() == {"train": 60, "validation": 20, "test": 20}


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        ({"split": ["train"] * 20 + ["foo"] * 20}, {}, "'foo' in the column of the split"),
        ({"split": ["train"] * 40}, {}, "no row is in the split 'test'"),
        ({}, {"deal": "groups"}, "needs a column of groups"),
        ({"group": ["one"] * 36 + ["a", "b", "c", "d"]}, {}, "too few are left to test on"),
        ({"label": ["a"] * 39 + ["b"]}, {}, "no row of class 'b' is in"),
    ],
)
def test_what_cannot_be_split_is_one_sentence(columns, options, sentence):
    frame = rows([dna(60, seed) for seed in range(40)]).assign(**columns)
    with pytest.raises(UserError, match=sentence):
        deal(frame, OPTIONS | options, 1, "here")


def test_large_groups_train():
    groups = np.array(["large"] * 60 + [f"g{number}" for number in range(140)])
    split = draw(["a", "b"] * 100, groups, [0.6, 0.2, 0.2], 1, "here")
    assert set(split[:60]) == {"train"}
    assert (split == "test").sum() == 40 and (split == "validation").sum() == 40
