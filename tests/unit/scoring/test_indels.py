"""Scores of variants whose alleles differ in length, against models whose probabilities are known by construction."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.features.embedding import embed_sequences
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights
from foundationless.scoring import likelihood_ratios, score_likelihood, score_mutagenesis, score_similarity
from foundationless.scoring.bases.bits import model_bits
from foundationless.scoring.likelihood_ratios import STRIDE, flip, masked_windows, ratios, sides
from foundationless.scoring.measures import cosine
from foundationless.scoring.probes.background import background
from foundationless.tasks.exports import exported
from unit.scoring.test_scoring import COMPUTE, dna, make_weights, pick, tiny

LENGTH = 41


def indel_set(n: int = 12) -> pd.DataFrame:
    """Insertions, deletions and SNVs with ALT windows of the same length, refilled from a longer text."""
    generator, rows = np.random.default_rng(3), []
    for index in range(n):
        text = dna(2 * LENGTH, 500 + index)
        offset = LENGTH // 2
        ref = text[offset : offset + (1, 4, 1, 2)[index % 4]]
        alt = ref[0] + dna((3, 0, 0, 6)[index % 4], index)
        if alt == ref:
            alt = next(base for base in "ACGT" if base != ref)
        other = (text[:offset] + alt + text[offset + len(ref) :])[:LENGTH]
        label = ("benign", "pathogenic")[int(generator.random() < 0.5)]
        rows.append((f"v{index}", text[:LENGTH], label, "test", "G", offset, ref, alt, "G", other))
    columns = ["id", "sequence", "label", "split", "group", "offset", "ref", "alt", "gene", "alternative"]
    return pd.DataFrame(rows, columns=columns)


def test_causal_windows_are_summed_whole_and_reported():
    weights, frame = make_weights("causal"), indel_set()
    table, ids = weights.model.table.double().log_softmax(1).numpy(), weights.tokenizer.base_ids

    def path(text: str) -> float:
        return sum(table[ids[a], ids[b]] for a, b in pairwise(text))

    _, rows = score_likelihood(weights, frame, COMPUTE)
    assert rows["run"].unique().tolist() == ["window", "site"] and set(rows[rows["selected"]]["run"]) == {"window"}
    expected = [path(b) - path(a) for a, b in zip(frame["sequence"], frame["alternative"], strict=True)]
    np.testing.assert_allclose(rows[rows["run"] == "window"]["llr"], expected, atol=1e-3)


def test_masked_windows_are_pseudo_log_likelihoods():
    weights, frame = make_weights("masked"), indel_set()
    size, table = weights.model.vocabulary_size, weights.model.table.double().numpy()
    ids = weights.tokenizer.base_ids

    def pseudo(text: str) -> float:
        """The model sees neighbours alone, and of seven only one is masked: each token as if alone."""
        codes = [ids[base] for base in text]
        special = weights.tokenizer.encode(text)
        left, right = special[: list(special).index(codes[0])][-1:], special[len(special) - 1 :]
        around = [*left, *codes, *right] if len(special) > len(codes) else [None, *codes, None]
        total = 0.0
        for place, code in enumerate(codes, 1):
            logits = np.zeros(size)
            logits += table[around[place - 1]] if around[place - 1] is not None else 0
            logits += table[size + around[place + 1]] if around[place + 1] is not None else 0
            total += logits[code] - np.logaddexp.reduce(logits)
        return total

    assert STRIDE > 2
    _, rows = score_likelihood(weights, frame, COMPUTE)
    assert rows["run"].unique().tolist() == ["window", "site"]
    # both windows begin alike, so what stands before them cancels; their ends are modelled
    expected = [pseudo(b) - pseudo(a) for a, b in zip(frame["sequence"], frame["alternative"], strict=True)]
    np.testing.assert_allclose(rows[rows["run"] == "window"]["llr"], expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_ratios_of_both_strands_do_not_depend_on_the_strand(kind):
    frame = indel_set()
    columns = ("sequence", "offset", "ref", "alt", "alternative", "offset")
    variants = list(zip(*(frame[name] for name in columns), strict=True))
    turned = [flip(variant) for variant in variants]
    assert [flip(variant) for variant in turned] == variants
    for variant, sequence, window in zip(turned, frame["sequence"], frame["alternative"], strict=True):
        (ref, at, a), (alt, start, b) = sides(variant)
        assert (ref, alt) == (reverse_complement(sequence), reverse_complement(window))
        assert ref[at:].startswith(a) and alt[start:].startswith(b)
    one, other = (ratios(make_weights(kind), some, COMPUTE, both_strands=True) for some in (variants, turned))
    np.testing.assert_allclose(one["window"], other["window"], atol=1e-4)


def test_distances_are_between_windows_of_one_length(capsys):
    weights, frame = tiny(), indel_set()
    _, rows, _ = score_similarity(weights, frame, ["mean", "site"], 1, COMPUTE)
    vectors = embed_sequences(weights, frame["sequence"].tolist() + frame["alternative"].tolist(), ["mean"], **COMPUTE)
    expected = cosine(*np.split(vectors["mean"], 2))
    np.testing.assert_allclose(rows[rows["pooling"] == "mean"]["cosine"], expected, atol=1e-6)
    assert exported(frame)["alternative"].tolist() == frame.sort_values("id")["alternative"].tolist()


def test_sets_of_many_genes_and_of_none_are_judged_as_one():
    weights = tiny()
    frame = indel_set(51).assign(gene=lambda rows: "G" + rows.index.astype(str))
    for some in (frame, frame.drop(columns="gene")):
        results, _, _ = score_similarity(weights, some, ["mean"], 1, COMPUTE)
        assert {result.extra["gene"] for result in results} == {"all"} and pick(results, "auroc", gene="all")
        results, _ = score_likelihood(make_weights("causal"), some, COMPUTE)
        assert not any("gene" in result.extra for result in results)


def test_maps_leave_out_what_is_no_substitution_and_wrong_windows_are_sentences(capsys):
    frame = indel_set(8).assign(contig="chr1", position=lambda rows: 100 * (rows.index + 1))
    score_mutagenesis(tiny(), frame, ["mean"], 1, 1, COMPUTE)
    assert "6 of 8 variants are no SNVs" in capsys.readouterr().err
    with pytest.raises(UserError, match="'v1': its ALT window is not REF's with ALT in place"):
        score_likelihood(tiny(), frame.assign(alternative=frame["sequence"]).iloc[[1, 2]], COMPUTE)


@pytest.mark.parametrize("name", ["dnabert_3", "dnabert_6", "prokbert_k6s2", "nt_v1"])
def test_no_visible_token_spells_a_base_that_is_asked_for(name, monkeypatch):
    """A network that knows nothing: what each pass hides wholly is what counts, and every base counts once."""
    tokenizer = load_tokenizer(name)
    weights = Weights(SimpleNamespace(objective="masked", max_tokens=512), tokenizer, {})
    text, k, hidden = dna(7 * 24, 3), tokenizer.k, list[np.ndarray]()

    def blind(weights, masked, read, compute):
        for request, (ids, places) in enumerate(masked):
            spans = tokenizer.spans(ids, sequence=text)
            seen = [range(*span) for place, span in enumerate(spans) if span[0] >= 0 and place not in places]
            hidden.append(np.setdiff1d(np.arange(len(text)), np.concatenate(seen)))
            read(request, torch.zeros(len(places), tokenizer.size))

    monkeypatch.setattr(likelihood_ratios, "read_masked", blind)
    (bits,), (bases,) = model_bits(weights, [text], COMPUTE)
    assert bases == len(text) and bits == pytest.approx(bases / k * np.log2(tokenizer.size), rel=1e-5)
    assert sorted(np.concatenate(hidden)) == list(range(len(text))) and len(hidden) == STRIDE
    hidden.clear()
    masked_windows(weights, [(text, 9, text[9], "A", text, 9)], COMPUTE)
    assert sorted(np.concatenate(hidden)) == list(range(len(text))) and len(hidden) == STRIDE
    hidden.clear()
    (likely,) = background(weights, [(text, 80, text[80], "A")], COMPUTE)
    assert likely == pytest.approx(-np.log(tokenizer.size) / k, rel=1e-5)
    assert len(hidden[0]) % k == 0 and len(hidden[0]) >= 3 * k
