"""Scores of variation against models whose probabilities are known by construction, and against scikit-learn."""

import json
from functools import cache
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from foundationless.__main__ import main
from foundationless.data.dna import alternative, reverse_complement
from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.evaluation.records import comparable, read_record
from foundationless.features.embedding import embed_sequences
from foundationless.models.contract import GenomicModel
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights, initialise, save_weights
from foundationless.scoring import score_likelihood, score_sensitivity, score_similarity, sensitivity, similarity
from foundationless.scoring.chunks import PUBLISHED, mutated_chunks
from foundationless.scoring.likelihood_ratios import carriers, marginal_ratios, retokenised
from foundationless.scoring.measures import cosine, ranking_interval
from foundationless.tasks.sequence_sets import write_sequences
from support.fine_tuning import command_line

COMPUTE = {"token_budget": 2000, "device": "cpu", "precision": "fp32"}


class Known(GenomicModel):
    """A table as a model. Causal: logits of the next token given this one. Masked: given both neighbours."""

    family, padding, tokenizer, implementation = "known", "mask", "character", "test"

    def __init__(self, size: int, objective: str, seed: int = 0) -> None:
        super().__init__({})
        self.objective = objective  # type: ignore[misc]
        self.width = size if objective == "causal" else 2 * size
        self.vocabulary_size, self.max_tokens = size, 200
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.randn(self.width, size, generator=generator)

    def hidden_states(self, input_ids, attention_mask=None):
        now = torch.nn.functional.one_hot(input_ids, self.vocabulary_size).float()
        if self.objective == "causal":
            return [now]
        none = torch.zeros_like(now[:, :1])
        return [torch.cat([torch.cat([none, now[:, :-1]], 1), torch.cat([now[:, 1:], none], 1)], dim=2)]

    def project(self, hidden):
        return hidden @ self.table


@cache
def make_weights(objective: str, tokenizer: str = "character") -> Weights:
    loaded = load_tokenizer(tokenizer)
    return Weights(Known(loaded.size, objective), loaded, {})


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def variant_set(n: int = 30, length: int = 41, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(n):
        sequence = dna(length, 100 + index // 3)
        offset = length // 2 + index % 2
        ref = sequence[offset]
        alt = [base for base in "ACGT" if base != ref][index % 3]
        label = "pathogenic" if rng.random() < 0.5 else "benign"
        rows.append((f"v{index}", sequence, label, "test", "G1", offset, ref, alt, "G1" if index < 18 else "G2"))
    return pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group", "offset", "ref", "alt", "gene"])


def cells(frame: pd.DataFrame):
    """Sequence, offset, REF and ALT of every variant."""
    return frame[["sequence", "offset", "ref", "alt"]].itertuples(index=False, name=None)


def turned(frame: pd.DataFrame) -> pd.DataFrame:
    """The same variants read from the other strand."""
    opposite = {column: frame[column].map(reverse_complement) for column in ("sequence", "ref", "alt")}
    return frame.assign(**opposite, offset=frame["sequence"].str.len() - frame["offset"] - 1)


def pick(results, metric: str | None = None, **extra):
    """The results of that metric whose `extra` holds those values."""
    return [r for r in results if metric in (None, r.metric) and {**r.extra, **extra} == r.extra]


def tiny() -> Weights:
    config = {"width": 8, "depth": 2, "kernel_size": 5, "vocab_size": 10, "max_tokens": 200}
    card = {"model": "m", "family": "cnn", "tokenizer": "character", "init": "random", "seed": 1, "source": "test"}
    return Weights(initialise("cnn", config, 1), load_tokenizer("character"), card)


def test_causal_ratio_is_the_transition_table():
    weights, frame = make_weights("causal"), variant_set()
    table = weights.model.table.double().log_softmax(1).numpy()
    _, predictions = score_likelihood(weights, frame, COMPUTE)
    ids = weights.tokenizer.base_ids
    for run, after in (("site", False), ("window", True)):
        expected = []
        for sequence, offset, ref, alt in cells(frame):
            left, right = ids[sequence[offset - 1]], ids[sequence[offset + 1]]
            value = table[left, ids[alt]] - table[left, ids[ref]]
            expected.append(value + (table[ids[alt], right] - table[ids[ref], right] if after else 0))
        found = predictions[predictions["run"] == run]
        np.testing.assert_allclose(found["llr"], expected, atol=1e-4)
        np.testing.assert_array_equal(found["score"], -found["llr"])
        assert set(found["selected"]) == {run == "site"}


def test_causal_indel_sums_the_allele():
    weights = make_weights("causal")
    table, ids = weights.model.table.double().log_softmax(1).numpy(), weights.tokenizer.base_ids
    frame = variant_set(1).assign(sequence="ACGTACGT", offset=3, ref="TA", alt="T", label="benign")
    frame = pd.concat([frame, frame.assign(id="w", alt="TGA", label="pathogenic")], ignore_index=True)
    _, predictions = score_likelihood(weights, frame, COMPUTE)

    def path(text: str) -> float:
        return sum(table[ids[a], ids[b]] for a, b in pairwise(text))

    found = predictions[predictions["run"] == "site"]["llr"].tolist()
    np.testing.assert_allclose(found, [path("GT") - path("GTA"), path("GTGA") - path("GTA")], atol=1e-4)


def test_masked_ratio_compares_the_alleles_at_one_masked_position():
    weights, frame = make_weights("masked"), variant_set()
    size, ids, table = weights.model.vocabulary_size, weights.tokenizer.base_ids, weights.model.table.numpy()
    _, predictions = score_likelihood(weights, frame, COMPUTE)
    assert predictions["run"].unique().tolist() == ["site"]
    expected = []
    for sequence, offset, ref, alt in cells(frame):
        logits = table[ids[sequence[offset - 1]]] + table[size + ids[sequence[offset + 1]]]
        expected.append(logits[ids[alt]] - logits[ids[ref]])
    np.testing.assert_allclose(predictions["llr"], expected, atol=1e-5)


def test_kmer_marginal_and_exact_kmer_by_brute_force():
    weights, frame = make_weights("masked", "nt_v2"), variant_set(6)
    _, predictions = score_likelihood(weights, frame, COMPUTE)
    assert predictions["run"].unique().tolist() == ["marginal", "site"]
    tokenizer, table, size = weights.tokenizer, weights.model.table.numpy().astype(float), weights.tokenizer.size
    texts = map("".join, product("ACGT", repeat=6))
    kmers = {text: int(tokenizer.encode(text, special=False)[0]) for text in texts}
    for index, row in frame.iterrows():
        start = row["offset"] // 6 * 6
        place = row["offset"] - start
        ids = tokenizer.encode(row["sequence"])
        logits = table[ids[start // 6]] + table[size + ids[start // 6 + 2]]
        mass = {b: sum(np.exp(logits[i]) for text, i in kmers.items() if text[place] == b) for b in "ACGT"}
        expected = np.log(mass[row["alt"]]) - np.log(mass[row["ref"]])
        found = predictions[predictions["id"] == row["id"]].set_index("run")["llr"]
        assert found["marginal"] == pytest.approx(expected, abs=1e-4), index
        old = row["sequence"][start : start + 6]
        new = alternative(old, place, row["ref"], row["alt"])
        assert found["site"] == pytest.approx(logits[kmers[new]] - logits[kmers[old]], abs=1e-4)


def test_carriers_of_the_four_bases_partition_the_kmers():
    weights = make_weights("masked", "nt_v2")
    found = carriers(weights, 6)
    assert found.shape == (6, 4, 1024)
    probabilities = torch.randn(4107, generator=torch.Generator().manual_seed(1)).softmax(0).numpy()
    whole = probabilities[6 : 6 + 4096].sum()
    for place in range(6):
        assert sorted(found[place].ravel()) == list(range(6, 6 + 4096))
        assert probabilities[found[place]].sum() == pytest.approx(whole, rel=1e-5)
    assert [weights.tokenizer.base_ids[b] for b in "ACGT"] == carriers(weights, 1)[0, :, 0].tolist()


def test_a_site_in_the_single_letter_tail_uses_single_letters():
    weights = make_weights("masked", "nt_v2")
    sequence = "ACGTAC" + "GTA"
    found = marginal_ratios(weights, [(sequence, 7, "T", "C")], COMPUTE)
    table, ids = weights.model.table, weights.tokenizer.encode(sequence)
    logits = table[ids[2]] + table[weights.tokenizer.size + ids[4]]
    base = weights.tokenizer.base_ids
    assert found[0] == pytest.approx(float(logits[base["C"]] - logits[base["T"]]), abs=1e-5)


@pytest.mark.parametrize("kind", [("causal", "character"), ("masked", "character"), ("masked", "nt_v2")])
def test_both_strands_do_not_depend_on_the_strand_of_the_set(kind):
    weights, frame = make_weights(*kind), variant_set(6)
    strands = (frame, turned(frame))
    both = [score_likelihood(weights, some, COMPUTE, both_strands=True)[1]["llr"] for some in strands]
    one = [score_likelihood(weights, some, COMPUTE)[1]["llr"] for some in strands]
    np.testing.assert_allclose(both[0], both[1], atol=1e-5)
    np.testing.assert_allclose(both[0], (one[0] + one[1]) / 2, atol=1e-5)
    assert np.abs(one[0] - one[1]).max() > 0.1


def test_batch_size_does_not_change_ratios():
    weights = make_weights("masked", "nt_v2")
    frame = pd.concat([variant_set(3), variant_set(3, 60).assign(id=lambda f: "long" + f["id"])], ignore_index=True)
    a, b = (score_likelihood(weights, frame, COMPUTE | {"token_budget": t})[1]["llr"] for t in (1, 5000))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_ranking_metrics_are_scikit_learns_and_scipys():
    frame = variant_set(60).assign(score=np.random.default_rng(5).normal(size=60))
    frame.loc[3:6, "label"] = None
    frame.loc[7, "score"] = np.nan
    results, predictions = score_likelihood(make_weights("causal"), frame, COMPUTE)
    for run, some in predictions.groupby("run"):
        known = some[some["label"].notna()]
        truth = known["label"] == "pathogenic"
        rho = spearmanr(some["llr"], some["function_score"], nan_policy="omit").statistic
        ranked = {"auroc": roc_auc_score, "auprc": average_precision_score}
        expected = {"spearman": rho} | {name: score(truth, known["score"]) for name, score in ranked.items()}
        found = {r.metric: r for r in results if r.extra == {"run": run, "epoch": None, "selected": run == "site"}}
        assert {m: r.value for m, r in found.items()} == pytest.approx(expected)
        assert found["auroc"].n == 56 and found["spearman"].n == 59
    chosen = {(r.selection, r.metric) for r in results if r.extra == {"run": "site"}}
    assert chosen == {(p, m) for p in ("validation", "test") for m in ("auroc", "auprc", "spearman")}
    own = pick(results, "auroc", gene="G1", run="site")
    some = predictions[predictions["run"] == "site"].set_index(frame.index)
    some = some[(frame["gene"] == "G1") & some["label"].notna()]
    assert own[0].value == pytest.approx(roc_auc_score(some["label"] == "pathogenic", some["score"]))


def test_an_empty_class_is_null_with_its_reason():
    results, _ = score_likelihood(make_weights("causal"), variant_set().assign(label="benign"), COMPUTE)
    assert {r.value for r in results} == {None} and {r.extra["reason"] for r in results} == {"no pathogenic variant"}


def test_the_wrong_sign_is_the_mirror_image():
    frame = variant_set(60)
    results, rows = score_likelihood(make_weights("causal"), frame, COMPUTE)
    wrong = {r.extra.get("gene"): r.value for r in results if r.extra.get("defect") == "sign"}
    rows = rows[rows["run"] == "site"].set_index(frame.index)
    for gene, mine in (("G1", frame["gene"] == "G1"), ("G2", frame["gene"] == "G2"), (None, frame["gene"] != "")):
        assert wrong[gene] == pytest.approx(roc_auc_score(frame["label"][mine] == "pathogenic", rows["llr"][mine]))
    right = next(r.value for r in results if r.extra == {"run": "site"} and r.metric == "auroc")
    assert wrong[None] == pytest.approx(1 - right) and wrong[None] != pytest.approx(right)


class Pairs:
    """A tokenizer of varying length: greedy from the left, `AC` and `GT` in one piece, the other bases alone."""

    name, size, pad_id, unknown_id, mask_id, cls_id, sep_id, k = "pairs", 10, 0, 1, 2, None, None, None
    special_ids = frozenset({0, 1, 2})
    pieces = ("A", "C", "G", "T", "AC", "GT")

    def encode(self, sequence, special=True):
        found, at = [], 0
        while at < len(sequence):
            size = 2 if sequence[at : at + 2] in self.pieces else 1
            found.append(3 + self.pieces.index(sequence[at : at + size]))
            at += size
        return np.array(found)

    def spans(self, ids, special=True, sequence=None):
        ends = np.cumsum([len(self.pieces[i - 3]) for i in ids])
        return np.stack([np.r_[0, ends[:-1]], ends], axis=1)


def test_tokens_cut_anew_beside_the_site_are_counted():
    weights = Weights(Known(10, "masked"), Pairs(), {})
    told = {
        ("TTCTT", 2, "C", "A"): False,  # T T C T T, T T A T T
        ("TTCTT", 2, "C", "G"): True,  # T T GT T
        ("TACTT", 1, "A", "C"): True,  # T AC T T, T C C T T
        ("CCTCC", 1, "C", "A"): False,
        ("AAGTA", 2, "G", "C"): True,  # A A GT A, A AC T A
        ("CCTCC", 2, "T", "G"): False,
    }
    assert retokenised(weights, list(told)).tolist() == list(told.values())
    frame = pd.DataFrame(list(told), columns=["sequence", "offset", "ref", "alt"]).assign(split="test", group="g")
    frame = frame.assign(id=[f"v{i}" for i in range(6)], label=["benign", "pathogenic"] * 3)
    results, predictions = score_likelihood(weights, frame, COMPUTE)
    assert predictions["retokenised"].tolist() == list(told.values())
    (share,) = pick(results, "retokenised")
    assert share.value == pytest.approx(np.mean(list(told.values()))) and share.n == 6
    rest = pick(results, "auroc", subset="same_tokens")[0]
    assert rest.n == 6 - sum(told.values())
    same = predictions[~predictions["retokenised"]]
    assert rest.value == pytest.approx(roc_auc_score(same["label"] == "pathogenic", same["score"]))
    _, both = score_likelihood(weights, frame, COMPUTE, both_strands=True)
    _, other = score_likelihood(weights, turned(frame), COMPUTE)
    assert both["retokenised"].tolist() == (predictions["retokenised"] | other["retokenised"]).tolist()
    assert not pick(score_likelihood(make_weights("masked"), variant_set(), COMPUTE)[0], "retokenised")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(label=None), "no variant has a label or a function score"),
        (lambda f: f.assign(label="VUS"), "label 'VUS' is neither"),
        (lambda f: f.assign(ref=f["alt"]), "variant 'v0': REF is"),
        (lambda f: f.assign(alt="N"), "alleles must be letters"),
        (lambda f: f.assign(alt=None), "REF or ALT is missing"),
        (lambda f: f.assign(offset=f["offset"] + 0.5), "offset holds other than whole numbers"),
        (lambda f: f.assign(score="high"), "function score is no number"),
        (lambda f: f.drop(columns="offset"), "no column offset"),
        (lambda f: f[:0], "is empty"),
        (lambda f: f.assign(sequence="A" * 300, ref="A", alt="C"), "the model reads 200"),
    ],
)
def test_unusable_variant_sets_are_sentences(change, message):
    with pytest.raises(UserError, match=message):
        score_likelihood(make_weights("masked"), change(variant_set()), COMPUTE)


def test_no_left_context_and_no_mask_token_are_sentences():
    first = variant_set(1).assign(sequence="ACGT", offset=0, ref="A", alt="C")
    for kind, said in ((("causal", "hyenadna"), "no left context"), (("masked", "paper_char"), "no mask token")):
        with pytest.raises(UserError, match=said):
            score_likelihood(make_weights(*kind), first, COMPUTE)


def test_cosine_is_exact_bounded_and_blind_to_scale():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500, 33)).astype(np.float32)
    assert (cosine(a, a) == 1).all() and np.isnan(cosine(a * 0, b)).all()
    expected = [np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(cosine(a, b), expected, atol=1e-6)
    np.testing.assert_allclose(cosine(a * 8, b / 4), cosine(a, b), atol=1e-15)
    np.testing.assert_array_equal(cosine(a, b), cosine(b, a))
    assert (cosine(a, -a) == -1).all()


def test_similarity_of_variants_is_the_cosine_of_the_windows():
    weights, frame = tiny(), variant_set()
    results, predictions, _ = score_similarity(weights, frame, ["max", "mean", "cls", "site"], 1, COMPUTE)
    after = [alternative(*variant) for variant in cells(frame)]
    site = [[offset] for offset in frame["offset"]]
    for pooling in ("max", "mean", "cls", "site"):
        sides = (frame["sequence"].tolist(), after)
        a, b = (embed_sequences(weights, side, [pooling], sites=site, **COMPUTE)[pooling] for side in sides)
        found = predictions[predictions["pooling"] == pooling]
        np.testing.assert_allclose(found["cosine"], cosine(a, b), atol=1e-6)
        for gene, some in found.groupby("gene"):
            own = pick(results, pooling=pooling, gene=gene)
            means = {r.extra["label"]: r.value for r in pick(own, "cosine")}
            assert means == pytest.approx(some.groupby("label")["cosine"].mean().to_dict())
            curve = pick(own, "auroc")[0]
            assert curve.value == pytest.approx(roc_auc_score(some["label"] == "pathogenic", -some["cosine"]))
            assert all(r.extra["low"] <= r.value <= r.extra["high"] for r in own)


def test_ranking_interval_has_the_spread_of_resampled_scikit_learn():
    rng = np.random.default_rng(4)
    positive = rng.random(80) < 0.4
    scores = rng.normal(size=80) + positive
    values = []
    while len(values) < 1000:
        some = rng.integers(80, size=80)
        if 0 < positive[some].sum() < 80:
            values.append(roc_auc_score(positive[some], scores[some]))
    found = ranking_interval(positive, scores, np.random.default_rng(0))
    np.testing.assert_allclose(found, np.quantile(values, [0.025, 0.975]), atol=0.015)
    assert ranking_interval(positive | True, scores, rng) == (None, None)


@pytest.fixture
def genome_and_variants(tmp_path) -> tuple[Genome, pd.DataFrame]:
    text = dna(1000, 3)
    path = tmp_path / "genome.fa"
    path.write_text(">chr9\n" + "\n".join(text[i : i + 60] for i in range(0, 1000, 60)) + "\n")
    rng = np.random.default_rng(2)
    rows = []
    for number, position in enumerate(np.sort(rng.choice(np.arange(60, 700), 80, replace=False))):
        ref, window = text[position - 1], text[position - 31 : position + 30]
        label = "benign" if number % 4 else "pathogenic"
        for alt in [base for base in "ACGT" if base != ref][: 1 + number % 2]:
            rows.append((f"{position}{alt}", window, label, ref, alt, int(position)))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "ref", "alt", "position"])
    return Genome(path), frame.assign(split="test", group="G", offset=30, contig="chr9", gene="G", text=text)


def test_chunks_carry_all_variants_of_a_class_or_as_many_of_both(genome_and_variants):
    genome, frame = genome_and_variants
    text = frame["text"].iloc[0]
    chunks = mutated_chunks(frame, genome, 100, 5, np.random.default_rng(0))
    assert len(chunks) == 5 * 4 and chunks["id"].is_unique
    fewest = []
    for _, row in chunks.iterrows():
        begin = int(row["id"].split(":")[2]) - 1
        assert (begin - (frame["position"].min() - 1)) % 100 == 0 and row["before"] == text[begin : begin + 100]
        inside = frame[(frame["position"] > begin) & (frame["position"] <= begin + 100)]
        counts = inside.groupby("label")["position"].nunique()
        changed = [i for i, (a, b) in enumerate(zip(row["before"], row["after"], strict=True)) if a != b]
        own = inside[inside["label"] == row["label"]]
        assert changed == row["sites_after"] and len(changed) == row["mutations"]
        assert row["mutations"] == (counts.min() if row["matched"] else counts[row["label"]])
        known = set(zip(own["position"], own["alt"], strict=True))
        assert known >= {(begin + i + 1, row["after"][i]) for i in changed}
        fewest.append(counts.min())
    assert fewest == sorted(fewest, reverse=True)


def test_chunks_reach_results_and_wrong_genomes_are_named(genome_and_variants, tmp_path):
    genome, frame = genome_and_variants
    results, predictions, _ = score_similarity(tiny(), frame, ["max", "site"], 1, COMPUTE, genome, 100, 3)
    rows = pick(results, "cosine", unit="chunk")
    conditions = set(product(("max", "site"), ("benign", "pathogenic"), (False, True)))
    assert {(r.extra["pooling"], r.extra["label"], r.extra["matched"]) for r in rows} == conditions
    assert {r.n for r in rows} == {3}
    matched = {r.extra["mutations"] for r in rows if r.extra["matched"]}
    assert len(matched) == 1  # as many benign as pathogenic mutations
    chunks = predictions[predictions["unit"] == "chunk"]
    assert chunks["cosine"].lt(1).all()
    counts = {(r.extra["chunk"], r.extra["label"]): r.value for r in pick(results, "mutations")}
    unmatched = chunks[(chunks["pooling"] == "max") & ~chunks["matched"]]
    assert len(counts) == 6 and sorted(counts.values()) == sorted(unmatched["mutations"])
    for pooling, some in chunks.groupby("pooling"):
        some = some.assign(place=some["id"].str.split(":").str[2])
        both = some.pivot(index=["matched", "place"], columns="label", values="cosine")
        gap = (both["pathogenic"] - both["benign"]).unstack("matched")
        for matched in (False, True):
            found = pick(results, "cosine_gap", pooling=pooling, matched=matched)[0]
            assert found.value == pytest.approx(gap[matched].mean()) and found.n == 3
        lost = pick(results, "count_effect", pooling=pooling)[0]
        assert lost.value == pytest.approx((gap[False] - gap[True]).mean())
        assert lost.extra["low"] <= lost.value <= lost.extra["high"]
    other = tmp_path / "other.fa"
    other.write_text(">9\n" + "A" * 1000 + "\n")
    with pytest.raises(UserError, match="but the genome has"):
        mutated_chunks(frame, Genome(other), 100, 5, np.random.default_rng(0))
    with pytest.raises(UserError, match="no chunk of 100 bp"):
        mutated_chunks(frame.assign(label="benign"), genome, 100, 5, np.random.default_rng(0))


def test_published_chunks_of_tp53_are_slices_of_the_gene(tmp_path):
    known = PUBLISHED["TP53"]
    gene = dna(known.end - known.start, 8)  # as transcribed
    path = tmp_path / "chr17.fa"
    with path.open("w") as stream:
        stream.write(">17\n" + "N" * known.start + "\n" + reverse_complement(gene) + "\n")
    genome = Genome(path)
    rng, rows = np.random.default_rng(1), []
    for start in known.starts:
        for number, place in enumerate(rng.choice(1024, 5, replace=False)):
            position = known.end - (start + place)  # 1-based, plus strand
            ref = reverse_complement(gene[start + place])
            alt = next(base for base in "ACGT" if base != ref)
            rows.append((f"{position}", ref, "benign" if number < 3 else "pathogenic", ref, alt, int(position)))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "ref", "alt", "position"])
    frame = frame.assign(split="test", group="TP53", offset=0, contig="17", gene="TP53")
    chunks = mutated_chunks(frame, genome, 1024, 5, np.random.default_rng(0))
    assert sorted(chunks["gene_start"].unique()) == list(known.starts) and len(chunks) == 20
    for row in chunks.itertuples(index=False):
        assert row.before == gene[row.gene_start : row.gene_start + 1024]
        changed = [i for i, (a, b) in enumerate(zip(row.before, row.after, strict=True)) if a != b]
        assert changed == row.sites_after == row.sites_before
        assert len(changed) == (2 if row.matched or row.label == "pathogenic" else 3)
    for other in (frame.assign(gene="TP54"), frame.assign(contig="17", position=frame["position"] - 4 * 10**6)):
        try:
            assert mutated_chunks(other, genome, 1024, 5, np.random.default_rng(0))["gene_start"].isna().all()
        except UserError as error:
            assert "but the genome has" in str(error)  # tiles elsewhere: REF cannot fit
    assert mutated_chunks(frame, genome, 512, 5, np.random.default_rng(0))["gene_start"].isna().all()


def sensitivity_set(windows: int = 4, length: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for index in range(windows):
        text = dna(length, 50 + index)
        rows.append((f"w{index}", text, f"w{index}", 0, 0, []))
        for count in (1, 8, 60):
            for replicate in range(3):
                sites = np.sort(rng.choice(length, count, replace=False))
                letters = list(text)
                for site in sites:
                    letters[site] = "ACGT"[("ACGT".index(letters[site]) + 1 + int(rng.integers(3))) % 4]
                name, sites = f"w{index}m{count}r{replicate}", sites.astype(np.int32)
                rows.append((name, "".join(letters), f"w{index}", count, replicate, sites))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "window", "mutations", "replicate", "sites"])
    return frame.assign(label=None, split="test", group=frame["window"]).sample(frac=1, random_state=1)


def test_sensitivity_by_hand():
    weights, frame = tiny(), sensitivity_set()
    results, predictions = score_sensitivity(weights, frame, ["cls", "mean", "max", "site"], 3, COMPUTE)
    assert len(predictions) == 4 * 3 * len(frame) and set(predictions["pooling"]) == {"cls", "mean", "max", "site"}
    predictions = predictions[predictions["variant"] == "raw"]
    results = pick(results, "cosine", condition="raw", null=False)
    reference = frame[frame["mutations"] == 0].set_index("window")["sequence"]
    for pooling, some in predictions.groupby("pooling"):
        for _, row in frame.sample(6, random_state=0).iterrows():
            sites = [list(range(60)) if row["mutations"] == 0 else row["sites"].tolist()] * 2
            pair = [row["sequence"], reference[row["window"]]]
            pair = embed_sequences(weights, pair, [pooling], sites=sites, **COMPUTE)[pooling]
            found = some.set_index("id")["cosine"][row["id"]]
            assert found == pytest.approx(cosine(pair[:1], pair[1:])[0], abs=1e-6)
        assert (some[some["mutations"] == 0]["cosine"] == 1).all()
        for r in pick(results, pooling=pooling):
            values = some[some["mutations"] == r.extra["mutations"]]["cosine"]
            assert r.value == pytest.approx(values.mean()) and r.n == len(values)
            assert r.extra["sd"] == pytest.approx(values.std())
            assert r.extra["low"] <= r.value + 1e-12 <= r.extra["high"] + 1e-9
    means = {r.extra["mutations"]: r.value for r in pick(results, pooling="mean")}
    assert means[0] == 1 > means[1] > means[8] > means[60]


def test_null_is_the_mean_over_pairs_of_windows():
    weights, frame = tiny(), sensitivity_set()
    results, _ = score_sensitivity(weights, frame, ["mean", "site"], 3, COMPUTE)
    null = pick(results, null=True, condition="raw")
    assert [(r.extra["pooling"], r.extra["mutations"], r.n) for r in null] == [("mean", None, 6)]
    vectors = embed_sequences(weights, frame[frame["mutations"] == 0]["sequence"].tolist(), ["mean"], **COMPUTE)["mean"]
    expected = [cosine(vectors[[i]], vectors[[j]])[0] for i in range(4) for j in range(i)]
    assert null[0].value == pytest.approx(np.mean(expected))
    low, high = null[0].extra["low"], null[0].extra["high"]
    assert min(expected) - 1e-9 <= low < null[0].value < high <= max(expected) + 1e-9


class Shifted(Known):
    """A model all of whose states share a large common vector: random directions around it."""

    def hidden_states(self, input_ids, attention_mask=None):
        generator = torch.Generator().manual_seed(7)
        codes = torch.randn(self.vocabulary_size * 8, 64, generator=generator)
        place = torch.arange(input_ids.shape[1]) % 8
        states = codes[input_ids + self.vocabulary_size * place]
        return [states.cumsum(1) / states.shape[1] ** 0.5 + 40.0]


def shifted() -> Weights:
    tokenizer = load_tokenizer("character")
    model = Shifted(tokenizer.size, "causal")
    model.width = 64
    return Weights(model, tokenizer, {})


def test_centring_removes_what_all_embeddings_share():
    frame = sensitivity_set(windows=12)
    results, predictions = score_sensitivity(shifted(), frame, ["mean", "site"], 3, COMPUTE)
    null = {r.extra["condition"]: r for r in results if r.extra["null"]}
    assert null["raw"].value > 0.99 and null["raw"].n == 66
    assert null["centred"].value == pytest.approx(-1 / 11, abs=0.03)
    of_mean = pick(results, "cosine", pooling="mean", null=False)
    means = {(r.extra["condition"], r.extra["mutations"]): r.value for r in of_mean}
    assert means["raw", 60] > 0.99 and means["centred", 60] < 0.6 and means["centred", 0] == 1
    site = predictions[(predictions["pooling"] == "site") & (predictions["variant"] == "centred")]
    assert site["cosine"].between(-1, 1).all() and site["cosine"].std() > 0.05
    two, _ = score_sensitivity(tiny(), frame[frame["window"].isin(["w0", "w1"])], ["mean"], 3, COMPUTE)
    assert {r.extra["condition"] for r in two} == {"raw", "rounded"}


def test_rounding_hides_small_mutations_and_draws_differ():
    results, predictions = score_sensitivity(shifted(), sensitivity_set(), ["mean"], 3, COMPUTE)
    found = {(r.metric, r.extra["condition"], r.extra["mutations"]): r.value for r in pick(results, null=False)}
    rounded = predictions[predictions["variant"] == "rounded"]["cosine"]
    np.testing.assert_array_equal(rounded, rounded.round(3))
    assert found["identical", "raw", 1] == 0 and found["identical", "rounded", 1] == 1
    assert found["identical", "raw", 0] == found["identical", "rounded", 0] == 1
    raw = predictions[(predictions["variant"] == "raw") & (predictions["mutations"] == 8)]
    assert found["draw_sd", "raw", 8] == pytest.approx(raw.groupby("replicate")["cosine"].mean().std())
    assert ("draw_sd", "raw", 0) not in found  # the reference is one


def test_sensitivity_sets_without_reference_are_sentences():
    frame = sensitivity_set()
    with pytest.raises(UserError, match="'w2' must have exactly one row"):
        score_sensitivity(tiny(), frame[frame["id"] != "w2"], ["mean"], 0, COMPUTE)
    shorter = frame["sequence"].where(frame["mutations"] != 8, frame["sequence"].str[:59])
    with pytest.raises(UserError, match="not as long"):
        score_sensitivity(tiny(), frame.assign(sequence=shorter), ["mean"], 0, COMPUTE)


def test_commands_write_equal_records_twice(tmp_path, genome_and_variants, capsys):
    weights = tiny()
    save_weights(tmp_path / "w", weights.model, weights.card)
    genome, variants = genome_and_variants
    scores = np.arange(len(variants)) % 7 / 7
    write_sequences(tmp_path / "variants.parquet", variants.drop(columns="text").assign(score=scores))
    write_sequences(tmp_path / "mutants.parquet", sensitivity_set())
    runs = {
        "score_sensitivity": ["mutants", "sensitivity"],
        "score_similarity": ["variants", "similarity", "--genome", str(genome.path), "--chunk", "100"],
        "score_likelihood": ["variants", "likelihood", "--both-strands"],
        "score_mutagenesis": ["variants", "mutagenesis", "--windows", "2"],
    }
    for command, (name, analysis, *more) in runs.items():
        seen = []
        for index in range(2):
            record, predictions = tmp_path / f"{command}{index}.json", tmp_path / f"{command}{index}.parquet"
            flags = {"weights": tmp_path / "w", "sequences": tmp_path / f"{name}.parquet", "analysis": analysis}
            flags |= {"task": "t", "model": "m", "init": "random", "seed": 1}
            flags |= {"record": record, "predictions": predictions}
            assert main(command_line(command, flags) + more) == 0
            seen.append((comparable(read_record(record)), predictions.read_bytes()))
        assert seen[0] == seen[1] and seen[0][0]["results"] and seen[0][0]["parameters"] > 0
    predictions = pd.read_parquet(tmp_path / "score_likelihood0.parquet")
    own = ["id", "group", "label", "score", "llr", "function_score", "retokenised"]
    assert predictions.columns.tolist() == [*own, "run", "fold", "selected", "selected_paper", "split"]
    assert main(command_line("score_likelihood", flags | {"sequences": tmp_path / "mutants.parquet"})) == 2
    assert "no column offset" in capsys.readouterr().err


# ---- layers


def layered(layers: tuple[int, ...], last: int) -> dict[str, object]:
    return COMPUTE | {"layers": layers, "last_layer": last}


def test_layers_of_mutants_are_stated_and_the_last_ones_stay():
    """Every layer by hand; what is said of the last layer is the same with and without the others."""
    weights, frame = tiny(), sensitivity_set().reset_index(drop=True)
    plain, rows = score_sensitivity(weights, frame, ["mean"], 3, COMPUTE)
    found, same_rows = score_sensitivity(weights, frame, ["mean"], 3, layered((0, 1), 2))
    assert found[: len(plain)] == plain and rows.equals(same_rows)
    inner = [one for one in found if "layer" in one.extra]
    assert {one.extra["layer"] for one in inner} == {0, 1, 2} and {one.metric for one in inner} == {"cosine"}
    vectors = embed_sequences(weights, frame["sequence"].tolist(), ["mean"], layers=[0], **COMPUTE)["mean_layer0"]
    home = frame["window"].map({row["window"]: i for i, row in frame.iterrows() if row["mutations"] == 0}).to_numpy()
    for one in pick(inner, "cosine", condition="raw", null=False, layer=0):
        mine = (frame["mutations"] == one.extra["mutations"]).to_numpy()
        assert one.value == pytest.approx(cosine(vectors[mine], vectors[home[mine]]).mean(), abs=1e-6)
    for one in pick(inner, "cosine", layer=2):
        last = pick(plain, "cosine", **{key: one.extra[key] for key in ("pooling", "condition", "mutations", "null")})
        assert [one.value] == [each.value for each in last] and one.extra["depth"] == 1


def test_half_of_the_variants_chooses_the_layer_that_ranks_the_other(monkeypatch):
    """A layer that moves pathogenic alleles alone is chosen; the last one, of mere noise, is told beside."""
    frame = variant_set(200)
    rng = np.random.default_rng(0)
    guilty = (frame["label"] == "pathogenic").to_numpy()

    def vectors(weights, sequences, poolings, **_):
        count = len(sequences) // 2
        base = rng.normal(size=(count, 6)).astype(np.float32)
        moved = {"max_layer1": 0.2 + guilty, "max_layer0": np.full(count, 0.3), "max": np.full(count, 0.3)}
        return {
            name: np.concatenate([base, base + (size[:, None] * rng.normal(size=base.shape)).astype(np.float32)])
            for name, size in moved.items()
        }

    monkeypatch.setattr(similarity, "embed_sequences", vectors)
    results, _, selections = score_similarity(tiny(), frame, ["max"], 1, layered((0, 1), 2))
    assert [(each["within"], each["chosen"]) for each in selections] == [("max", 1)]
    assert next(iter(selections[0]["tried"])) == 2, "the last layer wins where none is better"
    half = similarity.choosing_half(frame)
    assert 70 < half.sum() < 130
    ranked = [one for one in pick(results, "auroc", unit="variant", pooling="max") if one.split == "test"]
    by_layer = {one.extra["layer"]: one for one in ranked if "layer" in one.extra}
    assert set(by_layer) == {1, 2} and by_layer[1].n == by_layer[2].n == (~half).sum()
    assert by_layer[1].value > 0.75 > 0.65 > by_layer[2].value and by_layer[1].extra["chosen"]
    chosen_by = {one.extra["layer"]: one.value for one in results if one.split == "validation"}
    assert chosen_by == pytest.approx(selections[0]["tried"])
    turned = frame.assign(contig="chr1", position=np.arange(200) // 2, id=[f"w{i}" for i in range(200)])
    halves = similarity.choosing_half(turned)
    assert (halves[::2] == halves[1::2]).all(), "alleles of a position stay together"


def test_an_embedding_that_no_mutation_moves_has_no_centred_cosine(monkeypatch):
    """A layer whose [CLS] state is its embedding alone: centred, nothing is left, and JSON holds no NaN."""
    frame = sensitivity_set()

    def vectors(weights, sequences, poolings, **_):
        varied = np.random.default_rng(0).normal(size=(len(sequences), 4)).astype(np.float32)
        return {"cls": varied, "cls_layer0": np.ones((len(sequences), 4), np.float32)}

    monkeypatch.setattr(sensitivity, "embed_sequences", vectors)
    results, _ = score_sensitivity(tiny(), frame, ["cls"], 3, layered((0,), 1))
    stuck = pick(results, "cosine", condition="centred", layer=0)
    assert stuck and all(one.value is None and one.extra["sd"] is None and one.extra["low"] is None for one in stuck)
    json.dumps([one.extra for one in results], allow_nan=False)
