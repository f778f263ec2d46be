"""Peak memory of embedding at one token budget, from 50-nt sequences to one of 2 Mb.

Character models read up to 100,000 nucleotides at once (HyenaDNA is built with so many positions); what exceeds a
model is cut into chunks. Each row embeds as many sequences of one length (`--jitter`: about one length) as fill two
batches, and at least one. The networks have two layers: without gradients a layer's memory is free before the next.

Tensors: the most that stand at once in whole batches, as a GPU gets them. Resident: how much the process grows on a
CPU, where batches stop growing at what the caches hold; the C library keeps freed pieces below 32 MiB to itself.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import torch
from setting import build, call, dna, parser, peak_memory, prepare, table, title

from foundationless.commands._flags import count, number
from foundationless.errors import UserError
from foundationless.features import embedding
from foundationless.models import inference
from foundationless.models.weights import Weights

LENGTHS = (50, 1_000, 10_000, 100_000, 2_000_000)
POSITIONS = 100_002
TWO_LAYERS = {"max_seq_len": POSITIONS, "num_hidden_layers": 2, "n_layer": 2, "depth": 2}


def embed(weights: Weights, sequences: Sequence[str], arguments: argparse.Namespace, device: torch.device) -> None:
    compute = {"token_budget": arguments.token_budget, "device": device, "precision": arguments.precision}
    embedding.embed_sequences(weights, sequences, ["max", "mean"], **compute)


def resident(peak: bool) -> float:
    """MiB resident now, or at most since the process began (Linux)."""
    with open("/proc/self/status") as stream:
        sizes = dict(line.split(":", 1) for line in stream)
    return int(sizes["VmHWM" if peak else "VmRSS"].split()[0]) / 1024


def measure(name: str, length: int, arguments: argparse.Namespace) -> tuple[int, float, float | None]:
    """(Token budget, MiB of tensors, growth of the resident size in MiB) of embedding sequences of one length."""
    device, entries = prepare(arguments)
    weights = build(entries[name], arguments, device, TWO_LAYERS)
    if arguments.token_budget is None:
        arguments.token_budget = POSITIONS if weights.model.max_tokens >= POSITIONS else 16_384
    rng = np.random.default_rng(0)
    sample = dna(rng, 6_000)
    per_token = len(sample) / len(weights.tokenizer.encode(sample))
    amount = max(1, round(2 * arguments.token_budget * per_token / length))
    spread = rng.uniform(1 - arguments.jitter, 1 + arguments.jitter, amount)
    sequences = [dna(rng, max(1, int(length * factor))) for factor in spread]
    embed(weights, [sample[:40]], arguments, device)  # libraries start up
    before = resident(False)
    embed(weights, sequences, arguments, device)
    growth = None if device.type == "cuda" else resident(True) - before
    inference.CACHED = sys.maxsize
    return arguments.token_budget, peak_memory(lambda: embed(weights, sequences, arguments, device), device), growth


def main(argv: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    told = "tokens per batch (default: 100,002 where the model reads so many, else 16,384)"
    made.add_argument("--token-budget", type=count, help=told)
    made.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="autocast precision")
    made.add_argument("--jitter", type=number, default=0.0, help="lengths vary by this share (default 0: none)")
    made.add_argument("--lengths", type=count, nargs="+", default=list(LENGTHS), help="nucleotides per sequence")
    made.add_argument("--child", nargs=2, metavar=("MODEL", "LENGTH"), help=argparse.SUPPRESS)
    arguments = made.parse_args(argv)
    if not 0 <= arguments.jitter < 1:
        raise UserError(f"--jitter {arguments.jitter}: a share from 0 to less than 1.")
    if arguments.child:
        print(*measure(arguments.child[0], int(arguments.child[1]), arguments))
        return
    device, entries = prepare(arguments)
    heading = title(arguments, device)
    flags = list(sys.argv[1:] if argv is None else argv)
    if arguments.smoke:
        arguments.lengths, arguments.token_budget = [50, 1_000], 1_002
        flags += ["--token-budget", "1002"]
    rows = []
    for name in entries:
        found = []
        for length in arguments.lengths:
            # A process of its own: the resident size never shrinks.
            command = [sys.executable, __file__, *flags, "--child", name, str(length)]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                raise UserError(f"{name}, {length} nt: {answer.stderr.strip().splitlines()[-1]}")
            budget, tensors, growth = answer.stdout.split()
            found.append((int(budget), length, float(tensors), None if growth == "None" else float(growth)))
        rows += [[name, *row[:3], f"{row[2] / found[0][2] - 1:+.0%}", row[3]] for row in found]
    print(f"Peak memory of embedding; {heading}\n")
    header = ["model", "token budget", "nt per sequence", "tensors (MiB)", "against the first", "resident (MiB)"]
    print(table(header, rows))


if __name__ == "__main__":
    call(main)
