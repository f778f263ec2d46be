"""Overlapping windows: planted truth, brute force, bedtools, edlib and seqleak say how long each overlap is."""

import edlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.tasks import collinear, derivations, leakage
from foundationless.tasks.collinear import ANCHOR, Threshold
from support.commands import output_of


def dna(length: int, generator: np.random.Generator) -> str:
    return "".join(generator.choice(list("ACGT"), length))


def mutate(text: str, rate: float, generator: np.random.Generator) -> str:
    """Each base with this probability changed into another."""
    return "".join(
        str(generator.choice([other for other in "ACGT" if other != base])) if generator.random() < rate else base
        for base in text
    )


def turned(texts: list[str], generator: np.random.Generator) -> list[str]:
    """Each text or its reverse complement."""
    return [reverse_complement(text) if generator.random() < 0.5 else text for text in texts]


def planted(length: int, rate: float, seed: int, count: int = 60):
    """Earlier windows, far from each other; later ones that share the given parts of theirs; then unrelated ones."""
    generator = np.random.default_rng(seed)
    genome = dna(count * 3 * length, generator)
    starts = np.arange(count) * 3 * length + length
    shifts = generator.integers(0, length, count) * generator.choice([-1, 1], count)
    earlier = turned([genome[at : at + length] for at in starts], generator)
    later = [genome[at + shift : at + shift + length] for at, shift in zip(starts, shifts, strict=True)]
    later = turned([mutate(text, rate, generator) for text in later], generator)
    return earlier, later, [dna(length, generator) for _ in range(count)], length - np.abs(shifts)


@pytest.mark.parametrize("length", [100, 200, 500, 1500])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.02])
def test_planted_overlaps_are_found_and_as_long_as_planted(length, rate):
    earlier, later, unrelated, shared = planted(length, rate, seed=length)
    matches = leakage.overlaps(later + unrelated, earlier)
    collinear_rows = Threshold().holds(matches.length, np.full(len(matches.length), length))
    # Changed bases shorten a match by chance, the more the shorter it is; near the threshold either word is right.
    slack = 3 if rate == 0 else 0.06 * length + 8
    clear = shared >= np.maximum(50, length / 2) + slack
    assert clear.sum() >= 20
    assert collinear_rows[: len(later)][clear].mean() >= (1 if rate == 0 else 0.95 if rate == 0.01 else 0.85)
    assert not collinear_rows[: len(later)][shared < length / 2 - 8].any()
    assert not matches.length[len(later) :].any()
    own = np.arange(len(later))
    assert (matches.target[:60][clear & collinear_rows[:60]] == own[clear & collinear_rows[:60]]).all()
    assert (matches.identity[matches.length > 0] >= 0.97).all()
    extra = matches.length[:60][clear] - shared[clear]
    assert extra.max() <= 0 and (rate > 0 or extra.min() == 0)  # the shorter of both rows ends the diagonal


def test_five_percent_of_changed_bases_are_too_many():
    """At 95 % identity a long overlap is none at 97 %, and is one at 93 %."""
    earlier, later, _, shared = planted(1500, 0.05, seed=1)
    whole = shared > 1000
    strict, lenient = (leakage.overlaps(later, earlier, threshold=Threshold(0.5, 50, level)) for level in (0.97, 0.93))
    assert (strict.length[whole] < 750).all() and (lenient.length[whole] > 0.97 * shared[whole] - 30).mean() > 0.9


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=70), min_size=1, max_size=4),
    st.sampled_from([0.7, 0.9, 0.97, 1.0]),
    st.integers(0, 60),
)
def test_the_longest_stretch_is_that_of_brute_force(segments, identity, equal):
    """Every stretch of every segment, tried one by one."""
    # Long runs of equal columns, which chance would not give, lead the segments.
    segments = [[(True, True)] * equal + segment for segment in segments]
    expected = []
    for columns in segments:
        match, base = (np.array(values) for values in zip(*columns, strict=True))
        best = (0, 0.0)
        for begin in range(len(match)):
            for end in range(begin + ANCHOR, len(match) + 1):
                anchored = match[begin : begin + ANCHOR].all() and match[end - ANCHOR : end].all()
                if anchored and 1000 * match[begin:end].sum() >= round(1000 * identity) * (end - begin):
                    best = max(best, (int(base[begin:end].sum()), float(match[begin:end].mean())))
        expected.append(best)
    flat = [column for columns in segments for column in columns]
    match, base = (np.array(values) for values in zip(*flat, strict=True))
    length, share = collinear._longest(match, base, np.array([len(columns) for columns in segments]), identity)
    assert length.tolist() == [bases for bases, _ in expected]
    # Of stretches with as many bases one of several may be taken where a gap adds columns, never one less alike.
    assert (share[length > 0] >= identity - 1e-9).all()


def test_inserted_and_deleted_bases_end_no_match():
    """edlib, aligning what was planted, says how alike the two are."""
    generator = np.random.default_rng(3)
    for gap in (1, 2, 3):
        stretch = dna(300, generator)
        changed = stretch[:140] + stretch[140 + gap :]
        added = stretch[:140] + dna(gap, generator) + stretch[140:]
        for version in (changed, added):
            row = version + dna(100, generator)
            other = dna(80, generator) + stretch
            edits = edlib.align(version, stretch)["editDistance"]
            for text in (row, reverse_complement(row)):
                match = leakage.overlaps([text], [other])
                assert len(version) <= match.length[0] <= len(version) + 8
                assert match.identity[0] == pytest.approx(1 - edits / 300, abs=0.005)


def test_flanks_that_differ_do_not_lengthen_a_match():
    """A stretch of 300 in rows of 600: ten mismatches would still be alike enough, and are no part of it."""
    generator = np.random.default_rng(10)
    stretches = [dna(300, generator) for _ in range(60)]
    queries, targets = ([dna(150, generator) + text + dna(150, generator) for text in stretches] for _ in "ab")
    extra = leakage.overlaps(turned(queries, generator), targets, threshold=Threshold(0.4)).length - 300
    assert extra.min() >= 0 and extra.max() <= 12 and extra.mean() < 1.5


def test_a_jump_ends_a_match_and_the_fullest_diagonal_is_not_the_only_one():
    generator = np.random.default_rng(11)
    stretch = dna(2000, generator)
    jumped = stretch[:1200] + dna(40, generator) + stretch[1200:]  # 98 % of the columns would be equal
    assert leakage.overlaps([jumped], [stretch]).length[0] == pytest.approx(1200, abs=12)
    # More k-mers lie in the part that is 8 % changed throughout than in the smaller one that is not.
    old, new = dna(900, generator), dna(200, generator)
    row = mutate(old, 0.08, generator) + new
    match = leakage.overlaps([row], [new + dna(50, generator) + old], threshold=Threshold(0.1))
    assert match.length[0] == pytest.approx(200, abs=12)


def test_repeats_are_no_windows_and_hide_none():
    """A family of repeats, each copy 12 % from the other, in every row: what else a row shares is what counts."""
    generator = np.random.default_rng(4)
    repeat = dna(300, generator)
    rows = [dna(100, generator) + mutate(repeat, 0.06, generator) + dna(100, generator) for _ in range(400)]
    copies = [text[260:] + dna(260, generator) for text in rows[:40]]  # 240 bases: too few
    windows = [text[190:] + dna(190, generator) for text in rows[:40]]  # 310 bases: enough
    matches = leakage.overlaps([*rows[300:], *copies, *windows], rows[:300])
    known = Threshold().holds(matches.length, np.full(180, 500))
    assert not known[:140].any() and known[140:].all() and list(matches.target[140:]) == list(range(40))


def test_letters_that_are_no_bases_and_rows_without_kmers_match_nothing():
    generator = np.random.default_rng(5)
    text = dna(120, generator)
    queries = ["N" * 200, "ACGT", text[:60] + "N" * 60, "R" * 30 + text[30:], "A" * 200]
    matches = leakage.overlaps(queries, ["N" * 200, text + "N" * 100, "R" * 200])
    assert matches.length.tolist() == [0, 0, 60, 90, 0]


def test_short_rows_need_fifty_bases():
    generator = np.random.default_rng(6)
    text = dna(45, generator)
    frame = pd.DataFrame({"id": ["a", "b"], "sequence": text, "label": "x", "split": ["train", "test"]})
    rows, _ = leakage.audit(frame)
    assert rows["near"].tolist() == [False, True] and not rows["collinear"].any() and rows["overlap"].iloc[1] == 1
    rows, _ = leakage.audit(frame, overlap=Threshold(bases=40))
    assert rows["collinear"].tolist() == [False, True]


@pytest.fixture(scope="module")
def windows() -> pd.DataFrame:
    """Windows of many lengths, anywhere on two contigs, on both strands."""
    generator = np.random.default_rng(7)
    genome = {"chr1": dna(60_000, generator), "chr2": dna(40_000, generator)}
    rows = []
    for split, count in (("train", 90), ("validation", 30), ("test", 90)):
        for _ in range(count):
            contig, size = str(generator.choice(list(genome))), int(generator.integers(60, 700))
            start = int(generator.integers(0, len(genome[contig]) - size))
            strand = str(generator.choice(["+", "-"]))
            text = genome[contig][start : start + size]
            text = reverse_complement(text) if strand == "-" else text
            label = "gene" if start % 4000 < 2000 else "desert"
            rows.append((f"{contig}:{start}-{start + size}({strand})", text, label, split, contig, start, start + size))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "contig", "start", "end"])
    return frame.drop_duplicates("id").assign(group=frame["id"])


def test_overlaps_by_coordinates_and_by_sequence_are_those_of_bedtools(windows, tmp_path, tool):
    earlier, later = windows["split"] != "test", windows["split"] == "test"
    for name, part in {"a": windows[later], "b": windows[earlier]}.items():
        part[["contig", "start", "end", "id"]].to_csv(tmp_path / f"{name}.bed", sep="\t", header=False, index=False)
    said = output_of(tool("bedtools"), "intersect", "-wo", "-a", "a.bed", "-b", "b.bed", cwd=tmp_path)
    table = pd.DataFrame([line.split("\t") for line in said.splitlines()])
    longest = table[8].astype(int).groupby(table[3]).max()
    longest = longest.reindex(windows.loc[later, "id"], fill_value=0).to_numpy()
    sizes = windows.loc[later, "sequence"].str.len().to_numpy()
    truth = (longest >= 50) & (longest >= 0.5 * sizes)
    assert 20 < truth.sum() < 80
    placed = windows.drop(columns=["contig", "start", "end"])
    for frame in (windows, placed):
        rows, counts = leakage.audit(frame)
        rows = rows[later.to_numpy()]
        assert (rows["collinear"].to_numpy() >= truth).all()
        by_place = rows["overlap_by"].isin(["coordinates", "both"]).to_numpy()
        assert (by_place == truth).all() and (rows["overlap_by"][truth] == "both").mean() > 0.95
        assert (rows["overlap_length"].to_numpy()[truth] - longest[truth] <= 8).all()
        assert (rows["overlap_length"].to_numpy() >= longest)[truth].all()
        total = counts.set_index(["split", "against"]).loc[("test", "earlier")]
        assert total["collinear_by_coordinates"] == truth.sum()
    hidden = placed.assign(id=[f"row{number}" for number in range(len(placed))])
    rows, _ = leakage.audit(hidden)
    rows = rows[later.to_numpy()]
    clear = np.abs(longest - np.maximum(0.5 * sizes, 50)) > 8
    assert (rows["collinear"].to_numpy() == truth)[clear].all() and set(rows["overlap_by"]) == {"", "sequence"}


def test_places_stand_in_columns_or_ids(windows):
    places = collinear.read_places(windows.drop(columns=["contig", "start", "end"]))
    assert places.astype(object).equals(windows[["contig", "start", "end"]].astype(object))
    text = "A" * 10
    ids = ["train.strong_7_chr2:5-15(+)", "chr2:6-15(-)", "chr2:5-15", "test:chr2:5-15(.)", "chr2:12:G:A"]
    read = collinear.read_places(pd.DataFrame({"id": ids, "sequence": text}))
    # One is no longer its sequence, one is written by something else, one names a set whose genome may be another.
    assert read.to_numpy().tolist() == [["chr2", 5, 15], ["test:chr2", 5, 15]]
    empty = pd.DataFrame({"id": ids[:2], "sequence": text, "contig": "chr1", "start": ["", "7"], "end": [10, 17]})
    assert collinear.read_places(empty)[["contig", "start", "end"]].to_numpy().tolist() == [["chr1", 7, 17]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_interval_arithmetic_is_that_of_every_pair(seed):
    generator = np.random.default_rng(seed)

    def draw(count: int) -> pd.DataFrame:
        start = generator.integers(0, 200, count)
        contig = generator.choice(["1", "2", "3"], count)
        return pd.DataFrame({"contig": contig, "start": start, "end": start + generator.integers(1, 90, count)})

    later, earlier = draw(int(generator.integers(0, 40))), draw(int(generator.integers(0, 40)))
    length, target = collinear.overlap_places(later, earlier)
    for number, row in enumerate(later.itertuples()):
        same = earlier[earlier["contig"] == row.contig]
        shared = np.minimum(same["end"], row.end) - np.maximum(same["start"], row.start)
        assert length[number] == max([0, *shared])
        assert (target[number] == -1) if length[number] == 0 else (shared[target[number]] == length[number])


def test_overlaps_are_those_of_seqleak():
    """A public linter: k-mers of 21 bases on one diagonal, as a share of the row's."""
    kmers = pytest.importorskip("seqleak.audit.kmers", reason="seqleak is not installed")
    earlier, later, unrelated, _ = planted(500, 0.0, seed=8, count=150)
    queries = later + unrelated
    hits = kmers.query(kmers.build_index(earlier, 21, 1), queries)
    best = kmers.best_per_query(hits, len(queries))
    theirs = best["max_coll"] / np.maximum(hits.n_inf, 1)
    matches = leakage.overlaps(queries, earlier, threshold=Threshold(0.2, 50, 0.97))
    ours = matches.length / 500
    both = theirs >= 0.2
    assert both.sum() > 100 and np.abs((ours * 500 - 20) / 480 - theirs)[both].max() < 0.02
    clear = np.abs(ours - 0.22) > 0.03
    assert ((ours >= 0.22) == (theirs >= 0.2))[clear].all()


def test_the_audit_tells_length_share_identity_and_labels():
    generator = np.random.default_rng(9)
    one, two = dna(400, generator), dna(400, generator)
    rows = [
        ("t1", one, "a", "train"),
        ("t2", two, "b", "train"),
        ("v1", two[100:] + dna(100, generator), "a", "validation"),
        ("e1", reverse_complement(one[150:] + dna(150, generator)), "a", "test"),
        ("e2", dna(150, generator) + two[:250], "b", "test"),
        ("e3", two[250:] + dna(250, generator), "a", "test"),
        ("e4", dna(400, generator), "b", "test"),
        ("e5", one, None, "test"),
    ]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split"])
    audited, counts = leakage.audit(frame)
    known = audited.set_index("id")
    assert list(known.index[known["collinear"]]) == ["v1", "e1", "e2", "e5"]
    assert list(known.index[known["near"]]) == ["e5"]
    assert known["overlap_with"].loc[["v1", "e1", "e2", "e5"]].tolist() == ["t2", "t1", "t2", "t1"]
    assert 250 <= known.loc["e1", "overlap_length"] <= 258 and known.loc["e1", "overlap_identity"] >= 0.97
    assert known.loc["e1", "overlap"] == known.loc["e1", "overlap_length"] / 400
    assert known.loc[["v1", "e1"], "same_label"].tolist() == [False, True] and pd.isna(known.loc["e5", "same_label"])
    total = counts.set_index(["split", "against"]).loc[("test", "earlier")]
    assert total[["collinear", "collinear_share", "collinear_same_label"]].tolist() == [3, 0.6, 1]
    assert total[["known", "known_share", "near"]].tolist() == [3, 0.6, 1]
    made, _ = derivations.derive(frame, "distant", 1)
    assert list(made.loc[made["split"] == "test", "id"]) == ["e3", "e4"]
    summary = leakage.summarise("T", frame, counts)
    assert "at least 50 bases and 50 % of the row" in summary["definition"] and "97 % identity" in summary["definition"]
    assert next(pair for pair in summary["pairs"] if pair["split"] == "validation")["collinear_same_label"] == 0
    for threshold in (Threshold(share=0), Threshold(share=1.5), Threshold(identity=0.5)):
        with pytest.raises(UserError, match="a share of the row"):
            leakage.audit(frame, overlap=threshold)
