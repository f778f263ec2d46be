"""Where the golden numbers are: the full sets in the shared data, or else the committed part of them."""

import os
from pathlib import Path

import pytest

from support import SHARED
from support.golden_data import unpack


@pytest.fixture(scope="session")
def golden(request, tmp_path_factory) -> Path:
    """Directory of the golden sets: the full ones, or the committed part in the same layout; CI must have the full."""
    if SHARED.is_dir() or os.environ.get("CI"):
        return request.getfixturevalue("shared") / "golden"
    return unpack(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="session")
def published_files(shared) -> Path:
    """Directory of the published tokenizer files, which are others' and not committed here."""
    return shared / "golden" / "tokenizers" / "files"
