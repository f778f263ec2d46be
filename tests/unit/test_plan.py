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


def test_a_share_of_the_training_data_is_never_cut_into_folds(parts):
    """Folds are cut from train and validation together: 1 % of the one and all of the other would train."""
    design = study(parts, finetuning__folds=[0, 5, 9])
    assert design.finetuning("sim_mark")["folds"] == design.finetuning("sim_mark.dedup")["folds"] == [0, 5, 9]
    assert design.finetuning("sim_mark.pct1") == {**design.config["finetuning"], "folds": []}


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


@pytest.mark.parametrize(
    ("column", "text", "sentence"),
    [
        ("reader", "intervalls", "unknown reader 'intervalls'; did you mean 'intervals'"),
        ("options", "tst_contigs=chr5", "unknown option 'tst_contigs'; did you mean 'test_contigs'"),
        ("sources", "bd=simulated:mark.bed;genome=genome:simulated", "unknown source 'bd'"),
        ("sources", "genome=genome:simulated", "needs the source 'bed'"),
        ("sources", "bed=simulated:foo.bed;genome=genome:simulated", "unknown simulated file 'foo.bed'"),
        ("metric", "cosine", "metric 'cosine' is none of classes"),
        ("reader", "mutants", "not of mutants"),
    ],
)
def test_a_task_that_cannot_be_built_is_named(parts, column, text, sentence):
    tasks = [row | ({column: text} if row["task"] == "sim_mark" else {}) for row in parts[2]]
    with pytest.raises(UserError, match=sentence):
        plan.Plan(parts[0], parts[1], tasks, parts[3])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"finetuning__folds": [99]}, "folds lie between 0 and 9"),
        ({"pretraining__warmup": 9999}, "warmup is at most steps"),
        ({"limits": {"sim_mrak": {"train": 5}}}, "limits: unknown task 'sim_mrak'; did you mean 'sim_mark'"),
        ({"models__hyenadna.demo__pretrained": {"source": "local"}}, "add path"),
        ({"models__hyenadna.demo__pretrained": {"source": "local", "path": "no/where"}}, "no checkpoint directory"),
    ],
)
def test_settings_that_contradict_each_other_are_named(parts, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        study(parts, **changes)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match=r"config, a.rates.1: not a finite number"):
        plan.check_schema({"a": {"rates": [1.0, float("nan")]}}, {"type": "object"}, "config")


def test_a_directory_or_a_binary_file_is_no_table(tmp_path):
    with pytest.raises(UserError, match="not readable"):
        plan.read_table(tmp_path, ["task"])
    with pytest.raises(UserError, match="cannot be read"):
        plan.read_yaml(tmp_path)
    (tmp_path / "t.tsv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not readable"):
        plan.read_table(tmp_path / "t.tsv", ["task"])
