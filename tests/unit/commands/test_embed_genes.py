"""`embed_genes` of a model of DNA: one sequence a gene, whose embedding is the gene's vector."""

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.features.embedding_files import write_embeddings
from foundationless.perturbation.vectors import read_vectors

FACTS = {"model": "hyenadna", "init": "random", "seed": 2, "parameters": 5, "max_tokens": 9, "precision": "fp32",
         "cost": {"seconds": 1.0, "tokens": 3}}  # fmt: skip
GENES = ["ENSG00000141510", "ENSG00000105610"]


@pytest.fixture
def embeddings(tmp_path):
    vectors = {"mean": np.arange(6, dtype=np.float32).reshape(2, 3), "max": np.ones((2, 3), dtype=np.float32)}
    write_embeddings(tmp_path / "embeddings.parquet", GENES, vectors, FACTS)
    return tmp_path / "embeddings.parquet"


def sequences(path, ids):
    pd.DataFrame({"id": ids, "sequence": ["ACGT"] * len(ids)}).to_parquet(path, index=False)
    return str(path)


def test_the_embedding_of_a_sequence_is_the_vector_of_its_gene(embeddings, tmp_path, capsys):
    output = tmp_path / "genes.parquet"
    given = ["--embeddings", str(embeddings), "--sequences", sequences(tmp_path / "set.parquet", GENES)]
    assert main(["embed_genes", *given, "--output", str(output)]) == 0
    vectors = read_vectors(output)
    assert vectors.genes == tuple(GENES) and vectors.namespace == "ensembl" and "hyenadna" in vectors.source
    assert vectors.matrix.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert main(["embed_genes", *given, "--pooling", "max", "--output", str(output)]) == 0
    assert (read_vectors(output).matrix == 1).all()


def test_embeddings_of_another_set_are_refused(embeddings, tmp_path, capsys):
    given = ["--embeddings", str(embeddings), "--output", str(tmp_path / "genes.parquet")]
    assert main(["embed_genes", *given, "--sequences", sequences(tmp_path / "set.parquet", GENES[::-1])]) == 2
    assert "embed them again" in capsys.readouterr().err
    assert main(["embed_genes", *given, "--pooling", "cls"]) == 2
    assert not (tmp_path / "genes.parquet").exists()
