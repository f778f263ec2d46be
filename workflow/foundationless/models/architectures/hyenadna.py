"""HyenaDNA (Nguyen et al. 2023, arXiv:2306.15794) with the key names and the arithmetic of `LongSafari/hyenadna-*-hf`.

Shapes: B batch, L tokens, D `d_model`, F `filter_order`, E `emb_dim`, M `max_seq_len`, V vocabulary rows (padded).

    h = E[ids]                                                        (B, L, D)
    h = h + mixer(LN1 h);  h = h + W2 gelu_tanh(W1 LN2 h)             `n_layer` times
    hidden = LN_f h;  logits = W_head hidden

Mixer (Hyena operator of order 2; Poli et al. 2023, eq. 5):

    (x0, x1, v) = causal depthwise convolution, 3 taps, of W_in u     (B, D, L) each
    y = W_out (x0 * (k * v' + b v')),  v' = x1 v                      k * v': causal convolution over all L
    k[t] = MLP(z[t]) (exp(-t |delta|) + 0.05)                         implicit filter, (D, L)
    MLP  = Linear E->F, sin, (Linear F->F, sin) x num_inner_mlps, Linear F->D without bias;  sin: x -> sin(freq x)

One sine module with one `freq` (1, F) stands at every odd place of `implicit_filter`: the published safetensors files
hold `implicit_filter.1.freq` only, the pickled ones also its copies 3, 5, ...  `pos_emb.z`, `pos_emb.t` and
`modulation.deltas` are stored and used as stored; no gradient reaches them. `embed_dropout` is constructed but never
applied in the official code, so it is not here.

Keys: hyena.backbone.embeddings.word_embeddings.weight (V, D); hyena.backbone.layers.N.X with X = norm1, norm2 (D);
mixer.in_proj (3D, D), mixer.short_filter (3D, 1, 3), mixer.out_proj (D, D); mixer.filter_fn.Y with Y = bias (D),
implicit_filter.{0, 1, 2, ...}, pos_emb.z (1, M, E), pos_emb.t (1, M, 1), modulation.deltas (1, 1, D);
mlp.fc1 (d_inner, D), mlp.fc2 (D, d_inner). hyena.backbone.ln_f (D); lm_head.weight (V, D).
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Layered, draw_normal
from foundationless.models.contract import integers, keys

_SHORT_TAPS = 3
_BLOCK_EPSILON = 1e-5  # of norm1 and norm2, whatever `layer_norm_epsilon` says; that one reaches ln_f only
_DECAY_FAST, _DECAY_SLOW, _DECAY_TARGET, _DECAY_SHIFT = 0.3, 1.5, 1e-2, 0.05
_EVEN = 16  # real transforms of odd sizes take twice the time (MKL: 2025 against 2048)
_AT_ONCE = 1 << 18  # numbers transformed at once, or an eighth of them: bounds the memory, and is no slower


@cache
def fast_length(least: int) -> int:
    """The smallest product of powers of 2, 3 and 5 from `least` on: a length that real FFTs are fast for."""
    odd = [3**b * 5**c for b in range(20) for c in range(14)]
    size: int = min(k << (-(-least // k) - 1).bit_length() for k in odd)
    return size


def causal_convolution(signal: Tensor, kernel: Tensor) -> Tensor:
    """Causal convolution y[t] = sum over s <= t of kernel[t-s] signal[s], by FFT in float32 under any autocast.

    `signal` [B, D, L], `kernel` [D, L]; returns [B, D, L] float32. Zero-padding to at least 2L-1 keeps it linear.
    """
    length = signal.shape[-1]
    size = _EVEN * fast_length(-(-2 * length // _EVEN))
    channels = max(1, _AT_ONCE // (len(signal) * size), signal.shape[1] // 8)

    def convolve(some: Tensor, taps: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(some.float(), n=size) * torch.fft.rfft(taps.float(), n=size)
        convolved: Tensor = torch.fft.irfft(spectrum, n=size)[..., :length]
        return convolved

    if channels >= signal.shape[1]:
        return convolve(signal, kernel)
    blocks = zip(torch.split(signal, channels, dim=1), torch.split(kernel, channels), strict=True)
    return torch.cat([convolve(*block).contiguous() for block in blocks], dim=1)


class Sine(nn.Module):
    """x -> sin(freq x), with one trained frequency per channel."""

    def __init__(self, width: int, frequency: float) -> None:
        super().__init__()
        self.freq = nn.Parameter(torch.full((1, width), float(frequency)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.freq * x)


def _evenly(first: float, last: float, count: int) -> Tensor:
    """`count` evenly spaced numbers, float64."""
    return first + (last - first) * torch.arange(count, dtype=torch.float64) / max(count - 1, 1)


class PositionFeatures(nn.Module):
    """Stored features of the positions: `t` in 0...1, and `z` = (t, Re, Im of exp(-2 pi i f position / M))."""

    z: Tensor
    t: Tensor

    def __init__(self, features: int, length: int) -> None:
        super().__init__()
        bands = (features - 1) // 2
        # In float64, and rounded once: in float32 the last bits would differ between machines.
        t = _evenly(0, 1, length)[None, :, None]
        angle = _evenly(1e-4, bands - 1, bands) * (
            2 * math.pi * torch.arange(length, dtype=torch.float64)[None, :, None] / length
        )
        self.register_buffer("z", torch.cat([t, torch.cos(angle), -torch.sin(angle)], dim=-1).float())
        self.register_buffer("t", t.float())


class Modulation(nn.Module):
    """Exponential window exp(-t |delta|) + 0.05, one decay per channel."""

    deltas: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        slow, fast = (math.log(_DECAY_TARGET) / pct for pct in (_DECAY_SLOW, _DECAY_FAST))
        self.register_buffer("deltas", _evenly(slow, fast, channels)[None, None].float())

    def forward(self, t: Tensor) -> Tensor:
        return torch.exp(-t * self.deltas.abs()) + _DECAY_SHIFT


class ImplicitFilter(nn.Module):
    """The long filter k [D, L] as a function of position, and the skip weight `bias` [D]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, order = config["d_model"], config["filter_order"]
        self.bias = nn.Parameter(torch.randn(width))
        self.pos_emb = PositionFeatures(config["emb_dim"], config["max_seq_len"])
        sine = Sine(order, config["activation_freq"])
        layers: list[nn.Module] = [nn.Linear(config["emb_dim"], order), sine]
        for _ in range(config["num_inner_mlps"]):
            layers += [nn.Linear(order, order), sine]
        self.implicit_filter = nn.Sequential(*layers, nn.Linear(order, width, bias=False))
        self.modulation = Modulation(width)

    def forward(self, length: int) -> Tensor:
        with torch.autocast(self.bias.device.type, enabled=False):
            z, t = self.pos_emb.z[:, :length], self.pos_emb.t[:, :length]
            kernel: Tensor = (self.implicit_filter(z) * self.modulation(t))[0].T
            return kernel


class HyenaOperator(nn.Module):
    """The token mixer of order 2: short convolution, gates, long implicit convolution."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["d_model"]
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.short_filter = nn.Conv1d(3 * width, 3 * width, _SHORT_TAPS, padding=_SHORT_TAPS - 1, groups=3 * width)
        self.filter_fn = ImplicitFilter(config)

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[1]
        kernel = self.filter_fn(length)  # first: what it takes on the way to a long filter is then free again
        short: Any = self.short_filter
        projected = self.in_proj(u).transpose(1, 2)
        # one third of the channels after the other: the convolution copies what it reads, twice
        wholes = ((projected, 1), (short.weight, 0), (short.bias, 0))
        thirds = zip(*(whole.chunk(3, dim) for whole, dim in wholes), strict=True)
        x0, x1, v = (F.conv1d(x, w, b, padding=short.padding, groups=len(w))[..., :length] for x, w, b in thirds)
        del projected, wholes, thirds
        v = v * x1
        y = torch.addcmul(causal_convolution(v, kernel), v, self.filter_fn.bias[:, None])
        states: Tensor = self.out_proj((y * x0).transpose(1, 2).to(u.dtype))
        return states


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.mixer = HyenaOperator(config)
        self.norm1 = nn.LayerNorm(config["d_model"], eps=_BLOCK_EPSILON)
        first, second = nn.Linear(config["d_model"], config["d_inner"]), nn.Linear(config["d_inner"], config["d_model"])
        self.mlp = nn.Sequential(OrderedDict(fc1=first, gelu=nn.GELU(approximate="tanh"), fc2=second))
        self.norm2 = nn.LayerNorm(config["d_model"], eps=_BLOCK_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm1(x))
        states: Tensor = x + self.mlp(self.norm2(x))
        return states


class HyenaDNA(Layered):
    """HyenaDNA with its causal head; see the module's docstring for equations, shapes and key names.

    Random initialisation, as measured on the official code: linear and embedding weights N(0, `initializer_range`),
    linear biases 0, `filter_fn.bias` N(0, 1), `freq` = `activation_freq`, the short convolution as torch draws it
    (uniform in +-1/sqrt(3)), LayerNorms 1 and 0. The rescaling of output projections in the official file never fires.
    """

    family = "hyenadna"
    objective = "causal"
    padding = "right"
    tokenizer = "hyenadna"
    implementation = "here"
    paper_masked = False
    required: ClassVar = integers("d_model n_layer d_inner vocab_size max_seq_len emb_dim filter_order num_inner_mlps")
    optional = keys("activation_freq layer_norm_epsilon initializer_range pad_vocab_size_multiple tie_word_embeddings")
    switches: ClassVar = {
        "hyena_order": (2,),
        "short_filter_order": (_SHORT_TAPS,),
        "train_freq": (True,),
        "use_bias": (True,),
        "hyena_dropout": (0.0,),
        "hyena_filter_dropout": (0.0,),
    }
    ignored: ClassVar = {"embed_dropout": "constructed but never applied by the official code"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        full = {"activation_freq": 10, "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, **config}
        multiple = full.get("pad_vocab_size_multiple", 8)
        self.width = full["d_model"]
        self.vocabulary_size = -(-full["vocab_size"] // multiple) * multiple
        self.max_tokens = full["max_seq_len"]
        words = nn.Embedding(self.vocabulary_size, self.width)
        layers = nn.ModuleList(Block(full) for _ in range(full["n_layer"]))
        last = nn.LayerNorm(self.width, eps=full["layer_norm_epsilon"])
        backbone = {"embeddings": nn.ModuleDict({"word_embeddings": words}), "layers": layers, "ln_f": last}
        self.hyena = nn.ModuleDict({"backbone": nn.ModuleDict(backbone)})
        self.lm_head = nn.Linear(self.width, self.vocabulary_size, bias=False)
        draw_normal(self, full["initializer_range"])
        if full.get("tie_word_embeddings", False):
            self.lm_head.weight = words.weight

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        if checked["emb_dim"] < 3 or checked["emb_dim"] % 2 == 0:
            raise UserError(
                f"configuration of family 'hyenadna': 'emb_dim' = {checked['emb_dim']} must be odd and >= 3."
            )
        return checked

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        """`n_layer` + 2 states: embedding, after each block, after ln_f. The official model has no attention mask."""
        self._check_length(input_ids)
        backbone: Any = self.hyena["backbone"]
        x = backbone.embeddings.word_embeddings(input_ids.long())
        yield x
        for block in backbone.layers:
            x = block(x)
            yield x
        yield backbone.ln_f(x)
