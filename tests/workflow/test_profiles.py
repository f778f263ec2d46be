"""Profiles and software: found by name and by path, every job fits a partition, modules and images are really used."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.partitions import read_partition_file

from foundationless.study import vocabulary
from support import ROOT
from support.studies import ENVIRONMENT, checkout, snakemake

PROFILE = ROOT / "profiles/slurm"
SETTINGS = yaml.safe_load((PROFILE / "config.v9+.yaml").read_text())
DOWNLOADS = {"fetch", "fetch_region", "download_weights", "download_tokenizer", "download_own_tokenizer"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("checkout"))


def planned(directory, *arguments, dry=("--dry-run", "--cores", "64")):
    """What each planned job or group asks for; `--cores` because a dry run otherwise plans for one."""
    script = ROOT / "tests/support/planned_jobs.py"
    answer = subprocess.run(
        [sys.executable, script, *dry, *arguments],
        cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"^PLANNED (.*)$", answer.stdout, re.M)
    assert found, answer.stderr[-2000:]
    return json.loads(found[1])


@pytest.fixture(scope="module")
def study(elsewhere):
    """The whole study by the literal command."""
    return planned(elsewhere, "--profile", "slurm", "--quiet")


def partition(job, table=PROFILE / "partitions.yaml"):
    """The name that the plugin's own score chooses, or None if nothing fits."""
    asking = SimpleNamespace(threads=job["threads"], resources=job["resources"], name="job")
    scores = {each.name: each.score_job_fit(asking) for each in read_partition_file(table)}
    fitting = {name: score for name, score in scores.items() if score is not None}
    return max(fitting, key=fitting.get, default=None)


def test_every_job_of_the_study_fits_the_partition_of_its_kind(study):
    sent = [job for job in study if not job["local"]]
    assert len(sent) > 5000
    wrong = [job for job in sent if partition(job) != ("gpu" if job["resources"].get("gpu") else "cpu")]
    assert not wrong, (len(wrong), wrong[:5])
    networks = {"finetune_model", "finetune_part", "pretrain", "pretrain_leg", "embed"}
    networks |= {name for name in vocabulary.RULES if name.startswith("score_")} - {"score_bases"}  # not the paper's
    assert {rule for job in sent if job["resources"].get("gpu") for rule in job["rules"]} == networks
    here = {rule for job in study if job["local"] for rule in job["rules"]}
    assert here == DOWNLOADS - {"download_own_tokenizer"}, "on the login node; no model of the study has its own"


def test_jobs_keep_their_threads_on_a_login_node_of_few_cores(study):
    wanted = SETTINGS["set-threads"]
    found = {job["rules"][0]: job["threads"] for job in study if job["rules"][0] in wanted}
    assert found == wanted
    code = "import sys; from snakemake.cli import parse_args; print(parse_args(sys.argv[1:])[1].cores)"
    for arguments, cores in ((["--profile", "slurm"], "None"), ([], str(len(os.sched_getaffinity(0))))):
        answer = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert answer.stdout.strip() == cores, arguments


def test_short_jobs_share_a_job_that_asks_for_one_of_them_at_a_time(study):
    single = {}
    for job in study:
        single.setdefault((job["jobs"] > 1, job["rules"][0]), []).append(job)
    groups = [job for job in study if job["jobs"] > 1]
    assert {"probe", "embed", "fit_baseline", "initialise", "score_likelihood"} <= {job["rules"][0] for job in groups}
    for job in groups:
        (rule,) = job["rules"]  # a group of several rules could wait for itself
        assert rule not in DOWNLOADS | {"finetune_model", "finetune_part", "pretrain", "pretrain_leg"}
        assert job["threads"] == SETTINGS["set-threads"].get(rule, 1), job
        assert job["resources"].get("gpu", 1) == 1 and job["resources"]["runtime"] == 10 * job["jobs"], job
    # what merges parts waits for its own ones alone, and would hold up others
    alone = [job for job in study if job["jobs"] == 1 and not job["local"] and job["rules"] != ["finetune_model"]]
    left = [job for job in alone if job["resources"]["runtime"] <= 10]
    assert len(left) < len(study) / 20, "short jobs that no group took"


def test_jobs_share_a_job_only_where_they_wait_for_the_same(study):
    """A download or a pretraining that fails or takes days would hold back every job that shares one with its own."""
    for job in study:
        if job["rules"][0] in ("embed", "probe", "score_likelihood", "score_similarity"):
            arms = {(one["model"] if one["init"] != "random" else one["model"].split(".")[0], one["init"])
                    for one in job["wildcards"]}  # fmt: skip
            assert len(arms) == 1, arms


TABLE = """partitions:
  short: {max_runtime: "1:00:00", max_mem_mb: 8000}
  long: {max_runtime: 1-12:00:00, max_mem_mb: 4000.0}
  gpu: {max_gpu: 1, max_runtime: 90m}
"""


def limited(directory, table, study="config/mini-full.yaml"):
    """Not a dry run, which knows nothing of the executor's settings."""
    arguments = ("--profile", "slurm", "--quiet", "--configfile", study, "--slurm-partition-config", str(table))
    return planned(directory, *arguments, dry=())


def test_no_job_asks_for_more_than_the_table_of_partitions_has(elsewhere, tmp_path):
    table = tmp_path / "partitions.yaml"
    table.write_text(TABLE)
    # without those of inputs that are not there yet
    known = [job for job in limited(elsewhere, table) if not job["local"] and "mem_mb" in job["resources"]]
    assert {bool(job["resources"].get("gpu")) for job in known} == {True, False}
    for job in known:
        asked = job["resources"]
        assert type(asked["mem_mb"]) is type(asked["runtime"]) is int
        if asked.get("gpu"):
            assert asked["runtime"] <= 90, job  # a group's sum as well
        else:
            assert partition(job, table) in ("short", "long"), job


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  cpu: {max_runtime: 6:00:00}", "put quotes around 6:00:00"),
        ("  cpu:\n    max_runtime: 12:30  # hours", "put quotes around 12:30"),
        ("  cpu: {max_mem_mb: 120G}", "max_mem_mb: '120G' is no number"),
        ("  cpu: {max_memory: 120}", "max_memory"),
        ("  cpu: {max_runtime: infinite}", "infinite"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(elsewhere, tmp_path, text, said):
    table = tmp_path / "partitions.yaml"
    table.write_text(f"partitions:\n{text}\n")
    with pytest.raises(AssertionError, match=f"foundationless: error: {table}: not a table of partitions .*{said}"):
        limited(elsewhere, table, "config/config.yaml")


def test_the_profile_names_rules_and_jobs_that_keep_checkpoints_are_told_before_their_time_is_up(study):
    for section in ("group-components", "set-threads", "set-resources"):
        assert set(SETTINGS[section]) <= set(vocabulary.RULES), section
    told = {job["rules"][0] for job in study if "--signal=USR1@180" in str(job["resources"].get("slurm_extra"))}
    assert told == {"finetune_model", "finetune_part", "pretrain", "pretrain_leg", "embed"}


def test_the_profile_works_by_its_path_from_another_directory(elsewhere, tmp_path):
    arguments = ["-n", "--profile", elsewhere / "profiles/slurm", "--snakefile", elsewhere / "workflow/Snakefile"]
    for name in ("config", "resources"):
        (tmp_path / name).symlink_to(elsewhere / name)
    answer = snakemake(*arguments, "--configfile", "config/config.yaml", directory=tmp_path)
    assert answer.returncode == 0, answer.stdout[-2000:]
    assert f"Snakefile: {elsewhere}/workflow/Snakefile" in answer.stdout


def test_the_tracked_config_passes_the_linter():
    answer = snakemake("--lint")
    assert answer.returncode == 0, answer.stdout[-2000:]


def login_shell(command, directory):
    """In a login shell that has nothing of this environment but modules: what a site's users have."""
    return subprocess.run(
        ["bash", "-lc", command], cwd=directory, env={"PATH": "/usr/bin:/bin", "HOME": str(directory)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def test_environment_modules_bring_the_software(elsewhere, tool):
    if "function" not in login_shell("type -t module", elsewhere).stdout:  # it is no executable
        tool("environment-modules")
    (elsewhere / ".venv").symlink_to(sys.prefix)
    run = f"{sys.prefix}/bin/snakemake simulate_genome --cores 1 --forceall --sdm env-modules"
    without = login_shell(run, elsewhere)
    log = (elsewhere / "logs/simulate_genome.log").read_text()
    assert without.returncode != 0 and "python: command not found" in log
    loaded = login_shell(f"module use $PWD/envs/modulefiles; {run}", elsewhere)
    assert loaded.returncode == 0, loaded.stdout[-2000:]
    assert "Activating environment modules: foundationless" in loaded.stdout


def test_apptainer_is_asked_for_the_one_image(elsewhere, tmp_path):
    # A stand-in that prints what it was asked and runs it outside: Apptainer is not in Debian.
    stand_in = tmp_path / "apptainer"
    stand_in.write_text(
        '#!/bin/bash\nif [ "$1" = --version ]; then echo apptainer version 1.4.0; exit; fi\n'
        f'printf "%s\\n" "$@" > {tmp_path}/asked\nwhile [ "$1" != bash ] && [ "$1" != sh ]; do shift; done\nexec "$@"\n'
    )
    stand_in.chmod(0o755)
    answer = snakemake(
        "--cores", "1", "--forceall", "--software-deployment-method", "apptainer", "--apptainer-args", " --nv",
        "simulate_genome", directory=elsewhere, environment=ENVIRONMENT | {"PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout[-2000:]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert str(elsewhere / "envs/foundationless.sif") in asked and "--nv" in asked


def test_images_hold_the_lock():
    dockerfile, definition = ((ROOT / "envs" / name).read_text() for name in ("Dockerfile", "foundationless.def"))
    image = re.search(r"^FROM (\S+)$", dockerfile, re.M)[1]
    assert re.search(r"^From: (\S+)$", definition, re.M)[1] == image
    for text in (dockerfile, definition):
        assert "requirements.txt /tmp/requirements.txt" in text
        assert "--requirement /tmp/requirements.txt" in text


def test_weights_of_before_are_found_complete(elsewhere):
    """What is recorded of them names the reading as flags called it when their recipes were last raised."""
    jobs = planned(elsewhere, "--quiet", "--configfile", "config/config.yaml")
    recorded = {(job["rules"][0], job["wildcards"][0].get("model")): job["recorded"] for job in jobs}
    assert recorded["import_weights", "dnabert2.demo.paper"] == [
        "1",
        "'results/weights/dnabert2.demo/pretrained/seed0'",
        "['--family', 'dnabert2', '--protocol', 'paper', '--tokenizer', 'dnabert2']",
    ]
    recipe, flags, tokenizer = recorded["initialise", "hyenadna.demo"]
    start = "['--family', 'hyenadna', '--protocol', 'corrected', '--config', '{\"activation_freq\": 10, "
    assert flags.startswith(start) and (recipe, tokenizer) == ("3", "['--tokenizer', 'hyenadna']")
    assert recorded["make_control_arm", "dnabert2.demo"] == ["1"]


def test_a_study_that_was_run_is_complete_whatever_else_was_edited():
    """Locally as on a cluster: neither a new flag of a command nor another environment makes its results anew."""
    for path in (ROOT / "profiles/default/config.yaml", PROFILE / "config.v9+.yaml"):
        said = re.findall(r"^rerun-triggers: (.*)$", path.read_text(), re.M)
        assert said == (["[mtime, params, input]"] if "default" in path.parts else []), path
