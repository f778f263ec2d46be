"""Caduceus-PS (Schiff et al. 2024, arXiv:2403.03234) with the key names and the arithmetic of its published model.

PlantCaduceus (Zhai et al. 2025, doi:10.1073/pnas.2421738122) and PlantCAD2 are the same function over another
vocabulary and complement map.

Shapes: B batch, L tokens, D `d_model`, V vocabulary rows (padded); I, N, K, R of the mixer as in mamba.py.
flip(v) reverses tokens and channels of v; c is `complement_map`. The two strands are kept apart, each read from its own
5' end, and every operation is one call per strand with one shape: what holds for one strand holds for the other to the
last bit, so that the model is exactly equivariant (reverse-complemented input: flip of the output, channels included).

    s1 = E[ids],  s2 = E[c[reversed ids]],  r1 = r2 = 0               (B, L, D)
    [fused: (s1, s2) = (flip s2, flip s1), (r1, r2) = (flip r2, flip r1)]
    r = r + s;  s = mixer(RMSNorm r)                                  `n_layer` times; the mixer: mamba.py
    s = RMSNorm_f(r + s);  hidden = [s1, flip s2]                     (B, L, 2D)
    logits = W s1 + (W s2, tokens reversed)[..., c],  W = E           (B, L, V)

`fused_add_norm` selects between two functions of the same weights: the fused blocks of the official code (those that
the published checkpoint was trained with) exchange the halves of the state, the unfused ones do not.

Keys, X = caduceus.backbone: X.embeddings.word_embeddings.{embedding.weight (V, D), complement_map (V)};
X.layers.N.mixer.submodule.{mamba_fwd, mamba_rev}.Y with Y = A_log (I, N), D (I), conv1d.{weight (I, 1, K), bias},
x_proj.weight (R + 2N, I), dt_proj.{weight (I, R), bias}, in_proj.weight (2I, D), out_proj.weight (D, I); lm_head.
complement_map (V), lm_head.lm_head.weight (V, D). Fused: X.layers.N.norm.weight (D), X.norm_f.weight; unfused:
X.layers.N.norm.submodule.weight, X.norm_f.submodule.weight. The published safetensors file lacks `mamba_rev.in_proj`
and `mamba_rev.out_proj`, shared with `mamba_fwd`, and `lm_head.lm_head`, shared with the embedding.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.architectures.scan.cpu_threads import Map, side_by_side
from foundationless.models.architectures.scan.mamba import BiMamba
from foundationless.models.contract import LARGEST_INTEGER, GenomicModel, integers, is_number, keys
from foundationless.models.tokenizers import Tokenizer

Strands = tuple[Tensor, Tensor]
# The nested tables of a configuration with the official defaults, and the keys in them that are switches.
_NESTED: dict[str, dict[str, Any]] = {
    "ssm_cfg": {
        "d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": "auto", "dt_min": 0.001, "dt_max": 0.1, "dt_init": "random",
        "dt_scale": 1.0, "dt_init_floor": 1e-4, "conv_bias": True, "bias": False, "use_fast_path": True,
    },
    "initializer_cfg": {"initializer_range": 0.02, "rescale_prenorm_residual": True, "n_residuals_per_layer": 1},
}  # fmt: skip
_SWITCHES: dict[str, tuple[Any, ...]] = {
    "dt_init": ("random",), "conv_bias": (True,), "bias": (False,), "use_fast_path": (True, False),
    "rescale_prenorm_residual": (True, False),
}  # fmt: skip
_LARGEST_NESTED = 1000.0  # of the nested tables' numbers that are no integers: step sizes and spreads
_MOST_ROWS = 2**20  # every row has its entry in the complement map
_IGNORED = -100  # what PlantCaduceus has as `pad_token_id`: the label that its loss leaves out, no token


def flip(strand: Tensor) -> Tensor:
    """Tokens and channels of [batch, tokens, channels] reversed."""
    return strand.flip(1, 2)


class Submodule(nn.Module):
    """A wrapper of the official code that applies a module to both strands; here it only gives the keys their name."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, *inputs: Any) -> Tensor:
        states: Tensor = self.submodule(*inputs)
        return states


class Block(nn.Module):
    """Residual block over both strands, pre-norm; `fused` exchanges them first."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.fused = config["fused_add_norm"]
        self.mixer = Submodule(BiMamba(config["d_model"], config["ssm_cfg"]))
        self.norm = _norm(config)

    def forward(self, strands: Strands, residuals: Strands, both: Map = map) -> tuple[Strands, Strands]:
        """(mixed, residuals) of both strands, from those of the block before."""
        order = (1, 0) if self.fused else (0, 1)
        one, other = both(self._strand, [(strands[i], residuals[i]) for i in order])
        return (one[0], other[0]), (one[1], other[1])

    def _strand(self, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        residual = state[0] + state[1]
        if self.fused:
            residual = flip(residual)
        return self.mixer(residual, self.norm), residual


def _norm(config: Mapping[str, Any]) -> nn.Module:
    norm = nn.RMSNorm(config["d_model"], eps=config["norm_epsilon"])
    return norm if config["fused_add_norm"] else Submodule(norm)


def _joined(strands: Strands) -> Tensor:
    """[batch, tokens, 2 d_model]: the first strand's channels, then the second's, in the order of the first."""
    return torch.cat([strands[0], flip(strands[1])], dim=-1)


class StrandEmbedding(nn.Module):
    """Embeddings of the tokens, and of the complemented tokens in reversed order."""

    complement_map: Tensor

    def __init__(self, complement: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("complement_map", complement)
        self.embedding = nn.Embedding(len(complement), width)

    def forward(self, input_ids: Tensor) -> Strands:
        return self.embedding(input_ids), self.embedding(self.complement_map[input_ids].flip(1))


class StrandHead(nn.Module):
    """Logits of both strands' states, added in the orientation of the first."""

    complement_map: Tensor

    def __init__(self, complement: Tensor, embedding: nn.Embedding) -> None:
        super().__init__()
        self.register_buffer("complement_map", complement)
        self.lm_head = nn.Linear(embedding.embedding_dim, embedding.num_embeddings, bias=False)
        self.lm_head.weight = embedding.weight

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        logits: Tensor = self.lm_head(first) + self.lm_head(second).flip(1)[..., self.complement_map]
        return logits


class Caduceus(GenomicModel):
    """Caduceus-PS with its masked head; see the module's docstring for equations, shapes and key names.

    Hidden states: the embedding, the output of every mixer but the last (without its residual), and, fused only, the
    final state. `encode` gives the final state in both forms; under the reading `as_in_paper` what the paper pooled:
    of the unfused form, the last of the hidden states, which is the input of the last block.

    Random initialisation, as measured on the official code: embedding N(0, `initializer_range`), the head tied to it;
    `in_proj`, `x_proj`, `conv1d` as torch draws them (uniform in +-1/sqrt(inputs)), `out_proj` likewise and divided by
    sqrt(n_residuals_per_layer n_layer); dt_proj.weight uniform in +-dt_scale/sqrt(dt_rank); dt_proj.bias such that
    softplus of it is log-uniform between dt_min and dt_max; A_log = log(1...N), D = 1, norms 1.
    """

    lm_head: nn.Module
    family = "caduceus"
    objective = "masked"
    padding = "equal"
    tokenizer = "caduceus"
    implementation = "here"
    paper_masked = False
    max_tokens = 131072  # what the published model was trained for; the architecture has no limit
    required: ClassVar = integers("d_model n_layer vocab_size")
    optional = keys("norm_epsilon pad_vocab_size_multiple complement_map ssm_cfg initializer_cfg")
    switches: ClassVar = {
        "fused_add_norm": (True, False),
        "rcps": (True,),
        "bidirectional": (True,),
        "bidirectional_strategy": ("add",),
        "bidirectional_weight_tie": (True,),
        "rms_norm": (True,),
        "residual_in_fp32": (True, False),  # the residual stream is float32 either way
        "tie_word_embeddings": (True,),
    }
    paper_ignores: ClassVar = {
        r"^caduceus\.backbone\.(layers\.\d+\.norm|norm_f)(\.submodule)?\.weight$": "the paper built the unfused form, "
        "whose norms have other names than those of the published, fused, one; they stayed at 1"
    }

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        full = _with_defaults(config)
        initial = full["initializer_cfg"]
        self.fused = full["fused_add_norm"]
        words = self._build(full, torch.tensor(_complement(full)))
        self.vocabulary_size = words.num_embeddings
        nn.init.normal_(words.weight, std=initial["initializer_range"])
        for module in self.modules():
            if isinstance(module, BiMamba) and initial["rescale_prenorm_residual"]:
                scale = math.sqrt(initial["n_residuals_per_layer"] * full["n_layer"])
                module.mamba_fwd.out_proj.weight.data.div_(scale)

    def _build(self, full: Mapping[str, Any], complement: Tensor) -> nn.Embedding:
        """Register the parts under their official names and set `width`; returns the table of the tokens."""
        self.width = 2 * full["d_model"]
        words = StrandEmbedding(complement, full["d_model"])
        layers = nn.ModuleList(Block(full) for _ in range(full["n_layer"]))
        backbone = {"embeddings": nn.ModuleDict({"word_embeddings": words}), "layers": layers, "norm_f": _norm(full)}
        self.caduceus = nn.ModuleDict({"backbone": nn.ModuleDict(backbone)})
        self.lm_head = StrandHead(complement.clone(), words.embedding)
        return words.embedding

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        where = f"configuration of family '{cls.family}'"
        known = {"rcps": False, **config}  # what the official code assumes where the key is absent
        if known.get("pad_token_id") == _IGNORED:
            del known["pad_token_id"]
        super().check_config(known)
        for table, defaults in _NESTED.items():
            given = {} if config.get(table) is None else config[table]
            if not isinstance(given, Mapping):
                raise UserError(f"{where}: '{table}' is {given!r:.60}; it must be a table of settings.")
            for key, value in given.items():
                allowed = _SWITCHES.get(key, ("auto",) if key == "dt_rank" else ())
                real = isinstance(defaults.get(key), float)
                number = is_number(value) and 0 < value <= (_LARGEST_NESTED if real else LARGEST_INTEGER)
                number = number and (real or isinstance(value, int))
                if key not in defaults or not (value in allowed or (number and key not in _SWITCHES)):
                    raise UserError(f"{where}: '{table}.{key}' = {value!r:.60} is not implemented.")
        full = _with_defaults(config)
        steps = full["ssm_cfg"]
        if steps["dt_min"] > steps["dt_max"]:
            raise UserError(
                f"{where}: 'ssm_cfg.dt_min' = {steps['dt_min']} exceeds 'ssm_cfg.dt_max' = {steps['dt_max']}."
            )
        _complement(full)
        return dict(config)

    @classmethod
    def check_tokenizer(cls, config: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        right, given = cls.vocabulary_config(tokenizer)["complement_map"], config.get("complement_map")
        if not isinstance(given, Mapping):
            return  # `check_config` says so
        for base, token in tokenizer.base_ids.items():
            found = given.get(str(token), given.get(token))
            if found != right[str(token)]:
                raise UserError(
                    f"configuration of family '{cls.family}': 'complement_map' makes {found!r:.60} of {token}, the id "
                    f"of {base}; with tokenizer '{tokenizer.name}' its complement is {right[str(token)]}."
                )

    @classmethod
    def paper_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        return {**config, "fused_add_norm": False}

    @classmethod
    def vocabulary_config(cls, tokenizer: Tokenizer) -> dict[str, Any]:
        if tokenizer.k != 1:
            raise UserError(
                f"family '{cls.family}' complements token by token, which tokenizer '{tokenizer.name}' does not allow; "
                "use a character tokenizer."
            )
        ids = tokenizer.base_ids
        partner = {ids[base]: ids[other] for base, other in zip("ACGT", "TGCA", strict=True)}
        complement = {str(token): partner.get(token, token) for token in range(tokenizer.size)}
        return {**super().vocabulary_config(tokenizer), "complement_map": complement}

    def load_published(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """A bare backbone, as its own class saves it, is read too: its head follows from the embedding and the map."""
        own = self.state_dict()
        follows = "lm_head.complement_map" in own and not any("lm_head." in name for name in tensors)
        held = {"lm_head.complement_map": own["lm_head.complement_map"].clone()} if follows else {}
        super().load_published({**tensors, **held}, where)

    def _walk(self, input_ids: Tensor) -> Iterator[tuple[Strands, Strands]]:
        """(states, residuals) of both strands before every block and after the last."""
        backbone: Any = self.caduceus["backbone"]
        strands: Strands = backbone.embeddings.word_embeddings(input_ids.long())
        residuals: Strands = (torch.zeros_like(strands[0]), torch.zeros_like(strands[1]))
        yield strands, residuals
        with side_by_side(2, input_ids.device) as both:
            for block in backbone.layers:
                strands, residuals = block(strands, residuals, both)
                yield strands, residuals

    def _final(self, strands: Strands, residuals: Strands) -> Tensor:
        first, second = strands[0] + residuals[0], strands[1] + residuals[1]
        backbone: Any = self.caduceus["backbone"]
        return _joined((backbone.norm_f(first), backbone.norm_f(second)))

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """`n_layer` + 1 states if fused, else `n_layer`; see the class. The official model has no attention mask."""
        *inner, last = self._walk(input_ids)
        states = [_joined(strands) for strands, _ in inner]
        return [*states, self._final(*last)] if self.fused else states

    def every_state(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        if self.fused or self.reading == "as_in_paper":
            return self.hidden_states(input_ids, attention_mask)
        *inner, last = self._walk(input_ids)
        return [*(_joined(strands) for strands, _ in inner), self._final(*last)]

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        pooled = self.reading == "as_in_paper" and not self.fused
        for state in islice(self._walk(input_ids), self.config["n_layer"] + (not pooled)):
            last = state
        return _joined(last[0]) if pooled else self._final(*last)

    def project(self, hidden: Tensor) -> Tensor:
        first, second = hidden.chunk(2, dim=-1)
        logits: Tensor = self.lm_head(first.contiguous(), flip(second))
        return logits

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(final state [batch, tokens, width], its logits [batch, tokens, vocabulary]), under `paper` too."""
        for state in self._walk(input_ids):
            last = state
        hidden = self._final(*last)
        return hidden, self.project(hidden)


def _with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    nested = {table: defaults | dict(config.get(table) or {}) for table, defaults in _NESTED.items()}
    given = {key: value for key, value in config.items() if value is not None}
    return {"norm_epsilon": 1e-5, "pad_vocab_size_multiple": 8, "fused_add_norm": True, **given, **nested}


def _complement(config: Mapping[str, Any]) -> list[int]:
    """`complement_map` as a list over the padded vocabulary; ids beyond the map are their own complements."""
    rows = -(-config["vocab_size"] // config["pad_vocab_size_multiple"]) * config["pad_vocab_size_multiple"]
    if rows > _MOST_ROWS:
        raise UserError(f"configuration of family 'caduceus': its {rows} vocabulary rows exceed {_MOST_ROWS}.")
    try:
        given = {int(token): partner for token, partner in config["complement_map"].items()}
        complement = [given.get(token, token) for token in range(rows)]
        good = set(given) == set(range(len(given))) and all(complement[p] == t for t, p in enumerate(complement))
    except (KeyError, AttributeError, ValueError, TypeError, IndexError):
        good = False
    if not good or len(given) > rows:
        raise UserError(
            "configuration of family 'caduceus': 'complement_map' must name, for every id from 0 on, the id of the "
            f"complement, which in turn names the first, within the {rows} rows of the vocabulary."
        )
    return complement
