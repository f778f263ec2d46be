"""Write known_embeddings.json from the oracles: python resources/lists/make_known_embeddings.py ORACLES_DIRECTORY.

The oracles (../shared/golden/real_checkpoint_oracles) are what the official code gave with the published weights on a
CPU in float32, copied from the evidence files of github.com/tcztzy/evo.cpp (Apache-2.0). Kept of each: where the
weights are, their sizes and SHA-256, one short sequence with its token ids, how its states were pooled, and of the
embedding the number of values, the norm and the first 16. Left out: networks that give tracks or have no state for a
token (Enformer, SPACE), poolings that no other model has, and weights whose files are not told.
"""

import json
import math
import sys
from pathlib import Path

VALUES, DIGITS = 16, 7
WEIGHTS = (".safetensors", ".bin")
LEFT_OUT = ("enformer", "space", "biofm-265m")
# What the oracle run read where the file does not list the ids: letters of Caduceus and HyenaDNA, no special tokens.
HYENADNA = {letter: number for number, letter in enumerate("ACGTN", start=7)}


def pooling_of(words: str) -> str:
    """`mean` over all tokens, special ones included, or `first`, in the words of `models.pooling.pool`."""
    words = words.lower()
    assert "mean" in words or "masked sum" in words or "cls-token" in words, words
    return "first" if "cls-token" in words else "mean"


def entry(oracle: dict, files: dict, pooling: str, values: list[float], norm: float, count: int) -> dict:
    ids = oracle["input_ids"]
    if ids is None and "hyenadna" in oracle["repo"]:
        ids = [HYENADNA[letter] for letter in oracle["sequence"]]
    return {
        "repository": oracle["repo"],
        "revision": oracle["revision"],
        "files": files,
        "sequence": oracle["sequence"],
        "input_ids": ids,
        "pooling": pooling_of(pooling),
        "n": count,
        "norm": float(f"{norm:.{DIGITS}g}"),
        "values": [float(f"{value:.{DIGITS}g}") for value in values[:VALUES]],
    }


def main(source: Path) -> None:
    table, whole = (json.loads((source / f"{name}.json").read_text()) for name in ("checkpoints", "oracles"))
    checkpoints = {row["name"]: row for row in table["checkpoints"]}
    known, seen = [], set()
    for oracle in table["embeddings"]:
        row = checkpoints[oracle["name"]]
        files = {name: fact for name, fact in row["files"].items() if name.endswith(WEIGHTS)}
        if oracle["name"] in LEFT_OUT or oracle["name"] in seen or not files:
            continue
        seen.add(oracle["name"])
        pooling = oracle["pooling"] or row["pooling"]
        known.append(entry(oracle, files, pooling, oracle["values"], oracle["norm"], oracle["n"]))
    for oracle in whole:
        if oracle["repo"] in {row["repository"] for row in known}:
            continue
        files, values = {"": [None, oracle["checkpoint_sha256"]]}, oracle["values"]  # size and name are not told
        norm = math.sqrt(sum(value * value for value in values))
        known.append(entry(oracle, files, oracle["pooling"], values, norm, len(values)))
    lines = ",\n".join(json.dumps(row) for row in sorted(known, key=lambda row: row["repository"]))
    (Path(__file__).parent / "known_embeddings.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
