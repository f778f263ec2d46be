"""Hundreds of finished jobs and one missing: a dry run finds exactly that one, at the size of the demo.

Outputs are empty files of one age; nothing runs. `tests/benchmarks/planning.py` does the same at the study's size.
"""

import os
import re
import time

import pytest

from support.studies import checkout, snakemake

AFTER = {  # what is made of every record
    "summarise_analysis", "collect_tables", "draw_figures", "bind_figures", "write_verdict", "write_report",
}  # fmt: skip


def planned(answer):
    assert answer.returncode == 0, answer.stdout[-2000:]
    stats = answer.stdout.partition("Job stats:")[2]
    return {rule: int(jobs) for rule, jobs in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.MULTILINE)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A demo whose every output is there, and {path: rule} of them."""
    directory = checkout(tmp_path_factory.mktemp("finished"))
    answer = snakemake("--summary", directory=directory)
    assert answer.returncode == 0, answer.stdout[-2000:]
    lines = answer.stdout[answer.stdout.index("output_file\t") :].splitlines()[1:]
    made = {cells[0]: cells[2] for cells in (line.split("\t") for line in lines) if len(cells) >= 4}
    now = time.time()
    for path in made:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).touch()
        os.utime(directory / path, (now, now))
    return directory, made


def test_what_is_finished_is_left_alone(finished):
    directory, made = finished
    assert len(made) > 500
    assert planned(snakemake("-n", directory=directory)) == {}


@pytest.mark.parametrize("rule", ["finetune_model", "probe", "score_likelihood"])
def test_one_missing_record_is_the_one_job_that_is_planned(finished, rule):
    directory, made = finished
    record = next(path for path, by in made.items() if by == rule and path.endswith("record.json"))
    (directory / record).unlink()
    try:
        answer = snakemake("-n", directory=directory)
    finally:
        (directory / record).touch()
        age = (directory / "results/figures/all.pdf").stat().st_mtime
        os.utime(directory / record, (age, age))
    found = planned(answer)
    assert set(found) == {rule, *AFTER, "all", "total"}, found
    assert found[rule] == found["summarise_analysis"] == 1
    assert f"Missing output files: {record}" in answer.stdout
