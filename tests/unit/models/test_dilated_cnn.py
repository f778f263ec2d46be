"""The dilated network: what a state depends on, its published sizes, gradients, and sizes matched to other models."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foundationless.errors import UserError
from foundationless.models.architectures.cnn import dilations
from foundationless.models.inventory import describe
from foundationless.models.weights import initialise
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.families import FAMILIES, TOLERANCE, count_parameters, matched
from support import ROOT
from support.networks import TINY, tokens

FAMILY = "dilated_cnn"
PUBLISHED = read_yaml(ROOT / "config/models.yaml")
OTHER_SIZES = {  # what the model table's configurations do not say, or say otherwise
    "hyenadna": [{"tie_word_embeddings": True}, {"vocab_size": 17, "num_inner_mlps": 3, "emb_dim": 7}],
    "caduceus": [{"ssm_cfg": {"d_state": 3, "dt_rank": 5}}, {"ssm_cfg": None, "d_model": 40}],
    "mistral": [{"tie_word_embeddings": True, "num_key_value_heads": 4}, {"head_dim": 6}],
    "nt_v1": [{"tie_word_embeddings": True}, {"emb_layer_norm_before": True, "num_hidden_layers": 3}],
    "nt_v2": [{"tie_word_embeddings": True}, {"add_bias_fnn": False}],
    "gena_lm": [{"last_layer_norm": True}, {"type_vocab_size": 5}],
    "dnabert2": [{"type_vocab_size": 3}],
    "bert": [{"max_position_embeddings": 70}],
    "caduceus_ph": [{"ssm_cfg": {"d_state": 3, "dt_rank": 5}}],
    "mutbert": [{"tie_word_embeddings": False}, {"type_vocab_size": 3}],
    "gpn": [{"kernel_size": 9, "n_layers": 2}],
    "olmo": [
        {"weight_tying": True, "embedding_size": 48},
        {"mlp_hidden_size": None, "mlp_ratio": 6, "n_kv_heads": 2, "attention_layer_norm": True},
        {"activation_type": "gelu", "multi_query_attention": True},
    ],
    "cnn": [{"depth": 1}, {"kernel_size": 3, "vocab_size": 11}],
    FAMILY: [{"width": 1}, {"width": 7, "depth": 9}, {"width": 24, "kernel_size": 9}],
}


def config(width: int = 8, depth: int = 8, kernel: int = 5, largest: int = 128, longest: int = 4096) -> dict:
    sizes = {"width": width, "depth": depth, "kernel_size": kernel, "dilation_max": largest}
    return sizes | {"vocab_size": 10, "max_tokens": longest}


def test_dilations_double_and_start_again():
    assert dilations(10, 128) == [1, 2, 4, 8, 16, 32, 64, 128, 1, 2]
    assert dilations(4, 1) == [1] * 4 and dilations(4, 5) == [1, 2, 4, 1], "no power of 2 beyond the largest"


@pytest.mark.parametrize(("depth", "kernel", "largest"), [(8, 5, 128), (3, 9, 2), (5, 3, 4), (1, 1, 1)])
def test_a_state_depends_on_its_receptive_field_to_both_ends_and_on_nothing_beyond(depth, kernel, largest):
    model = initialise(FAMILY, config(depth=depth, kernel=kernel, largest=largest), 1).double()
    for block in model.blocks:  # at initialisation what comes through all blocks is less than float64 can tell
        block.outward.weight.data *= 50
    half = model.receptive_field // 2
    assert model.receptive_field == 1 + (kernel - 1) * (1 + sum(dilations(depth, largest)))
    middle = half + 3
    ids = torch.randint(5, 9, (1, 2 * middle + 1), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model.encode(ids)[0, middle]
        for place, seen in ((middle - half - 1, False), (middle - half, True), (middle + half, True)):
            changed = ids.clone()
            changed[0, place] = 5 + (ids[0, place] - 4) % 4
            assert bool((model.encode(changed)[0, middle] - before).abs().max() > 0) == seen, place
        changed = ids.clone()
        changed[0, middle + half + 1] = 5 + (ids[0, middle + half + 1] - 4) % 4
        assert torch.equal(model.encode(changed)[0, middle], before)


def test_a_shifted_sequence_has_shifted_states():
    """No position is told from another but by its distance to an end."""
    model, (row,) = initialise(FAMILY, config(depth=3), 1), tokens(FAMILY, 90)
    with torch.no_grad():
        whole, later = model.encode(row[None])[0], model.encode(row[10:][None])[0]
    half = model.receptive_field // 2
    torch.testing.assert_close(whole[10 + half : -half], later[half:-half], atol=1e-5, rtol=0)
    assert (whole[10:12] - later[:2]).abs().max() > 1e-3


def test_every_weight_gets_a_gradient():
    model, (ids,) = initialise(FAMILY, TINY[FAMILY], 1), tokens(FAMILY, 20)
    hidden, logits = model(ids[None])
    (hidden.amax(1).sin().sum() + logits.sin().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def ordered(rows: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two motifs 60 bases apart somewhere in a random sequence; the class is which of them comes first."""
    ids, classes = (torch.randint(*of, generator=generator) for of in ((5, 9, (rows, 100)), (0, 2, (rows,))))
    motifs = torch.tensor([[5, 6, 7, 8, 5, 6], [8, 8, 5, 5, 8, 8]])
    for row, start in enumerate(torch.randint(15, 19, (rows,), generator=generator).tolist()):
        for place, motif in ((start, classes[row]), (start + 60, 1 - classes[row])):
            ids[row, place : place + 6] = motifs[motif]
    return ids, classes


def accuracy_of_order(family: str, settings: dict) -> float:
    """Accuracy on new sequences after sixty steps of training."""
    model, generator = initialise(family, settings, 0), torch.Generator().manual_seed(0)
    head = torch.nn.Linear(model.width, 2)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)  # drawn without a seed otherwise
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], 0.005)
    for _ in range(60):
        ids, classes = ordered(32, generator)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(model.encode(ids).amax(1)), classes).backward()
        optimizer.step()
    with torch.no_grad():
        ids, classes = ordered(300, generator)
        return float((head(model.encode(ids).amax(1)).argmax(1) == classes).float().mean())


def test_it_learns_the_order_of_distant_motifs_which_the_plain_network_of_its_size_cannot_see():
    """`cnn` as the studies have it reads 57 bases at once, and pooled over positions both classes hold both motifs."""
    wide, plain = config(width=24, depth=6, largest=32), {**TINY["cnn"], "kernel_size": 9, "max_tokens": 4096}
    plain |= matched("cnn", {"family": "cnn"}, plain, count_parameters(FAMILY, wide))
    assert accuracy_of_order(FAMILY, wide) > 0.95
    assert accuracy_of_order("cnn", plain) < 0.65


@pytest.mark.parametrize(("width", "depth", "millions"), [(128, 16, 0.61), (1024, 16, 37.90), (1024, 32, 75.74)])
def test_sizes_are_those_of_the_published_networks_of_these_blocks(width, depth, millions):
    """CARP-600k, -38M and -76M (Yang, Lu & Fusi 2024): 30 amino acid tokens and an embedding in place of our stem."""
    assert count_parameters(FAMILY, config(width, depth)) == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.parametrize("family", [family for family, row in FAMILIES.items() if row.count])
def test_parameters_are_counted_without_building_as_torch_counts_them(family):
    published = [entry["config"] for entry in PUBLISHED.values() if entry.get("family") == family]
    sizes = [TINY[family], *published, *({**TINY[family], **other} for other in OTHER_SIZES[family])]
    for size in sizes:
        assert count_parameters(family, size) == describe(family, size)["parameters"], size


@settings(max_examples=60, deadline=None)
@given(st.floats(3.4, 9).map(lambda power: int(10**power)))
def test_any_size_is_matched(wanted):
    sizes = matched("m", {"family": FAMILY}, config(), wanted)
    assert abs(count_parameters(FAMILY, config() | sizes) / wanted - 1) <= TOLERANCE
    assert sizes["depth"] in (8, 16, 32, 56) or wanted < 1e5


def test_deeper_networks_are_for_larger_models_and_what_cannot_be_matched_is_refused():
    depths = [matched("m", {"family": FAMILY}, config(), size)["depth"] for size in (10**5, 10**6, 10**8, 5 * 10**8)]
    assert depths == [8, 16, 32, 56]
    assert matched("m", {"family": "cnn"}, TINY["cnn"], 30_000).keys() == {"width"}, "its depth is its own"
    for family, wanted, said in (
        (FAMILY, 2 * 10**9, r"more than 1,000,000,000 parameters is known to train, and 2,000,000,000"),
        (FAMILY, 20, r"comes within 5% of 20 parameters \(the nearest has [0-9]+\); match a larger"),
        ("kmer", 10**5, "family 'kmer' has no size to choose"),
    ):
        with pytest.raises(UserError, match=said):
            matched("m", {"family": family}, config(), wanted)


@pytest.mark.parametrize("study", ["config", "mini-full", "paper"])
def test_the_baselines_of_the_studies_are_as_large_as_their_models(study):
    plan = read_study(read_yaml(ROOT / f"config/{study}.yaml"))
    named = {name: own["match"] for name, own in plan.config["baselines"].items() if "match" in own}
    assert named
    for name, match in named.items():
        own, other = (plan.model(each) for each in (name, match))
        found, wanted = (describe(model.family, model.config)["parameters"] for model in (own, other))
        assert abs(found / wanted - 1) <= TOLERANCE, (name, found, wanted)
