"""What a study says of few rows that are drawn: what is refused, and its cells."""

import pytest
import yaml

from foundationless.errors import UserError
from foundationless.study.checks import read_study
from support import ROOT


def demo(analysis, **shots):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["tables"] = {name: str(ROOT / path) for name, path in config["tables"].items()}
    config["analyses"][analysis]["shots"] = {"numbers": [2, 5], **shots}
    return config


def test_both_arms_are_trained_and_a_rate_may_be_that_of_fine_tuning():
    plan = read_study(demo("fewshot_finetune", learning_rate=1e-3, rate_from="finetune"))
    cells = [cell for cell in plan.cells if cell.analysis == "fewshot_finetune" and cell.init != "baseline"]
    assert {cell.init for cell in cells} == {"pretrained", "random"}
    assert {plan.rule_of(cell) for cell in cells} == {"finetune_shots"}
    assert read_study(demo("fewshot", head="leave_one_out")).probing("fewshot")["choice"] == "leave_one_out"


@pytest.mark.parametrize(
    ("analysis", "shots", "sentence"),
    [
        ("fewshot_finetune", {}, "nothing searches a learning rate"),
        ("fewshot_finetune", {"rate_from": "biotype"}, "no analysis of this study that fine-tunes"),
        ("fewshot_finetune", {"learning_rate": 1e-3, "head": "fixed"}, "leave 'head' out"),
        ("fewshot", {"steps": 3}, "of networks that are trained"),
        ("fewshot", {"head": "best"}, "head"),
    ],
)
def test_what_does_not_fit_is_one_sentence(analysis, shots, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        read_study(demo(analysis, **shots))
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"arms": ["pretrained", "random", "embedding"]}, "none for 'embedding', so arms would be tuned unequally"),
        ({"finetuning": {"epochs": 3}}, "'finetuning: epochs' decides nothing here"),
        ({"layers": "all"}, "'layers' says nothing"),
    ],
)
def test_settings_beside_the_rows_fit_too(said, sentence):
    config = demo("fewshot_finetune", learning_rate=1e-3, rate_from="finetune")
    spec = config["analyses"]["fewshot_finetune"]
    spec |= said
    config["analyses"]["finetune"] |= {name: spec[name] for name in ("tasks", "models")}  # with its usual two arms
    with pytest.raises(UserError, match=sentence):
        read_study(config)
