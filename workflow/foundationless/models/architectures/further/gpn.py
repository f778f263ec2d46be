"""GPN (Benegas, Batra & Song 2023, doi:10.1073/pnas.2311219120), the convolutional model, as its authors' code has it.

Shapes: B batch, L tokens, D `hidden_size`, V `vocab_size` <= D, K `kernel_size`.

    x = onehot(ids), padded with zeros to D                           (B, L, D)
    x = x + LN(gelu(conv_d x));  x = x + LN(gelu(W x + b))            `n_layers` times
    hidden = x;  logits = W_2 LN(gelu(W_1 hidden + b_1)) + b_2        (B, L, D), (B, L, V)

conv_d has K taps d tokens apart and reads zeros beyond the ends; layer i has d = min(`dilation_max`, `dilation_base`^(
(i mod `dilation_cycle`) // `dilation_double_every`)). Padding is a token like any other here, as there: a batch holds
one length. Any length runs; the published model was trained on 512 bases.

Keys: model.encoder.N.{conv.1 (D, D, K), conv.4 (LN), ffn.0 (D, D), ffn.2 (LN)}; cls.decoder.{0 (D, D), 2 (LN),
3 (V, D)}.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import Layered
from foundationless.models.contract import integers, keys

_LONGEST = 131_072  # the architecture has no limit
_EPSILON = 1e-5  # of every LayerNorm


class ConvolutionLayer(nn.Module):
    """A dilated convolution and a position-wise layer, each normalised and added; [B, L, D] to the same."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        conv = nn.Conv1d(width, width, kernel, padding="same", dilation=dilation)
        # Numbered as the official sequences are, where functions without weights have numbers too.
        self.conv = nn.ModuleDict({"1": conv, "4": nn.LayerNorm(width, eps=_EPSILON)})
        self.ffn = nn.ModuleDict({"0": nn.Linear(width, width), "2": nn.LayerNorm(width, eps=_EPSILON)})

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.conv["1"](x.transpose(1, 2)).transpose(1, 2)
        x = x + self.conv["4"](F.gelu(mixed))
        states: Tensor = x + self.ffn["2"](F.gelu(self.ffn["0"](x)))
        return states


class GPN(Layered):
    """GPN with its masked head; see the module's docstring for equations, shapes and key names.

    Hidden states: the one-hot input and the state after each layer (the official code returns the last alone). Random
    initialisation: linear weights N(0, `initializer_range`), their biases 0, convolutions as torch draws them,
    LayerNorms 1 and 0.
    """

    family = "gpn"
    objective = "masked"
    padding = "equal"
    tokenizer = "published"
    implementation = "here"
    required: ClassVar = integers("hidden_size n_layers kernel_size vocab_size")
    optional = keys("dilation_double_every dilation_max dilation_cycle dilation_base")
    switches: ClassVar = {"hidden_act": ("gelu",), "n_aux_features": (0,)}
    ignored: ClassVar = {
        "aux_features_vocab_size": "of the features beside the sequence, of which there are none",
        "hidden_dropout_prob": "of the head for classes",
        "regression_softplus": "of the head for classes",
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.width, self.vocabulary_size, self.max_tokens = config["hidden_size"], config["vocab_size"], _LONGEST
        kernel, steps = config["kernel_size"], _dilations(config)
        self.letters = nn.Identity()  # where what is computed of a sequence can be seen, as embedding tables are
        self.model = nn.ModuleDict({"encoder": nn.ModuleList(ConvolutionLayer(self.width, kernel, d) for d in steps)})
        head = {
            "0": nn.Linear(self.width, self.width),
            "2": nn.LayerNorm(self.width, eps=_EPSILON),
            "3": nn.Linear(self.width, self.vocabulary_size),
        }
        self.cls = nn.ModuleDict({"decoder": nn.ModuleDict(head)})
        spread = config.get("initializer_range")
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02 if spread is None else spread)
                nn.init.zeros_(module.bias)

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_config(config)
        where = f"configuration of family '{cls.family}'"
        for key in sorted(cls.optional & checked.keys()):
            value = checked[key]
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10_000:
                raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be an integer from 1 to 10000.")
        if checked["vocab_size"] > checked["hidden_size"]:
            raise UserError(f"{where}: 'vocab_size' = {checked['vocab_size']} exceeds the width.")
        if checked["kernel_size"] % 2 == 0:
            raise UserError(f"{where}: 'kernel_size' = {checked['kernel_size']} must be odd.")
        return checked

    def _states(self, input_ids: Tensor, mask: Tensor | None) -> Iterator[Tensor]:
        self._check_length(input_ids)
        head: Any = self.cls["decoder"]
        x = self.letters(F.one_hot(input_ids.long(), self.width).to(head["0"].weight.dtype))
        yield x
        parts: Any = self.model
        for layer in parts.encoder:
            x = layer(x)
            yield x

    def project(self, hidden: Tensor) -> Tensor:
        head: Any = self.cls["decoder"]
        logits: Tensor = head["3"](head["2"](F.gelu(head["0"](hidden))))
        return logits

    def embedding_names(self) -> list[str]:
        return []  # letters are looked up in no table


def _dilations(config: Mapping[str, Any]) -> list[int]:
    """Of every layer; what the official configuration class assumes where a key is absent."""
    given = {"dilation_double_every": 1, "dilation_max": 32, "dilation_cycle": 6, "dilation_base": 2, **config}
    powers = ((layer % given["dilation_cycle"]) // given["dilation_double_every"] for layer in range(given["n_layers"]))
    # Bounded before the power is taken, which may be as large as you like.
    return [min(given["dilation_max"], given["dilation_base"] ** min(power, 31)) for power in powers]
