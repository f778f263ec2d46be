"""Leakage of published splits: what is known of them must come out, and MMseqs2 must agree."""

import subprocess

import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.tasks import derivations, leakage
from foundationless.tasks.sequence_sets import read_sequences


@pytest.fixture(scope="module")
def build(shared, tmp_path_factory):
    """Sequence set of a reader and mirrored files, by their names in the manifest."""
    manifest = pd.read_csv(shared / "mirror" / "manifest.tsv", sep="\t").set_index("name")["url"]

    def made(reader, options=(), **sources):
        output = tmp_path_factory.mktemp("set") / "set.parquet"
        files = {role: shared / "mirror" / manifest[name].removeprefix("https://") for role, name in sources.items()}
        flags = [f"--source={role.replace('__', '.')}={path}" for role, path in files.items()]
        flags += [f"--option={option}" for option in options]
        assert main(["build_sequences", f"--reader={reader}", *flags, "--seed=1", f"--output={output}"]) == 0
        return read_sequences(output)

    return made


@pytest.fixture(scope="module")
def enhancers(build):
    sources = {
        f"{split}__{label}": f"ienhancer_{split}_{label}_enhancers"
        for split in ("train", "test")
        for label in ("strong", "weak", "non")
    }
    return build("fasta_classes", **sources)


@pytest.fixture(scope="module")
def promoters(build):
    sources = {
        "all": {"train": "gue_prom_300_all_dev"},
        "notata": {"train": "gue_prom_300_notata_dev"},
        "tata": {"train": "gue_prom_300_tata_train", "validation": "gue_prom_300_tata_dev"},
    }
    return {
        name: build("table", ["validation_fraction=0"][len(held) - 1 :], **held, test=f"gue_prom_300_{name}_test")
        for name, held in sources.items()
    }


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


def test_splice_shares_thirty(build):
    frame = build("table", ["validation_fraction=0"], train="gue_splice_dev", test="gue_splice_test")
    rows, _ = leakage.audit(frame)
    assert frame.loc[rows["exact"], "sequence"].nunique() == 30


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
    for name, part in {"train": train, "test": test}.items():
        rows = zip(part["id"], part["sequence"], strict=True)
        (tmp_path / f"{name}.fa").write_text("".join(f">{number}\n{text}\n" for number, text in rows))
    subprocess.run(
        [
            *(tool("mmseqs"), "easy-search", "test.fa", "train.fa", "out.m8", "tmp", "--search-type", "3"),
            *("--strand", "2", "-k", "11", "--max-seqs", "2000", "--mask", "0", "--threads", "1", "-v", "1"),
            *("--format-output", "query,fident,alnlen,qlen"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    found = pd.read_csv(tmp_path / "out.m8", sep="\t", names=["query", "identity", "aligned", "length"])
    theirs = (found["identity"] * found["aligned"] / found["length"]).groupby(found["query"].astype(str)).max()
    theirs = theirs.reindex(test["id"], fill_value=0.0).to_numpy()
    ours, _ = leakage.nearest(list(test["sequence"]), list(train["sequence"]))
    assert (theirs >= 0.85).sum() >= 100
    assert (ours[theirs >= 0.85] >= 0.8).mean() > 0.98
    assert (theirs[ours >= 0.8] >= 0.7).all()
