"""Explanations: completeness, finite differences, brute force, torch's own attention, enumeration, planted motifs."""

import inspect
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.data.simulate_words import SPEAKS, planted_words, simulate_words
from foundationless.errors import UserError
from foundationless.evaluation.records import read_record
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights, initialise
from foundationless.scoring.explanations import attributions, motifs, trained
from foundationless.scoring.explanations.attributions import Explained, contrast
from foundationless.scoring.explanations.job import How, rank_letters
from foundationless.scoring.explanations.rollout import attention_weights, has_attention, roll_out, rollout
from foundationless.training.classifier import Classifier, tokenise
from foundationless.training.compute import Compute
from support.fine_tuning import MOTIF, planted
from support.networks import CNN, TINY, save_model

SEQUENCES = ["ACGTTGCATTGACCAGTACG", "TTGACCAGTCAGATCCA", "GGCATTACCGATT"]
FAMILIES = ("hyenadna", "caduceus", "caduceus_ph", "nt_v2", "mistral", "dnabert2", "cnn", "gpn")


def explained(family, sequences=SEQUENCES, outputs=3, pooling="mean"):
    """A classifier whose weights are far from their start, and what explains it in passes of two sequences at most."""
    model = initialise(family, TINY[family], 0).eval()
    tokenizer = load_tokenizer("character" if family in ("dnabert2", "gpn") else model.tokenizer)
    torch.manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    classifier = Classifier(model, tokenizer, outputs, pooling, 8).eval().requires_grad_(False)
    tokens, _ = tokenise(tokenizer, sequences, model.max_tokens)
    return Explained(classifier, tokenizer, Compute("cpu", 1, "fp32", 40), sequences, tokens, np.array([0, 2, 1]))


# Near zero a layer norm changes too fast for a few steps: with that baseline a network without one at its entrance.
STARTS = [*((name, "mean") for name in FAMILIES), ("cnn", "zero")]
STARTS += [(name, "shuffled") for name in ("cnn", "nt_v2", "caduceus_ph", "mistral")]


@pytest.mark.parametrize(("family", "baseline"), STARTS)
def test_integrated_gradients_are_complete_the_more_the_more_steps(family, baseline):
    given = explained(family)
    references = attributions.shuffled_references(given, 3, 1) if baseline == "shuffled" else []
    whole, misses = given.contrasts(), []
    for steps in (2, 16):
        made, sums, lowest = attributions.gradients(given, baseline, steps, references)
        misses.append(np.abs(sums - (whole - lowest)).max())
        assert [len(one) for one in made] == [len(ids) for ids in given.tokens]
        assert [one.sum() for one in made] == pytest.approx(sums.mean(0))
    assert misses[1] < 0.02 * np.abs(whole - lowest).max() + 1e-5
    assert misses[1] < misses[0] / 8, "the error of the midpoint rule falls with the square of the steps: by 64"


@pytest.mark.parametrize("steps", [0, 3])
def test_of_a_linear_network_attributions_from_shuffles_are_the_closed_form(steps):
    """Of the mean of rows of a table, and a linear head: w · (row of the letter - mean row of its shuffles)."""
    given = explained("hyenadna", outputs=2)
    given = replace(given, targets=np.array([0, 1, 1]))
    table = attributions.entrance(given.classifier.backbone)
    given.classifier.backbone.encode = lambda ids, mask=None: table(ids)
    references = attributions.shuffled_references(given, 5, 7)
    found = attributions.gradients(given, "shuffled", steps, references)
    head, rows = given.classifier.head.weight.double(), table.weight.double()
    for row, target in enumerate(given.targets):
        way = (head[target] - head[1 - target]).detach()
        own = rows[given.tokens[row]] - torch.stack([rows[one[row]] for one in references]).mean(0)
        letters = given.classifier.counted[given.tokens[row]]
        expected = (own @ way).detach().numpy() / int(letters.sum())
        assert found.tokens[row] == pytest.approx(expected, abs=1e-6) and np.ptp(expected) > 1e-3
        assert found.sums[:, row] == pytest.approx(given.contrasts()[row] - found.lowest[:, row], abs=1e-5)


@pytest.mark.parametrize("family", ["cnn", "nt_v2", "dnabert2"])
def test_references_hold_the_dinucleotides_of_their_sequence_and_its_special_tokens(family):
    given = explained(family, ["ACGTTGCATTGACCAGTACGTTNNAC", "TTGACCAGTCAGATCCA"])
    references = attributions.shuffled_references(given, 4, 1)
    for row, (sequence, ids) in enumerate(zip(given.sequences, given.tokens, strict=True)):
        free = given.classifier.counted.numpy()[ids]
        for one in references:
            assert len(one[row]) == len(ids)
            assert (one[row][~free] == ids[~free]).all()
        assert len({one[row].tobytes() for one in references}) > 1, "each is another"
        if family == "nt_v2":
            continue
        letters = {int(token): letter for letter in "ACGT" for token in given.tokenizer.encode(letter)
                   if given.classifier.counted[int(token)]}  # fmt: skip

        def pairs(tokens, letters=letters):
            text = "".join(letters.get(int(token), "N") for token in tokens)
            return Counter(text[place : place + 2] for place in range(len(text) - 1))

        assert all(pairs(one[row][free]) == pairs(ids[free]) for one in references), sequence
    again = attributions.shuffled_references(given, 4, 1)
    assert [[row.tolist() for row in one] for one in references] == [[row.tolist() for row in one] for one in again]
    other = attributions.shuffled_references(given, 4, 2)
    assert [[row.tolist() for row in one] for one in references] != [[row.tolist() for row in one] for one in other]


@pytest.mark.parametrize("family", ["cnn", "hyenadna", "caduceus_ph"])
def test_gradient_times_input_is_a_finite_difference(family):
    given = explained(family)
    made, *_ = attributions.gradients(given, "zero", 0)
    ids, mask, counts = given.classifier.inputs([given.tokens[0]])
    step, place, backbone = 1e-2, 5, given.classifier.backbone

    def moved(by):
        def change(call, output):
            at = int(backbone.mirror(ids)[0, place]) if call else place
            changed = output.clone()
            changed[0, at] *= 1 + by
            return changed

        with torch.no_grad(), attributions._entering(backbone, change):
            return float(contrast(given.classifier(ids, mask, counts), torch.tensor([0])))

    assert made[0][place] == pytest.approx((moved(step) - moved(-step)) / (2 * step), rel=0.02, abs=2e-5)


@pytest.mark.parametrize("family", ["cnn", "nt_v2"])
def test_mutagenesis_is_every_substitution_one_by_one(family):
    given = explained(family)
    made = attributions.mutagenesis(given, 66)
    for row, at in ((0, 4), (2, 12)):
        sequence = given.sequences[row]
        values = []
        for letter in "ACGT".replace(sequence[at], ""):
            tokens = [given.tokenizer.encode(sequence[:at] + letter + sequence[at + 1 :])]
            logits = given.classifier(*given.classifier.inputs(tokens))
            values.append(float(contrast(logits, torch.tensor([given.targets[row]]))))
        assert made[row][at] == pytest.approx(given.contrasts()[row] - np.mean(values), abs=1e-5)


def test_a_sequence_that_is_cut_is_explained_as_far_as_it_is_read():
    given = explained("cnn", ["ACGT" * 5 + "AC"] * 3)
    cut = Explained(given.classifier, given.tokenizer, given.compute, given.sequences,
                    [ids[:12] for ids in given.tokens], given.targets)  # fmt: skip
    read = sum(int(a >= 0) for a, _ in given.tokenizer.spans(cut.tokens[0], True, cut.sequences[0]))
    for values in (attributions.mutagenesis(cut, 12)[0], attributions.to_letters(cut, cut.tokens)[0]):
        assert np.isfinite(values).tolist() == [place < read for place in range(22)]


def test_letters_share_the_value_of_their_token():
    given = explained("nt_v2")
    made, *_ = attributions.gradients(given, "mean", 4)
    for sequence, ids, tokens, letters in zip(
        given.sequences, given.tokens, made, attributions.to_letters(given, made), strict=True
    ):
        spans = given.tokenizer.spans(ids, True, sequence)
        assert letters.sum() == pytest.approx(tokens[spans[:, 0] >= 0].sum())
        start, end = spans[spans[:, 1] - spans[:, 0] == 6][0]
        assert len(set(letters[start:end].round(12))) == 1


@pytest.mark.parametrize("how", ["plain", "causal", "bias", "mask", "groups"])
def test_attention_weights_are_those_of_torch(how):
    generator = torch.Generator().manual_seed(0)
    query, value = (torch.randn(2, 4, 7, 8, generator=generator) for _ in range(2))
    key = torch.randn(2, 2 if how == "groups" else 4, 7, 8, generator=generator)
    value = value[:, :2] if how == "groups" else value
    more = {"causal": {"is_causal": True}, "groups": {"enable_gqa": True, "scale": 0.3}}.get(how, {})
    more |= {"attn_mask": torch.randn(2, 1, 7, 7, generator=generator)} if how == "bias" else {}
    more |= {"attn_mask": torch.rand(2, 1, 7, 7, generator=generator) > 0.2} if how == "mask" else {}
    weights = attention_weights(query, key, **more)
    mixed = weights @ (value.repeat_interleave(2, 1) if how == "groups" else value)
    assert torch.allclose(mixed, F.scaled_dot_product_attention(query, key, value, **more), atol=1e-5)


def test_rollout_is_the_product_of_blocks_and_shares_add_up():
    first, second = torch.tensor([[[0.5, 0.5], [0.0, 1.0]]]), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    # by hand: halves with the identity are [[.75, .25], [0, 1]], then [[1, 0], [.5, .5]]
    assert torch.allclose(roll_out([first, second]), torch.tensor([[[0.75, 0.25], [0.375, 0.625]]]))
    for family in ("mistral", "dnabert2"):
        shares = rollout(explained(family))
        assert all(one.sum() == pytest.approx(1, abs=1e-5) and (one >= 0).all() for one in shares)
    assert rollout(explained("hyenadna")) is None, "no attention"


def test_before_training_it_is_known_whether_there_is_attention(job, monkeypatch):
    for family in FAMILIES:
        given = explained(family)
        weights = Weights(given.classifier.backbone, given.tokenizer, {})
        assert has_attention(weights) == (rollout(given) is not None), family
    monkeypatch.setattr(trained, "train_chosen", lambda *all: pytest.fail("it trains first"))
    how = How(["rollout"], 2, 2, "mean")
    given = dict.fromkeys(inspect.signature(trained.run_job).parameters) | {"how": how, "energy": False}
    given |= {"weights": job[2] / "weights", "compute": Compute("cpu", 1, "fp32", 40)}
    with pytest.raises(UserError, match="has none of them"):
        trained.run_job(**given)


# ---- where motifs stand


def test_patterns_stand_where_every_letter_fits_on_either_strand():
    rng = np.random.default_rng(0)
    sequence, pattern = "".join(rng.choice(list("ACGTN"), 400, p=[0.24] * 4 + [0.04])), "RYSWN"
    fits = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "N": "ACGT"}

    def stands(word):
        return all(base in fits[letter] for base, letter in zip(word, pattern, strict=True))

    expected = [
        (at, at + 5, strand)
        for at in range(396)
        for strand, word in (("+", sequence[at : at + 5]), ("-", reverse_complement(sequence[at : at + 5])))
        if stands(word)
    ]
    assert sorted(site[:3] for site in motifs.scan(sequence, "m", pattern)) == sorted(expected)
    assert {site.strand for site in motifs.scan("ACGTACGT", "m", "ACGT")} == {"+"}, "a palindrome once"
    with pytest.raises(UserError, match="no letter of IUPAC"):
        motifs.scan("ACGT", "m", "TATAX")


@pytest.mark.parametrize("threshold", [0.001, 0.01, 0.1])
def test_a_matrix_stands_in_as_many_words_as_its_threshold_says(threshold):
    counts = np.random.default_rng(1).integers(0, 12, (5, 4)) + 1.0
    matrix = motifs.make_matrix("m", counts, threshold)
    shares = (counts + np.sqrt(counts.sum(1, keepdims=True)) / 4) / (
        counts.sum(1, keepdims=True) + np.sqrt(counts.sum(1, keepdims=True))
    )
    words = ["".join(word) for word in product("ACGT", repeat=5)]
    scores = np.array([sum(np.log2(4 * shares[i, "ACGT".index(b)]) for i, b in enumerate(word)) for word in words])
    found = np.array([any(site.strand == "+" for site in motifs.matrix_sites(word, matrix)) for word in words])
    assert found.mean() <= threshold
    assert found.sum() >= threshold * len(words) - 3, "no rarer than the grid of scores makes it"
    assert scores[found].min() >= scores[~found].max() - 0.01
    turned = [reverse_complement(word) for word in words]
    back = np.array([any(site.strand == "-" for site in motifs.matrix_sites(word, matrix)) for word in turned])
    assert (back == found).all()


def test_files_of_jaspar_and_of_meme_say_the_same(tmp_path):
    counts = np.array([[16, 2, 1, 1], [1, 17, 1, 1], [2, 2, 2, 14], [20, 0, 0, 0]])
    rows = "\n".join(f"{base} [ {' '.join(map(str, counts[:, place]))} ]" for place, base in enumerate("ACGT"))
    (tmp_path / "a.jaspar").write_text(f">MA0108.3\tTBP\n{rows}\n>MA0001.1 Other\n{rows}\n")
    shares = "\n".join(" ".join(f"{share:.6f}" for share in row / 20) for row in counts)
    header = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF MA0108.3 TBP\n"
    (tmp_path / "a.meme").write_text(f"{header}letter-probability matrix: alength= 4 w= 4 nsites= 20 E= 0\n{shares}\n")
    made = [motifs.read_matrices(tmp_path / name, ["TBP"], 0.02)[0] for name in ("a.jaspar", "a.meme")]
    assert np.array_equal(made[0].scores, made[1].scores)
    assert made[0].least == made[1].least
    assert motifs.read_matrices(tmp_path / "a.jaspar", ["MA0108"], 0.02)[0].name == "TBP", "any version"
    assert (2, 6, "+") in [site[:3] for site in motifs.matrix_sites("GGACTAGG", made[0])]
    with pytest.raises(UserError, match="no motif 'MA9'"):
        motifs.read_matrices(tmp_path / "a.meme", ["MA9"], 0.02)
    with pytest.raises(UserError, match="take a larger one"):
        motifs.read_matrices(tmp_path / "a.meme", [], 1e-6)
    (tmp_path / "bad").write_text(">MA1 x\nA [ 1 2 ]\nC [ 1 2 ]\n")
    with pytest.raises(UserError, match="is no matrix"):
        motifs.read_matrices(tmp_path / "bad", [], 0.1)
    (tmp_path / "none").write_text("ACGT\n")
    with pytest.raises(UserError, match="it holds no matrix"):
        motifs.read_matrices(tmp_path / "none", [], 0.1)


def test_planted_words_are_what_windows_are_written_in(tmp_path):
    simulate_words(tmp_path, 3)
    genome = {part.split("\n", 1)[0]: part.split("\n", 1)[1].replace("\n", "")
              for part in (tmp_path / "words.fa").read_text().split(">")[1:]}  # fmt: skip
    for question in SPEAKS:
        shares = []
        for line in (tmp_path / f"{question}.bed").read_text().splitlines()[:60]:
            contig, start, end = line.split("\t")[:3]
            window = genome[contig][int(start) : int(end)]
            sites = motifs.Motifs(motifs.read_words(3, question)).sites("", window)
            covered = {place for site in sites for place in range(site.start, site.end)}
            shares.append(len(covered) / len(window))
        # words without the one or two at the ends that are cut, and random letters between them
        assert np.mean(shares) > (0.4 if question == "insert_words" else 0.65), question
    assert set(planted_words(3, "insert_words")) & set(planted_words(4, "insert_words")) == set()
    with pytest.raises(UserError, match="no question about words"):
        motifs.read_words(3, "insert_letters")


def test_planted_motifs_of_the_genome_stand_in_its_windows(tmp_path):
    rows = "contig\tstart\tend\tstrand\tmotif\twindow_start\twindow_end\nchr1\t110\t117\t+\tM\t100\t130\n"
    (tmp_path / "truth.tsv").write_text(rows + "chr1\t103\t110\t-\tM\t100\t130\n")
    genome = "C" * 103 + reverse_complement("GATTACA") + "GATTACA" + "C" * 20
    ids = ["chr1:100-130(+)", "chr1:100-130(-)", "chr2:100-130(+)"]
    sites = motifs.read_truth(tmp_path / "truth.tsv", ids)
    assert sites[ids[2]] == []
    for name in ids[:2]:
        window = genome[100:130] if name.endswith("(+)") else reverse_complement(genome[100:130])
        for site in sites[name]:
            word = window[site.start : site.end]
            assert (word if site.strand == "+" else reverse_complement(word)) == "GATTACA"
    with pytest.raises(UserError, match="says no place"):
        motifs.read_truth(tmp_path / "truth.tsv", ["a"])


def test_letters_are_ranked_by_magnitude():
    values = np.array([0.1, -3.0, 2.0, np.nan, 0.2, -0.3])
    sites = [motifs.Site(1, 3, "+", "m")]
    known = np.isfinite(values)
    expected = roc_auc_score(np.array([0, 1, 1, 0, 0, 0])[known], np.abs(values[known]))
    assert rank_letters(values, sites) == expected == 1
    assert np.isnan(rank_letters(values, [motifs.Site(0, 6, "+", "m")]))


# ---- the whole job


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A CNN that was taught a motif, explained; and the same job of fine-tuning."""
    from foundationless.tasks.sequence_sets import write_sequences

    directory = tmp_path_factory.mktemp("explain")
    weights = save_model(directory / "weights", "cnn", CNN | {"width": 24}, "character")
    write_sequences(directory / "set.parquet", planted(400))

    def run(command, *more):
        out = directory / command
        flags = [
            "--task",
            "t",
            "--model",
            "cnn",
            "--init",
            "random",
            "--seed",
            "1",
            "--metric",
            "mcc",
            "--pooling",
            "max",
        ]
        flags += ["--learning-rates", "0.01", "--epochs", "8", "--batch-size", "16"]
        flags += ["--weights", str(weights), "--sequences", str(directory / "set.parquet"), "--runs", str(out / "runs")]
        flags += ["--record", str(out / "record.json"), "--predictions", str(out / "predictions.parquet")]
        assert main([command, *flags, *more]) == 0
        return read_record(out / "record.json"), pd.read_parquet(out / "predictions.parquet")

    explaining = ["--analysis", "explanations", "--patterns", f"M={MOTIF}", "--classes", "bound", "--explained", "24"]
    return run("finetune_model", "--analysis", "finetune"), run("explain", *explaining, "--steps", "16"), directory


def test_it_explains_the_network_that_fine_tuning_made(job):
    (_, predicted), (_, rows), _ = job
    chosen = predicted[predicted["selected"]].set_index("id")
    one = rows.drop_duplicates("id")
    columns = [column for column in chosen.columns if column.startswith("p")]
    probabilities = (
        np.stack(chosen.loc[one["id"], "probabilities"])
        if "probabilities" in chosen
        else (chosen.loc[one["id"], columns].to_numpy())
    )
    own = [sorted({"bound", "free"}).index(label) for label in one["label"]]
    odds = [np.log(p[k] / p[1 - k]) for p, k in zip(probabilities, own, strict=True)]
    assert one["contrast"].to_numpy() == pytest.approx(odds, rel=1e-3, abs=1e-3)


def test_explanations_find_the_motif_that_the_network_was_taught(job):
    _, (record, rows), _ = job
    found = {result["extra"]["measure"]: result for result in record["results"] if result["metric"] == "auroc"}
    assert found["classifier"]["value"] > 0.9
    for method in ("gradient_input", "integrated_gradients", "mutagenesis"):
        assert found[method]["value"] > 0.8, method
        assert found[method]["n"] == 24
    assert found["rollout"]["value"] is None
    assert "attention" in found["rollout"]["extra"]["reason"]
    gaps = rows.groupby("method")["miss"].max()
    assert gaps["integrated_gradients"] < gaps["gradient_input"] / 2, "complete, but for the steps of a maximum"
    first = rows[rows["method"] == "mutagenesis"].iloc[0]
    start, end = map(int, first["sites"].split(":")[0].split("-"))
    assert first["sequence"][start:end] in (MOTIF, reverse_complement(MOTIF))
    assert len(first["attributions"]) == len(first["sequence"])


def test_what_cannot_be_explained_is_one_sentence(job, capsys):
    _, _, directory = job
    flags = ["explain", "--task", "t", "--model", "cnn", "--init", "random", "--seed", "1", "--metric", "mcc"]
    flags += ["--learning-rates", "0.01", "--epochs", "1", "--batch-size", "16", "--pooling", "max", "--weights"]
    flags += [str(directory / "weights"), "--sequences", str(directory / "set.parquet"), "--runs", str(directory / "r")]
    flags += ["--record", str(directory / "r.json"), "--predictions", str(directory / "p.parquet")]
    shuffled = ["--baseline", "shuffled", "--references", "2", "--steps", "2", "--explained", "4"]
    for more, sentence in (
        (["--patterns", "M=ACGTACGTACGTACGT"], "no test sequence holds a motif"),
        (["--patterns", f"M={MOTIF}", "--classes", "strong"], "no test row has such a label"),
        (["--patterns", f"M={MOTIF}", "--methods", "rollout"], "has none of them"),
        (["--words", "letters"], "no question about words"),
        (["--truth", str(directory / "absent.tsv")], "no such file"),
        (["--patterns", f"M={MOTIF}", "--chosen", str(directory / "explain/record.json"), *shuffled], ""),
    ):
        assert main([*flags, *more]) == (2 if sentence else 0), more
        assert sentence in capsys.readouterr().err
    said = read_record(directory / "r.json")
    assert "rates" not in said["settings"], "of a rate that another record says, arms differ"
    rate = next(each for each in said["selections"] if each["what"] == "learning_rate")
    assert len(rate["tried"]) == 1
    assert (said["settings"]["explaining"]["baseline"], said["settings"]["explaining"]["references"]) == ("shuffled", 2)
