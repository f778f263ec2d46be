"""Architecture families and tokenizers: one row each, all that is declared of them. Standard library only.

The registry, onboarding, the checks of a study and the estimate read these rows; a new architecture is one module that
implements `models.contract.GenomicModel` and one row.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundationless.errors import UserError

_ARCHITECTURES = "foundationless.models.architectures."
TOLERANCE = (
    0.05  # by which the parameters of a matched network may differ from those of the model that it is put beside
)
_WIDEST = 1 << 16  # width that is tried at most


@dataclass(frozen=True)
class Family:
    """An architecture family.

    `path`: MODULE:Class. `width`: keys of its configuration that `.wN` sets, the width of its states first, each with
    what N is multiplied by. `layers`: the key that `.lN` sets. `sign`: what the published config.json of this family
    says and no other's does, a key and its value (None: any). `only`: the one tokenizer that fits it, and `reason`
    why. `paper_random`: the family that the paper's code built where it asked for a random model of this one.
    `count`: parameters of a configuration, embedding and vocabulary head included. `depths`: of a network that is made
    as large as another, (parameters, layers): the number of layers up to that size, and no network beyond the last.
    """

    path: str
    width: Mapping[str, int] = field(default_factory=dict)
    layers: str = ""
    sign: tuple[str, str | bool | None] | None = None
    only: str = ""
    reason: str = ""
    paper_random: str = ""
    count: Callable[[Mapping[str, Any]], int | None] | None = None
    depths: tuple[tuple[float, int], ...] = ()


# ---- parameters of a configuration: what torch counts in the network that is built of it, without building it


def _count_hyenadna(c: Mapping[str, Any]) -> int:
    d, inner, order, multiple = c["d_model"], c["d_inner"], c["filter_order"], c.get("pad_vocab_size_multiple") or 8
    rows = -(-c["vocab_size"] // multiple) * multiple
    filters = d + order + (c["emb_dim"] + 1) * order + c["num_inner_mlps"] * (order + 1) * order + order * d
    layer = 4 * d + 2 * d * inner + inner + d + (4 * d + 4) * d + 12 * d + filters
    return int(rows * d * (1 if c.get("tie_word_embeddings") else 2) + 2 * d + c["n_layer"] * layer)


def _count_caduceus(c: Mapping[str, Any]) -> int:
    ssm: dict[str, Any] = {"d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": "auto"} | dict(c.get("ssm_cfg") or {})
    d, states, multiple = c["d_model"], ssm["d_state"], c.get("pad_vocab_size_multiple") or 8
    inner = ssm["expand"] * d
    rank = math.ceil(d / 16) if ssm["dt_rank"] == "auto" else ssm["dt_rank"]
    direction = inner * (ssm["d_conv"] + 1 + rank + 2 * states + rank + 1 + states + 1)
    return int(-(-c["vocab_size"] // multiple) * multiple * d + d + c["n_layer"] * (3 * d * inner + 2 * direction + d))


def _count_mistral(c: Mapping[str, Any]) -> int:
    d, heads, shared = c["hidden_size"], c["num_attention_heads"], c.get("num_key_value_heads") or 8
    head = c.get("head_dim") or d // heads
    layer = 2 * d * head * (heads + shared) + 3 * d * c["intermediate_size"] + 2 * d
    tables = 1 if c.get("tie_word_embeddings") else 2
    return int(tables * c["vocab_size"] * d + c["num_hidden_layers"] * layer + d)


def _encoder(c: Mapping[str, Any], gates: int, biases: int) -> int:
    """Attention, norms and feed-forward part of all layers; `gates` 2: gated; `biases`: of the feed-forward part."""
    d = c["hidden_size"]
    return int(c["num_hidden_layers"] * (4 * d * d + 8 * d + (gates + 1) * d * c["intermediate_size"] + biases))


def _head(c: Mapping[str, Any], tied: bool) -> int:
    d, rows = c["hidden_size"], c["vocab_size"]
    return int(d * d + 3 * d + rows + (0 if tied else rows * d))


def _count_bert(c: Mapping[str, Any], positions: bool = True) -> int:
    d, inner = c["hidden_size"], c["intermediate_size"]
    rows = c["vocab_size"] + c.get("type_vocab_size", 2) + (c.get("max_position_embeddings", 512) if positions else 0)
    layers = _encoder(c, 1, inner + d) if positions else _encoder(c, 2, d)
    return int(rows * d + 2 * d + layers)


def _count_esm(c: Mapping[str, Any], gated: bool) -> int:
    d, inner, gates = c["hidden_size"], c["intermediate_size"], 2 if gated else 1
    biases = gates * inner + d if c.get("add_bias_fnn", True) else 0
    norms = 4 * d if c.get("emb_layer_norm_before") else 2 * d
    contacts = c["num_hidden_layers"] * c["num_attention_heads"] + 1
    tables = (c["vocab_size"] + c["max_position_embeddings"]) * d
    return int(tables + norms + contacts) + _encoder(c, gates, biases) + _head(c, c.get("tie_word_embeddings", True))


def _count_cnn(c: Mapping[str, Any]) -> int:
    d, kernel, rows = c["width"], c["kernel_size"], c["vocab_size"]
    return int(2 * rows * d + rows * d * (kernel - 1) + 3 * d + rows + (c["depth"] - 1) * (kernel * d * d + 3 * d))


def _count_dilated(c: Mapping[str, Any]) -> int:
    d, kernel, rows = c["width"], c["kernel_size"], c["vocab_size"]
    inner = -(-d // 2)
    layer = 2 * d * inner + kernel * inner * inner + 6 * inner + 3 * d
    return int(rows * d * (kernel + 1) + 3 * d + rows + c["depth"] * layer)


def _count_gpn(c: Mapping[str, Any]) -> int:
    d, rows = c["hidden_size"], c["vocab_size"]
    return int(c["n_layers"] * (c["kernel_size"] * d * d + d * d + 6 * d) + d * d + 3 * d + rows * d + rows)


def _count_olmo(c: Mapping[str, Any]) -> int | None:
    """Of the switches that Omni-DNA has; of all others nobody has counted."""
    if c.get("include_bias", True) or c.get("layer_norm_with_affine", True) or not c.get("rope"):
        return None
    d, heads, inner = c["d_model"], c["n_heads"], c.get("mlp_hidden_size") or (c.get("mlp_ratio") or 4) * c["d_model"]
    shared = c.get("n_kv_heads") or (1 if c.get("multi_query_attention") else heads)
    norms = (
        (d + d // heads * shared)
        * bool(c.get("attention_layer_norm"))
        * (c.get("attention_layer_norm_with_affine") is not False)
    )
    gated = c.get("activation_type", "swiglu") == "swiglu"
    layer = 2 * d * d + 2 * d * (d // heads) * shared + d * inner + d * (inner // 2 if gated else inner) + norms
    tables = 1 if c.get("weight_tying", True) else 2
    return int(tables * (c.get("embedding_size") or c["vocab_size"]) * d + c["n_layers"] * layer)


def _attention(
    path: str, sign: tuple[str, str | None] | None, count: Callable[[Mapping[str, Any]], int], paper_random: str = ""
) -> Family:
    """A row of a transformer (paper Table 11: intermediate = 4 x width)."""
    sizes = {"hidden_size": 1, "intermediate_size": 4}
    return Family(path, sizes, "num_hidden_layers", sign, count=count, paper_random=paper_random)


def _count_scgpt(c: Mapping[str, Any]) -> int:
    """`TransformerModel`, with its three decoders, or `TransformerGenerator`."""
    d, inner, generates = c["d_model"], c["d_hid"], c.get("model") == "TransformerGenerator"
    square, norm = d * d + d, 2 * d
    tokens = c["ntoken"] * d + norm + 2 * d + square + norm + (3 * d if generates else 0)
    layer = 4 * square + 2 * d * inner + inner + d + 2 * norm
    decoder = 2 * square + d + 1
    classes = (c.get("nlayers_cls", 3) - 1) * (square + norm) + (d + 1) * c.get("n_cls", 1)
    queries = square + d * d if c.get("do_mvc") else 0
    return int(tokens + c["nlayers"] * layer + (2 if generates else 1) * decoder + classes + queries)


FAMILIES = {
    "hyenadna": Family(
        "hyenadna:HyenaDNA",
        {"d_model": 1, "d_inner": 4},
        "n_layer",
        ("model_type", "hyenadna"),
        count=_count_hyenadna,
    ),
    # Before `caduceus`, whose sign its files have too.
    "caduceus_ph": Family(
        "caduceus_ph:CaduceusPh",
        {"d_model": 1},
        "n_layer",
        ("rcps", False),
        only="character",
        reason="Caduceus complements token by token, so it reads characters only",
        count=_count_caduceus,
    ),
    "caduceus": Family(
        "caduceus:Caduceus",
        {"d_model": 1},
        "n_layer",
        ("model_type", "caduceus"),
        only="character",
        reason="Caduceus complements token by token, so it reads characters only",
        count=_count_caduceus,
    ),
    "mistral": _attention("mistral:Mistral", ("model_type", "mistral"), _count_mistral),
    "nt_v1": _attention("nt_v1:NucleotideTransformer", ("model_type", "esm"), lambda c: _count_esm(c, gated=False)),
    "nt_v2": _attention("nt_v2:NucleotideTransformerV2", ("add_bias_fnn", None), lambda c: _count_esm(c, gated=True)),
    "dnabert2": _attention(
        "dnabert2:DNABERT2",
        ("alibi_starting_size", None),
        lambda c: _count_bert(c, positions=False) + _head(c, tied=True),
    ),
    # Without remote code, `AutoModel.from_config` of GENA-LM is transformers' post-LayerNorm BERT.
    "gena_lm": _attention(
        "gena_lm:GenaLM",
        ("pre_layer_norm", None),
        lambda c: _count_bert(c) + _head(c, tied=True) + 2 * c["hidden_size"] * bool(c.get("last_layer_norm", True)),
        paper_random="bert",
    ),
    "mutbert": _attention(
        "further.mutbert:MutBERT",
        ("pooler_type", None),
        lambda c: (
            _count_bert(c)
            - c.get("max_position_embeddings", 512) * c["hidden_size"]
            + _head(c, tied=c.get("tie_word_embeddings", True))
        ),
    ),
    "gpn": Family("further.gpn:GPN", {"hidden_size": 1}, "n_layers", ("model_type", "ConvNet"), count=_count_gpn),
    # Its config.json has names of its own; transformers' `olmo`, with others, is one of `transformers`.
    "olmo": Family("further.olmo:OLMo", {"d_model": 1}, "n_layers", ("block_group_size", None), count=_count_olmo),
    # What the paper made of a random GENA-LM; a published BERT is read by `transformers`, with its vocabulary head.
    "bert": _attention("bert:Bert", None, lambda c: _count_bert(c) + c["hidden_size"] * (c["hidden_size"] + 1)),
    # Every architecture that `transformers` has natively; models/architectures/native.py lists them by model_type.
    "transformers": Family("native:Transformers"),
    "cnn": Family("cnn:ConvolutionalNetwork", {"width": 1}, "depth", count=_count_cnn),
    # One cycle of dilations where parameters are few; beyond, the layers of CARP-600k and -38M, -76M and -640M.
    "dilated_cnn": Family(
        "cnn:DilatedNetwork",
        {"width": 1},
        "depth",
        count=_count_dilated,
        depths=((3e5, 8), (5e7, 16), (2e8, 32), (1e9, 56)),
    ),
}

# Networks of single cells: their tokens are genes, their tokenizer is a vocabulary, and no job of sequences takes them.
CELL_FAMILIES = {
    "scgpt": Family("single_cell.scgpt:ScGPT", {"d_model": 1, "d_hid": 1}, "nlayers", count=_count_scgpt),
    "geneformer": Family(
        "single_cell.geneformer:Geneformer",
        {"hidden_size": 1, "intermediate_size": 2},
        "num_hidden_layers",
        count=lambda c: _count_bert(c) + _head(c, tied=True),
    ),
}

# Published architectures that are not read, by how `model_type` or `architectures` begin (in lower case), and why: what
# cannot be checked is not claimed.
NOT_READ = {
    "generanno": "GENERanno is defined by code of its repository alone, of which no number is at hand to check another "
    "implementation by",
    "luca": "LucaOne is defined by code of its repository, network and tokenizer, and is not written here",
    "megadna": "megaDNA is the pickle of a whole network, and reading it would run code of its repository",
    "ntv3": "Nucleotide Transformer v3 is defined by code of its repository alone, of which no number is at hand to "
    "check another implementation by",
}

# Special tokens of a vocabulary of genes that is made here, and whether they stand before the genes: scGPT's
# (github.com/bowang-lab/scGPT), those of Geneformer's first dictionary (V1), and of its second (V2). A family's own
# form has its name.
CELL_FORMS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "scgpt": (("<pad>", "<cls>", "<eoc>"), False),
    "geneformer": (("<pad>", "<mask>"), True),
    "geneformer_v2": (("<pad>", "<mask>", "<cls>", "<eos>"), True),
}

# What a token of each tokenizer is. Those of pieces need a file, which the model table says where to get; that of a
# checkpoint (`published`) is read from the checkpoint's own files, and its entry says what its tokens are.
PUBLISHED, CELLS = "published", "cells"
TOKENIZERS = {
    "hyenadna": "character",
    "caduceus": "character",
    "paper_char": "character",
    "character": "character",
    "nt_v1": "kmer",
    "nt_v2": "kmer",
    "dnabert_3": "kmer",
    "dnabert_4": "kmer",
    "dnabert_5": "kmer",
    "dnabert_6": "kmer",
    "prokbert_k1s1": "character",
    "prokbert_k6s1": "kmer",
    "prokbert_k6s2": "kmer",
    "generator": "kmer",
    "dnabert2": "bpe",
    "gena_lm": "bpe",
    PUBLISHED: "bpe",  # if the entry does not say
}
TOKEN_CLASSES = {"character": "characters", "kmer": "k-mers", "bpe": "byte pairs"}  # of DNA, and in words
# Nucleotides from one token to the next, where it is not the k of its k-mers.
STEPS = {**{f"dnabert_{k}": 1.0 for k in (3, 4, 5, 6)}, "prokbert_k6s1": 1.0, "prokbert_k6s2": 2.0}

PIECES = tuple(name for name, kind in TOKENIZERS.items() if kind == "bpe" and name != PUBLISHED)

# Those of the program's families, then what some classes of `transformers` call them.
_WIDTHS = tuple(
    dict.fromkeys(
        [next(iter(row.width)) for row in (FAMILIES | CELL_FAMILIES).values() if row.width] + ["n_embd", "dim"]
    )
)
_LAYERS = tuple(
    dict.fromkeys(
        [row.layers for row in (FAMILIES | CELL_FAMILIES).values() if row.layers] + ["num_layers", "n_layers"]
    )
)


def class_path(family: str) -> tuple[str, str]:
    """Module and class of a family of the program."""
    module, name = (FAMILIES | CELL_FAMILIES)[family].path.split(":")
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


def why_not_read(config: Mapping[str, Any]) -> str | None:
    """Why the architecture that a published config.json names is known and not read; None for all others."""
    named = [str(config.get("model_type") or ""), *map(str, config.get("architectures") or ())]
    return next((why for start, why in NOT_READ.items() if any(n.lower().startswith(start) for n in named)), None)


def size_keys(family: str) -> tuple[str, ...]:
    """Keys of a configuration that a width or a number of layers sets."""
    row = (FAMILIES | CELL_FAMILIES).get(family)
    return (*row.width, *filter(None, [row.layers])) if row else ()


def scaled(name: str, entry: Mapping[str, Any], width: int | None, layers: int | None) -> dict[str, int]:
    """Configuration of a width and of a number of layers; the entry may name the keys of a family of its own."""
    own, row = entry.get("scaling") or {}, (FAMILIES | CELL_FAMILIES).get(entry["family"], Family(""))
    factors: Mapping[str, int] = own.get("width", row.width)
    key = own.get("layers", row.layers)
    family = entry["family"]
    for number, known, what in ((width, factors, "width"), (layers, key, "number of layers")):
        if number and not known:
            raise UserError(f"model '{name}': no {what} of family '{family}' is known; add scaling to its entry.")
    wide = {setting: factor * width for setting, factor in factors.items()} if width else {}
    return wide | ({key: layers} if layers else {})


def token_kind(tokenizer: str | None, entry: Mapping[str, Any]) -> str:
    """What a token is: character, kmer, bpe or gene; of a checkpoint's own tokenizer as its entry says."""
    if tokenizer == CELLS:
        return "gene"
    said = entry.get("tokenizer_class") if tokenizer == PUBLISHED else None
    return str(said or TOKENIZERS.get(str(tokenizer), "character"))


def width_of(config: Mapping[str, Any]) -> int:
    """Width of the states that an architecture's configuration gives."""
    return int(next((config[key] for key in _WIDTHS if config.get(key)), 128))


def depth_of(config: Mapping[str, Any]) -> float:
    """Layers that an architecture's configuration gives."""
    return float(next((config[key] for key in _LAYERS if config.get(key)), 1))


def known_depth(config: Mapping[str, Any]) -> int | None:
    """Layers that an architecture's configuration gives, if it says it as a number."""
    said = next((config[key] for key in _LAYERS if config.get(key)), None)
    return said if isinstance(said, int) else None


def count_parameters(family: str, config: Mapping[str, Any]) -> int | None:
    """Parameters of a family in a configuration; None where no formula is known, or what it reads is missing."""
    count = (FAMILIES | CELL_FAMILIES).get(family, Family("")).count
    try:
        return count(config) if count else None
    except (
        KeyError,
        TypeError,
        ValueError,
        ArithmeticError,
    ):  # no network can be built of it either: its job will say so
        return None


def matched(name: str, entry: Mapping[str, Any], config: Mapping[str, Any], wanted: int) -> dict[str, int]:
    """Width and depth in which a network has as many parameters as `wanted`, within `TOLERANCE`.

    `UserError` where there is no such size: none so large is known to train, or none so small comes near enough.
    """
    row, family = FAMILIES.get(entry["family"], Family("")), entry["family"]
    count = row.count
    if not count or not row.width:
        raise UserError(f"model '{name}', match: family '{family}' has no size to choose; leave match out.")
    depth = next((layers for most, layers in row.depths if wanted <= most), None)
    if row.depths and not depth:
        raise UserError(
            f"model '{name}', match: none of family '{family}' with more than {row.depths[-1][0]:,.0f} parameters is "
            f"known to train, and {wanted:,} are asked for; match a smaller model."
        )

    def nearest(layers: int | None) -> tuple[float, dict[str, int]]:
        """Parameters by those wanted, and the sizes, of the width that comes nearest with so many layers."""

        def sized(width: int) -> dict[str, int]:
            deep = {row.layers: layers} if layers else {}
            return deep | {key: factor * width for key, factor in row.width.items()}

        def ratio(width: int) -> float:
            return (count({**config, **sized(width)}) or 0) / wanted

        reached = bisect_left(range(1, _WIDEST), 1.0, key=ratio) + 1
        width = min({max(1, reached - 1), reached}, key=lambda number: abs(ratio(number) - 1))
        return ratio(width), sized(width)

    # Fewer layers where the steps of the width are too coarse, which they are in the smallest networks alone.
    options = [nearest(layers) for layers in (range(depth, depth // 2, -1) if depth else (None,))]
    for ratio, sizes in options:
        if abs(ratio - 1) <= TOLERANCE:
            return sizes
    raise UserError(
        f"model '{name}', match: no network of family '{family}' comes within {TOLERANCE:.0%} of {wanted:,} parameters "
        f"(the nearest has {options[0][0] * wanted:,.0f}); match a larger model."
    )
