"""In-silico mutagenesis and coding variants of ClinVar: against planted motifs, brute force and scikit-learn."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.features.embedding import embed_sequences
from foundationless.models.contract import GenomicModel
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights
from foundationless.scoring import score_likelihood, score_mutagenesis
from foundationless.scoring.mutagenesis import choose_windows, substitutions
from foundationless.tasks.sequence_sets import read_sequences

COMPUTE = {"token_budget": 4000, "device": "cpu", "precision": "fp32"}
MOTIF = "GATTACA"


class Finder(GenomicModel):
    """Masked: knows one motif. At a site whose other bases spell it, its base is likely; elsewhere all are alike.

    Its hidden state holds the logits of the position, and a channel that says how much of the motif starts there.
    """

    family, padding, tokenizer, implementation, objective = "finder", "mask", "character", "test", "masked"

    def __init__(self) -> None:
        super().__init__({})
        self.max_tokens = 200

    def hidden_states(self, input_ids, attention_mask=None):
        states = torch.zeros(*input_ids.shape, self.width)
        pattern = torch.tensor([self.tokens.base_ids[base] for base in MOTIF])
        for start in range(input_ids.shape[1] - len(pattern) + 1):
            hits = input_ids[:, start : start + len(pattern)] == pattern
            whole = hits.all(dim=1)
            states[:, start, -1] += 1 + 5 * whole
            for place, token in enumerate(pattern):
                rest = hits.sum(dim=1) - hits[:, place].long() == len(pattern) - 1
                states[rest, start + place, int(token)] += 4
        states[:, :, -1] += 0.1
        states[:, :, 0] += 0.5
        return [states]

    def project(self, hidden):
        return hidden[..., :-1]


def finder(kind: type[Finder] = Finder, tokenizer: str = "character") -> Weights:
    model = kind()
    model.tokens = load_tokenizer(tokenizer)
    model.vocabulary_size, model.width = model.tokens.size, model.tokens.size + 1
    return Weights(model, model.tokens, {})


def variant_set(places=(30, 90, 200)) -> tuple[pd.DataFrame, str]:
    """Windows of 41 bases of a contig with the motif at `places`: SNVs that break it, and others 8 bases beside it."""
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("CG"), 300))
    for place in places:
        text = text[:place] + MOTIF + text[place + len(MOTIF) :]
    rows = []
    for place, step in product(places, (1, 3, 5, -8, 9, 11)):
        position = place + step
        ref, window = text[position], text[position - 20 : position + 21]
        alt = next(base for base in "TGCA" if base != ref)
        label = "pathogenic" if step in (1, 3, 5) else "benign"
        rows.append((f"chr1:{position + 1}", window, label, position + 1, ref, alt))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "position", "ref", "alt"])
    frame = frame.assign(split="test", group="G", contig="chr1", offset=20, gene="G")
    return frame.assign(score=rng.normal(size=len(rows))), text


def test_windows_hold_most_variants_and_never_overlap():
    frame, text = variant_set()
    windows = choose_windows(frame, 5)
    assert 2 <= len(windows) <= 5
    spans = []
    for window in windows:
        start, end = map(int, window.name.split(":")[1].split("-"))
        assert window.sequence == text[start - 1 : end]
        inside = frame[frame["position"].between(start, end)].sort_values("position")
        known = window.known.sort_values("position")
        assert (known["position"] + start).tolist() == inside["position"].tolist()
        assert known["label"].tolist() == inside["label"].tolist()
        spans.append((start, end))
    assert all(a[1] < b[0] or b[1] < a[0] for i, a in enumerate(spans) for b in spans[:i])
    best = max(sum(frame["position"].between(place - 20, place + 20)) for place in frame["position"])
    assert len(windows[0].known) == best == 6
    assert [window.name for window in choose_windows(frame, 1)] == [windows[0].name]


def test_a_map_is_every_substitution_and_finds_the_planted_motif():
    frame, _ = variant_set()
    results, rows = score_mutagenesis(finder(), frame, ["mean", "max", "site"], 3, 1, COMPUTE)
    assert len(rows) == 3 * 3 * 41 and rows["id"].is_unique
    for name, some in rows.groupby("window"):
        letters = some.drop_duplicates("position")["ref"].str.cat()
        substituted = set(product(range(41), "ACGT")) - set(enumerate(letters))
        assert set(zip(some["position"], some["alt"], strict=True)) == substituted
        start = letters.index(MOTIF)
        inside = some["position"].between(start, start + len(MOTIF) - 1)
        assert some[inside]["llr"].max() < -3.9 and some[~inside]["llr"].abs().max() < 1e-5, name
        assert some[inside]["shift_mean"].min() > some[~inside]["shift_mean"].max()
    found = {(r.metric, r.extra["measure"], r.extra["window"]): r for r in results}
    assert found["auroc", "llr", "all"].value == 1 and found["auroc", "shift_mean", "all"].value == 1
    known = rows[rows["label"].notna()]
    assert len(known) == found["auroc", "llr", "all"].n == 18
    for measure, damage in (("shift_max", known["shift_max"]), ("llr", -known["llr"])):
        curve = found["auroc", measure, "all"]
        assert curve.value == pytest.approx(roc_auc_score(known["label"] == "pathogenic", damage))
        assert curve.extra["low"] <= curve.value <= curve.extra["high"]
        rho = spearmanr(-damage, known["function_score"]).statistic
        assert found["spearman", measure, "all"].value == pytest.approx(rho)
    agreement = found["agreement", "shift_mean", "all"]
    assert agreement.value == pytest.approx(spearmanr(rows["shift_mean"], -rows["llr"]).statistic)


def test_maps_hold_the_numbers_of_the_other_scores():
    frame, _ = variant_set()
    weights = finder()
    _, rows = score_mutagenesis(weights, frame, ["mean", "site"], 1, 1, COMPUTE)
    window = choose_windows(frame, 1)[0].sequence
    one = rows.sample(8, random_state=0)
    mutants = [window[:p] + alt + window[p + 1 :] for p, alt in zip(one["position"], one["alt"], strict=True)]
    for pooling in ("mean", "site"):
        sites = [[p] for p in one["position"]]
        sides = ([window] * 8, mutants)
        a, b = (embed_sequences(weights, side, [pooling], sites=sites, **COMPUTE)[pooling] for side in sides)
        expected = [1 - np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(one[f"shift_{pooling}"], expected, atol=1e-6)
    as_variants = one.assign(sequence=window, offset=one["position"], group="g", label="benign", split="test")
    _, ratios = score_likelihood(weights, as_variants, COMPUTE)
    np.testing.assert_allclose(one["llr"], ratios["llr"], atol=1e-6)


class Ahead(Finder):
    """Causal, with a fixed preference of the next base for A."""

    objective = "causal"

    def hidden_states(self, input_ids, attention_mask=None):
        states = torch.ones(*input_ids.shape, self.width)
        states[..., self.tokens.base_ids["A"]] = 3.0
        return [states]


def test_a_base_without_left_context_has_no_ratio_and_reverse_strands_lose_the_last():
    weights = finder(Ahead, "hyenadna")
    frame = pd.DataFrame({"id": ["w"], "sequence": ["CCGTANCC"], "window": ["w"], "mutations": [0]})
    _, rows = score_mutagenesis(weights, frame, ["mean"], 1, 0, COMPUTE)
    assert set(rows["position"]) == {0, 1, 2, 3, 4, 6, 7}  # N has no substitutions
    blind = rows["position"] == 0
    assert rows[blind]["llr"].isna().all() and rows[~blind]["llr"].notna().all()
    assert rows[(rows["position"] == 1) & (rows["alt"] == "A")]["llr"].item() == pytest.approx(2)
    _, both = score_mutagenesis(weights, frame, ["mean"], 1, 0, COMPUTE, both_strands=True)
    assert set(both[both["llr"].isna()]["position"]) == {0, 7}


def test_a_sensitivity_set_gives_its_references_and_a_model_without_mask_token_no_ratio():
    rows = [("a", "ACGTACGT", "a", 0), ("a1", "ACGTACGA", "a", 1), ("b", "TTGACCAG", "b", 0)]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "window", "mutations"])
    results, rows = score_mutagenesis(finder(tokenizer="paper_char"), frame, ["mean"], 9, 0, COMPUTE)
    assert rows["window"].unique().tolist() == ["a", "b"] and len(rows) == 2 * 24
    assert rows["llr"].isna().all() and rows["label"].isna().all()
    assert [(r.value, r.extra["reason"]) for r in results] == [(None, "tokenizer 'paper_char' has no mask token")]
    assert len(substitutions("ANT")) == 6


def test_sets_without_windows_are_sentences():
    frame, _ = variant_set()
    mutant = pd.DataFrame({"id": ["a"], "sequence": ["AC"], "window": ["a"], "mutations": [1]})
    for wrong, said in (
        (frame.drop(columns="contig"), "no column contig"),
        (frame.assign(sequence="T" * 20 + frame["ref"] + "T" * 20), "REF is"),
        (mutant, "no window"),
    ):
        with pytest.raises(UserError, match=said):
            score_mutagenesis(finder(), wrong, ["mean"], 9, 0, COMPUTE)


def test_coding_snvs_of_genes_of_an_archive_release(tmp_path, capsys):
    rng = np.random.default_rng(3)
    text = "".join(rng.choice(list("ACGT"), 2000))
    (tmp_path / "g.fa").write_text(f">chr17\n{text}\n")
    header = (
        "##fileformat=VCFv4.1\n##contig=<ID=17>\n##contig=<ID=NW_1>\n"
        + "".join(f'##INFO=<ID={name},Number=.,Type=String,Description="x">\n' for name in ("CLNSIG", "GENEINFO", "MC"))
        + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    )
    rows = [
        ("17", 500, "TP53:7157", "Benign", "SO:0001819|synonymous_variant"),
        ("17", 510, "WRAP53:55135|TP53:7157", "Likely_pathogenic", "SO:0001587|nonsense,SO:0001627|intron_variant"),
        ("17", 520, "TP53:7157", "Benign", "SO:0001627|intron_variant"),
        ("17", 530, "BRCA2:675", "Pathogenic", "SO:0001583|missense_variant"),
        ("17", 540, "BRCA2:675", "Pathogenic", ""),
        ("17", 550, "NBR2:1", "Pathogenic", "SO:0001583|missense_variant"),
        ("17", 560, "TP53:7157", "Uncertain_significance", "SO:0001583|missense_variant"),
        ("NW_1", 5, "OTHER:9", "Benign", "SO:0001583|missense_variant"),
    ]
    lines = []
    for contig, position, gene, significance, consequence in rows:
        ref, more = text[position - 1], f";MC={consequence}" if consequence else ""
        alt = "ACGT".replace(ref, "")[0]
        lines.append(f"{contig}\t{position}\t1\t{ref}\t{alt}\t.\t.\tCLNSIG={significance};GENEINFO={gene}{more}\n")
    (tmp_path / "c.vcf").write_text(header + "".join(lines))
    command = ["build_sequences", "--reader=clinical", f"--source=vcf={tmp_path}/c.vcf", "--seed=1"]
    command += [f"--source=genome={tmp_path}/g.fa", f"--output={tmp_path}/s.parquet", "--option=length=64"]
    assert main([*command, "--option=genes=TP53,BRCA2", "--option=consequences=coding"]) == 0
    frame = read_sequences(tmp_path / "s.parquet")
    assert frame["position"].tolist() == [500, 510, 530] and frame["gene"].tolist() == ["TP53", "TP53", "BRCA2"]
    assert frame["label"].tolist() == ["benign", "pathogenic", "pathogenic"]
    for genes, said in (("CFTR", "no single-nucleotide variants in CFTR"), ("TP53,CFTR", "gene 'CFTR'")):
        assert main([*command, f"--option=genes={genes}"]) == 2 and said in capsys.readouterr().err
