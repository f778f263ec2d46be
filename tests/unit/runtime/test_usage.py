"""What a job takes: energy from a made-up NVML, and attempts that were interrupted."""

import gc
import json
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from foundationless.runtime import usage
from foundationless.runtime.usage import JobUsage


class NVMLError(Exception):
    pass


class Cards:
    """NVML with three cards: energy counters that rise by `watts` a second of `clock`."""

    NVMLError = NVMLError

    def __init__(self, clock, watts=(100.0, 200.0, 300.0), counter=True, divided=False):
        self.clock, self.watts, self.counter, self.divided, self.broken = clock, watts, counter, divided, False

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByIndex(self, index):
        if index >= len(self.watts):
            raise NVMLError("no such card")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return {"GPU-aa": 0, "GPU-bb": 1, "GPU-cc": 2}[uuid]

    def nvmlDeviceGetMigMode(self, handle):
        return (int(self.divided), int(self.divided))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if self.broken or not self.counter:
            raise NVMLError("not supported")
        return 5000 + 1000 * self.watts[handle] * self.clock.now

    def nvmlDeviceGetPowerUsage(self, handle):
        if self.broken:
            raise NVMLError("lost")
        return 1000 * (self.watts[handle] + 10 * self.clock.now)


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until a test moves it, in a process without torch's GPUs."""
    found = SimpleNamespace(now=0.0)
    monkeypatch.setattr(usage.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(usage, "SAVE", 3600.0)
    monkeypatch.setattr(usage, "SAMPLE", 3600.0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    yield found
    gc.collect()


def energy(clock, monkeypatch, device="cuda", seconds=10.0, processes=1, **cards):
    """Joules of a job of so many seconds."""
    nvml = Cards(clock, **cards)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    start = clock.now
    meter = usage._Energy(usage._torch_indices(device, processes))
    clock.now = start + seconds
    return meter.joules()


def test_the_counter_of_the_own_card_is_read(clock, monkeypatch):
    assert energy(clock, monkeypatch) == 1000
    assert energy(clock, monkeypatch, "cuda:2") == 3000
    assert energy(clock, monkeypatch, "cuda:1", processes=3) == 6000, "the processes of a machine have the first cards"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert energy(clock, monkeypatch, processes=3) is None, "the third works on another machine"
    assert energy(clock, monkeypatch, processes=2) == 3000


@pytest.mark.parametrize(
    "visible, device, joules",
    [
        ("2,0", "cuda", 3000),
        ("2,0", "cuda:1", 1000),
        ("GPU-bb", "cuda:0", 2000),
        ("GPU-cc, GPU-bb", "cuda:1", 2000),
        ("1", "cuda:1", None),  # two cards of which one is shown
        ("7", "cuda", None),
    ],
)
def test_the_card_is_the_one_that_cuda_shows(clock, monkeypatch, visible, device, joules):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert energy(clock, monkeypatch, device) == joules


def test_torch_tells_which_card_it_means(clock, monkeypatch):
    """CUDA may count the fastest card first, NVML counts along the bus."""
    cuda = SimpleNamespace(
        is_available=lambda: True, get_device_properties=lambda index: SimpleNamespace(uuid=["cc", "aa", "bb"][index])
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert energy(clock, monkeypatch, "cuda:0") == 3000 and energy(clock, monkeypatch, "cuda:1") == 1000


def test_power_is_integrated_where_there_is_no_counter(clock, monkeypatch):
    assert energy(clock, monkeypatch, counter=False) == pytest.approx(10 * (100 + 200) / 2)
    nvml = Cards(clock, counter=False)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = usage._Energy([0])
    start = clock.now
    for step in (1.0, 5.0, 30.0):  # a straight line: trapezoids are exact, whatever the samples
        clock.now = start + step
        meter.joules()
    assert meter.sampled and meter.joules() == pytest.approx(30 * (100 + 10 * (2 * start + 30) / 2))


def test_the_thread_samples_power(monkeypatch):
    reads = []
    nvml = Cards(SimpleNamespace(now=0.0), counter=False)
    monkeypatch.setattr(nvml, "nvmlDeviceGetPowerUsage", lambda handle: reads.append(handle) or 50_000)
    monkeypatch.setattr(usage, "SAMPLE", 0.005)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    attempt = usage._Attempt("cuda", None, 1, 1, True)
    for _ in range(400):
        if len(reads) > 5:
            break
        time.sleep(0.005)
    attempt.stop()
    assert len(reads) > 5 and not attempt.thread.is_alive()
    totals = attempt._totals()
    assert totals["energy_j"] == pytest.approx(50 * totals["seconds"], rel=0.05, abs=0.5)


@pytest.mark.parametrize("missing", ["module", "card", "divided", "later"])
def test_what_nvml_does_not_tell_is_left_out(clock, monkeypatch, missing):
    nvml = Cards(clock, divided=missing == "divided", watts=() if missing == "card" else (100.0,))
    monkeypatch.setitem(sys.modules, "pynvml", None if missing == "module" else nvml)
    meter = usage._Energy([0])
    nvml.broken = missing == "later"
    assert meter.joules() is None
    nvml.broken = False
    assert meter.joules() is None, "a gap in the middle is not a small number"


def test_the_made_up_library_promises_nothing_that_the_true_one_lacks():
    import pynvml

    assert all(hasattr(pynvml, name) for name in vars(Cards) if name.startswith(("nvml", "NVML")))


def test_a_cpu_job_asks_no_card(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    cost = JobUsage(threads=3).cost()
    assert cost["gpus"] == 0 and cost["threads"] == 3 and cost["attempts"] == 1 and cost["device"] == "cpu"
    assert cost["peak_memory_mb"] > 1 and not {"energy_j", "peak_device_memory_mb"} & cost.keys()
    assert not any(thread.name == "usage" for thread in threading.enumerate())


def test_energy_is_off_by_default(clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Cards(clock))
    shares = {"device": "cuda", "threads": 1}
    assert "energy_j" not in JobUsage(**shares)._attempt._totals()
    job = JobUsage(**shares, energy=True)
    clock.now += 10.0
    assert job._attempt._totals()["energy_j"] == 1000


def test_attempts_add_up_and_the_ledger_goes_with_the_record(tmp_path, clock):
    path = tmp_path / "runs" / "cost.ledger"
    for attempt, seconds in enumerate((10.0, 20.0, 5.0), start=1):
        with pytest.raises(KeyboardInterrupt), JobUsage(ledger=path) as job:
            clock.now += seconds
            raise KeyboardInterrupt
        assert json.loads(path.read_text())["attempts"] == attempt
    with JobUsage(ledger=path) as job:
        clock.now += 1.0
        cost = job.cost()
        assert (cost["seconds"], cost["attempts"]) == (36.0, 4)
    assert not path.exists() and list(path.parent.iterdir()) == []
    assert JobUsage(ledger=path).cost()["attempts"] == 1


def test_energy_is_of_all_attempts_or_unknown(tmp_path, clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Cards(clock))
    path = tmp_path / "ledger"

    def again(seconds):
        attempt = usage._Attempt("cuda", path, 1, 1, True)
        clock.now += seconds
        attempt.stop()
        return json.loads(path.read_text())

    assert again(10.0)["energy_j"] == 1000 and again(10.0)["energy_j"] == 2000
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "energy_j" not in again(10.0)
    monkeypatch.setitem(sys.modules, "pynvml", Cards(clock))
    found = again(10.0)
    assert "energy_j" not in found and found["seconds"] == 40.0 and found["attempts"] == 4


def test_peaks_are_the_highest_of_all_attempts(tmp_path):
    path = tmp_path / "ledger"
    path.write_text('{"seconds": 2.0, "peak_memory_mb": 9e9, "peak_device_memory_mb": 7.5, "attempts": 2}')
    cost = JobUsage(ledger=path).cost()
    assert cost["peak_memory_mb"] == 9e9 and cost["peak_device_memory_mb"] == 7.5 and cost["attempts"] == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"seconds": "x", "attempts": 1}', '{"seconds": 1.0}'])
def test_a_broken_ledger_costs_the_count_not_the_job(tmp_path, text):
    path = tmp_path / "ledger"
    path.write_text(text)
    cost = JobUsage(ledger=path).cost()
    assert cost["attempts"] == 1 and cost["seconds"] < 60


def test_a_ledger_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    job = JobUsage(ledger=tmp_path / "file" / "ledger")
    job._attempt.save()
    assert job.cost()["attempts"] == 1 and caplog.text.count("cannot be kept") == 1
    job.close()


DIES = """
import sys, time, os
from pathlib import Path
from foundationless.runtime import usage
usage.SAVE = 0.02
job = usage.JobUsage(ledger=Path(sys.argv[1]))
time.sleep(0.3)
how = sys.argv[2]
sys.exit(143) if how == "exit" else os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("how, code", [("exit", 143), ("kill", -9)])
def test_the_ledger_outlives_the_process(tmp_path, how, code):
    path = tmp_path / "ledger"
    where = usage.__file__.rpartition("/foundationless/")[0]
    for attempt in (1, 2):
        done = subprocess.run([sys.executable, "-c", DIES, path, how], cwd=where, check=False)
        found = json.loads(path.read_text())
        assert done.returncode == code and found["attempts"] == attempt
    assert 0.35 < found["seconds"] < 5


def test_a_count_that_is_dropped_ends_its_thread(tmp_path):
    job = JobUsage(ledger=tmp_path / "ledger")
    thread = job._attempt.thread
    assert thread is not None and thread.is_alive()
    del job
    gc.collect()
    assert not thread.is_alive() and (tmp_path / "ledger").exists()
