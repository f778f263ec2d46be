"""Conformance of scGPT and Geneformer: official numbers, names, initialisation tensor by tensor, bins and ranks."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.errors import UserError
from foundationless.models.cells.binning import bin_values, collate_cells, read_cell
from foundationless.models.cells.ranks import Ranker, pool_cell
from foundationless.models.registry import family_class
from foundationless.models.tokenizers.genes import CellVocabulary, read_vocabulary
from foundationless.models.weights import initialise, load_checkpoint
from foundationless.study.families import count_parameters
from support.golden_data import assert_gradients_as_official

# Directory of a set, its family, weights and outputs, and the tolerance of its README.
SETS = {
    "scgpt/a": ("scgpt", "weights", "outputs", 1e-4),
    "scgpt/a at its start": ("scgpt", "init/weights", "init/outputs", 2e-5),
    "scgpt/a/generator": ("scgpt", "weights", "outputs", 1e-4),
    "scgpt/a/generator at its start": ("scgpt", "init_weights", "init_outputs", 2e-5),
    "geneformer/a": ("geneformer", "weights", "outputs", 1e-4),
    "geneformer/a at its start": ("geneformer", "init/weights", "init/outputs", 2e-5),
}
FULL = {
    "scgpt/full_size": "scgpt",
    "geneformer/full_size/V1-10M": "geneformer",
    "geneformer/full_size/V2-104M": "geneformer",
}


@pytest.fixture
def cells(shared):
    return shared / "golden"


@pytest.fixture
def load(cells, tmp_path):
    """Function that loads the checkpoint in a directory of golden sets, its tensors changed or not."""

    def loaded(place, family, weights="weights", change=lambda tensors: tensors):
        shutil.copy(cells / place / "config.json", tmp_path / "config.json")
        save_file(change(load_file(cells / place / f"{weights}.safetensors")), tmp_path / "model.safetensors")
        return load_checkpoint(tmp_path, family)

    return loaded


def computed(model, inputs: dict, case: str) -> dict[str, torch.Tensor]:
    """What a model gives for a case, under the names of the golden sets."""
    mask, values, flags = (inputs.get(f"{case}.{name}") for name in ("attention_mask", "values", "pert_flags"))
    ids = inputs.get(f"{case}.gene_ids", inputs.get(f"{case}.input_ids"))
    more = {name: given for name, given in (("values", values), ("flags", flags)) if given is not None}
    states = model.hidden_states(ids, mask, **more)
    last, predicted = model(ids, mask, **more)
    found = {"last_hidden_state": last, "mlm_output": predicted, "logits": predicted}
    found |= {f"hidden_states.{i}": state for i, state in enumerate(states)}
    if model.family == "geneformer":
        special = case.startswith("special")
        for name, state in (("last", states[-1]), ("second_to_last", states[-2])):
            pooled = pool_cell(state.detach().numpy(), mask.numpy(), special)
            found |= {f"cell_embedding_{name}": torch.from_numpy(pooled), f"cls_embedding_{name}": state[:, 0]}
    elif model.generates:
        found |= dict(zip(("coefficient", "bias"), model.decoder(last), strict=True))
    else:
        cell = last[:, 0]
        found |= {"cell_emb": cell, "cell_emb_normalised": cell / cell.norm(dim=1, keepdim=True)}
        found |= {"cls_output": model.classify(cell), "mvc_output": model.from_cell(cell, ids)}
    return found


@pytest.mark.parametrize("name", SETS)
@torch.no_grad()
def test_outputs(name, cells, load):
    family, weights, outputs, tolerance = SETS[name]
    place = name.split(" ")[0]
    model = load(place, family, weights)
    inputs, official = (load_file(cells / place / f"{file}.safetensors") for file in ("inputs", outputs))
    compared = set()
    for case in sorted({key.split(".")[0] for key in inputs} - {"pred_perturb"}):
        found, valid = computed(model, inputs, case), inputs[f"{case}.attention_mask"].bool()
        for key in [key for key in official if key.startswith(f"{case}.")]:
            ours, theirs = found[key.split(".", 1)[1]], official[key]
            assert ours.shape == theirs.shape
            if ours.shape[:2] == valid.shape:
                ours, theirs = ours[valid], theirs[valid]
            torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)
            compared.add(key)
    if "all.gene_embedding" in official:
        torch.testing.assert_close(model.gene_vectors(), official["all.gene_embedding"], atol=tolerance, rtol=0)
    if "pred_perturb.all" in official:
        genes = inputs["pred_perturb.gene_ids"]
        x = inputs["pred_perturb.x"].reshape(inputs["pred_perturb.batch_size"].item(), len(genes), 2)
        for rule in ("all", "batch_wise"):
            ours = model.predict_perturbed(x[..., 0], x[..., 1].long(), genes, zeros=rule == "all")
            torch.testing.assert_close(ours, official[f"pred_perturb.{rule}"], atol=tolerance, rtol=0)
    assert compared == {key for key in official if not key.startswith(("all", "pred_perturb"))}


@pytest.mark.parametrize("place", ["scgpt/a", "scgpt/a/generator"])
def test_gradients_of_scgpt(place, cells, load):
    model = load(place, "scgpt")
    inputs, official = (load_file(cells / place / f"{file}.safetensors") for file in ("inputs", "grads"))
    found, mask = computed(model, inputs, "batch"), inputs["batch.attention_mask"]
    loss = torch.zeros(())
    for key in [key for key in official if key.startswith("cotangent.")]:
        out = found[key.removeprefix("cotangent.")]
        if out.shape[:2] == mask.shape:
            out = out * (mask if out.ndim == 2 else mask[:, :, None])
        loss = loss + (out * official[key]).sum() / out.numel()
    loss.backward()
    parameters = dict(model.named_parameters())
    for name, expected in official.items():
        if name.startswith("grad."):
            torch.testing.assert_close(parameters[name.removeprefix("grad.")].grad, expected, rtol=1e-3, atol=1e-6)
    for name in parameters.keys() - {name.removeprefix("grad.") for name in official}:
        assert parameters[name].grad is None, name


def test_gradients_of_geneformer(cells, load):
    place = cells / "geneformer/a"
    inputs, official = (load_file(place / f"{file}.safetensors") for file in ("inputs", "grads"))
    model = load("geneformer/a", "geneformer")
    assert_gradients_as_official(model, official, inputs["batch.input_ids"], inputs["batch.attention_mask"])


# ---- names


@pytest.mark.parametrize("form", ["self_attn.Wqkv.", "self_attn._impl.Wqkv.", "both"])
def test_names_of_flash_attention(form, load):
    def flash(tensors):
        forms = ["self_attn.Wqkv.", "self_attn._impl.Wqkv."] if form == "both" else [form]
        return {
            name: tensor.clone()
            for key, tensor in tensors.items()
            for name in {re.sub(r"self_attn\.in_proj_", new, key) for new in forms}
        }

    plain, other = load("scgpt/a", "scgpt"), load("scgpt/a", "scgpt", change=flash)
    assert all(torch.equal(other.state_dict()[key], value) for key, value in plain.state_dict().items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: {k: v for k, v in t.items() if "s.1.self_attn.in_proj_b" not in k}, "in_proj_bias' is missing"),
        (lambda t: t | {"decoder.fc.6.weight": torch.ones(1, 32)}, "decoder.fc.6.weight' is unexpected"),
        (lambda t: t | {"pert_encoder.weight": torch.ones(3, 32)}, "pert_encoder.weight' is unexpected"),
        (lambda t: {k: v for k, v in t.items() if k != "decoder.fc.4.bias"}, "decoder.fc.4.bias' is missing"),
        (lambda t: t | {"transformer_encoder.layers.0.self_attn.Wqkv.bias": torch.ones(96)}, "hold different numbers"),
        (lambda t: t | {"encoder.embedding.weight": torch.ones(61, 32)}, "shape"),
    ],
)  # fmt: skip
def test_nothing_is_left_at_random(change, said, load):
    with pytest.raises(UserError, match=re.escape(said)):
        load("scgpt/a", "scgpt", change=change)


def test_parts_that_predict_may_be_absent_as_a_whole(load):
    model = load("scgpt/a", "scgpt", change=lambda t: {k: v for k, v in t.items() if not k.startswith("cls_decoder")})
    assert model.absent == {"cls_decoder"} and not model.has_head
    model.project(torch.ones(1, 2, 32))
    with pytest.raises(UserError, match="no part 'cls_decoder'"):
        model.classify(torch.ones(1, 32))


def test_constants_that_files_hold_too(load):
    extra = {"bert.embeddings.position_ids": torch.arange(64)[None]}
    model = load("geneformer/a", "geneformer", change=lambda tensors: tensors | extra)
    assert model.has_head
    load("scgpt/a", "scgpt", change=lambda tensors: tensors | {"flag_encoder.weight": torch.ones(2, 32)})


@pytest.mark.parametrize("place", [*FULL, "geneformer/full_size/V2-316M"])
def test_full_size_keys_and_parameters(place, cells):
    full, family = cells / place, place.split("/")[0]
    keys, summary, config = (json.loads((full / f"{n}.json").read_text()) for n in ("keys", "summary", "config"))
    model_class = family_class(family)
    forms = [(config, keys, summary)]
    if family == "scgpt":
        generator = json.loads((full / "keys_generator.json").read_text())
        forms.append((config | {"model": "TransformerGenerator", "do_mvc": False}, generator, summary["generator"]))
    for settings, expected, counted in forms:
        with torch.device("meta"):
            model = model_class(model_class.check_config(settings))
        state = model.state_dict()
        assert {k: list(v.shape) for k, v in state.items()} == {k: v["shape"] for k, v in expected.items()}
        assert sum(p.numel() for p in model.parameters()) == counted["parameters"]
        assert count_parameters(family, settings) == counted["parameters"]
    if family == "geneformer":
        assert len(state) - len(model.shared_names()) == summary["published_tensors"]


def test_names_of_the_published_checkpoint(cells):
    """The names that were seen in it, and those expected, load without numbers."""
    full = cells / "scgpt/full_size"
    said, config = (json.loads((full / f"{name}.json").read_text()) for name in ("checkpoint_keys", "config"))
    keys = json.loads((full / "keys.json").read_text())
    outlines = {name: torch.empty(row["shape"], device="meta") for name, row in said["verified"].items()}
    model_class = family_class("scgpt")
    model = model_class.foresee(model_class.check_config(config), outlines, "the checkpoint")
    assert model.absent == {"decoder", "cls_decoder", "mvc_decoder"}
    whole = outlines | {name: torch.empty(keys[name]["shape"], device="meta") for name in said["not_verified_expected"]}
    assert model_class.foresee(model_class.check_config(config), whole, "the checkpoint").has_head


# ---- random initialisation


@pytest.mark.parametrize("place", [*FULL, "generator"])
def test_initialisation_is_the_official_one_number_by_number(place, cells):
    """From torch's own generator at the official seed: every statistic of every tensor, in its last bit."""
    full = cells / ("scgpt/full_size" if place == "generator" else place)
    config, file = json.loads((full / "config.json").read_text()), "init_stats"
    if place == "generator":
        config |= {"model": "TransformerGenerator", "do_mvc": False, "pert_pad_id": 0}
        file = "init_stats_generator_own_parts"
    official = json.loads((full / f"{file}.json").read_text())
    model_class = family_class(FULL.get(place, "scgpt"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(official["seed"])
        state = model_class(model_class.check_config(config)).state_dict()
    assert place == "generator" or state.keys() == official["stats"].keys()
    for name, theirs in official["stats"].items():
        x = state[name].double()
        spread = x.std().item() if x.numel() > 1 else theirs["std"]
        ours = {"min": x.min().item(), "max": x.max().item(), "mean": x.mean().item(), "std": spread}
        for fact, number in ours.items():
            # Vector units of other processors draw other last bits.
            assert number == pytest.approx(theirs[fact], rel=1e-6, abs=1e-9), (name, fact)


@pytest.mark.parametrize("name", ["scgpt/a", "scgpt/a/generator", "geneformer/a"])
def test_what_is_equal_and_what_is_zero_at_the_start(name, cells):
    config = json.loads((cells / name / "config.json").read_text())
    file = "init_weights" if "generator" in name else "init/weights"
    official = load_file(cells / name / f"{file}.safetensors")
    state = initialise(name.split("/")[0], config, 4).state_dict()
    again = initialise(name.split("/")[0], config, 4).state_dict()
    for key, theirs in official.items():
        assert torch.equal(state[key], again[key])
        assert torch.equal(state[key] == 0, theirs == 0) or (theirs == 0).float().mean() < 0.01, key
        if theirs.ndim == 2:
            assert torch.equal((state[key] == 0).all(-1), (theirs == 0).all(-1)), key
    if name.startswith("scgpt"):
        for key in [key for key in state if "layers.0" in key]:
            assert torch.equal(state[key], state[key.replace("layers.0", "layers.1")])
        assert state["encoder.embedding.weight"].abs().max() <= 0.1


# ---- bins


def test_bins(cells):
    held = json.loads((cells / "scgpt/a/binning.json").read_text())
    for case in held["robust"] + held["delicate"]:
        kind = np.float32 if "float32" in case.get("input", "") else np.float64
        found = bin_values(np.array(case["values"], dtype=kind), case["n_bins"], np.random.default_rng(0))
        assert found.dtype == kind and found.tolist() == case["result"], case["name"]
    ties = 0
    for case in held["edge_cases"] + held["ties"]:
        values = np.array(case["values"], dtype=np.float64)
        if "result" in case:
            assert bin_values(values, case["n_bins"], np.random.default_rng(0)).tolist() == case["result"]
        for seeded, official in case.get("official_with_seed", {}).items():
            draws = np.random.RandomState(int(re.search(r"\d+", seeded)[0]))
            assert bin_values(values, case["n_bins"], draws).tolist() == official, case["name"]
            ties += 1
        if "lowest_possible" in case:
            generator = np.random.default_rng(1)
            drawn = np.array([bin_values(values, case["n_bins"], generator) for _ in range(400)])
            assert (drawn.min(0) >= case["lowest_possible"]).all() and (drawn.max(0) <= case["highest_possible"]).all()
            spread = np.array(case["highest_possible"]) - case["lowest_possible"]
            assert (abs(drawn.mean(0) - case["mean_of_400_draws"]) <= 0.02 + 0.12 * spread).all(), case["name"]
    assert ties >= 8


def test_cells_as_the_embedding_code_feeds_them(cells):
    case = json.loads((cells / "scgpt/a/collated.json").read_text())
    read = [
        read_cell(row, np.array(case["gene_ids"]), case["cls_id"], case["pad_value"], case["n_bins"], np.random)
        for row in np.array(case["X"], dtype=np.float32)
    ]
    ids, values, mask = collate_cells(read, case["pad_id"], case["pad_value"], case["max_length"])
    assert ids.tolist() == case["expected_gene_ids"] and values.tolist() == case["expected_values"]
    assert (mask == (ids != case["pad_id"])).all()
    short, _, _ = collate_cells(read, case["pad_id"], case["pad_value"], 5, np.random.default_rng(3))
    assert short.shape == (3, 5) and (short[:, 0] == case["cls_id"]).all()
    assert all(set(row) <= set(whole) and len(set(row)) == 5 for row, whole in zip(short, ids, strict=True))


# ---- ranks


def test_ranks_of_real_cells(cells):
    held = json.loads((cells / "geneformer/a/tokenization_v1.json").read_text())
    ids = held["special_tokens"] | {gene: token for gene, (token, _) in held["dictionary"].items()}
    vocabulary = CellVocabulary(ids, {gene: median for gene, (_, median) in held["dictionary"].items()}, "ensembl")
    for cell in held["cells"]:
        ranker = Ranker(cell["genes"], vocabulary)
        tokens, values = ranker.rank(np.array(cell["counts"]), cell["n_counts"], held["model_input_size"])
        assert tokens.tolist() == cell["input_ids"] and len(tokens) == cell["length"]
        whole, _ = ranker.rank(np.array(cell["counts"]), cell["n_counts"], 10**6)
        assert len(whole) == cell["length_uncropped"]
        medians = {token: median for token, median in held["dictionary"].values()}
        first = [value / medians[token] for token, value in zip(tokens[:5], values[:5], strict=True)]
        np.testing.assert_allclose(first, cell["normalised_first_5"], rtol=1e-12)


def test_ranks_by_the_rules_of_v2(cells):
    held = json.loads((cells / "geneformer/a/tokenization_v2_synthetic.json").read_text())
    vocabulary = CellVocabulary(held["token_dictionary"], held["gene_medians"], "ensembl")
    ranker = Ranker(held["columns"], vocabulary, held["gene_mapping"])
    for name, results in held["results"].items():
        most, special, by_cell = int(name.split("_")[-1]), name.startswith("v2"), {row["cell"]: row for row in results}
        for cell, counts in enumerate(np.array(held["counts"])):
            tokens, values = ranker.rank(counts, held["n_counts"][cell], most, special)
            if cell in held["cells_without_any_gene_are_dropped"]:
                assert not len(tokens)
                continue
            assert tokens.tolist() == by_cell[cell]["input_ids"], (name, cell)
            if "counts" in by_cell[cell]:
                np.testing.assert_allclose(values, by_cell[cell]["counts"], rtol=1e-12)


def test_the_published_dictionary(cells):
    vocabulary = read_vocabulary(cells / "geneformer/dictionaries/gc30M_tokens_medians.tsv.gz")
    assert vocabulary.size == 25_426 and len(vocabulary.genes) == len(vocabulary.medians) == 25_424
    assert (vocabulary.pad_id, vocabulary.mask_id, vocabulary.cls_id) == (0, 1, None)
    assert vocabulary.namespace == "ensembl"
    held = json.loads((cells / "geneformer/a/tokenization_v1.json").read_text())["dictionary"]
    assert all([vocabulary.ids[gene], vocabulary.medians[gene]] == pair for gene, pair in held.items())
