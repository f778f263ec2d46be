"""Forward and backward speed of every architecture at full size on 8 sequences of 1,000 nucleotides.

Official tokenizer, one padded batch, vocabulary head included. `as published` is the same network in the operations of
the official code: attention written out, HyenaDNA's convolutions over all channels at once. Both ways take turns in
both precisions, and the fastest of several runs counts: a ratio compares one hour on one machine. Networks that run in
`transformers` are what is published, and Caduceus's official scan is a loop over tokens: they have no second way.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import torch
from setting import build, call, dna, fastest, one_thread, parser, peak_memory, prepare, seconds, table, title
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.models.architectures import blocks, hyenadna
from foundationless.models.batching import collate
from foundationless.models.weights import Weights

WRITTEN_OUT = ("nt_v2", "gena_lm", "dnabert2", "hyenadna")  # families with a second way
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


def _mix(operator: hyenadna.HyenaOperator, u: Tensor) -> Tensor:
    """HyenaDNA's mixer with one short convolution and one transform of all channels, as the official code has it."""
    length = u.shape[1]
    kernel = operator.filter_fn(length)
    x0, x1, v = operator.short_filter(operator.in_proj(u).transpose(1, 2))[..., :length].chunk(3, dim=1)
    v = v * x1
    spectrum = torch.fft.rfft(v.float(), n=2 * length) * torch.fft.rfft(kernel, n=2 * length)
    y = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + v * operator.filter_fn.bias[:, None]
    return operator.out_proj((y * x0).transpose(1, 2).to(u.dtype))


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    weights = F.dropout(torch.softmax(scores if bias is None else scores + bias, -1), dropout)
    return (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)


@contextmanager
def as_published() -> Iterator[None]:
    """The operations of the official code."""
    modules = (blocks, importlib.import_module("foundationless.models.architectures.dnabert2"))
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(patch.object(module, "attend", _attend))
        stack.enter_context(patch.object(hyenadna.HyenaOperator, "forward", _mix))
        yield


def published(way: Callable[[], None]) -> Callable[[], None]:
    """A pass in these operations."""

    def run() -> None:
        with as_published():
            way()

    return run


def main(argv: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--batch", type=count, default=8, help="sequences (default 8)")
    made.add_argument("--length", type=count, default=1000, help="nucleotides of each (default 1000)")
    made.add_argument("--backward", action="store_true", help="forward and backward instead of forward alone")
    arguments = made.parse_args(argv)
    device, entries = prepare(arguments)
    heading = title(arguments, device)
    if arguments.smoke:
        arguments.repeats = 1
    size = 256 if arguments.smoke else 2048 if device.type == "cpu" else 8192
    peak = {name: 0.0 for name in PRECISIONS}
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
        if entry["family"] in WRITTEN_OUT:
            ways |= {f"{name} as published": published(way) for name, way in ways.items()}
        best = fastest(ways, arguments, device)
        # Again for each model: the largest is the one least disturbed.
        peak = {p: max(peak[p], matrix_peak(dtype, device, size)) for p, dtype in PRECISIONS.items()}
        speed = [tokens / best[precision] for precision in PRECISIONS]
        ratios = [
            best[f"{precision} as published"] / best[precision] if entry["family"] in WRITTEN_OUT else None
            for precision in PRECISIONS
        ]
        rate = {precision: counter.get_total_flops() / best[precision] for precision in PRECISIONS}
        rows.append(([name, tokens, *speed, *ratios, best["fp32"] / best["bf16"]], rate, memory))
        del weights, ways
    header = ["model", "tokens", "fp32 (tokens/s)", "bf16 (tokens/s)", "fp32 to as published", "bf16 to as published"]
    header += ["bf16 / fp32", "fp32 of peak", "bf16 of peak", "fp32 memory (MiB)", "bf16 memory (MiB)"]
    what = "Forward and backward" if arguments.backward else "Forward"
    lines = [[*row, *(f"{rate[p] / peak[p]:.0%}" for p in PRECISIONS), *memory] for row, rate, memory in rows]
    print(f"{what}, {arguments.batch} × {arguments.length:,} nt; {heading}\n\n{table(header, lines)}\n")
    found = ", ".join(f"{value / 1e12:.3g} TFLOP/s in {name}" for name, value in peak.items())
    print(f"Peak: a large matrix product on the same device, {found}; an FFT's operations are not counted.")
    print("Memory: tensors beyond the weights, the bfloat16 copies of the weights included.")


if __name__ == "__main__":
    call(main)
