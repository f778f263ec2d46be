"""The committed part of the golden sets: cut from the full ones, small, and enough to test a clone that has no more."""

import json
import os
import re
import runpy
import subprocess
import sys

import numpy as np
from safetensors.numpy import load_file

from support import ROOT
from support.golden_data import DATA, SETS, read, unpack


def test_it_is_small_and_holds_every_set():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 3_500_000
    names = {path.name.removesuffix(".npz.xz") for path in DATA.glob("*.npz.xz")}
    assert names == {*SETS, "tokenizers"}


def test_it_is_what_the_script_cuts(shared, tmp_path):
    runpy.run_path(str(ROOT / "tests/golden/make_data.py"))["main"](shared / "golden", tmp_path)
    for path in DATA.glob("*.npz.xz"):
        (files, texts), (again, same) = read(path), read(tmp_path / path.name)
        assert texts == same and files.keys() == again.keys()
        for name in files:
            assert files[name].keys() == again[name].keys()
            assert all(np.array_equal(array, again[name][key]) for key, array in files[name].items()), name


def test_unpacked_it_equals_the_full_sets(shared, tmp_path):
    compared = 0
    for path in unpack(tmp_path).rglob("*.safetensors"):
        full = load_file(shared / "golden" / path.relative_to(tmp_path))
        for name, array in load_file(path).items():
            same = full[name].astype(array.dtype)
            assert np.array_equal(array, same) and array.dtype in (full[name].dtype, np.float16), (path, name)
            compared += 1
    assert compared > 1000
    for path in tmp_path.rglob("vocab.txt"):
        assert path.read_bytes() == (shared / "golden" / path.relative_to(tmp_path)).read_bytes()
    for path in tmp_path.rglob("full_size/config.json"):
        assert json.loads(path.read_text()) == json.loads((shared / "golden" / path.relative_to(tmp_path)).read_text())


def test_a_clone_without_shared_data_tests_the_official_numbers(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "FOUNDATIONLESS_SKIPPED")}
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}",
         *(f"tests/golden/test_golden_{name}.py" for name in ("models", "caduceus", "caduceus_ph", "tokenizers"))],
        cwd=ROOT, env=environment | {"FOUNDATIONLESS_SHARED": str(tmp_path / "none")}, capture_output=True, text=True,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout[-3000:]
    assert len(re.findall(r"\.", answer.stdout.split("Skipped")[0])) > 90, answer.stdout
    assert "for want of shared test data" in answer.stdout
