"""What SLURM and Snakemake add to a short job, alone and in groups: numbers to print, for no test measures time."""

from support import overhead


def test_a_hundred_short_jobs_are_ten_in_groups_of_ten(cluster, tmp_path, capsys):
    before = len(cluster.history())
    sentence = overhead.measure(tmp_path, jobs=100, together=10, alone=10, environment=cluster.environment)
    with capsys.disabled():
        print(f"\n{sentence}")
    assert len(cluster.history()) - before == 10 + 10
