"""The design matrix: names with qualifiers, cells, and one clear sentence for every inconsistency."""

import copy
from pathlib import Path

import pytest

from foundationless import plan
from foundationless.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def parts():
    models = plan.read_yaml(ROOT / "config/models.yaml")
    tasks = plan.read_table(ROOT / "config/tasks.tsv", ["task"])
    datasets = plan.read_table(ROOT / "config/datasets.tsv", ["name"])
    return plan.read_yaml(ROOT / "config/config.yaml"), models, tasks, datasets


def study(parts, **changes):
    config = copy.deepcopy(parts[0])
    for path, value in changes.items():
        place = config
        *keys, last = path.split("__")
        for key in keys:
            place = place[key]
        place[last] = value
    return plan.Plan(config, *parts[1:])


def test_every_cell_of_a_network_has_both_arms_at_the_same_seeds(parts):
    design = study(parts)
    for analysis in ("finetune", "lowdata", "biotype", "ancestry"):
        cells = {(job.task, job.model, job.seed): set() for job in design.jobs if job.analysis == analysis}
        for job in design.jobs:
            if job.analysis == analysis:
                cells[job.task, job.model, job.seed].add(job.init)
        arms = {key: found for key, found in cells.items() if "pretrained" in found}
        assert arms and all(found == {"pretrained", "random"} for found in arms.values())


def test_baselines_join_classifications_only_and_run_once(parts):
    design = study(parts)
    baselines = [job for job in design.jobs if job.init == "baseline"]
    assert {job.analysis for job in baselines} <= set(plan.CLASSIFICATIONS)
    assert len(baselines) == len({(job.analysis, job.task, job.model) for job in baselines})


def test_a_checkpoint_that_nothing_is_trained_on_is_scored_once(parts):
    jobs = study(parts, analyses__likelihood__seeds=[0, 1]).jobs
    scored = [job for job in jobs if job.analysis == "likelihood"]
    arms = {init: {job.seed for job in scored if job.init == init} for init in ("pretrained", "random")}
    assert arms == {"pretrained": {0}, "random": {0, 1}}


def test_no_cell_twice(parts):
    jobs = study(parts).jobs
    assert len(jobs) == len(set(jobs))


def test_qualifiers_set_tokenizer_width_and_arms(parts):
    design = study(parts)
    model = design.model("nt500m.demo.char.w128")
    assert (model.tokenizer, model.arms) == ("character", ("random",))
    assert model.config["hidden_size"] == 128 and model.config["intermediate_size"] == 512
    assert model.config["num_hidden_layers"] == 2, "the size's own settings stay"
    assert design.model("hyenadna.demo.w32").arms == ("pretrained", "random")


def test_a_wider_published_checkpoint_exists_at_random_only(parts):
    design = study(parts, models__hyenadna={"arms": ["random"]}, analyses__width__models=["hyenadna.w64"])
    assert design.model("hyenadna.w64").arms == ("random",)


def test_one_checkpoint_serves_every_seed_of_the_pretrained_arm(parts):
    design = study(parts)
    assert [design.weight_seed("pretrained", seed) for seed in (0, 3)] == [0, 0]
    assert [design.weight_seed("random", seed) for seed in (0, 3)] == [0, 3]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"analyses__finetune__tasks": ["sim_marc"]}, "unknown task 'sim_marc'; did you mean 'sim_mark'?"),
        ({"models__hyenadnna": {}}, "unknown model 'hyenadnna'; did you mean 'hyenadna'?"),
        (
            {"analyses__lowdata__models": ["hyenadna.demi"]},
            "unknown model 'hyenadna.demi'; did you mean 'hyenadna.demo'?",
        ),
        ({"analyses__width__models": ["hyenadna.demo.x9"]}, "qualifier '.x9'"),
        ({"corpora__simulated__genomes": ["simulatd"]}, "unknown genome 'simulatd'; did you mean 'simulated'?"),
        ({"genomes__simulated__pieces": [{"source": "yeast"}]}, "unknown dataset 'yeast'"),
    ],
)
def test_inconsistencies_are_one_sentence(parts, changes, sentence):
    with pytest.raises(UserError) as error:
        study(parts, **changes)
    assert sentence in str(error.value)


def test_schema_names_the_place_and_the_nearest_key(parts):
    schema = plan.read_yaml(ROOT / "workflow/schemas/config.schema.yaml")
    config = copy.deepcopy(parts[0])
    plan.check_schema(config, schema, "config")
    config["finetuning"]["epoch"] = 3
    with pytest.raises(UserError, match=r"config, finetuning: unknown key 'epoch'; did you mean 'epochs'\?"):
        plan.check_schema(config, schema, "config")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("task\tlabel\na\tb\na\tc\n", "'a' stands twice"),
        ("task\tlabel\na\n", "row 1 does not have the 2"),
        ("tusk\tlabel\na\tb\n", "column 'task' is missing"),
    ],
)
def test_broken_tables_are_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "tasks.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        plan.read_table(path, ["task"])
