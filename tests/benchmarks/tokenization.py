"""Speed of the tokenizers on one core, in Mb of sequence per second of processor time, by the length of a sequence.

`ACGT`: independent, equally frequent bases. `1 % N`: one base in a hundred is unknown. `encode` is timed alone, one
call a sequence; a busy machine does not count, for waiting is not processor time.
"""

import time
from collections.abc import Sequence

import numpy as np
from setting import add_tokenizers, call, plain_parser, table, title
from torch import device

from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.models.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer

KINDS = {"ACGT": 0.0, "1 % N": 0.01}


def draw(rng: np.random.Generator, length: int, unknown: float) -> str:
    """One sequence with that share of N."""
    letters = rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), length)
    letters[rng.random(length) < unknown] = ord("N")
    return letters.tobytes().decode()


def speed(tokenizer: Tokenizer, sequences: Sequence[str], repeats: int) -> float:
    """Mb per second of processor time; the fastest of `repeats` passes."""
    least = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        for sequence in sequences:
            tokenizer.encode(sequence)
        least = min(least, time.process_time() - start)
    return sum(map(len, sequences)) / max(least, 1e-9) / 1e6


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "few bases")
    parser.add_argument("--names", nargs="+", default=list(TOKENIZERS), help="tokenizers (default: all)")
    lengths = [100, 1000, 10_000, 1_000_000]
    parser.add_argument("--lengths", nargs="+", type=count, default=lengths, help="bp a sequence")
    parser.add_argument("--bases", type=count, default=2_000_000, help="bases of each measurement")
    parser.add_argument("--repeats", type=count, default=5, help="passes; the fastest counts")
    add_tokenizers(parser)
    arguments = parser.parse_args(argv)
    if unknown := [name for name in arguments.names if name not in TOKENIZERS]:
        raise UserError(f"--names {unknown[0]}: the tokenizers are {', '.join(TOKENIZERS)}.")
    arguments.threads = 1
    if arguments.smoke:
        arguments.bases, arguments.repeats, arguments.lengths = 1000, 1, [100, 1000]
    rng = np.random.default_rng(0)
    rows = []
    for name in arguments.names:
        tokenizer = load_tokenizer(name, arguments.tokenizers / name)
        for kind, share in KINDS.items():
            speeds = []
            for length in arguments.lengths:
                bases = arguments.bases // (1 if tokenizer.k else 10)  # byte pairs are merged one by one
                sequences = [draw(rng, length, share) for _ in range(max(1, bases // length))]
                speeds.append(speed(tokenizer, sequences, arguments.repeats))
            rows.append((name, kind, *speeds))
    print(title(arguments, device("cpu")))
    print(table(["tokenizer", "sequence", *(f"{length:,} bp" for length in arguments.lengths)], rows))


if __name__ == "__main__":
    call(main)
