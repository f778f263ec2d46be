"""Whether what `make trial DATA=` says of a set agrees with what was planted in it.

Seven sets (`tests/support/own_sets.py`): of classes and of values words of which counts suffice, an order of words that
counts cannot tell, and labels by lot; and tracks with a word each. Each is drawn `--worlds` times, goes through
`enter_data` and the workflow as far as the recommendation, and the arm to use is set beside the truth. Nothing is
downloaded.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from setting import ROOT, call, plain_parser, table

from foundationless import __version__
from foundationless.commands._flags import count
from foundationless.reporting.tables.own_words import section
from foundationless.runtime.files import read_json

sys.path.append(str(ROOT / "tests"))
from support.own_sets import COLUMNS, TRUTHS, write

LINKED = ("config", "workflow", "envs", "profiles", "resources/lists")
QUICK = {"learning_rates": [1.0e-3], "epochs": 1}
EXPECTED = {
    **dict.fromkeys(("motif", "counted", "marked"), ("baseline",)),
    **dict.fromkeys(("grammar", "ordered"), ("random", "pretrained")),
    **dict.fromkeys(("shuffled", "lots"), ("none",)),
}


def prepare(place: Path) -> None:
    """A folder in which the workflow runs: links to what is tracked."""
    for name in LINKED:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if not (place / name).exists():
            (place / name).symlink_to(ROOT / name)


def run(place: Path, *words: Any) -> str:
    """A command of this Python's environment, in the folder; its standard output."""
    command = [str(Path(sys.executable).parent / words[0]), *map(str, words[1:])]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def judge(place: Path, kind: str, rows: int, length: int, seed: int, smoke: bool) -> tuple[str, str, dict[str, Any]]:
    """The arm to use (its init, or `none`), its name, and the facts."""
    name = f"{kind}_{seed}"
    data = write(place / f"{name}.csv", kind, rows, length, seed)
    study = place / f"{name}.yaml"
    label = ",".join(COLUMNS.get(kind, ("class",)))
    run(place, "python", "-m", "foundationless", "enter_data", "--data", data, "--label", label, "--output", study)
    if smoke:
        config = yaml.safe_load(study.read_text())
        config["finetuning"] |= QUICK
        config["pretraining"] |= {"steps": 3, "warmup": 1, "checkpoint_every": 3}
        study.write_text(yaml.safe_dump(config))
    run(place, "snakemake", f"results/recommendations/{name}.json", "--cores", "2", "--configfile", study)
    found = read_json(place / f"results/recommendations/{name}.json")
    use = section(found, {})["use"] or {"init": "none", "model": "nothing"}
    return use["init"], use["model"], found


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table of sets with truth and words."""
    made = plain_parser(__doc__, "one small set, one epoch")
    made.add_argument("--worlds", type=count, default=1, help="draws of each set (default 1)")
    made.add_argument("--rows", type=count, default=1000, help="rows of a set (default 1000)")
    made.add_argument("--bases", type=count, default=200, help="bases of a row (default 200)")
    made.add_argument("--sets", nargs="+", choices=list(TRUTHS), default=list(TRUTHS), help="which sets (default all)")
    given = made.parse_args(argv)
    kinds, size = (["motif"], (80, 60)) if given.smoke else (given.sets, (given.rows, given.bases))
    size_words = f"{size[0]} rows of {size[1]} bases"
    print(f"{date.today()}, foundationless {__version__}, numpy {__import__('numpy').__version__}, {size_words}\n")
    lines = []
    with tempfile.TemporaryDirectory() as aside:
        place = Path(aside)
        prepare(place)
        for kind in kinds:
            for seed in range(1, given.worlds + 1):
                init, model, found = judge(place, kind, *size, seed, given.smoke)
                agrees = "yes" if init in EXPECTED[kind] else "no"
                best = found["best"]
                value = f"{found['metric']} {best['value']:.2f} [{best['low']:.2f}, {best['high']:.2f}]"
                lines.append([kind, TRUTHS[kind].split(":")[0], model, best["model"], value, agrees])
    print(table(["set", "truth", "to use", "best by validation", "its value on test", "agrees"], lines))


if __name__ == "__main__":
    call(main)
