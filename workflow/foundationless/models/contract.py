"""What every architecture promises: one module class, official key names, strict configurations and strict weights."""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.checkpoints.names import beside, first_part, fitted
from foundationless.models.portable_rng import WithoutDraws
from foundationless.models.tokenizers import Tokenizer


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
Reading = Literal["published", "as_in_paper"]
_MISSING = object()
_FLAG = re.compile("^(tie_word_embeddings|token_dropout|emb_layer_norm_before)$")
_NUMBER = re.compile("(_epsilon|_eps|_range|_freq|_theta|dropout|_prob)$")  # keys whose value is a number, if any
_SHARE = re.compile("(dropout|_prob)$")
_COUNT = re.compile("(_size|_multiple|_embeddings|_heads|_dim|_window)$")
_REPEATED = re.compile("(n_layer|_layers|_mlps|_heads|^depth)$")  # what there is a loop over
_MOST_REPEATED, LARGEST_INTEGER, _LARGEST_NUMBER = 10_000, 2**31 - 1, 1e12
# Keys whose null says something else than their absence, in the official classes.
_NULL_IS_A_VALUE = keys("sliding_window num_key_value_heads")


class GenomicModel(nn.Module):
    """A genomic language model; `state_dict()` has exactly the key names of the published checkpoint.

    A subclass is constructed from its checked configuration (`cls(config)`) and draws its parameters, in construction,
    from the published random initialisation, by torch's random functions (`portable_rng` makes their numbers portable).

    Attributes
    ----------
    width: channels of a hidden state.
    vocabulary_size: rows of the embedding table (a tokenizer may use fewer).
    max_tokens: longest input, special tokens included.
    objective: what the vocabulary projection was made for, `causal` or `masked`.
    padding: `mask`, the attention mask makes padding inert on either side; `right`, the model is causal and padding on
        the right cannot reach a valid token; `equal`, padding is never inert and a batch holds one length.
    reading: `published`, or `as_in_paper`: the function that the paper's code evaluated, defects included.
    paper_masked: whether the paper passed an attention mask to this family.
    conjoined: whether the family reads one strand, and what it says of a sequence is averaged over both: a classifier's
        logits, each strand pooled by itself, and the states that embeddings are made of (`represent`).
    """

    family: ClassVar[str] = "of your own"
    objective: Literal["causal", "masked"]
    padding: Literal["mask", "right", "equal"]
    tokenizer: ClassVar[str]  # the tokenizer of the published checkpoint
    implementation: ClassVar[str] = "elsewhere"  # where the arithmetic is written
    required: ClassVar[Mapping[str, type]] = {}  # keys that a configuration must hold, and their type
    optional: ClassVar[frozenset[str]] = frozenset()  # further keys that are implemented
    switches: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # the only implemented values of a key
    ignored: ClassVar[Mapping[str, str]] = {}  # keys without effect in the official code, with the reason
    may_be_unexpected: ClassVar[Mapping[str, str]] = {}  # key suffix -> why a file may hold it and it is not read
    may_be_missing: ClassVar[Mapping[str, str]] = {}  # key prefix -> why a file may lack it (then 0)
    vocabulary_heads: ClassVar[frozenset[str]] = keys("lm_head cls")  # parts by whose names only logits are made
    paper_masked: ClassVar[bool] = True
    conjoined: ClassVar[bool] = False
    paper_ignores: ClassVar[Mapping[str, str]] = {}  # pattern of names that the paper's loading lost -> how

    reading: Reading = "published"
    width: int
    vocabulary_size: int
    max_tokens: int

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config: dict[str, Any] = dict(config)
        self.left_out: list[str] = []  # tensors of the published file that no state and no logit depends on

    @classmethod
    def blank(cls, config: Mapping[str, Any]) -> "GenomicModel":
        """A model whose parameters hold anything, for a checkpoint to overwrite."""
        with WithoutDraws():
            return cls(config)

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """All states [batch, tokens, width], embedding first, as the official `output_hidden_states` lists them."""
        raise NotImplementedError

    def every_state(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """`hidden_states`, the last of which is what `encode` gives, also where the official list ends before it."""
        return self.hidden_states(input_ids, attention_mask)

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

    def mirror(self, input_ids: Tensor) -> Tensor:
        """Where the letter of each place stands in the sequence turned round, [batch, tokens]; for `conjoined` ones."""
        raise NotImplementedError

    def other_strand(self, input_ids: Tensor) -> Tensor:
        """Ids of the reverse complement, special tokens and padding in their places; for `conjoined` families."""
        raise NotImplementedError

    def represent(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """States [batch, tokens, width] to make embeddings of: `encode`'s, averaged over strands if `conjoined`."""
        hidden = self.encode(input_ids, attention_mask)
        if not self.conjoined:
            return hidden
        return self._conjoin(hidden, self.encode(self.other_strand(input_ids), attention_mask), input_ids)

    def represent_every(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        """The same of `every_state`."""
        states = self.every_state(input_ids, attention_mask)
        if not self.conjoined:
            return states
        others = self.every_state(self.other_strand(input_ids), attention_mask)
        return [self._conjoin(*pair, input_ids) for pair in zip(states, others, strict=True)]

    def _conjoin(self, hidden: Tensor, other: Tensor, input_ids: Tensor) -> Tensor:
        """Mean of the states of a sequence and those of its other strand, each base with its partner."""
        places = self.mirror(input_ids)[..., None].expand_as(other)
        return (hidden + other.gather(1, places)) / 2

    def _check_length(self, input_ids: Tensor) -> None:
        """Raise `UserError` for more tokens than the model has positions."""
        if input_ids.shape[1] > self.max_tokens:
            raise UserError(
                f"{self.family}: an input of {input_ids.shape[1]} tokens exceeds the model's {self.max_tokens}; "
                "cut the sequence into chunks."
            )

    @classmethod
    def check_class(cls, name: str | None = None) -> None:
        """Raise `UserError` unless the class says what every family has to say; `name` is what the user called it."""
        for attribute, allowed in (
            ("tokenizer", ()),
            ("objective", ("causal", "masked")),
            ("padding", ("mask", "right", "equal")),
        ):
            value = getattr(cls, attribute, _MISSING)
            if value is _MISSING:
                raise UserError(f"family '{name or cls.family}': the class attribute '{attribute}' is missing.")
            if not isinstance(value, str) or (allowed and value not in allowed):
                raise UserError(
                    f"family '{name or cls.family}': the class attribute '{attribute}' is {value!r:.60}; it must be "
                    f"{' or '.join(map(repr, allowed)) or 'the name of a tokenizer'}."
                )

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config` if every architecture switch in it is implemented; otherwise `UserError` names the key.

        An optional key that is null counts as absent, and is not returned.
        """
        where = f"configuration of family '{cls.family}'"
        if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
            raise UserError(f"{where}: it must be a table of settings, each under the name of its key.")
        for key, kind in cls.required.items():
            value = config.get(key, _MISSING)
            if value is _MISSING:
                raise UserError(f"{where}: the key '{key}' is missing.")
            if kind is int:
                check_integer(where, key, value)
            elif not isinstance(value, kind):
                raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be of type {kind.__name__}.")
        for key, allowed in cls.switches.items():
            if key in config and config[key] not in allowed:
                raise UserError(
                    f"{where}: '{key}' = {config[key]!r:.60} is not implemented (only {', '.join(map(repr, allowed))})."
                )
        optional = cls.optional | {"initializer_range"} | {key for key in config if key.endswith("_token_id")}
        for key in sorted((optional & config.keys()) - cls.required.keys() - cls.switches.keys()):
            if config[key] is not None or key == "num_key_value_heads":
                check_value(where, key, config[key])
        rows = config.get("vocab_size")
        for key in ("pad_token_id", "mask_token_id"):
            if isinstance(rows, int) and isinstance(config.get(key), int) and not 0 <= config[key] < rows:
                raise UserError(f"{where}: '{key}' = {config[key]} is no row of the 'vocab_size' = {rows} embeddings.")
        known = cls.required.keys() | cls.optional | cls.switches.keys() | cls.ignored.keys() | INFORMATIONAL
        for key, value in config.items():
            # A switch that this code has never heard of is harmless only when it is off.
            if key not in known and not key.startswith("_") and value not in (None, False, 0, "", [], {}):
                raise UserError(
                    f"{where}: the key '{key}' = {value!r:.60} is not implemented; remove it if it has no effect."
                )
        absent = (cls.optional | {"initializer_range"}) - cls.required.keys() - cls.switches.keys() - _NULL_IS_A_VALUE
        return {key: value for key, value in config.items() if value is not None or key not in absent}

    @classmethod
    def check_tokenizer(cls, config: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        """Raise `UserError` where `config` says of the ids of `tokenizer` what is not so."""

    @classmethod
    def check_divides(cls, config: Mapping[str, Any], heads: str, width: str) -> None:
        """Raise `UserError` unless the number of heads divides the width."""
        if config[width] % config[heads]:
            raise UserError(
                f"configuration of family '{cls.family}': '{heads}' = {config[heads]} does not divide "
                f"'{width}' = {config[width]}; choose a multiple."
            )

    @classmethod
    def paper_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration that the paper in effect evaluated where it meant `config`."""
        return dict(config)

    @classmethod
    def settings(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """The part of `config` that reaches the architecture; provenance and generation settings stay behind."""
        used = cls.required.keys() | cls.optional | cls.switches.keys() | {"initializer_range"}
        used |= {key for key in config if key.endswith("_token_id")}
        return {key: config[key] for key in config if key in used}

    @classmethod
    def unread(cls, config: Mapping[str, Any]) -> list[str]:
        """Keys of a published config.json that say something and are not read, where `check_config` lets them pass."""
        return []

    @classmethod
    def vocabulary_config(cls, tokenizer: Tokenizer) -> dict[str, Any]:
        """Configuration keys to replace when another tokenizer is put in front of the model."""
        return {"vocab_size": tokenizer.size, "pad_token_id": tokenizer.pad_id}

    def block_names(self) -> list[str]:
        """Names of the blocks that `encode` runs one after another, in this order, as `get_submodule` takes them.

        Here the items of the longest `nn.ModuleList` that stands in no other. A family that keeps its blocks in another
        way says so itself; one without blocks is a `UserError`.
        """
        lists = {name: module for name, module in self.named_modules() if isinstance(module, nn.ModuleList)}
        outer = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
        longest = max(outer, key=lambda name: len(lists[name]), default="")
        if not longest:
            raise UserError(f"family '{self.family}': it keeps no list of blocks; let its `block_names` name them.")
        return [f"{longest}.{place}" for place in range(len(lists[longest]))]

    def embedding_names(self) -> list[str]:
        """Names in `state_dict()` of the tables [vocabulary, width] that token ids are looked up in (not positions)."""
        tables = (name for name, module in self.named_modules() if isinstance(module, nn.Embedding))
        return [f"{name}.weight" for name in tables if not re.search("position|type", name)]

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

        Both published forms are read: each shared tensor once (safetensors), or under all its names (pickled); with or
        without the prefix of the body, with today's or the older names of layer norms. Heads and poolers that no state
        and no logit depends on are left out (`left_out`); a file without the whole vocabulary head gives a model
        without one. Under the reading `as_in_paper`, what the paper's loading lost (`paper_ignores`) is left as
        construction made it.
        """
        own, shared = self.state_dict(), self.shared_names()
        tensors = fitted(tensors, own)
        lost = [re.compile(pattern) for pattern in self.paper_ignores] if self.reading == "as_in_paper" else []
        tensors = {n: t for n, t in tensors.items() if n in own or not any(p.search(n) for p in lost)}
        unexpected = {n for n in tensors if n not in own and not any(n.endswith(s) for s in self.may_be_unexpected)}
        groups: dict[str, list[str]] = {}  # of the names of one tensor, but for what was lost
        for name in own:
            groups.setdefault(shared.get(name, name), []).append(name)
        kept = {name for name in own if name not in tensors and any(p.search(name) for p in lost)}
        groups = {first: names for first, names in groups.items() if first not in kept}
        missing = {names[0] for names in groups.values() if not any(n in tensors for n in names)}
        missing = {n for n in missing if not any(n.startswith(p) for p in self.may_be_missing)}
        self.settle(where, missing, unexpected)
        with torch.no_grad():
            for names in groups.values():
                if names[0] in missing:
                    continue
                present = [name for name in names if name in tensors]
                for name in present:
                    check_tensor(where, name, tensors[name], own[name])
                    if name != present[0] and not same_tensor(tensors[name], tensors[present[0]]):
                        raise UserError(
                            f"{where}: '{present[0]}' and '{name}' are one shared tensor in this architecture, but the "
                            "file holds two different ones."
                        )
                if present:
                    own[names[0]].copy_(tensors[present[0]])
                else:
                    own[names[0]].zero_()

    @classmethod
    def foresee(cls, config: Mapping[str, Any], outlines: Mapping[str, Tensor], where: str) -> "GenomicModel":
        """A model without numbers that has loaded tensors without numbers: `UserError` where it could not load them."""
        with torch.device("meta"):
            model = cls.blank(config)
        model.load_published(outlines, where)
        return model

    def is_head(self, name: str) -> bool:
        """Whether a tensor of that name is the vocabulary head's alone."""
        return first_part(name) in self.vocabulary_heads

    def settle(self, where: str, missing: Collection[str], unexpected: Collection[str]) -> None:
        """Leave out heads that are not read, do without a vocabulary head that is not there; `UserError` for the rest.

        A head of which some tensors are there is a damaged one.
        """
        heads = beside(unexpected, self.state_dict())
        _complain(where, "is unexpected", set(unexpected) - set(heads))
        self.left_out = heads
        body = {name for name in missing if not self.is_head(name)}
        _complain(where, "is missing", body)
        if not missing:
            return
        shared = self.shared_names()
        held = self.state_dict().keys() - shared.keys() - set(shared.values()) - set(missing)
        damaged = {first_part(name) for name in held if self.is_head(name)}
        _complain(where, "is missing", (name for name in missing if first_part(name) in damaged))
        self.behead()

    def behead(self) -> None:
        """Take the vocabulary head away: `project` is a `UserError` from now on."""
        for part in [name for name in self._modules if self.is_head(f"{name}.")]:
            del self._modules[part]
        self.__dict__["project"] = partial(_no_head, self.family)

    @property
    def has_head(self) -> bool:
        """Whether the checkpoint that was loaded has a vocabulary head, as every initialised model has."""
        return "project" not in self.__dict__


def _no_head(family: str, hidden: Tensor) -> Tensor:
    raise UserError(
        f"family '{family}': the checkpoint has no vocabulary head; it can be fine-tuned and embedded, nothing else."
    )


def same_tensor(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same, as far as that can be known of them."""
    return one.is_meta or other.is_meta or torch.equal(one, other)


def is_number(value: Any) -> bool:
    """Whether a value of a configuration is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_integer(where: str, key: str, value: Any, least: int | None = None) -> None:
    """`UserError` for a number that is none of what the key's name tells, or below `least`."""
    least = int(not key.endswith("_token_id")) if least is None else least
    most = _MOST_REPEATED if _REPEATED.search(key) else LARGEST_INTEGER
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be an integer from {least} to {most}.")


def check_value(where: str, key: str, value: Any) -> None:
    """`UserError` for a value of an optional key that is not of the kind that the key's name tells."""
    if _FLAG.search(key):
        if not isinstance(value, bool):
            raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be true or false.")
    elif _NUMBER.search(key):
        if not is_number(value) or not 0 <= value <= _LARGEST_NUMBER:
            raise UserError(f"{where}: '{key}' is {value!r:.60}; it must be a number from 0.")
        if _SHARE.search(key) and value >= 1:
            raise UserError(f"{where}: '{key}' is {value!r:.60}; it must lie between 0 and 1.")
    elif _COUNT.search(key) or key.endswith("_token_id"):
        check_integer(where, key, value)


def check_tensor(where: str, name: str, value: Tensor, target: Tensor) -> None:
    """`UserError` for a published tensor that is not one of the architecture's, or not of finite numbers."""
    if value.shape != target.shape:
        raise UserError(
            f"{where}: tensor '{name}' has shape {list(value.shape)}, the configuration asks for "
            f"{list(target.shape)}; the weights and config.json do not belong together."
        )
    if value.is_floating_point() != target.is_floating_point():
        raise UserError(
            f"{where}: tensor '{name}' is of type {value.dtype}, the architecture asks for "
            f"{target.dtype}; is this a checkpoint of the family named?"
        )
    if value.is_floating_point() and not value.is_meta and not value.float().isfinite().all():
        raise UserError(f"{where}: tensor '{name}' holds values that are not finite numbers.")


def _complain(where: str, what: str, names: Iterable[str]) -> None:
    odd = sorted(names)
    if odd:
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise UserError(f"{where}: tensor '{odd[0]}' {what}{more}; is this a checkpoint of the family named?")
