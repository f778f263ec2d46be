"""Leakage of published splits: what is known of them must come out, and MMseqs2 must agree."""

import numpy as np
import pandas as pd
import pytest

from foundationless.data.dna import reverse_complement
from foundationless.tasks import derivations, leakage
from foundationless.tasks.collinear import Threshold
from support.commands import built, mmseqs_similarity, output_of


@pytest.fixture(scope="module")
def promoters(mirror, tmp_path_factory):
    sources = {
        "all": {"train": "gue_prom_300_all_dev"},
        "notata": {"train": "gue_prom_300_notata_dev"},
        "tata": {"train": "gue_prom_300_tata_train", "validation": "gue_prom_300_tata_dev"},
    }
    made = {}
    for name, held in sources.items():
        files = {role: mirror(file) for role, file in (held | {"test": f"gue_prom_300_{name}_test"}).items()}
        output = tmp_path_factory.mktemp("promoters") / "set.parquet"
        made[name] = built(output, "table", files, ["validation_fraction=0"][len(held) - 1 :])
    return made


def test_all_strong_test_enhancers_leak(enhancers):
    rows, counts = leakage.audit(enhancers)
    test = rows[rows["split"] == "test"].assign(label=enhancers["label"])
    duplicate = test["exact"] | test["reverse_complement"]
    assert duplicate.groupby(test["label"]).sum()["strong"] == 100
    earlier = counts.query("split == 'test' and against == 'earlier'").iloc[0]
    assert earlier["duplicate"] >= 100 and earlier["near"] >= earlier["duplicate"]
    distant, _ = derivations.derive(enhancers, "distant", 1)
    left = distant[distant["split"] == "test"]["label"].value_counts()
    assert "strong" not in left.index and left["non"] > 150


def test_promoters_share_sequences_across_splits_and_tasks(promoters):
    leaks = []
    for frame in promoters.values():
        texts = frame["sequence"].map(lambda text: min(text, reverse_complement(text)))
        held = set(texts[frame["split"] != "test"])
        rows, counts = leakage.audit(frame)
        earlier = counts.query("split == 'test' and against == 'earlier'").iloc[0]
        assert earlier["duplicate"] == texts[frame["split"] == "test"].isin(held).sum()
        assert (rows["near"] >= rows["exact"]).all()
        leaks.append(earlier["duplicate"])
    assert min(leaks) > 0
    found = leakage.overlap(promoters).set_index(["task", "other"])
    # The set of all promoters is that of those with and of those without a TATA box: three tasks, one set of sequences.
    assert found.loc[("tata", "all"), "share"] > 0.99 and (found["clusters"] == 1).all()
    for name, other in found.index:
        if name != other:
            held = set(promoters[other]["sequence"]) | set(promoters[other]["sequence"].map(reverse_complement))
            test = promoters[name].loc[promoters[name]["split"] == "test", "sequence"]
            assert found.loc[(name, other), "equal"] == test.isin(held).sum()


def test_near_duplicates_of_enhancers_equal_mmseqs(tmp_path, enhancers, tool):
    """Rows of which a local alignment of MMseqs2 matches 85 % are near, and near rows are no noise."""
    train, test = enhancers[enhancers["split"] != "test"], enhancers[enhancers["split"] == "test"]
    theirs = mmseqs_similarity(tool("mmseqs"), tmp_path, list(test["sequence"]), list(train["sequence"]))
    ours, _ = leakage.nearest(list(test["sequence"]), list(train["sequence"]))
    assert (theirs >= 0.85).sum() >= 100
    assert (ours[theirs >= 0.85] >= 0.8).mean() > 0.98
    assert (theirs[ours >= 0.8] >= 0.7).all()


@pytest.fixture(scope="module", params=["emp_H3", "splice"])
def published(request, mirror) -> tuple[str, pd.DataFrame]:
    """Two published sets, dev in the place of training."""
    parts = [
        pd.read_csv(mirror(f"gue_{request.param}_{file}"), dtype=str).assign(split=split)
        for split, file in (("train", "dev"), ("test", "test"))
    ]
    frame = pd.concat(parts, ignore_index=True)
    return request.param, frame.assign(id=[f"s{row}" for row in range(len(frame))])


def test_windows_of_published_sets_overlap_as_seqleak_says(published):
    """Measured by others with its rule, a fifth of the k-mers on one diagonal: 11.0 % of H3 and 20.2 % of splice."""
    kmers = pytest.importorskip("seqleak.audit.kmers", reason="seqleak is not installed")
    name, frame = published
    train, test = (list(frame.loc[frame["split"] == split, "sequence"]) for split in ("train", "test"))
    best = kmers.query(kmers.build_index(train, 21, 1), test)
    theirs = kmers.best_per_query(best, len(test))["max_coll"] / np.maximum(best.n_inf, 1) >= 0.2
    assert theirs.mean() == pytest.approx({"emp_H3": 0.110, "splice": 0.202}[name], abs=0.003)
    sizes = np.array([len(text) for text in test])
    # A fifth of the k-mers are a little more than a fifth of the bases.
    matches = leakage.overlaps(test, train, threshold=Threshold(0.23))
    ours = Threshold(0.23).holds(matches.length, sizes)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.01)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.94
    _, counts = leakage.audit(frame)
    total = counts.set_index(["split", "against"]).loc[("test", "earlier")]
    assert total["collinear_share"] == pytest.approx({"emp_H3": 0.066, "splice": 0.161}[name], abs=0.001)
    assert total["collinear_same_label"] > 0.94


def test_windows_that_mmseqs_aligns_overlap(published, tmp_path, tool):
    """Local alignments without gaps, at least so alike and so long, are collinear; those of collinear rows are long."""
    _, frame = published
    rows, _ = leakage.audit(frame)
    test = frame["split"] == "test"
    for name, part in {"q": frame[test], "t": frame[~test]}.items():
        text = "".join(f">{row}\n{sequence}\n" for row, sequence in part["sequence"].items())
        (tmp_path / f"{name}.fa").write_text(text)
    flags = "--search-type 3 --strand 2 -k 11 --max-seqs 2000 -e 1e-5 --threads 1 -v 1 --mask 0"
    columns = ("--format-output", "query,fident,alnlen,gapopen,qlen")
    output_of(tool("mmseqs"), "easy-search", "q.fa", "t.fa", "out.m8", "tmp", *flags.split(), *columns, cwd=tmp_path)
    names = ["query", "identity", "bases", "gaps", "size"]
    found = pd.read_csv(tmp_path / "out.m8", sep="\t", names=names).set_index("query")
    share = found["bases"] / found["size"]
    clear = found.index[(found["identity"] >= 0.975) & (found["gaps"] == 0) & (share >= 0.52)].unique()
    assert len(clear) > 50 and rows.loc[clear, "collinear"].mean() > 0.99
    longest = share[found["identity"] >= 0.8].groupby(level=0).max()
    assert (longest.reindex(rows.index[rows["collinear"]], fill_value=0) >= 0.45).mean() > 0.99
