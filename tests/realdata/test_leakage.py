"""Leakage of published splits: what is known of them must come out, and MMseqs2 must agree."""

import pytest

from foundationless.data.dna import reverse_complement
from foundationless.tasks import derivations, leakage
from support.commands import built, mmseqs_similarity


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
