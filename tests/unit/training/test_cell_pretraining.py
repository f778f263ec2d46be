"""Pretraining on cells: what is planted is learned, a killed job goes on to the same bits, cells are joined."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from foundationless.errors import UserError
from foundationless.models.tokenizers import load_tokenizer, tokenizer_files
from foundationless.models.tokenizers.genes import nonzero_medians, of_genes, write_vocabulary
from foundationless.models.weights import initialise, load_weights, retokenized, save_weights
from foundationless.runtime.files import sha256
from foundationless.training.cells import pretraining
from foundationless.training.cells.corpus import choose_genes, combine, held_out
from foundationless.training.cells.pretraining import CellSettings, pretrain_cells
from foundationless.training.compute import Compute

GENES = [f"G{i}" for i in range(40)]
SCGPT = {"ntoken": 9, "d_model": 16, "nhead": 2, "d_hid": 16, "nlayers": 2, "do_mvc": True, "n_input_bins": 11,
         "pad_value": -2, "dropout": 0.1}  # fmt: skip
GENEFORMER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
              "vocab_size": 9, "max_position_embeddings": 40, "hidden_act": "relu"}  # fmt: skip
SETTINGS = CellSettings(
    steps=60, batch_size=16, most_tokens=24, learning_rate=1e-2, minimum_learning_rate=1e-3, warmup=5,
    betas=(0.9, 0.95), weight_decay=0.01, mask_probability=None, checkpoint_every=30, heldout_share=0.2, seed=1,
)  # fmt: skip


def cells(count: int = 120):
    """Cells of two kinds, each with high counts in one half of the genes."""
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1], count // 2)
    rates = np.where((np.arange(40) < 20)[None] == (kinds == 0)[:, None], 20.0, 0.4)
    return combine([(sparse.csr_matrix(rng.poisson(rates * np.linspace(1, 6, 40))), GENES)])


@pytest.fixture(params=["scgpt", "geneformer"])
def start(request, tmp_path):
    """A weight directory to begin with."""
    family, corpus = request.param, cells()
    write_vocabulary(tmp_path / "vocabulary.json", of_genes(GENES, family, nonzero_medians(corpus.counts, GENES)))
    config = retokenized(family, SCGPT if family == "scgpt" else GENEFORMER, load_tokenizer("cells", tmp_path))
    card = {"model": "tiny", "family": family, "tokenizer": "cells", "init": "random", "seed": 0, "source": "test"}
    files = tokenizer_files("cells", tmp_path)
    save_weights(tmp_path / "random", initialise(family, config, 0), card, files)
    return tmp_path


def run(start, name, settings=SETTINGS):
    (start / f"checkpoint_{name}").mkdir(exist_ok=True)
    compute = Compute("cpu", 1, "fp32", 256)
    given = {"name": "tiny", "source": {"corpus": "planted"}, "recipe": 1}
    places = {"checkpoints": start / f"checkpoint_{name}", "output": start / name}
    return pretrain_cells(start / "random", cells(), settings, compute, **places, **given)


def test_it_learns_and_writes_a_weight_directory(start):
    steps = 240
    outcome = run(start, "out", replace(SETTINGS, steps=steps, checkpoint_every=120))
    losses = [result.value for result in outcome.results]
    assert [result.extra["step"] for result in outcome.results] == [0, 120, steps]
    assert losses[-1] < 0.95 * losses[0]
    loaded = load_weights(start / "out")
    assert loaded.card["init"] == "pretrained" and loaded.card["source"]["steps"] == steps
    assert loaded.tokenizer.genes == tuple(GENES)
    assert (outcome.curve["split"] == "train").sum() == steps


def test_a_killed_job_goes_on_to_the_same_bits(start, monkeypatch):
    whole = run(start, "whole")
    advance = pretraining._Run.advance

    def dies(self):
        if self.step == 41:
            raise KeyboardInterrupt
        advance(self)

    monkeypatch.setattr(pretraining._Run, "advance", dies)
    with pytest.raises(KeyboardInterrupt):
        run(start, "again")
    assert not (start / "again").exists()
    monkeypatch.undo()
    again = run(start, "again")
    assert again.curve.equals(whole.curve)
    assert sha256(start / "again/model.safetensors") == sha256(start / "whole/model.safetensors")


def test_passes_add_up_to_the_whole_batch(start):
    """A small token budget changes nothing but rounding."""
    runs = []
    for budget in (10**6, 30):
        compute = Compute("cpu", 1, "fp32", budget)
        each = pretraining._Run(start / "random", cells(), SETTINGS, compute, {})
        batch = each.read(each.cells_of(0), 0)
        loss = each.losses(batch, batch.predicted, backward=True)
        runs.append((loss, [p.grad for p in each.model.parameters() if p.grad is not None]))
    (one, grads), (other, others) = runs
    assert one == pytest.approx(other, rel=1e-5)
    for left, right in zip(grads, others, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-5)


def test_what_is_masked_is_hidden(start):
    each = pretraining._Run(start / "random", cells(), SETTINGS, Compute("cpu", 1, "fp32", 4096), {})
    batch = each.read(each.cells_of(0), 0)
    assert batch.predicted and not (batch.chosen & ~batch.mask.bool()).any()
    if batch.values is not None:
        assert (batch.values[batch.chosen] == -1).all() and (batch.targets[batch.chosen] >= 1).all()
        assert not batch.chosen[:, 0].any()
    else:
        hidden = batch.ids[batch.chosen] == 1
        assert 0.6 < hidden.float().mean() < 0.95
    assert set(each.train) & set(each.heldout) == set()


def test_cells_of_several_files_are_joined_by_gene():
    corpus = combine([(np.array([[1, 2], [0, 3]]), ["A", "B"]), (np.array([[4, 5, 6]]), ["B", "C", "B"])])
    assert corpus.genes == ("A", "B", "C") and corpus.totals.tolist() == [3, 3, 15]
    assert corpus.counts.toarray().tolist() == [[1, 2, 0], [0, 3, 0], [0, 10, 5]]
    assert corpus.of_genes(["C", "X", "B"]).counts.toarray().tolist() == [[0, 0, 2], [0, 0, 3], [5, 0, 10]]
    assert choose_genes(corpus, 2) == ["B", "A"] and choose_genes(corpus, 2, ["X", "C"]) == ["C", "B"]
    with pytest.raises(UserError, match="none of them has a gene that is expressed"):
        choose_genes(combine([(np.zeros((3, 2)), ["A", "B"])]), 2)
    train, held = held_out(10, 0.2, 3)
    assert sorted([*train, *held]) == list(range(10)) and len(held) == 2


@pytest.mark.parametrize("parts", [[], [(np.zeros((0, 1)), ["A"])], [(np.array([[-1.0]]), ["A"])]])
def test_what_are_no_cells(parts):
    with pytest.raises(UserError, match="cells: "):
        combine(parts)


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"most_tokens": 2}, {"warmup": 99}, {"learning_rate": 0.0}, {"mask_probability": 1.0},
               {"mask_probability": 0.0},
               {"heldout_share": 0.0}, {"betas": (0.9, 1.0)}, {"batch_size": 0}],
)  # fmt: skip
def test_settings_that_cannot_be_run(change):
    with pytest.raises(UserError, match="--"):
        CellSettings(**{**SETTINGS.__dict__, **change})


def test_genes_that_nobody_knows(start):
    other = combine([(np.ones((5, 3)), ["X", "Y", "Z"])])
    with pytest.raises(UserError, match="fewer than two"):
        pretrain_cells(
            start / "random", other, SETTINGS, Compute(), start, start / "out", "tiny", {}, 1
        )  # fmt: skip
