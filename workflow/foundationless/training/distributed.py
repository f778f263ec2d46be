"""Processes that train one model together, one per GPU or per share of the cores, as `torchrun` starts them.

Each process computes the gradient of its share of a step, in as many passes as its memory asks for, and the shares are
summed, one all-reduce per tensor, before the one optimizer step that every process takes for itself. So there is no
wrapper around the model and nothing to hold back between passes, and the step is the one that a single process takes,
but for the order in which floating-point numbers are added.

A model whose weights, gradients and moments (16 bytes per parameter in float32) are too much for one GPU can be sharded
(`fully_shard`, FSDP2; off by default, for nobody has measured it on GPUs yet): each process keeps its share of every
tensor and gathers one block at a time. Then all processes must take equally many passes, and checkpoints are put
together by the process that leads: a run may be continued with another number of processes, sharded or not.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.inference import choose_device


@dataclass(frozen=True)
class Group:
    """The processes of a run (`size` of them) and this one among them (`rank` 0, 1, …), which computes on `device`."""

    device: str
    rank: int = 0
    size: int = 1
    sharded: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Which of `count` things this process does."""
        return range(self.rank, count, self.size)

    def total(self, *values: float) -> list[float]:
        """Sums of numbers over all processes, in double precision and equal on all; every process must call it."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return sums.tolist()

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its sum over all processes; every process must have run a backward pass."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        if self.sharded:  # they are means over the processes already
            for gradient in gradients:
                gradient.mul_(self.size)
            return
        for work in [distributed.all_reduce(gradient, async_op=True) for gradient in gradients]:
            work.wait()

    def even(self, passes: Sequence[Any]) -> list[tuple[Any, float]]:
        """Passes and their weights, 1. Where the model is sharded the first is repeated with weight 0, so that every
        process has as many."""
        weighted = [(one, 1.0) for one in passes]
        if self.sharded:
            most = torch.tensor(len(passes), device=self.device)
            distributed.all_reduce(most, distributed.ReduceOp.MAX)
            weighted += [(passes[0], 0.0)] * (int(most) - len(passes))
        return weighted

    def shard(self, model: GenomicModel) -> None:
        """Where asked for, leave this process its share of the model's parameters; its methods work as before."""
        if not self.sharded:
            return
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        mesh = init_device_mesh(self.device.split(":")[0], (self.size,))
        for blocks in [module for module in model.modules() if isinstance(module, nn.ModuleList)]:
            for block in blocks:
                fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        for name in ("encode", "project"):
            register_fsdp_forward_method(model, name)

    def whole(self, state: Any) -> Any:
        """`state` with every sharded tensor in it put together, in the leading process only; all must call it."""
        if isinstance(state, dict):
            return {key: self.whole(value) for key, value in state.items()}
        if hasattr(state, "full_tensor"):
            full = state.full_tensor()
            return full.cpu() if self.leads else None
        return state

    def cut(self, state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The state of an optimizer, as `whole` put it together, cut into shards like its parameters."""
        if not self.sharded:
            return state
        from torch.distributed.tensor import DTensor, distribute_tensor

        parameters = [parameter for part in optimizer.param_groups for parameter in part["params"]]
        moments = {number: dict(values) for number, values in state["state"].items()}
        for number, values in moments.items():
            like = parameters[number]
            for name, value in values.items():
                if isinstance(like, DTensor) and value.shape == like.shape:
                    values[name] = distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
        return {**state, "state": moments}


@contextmanager
def join(device: str, sharded: bool = False) -> Iterator[Group]:
    """The group that `torchrun` describes in the environment (of one process without it), left at the end.

    Messages go through NCCL between GPUs, one process each, and through Gloo between CPU processes. `sharded`: the
    model is to be shared out, too.
    """
    told = (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0))
    size, rank, local = (int(os.environ.get(name, default)) for name, default in told)
    if size == 1:
        yield Group(device)
        return
    if choose_device(device).type != "cuda":
        distributed.init_process_group("gloo")
        yield Group("cpu", rank, size, sharded)
    elif local >= torch.cuda.device_count():
        raise UserError(f"--nproc-per-node: {local + 1} processes or more, and {torch.cuda.device_count()} GPUs here.")
    else:
        torch.cuda.set_device(local)
        distributed.init_process_group("nccl", device_id=torch.device("cuda", local))
        yield Group(f"cuda:{local}", rank, size, sharded)
    distributed.destroy_process_group()
