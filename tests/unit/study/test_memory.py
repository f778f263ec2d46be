"""Memory and work of fine-tuning by the study's settings: what each saves, what fits a GPU, who is told."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundationless.errors import UserError
from foundationless.models import onboarding
from foundationless.models.weights import initialise
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.families import FAMILIES
from foundationless.study.plan import Model
from foundationless.study.price.estimate import describe_memory
from foundationless.study.price.memory import CONVOLUTIONS, finetuning_memory, trained_weights
from foundationless.study.price.requests import Allocation
from foundationless.study.price.trained import forward_passes
from foundationless.study.price.workload import Workload, read_sizes
from foundationless.training.sweep import Settings
from foundationless.training.trainable.choice import choose_trained
from support import ROOT
from support.docs import ADAPTED, DECODERS, decoder_memory
from support.networks import TINY

SIZES = read_sizes(ROOT / "resources/lists/task_sizes.tsv")
PLAIN = {"epochs": 4, "batch_size": 64, "lora": {"rank": 0}}
WAYS = {
    "all": {},
    "last": {"trainable": "last_1"},
    "head": {"trainable": "head"},
    "lora": {"trainable": "lora", "lora": {"rank": 2}},
}


def study(name="mini", analyses=None, **finetuning):
    config = read_yaml(ROOT / f"config/{name}.yaml")
    config["tables"] = {key: str(ROOT / path) for key, path in config["tables"].items()}
    config["finetuning"] = config["finetuning"] | finetuning
    for analysis, over in (analyses or {}).items():
        config["analyses"][analysis] = config["analyses"][analysis] | over
    return read_study(config)


# ---- the formula


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in CONVOLUTIONS])
def test_what_is_trained_is_counted(family, way):
    """Beside what torch counts; of adapters, and where a body is all but its tables, at most so much."""
    network = initialise(family, TINY[family], 0)
    count = sum(value.numel() for value in network.parameters())
    given = {key: value for key, value in WAYS[way].items() if key != "lora"}
    rank = 2 if way == "lora" else 0
    choose_trained(network, Settings("mcc", (0.01,), 1, 8, "mean", 0, lora_rank=rank, **given), 5)
    trained = sum(value.numel() for value in network.parameters() if value.requires_grad) + 4 * network.width
    model = Model("m", {"family": family}, TINY[family], None, (), "m")
    counted = trained_weights(model, count, PLAIN | WAYS[way])
    if way in ("all", "head"):
        assert counted == trained
    else:
        assert 0.8 * trained <= counted <= 2.5 * trained


@given(
    sizes=st.sampled_from(DECODERS),
    way=st.sampled_from([*WAYS]),
    more=st.sampled_from(["gradient_checkpointing", "weight_precision", "token_budget", "unfreeze"]),
)
def test_every_setting_that_saves_memory_saves_it(sizes, way, more):
    value = {"gradient_checkpointing": True, "weight_precision": "bf16", "token_budget": 4096, "unfreeze": 2}[more]
    trained = {"trainable": "last_4"} if way == "last" else WAYS[way]
    plain, saved = decoder_memory(sizes, trained)[1], decoder_memory(sizes, trained | {more: value})[1]
    assert saved.total <= plain.total
    if (way, more) not in (("head", "unfreeze"), ("head", "gradient_checkpointing"), ("all", "weight_precision")):
        assert saved.total < plain.total or saved.total == saved.reading


def test_seven_billion_parameters_are_adapted_on_one_gpu_and_not_trained_whole():
    for sizes in DECODERS:
        count, whole = decoder_memory(sizes, {})
        adapted = decoder_memory(sizes, ADAPTED)[1]
        assert adapted.on_gpu < 60e9 and whole.on_gpu > 80e9
        assert adapted.weights > 2 * count and whole.weights + whole.moments > 12 * count
    assert count > 7e9


def test_work_is_that_of_what_has_a_backward_pass():
    def passes(**settings):
        return forward_passes(PLAIN | settings, 8)

    assert passes() == 3 and passes(trainable="head") == 1 and passes(trainable="last_2") == 1.5
    assert passes(trainable="lora", lora={"rank": 2}) == 2 and passes(gradient_checkpointing=True) == 4
    assert passes(trainable="last_2", gradient_checkpointing=True) == 1.75
    assert passes(unfreeze=1) == 1 + 2 * (0 + 1 + 2 + 3) / 4 / 8


# ---- the plan


def test_what_a_study_does_not_set_leaves_the_settings_of_its_jobs():
    """So that jobs that were kept are not run again."""
    plain, said = study(), study(trainable="all", layer_rates=1, unfreeze=0, gradient_checkpointing=False,
                                 weight_precision="fp32", token_budget=16384)  # fmt: skip
    for cell in plain.cells:
        if cell.analysis == "finetune" and cell.init != "baseline":
            settings = plain.finetuning(cell.task, "finetune", cell.model)
            assert settings == said.finetuning(cell.task, "finetune", cell.model)
            assert not {"trainable", "layer_rates", "unfreeze", "weight_precision", "token_budget"} & settings.keys()


def test_an_analysis_trains_what_it_says_and_a_network_among_the_baselines_is_trained_whole():
    made = study("config", {"finetune": {"finetuning": {"trainable": "lora", "layer_rates": 0.9}}}, trainable="last_1")
    settings = made.finetuning("sim_mark", "finetune", "ntv2.demo")
    assert settings["lora"]["rank"] == 8 and settings["trainable"] == "lora" and settings["layer_rates"] == 0.9
    (network,) = [name for name in made.config["baselines"] if "cnn" in name][:1]
    whole = made.finetuning("sim_mark", "finetune", network)
    assert whole["lora"]["rank"] == 0 and not {"trainable", "layer_rates"} & whole.keys()
    assert made.finetuning("sim_mark", "controls", "ntv2.demo")["trainable"] == "last_1"
    adapted = made.finetuning("sim_mark", "lora", "ntv2.demo")
    assert adapted["lora"]["rank"] == 8 and "trainable" not in adapted, "what this analysis does anyway"


@pytest.mark.parametrize(
    ("finetuning", "over", "sentence"),
    [
        ({"trainable": "head", "unfreeze": 1}, {}, "'unfreeze' is of what lies below the head"),
        ({"weight_precision": "bf16", "precision": "bf16"}, {}, "all are trained"),
        ({"weight_precision": "bf16", "trainable": "head", "precision": "fp32"}, {}, "runs in fp32"),
        ({"trainable": "last_900"}, {}, "more blocks than"),
        ({}, {"lora": {"finetuning": {"trainable": "head"}}}, "this analysis trains adapters"),
        ({"trainable": "last_0"}, {}, "trainable"),
    ],
)
def test_what_does_not_go_together_is_refused(finetuning, over, sentence):
    with pytest.raises(UserError, match=sentence):
        study("config", over, **finetuning)


def test_plan_and_requests_know_what_is_saved():
    plain, adapted = study(), study(**ADAPTED, precision="bf16", lora={"rank": 4, "alpha": 8, "dropout": 0.0})
    names = {"analysis": "finetune", "task": plain.config["analyses"]["finetune"]["tasks"][0], "init": "pretrained"}
    names["model"] = next(iter(plain.config["models"]))
    asked = []
    for one in (plain, adapted):
        work = Workload(one, SIZES)
        memory = finetuning_memory(work, names["analysis"], names["task"], one.model(names["model"]))
        assert Allocation(work).on_device(**names) == memory
        asked.append((memory.total, Allocation(work).memory("finetune_model", **names)))
        assert re.search(" of 80 GB by formula, (finetune|lowdata)/", describe_memory(work))
    assert asked[0] > asked[1]
    large = study("paper", precision="fp32", batch_size=4096, token_budget=10**6)
    assert describe_memory(Workload(large, SIZES)).endswith("in config/README.md")


def test_a_large_model_is_put_on_trial_as_it_fits():
    trial = read_yaml(ROOT / "config/trial.yaml")
    entry = {"label": "L", "pretrained": {"source": "hub", "repository": "a/b"}}
    for parameters, keys in ((5e8, set()), (1e9, {"gradient_checkpointing"}), (7e9, set(ADAPTED))):
        made, remarks = onboarding.put_on_trial(trial, "large", entry | {"parameters": int(parameters)})
        assert {*ADAPTED} & made["finetuning"].keys() == keys
        assert any("low-rank adapters" in remark for remark in remarks) == (parameters > 5e9)
