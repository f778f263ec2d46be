"""Networks of single cells: vocabularies, what stands beside weights, vectors of genes, and what is refused."""

import gzip
import json

import numpy as np
import pytest
import torch
from scipy import sparse

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models.cells.binning import bin_values, collate_cells, read_cell
from foundationless.models.cells.ranks import Ranker
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.tokenizers.genes import (
    CellVocabulary,
    nonzero_medians,
    of_genes,
    read_vocabulary,
    write_vocabulary,
)
from foundationless.models.weights import initialise, load_weights, retokenized
from foundationless.perturbation.vectors import read_vectors

SCGPT = {"ntoken": 9, "d_model": 16, "nhead": 2, "d_hid": 16, "nlayers": 2, "do_mvc": True, "n_input_bins": 51}
GENEFORMER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
              "vocab_size": 9, "max_position_embeddings": 20, "hidden_act": "relu"}  # fmt: skip
CONFIGS = {"scgpt": SCGPT, "geneformer": GENEFORMER}
GENES = ("TP53", "KLF1", "GATA1", "MYC", "SPI1")


@pytest.fixture(params=CONFIGS)
def directory(request, tmp_path):
    """A weight directory that `initialise` wrote, with a vocabulary of five genes."""
    family = request.param
    write_vocabulary(tmp_path / "vocabulary.json", of_genes(GENES, family, dict.fromkeys(GENES, 2.0)))
    flags = ["--config", json.dumps(CONFIGS[family]), "--tokenizer", "cells", "--model", "tiny", "--seed", "3"]
    flags += ["--tokenizer-file", str(tmp_path / "vocabulary.json"), "--output", str(tmp_path / "weights")]
    assert main(["initialise", "--family", family, *flags]) == 0
    return tmp_path / "weights"


def test_the_vocabulary_lies_beside_the_weights_and_decides_the_size(directory):
    loaded = load_weights(directory)
    assert loaded.tokenizer.genes == GENES and loaded.model.vocabulary_size == loaded.tokenizer.size
    assert loaded.tokenizer.size == (8 if loaded.card["family"] == "scgpt" else 7)
    (directory / "vocabulary.json").unlink()
    with pytest.raises(UserError, match="no vocabulary"):
        load_weights(directory)


def test_vectors_of_genes(directory, tmp_path, capsys):
    assert main(["embed_genes", "--weights", str(directory), "--output", str(tmp_path / "genes.parquet")]) == 0
    vectors, loaded = read_vectors(tmp_path / "genes.parquet"), load_weights(directory)
    assert vectors.genes == GENES and vectors.namespace == "symbol"
    state, ids = loaded.model.state_dict(), [loaded.tokenizer.ids[gene] for gene in GENES]
    if loaded.card["family"] == "geneformer":
        expected = state["bert.embeddings.word_embeddings.weight"][ids]
    else:
        rows = state["encoder.embedding.weight"][ids]
        expected = (rows - rows.mean(1, keepdim=True)) / (rows.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    np.testing.assert_allclose(vectors.matrix, expected.numpy(), atol=1e-5)


def test_they_read_no_sequence(directory, capsys):
    loaded = load_weights(directory)
    with pytest.raises(UserError, match="reads cells, not sequences"):
        loaded.tokenizer.encode("ACGT")
    if loaded.card["family"] == "scgpt":
        with pytest.raises(UserError, match="a value beside each gene"):
            loaded.model(torch.tensor([[1, 2]]))


@pytest.mark.parametrize("family", ["scgpt", "hyenadna"])
def test_vocabulary_and_family_belong_together(family):
    tokenizer = load_tokenizer("character") if family == "scgpt" else of_genes(GENES, "scgpt")
    with pytest.raises(UserError, match="does not fit"):
        retokenized(family, CONFIGS.get(family, {}), tokenizer)


def test_a_model_of_sequences_has_no_vectors_of_genes(tmp_path, capsys):
    config = json.dumps({"width": 8, "depth": 2, "kernel_size": 3, "vocab_size": 10, "max_tokens": 60})
    flags = ["--config", config, "--tokenizer", "character", "--model", "tiny", "--seed", "3"]
    assert main(["initialise", "--family", "cnn", *flags, "--output", str(tmp_path / "weights")]) == 0
    capsys.readouterr()
    assert main(["embed_genes", "--weights", str(tmp_path / "weights"), "--output", str(tmp_path / "x.parquet")]) == 2
    assert "has no vectors of genes" in capsys.readouterr().err


# ---- vocabularies


def test_forms_of_files(tmp_path):
    ids = {"A1BG": 0, "KLF1": 1, "<pad>": 2, "<cls>": 3, "<eoc>": 4}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    published = read_vocabulary(tmp_path)
    assert published.ids == ids and published.pad_id == 2 and published.cls_id == 3 and published.mask_id is None
    table = "gene\ttoken\tmedian\n<pad>\t0\t\n<mask>\t1\t\nENSG01\t2\t1.5\nENSG02\t3\t0.25\n"
    (tmp_path / "other.tsv.gz").write_bytes(gzip.compress(table.encode()))
    ranked = read_vocabulary(tmp_path / "other.tsv.gz")
    assert ranked.medians == {"ENSG01": 1.5, "ENSG02": 0.25} and ranked.namespace == "ensembl"
    write_vocabulary(tmp_path / "vocabulary.json", ranked)
    again = read_vocabulary(tmp_path)
    assert (again.ids, again.medians, again.namespace) == (ranked.ids, ranked.medians, "ensembl")


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"A": 0}', '{"<pad>": 0, "A": 0}', '{"<pad>": 0, "A": -1}', '{"<pad>": "0"}', "\0",
             '{"tokens": {"<pad>": 0, "A": 1}, "medians": {"A": 0}}', '{"tokens": {"<pad>": 0}, "medians": {"B": 1}}'],
)  # fmt: skip
def test_what_is_no_vocabulary(text, tmp_path):
    (tmp_path / "vocabulary.json").write_text(text)
    with pytest.raises(UserError, match="vocabulary"):
        read_vocabulary(tmp_path)


def test_medians_are_of_the_cells_that_have_the_gene():
    counts = np.array([[1, 0, 3], [2, 0, 2], [0, 0, 0]], dtype=float)
    found = nonzero_medians(sparse.csr_matrix(counts), ["A", "B", "C"])
    assert found == {"A": np.median([2500, 5000]), "C": np.median([7500, 5000])}


# ---- values and ranks


def test_bins_of_a_cell_do_not_depend_on_its_depth():
    values = np.random.default_rng(0).poisson(3, 500).astype(np.float64)
    bins = [bin_values(values * scale, 51, np.random.default_rng(1)) for scale in (1, 4)]
    assert np.array_equal(*bins) and np.array_equal(bins[0] == 0, values == 0)


def test_genes_without_a_token_are_left_out():
    ids, values = read_cell(np.array([2.0, 0, 5, 1]), np.array([7, 3, -1, 4]), 9, -2, 0, np.random.default_rng(0))
    assert ids.tolist() == [9, 7, 4] and values.tolist() == [-2, 2, 1]
    padded, filled, mask = collate_cells([(ids, values), (ids[:2], values[:2])], 0, -2)
    assert padded[1].tolist() == [9, 7, 0] and filled[1].tolist() == [-2, 2, -2] and mask[1].tolist() == [1, 1, 0]


def test_ranks_need_medians_and_known_genes():
    with pytest.raises(UserError, match="no median"):
        Ranker(["A"], CellVocabulary({"<pad>": 0, "A": 1}))
    ranker = Ranker(["A", "X"], CellVocabulary({"<pad>": 0, "A": 1}, {"A": 2.0}))
    assert len(ranker.rank(np.array([0, 5]))[0]) == 0
    assert ranker.rank(np.array([3, 5]))[0].tolist() == [1]
    with pytest.raises(UserError, match="no <cls>"):
        ranker.rank(np.array([3, 5]), special=True)


# ---- configurations


@pytest.mark.parametrize(
    ("change", "said"),
    [({"input_emb_style": "category"}, "input_emb_style"), ({"nhead": 3}, "nhead"), ({"d_model": None}, "d_model"),
     ({"pert_pad_id": 5}, "pert_pad_id"), ({"special_tokens": {"<pad>": 99}}, "<pad>"),
     ({"max_value": "x"}, "max_value"),
     ({"nlayers": 10**6}, "integer"), ({"model": "Other"}, "model"), ({"do_dab": True}, "do_dab")],
)  # fmt: skip
def test_what_is_not_implemented_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        family_class("scgpt").check_config(SCGPT | change)
    with pytest.raises(UserError, match="hidden_act"):
        family_class("geneformer").check_config(GENEFORMER | {"hidden_act": "gelu"})


@torch.no_grad()
@pytest.mark.parametrize("form", ["TransformerModel", "TransformerGenerator"])
def test_padding_is_inert_and_order_does_not_matter(form):
    model = initialise("scgpt", SCGPT | {"model": form, "special_tokens": {"<pad>": 8}}, 1)
    generator = torch.Generator().manual_seed(0)
    ids, values = torch.tensor([[7, 1, 2, 3, 4]]), torch.rand(1, 5, generator=generator) * 20
    alone = model(ids, torch.ones_like(ids), values)
    more = torch.cat([ids, torch.full((1, 3), 8)], 1), torch.cat([values, torch.full((1, 3), -2.0)], 1)
    mask = torch.tensor([[1] * 5 + [0] * 3])
    for one, other in zip(alone, model(more[0], mask, more[1]), strict=True):
        torch.testing.assert_close(one, other[:, :5], atol=1e-5, rtol=0)
    order = torch.tensor([0, 3, 1, 4, 2])
    for one, other in zip(alone, model(ids[:, order], None, values[:, order]), strict=True):
        torch.testing.assert_close(one[:, order], other, atol=1e-5, rtol=0)
