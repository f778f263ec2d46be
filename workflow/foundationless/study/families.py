"""Architecture families and tokenizers: one row each, all that is declared of them. Standard library only.

The registry, onboarding, the checks of a study and the estimate read these rows; a new architecture is one module that
implements `models.contract.GenomicModel` and one row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foundationless.errors import UserError

_ARCHITECTURES = "foundationless.models.architectures."


@dataclass(frozen=True)
class Family:
    """An architecture family.

    `path`: MODULE:Class. `width`: keys of its configuration that `.wN` sets, the width of its states first, each with
    what N is multiplied by. `layers`: the key that `.lN` sets. `sign`: what the published config.json of this family
    says and no other's does, a key and its value (None: any). `only`: the one tokenizer that fits it, and `reason`
    why. `paper_random`: the family that the paper's code built where it asked for a random model of this one.
    """

    path: str
    width: Mapping[str, int] = field(default_factory=dict)
    layers: str = ""
    sign: tuple[str, str | None] | None = None
    only: str = ""
    reason: str = ""
    paper_random: str = ""


def _attention(path: str, sign: tuple[str, str | None], **more: str) -> Family:
    """A row of a transformer (paper Table 11: intermediate = 4 x width)."""
    return Family(path, {"hidden_size": 1, "intermediate_size": 4}, "num_hidden_layers", sign, **more)


FAMILIES = {
    "hyenadna": Family("hyenadna:HyenaDNA", {"d_model": 1, "d_inner": 4}, "n_layer", ("model_type", "hyenadna")),
    "caduceus": Family(
        "caduceus:Caduceus",
        {"d_model": 1},
        "n_layer",
        ("model_type", "caduceus"),
        only="character",
        reason="Caduceus complements token by token, so it reads characters only",
    ),
    "mistral": _attention("mistral:Mistral", ("model_type", "mistral")),
    "nt_v1": _attention("nt_v1:NucleotideTransformer", ("model_type", "esm")),
    "nt_v2": _attention("nt_v2:NucleotideTransformerV2", ("add_bias_fnn", None)),
    "dnabert2": _attention("dnabert2:DNABERT2", ("alibi_starting_size", None)),
    # Without remote code, `AutoModel.from_config` of GENA-LM is transformers' post-LayerNorm BERT.
    "gena_lm": _attention("gena_lm:GenaLM", ("pre_layer_norm", None), paper_random="bert"),
    "bert": _attention("bert:Bert", ("model_type", "bert")),
    "cnn": Family("cnn:ConvolutionalNetwork", {"width": 1}, "depth"),
}

# What a token of each tokenizer is. Those of pieces need a file, which the model table says where to get.
TOKENIZERS = {
    "hyenadna": "character",
    "caduceus": "character",
    "paper_char": "character",
    "character": "character",
    "nt_v1": "kmer",
    "nt_v2": "kmer",
    "dnabert2": "bpe",
    "gena_lm": "bpe",
}

PIECES = tuple(name for name, kind in TOKENIZERS.items() if kind == "bpe")

_WIDTHS = tuple(dict.fromkeys(next(iter(row.width)) for row in FAMILIES.values()))
_LAYERS = tuple(dict.fromkeys(row.layers for row in FAMILIES.values()))


def class_path(family: str) -> tuple[str, str]:
    """Module and class of a family of the program."""
    module, name = FAMILIES[family].path.split(":")
    return _ARCHITECTURES + module, name


def recognise(config: Mapping[str, Any]) -> str | None:
    """The family that a published config.json is of; None where no row's sign is in it.

    A key that no other family has tells more than `model_type`: DNABERT-2 and NT v2 have none, GENA-LM says `bert`.
    """
    rows = [(name, *row.sign) for name, row in FAMILIES.items() if row.sign]
    for name, key, value in sorted(rows, key=lambda row: row[2] is not None):
        if key in config and value in (None, config[key]):
            return name
    return None


def size_keys(family: str) -> tuple[str, ...]:
    """Keys of a configuration that a width or a number of layers sets."""
    row = FAMILIES.get(family)
    return (*row.width, *filter(None, [row.layers])) if row else ()


def scaled(name: str, entry: Mapping[str, Any], width: int | None, layers: int | None) -> dict[str, int]:
    """Configuration of a width and of a number of layers; the entry may name the keys of a family of its own."""
    own, row = entry.get("scaling") or {}, FAMILIES.get(entry["family"], Family(""))
    factors: Mapping[str, int] = own.get("width", row.width)
    key = own.get("layers", row.layers)
    family = entry["family"]
    for number, known, what in ((width, factors, "width"), (layers, key, "number of layers")):
        if number and not known:
            raise UserError(f"model '{name}': no {what} of family '{family}' is known; add scaling to its entry.")
    wide = {setting: factor * width for setting, factor in factors.items()} if width else {}
    return wide | ({key: layers} if layers else {})


def width_of(config: Mapping[str, Any]) -> int:
    """Width of the states that an architecture's configuration gives."""
    return int(next((config[key] for key in _WIDTHS if config.get(key)), 128))


def depth_of(config: Mapping[str, Any]) -> float:
    """Layers that an architecture's configuration gives."""
    return float(next((config[key] for key in _LAYERS if config.get(key)), 1))
