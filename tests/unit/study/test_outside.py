"""Arms from outside in the plan: which analyses they join, the jobs that they are, and what is refused of them."""

import copy
import json

import pytest

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.checks import check_plan, read_study
from foundationless.study.config import check_schema, read_schema, read_yaml
from foundationless.study.plan import Plan
from foundationless.study.price.estimate import estimate
from foundationless.study.price.requests import Allocation
from foundationless.study.price.workload import Workload
from support import ROOT

BOTH = {"label": "Evo", "source": "outside", "arms": ["pretrained", "random"]}
BOTH |= {"vectors": "out/{init}/{seed}/{task}.parquet"}
CADD = {"label": "CADD", "source": "outside", "arms": ["baseline"], "scores": "cadd/{task}.parquet"}


@pytest.fixture(scope="module")
def tables():
    models = read_yaml(ROOT / "config/models.yaml")
    tasks = read_table(ROOT / "config/tasks.tsv", ["task"])
    return models, tasks, read_table(ROOT / "config/datasets.tsv", ["name"])


def plan(tables, models=(), baselines=(), table=(), **analyses):
    """The plan of the demo with these models and baselines beside its own, and of its analyses these changed.

    Of those that could read an arm from outside, `biotype` and `likelihood` name no models.
    """
    config = copy.deepcopy(read_yaml(ROOT / "config/config.yaml"))
    for name in ("biotype", "likelihood"):
        config["analyses"][name].pop("models", None)
    config["models"] |= dict(models)
    config["baselines"] |= dict(baselines)
    for name, change in analyses.items():
        config["analyses"][name] |= change
    own = {**dict(models), **dict(baselines)}
    design = Plan(config, {**tables[0], **own, **dict(table)}, *tables[1:])
    check_plan(design)
    return design


def cells_of(design, name):
    return {(cell.analysis, cell.init, cell.seed) for cell in design.cells if cell.model == name}


def test_it_joins_the_analyses_that_read_what_it_has(tables):
    design = plan(tables, {"evo": BOTH}, {"cadd": CADD, "notes": CADD | {"vectors": "n/{task}.parquet"}})
    joined = {cell.analysis for cell in design.cells if cell.model == "evo"}
    assert joined == {"biotype"}, "of the others that read embeddings, the demo names the models"
    assert cells_of(design, "cadd") == {("likelihood", "baseline", 0)}
    beside = plan(tables, baselines={"cadd": CADD}, variant_probe={"baselines": ["cadd"], "models": ["ntv2.demo"]})
    assert cells_of(beside, "cadd") == {("likelihood", "baseline", 0), ("variant_probe", "baseline", 0)}
    assert {beside.rule_of(cell) for cell in beside.cells if cell.model == "cadd"} == {"import_scores"}
    with pytest.raises(UserError, match="it has no scores, which are read here"):
        plan(tables, {"evo": BOTH}, variant_probe={"models": ["evo"]})
    named = plan(tables, {"evo": BOTH | {"scores": "s/{init}/{seed}/{task}.parquet"}}, frozen={"models": ["evo"]})
    assert cells_of(named, "evo") == {
        *(("frozen", init, seed) for init in ("pretrained", "random") for seed in (0, 1, 2)),
        *(("biotype", init, 0) for init in ("pretrained", "random")),
        *(("likelihood", init, 0) for init in ("pretrained", "random")),
    }


def test_its_files_are_those_of_the_tasks_own_set_and_of_one_checkpoint(tables):
    design = plan(tables, {"evo": BOTH})
    assert (
        design.outside_file("vectors", "evo", "sim_biotype.matched", "random", 2) == "out/random/2/sim_biotype.parquet"
    )
    assert (
        design.outside_file("vectors", "evo", "sim_biotype", "pretrained", 2) == "out/pretrained/0/sim_biotype.parquet"
    )


def test_it_has_no_weights_and_no_job_that_runs_it(tables):
    usual = {"models": ["hyenadna.demo"]}
    design = plan(tables, {"evo": BOTH}, {"cadd": CADD}, frozen={"models": ["hyenadna.demo", "evo"]})
    assert "evo" not in design.networks and design.outside == ("evo", "cadd")
    assert not [
        name for source in ("hub", "local", "workflow") for name in design.networks_from(source) if name == "evo"
    ]
    before, after = (
        estimate(each, {}, 1e12)[0].query("target == 'all'").set_index("rule")["jobs"]
        for each in (plan(tables, frozen=usual), design)
    )
    # sim_biotype and three tasks, each by one checkpoint and three random networks (biotype has a single seed)
    assert after["import_vectors"] == 2 + 3 * 4 and after["import_scores"] == 1
    assert (after.drop(["import_vectors", "import_scores"]) - before)[lambda more: more != 0].to_dict() == {
        "probe": 2 * 2 + 3 * 6, "total": 2 * 2 + 3 * 6 + 2 + 3 * 4 + 1,
    }  # fmt: skip


def test_its_jobs_ask_for_no_gpu_and_for_memory_by_their_input(tables):
    design = plan(tables, {"evo": BOTH})
    allocation = Allocation(Workload(design, {}))
    named = {"task": "sim_biotype", "model": "evo", "init": "random"}
    assert allocation.gpus("import_vectors", **named) == 0
    assert allocation.memory("import_vectors", input_mb=1000, **named) > 8000


def test_its_poolings_are_its_own_if_it_says_so(tables):
    design = plan(tables, {"evo": BOTH | {"poolings": ["mean"]}}, clustering={"models": ["evo", "ntv2.demo"]})
    assert design.poolings("sim_biotype", "evo") == ["mean"] == design.probing("biotype", "evo")["poolings"]
    assert design.probing("biotype", "ntv2.demo") == design.probing("biotype")
    assert design.clustered("evo") == "mean" and design.clustered("ntv2.demo") == "max"
    assert plan(tables, {"evo": BOTH}).poolings("sim_biotype", "evo") == ["max"]


def test_what_figures_call_it_says_where_it_comes_from(tables):
    described = json.loads(plan(tables, {"evo": BOTH}).describe_models())["evo"]
    assert described["label"] == "Evo, from outside" and described["pretrained"] == "outside"


@pytest.mark.parametrize(
    ("models", "baselines", "analyses", "sentence"),
    [
        ({"evo": BOTH}, {}, {"finetune": {"models": ["evo"]}},
         "analysis 'finetune': 'evo' is from outside, and its own weights are read here; leave it out."),
        ({"evo": BOTH}, {}, {"likelihood": {"models": ["evo"]}},
         "analysis 'likelihood': 'evo' is from outside, and it has no scores, which are read here"),
        ({}, {"cadd": CADD}, {"biotype": {"baselines": ["cadd"]}}, "'cadd' is from outside, and it has no vectors"),
        ({}, {"cadd": CADD}, {"likelihood": {"baselines": ["cadd", "gc"]}}, "baselines join classifications only"),
        ({"evo": BOTH}, {}, {"frozen": {"models": ["evo.w64"]}}, "it is not run here, so '.w64' changes nothing"),
        ({"evo": BOTH | {"vectors": "out/{task}.parquet"}}, {}, {}, "names one file for every init; put {init} in"),
        ({"evo": BOTH | {"vectors": "{init}/{task}.parquet"}}, {}, {}, "names one file for every seed; put {seed} in"),
        ({"evo": BOTH | {"vectors": "{init}/{seed}.parquet"}}, {}, {}, "names one file for every task; put {task} in"),
        ({"evo": BOTH | {"vectors": "{init}{seed}{task}{x}.parquet"}}, {}, {}, "vectors: 'x' is none of {task}"),
        ({"evo": BOTH | {"vectors": "{task.parquet"}}, {}, {}, "is none of {task}, {init} and {seed}"),
        ({"evo": {key: BOTH[key] for key in ("label", "source", "arms")}}, {}, {}, "neither vectors nor scores"),
        ({"evo": BOTH | {"tokenizer": "nt_v1"}}, {}, {}, "it is not run here, so tokenizer says nothing"),
        ({"evo": BOTH | {"arms": ["baseline"]}}, {}, {}, "under baselines its arms are"),
        ({}, {"cadd": CADD | {"arms": ["pretrained"]}}, {}, "under baselines its arms are"),
        ({"hyenadna.demo": {"vectors": "{task}.parquet", "pretrained": {"source": "workflow", "corpus": "simulated"}}},
         {}, {}, "model 'hyenadna.demo': vectors is for a model with `source: outside`"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tables, models, baselines, analyses, sentence):
    with pytest.raises(UserError) as refusal:
        plan(tables, models, baselines, **analyses)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"source": "inside"}, "'inside' is not one of"),
        ({"vectors": "{task}.npz"}, "does not match"),
        ({"source": None}, "give either family or source"),
    ],
)
def test_a_table_holds_nothing_else(change, sentence):
    entry = {key: value for key, value in (BOTH | change).items() if value is not None}
    with pytest.raises(UserError, match=sentence):
        check_schema({"evo": entry}, read_schema("models"), "models")


def test_a_study_may_hold_the_entry(tmp_path):
    config = read_yaml(ROOT / "config/config.yaml")
    config["models"]["evo"], config["baselines"]["cadd"] = BOTH, CADD
    design = read_study(config)
    assert cells_of(design, "cadd") == {("likelihood", "baseline", 0)} and design.model("evo").family == "outside"
