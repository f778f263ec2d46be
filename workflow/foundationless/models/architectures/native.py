"""Every architecture that `transformers` has natively: one class over its own ones, chosen by `model_type`.

The function is the class's own, and so are configuration, key names, conversion of older layouts and random
initialisation; no code of a repository is run. `TYPES` has a line for each `model_type`: the conformance test
(tests/unit/models/test_native.py) runs over all of them with `transformers` itself as the oracle, and shows the padding
that the line claims. `transformers` is imported when a network is built, not before.

A state dict has the names of `transformers` 5 (experts of a layer side by side in one tensor); the files of labs, which
have those of older versions, are renamed by `transformers` as it reads them.
"""

import contextlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from foundationless.errors import UserError
from foundationless.models.checkpoints.names import WITHOUT_EFFECT, bare_names
from foundationless.models.contract import (
    INFORMATIONAL,
    LARGEST_INTEGER,
    GenomicModel,
    check_integer,
    check_tensor,
    check_value,
    keys,
    same_tensor,
)
from foundationless.models.portable_rng import PreciseFunctions, WithoutDraws

UNBOUNDED = 131_072  # longest input where the architecture has no limit


class Native(NamedTuple):
    """A `model_type`: the class with its vocabulary head, its objective and its padding (see `GenomicModel`).

    `after_padding`: positions are counted from `pad_token_id` + 1 on, which the class finds in the ids.
    """

    head: str
    objective: Literal["causal", "masked"]
    padding: Literal["mask", "right", "equal"]
    after_padding: bool = False


TYPES = {
    "albert": Native("AlbertForMaskedLM", "masked", "mask"),
    "bert": Native("BertForMaskedLM", "masked", "mask"),
    "big_bird": Native("BigBirdForMaskedLM", "masked", "equal"),  # its blocks are counted from the end too
    "bloom": Native("BloomForCausalLM", "causal", "right"),
    "camembert": Native("CamembertForMaskedLM", "masked", "mask", after_padding=True),
    "codegen": Native("CodeGenForCausalLM", "causal", "right"),
    "cohere": Native("CohereForCausalLM", "causal", "right"),
    "convbert": Native("ConvBertForMaskedLM", "masked", "equal"),  # its convolutions read padding
    "deberta": Native("DebertaForMaskedLM", "masked", "mask"),
    "deberta-v2": Native("DebertaV2ForMaskedLM", "masked", "mask"),
    "distilbert": Native("DistilBertForMaskedLM", "masked", "mask"),
    "electra": Native("ElectraForMaskedLM", "masked", "mask"),
    "ernie": Native("ErnieForMaskedLM", "masked", "mask"),
    "esm": Native("EsmForMaskedLM", "masked", "mask", after_padding=True),
    "eurobert": Native("EuroBertForMaskedLM", "masked", "mask"),
    "falcon": Native("FalconForCausalLM", "causal", "right"),
    "falcon_mamba": Native("FalconMambaForCausalLM", "causal", "right"),
    "gemma": Native("GemmaForCausalLM", "causal", "right"),
    "gemma2": Native("Gemma2ForCausalLM", "causal", "right"),
    "gemma3_text": Native("Gemma3ForCausalLM", "causal", "right"),
    "gpt2": Native("GPT2LMHeadModel", "causal", "right"),
    "gpt_neo": Native("GPTNeoForCausalLM", "causal", "right"),
    "gpt_neox": Native("GPTNeoXForCausalLM", "causal", "right"),
    "gptj": Native("GPTJForCausalLM", "causal", "right"),
    "granite": Native("GraniteForCausalLM", "causal", "right"),
    "helium": Native("HeliumForCausalLM", "causal", "right"),
    "jamba": Native("JambaForCausalLM", "causal", "right"),
    "llama": Native("LlamaForCausalLM", "causal", "right"),
    "mamba": Native("MambaForCausalLM", "causal", "right"),
    "mamba2": Native("Mamba2ForCausalLM", "causal", "right"),
    "megatron-bert": Native("MegatronBertForMaskedLM", "masked", "mask"),
    "mistral": Native("MistralForCausalLM", "causal", "right"),
    "mixtral": Native("MixtralForCausalLM", "causal", "right"),
    "modernbert": Native("ModernBertForMaskedLM", "masked", "mask"),
    "modernbert-decoder": Native("ModernBertDecoderForCausalLM", "causal", "right"),
    "olmo": Native("OlmoForCausalLM", "causal", "right"),
    "olmo2": Native("Olmo2ForCausalLM", "causal", "right"),
    "olmo3": Native("Olmo3ForCausalLM", "causal", "right"),
    "olmoe": Native("OlmoeForCausalLM", "causal", "right"),
    "phi": Native("PhiForCausalLM", "causal", "right"),
    "phi3": Native("Phi3ForCausalLM", "causal", "right"),
    "qwen2": Native("Qwen2ForCausalLM", "causal", "right"),
    "qwen2_moe": Native("Qwen2MoeForCausalLM", "causal", "right"),
    "qwen3": Native("Qwen3ForCausalLM", "causal", "right"),
    "qwen3_moe": Native("Qwen3MoeForCausalLM", "causal", "right"),
    "rembert": Native("RemBertForMaskedLM", "masked", "mask"),
    "roberta": Native("RobertaForMaskedLM", "masked", "mask", after_padding=True),
    "roberta-prelayernorm": Native("RobertaPreLayerNormForMaskedLM", "masked", "mask", after_padding=True),
    "roformer": Native("RoFormerForMaskedLM", "masked", "mask"),
    "smollm3": Native("SmolLM3ForCausalLM", "causal", "right"),
    "stablelm": Native("StableLmForCausalLM", "causal", "right"),
    "starcoder2": Native("Starcoder2ForCausalLM", "causal", "right"),
    "xlm-roberta": Native("XLMRobertaForMaskedLM", "masked", "mask", after_padding=True),
    "xlm-roberta-xl": Native("XLMRobertaXLForMaskedLM", "masked", "mask", after_padding=True),
}

# Keys that change the function where some code reads them, and that the native class does not read: only these values.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "is_folding_model": (False,),
    "pruned_heads": ({}, []),
    "sparse_attention": (False,),
    "pre_layer_norm": (False,),
    "alibi_starting_size": (),
    "add_bias_fnn": (True,),
    "quantization_config": (),
}
# Older names of keys, which `transformers` reads itself.
_OLDER = keys("rope_theta rope_scaling rotary_emb_base rotary_pct global_rope_theta local_rope_theta")


class _Answer(tuple[Tensor, ...]):
    """What a network's body answers, for a head that wants nothing but its last state."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[0] if name == "last_hidden_state" else None


def _row(config: Mapping[str, Any]) -> tuple[str, Native]:
    """`model_type` and line of a configuration; `UserError` where there is none."""
    said = config.get("model_type")
    if said is None:
        raise UserError("configuration of family 'transformers': the key 'model_type' is missing.")
    if not isinstance(said, str) or said not in TYPES:
        raise UserError(
            f"configuration of family 'transformers': 'model_type' = {said!r:.60} is not among those that are checked: "
            f"{', '.join(TYPES)}."
        )
    return said, TYPES[said]


def foreign_class(config: Mapping[str, Any]) -> str | None:
    """The class that a config.json asks for, where it is none of `transformers`: code of a repository."""
    import transformers

    said = config.get("architectures")
    classes = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
    return next((name for name in classes if not hasattr(transformers, name)), None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """`transformers` without its reports, hints and progress bars: what matters of them is said here, in a sentence."""
    from transformers.utils import logging as their_logging

    logging: Any = their_logging  # it has no types
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with warnings.catch_warnings(action="ignore"):
        yield


def _decoded(value: Any) -> Any:
    """A value of a config.json with the numbers that JSON has no word for, as `transformers` writes them."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"}:
            return float(value["__float__"])
        return {key: _decoded(inner) for key, inner in value.items()}
    return [_decoded(inner) for inner in value] if isinstance(value, list) else value


def _configuration(settings: Mapping[str, Any]) -> Any:
    """The configuration object of the class, in float32 and without the cache of generation; may raise anything."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    said = {key: value for key, value in settings.items() if value is not None or key != "initializer_range"}
    with _quiet():
        built = CONFIG_MAPPING[settings["model_type"]].from_dict(_decoded(said))
    built.use_cache = False
    return built


def _read_keys(model_type: str) -> frozenset[str]:
    """Keys that the configuration class reads, but for those of every class."""
    from transformers import PreTrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    with _quiet():
        kind = CONFIG_MAPPING[model_type]
        own = set(kind().to_dict()) | set(kind.attribute_map)
        return frozenset(own - set(PreTrainedConfig().to_dict()) - {"use_cache"} | {"tie_word_embeddings"}) | _OLDER


class Transformers(GenomicModel):
    """A network of `transformers` with its vocabulary head; objective and padding are those of its line in `TYPES`.

    Random initialisation: the class's own (`_init_weights`). A checkpoint without vocabulary head loads without:
    everything but `project` works.
    """

    family = "transformers"
    objective: Literal["causal", "masked"] = "masked"
    padding: Literal["mask", "right", "equal"] = "equal"
    tokenizer = "published"
    implementation = "transformers"
    may_be_missing: ClassVar = {"esm.contact_head.": "predicts contacts of residues from attention maps"}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        _, row = _row(config)
        self.objective, self.padding = row.objective, row.padding
        self._settings = _configuration(self.settings(config))
        # Logarithms and the like, which some initialisations take, differ between processors in their last bit.
        with _quiet(), PreciseFunctions():
            self._adopt(self._class()(self._settings))
        text = self._settings
        self.width = int(text.hidden_size)
        self.vocabulary_size = int(self._network[0].get_input_embeddings().num_embeddings)
        positions = getattr(text, "max_position_embeddings", None) or UNBOUNDED
        self.max_tokens = int(positions) - (int(text.pad_token_id or 0) + 1 if row.after_padding else 0)

    @classmethod
    def blank(cls, config: Mapping[str, Any]) -> "Transformers":
        """On torch's meta device: `load_published` puts another network in its place."""
        with torch.device("meta"), WithoutDraws():
            return cls(config)

    def _class(self) -> Any:
        import transformers

        return getattr(transformers, TYPES[self.config["model_type"]].head)

    def _adopt(self, network: Any) -> None:
        """Make the parts of `network` this module's, under their own names; the whole only calls them."""
        for name in list(self._modules):
            del self._modules[name]
        body = network.base_model_prefix
        for name, part in sorted(network.named_children(), key=lambda part: part[0] != body):
            self.add_module(name, part)
        for name, parameter in network.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in network.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self._network = (network.eval(),)
        self._body_name = body
        parameters = inspect.signature(type(self._body()).forward).parameters
        self._takes_positions = "position_ids" in parameters and not TYPES[self.config["model_type"]].after_padding
        self._takes_mask = "attention_mask" in parameters

    def _body(self) -> Any:
        return self._modules[self._body_name]

    # ---- configuration

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        where = f"configuration of family '{cls.family}'"
        if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
            raise UserError(f"{where}: it must be a table of settings, each under the name of its key.")
        model_type, _ = _row(config)
        read = _read_keys(model_type)
        for key, allowed in _ONLY.items():
            switch = key in ("is_decoder", "is_encoder_decoder", "add_cross_attention")
            if config.get(key) is not None and config[key] not in allowed and (switch or key not in read):
                only = f"only {', '.join(map(repr, allowed))}" if allowed else "leave it out"
                raise UserError(f"{where}: '{key}' = {config[key]!r:.60} is not implemented ({only}).")
        for key in sorted(read & config.keys()):
            value = config[key]
            if isinstance(value, int) and not isinstance(value, bool) and not key.endswith("_token_id"):
                check_integer(where, key, value, least=-LARGEST_INTEGER)
            elif value is not None and key in ("layer_norm_eps", "rms_norm_eps", "initializer_range"):
                check_value(where, key, value)
        rows = config.get("vocab_size")
        if isinstance(rows, int) and isinstance(pad := config.get("pad_token_id"), int) and not 0 <= pad < rows:
            raise UserError(f"{where}: 'pad_token_id' = {pad} is no row of the 'vocab_size' = {rows} embeddings.")
        try:
            with torch.device("meta"), WithoutDraws(), _quiet():
                cls(config)
        except UserError:
            raise
        except Exception as error:  # the class checks itself, each in its own way
            reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
            raise UserError(
                f"{where}: model_type '{model_type}' cannot be built of it ({reason.strip():.200})."
            ) from None
        return dict(config)

    @classmethod
    def settings(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        model_type, _ = _row(config)
        read = _read_keys(model_type) - (INFORMATIONAL - {"initializer_range"})
        kept = {key: value for key, value in config.items() if key in read or key.endswith("_token_id")}
        return {"model_type": model_type} | kept

    @classmethod
    def unread(cls, config: Mapping[str, Any]) -> list[str]:
        """Keys that say something, and that the class does not read."""
        model_type, _ = _row(config)
        known = _read_keys(model_type) | INFORMATIONAL | set(_ONLY)
        off: tuple[Any, ...] = (None, False, 0, "", [], {})
        odd = (
            key for key, value in config.items() if key not in known and not key.startswith("_") and value not in off
        )
        return sorted(key for key in odd if not key.endswith("_token_id"))

    # ---- running

    def _run(self, input_ids: Tensor, attention_mask: Tensor | None, every: bool = False) -> Any:
        self._check_length(input_ids)
        body, given = self._body(), {}
        if getattr(self._settings, "attention_type", None) == "block_sparse":
            body.set_attention_type("block_sparse")  # one short input would turn it off for all that follow
        if attention_mask is not None and self._takes_mask:
            mask = attention_mask.long()
            given["attention_mask"] = mask
            if self._takes_positions:
                # Counted from the first valid token: padding on the left must not move the others.
                places = torch.arange(mask.shape[1], device=mask.device)
                given["position_ids"] = (places - mask.argmax(1, keepdim=True)).clamp(min=0)
        return body(input_ids=input_ids.long(), **given, output_hidden_states=every, return_dict=True)

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[Tensor]:
        states = self._run(input_ids, attention_mask, every=True).hidden_states
        return [state[:, : input_ids.shape[1]] for state in states]  # big_bird fills its last block

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        hidden: Tensor = self._run(input_ids, attention_mask).last_hidden_state
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        """The class's own way from its last state to the logits."""
        body = self._body()
        body.forward = lambda *_, **__: _Answer((hidden,))
        try:
            logits: Tensor = self._network[0](input_ids=hidden.new_zeros(hidden.shape[:2], dtype=torch.long)).logits
        finally:
            del body.forward
        return logits

    def embedding_names(self) -> list[str]:
        table = self._body().get_input_embeddings().weight
        names = (name for name, tensor in self.state_dict(keep_vars=True).items() if tensor is table)
        return [next(names)]

    # ---- weights

    def is_head(self, name: str) -> bool:
        return not name.startswith(f"{self._body_name}.")

    def load_published(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """As `transformers` loads them into the class, but strictly; see `GenomicModel.load_published`."""
        tensors = bare_names(tensors)
        own, shared = self.state_dict(), self.shared_names()
        for name, tensor in tensors.items():
            if name in own:
                check_tensor(where, name, tensor, own[name])
            if shared.get(name) in tensors and not same_tensor(tensor, tensors[shared[name]]):
                raise UserError(
                    f"{where}: '{shared[name]}' and '{name}' are one shared tensor in this architecture, but the file "
                    "holds two different ones."
                )
        network, said = self._load(tensors, where)
        if said["mismatched_keys"] and (lacking := self._lacking(tensors)):
            raise UserError(f"{where}: tensor '{lacking}' is missing; is this a whole checkpoint?")
        for name, given, wanted in sorted(said["mismatched_keys"]):
            raise UserError(
                f"{where}: tensor '{name}' has shape {list(given)}, the configuration asks for {list(wanted)}; the "
                "weights and config.json do not belong together."
            )
        missing = {name for name in said["missing_keys"] if not any(name.startswith(p) for p in self.may_be_missing)}
        # Which names a class does not want is the class's to say; a name of its body is none of a head.
        unexpected = {name for name in said["unexpected_keys"] if not any(w in name for w in WITHOUT_EFFECT)}
        self._adopt(network)
        self.settle(where, missing, unexpected)
        with torch.no_grad():
            for name in said["missing_keys"] & self.state_dict().keys() - missing:
                self.state_dict()[name].zero_()
        for name, tensor in self.state_dict().items():
            if tensor.is_floating_point() and not tensor.is_meta and not tensor.isfinite().all():
                raise UserError(f"{where}: tensor '{name}' holds values that are not finite numbers.")

    def _load(self, tensors: Mapping[str, Tensor], where: str) -> tuple[Any, dict[str, Any]]:
        """The network with these tensors, and what `transformers` says of them; without numbers if they have none."""
        place: dict[str, Any] = {}
        if any(tensor.is_meta for tensor in tensors.values()):
            tensors = {name: torch.zeros(1, dtype=t.dtype).expand(t.shape) for name, t in tensors.items()}
            place = {"device_map": "meta"}
        try:
            with _quiet():
                network, said = self._class().from_pretrained(
                    None,
                    config=_configuration(self.settings(self.config)),
                    state_dict=dict(tensors),
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                    dtype=torch.float32,
                    **place,
                )
        except (RuntimeError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            if lacking := self._lacking(tensors):
                reason = f"tensor '{lacking}' is missing"
            said_type = self.config["model_type"]
            raise UserError(f"{where}: {reason:.200}; is this a checkpoint of model_type {said_type}?") from None
        for parameter in network.parameters():  # else in the file's memory, wherever that lies
            parameter.data = parameter.data.clone()
        return network, said

    def _lacking(self, tensors: Mapping[str, Tensor]) -> str | None:
        """The first tensor, by its name in files, that experts lack."""
        numbered = re.compile(r"(.*\.experts\.)(\d+)(\..*)")
        parts = [match.groups() for name in sorted(tensors) if (match := numbered.fullmatch(name))]
        numbers, ends = {number for _, number, _ in parts}, {end for *_, end in parts}
        every = product(sorted({start for start, *_ in parts}), sorted(numbers), sorted(ends))
        return next((name for name in map("".join, every) if name not in tensors), None)
