"""The design matrix: names with qualifiers, cells, and one clear sentence for every inconsistency."""

import copy
import functools
import json
import operator
import re

import pytest

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study import families, names, plan, vocabulary
from foundationless.study.checks import check_plan
from foundationless.study.config import check_schema, read_margins, read_schema, read_yaml
from foundationless.study.plan import leading
from foundationless.study.readers import READERS
from support import ROOT

CNN = {"config": {"width": 8}}
HUB = {"source": "hub", "repository": "a/b", "revision": "0" * 40}
MATCHED = "baselines__dilated_cnn.demo"
LARGE = {"arms": ["random"], "config": {"num_hidden_layers": 40}}


@pytest.fixture(scope="module")
def parts():
    models = read_yaml(ROOT / "config/models.yaml")
    tasks = read_table(ROOT / "config/tasks.tsv", ["task"])
    datasets = read_table(ROOT / "config/datasets.tsv", ["name"])
    config = read_yaml(ROOT / "config/config.yaml")
    del config["truth"]  # of models that a changed study may lack
    return config, models, tasks, datasets


def changed(parts, **changes):
    """The demo's config with other values; `__` stands between the keys of a path."""
    config = copy.deepcopy(parts[0])
    for path, value in changes.items():
        *keys, last = path.split("__")
        functools.reduce(operator.getitem, keys, config)[last] = value
    return config


def study(parts, **changes):
    return checked(changed(parts, **changes), *parts[1:])


def checked(*parts):
    design = plan.Plan(*parts)
    check_plan(design)
    return design


def test_controls_that_are_pretrained_begin_every_seed_with_one_checkpoint(parts):
    arms = ["pretrained", "dinucleotide", "self", "step10", "permuted", "random"]
    design = study(parts, analyses__ingredients__arms=arms)
    seeds = {arm: {cell.seed for cell in design.cells if cell[0] == "ingredients" and cell.init == arm} for arm in arms}
    assert set(map(frozenset, seeds.values())) == {frozenset({0, 1, 2})}
    assert {arm: design.weight_seed(arm, 2) for arm in arms} == dict(zip(arms, (0, 0, 0, 0, 2, 2), strict=True))
    drawn = {arm: vocabulary.ANALYSES["clustering"].draws(arm, "hyenadna") for arm in arms}
    assert [arm for arm in arms if drawn[arm]] == ["permuted", "random"], "nothing is trained: weights alone differ"


def test_an_arm_of_the_task_s_own_sequences_has_weights_of_each_set(parts):
    """And of sets that differ in labels or epochs alone one of them; a checkpoint needs no corpus to begin anew."""
    tasks = ["sim_mark", "sim_mark.pct10", "sim_mark.permuted", "sim_mark.ep1"]
    arms = {"models": ["ntv2.demo"], "arms": ["self", "random"], "tasks": tasks}
    design = study(parts, **{f"analyses__controls__{key}": value for key, value in arms.items()})
    cells = [cell for cell in design.cells if (cell.analysis, cell.init) == ("controls", "self")]
    places = {cell.task: names.place_of_weights(cell.model, "self", 0, cell.task) for cell in cells}
    own, few = (f"ntv2.demo/self/{name}/seed0" for name in ("sim_mark", "sim_mark.pct10"))
    assert places == dict(zip(tasks, (own, few, own, own), strict=True))
    assert names.place_of_weights("ntv2.demo", "random", 2, "sim_mark.pct10") == "ntv2.demo/random/seed2"
    fewer = study(parts, pretraining__self_steps=7)
    assert [fewer.pretraining("ntv2.demo", arm)["steps"] for arm in ("self", "pretrained")] == [
        7,
        design.pretraining("ntv2.demo")["steps"],
    ]
    assert fewer.pretraining("ntv2.demo", "self")["warmup"] <= 7
    asked = {"models__ntv2.demo__pretrained": HUB} | {f"analyses__controls__{key}": arms[key] for key in arms}
    with pytest.raises(UserError, match="comes from elsewhere; say 'self_steps'"):
        study(parts, **asked)
    study(parts, **asked, pretraining__self_steps=7)
    reference = study(parts, analyses__tokenizer__arms=["pretrained", "self", "random"])
    inits = {cell.init for cell in reference.cells if (cell.analysis, cell.model) == ("tokenizer", "cnn.demo")}
    assert inits == {"random"}, "a reference is not pretrained on the rows"


def test_networks_have_both_arms_at_the_same_seeds_and_baselines_of_classifications_run_once(parts):
    design = study(parts)
    for analysis in ("finetune", "lowdata", "biotype", "ancestry"):
        cells = {(job.task, job.model, job.seed): set() for job in design.cells if job.analysis == analysis}
        for job in design.cells:
            if job.analysis == analysis:
                cells[job.task, job.model, job.seed].add(job.init)
        arms = {key: found for key, found in cells.items() if "pretrained" in found}
        assert arms and all(found == {"pretrained", "random"} for found in arms.values())
    assert len(design.cells) == len(set(design.cells))
    baselines = [job for job in design.cells if job.init == "baseline"]
    others = (*vocabulary.OF_EFFECTS, *vocabulary.PROBED)
    assert {job.analysis for job in baselines} <= {*vocabulary.CLASSIFICATIONS, *others}
    assert len(baselines) == len({(job.analysis, job.task, job.model) for job in baselines})


def test_features_that_are_drawn_have_every_seed(parts):
    """Random filters differ from seed to seed as random networks do; what is only counted does not."""
    changes = {"baselines__random_conv": {}, "analyses__finetune__baselines": ["random_conv", "kmer_logistic"]}
    changes |= {"analyses__finetune__seeds": parts[0]["seeds"], "analyses__likelihood__seeds": [0, 1]}
    jobs = study(parts, **changes).cells
    seeds = {name: {job.seed for job in jobs if job.model == name} for name in ("random_conv", "kmer_logistic")}
    assert seeds == {"random_conv": set(parts[0]["seeds"]), "kmer_logistic": {0}}
    scored = [job for job in jobs if job.analysis == "likelihood"]
    arms = {init: {job.seed for job in scored if job.init == init} for init in ("pretrained", "random")}
    assert arms == {"pretrained": {0}, "random": {0, 1}}, "a checkpoint that nothing is trained on"


def test_genotypes_are_read_of_people_alone(parts):
    analyses = {"finetune": {"tasks": ["sim_mark"]}, "ancestry": {"tasks": ["sim_ancestry"]}}
    jobs = study(parts, analyses=analyses).cells
    assert {job.analysis for job in jobs if job.model.startswith("genotype")} == {"ancestry"}


def test_baselines_of_variants_join_probes_of_variants_alone_where_the_set_has_their_column(parts):
    """Without a list of baselines too; a set of TP53 states changes of residues, and no splice sites."""
    cheap = {"variant_cpg": {}, "variant_blosum62": {}, "variant_splice": {}, "kmer_logistic": {}}
    config = changed(parts, baselines=cheap, genomes__human={"pieces": [{"source": "simulated:genome.fa"}]})
    probed = {"tasks": ["sim_variants", "mini_tp53"], "models": ["ntv2.demo"], "seeds": [0, 1]}
    config["analyses"] = {"variant_probe": probed, "frozen": {"tasks": ["sim_enhancer"], "models": ["ntv2.demo"]}}
    design = checked(config, *parts[1:])
    cells = [cell for cell in design.cells if cell.init == "baseline"]
    assert {(cell.task, cell.model) for cell in cells} == {
        ("sim_variants", "variant_cpg"), ("mini_tp53", "variant_cpg"), ("mini_tp53", "variant_blosum62"),
        ("sim_enhancer", "kmer_logistic"),
    }  # fmt: skip
    rules = {cell.analysis: design.rule_of(cell) for cell in cells}
    assert rules == {"variant_probe": "probe_variants", "frozen": "fit_baseline"} and len(cells) == 4
    for models, sentence in ((["variant_cpg"], "frozen"), (["kmer_logistic"], "variant_probe")):
        config["analyses"][sentence]["baselines"] = models
        with pytest.raises(UserError, match=f"analysis '{sentence}'"):
            checked(config, *parts[1:])
        del config["analyses"][sentence]["baselines"]


def test_qualifiers_set_tokenizer_width_and_arms(parts):
    design = study(parts)
    model = design.model("nt500m.demo.char.w128")
    assert (model.tokenizer, model.arms) == ("character", ("pretrained", "random")), "it is pretrained here"
    assert model.config["hidden_size"] == 128 and model.config["intermediate_size"] == 512
    assert model.config["num_hidden_layers"] == 2, "the size's own settings stay"
    deep = design.model("dnabert2.demo.kmer.l5")
    assert (deep.config["num_hidden_layers"], deep.config["hidden_size"], deep.tokenizer) == (5, 32, "nt_v2")
    assert [design.model(f"caduceus.demo{name}").reading for name in ("", ".paper")] == ["published", "as_in_paper"]
    assert design.model("hyenadna.demo.w32").arms == ("pretrained", "random")


def test_a_wider_published_checkpoint_exists_at_random_only(parts):
    design = study(parts, models__hyenadna={}, analyses__width__models=["hyenadna.w64", "hyenadna.char", "hyenadna.l3"])
    assert {design.model(f"hyenadna.{name}").arms for name in ("w64", "char", "l3")} == {("random",)}
    assert design.model("hyenadna.paper").arms == ("pretrained", "random")


def test_what_the_paper_read_is_an_import_of_what_is_pretrained_here(parts):
    """`.paper` is another way to read the same weights; only the hub's own have to be fetched for it."""
    design = study(parts, models__hyenadna={}, analyses__width__models=["ntv2.demo.paper", "hyenadna.paper"])
    assert [design.model(name).source for name in ("ntv2.demo.paper", "hyenadna.paper")] == ["local", "hub"]
    assert design.model("ntv2.demo.paper.w8").published == "ntv2.demo.w8"
    alone = study(parts, analyses={"finetune": {"tasks": ["sim_mark"], "models": ["ntv2.demo.paper"]}})
    assert alone.networks_from("workflow") == ("ntv2.demo",), "its own weights are made, in the design or not"
    for name in ("ntv2.paper", "ntv2.char", "ntv2.w16"):
        with pytest.raises(UserError, match="is a qualifier, not a size"):
            study(parts, models={name: {}}, analyses={"finetune": {"tasks": ["sim_mark"]}})
    assert "ntv2.demo.paper" in design.networks_from("local") and "hyenadna.paper" in design.networks_from("hub")


def test_control_weights_are_arms_of_an_analysis(parts):
    design = study(parts, analyses__controls__seeds=[0, 1])
    jobs = [job for job in design.cells if job.analysis == "controls" and job.task == "sim_promoter"]
    arms = {model: {job.init for job in jobs if job.model == model} for model in {job.model for job in jobs}}
    assert arms["dnabert2.demo"] == {"pretrained", "embedding", "permuted", "copy", "random"}
    assert arms["dnabert2.demo.paper"] == {"pretrained", "random"}
    assert [design.weight_seed("permuted", seed) for seed in (0, 1)] == [0, 1]
    assert [design.weight_seed("pretrained", seed) for seed in (0, 3)] == [0, 0], "one checkpoint serves every seed"
    assert [design.weight_seed("random", seed) for seed in (0, 3)] == [0, 3]


def test_a_family_of_ones_own_says_what_its_width_is(parts):
    family = f"{ROOT}/tests/support/recurrent.py:Recurrent"
    own = {**parts[1], "mine": {"label": "Mine", "family": family, "tokenizer": "character", "arms": ["random"]}}
    config = {**parts[0], "models": {"mine": {}}, "baselines": {}}
    config["analyses"] = {"width": {"tasks": ["sim_biotype"], "models": ["mine.w8"], "baselines": []}}
    with pytest.raises(UserError, match="add scaling to its entry"):
        checked(config, own, *parts[2:])
    own["mine"]["scaling"] = {"width": {"width": 1, "inner": 3}}
    assert checked(config, own, *parts[2:]).model("mine.w8").config == {"width": 8, "inner": 24}
    own["mine"]["family"] = "absent.py:Mine"
    with pytest.raises(UserError, match=r"no file 'absent\.py' of its family"):
        checked(config, own, *parts[2:])


def test_figures_tell_variants_of_a_model_apart(parts):
    design = study(parts, analyses__lora__models=["ntv2.demo.char.l3", "ntv2.demo.paper", "ntv2.demo.w8"])
    labels = {name: card["label"] for name, card in json.loads(design.describe_models()).items()}
    assert labels["ntv2.demo.char.l3"] == "NTv2 demo, characters, 3 layers"
    assert labels["ntv2.demo.paper"] == "NTv2 demo, as the paper read it"
    assert labels["ntv2.demo"] == labels["ntv2.demo.w8"] == "NTv2 demo", "a width is told by its axis"


def test_a_matched_baseline_has_the_size_of_its_model_in_this_study(parts):
    """Sizes follow the study's own overrides, and figures tell several of a kind apart."""
    small = study(parts).model("dilated_cnn.demo")
    assert (small.config["width"], small.config["depth"], small.arms) == (40, 8, ("random",))
    wider = {"models__hyenadna.demo__config__d_model": 64, "baselines__dilated_cnn.other": {"match": "ntv2.demo"}}
    design = study(parts, **wider)
    assert design.model("dilated_cnn.demo").config["width"] > 55
    cards = json.loads(study(parts).describe_models())
    assert (cards["dilated_cnn.demo"]["label"], cards["dilated_cnn.demo"]["match"]) == ("Dilated CNN", "hyenadna.demo")
    wider["analyses__finetune__baselines"] = ["dilated_cnn.demo", "dilated_cnn.other"]
    cards = json.loads(study(parts, **wider).describe_models())
    assert cards["dilated_cnn.other"]["label"] == "Dilated CNN, size of NTv2 demo" and "match" not in cards["ntv2.demo"]


def test_a_model_of_unknown_size_is_not_matched(parts):
    """A family of one's own has no formula: its entry says how large it is."""
    family = f"{ROOT}/tests/support/recurrent.py:Recurrent"
    own = {**parts[1], "mine": {"label": "Mine", "family": family, "tokenizer": "character", "arms": ["random"]}}
    config = {**changed(parts, models__mine={}), "baselines": {"dilated_cnn.mine": {"match": "mine"}}}
    config["analyses"] = {"finetune": {"tasks": ["sim_mark"], "models": ["mine"]}}
    with pytest.raises(UserError, match=r"nobody says how many parameters 'mine' has; add `parameters`"):
        checked(config, own, *parts[2:])
    own["mine"]["parameters"] = 100_000
    found = checked(config, own, *parts[2:]).model("dilated_cnn.mine")
    assert families.count_parameters(found.family, found.config) == pytest.approx(100_000, rel=families.TOLERANCE)


def test_precision_of_a_model_goes_before_that_of_the_section_and_byte_pairs_are_learned(parts):
    design = study(parts, finetuning__precision="bf16", models__hyenadna={})
    assert [design.precision(name, "finetuning") for name in ("ntv2.demo", "hyenadna")] == ["bf16", "fp32"]
    assert design.tokenizers_from("workflow") == ("dnabert2.demo", "genalm.demo")


def test_a_share_of_the_training_data_is_never_cut_into_folds(parts):
    """Folds are cut from train and validation together: 1 % of the one and all of the other would train."""
    design = study(parts, finetuning__folds=[0, 5, 9])
    assert all(design.finetuning(task, "finetune")["folds"] == [0, 5, 9] for task in ("sim_mark", "sim_mark.dedup"))
    own = design.config["analyses"]["lora"]["finetuning"]
    given = {**design.config["finetuning"], **own, "folds": []}
    del given["extend"]  # 0 is as if it were absent
    assert design.finetuning("sim_mark.pct1", "lora") == given
    assert [design.finetuning("sim_mark", name)["lora"]["rank"] for name in ("lora", "finetune")] == [8, 0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"analyses__finetun": {"tasks": ["sim_mark"]}},
            "config, analyses: unknown analysis 'finetun'; did you mean 'finetune'?",
        ),
        ({"analyses__finetune__tasks": ["sim_marc"]}, "unknown task 'sim_marc'; did you mean 'sim_mark'?"),
        ({"models__hyenadnna": {}}, "unknown model 'hyenadnna'; did you mean 'hyenadna'?"),
        ({"analyses__lowdata__models": ["genalm.demi"]}, "unknown model 'genalm.demi'; did you mean 'genalm.demo'?"),
        ({"analyses__width__models": ["hyenadna.demo.x9"]}, "qualifier '.x9'"),
        ({"analyses__width__models": ["hyenadna.demo.w8.w9"]}, "two qualifiers say the same thing"),
        ({"analyses__width__models": ["ntv2.demo.char.kmer"]}, "two qualifiers say the same thing"),
        ({"analyses__width__models": ["caduceus.demo.kmer"]}, "reads characters only"),
        ({"analyses__width__models": ["ntv2.demo.w18"]}, "its 4 attention heads do not divide its width 18"),
        (
            {"models__cnn": CNN, "analyses__lora__models": ["cnn"], "analyses__lora__arms": ["pretrained"]},
            "analysis 'lora': none of its models has one of its arms",
        ),
        ({"models__cnn": CNN, "analyses__controls__models": ["cnn.demo"]}, "of 'cnn.demo' is made from pretrained"),
        (
            {"analyses__controls__arms": ["pretrained", "step200"]},
            "'step200' of 'dnabert2.demo', which",
        ),
        (
            {"models__dnabert2.demo__pretrained": HUB, "analyses__controls__arms": ["dinucleotide"]},
            "is pretrained by the",
        ),
        ({"analyses__borrowed__arms": ["pretrained", "step10"]}, "'step10' is no control of what it compares"),
        ({"analyses__borrowed__arms": ["pretrained", "self"]}, "'self' is no control of what it compares"),
        ({"analyses__likelihood__arms": ["self", "random"]}, "arm 'self' is pretrained on training rows, and task '"),
        ({"analyses__biotype__arms": ["self"]}, "task 'sim_biotype.matched' is embedded with the whole set of which"),
        ({"analyses__fewshot__arms": ["self"]}, "would read all training"),
        ({"analyses__likelihood__models": ["ntv2.demo.paper"]}, "is not what the paper evaluated"),
        ({"analyses__similarity__models": ["caduceus.demo.paper"]}, "is not what the paper evaluated"),
        ({f"{MATCHED}__match": "hyenadna.dmo"}, "match: unknown model 'hyenadna.dmo'; did you mean 'hyenadna.demo'?"),
        ({f"{MATCHED}__match": "cnn.demo"}, "'dilated_cnn.demo', match: unknown model 'cnn.demo'"),
        ({f"{MATCHED}__config": {"width": 8}}, "match: it chooses width; leave config.width or match out"),
        ({"models__ntv2.demo__match": "hyenadna.demo"}, "'ntv2.demo', match: a baseline is made as large as a model"),
        ({"baselines__gc": {"match": "ntv2.demo"}}, "model 'gc', match: family 'gc' has no size to choose"),
        ({"analyses__finetune__baselines": ["dilated_cnn.demo.w8"]}, "match chooses its size, so that '.w8' cannot"),
        (
            {"models__mistral": LARGE, f"{MATCHED}__match": "mistral"},
            "'dilated_cnn' with more than 1,000,000,000 param",
        ),
        ({"corpora__simulated__genomes": ["simulatd"]}, "unknown genome 'simulatd'; did you mean 'simulated'?"),
        ({"genomes__simulated__pieces": [{"source": "yeast"}]}, "unknown dataset 'yeast'"),
        ({"finetuning__folds": [99]}, "folds lie between 0 and 9"),
        ({"pretraining__warmup": 9999}, "warmup is at most steps"),
        ({"limits": {"sim_mrak": {"train": 5}}}, "limits: unknown task 'sim_mrak'; did you mean 'sim_mark'"),
        ({"models__hyenadna.demo__pretrained": {"source": "local"}}, "add path"),
        ({"models__hyenadna.demo__pretrained": {"source": "local", "path": "no/where"}}, "no checkpoint directory"),
        ({"probing__probes": ["majority"]}, "config, probing.probes: unknown probe 'majority'; known: xgboost, "),
        ({"analyses__width__probing": {"probes": ["smv"]}}, "width.probing.probes: unknown probe 'smv'; did you mean"),
        ({"finetuning__suites": {"gve": {"epochs": 3}}}, "finetuning.suites: unknown suite 'gve'; did you mean 'gue'"),
        ({"finetuning__suites": {"gue": {"folds": [99]}}}, "finetuning.suites.gue.folds: folds lie between 0 and 9"),
        ({"analyses__controls__finetuning": {"folds": [99]}}, "analyses.controls.finetuning.folds: folds lie between"),
        ({"analyses__biotype__finetuning": {"epochs": 3}}, "analysis 'biotype': 'finetuning' is for finetune, lowdata"),
        ({"analyses__clustering__probing": {"pca": [4]}}, "analysis 'clustering': 'probing' is for biotype"),
        ({"analyses__finetune__baselines": ["genotype_pca"]}, "baseline 'genotype_pca' reads genotypes"),
        ({"analyses__finetune__baselines": ["gc", "gc"]}, "'gc' stands twice in its models and baselines"),
        ({"analyses__finetune__baselines": ["hyenadna.words"]}, "'hyenadna.words' stands twice in its models and"),
        ({"analyses__clustering__models": ["gc"]}, "'gc' has no weights, which are scored here"),
        ({"analyses__sensitivity__baselines": ["gc"]}, "baselines join classifications only"),
        ({"analyses__finetune__tasks": ["sim_mark.pct101"]}, "at most 100 %; correct '.pct101'"),
        ({"corpora__simulated__exclude": ["chr2:9-1"]}, "region 'chr2:9-1' is not CONTIG:START-END"),
        ({"models__hyenadna.demo__config": {"d_model": "x"}}, "config: d_model 'x' is not a whole number from 1"),
        (
            {"models__genalm.demo__tokenizer_file__size": 513},
            "tokenizer of 513 pieces does not fit a vocabulary of 512",
        ),
        ({"models__genalm.demo__tokenizer_file__corpus": "no"}, "genalm.demo', tokenizer_file: unknown corpus 'no'"),
        ({"analyses__finetune__tasks": ["sim_mark.pct0"]}, "qualifier '.pct0' is none of"),
        ({"analyses__finetune__tasks": ["sim_mark.ep3.pct10"]}, "one derived set, then one number of epochs"),
        ({"analyses__finetune__tasks": ["sim_mark.dedup.pct10"]}, "one derived set, then one number of epochs"),
        ({"analyses__biotype__tasks": ["sim_biotype.ep3"]}, "nothing is fine-tuned here"),
        ({"analyses__sensitivity__tasks": ["sim_sensitivity.dedup"]}, "derived sets are for classifications"),
        ({"analyses__finetune__tasks": ["sim_mark.family"]}, "relatives are known from a pedigree"),
        ({"analyses__transfer__tasks": ["sim_sensitivity"]}, "this analysis reads sets of"),
        ({"analyses__tokenizer__tasks": ["sim_transfer_weighted"]}, "its rows have weights, which probes alone read"),
    ],
)
def test_inconsistencies_are_one_sentence(parts, changes, sentence):
    with pytest.raises(UserError) as error:
        study(parts, **changes)
    assert sentence in str(error.value)


def test_summaries_are_told_what_a_transfer_learns_from_where_that_is_there_too(parts):
    """And otherwise what they were told before there was such a thing, so that no job runs again."""
    plan = study(parts)
    cells = ["hyenadna.demo/random/seed0"]
    plain = {"metric": "mcc", "tasks": ["sim_transfer", "sim_mark"], "cells": cells}
    assert plan.describe_group(**plain, known=["sim_transfer"]) == plain
    said = plan.describe_group(**plain, known=["sim_transfer", "sim_mark"])
    source = {"task": "sim_mark", "target": "sim_promoter", "target_rows": 0, "weighting": ""}
    assert said == plain | {"sources": {"sim_transfer": source}}
    assert plan.source_of_transfer("sim_transfer_target100")["target_rows"] == 100


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
        read_table(path, ["task"])


@pytest.mark.parametrize(
    ("column", "text", "sentence"),
    [
        ("reader", "intervalls", "unknown reader 'intervalls'; did you mean 'intervals'"),
        ("options", "tst_contigs=chr5", "unknown option 'tst_contigs'; did you mean 'test_contigs'"),
        ("sources", "bd=simulated:mark.bed;genome=genome:simulated", "unknown source 'bd'"),
        ("sources", "genome=genome:simulated", "needs the source 'bed'"),
        ("sources", "bed=simulated:foo.bed;genome=genome:simulated", "unknown simulated file 'foo.bed'"),
        ("metric", "cosine", "metric 'cosine' is none of classes"),
        ("metric", "mcs", "task 'sim_mark': unknown metric 'mcs'; did you mean 'mcc'"),
        ("reader", "mutants", "not of mutants"),
        ("sources", "bed=task:sim_promoter;genome=genome:simulated", "sources of the reader transfer are 'task:NAME'"),
        ("sources", "bed=simulated:mark.bed;bed=simulated:mark.bed;genome=genome:simulated", "its key is there twice"),
        ("options", "test_contigs=", "'test_contigs=' is not KEY=VALUE"),
    ],
)
def test_a_task_that_cannot_be_built_is_named(parts, column, text, sentence):
    rebuild(parts, "sim_mark", column, text, sentence)


def rebuild(parts, task, column, text, sentence):
    tasks = [row | ({column: text} if row["task"] == task else {}) for row in parts[2]]
    with pytest.raises(UserError, match=sentence):
        checked(parts[0], parts[1], tasks, parts[3])


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("finetuning__epoch", 3, r"config, finetuning: unknown key 'epoch'; did you mean 'epochs'\?"),
        (
            "corpora__simulated__people",
            {"vcf": ["simulated:population.vcf.gz"]},
            "give either samples or panel with per_superpopulation",
        ),
        ("limits", {1: {}}, "config, limits.1: this key is not text"),
        ("models", {1: {}}, "config, models.1: this key is not text"),
        ("study", "demo\n", r"config, study: 'demo\\n' does not match"),
        ("baselines", {"majority.x\n": {}}, "does not match"),
        ("probing__cv_folds", 5.0, "config, probing.cv_folds: 5.0 is not of type 'integer'"),
        ("analyses__finetune__seeds", [0, 0], "has non-unique elements"),
        ("analyses__finetune__seeds", [2**32], "greater than the maximum"),
        ("scoring__poolings", ["max", "max"], "has non-unique elements"),
        ("embedding__layers", [-1], "config, embedding.layers"),
        ("embedding__layers", "first", "config, embedding.layers"),
        ("analyses__frozen__layers", [], "config, analyses.frozen.layers"),
    ],
)
def test_what_would_break_a_path_or_a_flag_is_refused(parts, path, value, sentence):
    schema = read_schema("config")
    check_schema(parts[0], schema, "config")
    with pytest.raises(UserError, match=sentence):
        check_schema(changed(parts, **{path: value}), schema, "config")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("pretraining", {"steps": "x"}, "hyenadna.pretraining.steps: 'x' is not of type 'integer'"),
        ("pretrained", {"source": "ftp"}, "hyenadna.pretrained.source: 'ftp' is not one of"),
    ],
)
def test_a_model_table_that_no_study_could_use_is_refused(parts, key, value, sentence):
    models = {**parts[1], "hyenadna": {**parts[1]["hyenadna"], key: value}}
    with pytest.raises(UserError, match=sentence):
        check_schema(models, read_schema("models"), "models")


def test_a_truth_is_of_the_main_analysis_against_random_unless_it_says_otherwise(parts):
    name = study(parts).names_of("finetune")[0]
    told = study(parts, truth=[{"model": name, "word": "better", "why": "It is."}]).truths
    assert told == [{"model": name, "versus": "random", "analysis": "finetune", "word": "better", "why": "It is."}]
    assert study(parts, truth=[]).truths == []


@pytest.mark.parametrize(
    ("tasks", "main"),
    [
        ({}, "finetune"),
        ({"biotype": ["a"], "frozen": ["a", "b"]}, "frozen"),
        ({"finetune": ["a", "b"], "frozen": ["a", "c", "d"]}, "finetune"),
        ({"finetune": ["a", "b"], "frozen": ["a", "b"]}, "finetune"),
        ({"frozen": ["a", "b", "c"], "finetune": ["a", "b"]}, "frozen"),
        ({"finetune": ["a", "b"], "controls": ["a", "b", "a.permuted", "b.dedup"]}, "finetune"),
        ({"biotype": ["a"], "ancestry": ["b", "c"], "controls": ["a", "a.permuted", "a.dedup"]}, "ancestry"),
    ],
)
def test_fine_tuning_leads_unless_another_analysis_has_all_its_tasks_and_more(tasks, main):
    assert leading(tasks) == main


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "nobody"}, "config, truth of 'nobody' in analysis 'finetune': unknown model 'nobody'"),
        ({"versus": "copi"}, "unknown reference 'copi'; did you mean 'copy'"),
        ({"versus": "copy"}, "analysis 'finetune' has no arm 'copy' to compare"),
        ({"analysis": "finetun"}, "unknown analysis 'finetun'; did you mean 'finetune'"),
        ({"analysis": "sensitivity"}, "'sensitivity' compares no arms, so no verdict is of it"),
    ],
)
def test_a_truth_of_what_no_verdict_is_of_is_refused(parts, change, sentence):
    name = study(parts).names_of(change.get("analysis", "") if change.get("analysis") == "sensitivity" else "finetune")
    case = {"model": name[0], "word": "better", "why": "It is."}
    with pytest.raises(UserError, match=sentence):
        study(parts, truth=[case | change])


def test_a_truth_of_variants_alone_or_said_twice_is_refused(parts):
    name = study(parts).names_of("finetune")[0]
    case = {"model": name, "word": "better", "why": "It is."}
    with pytest.raises(UserError, match="it is said twice of 'random' in 'finetune'"):
        study(parts, truth=[case, case | {"word": "worse"}])
    shares = [f"{task}.pct10" for task in parts[0]["analyses"]["finetune"]["tasks"]]
    with pytest.raises(UserError, match="analysis 'finetune' has variants of tasks alone"):
        study(parts, analyses__finetune__tasks=shares, truth=[case])
    with pytest.raises(UserError, match=r"config, truth\.0\.word: 'best' is not one of"):
        check_schema(changed(parts, truth=[case | {"word": "best"}]), read_schema("config"), "config")


def test_a_classifier_that_is_not_known_is_refused(parts):
    models = {**parts[1], "gc": {**parts[1]["gc"], "classifier": "svn"}}
    with pytest.raises(UserError, match="model 'gc': unknown classifier 'svn'; did you mean 'svm'"):
        checked(parts[0], models, *parts[2:])


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match=r"config, a.rates.1: not a finite number"):
        check_schema({"a": {"rates": [1.0, float("nan")]}}, {"type": "object"}, "config")


def test_a_directory_or_a_binary_file_is_no_table(tmp_path):
    with pytest.raises(UserError, match="not readable"):
        read_table(tmp_path, ["task"])
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)
    (tmp_path / "t.tsv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not readable"):
        read_table(tmp_path / "t.tsv", ["task"])


def test_derived_sets_and_numbers_of_epochs_are_qualifiers_of_a_task(parts):
    """What changes only a run reads the same sequences; what takes rows away, deals labels or splits anew is a set."""
    epochs = ["sim_promoter.ep7", "sim_promoter.pct10.ep9p2"]
    design = study(parts, analyses__epochs__tasks=epochs, finetuning__folds=[0])
    assert [names.sequence_set(task) for task in epochs] == ["sim_promoter", "sim_promoter.pct10"]
    settings = [design.finetuning(task, "epochs") for task in epochs]
    assert [(found["epochs"], found["patience"], found["folds"]) for found in settings] == [(7, 0, [0]), (9, 2, [])]
    assert "sim_promoter" in design.audited and not any("." in task for task in design.audited)


def test_settings_of_a_suite_and_of_an_analysis_lie_over_those_of_the_study(parts):
    changes = {"finetuning__suites": {"gue": {"epochs": 20}}, "analyses__controls__finetuning": {"epochs": 1}}
    design = study(parts, **changes)
    found = {task: design.finetuning(task, "finetune")["epochs"] for task in ("sim_enhancer", "sim_mark")}
    assert found == {"sim_enhancer": 20, "sim_mark": parts[0]["finetuning"]["epochs"]}
    assert design.finetuning("sim_enhancer", "controls")["epochs"] == 1
    few = design.probing("fewshot")
    assert few == parts[0]["probing"] | {"choice": "fixed", "probes": ["logistic"], "poolings": ["max"]}
    chosen = study(parts, analyses__fewshot__probing={"choice": "validation"}).probing("fewshot")
    assert chosen == parts[0]["probing"] | {"choice": "validation"}, "as it was before there was a choice"
    everywhere = study(parts, probing__choice="validation", probing__pca=[8], embedding__layers="all")
    assert everywhere.probing("fewshot") == parts[0]["probing"] | {"choice": "validation"}, "drawn: of one head"
    assert everywhere.layers("fewshot") == everywhere.layers("retrieval") == ()
    assert design.probing("ancestry") == parts[0]["probing"] | {"colsample": 0.5, "early_stopping": 100}
    assert design.probing("frozen") == parts[0]["probing"]


def test_embeddings_hold_what_every_analysis_reads_of_them(parts):
    """One embedding serves a set, those derived from it, several analyses and clustering."""
    changes = {
        "probing__poolings": ["mean"],
        "analyses__fewshot__probing": {"poolings": ["cls", "mean"]},
        "analyses__retrieval__probing": {"poolings": ["mean"]},
        "analyses__frozen__tasks": ["sim_enhancer"],
        "analyses__clustering__tasks": ["sim_biotype"],
    }
    design = study(parts, **changes)
    assert design.poolings("sim_enhancer", "hyenadna.demo") == ["mean", "cls"]
    assert design.poolings("sim_ancestry", "hyenadna.demo") == ["mean"]
    assert design.poolings("sim_biotype", "hyenadna.demo") == ["max", "mean"]
    assert design.poolings("sim_biotype", "caduceus.demo") == ["mean"], "nobody clusters it"


def test_embeddings_for_few_rows_stay_those_of_the_study(parts):
    """Those of a study from before there was a fixed head, which reads a part of them."""
    old = {"tasks": ["sim_mark.shot5"], "models": ["ntv2.demo"]}
    changes = {"probing__poolings": ["max", "mean"], "embedding__layers": [1, "last"], "analyses__fewshot": old}
    changes["analyses__transfer__tasks"] = ["sim_transfer"]  # nobody else reads it
    alone = study(parts, **changes)
    assert alone.probing("fewshot")["poolings"] == ["mean"]
    assert alone.poolings("sim_mark", "ntv2.demo") == ["max", "mean"]
    assert alone.embedded_layers("sim_mark", "ntv2.demo") == ("1",) and alone.layers("fewshot") == ()
    last = study(parts, **changes | {"analyses__fewshot": old | {"layers": "last"}})
    assert last.embedded_layers("sim_mark", "ntv2.demo") == ()


def test_few_rows_are_drawn_where_an_analysis_says_so(parts):
    design = study(parts, analyses__fewshot__shots={"numbers": [1, 5]}, analyses__retrieval__retrieval={"known": 3})
    assert design.drawn("fewshot") == {"numbers": [1, 5], "draws": 20} and design.drawn("frozen") == {}
    assert design.drawn("retrieval") == {"numbers": [3], "draws": 20, "by": "max", "site": ""}
    assert [design.metric(name, "sim_enhancer") for name in ("fewshot", "retrieval")] == ["mcc", "auprc"]
    lists = copy.deepcopy(parts[0]["analyses"])
    lists["fewshot"].pop("baselines"), lists["retrieval"].pop("baselines")
    joined = study(parts, analyses=lists)
    assert "markov" in parts[0]["baselines"]
    for name in ("fewshot", "retrieval"):
        assert "markov" not in joined.names_of(name) and "kmer_logistic" in joined.names_of(name)
    for changes, sentence in (
        ({"analyses__frozen__shots": {"numbers": [1]}}, "'shots' is for fewshot"),
        ({"analyses__frozen__corpus": "simulated"}, "'corpus' is for bases"),
        ({"analyses__bases__corpus": "nowhere"}, "unknown corpus 'nowhere'"),
        ({"analyses__fewshot__shots": {"numbers": [5, 1]}}, r"write \[1, 5\]"),
        ({"analyses__fewshot__tasks": ["sim_enhancer.shot5"]}, "without .shotN"),
        ({"analyses__retrieval__tasks": ["sim_amounts"]}, "a task of classes"),
        ({"analyses__fewshot__layers": "all"}, "choice: validation"),
        ({"analyses__fewshot__probing": {"probes": ["knn", "logistic"]}}, r"nothing chooses .* \(knn, logistic\)"),
        (
            {"analyses__frozen__probing": {"probes": ["xgboost", "knn"], "choice": "fixed"}},
            "nothing chooses among its probes",
        ),
        ({"analyses__fewshot__tasks": ["nowhere"]}, "unknown task"),
        ({"analyses__fewshot__baselines": ["markov"]}, "'markov' reads sequences base by base"),
        ({"analyses__fewshot__probing": {"pca": [8]}}, "drop layers, pca"),
    ):
        with pytest.raises(UserError, match=sentence):
            study(parts, **changes)


def test_layers_are_read_where_a_study_says_so_and_kept_for_all_who_read_them(parts):
    """Absent, or the last alone, is nothing: no param of a kept job knows of it."""
    last = {"analyses__frozen__layers": "last", "analyses__structure__layers": "last"}
    plain = study(parts, **last)
    assert {plain.layers(name) for name in parts[0]["analyses"]} == {()}
    for said in ("last", ["last"]):
        assert study(parts, embedding__layers=said, **last).embedded_layers("sim_enhancer", "hyenadna.demo") == ()
    changes = {"embedding__layers": [1, "last"], "analyses__fewshot__layers": "last", "analyses__frozen__layers": [0]}
    changes["analyses__structure__layers"] = "last"
    design = study(parts, **changes, analyses__clustering__tasks=["sim_ancestry"])
    said = {name: design.layers(name) for name in ("frozen", "biotype", "sensitivity", "fewshot", "clustering")}
    assert said == {"frozen": ("0",), "biotype": ("1",), "sensitivity": ("1",), "fewshot": (), "clustering": ()}
    assert design.layers("finetune") == design.layers("likelihood") == (), "they read no layers"
    assert design.embedded_layers("sim_enhancer", "hyenadna.demo") == ("0",)
    assert design.embedded_layers("sim_ancestry", "hyenadna.demo") == ("1",)
    few = {"tasks": ["sim_enhancer.shot5"], "probing": {"choice": "validation"}, "layers": "all"}
    whole = study(parts, embedding__layers=[1, "last"], analyses__fewshot=few)
    assert whole.embedded_layers("sim_enhancer", "hyenadna.demo") == ("all",)
    assert study(parts, analyses__clustering__layers="all").layers("clustering") == ("all",)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"analyses__finetune__layers": "all"}, "'layers' is for biotype, width, frozen"),
        ({"analyses__frozen__layers": [9]}, "'hyenadna.demo' has 2 layers .* no layer 9"),
        ({"embedding__layers": "all", "selection": "test"}, "the paper's one probe, on the last layer"),
    ],
)
def test_layers_that_nobody_can_read_are_one_sentence(parts, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        study(parts, **changes)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("task:sim_transfer", "is itself one of transfer"),
        ("task:nowhere", "unknown task"),
        ("task:sim_variants", "has no classes to learn"),
        ("simulated:mark.bed", "sources of the reader transfer are 'task:NAME'"),
    ],
)
def test_transfer_reads_sets_and_not_itself(parts, source, sentence):
    rebuild(parts, "sim_transfer", "sources", f"train={source};test=task:sim_mark", sentence)


def test_a_baseline_on_columns_that_no_set_has_is_refused(parts):
    listed = {"baselines__variant_phylop": {}, "analyses__variant_probe__baselines": ["variant_cpg", "variant_phylop"]}
    with pytest.raises(UserError, match="'variant_phylop' reads columns that none of its tasks has"):
        study(parts, **listed)


@pytest.mark.parametrize(
    "said", [{"probing": {"probes": ["xgboost", "knn"]}}, {"baselines": ["kmer_logistic", "nearest"]}]
)
def test_rows_that_have_weights_are_for_classifiers_that_weigh(parts, said):
    with pytest.raises(UserError, match=r"its rows have weights, and classifier '(knn|nearest)' weighs none"):
        study(parts, analyses__transfer=parts[0]["analyses"]["transfer"] | said)
    open_ones = {key: value for key, value in parts[0]["analyses"]["transfer"].items() if key != "baselines"}
    cells = study(parts, analyses__transfer=open_ones).by_task["transfer"]
    assert "nearest" in {cell.model for cell in cells["sim_transfer"]}
    joined = {cell.model for cell in cells["sim_transfer_weighted"]}
    assert "kmer_logistic" in joined and "nearest" not in joined


@pytest.mark.parametrize("rows", ["ten", "10.5", "10,100", "-1"])
def test_rows_of_the_target_are_a_whole_number(parts, rows):
    options = f"labels=background:0,promoter:1;target_rows={rows}"
    rebuild(parts, "sim_transfer", "options", options, f"target_rows={rows} is no whole number")


def test_the_schema_and_the_targets_know_what_the_program_knows():
    kinds = read_schema("models")["additionalProperties"]["properties"]
    assert {*kinds["tokenizer"]["enum"]} == {*families.TOKENIZERS, families.CELLS, None}
    assert {*kinds["tokenizer_class"]["enum"]} == {*families.TOKENIZERS.values(), None}
    for name, analysis in vocabulary.ANALYSES.items():
        assert analysis.rule in vocabulary.RULES and analysis.figure in vocabulary.FIGURES, name
        makes = {reader.makes for reader in READERS.values()}
        assert analysis.question.endswith("?") and set(analysis.sets) <= makes, name
    named = [analysis for analyses in vocabulary.TARGETS.values() for analysis in analyses]
    assert sorted(named) == sorted(vocabulary.ANALYSES)


def test_a_margin_belongs_to_a_metric(parts):
    """Each has its own, a study overrides one with a reason, and the single number of older configs is that of all."""
    own = {name: metric.margin for name, metric in vocabulary.METRICS.items()}
    assert read_margins(parts[0]["statistics"]) == own and own["mcc"] == 2 * own["accuracy"]
    wider = {"resamples": 1000, "margins": {"mcc": {"margin": 0.1, "reason": "replicates of the assay differ by it"}}}
    assert read_margins(wider) == own | {"mcc": 0.1}
    assert set(read_margins({"resamples": 1000, "margin": 0.03}).values()) == {0.03}
    assert read_margins(wider | {"margin": 0.03})["mcc"] == 0.1
    assert all(metric.reason for metric in vocabulary.METRICS.values())
    for statistics in (wider, {"resamples": 1000, "margin": 0.03}):
        check_schema(changed(parts, statistics=statistics), read_schema("config"), "config")


@pytest.mark.parametrize(
    ("margins", "sentence"),
    [
        ({"mcc": 0.1}, "statistics.margins.mcc"),
        ({"mcc": {"margin": 0.1}}, "'reason' is a required property"),
        ({"mcc": {"margin": 0.0, "reason": "none"}}, "statistics.margins.mcc.margin"),
        ({"mmc": {"margin": 0.1, "reason": "none"}}, "unknown metric 'mmc'; did you mean 'mcc'?"),
    ],
)
def test_a_margin_without_a_metric_or_a_reason_is_refused(parts, margins, sentence):
    config = changed(parts, statistics={"resamples": 1000, "margins": margins})
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_schema(config, read_schema("config"), "config")
        checked(config, *parts[1:])


# ---- seeds until decided

LOOKS = {"from": 3, "to": 6}


def test_a_study_with_looks_has_the_cells_of_every_seed_and_knows_those_of_fewer(parts):
    design = study(parts, analyses__frozen__seeds=LOOKS, decide={"analysis": "frozen"})
    assert design.deciding == "frozen" and list(design.looks) == [3, 4, 5, 6]
    for seeds in design.looks:
        cells = design.cells_until(seeds)
        assert {cell.seed for cell in cells if cell.analysis == "frozen"} == set(range(seeds))
        rest = [cell for cell in design.cells if cell.analysis != "frozen"]
        assert [cell for cell in cells if cell.analysis != "frozen"] == rest, "fixed lists stay"
    assert design.cells_until(6) == design.cells
    assert not study(parts).looks and study(parts).deciding == "finetune"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": {"from": 2, "to": 6}}, "2 is less than the minimum of 3"),
        ({"seeds": {"from": 3}}, "'to' is a required property"),
        ({"seeds": LOOKS, "budget": 0}, "less than or equal to the minimum of 0"),
        ({"analyses__frozen__seeds": {"from": 5, "to": 5}, "decide": {"analysis": "frozen"}}, "must exceed 'from'"),
        ({"analyses__frozen__seeds": LOOKS}, "follow the decision on finetune, whose seeds are a fixed list"),
        ({"budget": 5}, "the seeds are a fixed list"),
        ({"decide": {"analysis": "frozn"}}, "did you mean 'frozen'"),
        (
            {"analyses__sensitivity__seeds": LOOKS, "decide": {"analysis": "sensitivity"}},
            "compares no pretrained arm with a random one",
        ),
    ],
)
def test_looks_that_cannot_be_are_refused(parts, changes, message):
    config = changed(parts, **changes)
    with pytest.raises(UserError, match=re.escape(message)):
        check_schema(config, read_schema("config"), "config")
        checked(config, *parts[1:])


@pytest.mark.parametrize("where", ["finetuning", "analyses__finetune__finetuning", "finetuning__suites__gue"])
def test_a_race_knows_its_rungs_and_has_no_paper_selection(parts, where):
    """An absent key is a full sweep, whose settings stay what they were."""
    whole = study(parts).finetuning("sim_mark", "finetune")
    assert not {"search", "rungs"} & whole.keys()
    assert study(parts, finetuning__search="full", finetuning__rungs=[1]).finetuning("sim_mark", "finetune") == whole
    raced = study(parts, finetuning__search="racing", finetuning__rungs=[3, 1, 900]).finetuning("sim_mark", "finetune")
    assert raced == whole | {"search": "racing", "rungs": sorted({min(rung, whole["epochs"]) for rung in (1, 3, 900)})}
    outer, _, last = where.rpartition("__")
    inner = parts[0]
    for key in filter(None, outer.split("__")):
        inner = inner.get(key, {})
    over = {**inner.get(last, {}), "search": "racing"}
    path = {where: over} if outer != "finetuning__suites" else {"finetuning__suites": {"gue": over}}
    with pytest.raises(UserError, match="reads the test set once"):
        study(parts, selection="test", **path)


def test_markov_models_are_fitted_to_what_the_model_read_or_what_the_analysis_names(parts):
    """A published checkpoint's corpus is not here, so the study says which genome stands for it."""
    design = study(parts, models__hyenadna={}, analyses__bases__corpus="shuffled")
    assert (design.markov_corpus("hyenadna.words"), design.markov_corpus("hyenadna")) == ("words", "shuffled")
    assert study(parts, models__hyenadna={}).markov_corpus("hyenadna") is None
