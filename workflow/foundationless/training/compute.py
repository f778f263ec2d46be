"""What fine-tuning and pretraining share: device and precision, the optimizer, seeds."""

import contextlib
import inspect
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from foundationless.errors import UserError
from foundationless.models.inference import choose_device
from foundationless.runtime.log import tell

BETAS = (0.9, 0.999)


def derived_seed(*parts: int) -> int:
    """One 63-bit seed for torch from several non-negative integers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator_states(device: str) -> list[torch.Tensor]:
    """The states of torch's generators."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.startswith("cuda") else [])]


class AdamW(torch.optim.AdamW):
    """torch's AdamW, bit for bit, without the shields against torch's compiler, whose import costs a job a second."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


@dataclass
class Compute:
    """Where and how a network runs. `token_budget`: padded tokens per pass; halved when a GPU runs out of memory."""

    device: str = "auto"
    threads: int = 1
    precision: str = "fp32"
    token_budget: int = 16384

    def __post_init__(self) -> None:
        """Resolve the device and make torch deterministic (same machine and threads: same bits)."""
        if self.threads < 1 or self.token_budget < 1:
            raise UserError("--threads and --token-budget must be at least 1.")
        self.device = str(choose_device(self.device))
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
        torch.set_num_threads(self.threads)
        # deterministic, warning where an operation cannot be; `use_deterministic_algorithms` says the same and imports
        # torch's compiler with it: one second in every job
        torch.set_deterministic_debug_mode("warn")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """bfloat16 autocast where asked for."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def halve(self, longest: int) -> None:
        """Halve the budget after an out-of-memory error; `UserError` when one sequence alone was too much."""
        if self.token_budget <= longest:
            raise UserError(
                f"--device {self.device}: out of memory with one sequence of {longest} tokens; "
                "use --precision bf16, a smaller --max-tokens, or a larger GPU."
            )
        self.token_budget = max(longest, self.token_budget // 2)
        torch.cuda.empty_cache()
        tell(f"{self.device}: out of memory, token budget halved to {self.token_budget}")
