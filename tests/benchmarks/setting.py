"""What the benchmarks share: flags, models at random initialisation, sequences, timing, and Markdown tables.

Weights are random: speed and memory do not depend on their values.
"""

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from foundationless.__main__ import _Parser
from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.models.inference import choose_device
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("FOUNDATIONLESS_SHARED", ROOT.parent / "shared"))
# `--smoke`: a millionth of the work, so that a test can see that a script still runs.
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
SMALL |= {"intermediate_size": 64, "d_model": 16, "n_layer": 2, "d_inner": 32, "width": 16, "depth": 2}


def plain_parser(description: str, smoke: str) -> argparse.ArgumentParser:
    """A parser with `--smoke`; a mistake in a flag is one line, as in the program."""
    made = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    made.add_argument("--smoke", action="store_true", help=f"{smoke}: does the script run?")
    return made


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags that every benchmark of models has."""
    made = plain_parser(description, "tiny networks and few sequences")
    made.add_argument("--models", nargs="+", help="models of config/models.yaml (default: all that have a network)")
    made.add_argument("--device", default="cpu", help="auto (CUDA if present), cpu, or cuda[:N]")
    made.add_argument("--threads", type=count, default=os.cpu_count() or 1, help="CPU threads (default: all)")
    made.add_argument("--repeats", type=count, default=3, help="runs of each way, in turn; the fastest counts")
    told = "time by CPU seconds of all threads (for a busy machine), not wall"
    made.add_argument("--cpu-seconds", action="store_true", help=told)
    add_tokenizers(made)
    return made


def add_tokenizers(made: argparse.ArgumentParser) -> None:
    told = "directory with NAME/tokenizer.json of the byte-pair tokenizers"
    made.add_argument("--tokenizers", type=Path, default=SHARED / "golden" / "tokenizers" / "files", help=told)


def call(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a benchmark; a user's mistake is one sentence and exit code 2."""
    try:
        main(None)
    except UserError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)


def prepare(arguments: argparse.Namespace) -> tuple[torch.device, dict[str, dict[str, Any]]]:
    """(Device, entries of the chosen models in config/models.yaml); sets the number of threads."""
    device = choose_device(arguments.device)
    if arguments.cpu_seconds and device.type == "cuda":
        raise UserError("--cpu-seconds: a GPU's work takes no CPU time; leave the flag out.")
    torch.set_num_threads(arguments.threads)
    entries = yaml.safe_load((ROOT / "config" / "models.yaml").read_text())
    known = {name: entry for name, entry in entries.items() if entry.get("config")}
    chosen = arguments.models or list(known)
    if unknown := [name for name in chosen if name not in known]:
        raise UserError(f"--models {unknown[0]}: no network of that name in config/models.yaml ({', '.join(known)}).")
    return device, {name: known[name] for name in dict.fromkeys(chosen)}


def build(
    entry: Mapping[str, Any],
    arguments: argparse.Namespace,
    device: torch.device,
    replace: Mapping[str, int] | None = None,
) -> Weights:
    """A model of config/models.yaml at random initialisation, with its tokenizer; `replace`: values of its `config`."""
    config = dict(entry["config"])
    config |= {key: value for key, value in (replace or {}).items() if key in config}
    if arguments.smoke:
        config |= {key: value for key, value in SMALL.items() if key in config}
    tokenizer = load_tokenizer(entry["tokenizer"], arguments.tokenizers / entry["tokenizer"])
    torch.manual_seed(0)
    made = family_class(entry["family"])(config)  # torch's own draws: faster than the reproducible ones of `initialise`
    return Weights(made.eval().to(device), tokenizer, {})


def dna(rng: np.random.Generator, length: int) -> str:
    """Independent, equally frequent A, C, G, T."""
    return "".join(rng.choice(list("ACGT"), length))


def seconds(work: Callable[[], Any], device: torch.device, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call, until the device has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


def fastest(
    ways: Mapping[str, Callable[[], Any]], arguments: argparse.Namespace, device: torch.device
) -> dict[str, float]:
    """Least seconds of each way over `--repeats` rounds, the ways taking turns: a busy machine slows all alike."""
    clock = time.process_time if arguments.cpu_seconds else time.perf_counter
    rounds = [{name: seconds(work, device, clock) for name, work in ways.items()} for _ in range(arguments.repeats)]
    return {name: min(each[name] for each in rounds) for name in ways}


@contextmanager
def one_thread() -> Iterator[None]:
    """torch's observers do not see into the threads that a model starts; with one thread it starts none."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def peak_memory(work: Callable[[], Any], device: torch.device) -> float:
    """MiB of tensors that one call holds at once, above what there was before it.

    On the CPU the sum of the allocator's own reports: exact, repeatable, and (for tensors of many MiB) what the
    resident size grows by, but for scratch space of the FFT and matrix libraries.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    activities = [torch.profiler.ProfilerActivity.CPU]
    with one_thread(), torch.profiler.profile(activities=activities, profile_memory=True) as trace:
        work()
    held = most = 0
    for event in trace.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most / 2**20


def title(arguments: argparse.Namespace, device: torch.device) -> str:
    """One line: date, device, threads, torch, load, command."""
    if device.type == "cuda":
        place = torch.cuda.get_device_name(device)
    else:
        place = f"{arguments.threads} threads of {_processor()} ({os.cpu_count()} cores)"
    command = shlex.join(["python", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]])
    load = os.getloadavg()[0]
    return f"{date.today()}, {place}, torch {torch.__version__}, load {load:.1f} at the start; `{command}`"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; floats with three significant digits, None as a dash."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
