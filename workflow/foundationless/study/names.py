"""The grammar of names: what the words behind the dots of a model's and a task's name say; taken apart here alone.

    hyenadna.demo.char.w64.paper    base hyenadna, size demo, tokenizer char, width 64, reading as_in_paper
    H3.pct10d1.ep30p5               base task H3, derivation pct10 (percent 10), draw 1, epochs 30, patience 5

A model: the entry of the model table (base), the size that a study calls it by, then qualifiers in any order: `char` or
`kmer` (tokenizer), `wN` (width), `lN` (layers), `paper` (the weights as the paper's code read them), `readout` or
`target` (the side of the linear model of perturbations that borrows its embedding of genes). A task: the entry of the
task table (base task), then at most one derived set (`pctN`, `shotN`, drawn again `pctNdK`; `dedup`, `distant`,
`matched`, `permuted`, `unrelated`, `family`; of perturbations `halves`, `offtarget`, `permuted`), then at most one
budget of epochs (`epN`, `epNpM`: M epochs of patience).
Both parsers are lenient: which names a study may use is for `checks` to say.
"""

import re
from functools import cache
from typing import NamedTuple

from foundationless.study.vocabulary import SELF

SIDES = ("readout", "target")  # words of a name that say whose vectors a linear model of perturbations borrows
TOKENIZERS = {"char": "character", "kmer": "nt_v2"}  # word of a name -> tokenizer
_SCALED = re.compile(r"([wl])([1-9][0-9]*)")
_DRAWN = re.compile(r"(?P<kind>pct|shot)(?P<number>[1-9][0-9]*)(?:d(?P<draw>[0-9]+))?")
_EPOCHS = re.compile(r"ep(?P<epochs>[1-9][0-9]*)(?:p(?P<patience>[0-9]+))?")
DERIVATIONS = ("dedup", "distant", "matched", "permuted", "unrelated", "family")  # beside pctN and shotN
EFFECT_DERIVATIONS = ("halves", "offtarget", "permuted")  # of screens of perturbations


class ModelName(NamedTuple):
    """Parts of a model's name; columns of these names stand in every summary."""

    base: str
    size: str
    tokenizer: str  # `char`, `kmer`, or empty: the entry's own
    width: int | None
    layers: int | None
    reading: str  # `published` or `as_in_paper`
    side: str  # `readout`, `target`, or empty

    @property
    def qualified(self) -> bool:
        """Whether something behind base and size changes what is computed."""
        return bool(self.tokenizer or self.width or self.layers or self.reading != "published")


class TaskName(NamedTuple):
    """Parts of a task's name; columns of these names stand in every summary."""

    base_task: str
    variant: str  # all behind the base, further draws left out: `pct10.ep30`; empty for a task as its table has it
    derivation: str  # the derived set, further draws left out: `pct10`, `matched`
    percent: int | None
    shots: int | None
    draw: int | None  # 0 for the first
    epochs: int | None
    patience: int | None


def is_qualifier(word: str) -> bool:
    """Whether a word behind a dot of a model's name is a qualifier, and so no size."""
    return kind_of(word) != "size"


def is_derivation(word: str) -> bool:
    """Whether a word behind a dot of a task's name is a derived set."""
    return word in DERIVATIONS or word in EFFECT_DERIVATIONS or _DRAWN.fullmatch(word) is not None


def is_budget(word: str) -> bool:
    """Whether a word behind a dot of a task's name is a budget of epochs."""
    return _EPOCHS.fullmatch(word) is not None


@cache
def parse_model(name: str) -> ModelName:
    """Parts of a model's name; of two qualifiers of one kind the last one counts."""
    base, *words = name.split(".")
    scaled = {said[1]: int(said[2]) for word in words if (said := _SCALED.fullmatch(word))}
    return ModelName(
        base=base,
        size=".".join(word for word in words if not is_qualifier(word)),
        tokenizer=next((word for word in reversed(words) if word in TOKENIZERS), ""),
        width=scaled.get("w"),
        layers=scaled.get("l"),
        reading="as_in_paper" if "paper" in words else "published",
        side=next((word for word in reversed(words) if word in SIDES), ""),
    )


@cache
def parse_task(name: str) -> TaskName:
    """Parts of a task's name; words that are neither a derived set nor a budget stand in `variant` alone."""
    base, *words = name.split(".")
    derived = next((word for word in words if is_derivation(word)), "")
    drawn = _DRAWN.fullmatch(derived)
    plain = f"{drawn['kind']}{drawn['number']}" if drawn else derived
    budget = next((said for word in words if (said := _EPOCHS.fullmatch(word))), None)
    number = int(drawn["number"]) if drawn else None
    return TaskName(
        base_task=base,
        variant=".".join(plain if word == derived else word for word in words),
        derivation=plain,
        percent=number if drawn and drawn["kind"] == "pct" else None,
        shots=number if drawn and drawn["kind"] == "shot" else None,
        draw=int(drawn["draw"] or 0) if drawn else None,
        epochs=int(budget["epochs"]) if budget else None,
        patience=int(budget["patience"]) if budget and budget["patience"] else None,
    )


def without(name: str, *kinds: str) -> str:
    """A model's name without its words of some `kinds`: `tokenizer`, `width`, `layers`, `reading`, `side`.

    `without("caduceus.paper.w64", "reading")` is `caduceus.w64`: the same weights, read as published.
    """
    base, *words = name.split(".")
    return ".".join([base, *(word for word in words if kind_of(word) not in kinds)])


def words_behind(name: str, stem: str) -> list[str]:
    """The words of a name behind its stem, as they stand: `char`, `w64` of `hyenadna.demo.char.w64`."""
    return name.removeprefix(stem).split(".")[1:]


def kind_of(word: str) -> str:
    """What a word behind a dot of a model's name says: `reading`, `side`, `tokenizer`, `width`, `layers` or `size`."""
    if word == "paper":
        return "reading"
    if word in SIDES:
        return "side"
    if word in TOKENIZERS:
        return "tokenizer"
    scaled = _SCALED.fullmatch(word)
    return {"w": "width", "l": "layers"}[scaled[1]] if scaled else "size"


def sequence_set(task: str) -> str:
    """The sequence set that a task reads: its name without the budget of epochs, which only changes a run."""
    base, *words = task.split(".")
    return ".".join([base, *(word for word in words if not is_budget(word))])


def set_to_read(task: str) -> str:
    """The sequence set whose training rows the arm `self` of a task is pretrained on: its own; labels are not read, so
    that of permuted ones is that of the task as it is."""
    base, *words = sequence_set(task).split(".")
    return ".".join([base, *(word for word in words if word != "permuted")])


def place_of_weights(model: str, init: str, seed: int | str, task: str = "") -> str:
    """Where the weights of an arm lie among all: `MODEL/INIT/seedN`, and of the arm `self`, which has others for every
    set that a `task` reads, `MODEL/self/SET/seedN`."""
    return "/".join([model, init, *([set_to_read(task)] if init == SELF else []), f"seed{seed}"])


def underived(task: str) -> str:
    """The task of which one is a derived set, its budget of epochs kept: `H3.ep30` of `H3.pct10d1.ep30`."""
    base, *words = task.split(".")
    return ".".join([base, *(word for word in words if not is_derivation(word))])


def in_source(role: str) -> str:
    """What the name of a source says behind its dot: the class, or the track, of that file; nothing of others."""
    return role.partition(".")[2]


def layer_column(pooling: str, layer: int) -> str:
    """What the features of an inner layer are called: `max_layer3`; those of the last layer have the pooling's name."""
    return f"{pooling}_layer{layer}"


def side_of(model: str) -> str:
    """The side on which a model's vectors of genes are borrowed: `readout` or `target`; nothing of other models."""
    return parse_model(model).side
