"""The command `models`: sizes from the architecture, what is here, and differences from the table."""

import json
import re

import pytest
import yaml
from safetensors.torch import load_file

from foundationless.__main__ import main
from foundationless.models.inventory import align, describe, list_models
from foundationless.models.tokenizers import TOKENIZERS
from foundationless.models.weights import initialise, save_weights
from foundationless.study.families import CELL_FAMILIES, FAMILIES
from support.golden_data import SETS
from support.networks import CARD, HYENA

ENTRY = {"family": "hyenadna", "tokenizer": "hyenadna", "arms": ["pretrained", "random"], "config": HYENA}


@pytest.fixture
def model():
    return initialise("hyenadna", HYENA, 4)


@pytest.fixture
def table(tmp_path):
    def write(**entries):
        path = tmp_path / "models.yaml"
        path.write_text(yaml.safe_dump(entries, sort_keys=False))
        return ["models", "--table", str(path), "--weights", str(tmp_path / "weights")]

    return write


def test_sizes_are_those_of_the_saved_tensors(tmp_path, model):
    save_weights(tmp_path / "w", model, CARD)
    card = json.loads((tmp_path / "w" / "weights.json").read_text())
    saved = sum(tensor.nbytes for tensor in load_file(tmp_path / "w" / "model.safetensors").values())
    found = describe("hyenadna", HYENA)
    assert found["parameters"] == card["parameters"] and found["limit"] == 66 and found["objective"] == "causal"
    assert found["fp32_mib"] == round(saved / 2**20, 1) and found["bf16_mib"] == round(saved / 2**21, 1)
    large = describe("hyenadna", HYENA | {"d_model": 512})
    assert large["fp32_mib"] == pytest.approx(2 * large["bf16_mib"], abs=0.1) and large["fp32_mib"] > 4


def test_sizes_of_the_published_models(golden):
    """Parameters of every published architecture, and the size of its file where that is known."""
    for name in SETS.keys() - {"mistral"}:
        full = golden / name / "full_size"
        summary, config = (json.loads((full / file).read_text()) for file in ("summary.json", "config.json"))
        found = describe(SETS[name], config)
        assert found["parameters"] == summary["parameters"], name
        if size := summary.get("safetensors_size_official"):
            assert found["fp32_mib"] == pytest.approx(size / 2**20, rel=2e-3), name  # the file has a header


def test_what_is_here(tmp_path, table, model, capsys):
    for place in ("tiny/random/seed0", "tiny/random/seed1", "tiny/pretrained/seed0", "tiny.demo/random/seed0"):
        save_weights(tmp_path / "weights" / place, model, CARD)
    save_weights(tmp_path / "weights" / "tinyish" / "random" / "seed0", model, CARD)
    (tmp_path / "weights" / "other" / "random" / "seed0").mkdir(parents=True)
    revision = "0123456789abcdef0123456789abcdef01234567"
    hub = {"source": "hub", "repository": "lab/tiny", "revision": revision}
    command = table(
        tiny=ENTRY | {"pretrained": hub, "licence": "MIT"}, other=ENTRY, none={"family": "kmer", "arms": ["baseline"]}
    )
    assert main(command) == 0
    header, tiny, other = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["model", "family", "objective", "parameters"]
    assert tiny.endswith("pretrained+random; tiny.demo: random") and " 01234567 " in tiny and " MIT " in tiny
    assert other.endswith(" no")
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["tiny", "other"] and rows[0]["revision"] == revision
    assert rows[0]["here"] == {"tiny": ["pretrained", "random"], "tiny.demo": ["random"]} and not rows[1]["here"]


def test_differences_and_problems_are_shown(table, model, capsys):
    wrong = ENTRY | {"parameters": 5}
    unknown = ENTRY | {"family": "klingon"}
    broken = ENTRY | {"config": {"d_model": 16}}
    right = ENTRY | {"parameters": sum(p.numel() for p in model.parameters())}
    assert main(table(right=right, wrong=wrong, unknown=unknown, broken=broken)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[5:6] == [f"wrong: the table says 5 parameters, its config gives {right['parameters']:,}."]
    assert lines[6].startswith("unknown: no architecture family 'klingon'")
    assert lines[7].startswith("broken: ") and "is missing" in lines[7] and len(lines) == 8
    assert lines[3].split()[3] == "?"


def test_families_and_tokenizers(capsys):
    assert main(["models"]) == 0
    assert re.search(r"^hyenadna +hyenadna +causal ", capsys.readouterr().out, re.MULTILINE), "the table of the studies"
    assert main(["models", "--families"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n{name} " in text for name in [*FAMILIES, *TOKENIZERS])
    assert main(["models", "--families", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["family"] for row in found["families"]} == {*FAMILIES, *CELL_FAMILIES}
    assert {row["tokenizer"]: row["size"] for row in found["tokenizers"]}["nt_v2"] == 4107


def test_wrong_tables_end_in_one_sentence(tmp_path, table, capsys):
    command = table(tiny={"label": "no family"})
    for change in ([], ["--table", str(tmp_path / "absent.yaml")], ["--table", str(tmp_path)]):
        assert main([*command, *change]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    (tmp_path / "models.yaml").write_text("- a list\n")
    assert main(command) == 2 and "not a model table" in capsys.readouterr().err


def test_columns_of_numbers_stand_to_the_right():
    assert align([("name", "n"), ("a", 1), ("b", "1,000")]) == "name      n\na         1\nb     1,000"


def test_what_another_program_runs_has_no_weights_to_list(tmp_path):
    entry = {"label": "Evo", "source": "outside", "arms": ["pretrained"], "vectors": "{task}.parquet"}
    assert list_models({"evo": entry}, tmp_path) == []
