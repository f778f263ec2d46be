"""What a study says of explanations: what is refused, its cells, and whose learning rate is taken."""

import pytest
import yaml

from foundationless.errors import UserError
from foundationless.study.checks import read_study
from foundationless.study.plan import Cell
from support import ROOT


def demo(explaining=None, **changes):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["tables"] = {name: str(ROOT / path) for name, path in config["tables"].items()}
    spec = config["analyses"]["explanations"]
    spec |= changes
    spec["explaining"] = explaining or {}
    return config


def test_every_seed_of_both_arms_is_explained():
    plan = read_study(demo())
    cells = [cell for cell in plan.cells if cell.analysis == "explanations"]
    assert len(cells) == 9, "pretrained and random, and a network without weights to load, each with three seeds"
    assert {plan.rule_of(cell) for cell in cells} == {"explain"}
    assert plan.planted("sim_strand_words") == "strand_words"
    assert plan.planted("sim_promoter") == "truth"
    assert plan.planted("sim_strand_letters") == plan.planted("sim_biotype") == ""


def test_a_learning_rate_may_be_that_of_fine_tuning():
    cell = Cell("explanations", "sim_strand_words", "hyenadna.words", "random", 1)
    plan = read_study(demo({"rate_from": "finetune"}))
    assert plan.rate_from(cell) == cell._replace(analysis="finetune")
    assert plan.rate_from(cell._replace(model="cnn.demo")) is None, "which is not fine-tuned there"
    assert read_study(demo()).rate_from(cell) is None


@pytest.mark.parametrize(
    ("explaining", "changes", "sentence"),
    [
        ({}, {"tasks": ["sim_strand_letters"]}, "nothing was planted in 'sim_strand_letters'"),
        ({}, {"tasks": ["sim_amounts"]}, "labels of 'sim_amounts' are values"),
        ({"motifs": {"sim_mark": {"patterns": {"M": "ACGT"}}}}, {}, "unknown task 'sim_mark'"),
        ({"motifs": {"sim_strand_words": {"matrices": "absent"}}}, {}, "unknown dataset 'absent'"),
        ({"motifs": {"sim_strand_words": {"patterns": {"M": "AC"}, "names": ["M"]}}}, {}, "names is of matrices"),
        ({"motifs": {"sim_strand_words": {"patterns": {"M": "AC"}, "between": [9, 3]}}}, {}, "ends before it begins"),
        ({"motifs": {"sim_strand_words": {"patterns": {"M": "AX"}}}}, {}, "motifs.sim_strand_words"),
        ({"references": 4}, {}, "references are of the baseline 'shuffled'"),
        ({"rate_from": "biotype"}, {}, "is no analysis of this study that fine-tunes"),
        ({}, {"finetuning": {"chunks": "mean"}}, "a classifier of chunks is not explained"),
        ({}, {"baselines": ["kmer_logistic"]}, "baselines join classifications only"),
    ],
)
def test_what_does_not_fit_is_one_sentence(explaining, changes, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        read_study(demo(explaining, **changes))
    assert str(caught.value).count("\n") == 0
