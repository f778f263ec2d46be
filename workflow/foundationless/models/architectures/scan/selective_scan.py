"""The selective scan of Mamba (Gu & Dao 2023, arXiv:2312.00752, eq. 2 with the discretisation of section 3.2).

Shapes: B batch, L tokens, D channels, N states of a channel.

    h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] x[t]                (D, N), h before the first token is 0
    y[t] = sum over N of C[t] h[t]                                    (D)

The sequence is cut into chunks. The decays and the states of one chunk are held at a time, as (rows, steps, N, D): the
channels are innermost, so that every operation is a long loop over contiguous memory, and a chunk is small enough to
stay in the processor's cache. Beyond its arguments and its result the scan needs memory that does not grow with L;
with gradients, also the state at every chunk's start, from which the backward pass computes the chunk again.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from foundationless.models.architectures.scan.cpu_threads import side_by_side

# Elements of one buffer. CPU, per thread: of one step (enough for the thread) and of a chunk (it should stay in cache).
_CPU_STEP, _CPU_CHUNK = 2**16, 2**19
_GPU_CHUNK = 2**25
_SAVED_STEPS = 16  # shortest chunk when the states at chunk borders are kept: they then take no more than x itself


def scan_dtype(A: Tensor) -> torch.dtype:
    """Precision of the scan: float32, or float64 if A is."""
    return torch.promote_types(A.dtype, torch.float32)


def selective_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool = False, state: Tensor | None = None
) -> Tensor:
    """Scan along the tokens, or with `reverse` from the last token to the first; differentiable once.

    Args:
        x: [batch, tokens, channels].
        delta: [batch, tokens, channels], positive step sizes.
        A: [channels, states], negative.
        B, C: [batch, tokens, states].
        reverse: whether h[t] follows from h[t+1].
        state: [batch, states, channels], h before the first token in the order of the scan; overwritten by h after the
            last. Without gradients only.

    Returns:
        y [batch, tokens, channels]; computed in `scan_dtype(A)`, under any autocast.
    """
    if reverse:
        flipped = (value.flip(1) for value in (x, delta, B, C))
        x, delta, B, C = flipped
        return selective_scan(x, delta, A, B, C, state=state).flip(1)
    x, delta, A, B, C = (value.to(scan_dtype(A)) for value in (x, delta, A, B, C))
    if torch.is_grad_enabled() and any(value.requires_grad for value in (x, delta, A, B, C)):
        if state is not None:
            raise ValueError("a scan with gradients starts from the state 0")
        apply: Callable[..., Tensor] = _SelectiveScan.apply
        return apply(x, delta, A, B, C)
    return _scan(_plan(x, A, 1), x, delta, A, B, C, state=state)


class _Plan(NamedTuple):
    """Which sequences and tokens are computed together."""

    groups: list[slice]  # sequences
    steps: int  # tokens of a chunk
    deep: bool  # whether the chunk's recurrence has logarithmic depth

    def chunks(self, *values: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Chunks of values [batch, tokens, ...]."""
        return zip(*(torch.split(value, self.steps, dim=1) for value in values), strict=True)


def _plan(x: Tensor, A: Tensor, least_steps: int) -> _Plan:
    batch, length, _ = x.shape
    cells, threads = A.numel(), torch.get_num_threads()
    if x.device.type == "cpu":
        rows = min(max(-(-batch // threads), _CPU_STEP // 2 // cells), max(1, _CPU_STEP // cells))
        chunk = _CPU_CHUNK
    else:
        rows, chunk = batch, _GPU_CHUNK
    groups = [slice(start, min(start + rows, batch)) for start in range(0, batch, rows)]
    steps = max(least_steps, chunk // (min(rows, batch) * cells))
    # On a GPU a launch costs more than the arithmetic of a step.
    return _Plan(groups, max(1, min(steps, length)), x.device.type != "cpu")


def _buffers(number: int, plan: _Plan, rows: slice, binary_A: Tensor) -> list[Tensor]:
    return [binary_A.new_empty((rows.stop - rows.start) * plan.steps * binary_A.numel()) for _ in range(number)]


def _front(buffer: Tensor, like: Tensor, binary_A: Tensor) -> Tensor:
    """The front of a buffer as [rows, steps, states, channels], for a chunk like [rows, steps, ...]."""
    shape = (*like.shape[:2], *binary_A.shape)
    return buffer[: math.prod(shape)].view(shape)


def _recur(decay: Tensor, state: Tensor, carry: Tensor, deep: bool) -> None:
    """state[:, t] += decay[:, t] state[:, t-1] in place, where state[:, -1] is `carry`; `deep` spoils the decays."""
    if deep:
        state[:, 0].addcmul_(decay[:, 0], carry)
        _recur_deep(decay, state)
        return
    factors, values = decay.unbind(1), state.unbind(1)
    torch._foreach_addcmul_(values, factors, [carry, *values[:-1]])  # one after the other, as CPUs go through a list


def _recur_deep(decay: Tensor, state: Tensor) -> None:
    steps = state.shape[1]
    if steps < 2:
        return
    # Odd steps take in the step before them and become a scan of half the length; even steps then follow from odd ones.
    odd, before = slice(1, None, 2), slice(0, steps - 1, 2)
    state[:, odd].addcmul_(decay[:, odd], state[:, before])
    decay[:, odd].mul_(decay[:, before])
    _recur_deep(decay[:, odd], state[:, odd])
    state[:, 2::2].addcmul_(decay[:, 2::2], state[:, 1 : steps - 1 : 2])


def _recur_backward(decay: Tensor, state: Tensor, deep: bool) -> None:
    """state[:, t] += decay[:, t+1] state[:, t+1] in place, from the last step but one to the first."""
    if deep:
        mirrored = state.flip(1)
        _recur_deep(decay.flip(1).roll(1, 1), mirrored)
        state.copy_(mirrored.flip(1))
    elif state.shape[1] > 1:
        factors, values = decay.unbind(1)[::-1], state.unbind(1)[::-1]
        torch._foreach_addcmul_(values[1:], factors[:-1], values[:-1])


def _decays(delta: Tensor, binary_A: Tensor, out: Tensor) -> None:
    torch.mul(delta, binary_A, out=out)
    torch.exp2(out, out=out)  # several times faster than exp on CPUs


def _over_states(weights: Tensor, state: Tensor) -> Tensor:
    """[rows, steps, channels]: sum over N of weights [rows, steps, N] state [rows, steps, N, D]."""
    return torch.matmul(weights[:, :, None], state)[:, :, 0]


def _over_channels(weights: Tensor, state: Tensor) -> Tensor:
    """[rows, steps, states]: sum over D of weights [rows, steps, D] state [rows, steps, N, D]."""
    return torch.matmul(weights[:, :, None], state.transpose(2, 3))[:, :, 0]


def _binary(A: Tensor) -> Tensor:
    """A / ln 2 as [states, channels]: exp(delta A) = 2^(delta A / ln 2)."""
    return (A.T / math.log(2)).contiguous()


def _scan(
    plan: _Plan,
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    borders: Tensor | None = None,
    state: Tensor | None = None,
) -> Tensor:
    """The scan from and to `state`; `borders` [chunks, batch, states, channels] receives h before every chunk."""
    binary_A = _binary(A)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    state = x.new_zeros(len(x), *binary_A.shape) if state is None else state

    def scan_group(rows: slice) -> None:
        carry, parts = state[rows], []
        buffers = _buffers(2, plan, rows, binary_A)
        drive = delta[rows] * x[rows]
        operands = plan.chunks(delta[rows, :, None], drive[:, :, None], B[rows, ..., None], C[rows])
        for chunk, (step, push, b, c) in enumerate(operands):
            decay, h = (_front(buffer, step, binary_A) for buffer in buffers)
            if borders is not None:
                borders[chunk, rows] = carry
            _decays(step, binary_A, decay)
            torch.mul(push, b, out=h)
            _recur(decay, h, carry, plan.deep)
            carry.copy_(h[:, -1])
            parts.append(_over_states(c, h))
        torch.cat(parts, dim=1, out=y[rows])

    with torch.autocast(x.device.type, enabled=False), side_by_side(len(plan.groups), x.device) as each:
        list(each(scan_group, plan.groups))
    return y


class _SelectiveScan(torch.autograd.Function):
    """With g[t] = dL/dh[t] = C[t] dy[t] + decay[t+1] g[t+1] and w[t] = g[t] decay[t] h[t-1]:

    d(delta x) = sum over N of B g,  dB = sum over D of delta x g,  dC = sum over D of dy h,
    d delta = x d(delta x) + sum over N of A w,  dA = sum over tokens of delta w.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        plan = _plan(x, A, _SAVED_STEPS)
        borders = x.new_empty(-(-x.shape[1] // plan.steps), len(x), A.shape[1], A.shape[0])
        y = _scan(plan, x, delta, A, B, C, borders)
        ctx.plan = plan
        ctx.save_for_backward(x, delta, A, B, C, borders)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        return _gradients(ctx.plan, dy, *ctx.saved_tensors)


def _gradients(
    plan: _Plan, dy: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, borders: Tensor
) -> tuple[Tensor, ...]:
    binary_A, plain_A = _binary(A), A.T.contiguous()
    outputs = [torch.empty_like(value, memory_format=torch.contiguous_format) for value in (x, delta, B, C)]

    def group_gradients(rows: slice) -> Tensor:
        dA, carry = torch.zeros_like(plain_A), torch.zeros_like(borders[0, rows])
        buffers = _buffers(3, plan, rows, binary_A)
        chunks = list(plan.chunks(*(value[rows] for value in (delta, x, B, C, dy, *outputs))))
        starts = borders[:, rows].unbind(0)
        for before, (step, value, b, c, slope, dx, ddelta, dB, dC) in zip(starts[::-1], chunks[::-1], strict=True):
            decay, h, g = (_front(buffer, step, binary_A) for buffer in buffers)
            drive = step * value
            _decays(step[:, :, None], binary_A, decay)
            torch.mul(drive[:, :, None], b[..., None], out=h)
            _recur(decay.clone() if plan.deep else decay, h, before, plan.deep)
            dC.copy_(_over_channels(slope, h))
            torch.mul(slope[:, :, None], c[..., None], out=g)
            g[:, -1] += carry
            _recur_backward(decay, g, plan.deep)
            dB.copy_(_over_channels(drive, g))
            ddrive = _over_states(b, g)
            torch.mul(ddrive, step, out=dx)
            g.mul_(decay)
            carry.copy_(g[:, 0])
            g[:, 0].mul_(before)
            g[:, 1:].mul_(h[:, :-1])
            torch.addcmul(torch.mul(g, plain_A, out=h).sum(2), ddrive, value, out=ddelta)
            dA += torch.mul(g, step[:, :, None], out=h).sum((0, 1))
        return dA

    with torch.autocast(x.device.type, enabled=False), side_by_side(len(plan.groups), x.device) as each:
        dA = torch.stack(list(each(group_gradients, plan.groups))).sum(0)
    dx, ddelta, dB, dC = outputs
    return dx, ddelta, dA.T, dB, dC
