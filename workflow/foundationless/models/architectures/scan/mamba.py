"""The mixer of Caduceus: Mamba (Gu & Dao 2023, arXiv:2312.00752) in both directions of a strand, added.

Shapes: B batch, L tokens, D `d_model`, I = expand D, N `d_state`, K `d_conv`, R `dt_rank` ("auto": D/16 rounded up).

    (x, gate) = W_in u                                                (B, L, I) each
    out = W_out ((mamba_fwd(x) + mamba_rev(x)) silu(gate))            (B, L, D); mamba_rev reads from the end
    mamba: x = silu(causal depthwise convolution of x, K taps);  (dt, B, C) = W_x x
           delta = softplus(W_dt dt + b_dt);  y = selective_scan(x, delta, -exp(A_log), B, C) + D x

Both directions share W_in and W_out, which are therefore applied once. Under bfloat16 autocast the projections and the
convolution run in bfloat16, the step sizes and the scan in float32.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.models.architectures.scan.selective_scan import scan_dtype, selective_scan

_CPU_PIECE = 1024  # tokens per thread that go through a mixer together


class Mamba(nn.Module):
    """One direction of the mixer; `in_proj` and `out_proj` are called by the mixer, once for both directions."""

    def __init__(self, width: int, ssm: Mapping[str, Any]) -> None:
        super().__init__()
        self.inner, self.states = ssm["expand"] * width, ssm["d_state"]
        self.rank = math.ceil(width / 16) if ssm["dt_rank"] == "auto" else ssm["dt_rank"]
        self.in_proj = nn.Linear(width, 2 * self.inner, bias=False)
        self.conv1d = nn.Conv1d(self.inner, self.inner, ssm["d_conv"], groups=self.inner)
        self.x_proj = nn.Linear(self.inner, self.rank + 2 * self.states, bias=False)
        self.dt_proj = nn.Linear(self.rank, self.inner)
        # Logarithms in float64, rounded once: in float32 their last bit depends on the processor.
        states = torch.arange(1, self.states + 1, dtype=torch.float64).log().float()
        self.A_log = nn.Parameter(states.repeat(self.inner, 1))
        self.D = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, width, bias=False)
        with torch.no_grad():
            bound = self.rank**-0.5 * ssm["dt_scale"]
            self.dt_proj.weight.uniform_(-bound, bound)
            low, high = math.log(ssm["dt_min"]), math.log(ssm["dt_max"])
            draws = torch.rand(self.inner, dtype=torch.float64)
            delta = (low + (high - low) * draws).exp().clamp(min=ssm["dt_init_floor"])
            self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # the inverse of softplus

    def forward(self, pieces: Sequence[Tensor], reverse: bool = False) -> Iterator[Tensor]:
        """y [batch, tokens, inner] of consecutive pieces of x, in the order of the scan (`reverse`: the last first)."""
        kernel = self.conv1d.weight.flip(2) if reverse else self.conv1d.weight
        overhang = kernel.shape[2] - 1
        state, tail = None, pieces[0][:, :0]
        if len(pieces) > 1:
            state = self.D.new_zeros(len(tail), self.states, self.inner, dtype=scan_dtype(self.D))
        for x in reversed(pieces) if reverse else pieces:
            window = torch.cat([x, tail] if reverse else [tail, x], dim=1)
            first = overhang if reverse else tail.shape[1]
            tail = window[:, :overhang] if reverse else window[:, max(0, window.shape[1] - overhang) :]
            # As an image one token high with its channels last: no transposed copy, on any device.
            image, padding = window.transpose(1, 2)[:, :, None], (0, overhang)
            image = F.conv2d(image, kernel[:, :, None], self.conv1d.bias, padding=padding, groups=self.inner)
            x = F.silu(image[:, :, 0, first : first + x.shape[1]].transpose(1, 2))
            dt, B, C = self.x_proj(x).split([self.rank, self.states, self.states], dim=-1)
            with torch.autocast(x.device.type, enabled=False):  # step sizes add up along the sequence
                delta = F.softplus(self.dt_proj(dt.to(self.D.dtype)))
                y = selective_scan(x, delta, -self.A_log.exp(), B, C, reverse, state)
            yield torch.addcmul(y, self.D, x.to(y.dtype))


class BiMamba(nn.Module):
    """Both directions of one strand, added.

    On CPUs, without gradients, the tokens go through in pieces, which stay in cache and use the same memory again.
    """

    def __init__(self, width: int, ssm: Mapping[str, Any]) -> None:
        super().__init__()
        self.mamba_fwd, self.mamba_rev = Mamba(width, ssm), Mamba(width, ssm)
        self.mamba_rev.in_proj, self.mamba_rev.out_proj = self.mamba_fwd.in_proj, self.mamba_fwd.out_proj

    def forward(self, u: Tensor, norm: nn.Module) -> Tensor:
        """[batch, tokens, D] of the normed `u`."""
        whole = torch.is_grad_enabled() or u.device.type != "cpu"
        size = u.shape[1] if whole else max(1, _CPU_PIECE * torch.get_num_threads() // len(u))
        projected = [self.mamba_fwd.in_proj(norm(piece)).chunk(2, dim=-1) for piece in torch.split(u, size, dim=1)]
        x, gates = zip(*projected, strict=True)
        ahead, back = list(self.mamba_fwd(x)), self.mamba_rev(x, reverse=True)
        outputs = [
            self.mamba_fwd.out_proj((y + z) * F.silu(gate))
            for y, z, gate in zip(reversed(ahead), back, reversed(gates), strict=True)
        ]
        return torch.cat(outputs[::-1], dim=1)
