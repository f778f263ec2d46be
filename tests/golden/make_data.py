"""Cut the committed part of the golden sets, tests/golden/data, from the full ones: python tests/golden/make_data.py.

Kept whole: weights, configurations, parameter counts, statistics of the initialisation, token ids. Left out: the case
`long` of every Caduceus, all cases but `batch` at the initialisation, and the published tokenizer files, of which only
the merges that the golden sequences need are kept, as ids. Gradients of parameters are rounded to float16.
"""

import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow")]

from foundationless.models.tokenizers import PIECES  # noqa: E402
from support import SHARED  # noqa: E402
from support.golden_data import DATA, SETS, write  # noqa: E402

STATISTICS = ("dtype", "shape", "min", "max", "mean", "std")


def kept(path: Path, array_name: str) -> bool:
    """Whether one array of a file of the full sets is part of the committed ones."""
    case = array_name.split(".")[0]
    if path.name.startswith("outputs") and path.parent.name == "init":
        return case == "batch"
    return case != "long" or not any("caduceus" in part for part in path.parts)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The kept arrays of a safetensors file; gradients of parameters as float16."""
    return {
        name: array.astype(np.float16) if name.startswith("grad.") else array
        for name, array in load_file(path).items()
        if not path.name.startswith(("inputs", "outputs")) or kept(path, name)
    }


def documents(golden: Path, name: str) -> dict[str, object]:
    """Configurations, and what the official full size was found to hold."""
    texts = {
        str(path.relative_to(golden)): json.loads(path.read_text()) for path in (golden / name).glob("*/config.json")
    }
    full = golden / name / "full_size"
    if full.is_dir():
        stats = json.loads((full / "init_stats.json").read_text())["stats"]
        texts[f"{name}/full_size/init_stats.json"] = {
            "stats": {key: {fact: row[fact] for fact in STATISTICS} for key, row in stats.items()}
        }
        for document in ("keys", "summary"):
            texts[f"{name}/full_size/{document}.json"] = json.loads((full / f"{document}.json").read_text())
    return texts


def applied_merges(vocabulary: dict[str, int], ranks: dict[tuple[str, str], int], text: str) -> set[tuple[str, str]]:
    """The merges by which byte-pair encoding makes the pieces of `text`."""
    pieces, applied = list(text), set[tuple[str, str]]()
    while pairs := [pair for pair in itertools.pairwise(pieces) if pair in ranks]:
        best = min(pairs, key=ranks.__getitem__)
        applied.add(best)
        merged: list[str] = []
        while pieces:
            take = 2 if tuple(pieces[:2]) == best else 1
            merged.append("".join(pieces[:take]))
            del pieces[:take]
        pieces = merged
    assert all(piece in vocabulary for piece in pieces)
    return applied


def token_ids(golden: Path, name: str) -> dict[str, object]:
    """The golden cases of a tokenizer, and for byte-pair ones the merges that they need: ids [left, right, merged]."""
    content = json.loads((golden / "tokenizers/a" / f"{name}.json").read_text())
    if name not in PIECES:
        return content
    model = json.loads((golden / "tokenizers/files" / name / "tokenizer.json").read_text())["model"]
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(model["merges"])}
    needed = set[tuple[str, str]]()
    for sequence in [*(case["sequence"] for case in content["cases"]), *content["batch"]["sequences"]]:
        for stretch in re.findall(f"[{PIECES[name][1]}]+", re.sub("N{10,}", "-", sequence)):
            needed |= applied_merges(model["vocab"], ranks, stretch)
    ids = model["vocab"]
    merges = [[ids[left], ids[right], ids[left + right]] for left, right in sorted(needed, key=ranks.__getitem__)]
    return content | {"merges": merges}


def main(golden: Path, output: Path) -> None:
    for name in SETS:
        files = {str(path.relative_to(golden)): arrays(path) for path in sorted((golden / name).rglob("*.safetensors"))}
        write(output / f"{name}.npz.xz", files, documents(golden, name))
    tokenizers = sorted(path.stem for path in (golden / "tokenizers/a").glob("*.json"))
    ids = {f"tokenizers/a/{name}.json": token_ids(golden, name) for name in tokenizers}
    write(output / "tokenizers.npz.xz", {}, ids)


if __name__ == "__main__":
    main(SHARED / "golden", DATA)
