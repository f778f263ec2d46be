"""The mirror of public files, and the set that several tests look at."""

import pandas as pd
import pytest

from support.commands import built


@pytest.fixture(scope="session")
def mirror(shared):
    """Path of a mirrored file by its name in the manifest."""
    manifest = pd.read_csv(shared / "mirror" / "manifest.tsv", sep="\t").set_index("name")["url"]
    return lambda name: shared / "mirror" / manifest[name].removeprefix("https://")


@pytest.fixture(scope="session")
def enhancers(mirror, tmp_path_factory):
    names = [(split, label) for split in ("train", "test") for label in ("strong", "weak", "non")]
    sources = {f"{split}.{label}": mirror(f"ienhancer_{split}_{label}_enhancers") for split, label in names}
    return built(tmp_path_factory.mktemp("enhancers") / "set.parquet", "fasta_classes", sources)
