"""Forward and backward speed of every architecture at full size on 8 sequences of 1,000 nucleotides.

The inputs are those of the official figures (`--official`): official tokenizer, one padded batch, vocabulary head
included. Tokens per second count valid tokens of the fastest of several runs; float32 and bfloat16 take turns.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from setting import SHARED, build, call, dna, fastest, one_thread, parser, peak_memory, prepare, seconds, table, title
from torch.utils.flop_counter import FlopCounterMode

from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.models.batching import collate
from foundationless.models.weights import Weights
from foundationless.runtime.files import read_json

OFFICIAL = {"caduceus": "caduceus_ps", "nt_v1": "nt_500m"}  # family -> its name in the official figures
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def matrix_peak(dtype: torch.dtype, device: torch.device, size: int) -> float:
    """FLOP per second of a large square matrix product: the ceiling on this device."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    left @ right
    return 2 * size**3 / min(seconds(lambda: left @ right, device) for _ in range(10))


def passes(weights: Weights, ids: torch.Tensor, mask: torch.Tensor, backward: bool) -> dict[str, Callable[[], None]]:
    """One pass per precision. The loss of `backward` is the mean square of the logits; gradients are freed after it."""
    model = weights.model
    seen = mask if model.padding == "mask" and not bool(mask.all()) else None

    def run(dtype: torch.dtype) -> None:
        with torch.set_grad_enabled(backward), torch.autocast(ids.device.type, torch.bfloat16, dtype is torch.bfloat16):
            logits = model(ids, seen)[1]
        if backward:
            logits.float().square().mean().backward()
            model.zero_grad(set_to_none=True)

    return {name: lambda dtype=dtype: run(dtype) for name, dtype in PRECISIONS.items()}


def official_speed(official: Mapping[str, Any], family: str, direction: str) -> float | None:
    """Tokens per second of the official code, where it was measured."""
    found = official["results"].get(OFFICIAL.get(family, family), {})
    return found["tokens"] / found[direction]["min_s"] if direction in found else None


def read_official(path: Path) -> Mapping[str, Any]:
    figures = read_json(path)
    if not isinstance(figures, dict) or not isinstance(figures.get("results"), dict):
        raise UserError(f"{path}: holds no 'results'; give bench_official.json.")
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    figures = SHARED / "golden" / "bench_official.json"
    made.add_argument("--official", type=Path, default=figures, help="JSON with the official code's CPU speed")
    made.add_argument("--batch", type=count, default=8, help="sequences (default 8)")
    made.add_argument("--length", type=count, default=1000, help="nucleotides of each (default 1000)")
    made.add_argument("--backward", action="store_true", help="forward and backward instead of forward alone")
    arguments = made.parse_args(argv)
    device, entries = prepare(arguments)
    official = read_official(arguments.official)
    # The official figures are of this input, at full size, on a CPU.
    alike = (arguments.batch, arguments.length, device.type, arguments.smoke) == (8, 1000, "cpu", False)
    heading = title(arguments, device)
    if arguments.smoke:
        arguments.repeats = 1
    size = 256 if arguments.smoke else 2048 if device.type == "cpu" else 8192
    peak = {name: 0.0 for name in PRECISIONS}
    direction = "forward_backward" if arguments.backward else "forward"
    rows = []
    for name, entry in entries.items():
        weights = build(entry, arguments, device)
        rng = np.random.default_rng(0)
        encoded = [weights.tokenizer.encode(dna(rng, arguments.length)) for _ in range(arguments.batch)]
        if (longest := max(map(len, encoded))) > weights.model.max_tokens:
            raise UserError(f"--length {arguments.length}: model '{name}' reads no {longest} tokens; choose less.")
        ids, mask = (part.to(device) for part in collate(encoded, weights.tokenizer.pad_id))
        tokens = int(mask.sum())
        ways = passes(weights, ids, mask, arguments.backward)
        memory = [peak_memory(ways["bf16"], device)]
        with one_thread(), FlopCounterMode(display=False) as counter:
            memory.insert(0, peak_memory(ways["fp32"], device))
        best = fastest(ways, arguments, device)
        # Again for each model: the largest is the one least disturbed.
        peak = {p: max(peak[p], matrix_peak(dtype, device, size)) for p, dtype in PRECISIONS.items()}
        reference = official_speed(official, entry["family"], direction) if alike else None
        speed = {precision: tokens / time for precision, time in best.items()}
        ratios = [reference and speed["fp32"] / reference, best["fp32"] / best["bf16"]]
        rate = {precision: counter.get_total_flops() / time for precision, time in best.items()}
        rows.append(([name, tokens, reference, *speed.values(), *ratios], rate, memory))
        del weights, ways
    header = ["model", "tokens", "official fp32 (tokens/s)", "fp32 (tokens/s)", "bf16 (tokens/s)", "fp32 / official"]
    header += ["bf16 / fp32", "fp32 of peak", "bf16 of peak", "fp32 memory (MiB)", "bf16 memory (MiB)"]
    what = "Forward and backward" if arguments.backward else "Forward"
    lines = [[*row, *(f"{rate[p] / peak[p]:.0%}" for p in PRECISIONS), *memory] for row, rate, memory in rows]
    print(f"{what}, {arguments.batch} × {arguments.length:,} nt; {heading}\n\n{table(header, lines)}\n")
    found = ", ".join(f"{value / 1e12:.3g} TFLOP/s in {name}" for name, value in peak.items())
    print(f"Peak: a large matrix product on the same device, {found}; an FFT's operations are not counted.")
    print("Memory: tensors beyond the weights, the bfloat16 copies of the weights included.")
    if alike:
        print(f"Official figures: {official['cpu']}, float32, {json.dumps(official['env'])}")


if __name__ == "__main__":
    call(main)
