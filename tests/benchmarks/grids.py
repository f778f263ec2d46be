"""Do the grids of k-mer baselines hold the optimum, and what do they cost beside the narrow ones of before?

On published sets (GUE: `dev` cut into training and validation rows, 4 to 1, and `test`) the program's classifier is set
beside scikit-learn's own, each strength fitted from nothing in double precision: with the four or five strengths of
before, and with 17 decades. `edge`: what the record says of the choice. CPU seconds are those of one thread.
"""

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from setting import SHARED, call, dna, plain_parser, table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from foundationless.errors import UserError
from foundationless.features import composition
from foundationless.features.classifiers import ProbeSettings, Samples, fit, score_rows

PLACE = (
    "raw.githubusercontent.com/krishnanj/adversarial_attack_gfm/40d4ed7332de6eaa7821b5bf59cef646979b3469/data/raw/GUE"
)
METRIC = "mcc"
BEFORE = {"logistic": (0.01, 0.1, 1.0, 10.0), "svm": (0.00001, 0.0001, 0.001, 0.01, 0.1)}
WIDE = tuple(float(f"1e{power}") for power in range(-10, 7))


def read_samples(directory: Path) -> Samples:
    """Relative frequencies of all words of one to six letters, of a published set."""
    parts = {split: pd.read_csv(directory / f"{split}.csv") for split in ("dev", "test")}
    frame = pd.concat(parts.values(), ignore_index=True)
    drawn = np.random.default_rng(0).permutation(len(parts["dev"]))
    split = np.full(len(frame), "test", dtype=object)
    split[drawn] = "train"
    split[drawn[: len(drawn) // 5]] = "validation"
    return samples_of(frame["sequence"].tolist(), frame["label"].astype(str).tolist(), split, 6)


def simulated_samples() -> Samples:
    rng = np.random.default_rng(0)
    sequences = [dna(rng, 40) + "GC" * (10 * (number % 2)) for number in range(90)]
    split = np.array(["train", "validation", "test"], dtype=object)[np.arange(90) // 2 % 3]
    return samples_of(sequences, [str(number % 2) for number in range(90)], split, 2)


def samples_of(sequences: list[str], labels: list[str], split: np.ndarray, k_max: int) -> Samples:
    names = [f"s{number}" for number in range(len(sequences))]
    frame = pd.DataFrame({"id": names, "label": labels, "split": split, "group": names})
    return Samples(frame, {"kmer": composition.features("kmer", sequences, k_max=k_max)})


def cold(kind: str, samples: Samples, strengths: Sequence[float]) -> dict[float, tuple[float, float]]:
    """Strength -> (validation, test) of scikit-learn's classifier, each fitted from nothing in double precision."""
    train, matrix = samples.rows("train"), samples.features["kmer"].astype(np.float64)
    scaled = StandardScaler().fit(matrix[train]).transform(matrix)
    labels = samples.frame["label"].to_numpy()
    values = {}
    for strength in strengths:
        if kind == "logistic":
            model: Any = LogisticRegression(C=strength, max_iter=1000)
        else:
            model = LinearSVC(C=strength, dual="auto", max_iter=2000, random_state=0)
        predicted = model.fit(scaled[train], labels[train]).predict(scaled)
        shares = (predicted[:, None] == np.array(samples.classes)).astype(np.float32)
        values[strength] = score(samples, "validation", shares), score(samples, "test", shares)
    return values


def score(samples: Samples, split: str, probabilities: np.ndarray) -> float:
    return score_rows(samples, samples.rows(split), probabilities, METRIC)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    made = work()
    return made, time.process_time() - start


def compare(kind: str, name: str, samples: Samples) -> list[Any]:
    """One row of the table."""
    settings = ProbeSettings(metric=METRIC, seed=0)
    fitted, seconds = timed(lambda: fit(kind, samples.features["kmer"], samples, settings))
    before, earlier = timed(lambda: cold(kind, samples, BEFORE[kind]))
    wide = cold(kind, samples, WIDE)
    selection = fitted.selection
    assert selection is not None
    narrow, best = (max(values, key=lambda strength: values[strength][0]) for values in (before, wide))
    own, tested = (score(samples, split, fitted.probabilities) for split in ("validation", "test"))
    print(f"{name}, {kind}: {own:.3f} on validation", file=sys.stderr)
    told = [name, len(samples.rows("train")), f"{selection['chosen']:g}", selection["edge"] or "–", f"{best:g}"]
    told += [f"{value:.3f}" for value in (own, wide[best][0], before[narrow][0], tested, before[narrow][1])]
    return [*told, f"{seconds:.2f}", f"{seconds / earlier:.2f}"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "one simulated set")
    parser.add_argument(
        "--sets", nargs="+", help="directories of the mirror, such as EMP/H3 (default: all with dev.csv)"
    )
    parser.add_argument(
        "--classifiers", nargs="+", choices=list(BEFORE), default=["logistic"], help="(default logistic)"
    )
    parser.add_argument("--mirror", type=Path, default=SHARED / "mirror" / PLACE, help="directory of the sets")
    given = parser.parse_args(argv)
    names = given.sets or sorted(
        str(path.parent.relative_to(given.mirror)) for path in given.mirror.glob("*/*/dev.csv")
    )
    if given.smoke:
        names = ["simulated"]
    if not names:
        raise UserError(f"--mirror {given.mirror}: no set with a dev.csv; name the directory that has them.")
    print(f"{date.today()}, scikit-learn {sklearn.__version__}, numpy {np.__version__}\n")
    header = "set|rows|strength|edge|of 17 decades|validation|17 decades|before|test|before|CPU s|to before"
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for kind in given.classifiers:
            rows = []
            for name in names:
                try:
                    samples = simulated_samples() if given.smoke else read_samples(given.mirror / name)
                except FileNotFoundError as error:
                    raise UserError(f"--sets {name}: {error.filename} is not there.") from None
                rows.append(compare(kind, name, samples))
            print(f"`{kind}` on words of one to six letters\n\n{table(header.split('|'), rows)}\n", flush=True)


if __name__ == "__main__":
    call(main)
