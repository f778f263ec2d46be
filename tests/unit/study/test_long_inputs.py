"""What a study says of long inputs: which settings it leaves, what it is refused, and what it pays."""

import pytest

from foundationless.errors import UserError
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.price.memory import finetuning_memory
from foundationless.study.price.requests import Allocation
from foundationless.study.price.workload import Workload
from support import ROOT


def study(embedding=None, analyses=None, keep=None, **finetuning):
    config = read_yaml(ROOT / "config/mini.yaml")
    config["tables"] = {key: str(ROOT / path) for key, path in config["tables"].items()}
    config["finetuning"] = config["finetuning"] | finetuning
    config["embedding"] = config["embedding"] | (embedding or {})
    config["analyses"] |= analyses or {}
    if keep:
        config["analyses"] = {name: config["analyses"][name] for name in keep}
    return read_study(config)


def test_no_chunks_leave_the_settings_of_jobs_as_they_were():
    plain, said = study(), study(chunks="none")
    for task in plain.config["analyses"]["finetune"]["tasks"]:
        assert plain.finetuning(task, "finetune") == said.finetuning(task, "finetune")
        assert "chunks" not in plain.finetuning(task, "finetune")


def test_an_analysis_and_a_suite_say_it_for_themselves():
    spec = study().config["analyses"]["finetune"]
    made = study(chunks="mean", analyses={"finetune": spec | {"finetuning": {"chunks": "none"}}})
    task = spec["tasks"][0]
    assert "chunks" not in made.finetuning(task, "finetune")
    suite = made.task(task)["suite"]
    assert study(suites={suite: {"chunks": "attention"}}).finetuning(task, "finetune")["chunks"] == "attention"


def paper_read():
    plan = study()
    name = next(name for name in plan.config["models"] if plan.model(f"{name}.paper").family == "hyenadna")
    return f"{name}.paper"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"embedding": {"chunks": "attention"}}, "a frozen embedding learns nothing; use mean, or fine-tune"),
        ({"embedding": {"chunks": "sum"}}, "chunks"),
        ({"chunks": "max"}, "chunks"),
        ({"embedding": {"chunks": "mean"}, "keep": ["finetune"]}, "which no analysis of the study reads"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(said, sentence):
    with pytest.raises(UserError, match=sentence):
        study(**said)


def test_what_is_read_as_in_the_paper_has_no_chunks():
    name = paper_read()
    analyses = {"finetune": study().config["analyses"]["finetune"] | {"models": [name]}}
    study(analyses=analyses)
    with pytest.raises(UserError, match=r"'finetune', finetuning\.chunks: '.*\.paper' is read as in the paper"):
        study(analyses=analyses, chunks="mean")


def test_pretraining_and_scores_of_variants_have_no_such_setting():
    config = read_yaml(ROOT / "config/config.yaml")
    config["tables"] = {key: str(ROOT / path) for key, path in config["tables"].items()}
    for place in (config["pretraining"], config["scoring"], config["analyses"]["likelihood"]):
        place["chunks"] = "mean"
        with pytest.raises(UserError, match="chunks"):
            read_study(config)
        del place["chunks"]
    read_study(config)


def test_tokens_beyond_the_limit_are_paid_where_they_are_read():
    """Sequences of 10 and 100 times the limit: cut off they cost what the limit does."""
    plain, chunked = study(), study(chunks="mean")
    task, name = plain.config["analyses"]["finetune"]["tasks"][0], next(iter(plain.config["models"]))
    model = plain.model(name)
    limit = model.entry["max_tokens"]
    step = Workload(plain, {}).tokens(model, 1000.0)[0] / 1000.0
    paid = {}
    for label, plan in (("none", plain), ("mean", chunked)):
        for times in (1, 10, 100):
            size = {"train": 1000.0, "validation": 100.0, "test": 100.0, "length": times * limit / step}
            work = Workload(plan, {task: size})
            names = {"analysis": "finetune", "task": task, "model": name, "init": "pretrained"}
            begun = work.start("finetune_model")
            seconds = work.of("finetune_model", **names).seconds - begun
            memory = finetuning_memory(work, "finetune", task, model).total
            paid[label, times] = seconds, memory, Allocation(work).memory("finetune_model", gpu=0, **names)
    assert paid["none", 100][0] == pytest.approx(paid["none", 1][0])
    assert 5 < paid["mean", 10][0] / paid["mean", 1][0] < 15
    assert 7 < paid["mean", 100][0] / paid["mean", 10][0] < 15  # twice as much work again in several passes
    assert paid["mean", 100][1] < 1.01 * paid["mean", 10][1], "memory follows the budget"
