"""Command lines of the program and of the field's tools, as tests call them."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.__main__ import main
from foundationless.tasks.sequence_sets import read_sequences


def words(command: str, **flags: object) -> list[str]:
    """A command line: `seed=1` is `--seed 1`, and a list several values of a flag."""
    argv = [command]
    for flag, value in flags.items():
        argv += [f"--{flag.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return argv


def call(argv: Iterable[object]) -> int:
    """Run a command line; its exit code, however it ends."""
    try:
        return main(list(map(str, argv)))
    except SystemExit as ended:
        return int(ended.code or 0)


def error_in(stderr: str) -> str:
    """The one line that says what is wrong, among what was told before it."""
    lines = [line for line in re.split("[\r\n]+", stderr) if re.match(r"foundationless( \w+)?: error:", line)]
    assert len(lines) == 1 and "Traceback" not in stderr, stderr
    return lines[0]


def refused(capsys, argv: Iterable[object]) -> str:
    """That line of a command that a user's mistake ends with code 2, and which says nothing else."""
    capsys.readouterr()
    code, stderr = call(argv), capsys.readouterr().err
    assert code == 2 and stderr.count("\n") == 1, stderr
    return error_in(stderr)


def building(
    output: Path, reader: str, sources: Mapping[str, object], options: Iterable[str] = (), *more: str, seed: int = 1
) -> list[str]:
    """A command line of build_sequences."""
    flags = [f"--reader={reader}", *(f"--source={role}={path}" for role, path in sources.items())]
    flags += [f"--option={option}" for option in options]
    return ["build_sequences", *flags, *more, f"--seed={seed}", f"--output={output}"]


def built(output: Path, *arguments, **more) -> pd.DataFrame:
    """The set that such a command makes."""
    assert main(building(output, *arguments, **more)) == 0
    return read_sequences(output)


def output_of(*command: object, **options) -> str:
    """What a program prints."""
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, **options).stdout


def mmseqs_similarity(mmseqs: str, folder: Path, queries: list[str], targets: list[str]) -> np.ndarray:
    """Identical bases of the best local alignment that MMseqs2 finds, as a share of the query [queries]."""
    for name, texts in {"q": queries, "t": targets}.items():
        (folder / f"{name}.fa").write_text("".join(f">{number}\n{text}\n" for number, text in enumerate(texts)))
    flags = "--search-type 3 --strand 2 -k 11 --max-seqs 2000 -e 1e-5 --threads 1 -v 1 --mask 0"
    columns = ("--format-output", "query,fident,alnlen,qlen")
    output_of(mmseqs, "easy-search", "q.fa", "t.fa", "out.m8", "tmp", *flags.split(), *columns, cwd=folder)
    found = pd.read_csv(folder / "out.m8", sep="\t", names=["query", "identity", "aligned", "length"])
    best = (found["identity"] * found["aligned"] / found["length"]).groupby(found["query"]).max()
    return best.reindex(range(len(queries)), fill_value=0.0).to_numpy()
