"""What is trained, at which rates and when; less memory for the same bits; and every way to continue a run with it."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models.weights import initialise
from foundationless.study.families import FAMILIES
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.training import loop
from foundationless.training.classifier import Classifier, Examples
from foundationless.training.compute import Compute
from foundationless.training.learned import Classes
from foundationless.training.stacking import Alone, Stack
from foundationless.training.sweep import Settings
from foundationless.training.trainable.choice import choose_trained, save_memory
from foundationless.training.trainable.layers import read_layers
from support.fine_tuning import arguments, at_call, job, outputs, planted, same, send
from support.networks import ESM, PAD, TINY, save_model, tokens

every_family = pytest.mark.parametrize("family", FAMILIES)
DROPPED = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
SETTINGS = {"metric": "mcc", "learning_rates": (0.01,), "epochs": 4, "batch_size": 8, "pooling": "mean", "seed": 1}
WAYS = {
    "head": {"trainable": "head"},
    "last": {"trainable": "last_1"},
    "rates": {"layer_rates": 0.5},
    "unfreeze": {"unfreeze": 1, "layer_rates": 0.7},
    "lora": {"lora_rank": 2, "lora_dropout": 0.1, "trainable": "lora", "lora_targets": ["query", "value"]},
    "saving": {"lora_rank": 2, "gradient_checkpointing": True, "weight_precision": "bf16", "precision": "bf16"},
}


def network(family, **changes):
    """A tiny network in which every path matters."""
    model = initialise(family, TINY[family] | changes, 3)
    for value in model.parameters():
        value.data *= 3 if value.ndim > 1 else 1
    return model


# ---- blocks


@every_family
def test_blocks_are_called_once_each_in_the_order_of_their_names(family):
    model, called = network(family), []
    names = model.block_names()
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    model.encode(tokens(family, 9)[0][None])
    assert called == names and len(names) >= 2


@every_family
def test_depth_is_where_a_change_shows_first(family):
    """Hidden states before a depth do not see what lies at it, and what lies before and behind the blocks is told."""
    model, ids = network(family), tokens(family, 9)[0][None]
    layers, seen = read_layers(model), set()
    with torch.no_grad():
        before = model.hidden_states(ids)
        encoded = model.encode(ids)
        for name, value in model.named_parameters():
            kept = value.clone()
            value += torch.linspace(0.5, 1.5, value.numel()).view_as(value)
            changed = not torch.equal(model.encode(ids), encoded)
            moved = [not torch.equal(one, other) for one, other in zip(before, model.hidden_states(ids), strict=True)]
            value.copy_(kept)
            if changed:
                depth = layers.depth(f"backbone.{name}")
                seen.add(depth)
                # what follows on the blocks is seen in the last state alone, which may be that of the last block
                assert not any(moved[: min(depth, layers.top - 1)]), name
                assert depth > 0 or moved[0], name
                assert depth < layers.top or not any(moved[:-1]), name
    # one-hot letters have no table: nothing is at depth 0 then
    assert seen | {0} == {*range(layers.top)} | ({layers.top} if layers.tail else set()), (
        "one-hot letters have no table"
    )
    assert layers.tail or family not in ("hyenadna", "caduceus", "mistral", "nt_v1", "nt_v2", "cnn", "dilated_cnn")


def test_a_model_without_blocks_is_told_so():
    model = network("hyenadna")
    model.hyena.backbone.layers = torch.nn.Sequential(*model.hyena.backbone.layers)
    with pytest.raises(UserError, match="keeps no list of blocks"):
        model.block_names()


# ---- what is trained


def classifier_of(family="nt_v1", way=(), **changes):
    """Every token counts."""
    given = SETTINGS | {k: tuple(v) if isinstance(v, list) else v for k, v in dict(way).items() if k != "precision"}
    chosen = Settings(**given)
    model = network(family, **changes)
    layers = choose_trained(model, chosen, 5)
    torch.manual_seed(0)
    facts = {"pad_id": PAD[family], "padding_side": "right", "size": 1, "unknown_id": -1}
    tokenizer = SimpleNamespace(special_ids=frozenset(), **facts)
    made = Classifier(model, tokenizer, 2, "mean", 8, layers)
    save_memory(model, chosen)
    return made


def examples_of(family, *lengths):
    own = [row.numpy() for row in tokens(family, *lengths)]
    targets = np.arange(len(own)) % 2
    return Examples(own, targets, targets.astype(str), Classes(["0", "1"]), 0)


def trained_depths(classifier):
    return {read_layers(network("nt_v1")).depth(name) for name in Alone(classifier).trained}


def test_the_head_alone_or_the_last_blocks_with_it_are_trained():
    assert [*Alone(classifier_of(way=WAYS["head"])).trained] == ["head.weight"]
    assert trained_depths(classifier_of(way=WAYS["last"])) == {2, 3}
    assert trained_depths(classifier_of(way={"trainable": "last_2"})) == {1, 2, 3}
    with pytest.raises(UserError, match="last_3: family 'nt_v1' has 2 blocks"):
        classifier_of(way={"trainable": "last_3"})
    names = [*Alone(classifier_of(way=WAYS["lora"])).trained]
    assert len(names) == 2 * 2 * 2 + 1 and all(".query." in n or ".value." in n for n in names[:-1])
    with pytest.raises(UserError, match=r"--lora-targets q_proj: .* it has dense, key, query, value"):
        classifier_of(way={"lora_rank": 1, "lora_targets": ["q_proj"]})


def test_a_weight_learns_at_the_rate_of_its_depth(tmp_path):
    """The first step of Adam is its rate, whatever the gradient."""
    weights = save_model(tmp_path / "model", "nt_v1", ESM | {"num_hidden_layers": 2}, "nt_v1")
    states = []
    with pytest.MonkeyPatch.context() as patch:
        epoch = loop.Pack._epoch

        def spied(pack):
            states.append({n: v.detach().clone() for n, v in pack.classifier.named_parameters()})
            epoch(pack)
            states.append({n: v.detach().clone() for n, v in pack.classifier.named_parameters()})

        patch.setattr(loop.Pack, "_epoch", spied)
        flags = {"layer_rates": 0.5, "learning_rates": [0.001], "epochs": 1, "batch_size": 500}
        assert job(tmp_path / "job", weights, planted(160), **flags) == 0
    first, last = states
    layers = read_layers(initialise("nt_v1", ESM | {"num_hidden_layers": 2}, 0))
    for depth in range(4):  # a bias of keys has no gradient but noise: the largest of a depth
        moved = max(
            float((last[name] - value).abs().max()) for name, value in first.items() if layers.depth(name) == depth
        )
        assert moved == pytest.approx(0.001 * 0.5 ** (3 - depth), rel=1e-3)


def test_depths_wake_one_after_another(tmp_path):
    weights = save_model(tmp_path / "model", "nt_v1", ESM | {"num_hidden_layers": 2}, "nt_v1")
    layers = read_layers(initialise("nt_v1", ESM | {"num_hidden_layers": 2}, 0))
    moved, epoch = [], loop.Pack._epoch

    def spied(pack):
        before = {n: v.detach().clone() for n, v in pack.classifier.named_parameters()}
        epoch(pack)
        after = dict(pack.classifier.named_parameters())
        moved.append({layers.depth(name) for name in before if not torch.equal(before[name], after[name])})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Pack, "_epoch", spied)
        flags = {"unfreeze": 2, "learning_rates": [0.001], "epochs": 8}
        assert job(tmp_path / "job", weights, planted(160), **flags) == 0
    assert moved == [{3}, {3}, {2, 3}, {2, 3}, {1, 2, 3}, {1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}]


# ---- gradients


def gradients(classifier, examples, budget=16384, precision="fp32", network=Alone, epoch=0):
    """Of the whole of the examples, by name."""
    torch.manual_seed(7)
    rows = np.arange(len(examples.tokens))
    made = network(classifier) if network is Alone else network(classifier, 1)
    compute = Compute("cpu", precision=precision, token_budget=budget)
    classifier.train()
    with made.awake(epoch):
        loss = made.gradient(examples, {0: rows}, [0], compute)
    return {name: value.grad for name, value in made.trained.items() if value.grad is not None} | {
        "loss": torch.tensor(loss)
    }


WHOLE = {name: way for name, way in WAYS.items() if name != "saving"} | {"all": {}}


@settings(max_examples=10, deadline=None)
@given(
    family=st.sampled_from([name for name in FAMILIES if name != "cnn"]),
    way=st.sampled_from(["all", "head", "last", "unfreeze"]),
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=9),
    budget=st.integers(1, 200),
    recomputed=st.booleans(),
)
def test_micro_batches_have_the_gradient_of_the_whole_batch(family, way, lengths, budget, recomputed):
    """Whatever the budget, the lengths and what is trained; without dropout, which is drawn pass by pass."""
    still = {key: 0.0 for key in DROPPED} if "hidden_size" in TINY[family] and family != "mistral" else {}
    made = classifier_of(family, WHOLE[way] | {"gradient_checkpointing": recomputed}, **still)
    examples = examples_of(family, *lengths)
    whole, parts = gradients(made, examples, 10**6), gradients(made, examples, budget)
    assert whole.keys() == parts.keys()
    largest = max(float(value.abs().max()) for value in whole.values())
    for name, value in whole.items():
        assert float((value - parts[name]).abs().max()) <= 2e-5 * largest, name


@every_family
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_blocks_that_are_computed_again_give_the_same_bits(family, precision):
    """Dropout included, which is drawn again as it was."""
    dropped = DROPPED if family in ("nt_v1", "nt_v2", "dnabert2", "gena_lm", "bert") else {}
    examples = examples_of(family, 20, 11, 30)
    for way in ({}, WAYS["last"], {"unfreeze": 1}):
        plain = gradients(classifier_of(family, way, **dropped), examples, 40, precision)
        saved = gradients(
            classifier_of(family, way | {"gradient_checkpointing": True}, **dropped), examples, 40, precision
        )
        assert plain.keys() == saved.keys()
        assert all(torch.equal(plain[name], saved[name]) for name in plain)


@every_family
@pytest.mark.parametrize("way", ["head", "last", "lora"])
def test_frozen_maps_in_sixteen_bits_give_the_same_bits_under_autocast(family, way):
    if (family, way) == ("cnn", "lora"):
        pytest.skip("no linear map")  # as test_lora says
    chosen = {"lora_rank": 2} if way == "lora" else WAYS[way]
    examples, found = examples_of(family, 20, 11, 30), []
    for kept in ("fp32", "bf16"):
        made = classifier_of(family, chosen | {"weight_precision": kept})
        found.append(gradients(made, examples, 10**6, "bf16"))
        kinds = {name: value.dtype for name, value in made.named_parameters()}
        assert all(value.dtype is torch.float32 for value in Alone(made).parameters[0])
        lowered = {name for name, kind in kinds.items() if kind is torch.bfloat16}
        assert bool(lowered) == (kept == "bf16" and family != "cnn")
        assert not any("norm" in name.lower() or "embed" in name or "filter_fn" in name for name in lowered)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize("way", ["last", "rates", "unfreeze"])
def test_a_stack_trains_what_its_runs_train_alone(way):
    examples = examples_of("nt_v1", 20, 11, 30)
    made = classifier_of(way=WAYS[way])
    alone, stacked = (gradients(made, examples, network=kind) for kind in (Alone, Stack))
    assert alone.keys() == stacked.keys()
    for name, value in alone.items():
        torch.testing.assert_close(stacked[name].view_as(value), value, atol=1e-5, rtol=1e-4)
    assert Alone(made).scales == Stack(made, 1).scales


# ---- jobs


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    config = ESM | DROPPED | {"num_hidden_layers": 2}
    return save_model(tmp_path_factory.mktemp("weights") / "esm", "nt_v1", config, "nt_v1")


every_way = pytest.mark.parametrize("way", WAYS)
JOB = {"epochs": 3, "batch_size": 16, "metric": "auroc", "learning_rates": [0.003, 0.01]}


def flags_of(way):
    """As a command line has them."""
    flags = JOB | WAYS[way]
    return {key: value for key, value in flags.items() if value is not True}


def run(directory, weights, way, **changes):
    directory.mkdir(exist_ok=True)
    extra = ["--gradient-checkpointing"] if WAYS[way].get("gradient_checkpointing") else []
    flags = flags_of(way) | changes
    write_sequences(directory / "set.parquet", planted(160))
    return main(arguments(directory, weights, **flags) + extra)


@every_way
def test_a_job_killed_in_an_epoch_ends_in_the_same_bits(tmp_path, weights, way, capsys):
    assert run(tmp_path / "whole", weights, way) == 0
    broken = tmp_path / "broken"
    with at_call(loop, "validation_score", 2, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
        run(broken, weights, way)
    assert ended.value.code == 143
    assert run(broken, weights, way) == 0
    assert "continued in epoch 3" in capsys.readouterr().err
    same(tmp_path / "whole", broken)
    record = outputs(broken)[0]
    said = record["settings"]
    for key, value in WAYS[way].items():
        if key != "trainable" or value != "lora":
            assert said[key] == value
    assert 0 < said["trainable_parameters"] <= record["parameters"] + 2 * 16


@pytest.mark.parametrize("way", ["last", "unfreeze", "saving"])
def test_the_winner_of_a_race_has_the_bits_of_a_sweep(tmp_path, weights, way):
    """Runs are laid aside at the rung."""
    assert run(tmp_path / "full", weights, way) == 0
    assert run(tmp_path / "race", weights, way, rungs=[1]) == 0
    (_, wide), (record, table) = outputs(tmp_path / "full"), outputs(tmp_path / "race")
    for name in table["run"].unique():
        ours, theirs = (np.stack(one.loc[one["run"] == name, "probabilities"]) for one in (table, wide))
        np.testing.assert_array_equal(ours, theirs)
    assert record["settings"]["rungs"] == [1]
