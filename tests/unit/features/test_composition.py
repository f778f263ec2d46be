"""Hand-made features against slow definitions, the baselines that have them, and the classifiers that read them."""

import re
from collections import Counter

import numpy as np
import pytest
import torch

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.features import bases, classifiers, composition, genotypes, sequence_classifiers
from foundationless.features.composition import features, gapped_names, kmer_names
from foundationless.features.outputs import fitters
from foundationless.study import vocabulary


def test_what_a_baseline_may_name_is_here():
    for name, family in vocabulary.FEATURES.items():
        if family.of_variants:
            continue  # those of `scoring.probes.cheap`
        room = genotypes if family.of_genotypes else bases if family.of_sequences else composition
        assert callable(getattr(room, name)), name
    assert vocabulary.DRAWN == ("random_conv",) and vocabulary.GENOTYPES == ("genotype", "genotype_pca")
    for name in vocabulary.CLASSIFIERS:
        room = sequence_classifiers if name in vocabulary.SEQUENCE_CLASSIFIERS else classifiers
        serves = vocabulary.CLASSIFIERS[name].serves
        if name != "majority":
            assert callable(getattr(room, f"_fit_{name}", None)) == (vocabulary.CLASSES in serves), name
            of_outputs = name in fitters.FITTERS or (name == "nearest" and room is sequence_classifiers)
            assert of_outputs == bool({vocabulary.VALUES, vocabulary.TRACKS} & {*serves}), name


def test_columns_have_names():
    for family, options in [("length_gc", {}), ("kmer", {"k_max": 3}), ("gapped_kmer", {"l": 4, "k": 3}), ("gc", {})]:
        assert len(composition.names(family, **options)) == features(family, ["ACGTA"], **options).shape[1]
    assert composition.names("random_conv") is None


def drawn(*lengths: int) -> list[str]:
    rng = np.random.default_rng(4)
    return ["".join(rng.choice(list("ACGTN"), length, p=[0.3, 0.2, 0.2, 0.2, 0.1])) for length in lengths]


def naive_spectrum(sequence: str, k: int, canonical: bool) -> dict[str, float]:
    words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    words = [w for w in words if set(w) <= set("ACGT")]
    if canonical:
        words = [min(w, reverse_complement(w)) for w in words]
    return {word: count / len(words) for word, count in Counter(words).items()}


@pytest.mark.parametrize("canonical", [False, True])
def test_kmer_spectra_against_a_counter(canonical):
    sequences = [*drawn(1, 3, 50, 300), "NNN"]
    found = features("kmer", sequences, k_max=4, canonical=canonical)
    names = kmer_names(4, canonical)
    assert found.dtype == np.float32 and found.shape == (5, len(names))
    for row, sequence in zip(found, sequences, strict=True):
        expected = {w: f for k in range(1, 5) for w, f in naive_spectrum(sequence, k, canonical).items()}
        np.testing.assert_allclose(row, [expected.get(name, 0) for name in names], atol=1e-7)
    assert features("kmer", ["ACGT"]).shape == (1, 4 + 16 + 64 + 256 + 1024 + 4096)


def test_length_and_gc_together_alone_and_nothing():
    sequences = ["ACGTNN", "AAAA", "N"]
    both = features("length_gc", sequences)
    np.testing.assert_allclose(both, [[np.log(6), 0.5, 1 / 3], [np.log(4), 0, 0], [0, 0, 1]], rtol=1e-6)
    assert (features("length", sequences) == both[:, :1]).all() and (features("gc", sequences) == both[:, 1:2]).all()
    assert features("majority", sequences).shape == (3, 0)


def test_gapped_words_against_regular_expressions():
    sequences = drawn(2, 6, 90)
    names = gapped_names(5, 3)
    found = features("gapped_kmer", sequences, l=5, k=3)
    assert len(names) == found.shape[1] == 6 * 64 and len(set(names)) == len(names)
    for row, sequence in zip(found, sequences, strict=True):
        counts = {name: len(re.findall(f"(?={name.replace('-', '.')})", sequence)) for name in names}
        shape = {name: re.sub("[ACGT]", "x", name) for name in names}
        total = Counter()
        for name in names:
            total[shape[name]] += counts[name]
        np.testing.assert_allclose(row, [counts[n] / max(total[shape[n]], 1) for n in names], atol=1e-7)


def test_canonical_gapped_words_do_not_see_the_strand():
    rng = np.random.default_rng(6)
    sequences = ["".join(rng.choice(list("ACGT"), 80)) for _ in range(4)]
    turned = list(map(reverse_complement, sequences))
    found = features("gapped_kmer", sequences, l=6, k=3, canonical=True)
    np.testing.assert_allclose(found, features("gapped_kmer", turned, l=6, k=3, canonical=True), atol=1e-6)
    names = gapped_names(6, 3, canonical=True)
    mirrored = {n.translate(str.maketrans("ACGT", "TGCA"))[::-1] for n in names}
    assert len(names) == found.shape[1] and mirrored | set(names) == set(gapped_names(6, 3))
    assert not np.allclose(features("gapped_kmer", sequences, l=6, k=3), features("gapped_kmer", turned, l=6, k=3))


def test_random_filters_are_convolutions_of_torch():
    rng = np.random.default_rng(7)
    sequence = "".join(rng.choice(list("ACGTN"), 70))
    found = features("random_conv", [sequence], 11, width=41, kernel_size=5)[0]
    generator = np.random.default_rng(11)
    weights = generator.normal(size=(21, 5, 4))
    weights = weights - weights.mean(axis=(1, 2), keepdims=True)
    bias, dilation = generator.uniform(-1, 1, size=21), 2 ** generator.integers(5, size=21)
    letters = torch.tensor([[float(base == one) for base in sequence] for one in "ACGT"])[None]
    for i in range(21):
        kernel = torch.tensor(weights[i].T[None], dtype=torch.float32)
        spread = int(dilation[i])
        values = torch.nn.functional.conv1d(letters, kernel, padding=2 * spread, dilation=spread)[0, 0] + bias[i]
        assert len(values) == 70 and found[i] == pytest.approx(values.max().item(), abs=1e-4)
        assert i == 20 or found[21 + i] == pytest.approx((values > 0).float().mean().item(), abs=1e-6)


def test_random_filters_depend_on_the_seed_alone(monkeypatch):
    sequences = ["ACGTTGCA" * 9, "A", "GGC"]
    first = features("random_conv", sequences, 1, width=20)
    assert (first == features("random_conv", sequences, 1, width=20)).all() and first.shape == (3, 20)
    assert (first[:2] == features("random_conv", sequences[:2], 1, width=20)).all()
    assert not np.allclose(first, features("random_conv", sequences, 2, width=20))
    monkeypatch.setattr("foundationless.features.composition._BLOCK", 7)
    np.testing.assert_allclose(features("random_conv", sequences, 1, width=20), first, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("gapped_kmer", {"l": 3, "k": 4}, "'l' = 3 must be between 4"),
        ("gapped_kmer", {"l": 12, "k": 8}, "lower 'l' or 'k'"),
        ("gapped_kmer", {"canonical": 1}, "'canonical' is true or false"),
        ("random_conv", {"width": True}, "'width' is a whole number"),
        ("length", {"k_max": 3}, "no option 'k_max'"),
    ],
)
def test_wrong_options_of_baselines(family, options, message):
    with pytest.raises(UserError, match=message):
        features(family, ["ACGT"], **options)


def test_wrong_baselines():
    for arguments, options in [(("dinucleotide", ["A"]), {}), (("kmer", ["A"]), {"k": 3}), (("kmer", ["A", ""]), {})]:
        with pytest.raises(UserError):
            features(*arguments, **options)
    with pytest.raises(UserError, match="between 1 and 10"):
        features("kmer", ["A"], k_max=11)
