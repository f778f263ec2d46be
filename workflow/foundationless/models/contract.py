"""What every architecture promises: one module class, official key names, strict configurations and strict weights."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from foundationless.errors import UserError


def keys(words: str) -> frozenset[str]:
    """The words of a text, as the keys of a configuration."""
    return frozenset(words.split())


def integers(words: str) -> dict[str, type]:
    """Keys of a configuration that must be positive integers."""
    return dict.fromkeys(words.split(), int)


# Keys of `config.json` that change no number of an evaluation: provenance, generation settings, task heads.
INFORMATIONAL = keys(
    """architectures auto_map model_type torch_dtype dtype transformers_version use_cache
        gradient_checkpointing bos_token_id eos_token_id sep_token_id cls_token_id pad_token_id
        mask_token_id decoder_start_token_id tokenizer_class id2label label2id num_labels finetuning_task
        problem_type task_specific_params classifier_dropout return_dict max_length min_length num_beams
        num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty
        length_penalty num_return_sequences output_hidden_states output_attentions initializer_range prefix
        vocab_list attn_implementation"""
)
_MISSING = object()
_NUMBER = re.compile("(_epsilon|_eps|_range|_freq|_theta|dropout|_prob)$")  # keys whose value is a number, if any
_SHARE = re.compile("(dropout|_prob)$")
_COUNT = re.compile("(_size|_multiple)$")


class GenomicModel(nn.Module):
    """A genomic language model; `state_dict()` has exactly the key names of the published checkpoint.

    A subclass is constructed from its checked configuration (`cls(config)`) and draws its parameters, in construction,
    from the published random initialisation out of torch's default CPU generator.

    Attributes
    ----------
    width: channels of a hidden state.
    vocabulary_size: rows of the embedding table (a tokenizer may use fewer).
    max_tokens: longest input, special tokens included.
    objective: what the vocabulary projection was made for, `causal` or `masked`.
    padding: `mask`, the attention mask makes padding inert on either side; `right`, the model is causal and padding on
        the right cannot reach a valid token; `equal`, padding is never inert and a batch holds one length.
    """

    family: ClassVar[str]
    objective: ClassVar[Literal["causal", "masked"]]
    padding: ClassVar[Literal["mask", "right", "equal"]]
    tokenizer: ClassVar[str]  # the tokenizer of the published checkpoint
    implementation: ClassVar[str]  # where the arithmetic is written
    required: ClassVar[Mapping[str, type]] = {}  # keys that a configuration must hold, and their type
    optional: ClassVar[frozenset[str]] = frozenset()  # further keys that are implemented
    switches: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # the only implemented values of a key
    ignored: ClassVar[Mapping[str, str]] = {}  # keys without effect in the official code, with the reason
    may_be_unexpected: ClassVar[Mapping[str, str]] = {}  # key suffix -> why a file may hold it and it is not read
    may_be_missing: ClassVar[Mapping[str, str]] = {}  # key prefix -> why a file may lack it (then 0)

    width: int
    vocabulary_size: int
    max_tokens: int

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config: dict[str, Any] = dict(config)

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """All states [batch, tokens, width], embedding first, as the official `output_hidden_states` lists them."""
        raise NotImplementedError

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Last hidden state [batch, tokens, width], without the vocabulary projection."""
        return self.hidden_states(input_ids, attention_mask)[-1]

    def project(self, hidden: Tensor) -> Tensor:
        """Logits [batch, tokens, vocabulary] of the last hidden state."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(last hidden state [batch, tokens, width], logits [batch, tokens, vocabulary])."""
        hidden = self.encode(input_ids, attention_mask)
        return hidden, self.project(hidden)

    def _check_length(self, input_ids: Tensor) -> None:
        """Raise `UserError` for more tokens than the model has positions."""
        if input_ids.shape[1] > self.max_tokens:
            raise UserError(
                f"{self.family}: an input of {input_ids.shape[1]} tokens exceeds the model's {self.max_tokens}; "
                "cut the sequence into chunks."
            )

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config` if every architecture switch in it is implemented; otherwise `UserError` names the key."""
        where = f"configuration of family '{cls.family}'"
        for key, kind in cls.required.items():
            value = config.get(key, _MISSING)
            if value is _MISSING:
                raise UserError(f"{where}: the key '{key}' is missing.")
            least = 0 if key.endswith("_token_id") else 1
            if not isinstance(value, kind) or (isinstance(value, int) and (isinstance(value, bool) or value < least)):
                raise UserError(f"{where}: '{key}' is {value!r}; it must be a positive integer.")
        for key, allowed in cls.switches.items():
            if key in config and config[key] not in allowed:
                raise UserError(
                    f"{where}: '{key}' = {config[key]!r} is not implemented (only {', '.join(map(repr, allowed))})."
                )
        for key in cls.required.keys() | cls.optional | {"initializer_range"}:
            value = config.get(key)
            if value is None or isinstance(value, bool) or key in cls.switches:
                continue
            if _NUMBER.search(key) and not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise UserError(f"{where}: '{key}' is {value!r}; it must be a number from 0.")
            if _SHARE.search(key) and not 0 <= value < 1:
                raise UserError(f"{where}: '{key}' is {value!r}; it must lie between 0 and 1.")
            if _COUNT.search(key) and not (isinstance(value, int) and value >= 1):
                raise UserError(f"{where}: '{key}' is {value!r}; it must be a positive integer.")
        rows = config.get("vocab_size")
        for key in ("pad_token_id", "mask_token_id"):
            if isinstance(rows, int) and isinstance(config.get(key), int) and not 0 <= config[key] < rows:
                raise UserError(f"{where}: '{key}' = {config[key]} is no row of the 'vocab_size' = {rows} embeddings.")
        known = cls.required.keys() | cls.optional | cls.switches.keys() | cls.ignored.keys() | INFORMATIONAL
        for key, value in config.items():
            # A switch that this code has never heard of is harmless only when it is off.
            if key not in known and not key.startswith("_") and value not in (None, False, 0, "", [], {}):
                raise UserError(
                    f"{where}: the key '{key}' = {value!r} is not implemented; remove it if it has no effect."
                )
        return dict(config)

    @classmethod
    def check_divides(cls, config: Mapping[str, Any], heads: str, width: str) -> None:
        """Raise `UserError` unless the number of heads divides the width."""
        if config[width] % config[heads]:
            raise UserError(
                f"configuration of family '{cls.family}': '{heads}' = {config[heads]} does not divide "
                f"'{width}' = {config[width]}; choose a multiple."
            )

    @classmethod
    def settings(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """The part of `config` that reaches the architecture; provenance and generation settings stay behind."""
        used = cls.required.keys() | cls.optional | cls.switches.keys() | {"initializer_range"}
        used |= {key for key in config if key.endswith("_token_id")}
        return {key: config[key] for key in config if key in used}

    @classmethod
    def vocabulary_config(cls, size: int, pad_id: int, mask_id: int | None) -> dict[str, Any]:
        """Configuration keys to replace when another tokenizer is put in front of the model."""
        return {"vocab_size": size, "pad_token_id": pad_id}

    def shared_names(self) -> dict[str, str]:
        """Names in `state_dict()` that are second names of one tensor, mapped to the first (tied or shared modules)."""
        first: dict[int, str] = {}
        return {
            name: first[id(tensor)]
            for name, tensor in self.state_dict(keep_vars=True).items()
            if first.setdefault(id(tensor), name) != name
        }

    def published_state(self) -> dict[str, Tensor]:
        """The state in the published safetensors form: official names, each shared tensor once, on the CPU."""
        shared = self.shared_names()
        return {n: t.detach().cpu().contiguous() for n, t in self.state_dict().items() if n not in shared}

    def load_published(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Copy published tensors in; any missing, unexpected, misshaped or contradictory one is a `UserError`.

        Both published forms are read: each shared tensor once (safetensors), or under all its names (pickled).
        """
        own = self.state_dict()
        shared = self.shared_names()
        groups: dict[str, list[str]] = {}
        for name in own:
            groups.setdefault(shared.get(name, name), []).append(name)
        _complain(
            where,
            "is unexpected",
            (n for n in tensors if n not in own and not any(n.endswith(s) for s in self.may_be_unexpected)),
        )
        missing = (names[0] for names in groups.values() if not any(n in tensors for n in names))
        _complain(where, "is missing", (n for n in missing if not any(n.startswith(p) for p in self.may_be_missing)))
        with torch.no_grad():
            for names in groups.values():
                present = [n for n in names if n in tensors]
                for name in present:
                    value, target = tensors[name], own[name]
                    if value.shape != target.shape:
                        raise UserError(
                            f"{where}: tensor '{name}' has shape {list(value.shape)}, the configuration asks for "
                            f"{list(target.shape)}; the weights and config.json do not belong together."
                        )
                    if value.is_floating_point() and value.isnan().any():
                        raise UserError(f"{where}: tensor '{name}' holds values that are not numbers (NaN).")
                    if name != present[0] and not torch.equal(value, tensors[present[0]]):
                        raise UserError(
                            f"{where}: '{present[0]}' and '{name}' are one shared tensor in this architecture, but the "
                            "file holds two different ones."
                        )
                if present:
                    own[names[0]].copy_(tensors[present[0]])
                else:
                    own[names[0]].zero_()


def _complain(where: str, what: str, names: Iterable[str]) -> None:
    found = sorted(names)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(f"{where}: tensor '{found[0]}' {what}{more}; is this a checkpoint of the family named?")
