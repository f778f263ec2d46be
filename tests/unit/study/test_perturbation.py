"""Studies of gene perturbations: their cells, what each reads, what is refused, and what it costs."""

import copy
import functools
import json
import operator

import pytest

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.checks import check_plan, read_study
from foundationless.study.config import read_yaml
from foundationless.study.names import parse_model, parse_task, without
from foundationless.study.plan import Cell, Plan
from foundationless.study.price.devices import DEVICES
from foundationless.study.price.estimate import Calibration, estimate, list_jobs
from foundationless.study.price.workload import Workload, read_sizes
from foundationless.study.vocabulary import ANALYSES, EFFECT_ARMS, EFFECT_METRICS, METRICS
from support import ROOT

SIZES = read_sizes(ROOT / "resources/lists/task_sizes.tsv")


@pytest.fixture(scope="module")
def parts():
    config = read_yaml(ROOT / "config/config.yaml")
    del config["truth"]
    models = read_yaml(ROOT / "config/models.yaml")
    return config, models, *(read_table(ROOT / f"config/{name}.tsv", [key]) for name, key in
                             (("tasks", "task"), ("datasets", "name")))  # fmt: skip


def study(parts, **changes):
    config = copy.deepcopy(parts[0])
    for path, value in changes.items():
        *keys, last = path.split("__")
        functools.reduce(operator.getitem, keys, config)[last] = value
    plan = Plan(config, *parts[1:])
    check_plan(plan)
    return plan


def cells_of(plan, analysis, model):
    return [cell for cell in plan.cells if cell.analysis == analysis and cell.model == model]


def test_names_say_side_and_derived_set():
    parts = parse_model("scgpt.mini.readout.paper")
    assert (parts.base, parts.size, parts.side, parts.reading) == ("scgpt", "mini", "readout", "as_in_paper")
    assert without("scgpt.mini.readout.paper", "side", "reading") == "scgpt.mini"
    assert parse_task("norman.halves").derivation == "halves" and parse_task("norman.halves").base_task == "norman"


def test_arms_of_an_embedding_are_drawn_and_those_of_data_are_not(parts):
    plan = study(parts)
    by_arm = {}
    for cell in cells_of(plan, "borrowed", "useful.target"):
        by_arm.setdefault(cell.init, []).append(cell.seed)
    drawn = [0, 1, 2]
    assert by_arm == {"pretrained": [0], "random": drawn, "permuted": drawn, "spectrum": drawn, "copy": [0]}
    assert all(cell.seed == 0 for cell in plan.cells if cell.init == "baseline" and cell.analysis == "borrowed")


def test_a_cell_reads_the_embedding_of_its_arm(parts):
    plan = study(parts)
    of_network = Cell("borrowed", "sim_effects", "scgpt.demo.target", "random", 2)
    assert plan.genes_of(of_network) == "scgpt.demo" and plan.weights_of(of_network) == "scgpt.demo"
    dealt = of_network._replace(init="permuted")
    assert plan.genes_of(dealt) == "scgpt.demo" and plan.weights_of(dealt) == ""  # it is made of the pretrained one
    table = of_network._replace(model="useful.target")
    assert plan.genes_of(table) == "useful" and plan.weights_of(table) == ""
    assert plan.genes_of(Cell("unseen", "sim_effects.halves", "halves.target", "pretrained", 0)) == ""
    assert "scgpt.demo" in plan.networks and "useful" not in plan.networks
    assert plan.networks_from("cells") == ("scgpt.demo", "geneformer.demo")
    assert not {"scgpt.demo", "geneformer.demo"} & {*plan.networks_from("workflow")}
    assert {*plan.gene_tables} == {"useful", "useless"}


def test_a_model_of_dna_embeds_the_sequences_of_genes_in_the_pooling_that_is_read(parts):
    plan = study(parts)
    assert plan.embeds_genes("hyenadna.demo") and "mean" in plan.poolings("sim_biotype", "hyenadna.demo")
    assert "mean" not in plan.poolings("sim_biotype", "caduceus.demo")


def test_what_is_of_halves_stands_beside_halves_alone(parts):
    plan = study(parts)
    tasks = {cell.task for cell in plan.cells if cell.model in ("halves.target", "replicate")}
    assert tasks == {"sim_effects.halves"}


def test_a_screen_lends_nothing_to_itself():
    plan = read_study(read_yaml(ROOT / "config/perturbation.yaml"))
    lent = {cell.task.partition(".")[0] for cell in plan.cells if cell.model == "screenk562.target"}
    assert lent == {"norman", "adamson", "replogle_rpe1"}


def test_analyses_of_sequences_know_nothing_of_genes_and_the_other_way_round(parts):
    plan = study(parts)
    about = {"useful", "useless", "halves", "scgpt.demo", "geneformer.demo", "mean", "replicate"}
    for name, analysis in ANALYSES.items():
        if name in plan.config["analyses"] and not analysis.predicts_effects:
            assert not about & {without(model, "side") for model in plan.names_of(name)}, name
    doubles = {cell.model for cell in plan.cells if cell.analysis == "doubles" and cell.init == "baseline"}
    assert "additive" in doubles and "kmer_logistic" not in doubles and "cnn.demo" not in doubles
    unseen = {cell.model for cell in plan.cells if cell.analysis == "borrowed" and cell.init == "baseline"}
    assert unseen == {"no_change", "mean", "linear"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"analyses__borrowed__models": ["useful.readout.target"]}, "say the same thing"),
        ({"analyses__finetune__models": ["hyenadna.words.target"]}, "is a side of the linear model of perturbations"),
        ({"analyses__biotype__models": ["useful"]}, "is about genes, of which nothing is asked here"),
        ({"analyses__borrowed__baselines": ["additive"]}, "'additive' predicts nothing of what is asked here"),
        ({"analyses__borrowed__tasks": ["sim_effects.matched"]}, "'.matched' is none of .halves, .offtarget"),
        ({"analyses__frozen__tasks": ["sim_enhancer.halves"]}, "is of perturbations, of which nothing is asked here"),
        ({"analyses__borrowed__tasks": ["sim_enhancer"]}, "this analysis reads sets of effects, not of intervals"),
        ({"analyses__borrowed__arms": ["pretrained", "embedding"]}, "'embedding' is no control of what it compares"),
        ({"analyses__finetune__arms": ["pretrained", "spectrum"]}, "'spectrum' is no control of what it compares"),
        ({"perturbation": {"genes": "nothing"}}, "unknown task 'nothing'"),
        ({"perturbation": {"genes": "sim_biotype", "names": "none"}}, "perturbation, names: unknown dataset 'none'"),
        ({"analyses__unseen__models": ["halves.readout"], "analyses__unseen__tasks": ["sim_effects.halves"]},
         "which is nothing of read-out genes; drop .readout"),
        ({"models__useful": {"genes": {"source": "simulated", "file": "useful.tsv", "rows": "dims"}}},
         "rows is for table"),
        ({"models__useful": {"genes": {"source": "table", "datasets": ["genept_adamson"], "names": "none"}}},
         "unknown dataset 'none'"),
        ({"perturbation": {}}, "'hyenadna.demo.target' reads DNA; name the task whose set has the sequence"),
        ({"analyses__frozen__perturbation": {"splits": [1]}}, "'perturbation' is for unseen, doubles, borrowed"),
        ({"models__useful": {"genes": {"source": "table"}}}, "source table reads datasets; add it"),
        ({"models__useful": {"genes": {"source": "table", "datasets": ["genept_adamson", "cells_pbmc_5k"]}}},
         "source table is one dataset, not 2; name one"),
        ({"perturbation": {"genes": "sim_effects"}}, "'sim_effects' is a screen and has no sequences"),
        ({"models__useful": {"genes": {"source": "simulated", "file": "mine.tsv"}}}, "unknown file 'mine.tsv'"),
        ({"models__mine": {"label": "M", "arms": ["pretrained"], "genes": {"source": "screen", "task": "sim_mark"}}},
         "is no screen of perturbations"),
        ({"cells__simulated__datasets": ["nothing"]}, "unknown dataset 'nothing'"),
        ({"cells__simulated__keep": ["sim_mark"]}, "is no task of reader effects"),
        ({"models__scgpt.demo__pretrained": {"source": "workflow", "corpus": "words"}}, "unknown corpus of cells"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(parts, changes, sentence):
    config, models, *tables = parts
    given = dict(changes)
    if "models__mine" in given or "models__useful" in given:
        name = "mine" if "models__mine" in given else "useful"
        entry = given.pop(f"models__{name}")
        models = models | {name: {"label": "L", "arms": ["pretrained", "random"]} | entry}
        given[f"models__{name}"] = {}
    with pytest.raises(UserError) as refused:
        study((config, models, *tables), **given)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_a_task_is_judged_by_a_metric_of_which_the_mean_has_a_known_value(parts):
    for metric in METRICS:
        tasks = [row | ({"metric": metric} if row["task"] == "sim_effects" else {}) for row in parts[2]]
        changed = (*parts[:2], tasks, parts[3])
        if metric in ("skill", "skill_offtarget", "rank_accuracy"):
            study(changed)
            continue
        with pytest.raises(UserError, match=f"metric '{metric}'") as refused:
            study(changed)
        assert "\n" not in str(refused.value)
        if metric in EFFECT_METRICS:
            assert str(refused.value).endswith("use one of skill, skill_offtarget, rank_accuracy.")


def test_the_table_of_models_says_where_vectors_come_from(parts):
    cards = json.loads(study(parts).describe_models())
    assert cards["useful.target"]["vectors"] == "simulated" and "vectors" not in cards["scgpt.demo.target"]


def test_every_job_of_a_study_is_priced_behind_what_it_waits_for(parts):
    plan = study(parts)
    jobs = list_jobs(Workload(plan, SIZES, DEVICES["cpu"]), plan.cells, Calibration(), whole=True)
    rules = {key[0] for key in jobs}
    wanted = {"build_effects", "import_genes", "embed_genes", "pretrain_cells", "build_vocabulary", "predict_effects"}
    assert wanted <= rules
    assert "make_control_arm" not in {key[0] for key in jobs if key[1:2] in (("useful",), ("scgpt.demo",))}
    random = ("embed_genes", "scgpt.demo", "random", "1")
    assert jobs["predict_effects", "borrowed", "sim_effects", "scgpt.demo.target", "random", "1"].parents[-1] == random
    for arm in EFFECT_ARMS:
        key = ("predict_effects", "borrowed", "sim_effects", "scgpt.demo.target", arm, "0")
        assert jobs[key].parents[-1] == ("embed_genes", "scgpt.demo", "pretrained", "0")


def test_the_study_of_the_second_paper_has_a_price():
    plan = read_study(read_yaml(ROOT / "config/perturbation.yaml"))
    table, unknown = estimate(plan, SIZES, DEVICES["a100"])
    assert not {task for task in unknown if plan.tasks[task]["reader"] == "effects"}
    total = table[(table["target"] == "perturbation") & (table["rule"] == "total")].iloc[0]
    assert total["jobs"] > 500 and 0 < total["gpu_hours"] < 5000 and total["cpu_hours"] < 500


def test_beside_a_network_that_is_trained_stand_baselines_of_unseen_perturbations_alone():
    plan = read_study(read_yaml(ROOT / "config/perturbation.yaml"))
    cells = [cell for cell in plan.cells if cell.analysis == "finetuned"]
    rules = {(plan.rule_of(cell), cell.init) for cell in cells}
    arms = {("finetune_effects", "pretrained"), ("finetune_effects", "random"), ("predict_effects", "baseline")}
    assert rules == arms
    seeds = {init: sorted({cell.seed for cell in cells if cell.init == init}) for _, init in rules}
    assert seeds == {"pretrained": [0, 1, 2], "random": [0, 1, 2], "baseline": [0]}
    models = {cell.model for cell in cells}
    assert not models & {"additive", "scaled_additive", "matching_mean"}
    assert models >= {"mean", "no_change", "nearest_go", "scgpt.blood"}
    assert not plan.reads("finetuned", "geneformer.blood")


@pytest.mark.parametrize(
    ("key", "value"),
    [("splits", [2**32]), ("splits", [1, 1]), ("held_out", 1), ("dims", ["all"]), ("strengths", [0]),
     ("inner_folds", 1), ("top", 0), ("sampled_genes", -1), ("pairs", -1), ("control_cells", 0),
     ("dropout", 1), ("pooling", "site")],
)  # fmt: skip
def test_settings_that_cannot_be_run_are_refused_by_name(key, value):
    config = read_yaml(ROOT / "config/perturbation.yaml")
    config["perturbation"][key] = value
    with pytest.raises(UserError, match=rf"perturbation\.{key}") as refused:
        read_study(config)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["genes", "pooling", "names"])
def test_how_embeddings_are_read_is_said_once_for_a_study(key):
    config = read_yaml(ROOT / "config/config.yaml")
    config["analyses"]["borrowed"]["perturbation"] = {key: "mean"}
    with pytest.raises(UserError, match=rf"analyses.borrowed.perturbation: unknown key '{key}'"):
        read_study(config)
    plan = read_study(read_yaml(ROOT / "config/perturbation.yaml"))
    assert plan.genes_read == {"genes": "gene_promoters", "pooling": "mean", "names": "hgnc_complete_set"}


def test_the_paper_s_random_arm_of_a_network_is_drawn_and_reads_no_network(parts):
    plan = study(parts)
    cell = Cell("borrowed", "sim_effects", "scgpt.demo.target.paper", "random", 2)
    assert plan.is_drawn(cell) and plan.weights_of(cell) == "" and plan.genes_of(cell) == "scgpt.demo"
    assert not plan.is_drawn(cell._replace(model="scgpt.demo.target"))
    assert not plan.is_drawn(cell._replace(init="pretrained"))
