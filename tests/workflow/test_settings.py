"""What a study sets reaches what computes: schema key -> flag of the planned command -> field, names and types alike.

A study sets every key of a section to a value that is nobody's default. The commands that Snakemake would run are
parsed by the command's own parser, and must hold those values.
"""

import argparse
import dataclasses
import importlib
import shlex

import pytest

from foundationless.features.classifiers import ProbeSettings
from foundationless.study.config import read_schema
from foundationless.training import pretraining, sweep
from foundationless.training.compute import Compute
from support.studies import checkout, snakemake, write_study

VALUES = {
    "finetuning": {
        "learning_rates": [2e-4, 7e-4], "extend": 3, "search": "racing", "rungs": [1, 3],
        "fold_count": 7, "folds": [1, 3], "epochs": 4, "patience": 2,
        "batch_size": 6, "pooling": "mean", "precision": "bf16",
        "lora": {"rank": 3, "alpha": 5, "dropout": 0.25, "targets": ["query", "dense"]}, "suites": {},
        "trainable": "lora", "layer_rates": 0.75, "unfreeze": 2, "gradient_checkpointing": True,
        "weight_precision": "bf16", "token_budget": 2345, "chunks": "attention",
        "class_weights": "balanced",
    },
    "probing": {
        "probes": ["logistic", "knn"], "poolings": ["mean", "max"], "pca": [9, 5], "cv_folds": 4, "rounds": 17,
        "depth": 2, "eta": 0.3, "colsample": 0.7, "early_stopping": 11, "class_weights": "balanced",
        "choice": "validation",
    },
    "embedding": {"precision": "bf16", "token_budget": 4321, "layers": [1], "chunks": "mean"},
    "pretraining": {
        "steps": 321, "window": 123, "batch_size": 6, "token_budget": 5432, "processes": 2, "shard": True,
        "betas": [0.8, 0.85], "weight_decay": 0.3, "learning_rate": 2e-3, "minimum_learning_rate": 3e-4, "warmup": 12,
        "reverse_complement_probability": 0.4, "mask_probability": 0.2, "checkpoint_every": 55, "precision": "bf16",
        "self_steps": 99,
    },
}  # fmt: skip
# A rule, the section it reads, and what holds the command's settings.
SETTINGS = {
    "finetune_model": ("finetuning", (sweep.Settings, Compute)),
    "probe": ("probing", (ProbeSettings,)),
    "fit_baseline": ("probing", (ProbeSettings,)),
    "embed": ("embedding", (Compute,)),
    "pretrain": ("pretraining", (pretraining.Settings, Compute)),
}
# Keys that are no flag of the command, each with its reason.
NO_FLAG = {
    "finetune_model": {"search", "suites"},  # says whether there are rungs; lays other values over the same keys
    "fit_baseline": {"probes", "poolings", "pca", "cv_folds"},  # what is done with embeddings
    "pretrain": {"processes", "self_steps"},  # the launcher's; steps of the arm self
}
# Flags of few rows, which the plan sets for the analyses that draw them: `tests/unit/features/test_shots.py`.
OF_FEW = {"shots", "draws", "draw_seed", "retrieve", "site", "choice"}
# Flags that decide no number: what a job is, reads and writes, and how often it keeps its state.
PLACES = {
    "analysis", "task", "model", "init", "embeddings", "sequences", "weights", "aggregate", "energy", "runs", "record",
    "predictions", "output", "losses", "checkpoints", "checkpoint_seconds", "pack", "shard", "family", "classifier",
    "options", "probes", "poolings", "genome", "exclude", "holdout", "vcf", "people", "panel",
    "people_per_superpopulation", "strict_alphabet", "max_tokens", "importances", "parts", "layers",
    "chunks",
}  # fmt: skip


def flat(values: dict) -> dict:
    """Keys as flags have them: those of `lora` become `lora_rank`, …"""
    inner = {f"{key}_{name}": value for key in values if isinstance(values[key], dict)
             for name, value in values[key].items()}  # fmt: skip
    return {key: value for key, value in values.items() if not isinstance(value, dict)} | inner


def parser_of(rule: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"foundationless.commands.{rule}").add_arguments(parser)
    return parser


def flags_of(rule: str) -> set[str]:
    return {action.dest for action in parser_of(rule)._actions} - {"help"}


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Rule -> the words of one command that Snakemake would run for a study with all those values."""
    directory = checkout(tmp_path_factory.mktemp("settings"))
    cell = {"models": ["ntv2.demo"], "seeds": [0], "baselines": []}
    study = write_study(
        directory / "study.yaml",
        **VALUES,
        analyses={
            "lora": {"tasks": ["sim_promoter"], **cell},
            "biotype": {"tasks": ["sim_biotype"], **cell, "baselines": ["kmer_logistic"]},
        },
    )
    plan = snakemake("-n", "-p", "--configfile", study, directory=directory)
    assert plan.returncode == 0, plan.stdout[-2000:]
    found = {}
    for line in plan.stdout.splitlines():
        if "-m foundationless " in line:
            words = shlex.split(line.partition(" 2> ")[0])
            found.setdefault(words[words.index("foundationless") + 1], words)
    return found


@pytest.mark.parametrize("section", VALUES)
def test_every_key_of_the_schema_is_set_here(section):
    properties = read_schema("config")["properties"][section]["properties"]
    assert VALUES[section].keys() == properties.keys()
    for key, value in VALUES[section].items():
        if "properties" in properties[key]:
            assert value.keys() == properties[key]["properties"].keys()


@pytest.mark.parametrize("rule", SETTINGS)
def test_every_key_reaches_its_flag(rule, commands):
    words = commands[rule]
    arguments = parser_of(rule).parse_args(words[words.index(rule) + 1 :])
    section = flat(VALUES[SETTINGS[rule][0]])
    # Of two choices the other one takes a single probe: `tests/unit/features/test_shots.py`.
    for key in section.keys() - NO_FLAG.get(rule, set()) - {"choice"}:
        given, default = getattr(arguments, key), parser_of(rule).get_default(key)
        assert given == section[key] and type(given) is type(section[key]), f"{rule} --{key}: {given!r}"
        assert given != default, f"{rule} --{key}: the value here is the default, and shows nothing"
        assert f"--{key.replace('_', '-')}" in words
    assert not flags_of(rule) & (NO_FLAG.get(rule, set()) - {"pca", "cv_folds"})
    if rule == "pretrain":
        assert words[words.index("--nproc-per-node") + 1] == str(section["processes"])


@pytest.mark.parametrize("rule", SETTINGS)
def test_every_flag_is_a_field_and_every_field_a_flag(rule):
    fields = {field.name for kind in SETTINGS[rule][1] for field in dataclasses.fields(kind)}
    flags = flags_of(rule)
    assert fields <= flags, f"no flag sets {fields - flags}"
    assert flags - fields <= PLACES | OF_FEW, f"no field holds {flags - fields - PLACES - OF_FEW}"


@pytest.mark.parametrize("rule", SETTINGS)
def test_defaults_of_flags_are_those_of_fields(rule):
    parser = parser_of(rule)
    required = {action.dest for action in parser._actions if action.required}
    for kind in SETTINGS[rule][1]:
        for field in dataclasses.fields(kind):
            if field.default is not dataclasses.MISSING and field.name not in required:
                default = parser.get_default(field.name)
                default = tuple(default) if isinstance(default, list) else default
                assert default == field.default, f"{rule} --{field.name}: {default} and not {field.default}"


def test_what_a_suite_lays_over_are_keys_of_fine_tuning():
    schema = read_schema("config")
    over, under = schema["$defs"]["finetuning_over"], schema["properties"]["finetuning"]
    assert over["properties"].keys() <= under["properties"].keys()
