"""Random initialisation with the same bytes on every machine, and construction without any.

torch's own normal numbers differ in their last bits between processors with and without vector units, and after the
first of them all others differ too. Within `PortableDraws` the random numbers that a constructor asks torch for, by
whatever function, come from NumPy's generator instead: whole numbers, products and a table in float64, rounded once.
"""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:  # torch's own class has no types
    TorchDispatchMode = nullcontext[None]
else:
    from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_NORMAL = (_ATEN.normal_.default, _ATEN.randn.default)
_UNIFORM = (_ATEN.uniform_.default, _ATEN.rand.default)
_MAKING = (_ATEN.randn.default, _ATEN.rand.default)
_CHUNK = 1 << 16  # numbers drawn at a time: they stay in the processor's cache


class _Mode(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the shield against torch's compiler imports that compiler: a second of every job


class PortableDraws(_Mode):
    """Within it torch draws normal and uniform numbers from `seed`, in float64, and leaves its own generator alone."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = np.random.default_rng(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _MAKING:
            return self._fill(torch.empty(*args, **(kwargs or {})), func in _NORMAL, 0.0, 1.0)
        if func in (*_NORMAL, *_UNIFORM):
            defaults: Any = (0.0, 1.0)
            return self._fill(args[0], func in _NORMAL, *args[1:], *defaults[len(args) - 1 :])
        return func(*args, **(kwargs or {}))

    def _fill(self, tensor: torch.Tensor, normal: bool, first: float, second: float) -> torch.Tensor:
        """Normal numbers of mean `first` and deviation `second`, or uniform ones from `first` to `second`."""
        draw = self._generator.standard_normal if normal else self._generator.random
        scale = second if normal else second - first
        flat = tensor.view(-1)
        for start in range(0, len(flat), _CHUNK):
            part = flat[start : start + _CHUNK]
            drawn = draw(len(part))
            drawn *= scale
            drawn += first
            part.copy_(torch.from_numpy(drawn))
        return tensor


class WithoutDraws(_Mode):
    """Within it nothing is drawn: a checkpoint overwrites it, and drawing is half the time of a large load."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in (_NORMAL[0], _UNIFORM[0]) else func(*args, **(kwargs or {}))


_FUNCTIONS = {
    operation: getattr(torch, name)
    for name in ("exp", "expm1", "log", "log1p", "erfinv")
    for operation in (getattr(_ATEN, name).default, getattr(_ATEN, f"{name}_").default)
}


class PreciseFunctions(_Mode):
    """Within it logarithms and the like are computed in float64 and rounded once, hence alike on every processor."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        function = _FUNCTIONS.get(func)
        if function is None or args[0].dtype == torch.float64 or not args[0].is_floating_point():
            return func(*args, **(kwargs or {}))
        result = function(args[0].double()).to(args[0].dtype)
        return args[0].copy_(result) if func.name().endswith("_") else result
