"""Kinds of labels in a study: the metric says which, and what does not fit is one sentence before anything runs."""

import copy

import pytest

from foundationless.errors import UserError
from foundationless.evaluation.power.designs import list_designs
from foundationless.runtime.files import read_table
from foundationless.study import plan, vocabulary
from foundationless.study.checks import check_plan
from foundationless.study.config import check_schema, read_schema, read_yaml
from foundationless.study.price.memory import finetuning_memory, trained_weights
from foundationless.study.price.workload import CLASSES, Workload
from foundationless.study.readers import READERS
from support import ROOT

TABLES = {"all": "gue_emp_H3_dev"}
NUMBERS = {"reader": "table", "sources": TABLES, "options": {"label": "dev,hk", "label_kind": "values"}}
MARKS = {"train.H3": "gue_emp_H3_dev", "test.H3": "gue_emp_H3_test", "train.H4": "gue_emp_H4_dev"}
TASKS = {
    "numbers": NUMBERS | {"metric": "pearson"},
    "marks": {"reader": "joined_tables", "sources": MARKS, "options": {}, "metric": "macro_auroc"},
    "named": {"reader": "table", "sources": TABLES, "options": {}, "metric": "mcc"},
}


@pytest.fixture(scope="module")
def parts():
    config = read_yaml(ROOT / "config/config.yaml")
    del config["truth"]
    config["analyses"] = {"finetune": {"tasks": list(TASKS)}, "frozen": {"tasks": list(TASKS)}}
    tasks = read_table(ROOT / "config/tasks.tsv", ["task"])
    return config, read_yaml(ROOT / "config/models.yaml"), tasks, read_table(ROOT / "config/datasets.tsv", ["name"])


def study(parts, tasks=None, analyses=None, **changes):
    config, models, rows, datasets = parts
    config = copy.deepcopy(config) | changes | ({"analyses": analyses} if analyses else {})
    own = {"label": "x", "suite": "own", "suite_label": "x", "group": "x", "family": "x", "paper_task": ""}
    named = [{"task": name, **own, **row} for name, row in (TASKS | (tasks or {})).items()]
    made = plan.Plan(config, models, [*rows, *named], datasets)
    check_plan(made)
    return made


def test_the_metric_says_the_kind_and_how_many_outputs_there_are(parts):
    made = study(parts)
    assert [made.labels(task) for task in TASKS] == ["values", "tracks", "classes"]
    assert [made.outputs(task) for task in TASKS] == [2, 2, 1]
    assert made.labels("numbers.pct10") == "values"


def test_every_learned_metric_is_of_one_kind_and_rmse_judges_nothing():
    kinds = {name: vocabulary.labels_of(name) for name in vocabulary.LEARNED_METRICS}
    assert set(kinds.values()) == {"classes", "values", "tracks"} and "rmse" not in kinds
    assert vocabulary.labels_of("cosine") == ""


def test_probes_and_baselines_that_do_not_learn_a_kind_are_left_out(parts):
    probing = {**parts[0]["probing"], "probes": ["xgboost", "logistic", "svm", "prototype"]}
    baselines = {"kmer_logistic": {}, "markov": {}, "nearest": {}, "majority": {}}
    analysis = {"finetune": {"tasks": list(TASKS), "baselines": list(baselines)}, "frozen": {"tasks": list(TASKS)}}
    made = study(parts, analyses=analysis, probing=probing, baselines=baselines)
    assert made.probes("frozen", "named") == ("xgboost", "logistic", "svm", "prototype")
    assert made.probes("frozen", "numbers") == ("xgboost", "ridge")
    assert made.probes("frozen", "marks") == ("xgboost", "logistic")
    cells = {
        task: {cell.model for cell in made.cells if (cell.task, cell.init) == (task, "baseline")} for task in TASKS
    }
    assert cells["named"] == set(baselines) and cells["numbers"] == cells["marks"] == set(baselines) - {"markov"}
    assert made.classifiers("kmer_logistic", "numbers") == ("ridge",)
    assert made.classifiers("kmer_logistic", "marks") == made.classifiers("kmer_logistic", "named") == ("logistic",)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (NUMBERS | {"metric": "mcc"}, "metric 'mcc' is of classes, and reader 'table' makes values here; say label_k"),
        (NUMBERS | {"metric": "rmse"}, "'rmse' is better the lower it is, and judges no task .pearson, spearman, r2."),
        (NUMBERS | {"metric": "cosine"}, "metric 'cosine' is none of classes, values or tracks"),
        (TASKS["named"] | {"metric": "r2"}, "metric 'r2' is of values, and reader 'table' makes classes here"),
        (TASKS["marks"] | {"metric": "mcc"}, "'joined_tables' makes tracks here; take another task, or a metric of"),
        (NUMBERS | {"metric": "r2", "options": {"label_kind": "value"}}, "label_kind 'value'.*did you mean 'values'"),
        (
            {"reader": "transfer", "sources": {"train": "task:named", "test": "task:named"}, "metric": "pearson"},
            "metric 'pearson' is of values, and reader 'transfer' makes classes here",
        ),
    ],
)  # fmt: skip
def test_metrics_and_readers_that_do_not_fit_are_one_sentence(parts, row, message):
    with pytest.raises(UserError, match=message):
        study(parts, tasks={"odd": {"options": {}} | row}, analyses={"frozen": {"tasks": ["odd"]}})


@pytest.mark.parametrize("task", ["numbers", "marks"])
@pytest.mark.parametrize(
    ("derivation", "fits"),
    [("pct10", True), ("dedup", True), ("distant", True), ("permuted", True), ("ep2", True), ("shot5", False),
     ("matched", False), ("unrelated", False), ("family", False)],
)  # fmt: skip
def test_what_may_be_derived(parts, task, derivation, fits):
    analyses = {"finetune": {"tasks": [f"{task}.{derivation}"]}}
    if fits:
        assert {cell.task for cell in study(parts, analyses=analyses).cells} == {f"{task}.{derivation}"}
        return
    with pytest.raises(UserError, match=rf"task '{task}.{derivation}': "):
        study(parts, analyses=analyses)


@pytest.mark.parametrize("analysis", [name for name, a in vocabulary.ANALYSES.items() if "classes" in a.sets])
def test_every_classification_takes_every_kind_and_others_classes_alone(parts, analysis):
    tasks = {"more": TASKS["numbers"], "other": {"reader": "transfer", "metric": "macro_auprc", "options": {},
             "sources": {"train": "task:marks", "test": "task:marks"}}}  # fmt: skip
    refused = {
        **dict.fromkeys(("clustering", "structure", "bases"), "beside classes, and metric 'pearson' is of values"),
        "retrieval": "name a task of classes",
        "fewshot_finetune": "say how many rows a class are drawn",
        "explanations": "labels of 'more' are values, and a class is explained",
    }
    if analysis in refused:
        with pytest.raises(UserError, match=refused[analysis]):
            study(parts, tasks, {analysis: {"tasks": ["more"]}})
        return
    made = study(parts, tasks, {analysis: {"tasks": ["more", "other"]}})
    assert {cell.task for cell in made.cells} == {"more", "other"} and made.outputs("other") == 2


def test_probes_of_which_none_serves_are_refused(parts):
    probing = {**parts[0]["probing"], "probes": ["prototype"]}
    with pytest.raises(UserError, match=r"none of the probes \(prototype\) learns values; add one.*ridge"):
        study(parts, analyses={"frozen": {"tasks": ["numbers"]}}, probing=probing)


def test_class_weights_are_passed_where_they_are_set_and_there_are_classes(parts):
    plain = study(parts)
    assert all("class_weights" not in plain.finetuning(task, "finetune") for task in TASKS)
    weighed = study(parts, finetuning={**parts[0]["finetuning"], "class_weights": "balanced"})
    found = {task: weighed.finetuning(task, "finetune").get("class_weights") for task in TASKS}
    assert found == {"numbers": None, "marks": None, "named": "balanced"}
    none = study(parts, finetuning={**parts[0]["finetuning"], "class_weights": "none"})
    assert none.finetuning("named", "finetune") == plain.finetuning("named", "finetune")


@pytest.mark.parametrize("section", ["finetuning", "probing"])
def test_the_schema_knows_class_weights(section):
    config = read_yaml(ROOT / "config/config.yaml")
    config[section]["class_weights"] = "balanced"
    check_schema(config, read_schema("config"), "config")
    config[section]["class_weights"] = "heavy"
    with pytest.raises(UserError, match="class_weights"):
        check_schema(config, read_schema("config"), "config")


def test_outputs_are_priced(parts):
    """A head has a row an output; trees and per-output classifiers are fitted for each; others once."""
    many = {
        "many": TASKS["numbers"] | {"options": {"label_kind": "values", "label": ",".join(f"x{n}" for n in range(90))}}
    }
    analyses = {name: {"tasks": ["numbers", "many", "named"]} for name in ("finetune", "frozen")}
    probing = {**parts[0]["probing"], "probes": ["xgboost"]}
    work = Workload(study(parts, many, analyses, probing=probing), {})
    name = next(cell.model for cell in work.plan.cells if cell.init == "random")
    model = work.plan.model(name)
    assert [work.outputs(task) for task in analyses["frozen"]["tasks"]] == [2, 90, 0]
    probes = {task: work.of("probe", "frozen", task, name).cpu for task in analyses["frozen"]["tasks"]}
    # A round is one tree an output, and 1.5 of classes; what surrounds the fit cancels out.
    assert probes["many"] - probes["numbers"] == pytest.approx(88 / 0.5 * (probes["numbers"] - probes["named"]))
    settings = work.plan.finetuning("many", "finetune", name)
    count = work.parameters(model)
    width = trained_weights(model, count, settings, 1) - trained_weights(model, count, settings, 0)
    grown = finetuning_memory(work, "finetune", "many", model).gradients
    plain = finetuning_memory(work, "finetune", "named", model).gradients
    assert grown - plain == pytest.approx(4 * (90 - CLASSES) * width)


def test_power_is_told_of_classes_alone(parts):
    margins = dict.fromkeys(vocabulary.METRICS, 0.02)
    designs = list_designs(Workload(study(parts), {}), margins)
    assert {len(design.tasks) for design in designs.values()} == {1}
    alone = study(parts, analyses={"finetune": {"tasks": ["numbers"]}})
    assert not list_designs(Workload(alone, {}), margins)


def test_readers_say_what_labels_they_make():
    assert READERS["table"].label_kind({}) == "classes"
    assert READERS["table"].label_kind({"label_kind": "tracks"}) == "tracks"
    assert (READERS["joined_tables"].label_kind({}), READERS["sge_values"].label_kind({})) == ("tracks", "values")
    assert READERS["genes"].label_kind({}) == "classes" and READERS["transfer"].label_kind({}) == ""
