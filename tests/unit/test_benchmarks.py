"""The benchmark scripts, run by hand, must not rot: each runs tiny, prints its table and refuses nonsense in a line."""

import importlib.util
import re
import sys

import pandas as pd
import pytest
import torch

from support import ROOT

SCRIPTS = ROOT / "tests/benchmarks"
FLAGS: dict[str, list[str]] = {
    "consensus": [],
    "finetuning_memory": ["--models", "hyenadna", "--threads", "1", "--precisions", "fp32"],
    "embedding": ["--models", "hyenadna", "ntv2", "--threads", "1"],
    "estimates": [],
    "explanations": [],
    "memory": ["--models", "hyenadna", "--threads", "1"],
    "models": ["--models", "hyenadna", "ntv2", "--threads", "1"],
    "planning": [],
    "own": [],
    "packing": ["--models", "hyenadna", "--threads", "1"],
    "racing": [],
    "rebuild": [],
    "seeds": [],
    "starts": [],
    "grids": [],
    "tokenization": ["--names", "hyenadna", "nt_v2"],
    "verdicts": [],
    "worlds": [],
}


@pytest.fixture
def script(monkeypatch):
    """`script(name)` imports a benchmark as running it would."""
    monkeypatch.syspath_prepend(SCRIPTS)
    threads = torch.get_num_threads()

    def load(name: str):
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for shared in ("setting", "planning", "worlds"):
        sys.modules.pop(shared, None)
    torch.set_num_threads(threads)


def test_every_script_is_tried_here():
    assert {path.stem for path in SCRIPTS.glob("*.py")} == {*FLAGS, "setting"}


@pytest.mark.parametrize("name", list(FLAGS))
def test_smoke(name, script, tool, capsys):
    if name == "consensus":
        tool("bcftools")
    script(name).main([*FLAGS[name], "--smoke"])
    out = capsys.readouterr().out
    assert re.search(r"\d{4}-\d\d-\d\d, .*(torch|bcftools|snakemake|numpy) \d", out), (
        "date and version stand above the table"
    )
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert len(rows) >= 3 and len({row.count("|") for row in rows[:3]}) == 1
    assert all(
        any(row.startswith(f"| {subject} ") for row in rows) for subject in FLAGS[name][1:3] if "-" not in subject
    )


def test_the_goal_of_the_estimate_holds_in_both_directions(script):
    rows = pd.DataFrame({"rule": ["embed", "probe", "pretrain", "total"], "ratio": [2.9, 0.32, 0.34, 1.6]})
    assert script("estimates").missed(rows) == ["probe", "total"]


def test_what_a_network_is_compared_with_computes_the_same(script):
    """The operations of the official code on the same weights; otherwise the ratio compares two functions."""
    import torch

    from foundationless.models.architectures.blocks import SelfAttention
    from foundationless.models.architectures.hyenadna import HyenaOperator

    compared = script("models")
    sizes = {"d_model": 8, "emb_dim": 3, "filter_order": 8, "num_inner_mlps": 1, "max_seq_len": 40}
    hyena = HyenaOperator({**sizes, "activation_freq": 10})
    bias = torch.zeros(2, 1, 1, 33).index_fill(3, torch.tensor([32]), -1e30)
    for module, given in (
        (hyena, (torch.randn(2, 33, 8),)),
        (SelfAttention(16, 2, 0.0), (torch.randn(2, 33, 16), bias)),
    ):
        ours = module(*given)
        with compared.as_published():
            torch.testing.assert_close(module(*given), ours, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("embedding", ["--shortest", "9", "--longest", "3"], "exchange them"),
        ("embedding", ["--models", "bogus"], "no network of that name"),
        (
            "embedding",
            ["--longest", "900", "--shortest", "900", "--models", "hyenadna", "--device", "tpu"],
            "no such device",
        ),
        ("memory", ["--jitter", "1"], "a share from 0"),
        ("models", ["--smoke", "--models", "ntv2", "--length", "99999", "--batch", "1"], "choose less"),
    ],
)
def test_nonsense_is_a_sentence(name, flags, message, script):
    from foundationless.errors import UserError

    with pytest.raises(UserError, match=message):
        script(name).main(flags)


def test_nonsense_flags_are_one_line(script, capsys):
    for flags in (["--repeats", "0"], ["--threads", "two"], ["--nonsense"]):
        with pytest.raises(SystemExit) as stop:
            script("models").main(flags)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and len(error.splitlines()) == 1
