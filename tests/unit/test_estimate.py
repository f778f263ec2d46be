"""The estimate of a study's cost: work as the formula says, shared parts counted once, limits and shares respected."""

from pathlib import Path

import pytest

from foundationless import plan
from foundationless.__main__ import main
from foundationless.estimate import estimate, parameters

ROOT = Path(__file__).parents[2]
SIZES = {"EMP_H3": {"train": 1000, "validation": 100, "test": 100, "length": 600}}


@pytest.fixture
def config():
    return plan.read_yaml(ROOT / "config/mistral.yaml")


def total(config, sizes=SIZES, flops=1e12, rule="total", target="all"):
    found, _ = estimate(plan.read_study(config, ROOT / "workflow/schemas"), sizes, flops)
    return found[(found["target"] == target) & (found["rule"] == rule)].iloc[0]


def test_pretraining_costs_six_operations_per_parameter_and_token(config):
    settings = config["pretraining"] | (config["models"]["mistral"].get("pretraining") or {})
    tokens = settings["steps"] * settings["batch_size"] * settings["window"]
    found = total(config, rule="pretrain", flops=6e13)
    assert found["jobs"] == 1
    assert found["gpu_hours"] == pytest.approx(6 * 579680640 * tokens / 6e13 / 3600, rel=0.01)


def test_a_faster_gpu_and_less_data_cost_less(config):
    assert total(config, flops=2e12)["gpu_hours"] < total(config, flops=1e12)["gpu_hours"]
    whole = total(config, rule="finetune_model")["gpu_hours"]
    config["limits"] = {"mini_H3": {"train": 10, "validation": 10, "test": 10}}
    assert total(config, rule="finetune_model")["gpu_hours"] < whole


def test_what_targets_share_counts_once(config):
    found, _ = estimate(plan.read_study(config, ROOT / "workflow/schemas"), SIZES, 1e12)
    made = found[found["rule"] == "pretrain"].set_index("target")["jobs"]
    assert made["all"] == 1 and made.drop("all").sum() > 1


def test_tasks_of_unknown_size_are_named(config, capsys):
    _, unknown = estimate(plan.read_study(config, ROOT / "workflow/schemas"), SIZES, 1e12)
    assert "mini_H3" not in unknown and "mini_splice" in unknown


@pytest.mark.parametrize(("width", "layers", "times"), [(128, 2, 1), (256, 2, 4), (128, 4, 2)])
def test_parameters_grow_with_depth_and_the_square_of_the_width(width, layers, times):
    entry = plan.read_yaml(ROOT / "config/models.yaml")["hyenadna"]
    config = entry["config"] | {"d_model": width, "n_layer": layers}
    assert parameters(entry, config) == times * entry["parameters"]


def test_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["plan", "--configfile", "config/paper.yaml", "--rules"]) == 0
    assert "finetune_model" in capsys.readouterr().out
    (tmp_path / "broken.yaml").write_text("- 1")
    assert main(["plan", "--configfile", str(tmp_path / "broken.yaml")]) == 2
    assert main(["plan", "--configfile", str(tmp_path / "none.yaml")]) == 2
    (tmp_path / "sizes.tsv").write_text("task\ttrain\tvalidation\ttest\tlength\nH3\tmany\t1\t1\t1\n")
    assert main(["plan", "--configfile", "config/paper.yaml", "--sizes", str(tmp_path / "sizes.tsv")]) == 2
    for cells in ("1\t1\t1\t0", "-5\t1\t1\t1", "nan\t1\t1\t1", "1\tinf\t1\t1"):
        (tmp_path / "sizes.tsv").write_text(f"task\ttrain\tvalidation\ttest\tlength\nH3\t{cells}\n")
        assert main(["plan", "--configfile", "config/config.yaml", "--sizes", str(tmp_path / "sizes.tsv")]) == 2
    assert "Traceback" not in capsys.readouterr().err
