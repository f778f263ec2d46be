"""What a job costs: seconds, memory and energy, over all the attempts that it took.

Energy is off by default: no GPU has been measured yet to show that the number is right. Where it is asked for, it is
the card's own counter (NVML `nvmlDeviceGetTotalEnergyConsumption`, mJ, Volta and later) or, on a card without one, its
power (`nvmlDeviceGetPowerUsage`, mW) sampled every second and integrated by trapezoids. Both are of whole cards: what
another job on the same card takes counts too. Where not all of it can be told, none is.
"""

import logging
import os
import resource
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from foundationless.errors import UserError
from foundationless.runtime.files import read_json, write_json

SAVE = 60.0  # seconds between two states of the ledger: what an attempt killed without warning forgets at most
SAMPLE = 1.0  # seconds between two samples of the power
_SUMS = ("seconds", "energy_j")
_PEAKS = ("peak_memory_mb", "peak_device_memory_mb")


class JobUsage:
    """Cost of a job from construction to `cost()`.

    `device` is cpu or cuda[:N] as torch counts them; `processes` is how many share the job, each with a GPU of its own
    on such a device; `threads` are the CPU threads of all of them (None: torch's, where it is loaded); `energy` asks
    for that of the GPUs. With `ledger`, a file beside the job's checkpoints, attempts that were interrupted count too:
    a daemon thread keeps the file once a minute and the process when it ends, the next attempt adds to what it says,
    and `close()`, after the record is written, removes it. As a context manager it closes at the end of the block, or
    keeps the ledger if an exception ends it.
    """

    def __init__(
        self,
        device: str = "cpu",
        ledger: Path | None = None,
        *,
        threads: int | None = None,
        processes: int = 1,
        energy: bool = False,
    ) -> None:
        self._attempt = _Attempt(device, ledger, threads, processes, energy)
        # The thread holds the attempt, not this object: one that a failed job drops ends its thread, its ledger kept.
        self._end = weakref.finalize(self, self._attempt.stop)

    def cost(self) -> dict[str, Any]:
        """`device`, `seconds`, `peak_memory_mb` (host, MiB), `gpus`, `attempts`, and what could be told of `threads`,
        `peak_device_memory_mb` (MiB that torch allocated) and `energy_j` (of the GPUs, J).
        """
        return self._attempt.cost()

    def close(self) -> None:
        """End the count; the ledger has served and is removed."""
        self._end.detach()
        self._attempt.stop(done=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._end()


def add_up(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Cost of a job that was cut: seconds, energy and attempts of all its jobs, the highest peaks, the largest device.

    Energy only where every job on a GPU tells its own.
    """
    gpus = max(cost["gpus"] for cost in costs)
    ran = [cost for cost in costs if cost["gpus"] == gpus]
    total = dict(ran[0]) | {"attempts": sum(cost["attempts"] for cost in costs)}
    total["seconds"] = round(sum(cost["seconds"] for cost in costs), 3)
    total.pop("energy_j", None)
    if gpus and all("energy_j" in cost for cost in ran):
        total["energy_j"] = round(sum(cost["energy_j"] for cost in ran), 3)
    return total | {key: max(cost[key] for cost in costs if key in cost) for key in _PEAKS if key in total}


class _Attempt:
    """One attempt at a job: what it took, on top of what the ledger says of earlier ones; shared with its thread."""

    def __init__(self, device: str, ledger: Path | None, threads: int | None, processes: int, energy: bool) -> None:
        self.device, self.ledger, self.threads, self.processes = device, ledger, threads, processes
        self.gpus = processes if device.startswith("cuda") else 0
        self.start = time.monotonic()
        self.process, self.warned = os.getpid(), False
        self.earlier = _read_ledger(ledger) if ledger is not None else {}
        self.energy = _Energy(_torch_indices(device, processes)) if self.gpus and energy else None
        self.lock = threading.RLock()  # garbage may be collected, and a job's count with it, while it is held
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None
        self.save()
        if ledger is not None or (self.energy is not None and self.energy.sampled):
            self.thread = threading.Thread(target=self._keep, name="usage", daemon=True)
            self.thread.start()

    def _keep(self) -> None:
        sampled = self.energy is not None and self.energy.sampled
        saved = time.monotonic()
        while not self.stopping.wait(SAMPLE if sampled else SAVE):
            if self.energy is not None and sampled:
                with self.lock:
                    self.energy.joules()
            if time.monotonic() - saved >= SAVE:
                self.save()
                saved = time.monotonic()

    def cost(self) -> dict[str, Any]:
        with self.lock:
            totals = self._totals()
        if self.device.startswith("cuda"):
            import torch

            totals["device"] = torch.cuda.get_device_name(self.device)
        return totals

    def _totals(self) -> dict[str, Any]:
        unit = 1024 if sys.platform != "darwin" else 1024**2  # ru_maxrss: KiB on Linux, bytes on macOS
        totals: dict[str, Any] = {
            "device": self.device,
            "seconds": time.monotonic() - self.start,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
            "gpus": self.gpus,
            "attempts": 1 + self.earlier.get("attempts", 0),
        }
        torch = sys.modules.get("torch")
        if self.gpus and torch is not None and torch.cuda.is_initialized():
            totals["peak_device_memory_mb"] = torch.cuda.max_memory_allocated(self.device) / 2**20
        joules = self.energy.joules() if self.energy is not None else None
        if joules is not None:
            totals["energy_j"] = joules
        if self.threads is not None:
            totals["threads"] = self.threads
        elif torch is not None:
            totals["threads"] = torch.get_num_threads() * self.processes
        if self.earlier:
            totals["seconds"] += self.earlier["seconds"]
            if "energy_j" in totals and "energy_j" in self.earlier:
                totals["energy_j"] += self.earlier["energy_j"]
            else:
                totals.pop("energy_j", None)  # of some attempts only: less than it took
            for key in _PEAKS:
                if key in self.earlier:
                    totals[key] = max(totals.get(key, 0.0), self.earlier[key])
        digits = dict.fromkeys(_SUMS, 3) | dict.fromkeys(_PEAKS, 1)
        return {key: round(value, digits[key]) if key in digits else value for key, value in totals.items()}

    def save(self) -> None:
        """Keep the ledger; a full disk costs the job its count, not its life."""
        if self.ledger is None or self.stopping.is_set() or os.getpid() != self.process:
            return
        try:
            with self.lock:
                totals = self._totals()
                write_json(self.ledger, {key: totals[key] for key in (*_SUMS, *_PEAKS, "attempts") if key in totals})
        except (OSError, UserError) as error:
            if not self.warned:
                logging.getLogger(__name__).warning("the cost of this attempt cannot be kept: %s", error)
            self.warned = True

    def stop(self, done: bool = False) -> None:
        if self.stopping.is_set() or os.getpid() != self.process:
            return
        if not done:
            self.save()
        self.stopping.set()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()
        if done and self.ledger is not None:
            with suppress(OSError):
                self.ledger.unlink()


def _read_ledger(path: Path) -> dict[str, Any]:
    """Sums and peaks of earlier attempts; none where there is no such file or it cannot be read."""
    try:
        said = read_json(path)
    except (UserError, OSError):
        return {}
    if not isinstance(said, dict) or not isinstance(said.get("attempts"), int) or "seconds" not in said:
        return {}
    numbers = {key: said[key] for key in (*_SUMS, *_PEAKS) if isinstance(said.get(key), int | float)}
    return numbers | {"attempts": said["attempts"]} if "seconds" in numbers else {}


def _torch_indices(device: str, processes: int) -> list[int]:
    """The GPUs of a job as torch counts them: its own or, shared on one machine, the first so many.

    None where torchrun (LOCAL_WORLD_SIZE) says that some of the processes work on other machines.
    """
    if processes > 1:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
        return list(range(processes)) if here >= processes else []
    return [int(device.partition(":")[2] or 0)]


class _Energy:
    """Joules that some GPUs took since construction; None from the first thing that NVML does not tell."""

    def __init__(self, indices: list[int]) -> None:
        self.sampled = False
        self._read: Callable[[], float] | None = None
        self._joules = 0.0
        try:
            import pynvml

            pynvml.nvmlInit()
            handles = [_handle(pynvml, index) for index in indices]
            if not handles or any(_divided(pynvml, handle) for handle in handles):
                return  # nobody here reads all cards, or a card's counter is not of the part that the job has
            try:
                self._read = lambda: sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(each) for each in handles) / 1e3
                self._start = self._read()
            except pynvml.NVMLError:
                self._read = lambda: sum(pynvml.nvmlDeviceGetPowerUsage(each) for each in handles) / 1e3
                self._last = (time.monotonic(), self._read())
                self.sampled = True
        except Exception:  # no library, no driver, no such card, no right to ask: all mean that energy is unknown
            self._read = None

    def joules(self) -> float | None:
        """Joules up to now. With sampled power each call is one sample more."""
        if self._read is None:
            return None
        try:
            now, value = time.monotonic(), self._read()
        except Exception:  # as above, later
            self._read = None
            return None
        if not self.sampled:
            return float(value - self._start)
        self._joules += (now - self._last[0]) * (value + self._last[1]) / 2
        self._last = (now, value)
        return self._joules


def _handle(nvml: Any, index: int) -> Any:
    """NVML's handle of a GPU as torch counts them.

    NVML knows all cards, in the order of the bus; CUDA shows those of CUDA_VISIBLE_DEVICES (numbers or UUIDs), in an
    order of its own. So torch is asked for the card's UUID; without torch's answer the variable tells.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else None
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        uuid = str(torch.cuda.get_device_properties(index).uuid)
        return nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")
    name = names[index].strip() if names is not None else str(index)
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)


def _divided(nvml: Any, handle: Any) -> bool:
    """Whether a card is cut into instances (MIG)."""
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:  # the card knows no instances
        return False
