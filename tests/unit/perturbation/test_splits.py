"""Splits: what is drawn, from what, and that the order of a file changes nothing."""

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.perturbation.splits import draw_split, inner_folds

NAMES = [*(f"g{place:02d}" for place in range(21)), *(f"g{place:02d}+g{place + 1:02d}" for place in range(15))]
KINDS = ["single"] * 21 + ["double"] * 15


def test_unseen_holds_out_a_rounded_share_of_singles_and_no_double_trains():
    split = draw_split(NAMES, KINDS, "unseen", 1, 0.25)
    expected = np.random.default_rng(1).permutation(21)
    assert split.test.tolist() == expected[:5].tolist()
    assert split.train.tolist() == split.alike.tolist() == expected[5:].tolist()


def test_doubles_train_half_rounded_down_with_all_singles():
    split = draw_split(NAMES, KINDS, "doubles", 2, 0.5)
    expected = 21 + np.random.default_rng(2).permutation(15)
    assert split.alike.tolist() == expected[:7].tolist() and split.test.tolist() == expected[7:].tolist()
    assert set(split.train) == set(range(21)) | set(split.alike.tolist())


def test_the_order_of_the_file_changes_nothing():
    order = np.random.default_rng(0).permutation(len(NAMES))
    names, kinds = [NAMES[place] for place in order], [KINDS[place] for place in order]
    for what, share in (("unseen", 0.25), ("doubles", 0.5)):
        one, other = draw_split(NAMES, KINDS, what, 3, share), draw_split(names, kinds, what, 3, share)
        for first, second in zip(one[1:], other[1:], strict=True):
            assert [NAMES[row] for row in first] == [names[row] for row in second]


@pytest.mark.parametrize(("what", "share"), [("unseen", 0.25), ("doubles", 0.5)])
def test_inner_folds_hold_each_training_perturbation_out_once(what, share):
    split = draw_split(NAMES, KINDS, what, 1, share)
    folds = inner_folds(split, 5)
    assert sorted(np.concatenate([held for _, held in folds])) == sorted(split.alike)
    for train, held in folds:
        assert not set(train) & set(held) and set(train) | set(held) == set(split.train)
        assert not set(split.test) & (set(train) | set(held))


def test_too_few_to_split_are_refused():
    with pytest.raises(UserError, match="cannot be split"):
        draw_split(["a"], ["single"], "unseen", 1, 0.25)
    with pytest.raises(UserError, match="0 double"):
        draw_split(["a", "b"], ["single"] * 2, "doubles", 1, 0.5)
    with pytest.raises(UserError, match="--inner-folds 50"):
        inner_folds(draw_split(NAMES, KINDS, "unseen", 1, 0.25), 50)
