"""Independent parts of a computation side by side on the cores of a CPU.

torch spreads every single operation over its threads, which meet again after it. For thousands of short operations, as
in a scan, meeting costs as much as the operation, and on a machine with other work each meeting waits for the slowest.
Here each part has threads of its own from beginning to end, mostly one.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@contextmanager
def side_by_side(parts: int, device: torch.device) -> Iterator[Map]:
    """A `map` that computes so many parts at once, torch's threads divided among them.

    It is the plain `map` with gradients (the graph is built and run in one thread), on other devices, and for one part
    or thread. Inference mode and autocast of the caller hold in the parts.
    """
    threads = torch.get_num_threads()
    workers = min(parts, threads)
    if workers < 2 or device.type != "cpu" or torch.is_grad_enabled():
        yield map
        return
    inference, autocast = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu")

    def run(function: Callable[[Any], Any], part: Any) -> Any:
        with torch.inference_mode(inference), torch.no_grad(), torch.autocast("cpu", dtype, autocast):
            return function(part)

    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            yield lambda function, items: pool.map(partial(run, function), items)
    finally:
        torch.set_num_threads(threads)  # what a thread sets for itself is also what later threads begin with
