"""Random initialisation: the published law of every tensor, at full size and by seeds, and the same bytes everywhere.

The laws below are stated from what the official code was seen to draw (golden/*/full_size/init_stats.json). Its
statistics and ours are both judged by them, at tolerances that follow from the number of values alone: over all checks
of this file together, a right initialisation fails with probability 1e-6.
"""

import hashlib
import itertools
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import scipy.stats
import torch
from safetensors.torch import load_file

from foundationless.errors import UserError
from foundationless.models.weights import initialise, load_checkpoint, save_weights
from foundationless.reporting.tables.inputs import check_distinct
from foundationless.study.families import FAMILIES
from support.golden_data import SETS

FULL = [name for name in SETS if name != "mistral"]  # its full size was never published
# Families whose initialisation is held to others: the official packages, transformers, or what this project says.
ELSEWHERE = {"cnn", "dilated_cnn", "gpn", "mutbert", "olmo", "transformers"}
NOT_BUILT = ("scgpt",)  # sets of architectures that no family here has
ESTIMATED = ("caduceus_ph", "plant_caduceus")  # whose deviations are divided by n - 1, all others by n
CHECKS = 50_000  # more than this file makes
ALPHA = 1e-6 / CHECKS
SIGMAS = scipy.stats.norm.isf(ALPHA / 2)
# Full width and fewer layers where all of them would take minutes: layers are drawn alike.
DEPTH = {"nt_500m": {"num_hidden_layers": 2}}
FIXED = re.compile(r"\.(z|t|deltas|inv_freq|position_ids|complement_map|A_log)$")  # computed, not drawn


class Law(NamedTuple):
    """A distribution, and what to do to the values before they follow it."""

    distribution: object
    view: object = lambda values: values


def normal(spread: float) -> Law:
    return Law(scipy.stats.norm(0, spread))


def uniform(bound: float) -> Law:
    return Law(scipy.stats.uniform(-bound, 2 * bound))


def law(family: str, name: str, shape: list[int], config: dict) -> Law | None:
    """The law that a tensor is drawn from; None for constants and for what is computed."""
    if FIXED.search(name):
        return None
    if family == "hyenadna":
        if name.endswith("filter_fn.bias"):
            return normal(1)
        if "short_filter" in name:  # torch's own: 3 taps
            return uniform(3**-0.5)
    if family in ("caduceus", "caduceus_ph"):
        ssm, fan_in = config["ssm_cfg"], shape[-1]
        if name.endswith("dt_proj.bias"):  # softplus of it is log-uniform
            low, high = math.log(ssm["dt_min"]), math.log(ssm["dt_max"])
            return Law(scipy.stats.uniform(low, high - low), lambda values: np.log(np.logaddexp(0, values)))
        if "conv1d" in name:
            return uniform(ssm["d_conv"] ** -0.5)
        if name.endswith("out_proj.weight"):  # rescaled by the number of residuals
            return uniform(fan_in**-0.5 / config["n_layer"] ** 0.5)
        if name.endswith(("in_proj.weight", "x_proj.weight", "dt_proj.weight")):
            return uniform(fan_in**-0.5)
    return normal(0.02) if name.endswith("weight") and len(shape) > 1 else None


def read(golden, name: str, size: str) -> dict:
    """Configuration of a golden set: `full_size`, or the small one of `a`."""
    return json.loads((golden / name / size / "config.json").read_text())


def drawn_rows(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor without its rows of zeros, the padding rows of embeddings."""
    return tensor[(tensor != 0).flatten(1).any(1)] if tensor.ndim > 1 else tensor


def judge(found: dict, law: Law, where: str) -> None:
    """Whether count, mean, deviation and range of some numbers are those of draws from a law."""
    distribution, count = law.distribution, found["count"]
    spread = distribution.std()
    kurtosis = float(distribution.stats("k")) + 3
    assert abs(found["mean"] - distribution.mean()) < SIGMAS * spread / count**0.5, f"{where}: mean"
    if kurtosis == 3:
        chance = scipy.stats.chi2.cdf(count * (found["std"] / spread) ** 2, count - 1)
        assert ALPHA < chance < 1 - ALPHA, f"{where}: deviation"
    else:
        error = spread * ((kurtosis - 1) / (4 * count)) ** 0.5
        assert abs(found["std"] - spread) < SIGMAS * error, f"{where}: deviation"
    low, high = distribution.support()
    for extreme, beyond in ((found["max"], distribution.logcdf), (-found["min"], lambda x: distribution.logsf(-x))):
        # The chance that all of them stay below: 0 for a range too narrow, 1 for one too wide.
        chance = math.exp(count * float(beyond(extreme)))
        assert chance > ALPHA, f"{where}: the range is too narrow"
        assert chance < 1 - ALPHA or math.isfinite(high), f"{where}: the range is too wide"
    slack = 1e-6 * (high - low) if math.isfinite(high) else 0
    assert low - slack <= found["min"] <= found["max"] <= high + slack, f"{where}: beyond its bounds"


def summarise(tensor: torch.Tensor) -> dict:
    """Statistics as the golden files have them, in float64."""
    x = tensor.double()
    return {"mean": x.mean().item(), "std": x.std(correction=0).item(), "min": x.min().item(), "max": x.max().item(),
            "count": x.numel()}  # fmt: skip


@pytest.mark.parametrize("name", FULL)
def test_full_size_statistics(name, golden):
    family, config = SETS[name], read(golden, name, "full_size")
    official = json.loads((golden / name / "full_size" / "init_stats.json").read_text())["stats"]
    state = initialise(family, config | DEPTH.get(name, {}), 11).state_dict()
    shallow = name in DEPTH
    assert state.keys() <= official.keys() and (shallow or state.keys() == official.keys())
    drawn = 0
    for key, tensor in state.items():
        theirs = official[key] | {"count": tensor.numel()}
        if name in ESTIMATED:
            theirs["std"] *= (1 - 1 / tensor.numel()) ** 0.5
        assert shallow or list(tensor.shape) == theirs["shape"], key
        if list(tensor.shape) != theirs["shape"]:  # one row per layer and head
            assert shallow and "contact_head" in key
            theirs["count"] = math.prod(theirs["shape"])
        ours, expected = summarise(tensor), law(family, key, theirs["shape"], config)
        if expected is None:
            for fact in ("mean", "std", "min", "max"):
                scale = max(1, abs(theirs["min"]), abs(theirs["max"]))
                exact = 0 if theirs["std"] == 0 else 1e-6 * scale
                assert ours[fact] == pytest.approx(theirs[fact], abs=exact), (key, fact)
            continue
        drawn += 1
        if key.endswith("dt_proj.bias"):
            # Only its range can be carried over to the scale on which its law is known.
            ours = summarise(torch.from_numpy(expected.view(tensor.double().numpy())))
            bounds = expected.view(np.array([theirs["min"], theirs["max"]]))
            judge(ours | {"min": bounds[0], "max": bounds[1]}, expected, f"official {key}")
            error = SIGMAS * (2 / tensor.numel()) ** 0.5 * theirs["std"]
            assert summarise(tensor)["mean"] == pytest.approx(theirs["mean"], abs=error), key
            assert summarise(tensor)["std"] == pytest.approx(theirs["std"], abs=error), key
        else:
            judge(theirs, expected, f"official {key}")
            ours = summarise(drawn_rows(tensor))
        judge(ours, expected, key)
    assert drawn > 10


def tensors_file(name: str) -> str:
    """Weights of a golden set; those of Caduceus are there in two semantics."""
    return "weights_fused.safetensors" if name == "caduceus_ps" else "weights.safetensors"


@pytest.mark.parametrize("name", SETS)
def test_zero_rows_are_where_the_official_ones_are(name, golden):
    official = load_file(golden / name / "a" / "init" / tensors_file(name))
    config = read(golden, name, "a")
    state = initialise(SETS[name], config, 4).state_dict()
    compared = 0
    for key, tensor in official.items():
        if tensor.ndim == 2 and law(SETS[name], key, list(tensor.shape), config):
            assert torch.equal((state[key] == 0).all(-1), (tensor == 0).all(-1)), key
            compared += 1
    assert compared > 5


@pytest.mark.parametrize("name", SETS)
def test_distribution_over_seeds(name, golden):
    """Kolmogorov and Smirnov's test of every tensor over several seeds; and no value stands where another should."""
    family, config = SETS[name], read(golden, name, "a")
    states = [initialise(family, config, seed).state_dict() for seed in range(8)]
    shared_names = initialise(family, config, 0).shared_names()
    distinct = [key for key in states[0] if key not in shared_names]
    checked = 0
    for key in distinct:
        shape = list(states[0][key].shape)
        expected = law(family, key, shape, config)
        if expected is None:
            assert all(torch.equal(state[key], states[0][key]) for state in states), key
            continue
        draws = [drawn_rows(state[key]).double().flatten().numpy()[:20_000] for state in states]
        for one, other in itertools.pairwise(draws):
            assert not np.array_equal(one, other), key
            if len(one) > 30:  # the correlation of two independent draws is normal enough
                assert abs(np.corrcoef(one, other)[0, 1]) * len(one) ** 0.5 < SIGMAS, key
        values = np.concatenate(draws)
        assert len(np.unique(values)) > 0.98 * len(values), key
        assert scipy.stats.kstest(expected.view(values), expected.distribution.cdf).pvalue > ALPHA, key
        checked += 1
    random_tensors = [key for key in distinct if law(family, key, list(states[0][key].shape), config)]
    first = np.concatenate([states[0][key].flatten().numpy()[:2] for key in random_tensors])
    assert len(np.unique(first)) >= 0.9 * len(first), "two tensors were drawn from the same numbers"
    assert checked > 5


# A change of the generator or of an order of drawing shows here.
PINNED = {
    "hyenadna": "ed28fdb7ae9fb440",
    "caduceus_ps": "6a1f6239252f0c94",
    "mistral": "e437277da5a73680",
    "nt_500m": "49dcc880e2a2aa4e",
    "nt_v2": "507f2f5a4e424c04",
    "dnabert2": "dbd3c4cad2e94c3a",
    "gena_lm": "9e02b6becad12d15",
    "gena_native_postln": "316d16dcd9f7c03a",
    "caduceus_ph": "c4b00c751f7edacd",
    "plant_caduceus": "0af495f06c936caa",
}


def digests(golden) -> dict[str, dict[str, str]]:
    """SHA-256 of every tensor of every family at its small size; Caduceus, which computes with its draws, wider."""
    found = {}
    for name, family in SETS.items():
        wide = {"d_model": 256} if "caduceus" in family else {}
        state = initialise(family, read(golden, name, "a") | wide, 5).state_dict()
        found[name] = {key: hashlib.sha256(value.numpy().tobytes()).hexdigest() for key, value in state.items()}
    return found


def test_same_seed_same_bytes_everywhere(golden):
    """In a fresh process, with other threads, on a processor without the vector units of this one; and as pinned."""
    here = digests(golden)
    assert here == digests(golden)
    joined = {name: hashlib.sha256("".join(tensors.values()).encode()) for name, tensors in here.items()}
    assert {name: digest.hexdigest()[:16] for name, digest in joined.items()} == PINNED
    code = (
        f"import sys, json, pathlib, torch; sys.path[:0] = {[*sys.path, os.path.dirname(__file__)]!r}; "
        "torch.set_num_threads(3); import test_random_initialisation as t; "
        f"print(json.dumps(t.digests(pathlib.Path({str(golden)!r}))))"
    )
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default", "PYTHONHASHSEED": "7"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    there = json.loads(answer.stdout.splitlines()[-1])
    for name in SETS:
        assert there[name] == here[name], [key for key in here[name] if here[name][key] != there[name][key]]


def test_no_other_generator_is_touched(golden):
    config = read(golden, "hyenadna", "a")
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    one = initialise("hyenadna", config, 3).state_dict()
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(after[0], before[0]) and after[1:] == before[1:]
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert all(torch.equal(one[key], value) for key, value in initialise("hyenadna", config, 3).state_dict().items())


def test_what_the_paper_called_random_gena_lm_is_plain_bert(golden):
    keys = json.loads((golden / "gena_native_postln" / "full_size" / "init_stats.json").read_text())["stats"]
    config = read(golden, "gena_lm", "full_size") | {"num_hidden_layers": 1, "hidden_size": 24, "vocab_size": 50}
    state = initialise("gena_lm", config, 0, reading="as_in_paper").state_dict()
    assert state.keys() == {key for key in keys if not re.search(r"layer\.[1-9]", key)}


@pytest.mark.parametrize("name", SETS)
def test_random_is_never_pretrained(name, golden, tmp_path):
    """The two arms hold other bytes, and where they do not, the comparison is refused."""
    family, source, checkpoint = SETS[name], golden / name / "a", tmp_path / "checkpoint"
    checkpoint.mkdir()
    shutil.copy(source / "config.json", checkpoint)
    shutil.copy(source / tensors_file(name), checkpoint / "model.safetensors")
    card = {"model": name, "family": family, "tokenizer": "hyenadna", "seed": 0, "source": "test"}
    save_weights(tmp_path / "pretrained", load_checkpoint(checkpoint, family), card | {"init": "pretrained"})
    for seed in (0, 1):
        model = initialise(family, read(golden, name, "a"), seed)
        save_weights(tmp_path / f"random{seed}", model, card | {"init": "random", "seed": seed})
    arms = [tmp_path / arm / "weights.json" for arm in ("pretrained", "random0", "random1")]
    assert len({json.loads(arm.read_text())["sha256"] for arm in arms}) == 3
    check_distinct(arms)
    save_weights(tmp_path / "twin", initialise(family, read(golden, name, "a"), 1), card | {"init": "pretrained"})
    with pytest.raises(UserError, match="hold the same weights"):
        check_distinct([*arms, tmp_path / "twin" / "weights.json"])


def test_every_family_with_official_statistics_is_here(golden):
    published = {path.parts[-3] for path in golden.glob("*/full_size/init_stats.json")}
    assert set(FULL) <= published <= {*FULL, *NOT_BUILT} and set(SETS.values()) == set(FAMILIES) - ELSEWHERE
