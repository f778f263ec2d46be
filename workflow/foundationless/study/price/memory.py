"""How much memory fine-tuning takes where the network lies: on a GPU, or of the host. Standard library only.

Of P weights, of which T are trained (`trainable`), a job holds in bytes:

    weights      4 T + 4 of each frozen one, 2 of those in linear maps with `weight_precision: bf16`
    gradients    4 T
    moments      8 T                                   AdamW's two
    copies       8 T                                   where every run begins, and the best epoch's
    casts        2 of each weight of a linear map      what autocast rounds in a pass, with `precision: bf16`
    activations  tokens of a pass × (sum of what blocks keep + what one block has at hand)

A block keeps `KEPT` bytes of a token for the backward pass, its input alone with `gradient_checkpointing`, and nothing
below the lowest weight that is trained. Reading the checkpoint takes 4 P once. `tests/benchmarks/finetuning_memory.md`
sets these numbers beside measured peaks; none was measured on a GPU, for which `SLACK` and `CONTEXT` are added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foundationless.study.families import depth_of, width_of
from foundationless.study.plan import USUAL, Model
from foundationless.study.price.trained import graph_blocks, trained_as
from foundationless.study.price.workload import CLASSES, Workload

# Parameters that a GPU of 80 GB trains whole (26 bytes each are half of it), and without computing blocks again.
LARGEST_WHOLE, LARGEST_KEPT = 1.5e9, 6e8
SLACK, CONTEXT = 1.1, 1e9  # of a GPU: what the allocator cannot use, and bytes of libraries and kernels
# Bytes that a block keeps of a token: (of each unit of width, of each unit of the inner width) in float32 and under
# bfloat16 autocast; measured as what autograd saves, differences between networks of one and two blocks.
KEPT: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "hyenadna": ((87, 8), (68, 4.5)),
    "caduceus": ((151, 0), (131, 0)),
    "mistral": ((56, 16), (43, 9)),
    "nt_v1": ((48, 16), (33, 9)),
    "nt_v2": ((37, 16), (24, 9)),
    "dnabert2": ((36, 20), (23, 11)),
    "gena_lm": ((40, 8), (25, 4.5)),
    "bert": ((40, 8), (25, 4.5)),
    "cnn": ((12, 0), (7.5, 0)),
    "dilated_cnn": ((24, 0), (13, 0)),
}
OTHER = ((60, 20), (45, 11))
HAND, FORWARD = 0.35, 0.6  # of what a block keeps: at hand in a backward pass, and in a pass without gradients
STREAM = {"caduceus": 8}  # bytes of a token and unit of width that a block reads, where it is not one float32 number
BIASED = {"dnabert2": 1}  # tensors [heads, tokens] of each token that blocks share, where a batch has padding
CONVOLUTIONS = ("cnn", "dilated_cnn", "gpn")  # whose weights are in no linear maps, mostly
_INNER = ("intermediate_size", "d_inner", "n_inner", "ffn_dim")


@dataclass(frozen=True)
class Memory:
    """Bytes, and `tokens` of a pass."""

    weights: float
    gradients: float
    moments: float
    copies: float
    casts: float
    activations: float
    reading: float
    tokens: float

    @property
    def total(self) -> float:
        """At most at once: while the checkpoint is read, or in a step."""
        held = self.weights + self.gradients + self.moments + self.copies + self.casts + self.activations
        return max(self.reading, held)

    @property
    def on_gpu(self) -> float:
        """The same with what a GPU needs besides."""
        return SLACK * self.total + CONTEXT

    def describe(self) -> str:
        """Its parts in words, in GB."""
        names = ("weights", "gradients", "moments", "copies", "casts", "activations")
        parts = ", ".join(f"{name} {getattr(self, name) / 1e9:.1f}" for name in names)
        return f"{parts}, {self.tokens:,.0f} tokens a pass"


def kept_of_token(model: Model, precision: str) -> float:
    """Bytes that a block keeps of a token."""
    width = width_of(model.config)
    inner = float(next((model.config[key] for key in _INNER if model.config.get(key)), 4 * width))
    outer, within = KEPT.get(model.family, OTHER)[precision == "bf16"]
    return outer * _states(model) + within * inner


def _states(model: Model) -> int:
    """Width of a state: Caduceus has two strands of its `d_model`."""
    return width_of(model.config) * (2 if model.family == "caduceus" else 1)


def trained_weights(model: Model, count: float, settings: Mapping[str, Any], heads: float = CLASSES) -> float:
    """Numbers that are trained, those of the `heads` (a class or an output each) included; of adapters at most.

    An adapter of a map with n inputs and m outputs has rank (n + m) numbers, and n + m <= 2 n m / width where neither
    is less than the width.
    """
    width, depth = _states(model), depth_of(model.config)
    body, head = _body(model, count), float(heads * width)
    trained = trained_as(settings)
    if trained == "all":
        return count + head
    if trained == "lora":
        return float(settings["lora"]["rank"]) * 2 * body / width_of(model.config) + head
    return graph_blocks({**settings, "unfreeze": 0}, depth, 0) / depth * body + head


def _body(model: Model, count: float) -> float:
    """Weights of the blocks: all but the tables of tokens, before and behind them."""
    return max(count - 2.0 * float(model.config.get("vocab_size") or 0) * width_of(model.config), 0.1 * count)


def finetuning_memory(workload: Workload, analysis: str, task: str, model: Model) -> Memory:
    """Of a fine-tuning job of the study; its sequences taken to be as long as the mean of their set."""
    plan, rows = workload.plan, workload.rows(task)
    settings, precision = plan.finetuning(task, analysis, model.name), plan.precision(model.name, "finetuning")
    longest = workload.tokens(model, rows["length"])[1]
    count, heads = workload.parameters(model), float(workload.outputs(task) or CLASSES)
    return memory_of(model, count, settings, precision, longest, rows["validation"], heads)


def memory_of(
    model: Model,
    count: float,
    settings: Mapping[str, Any],
    precision: str,
    longest: float,
    read: float,
    heads: float = CLASSES,
) -> Memory:
    """Of one run at a time.

    Args:
        model: family and configuration are read.
        count: its parameters.
        settings: as `Plan.finetuning` gives them.
        precision: `fp32` or `bf16`.
        longest: tokens of a sequence.
        read: sequences that are validated on.
        heads: classes or outputs.
    """
    depth, body = depth_of(model.config), _body(model, count)
    trained = trained_weights(model, count, settings, heads)
    adapted = trained_as(settings) == "lora"
    frozen = count if adapted else max(0.0, count - trained)
    mapped = 0.0 if model.family in CONVOLUTIONS else body  # in linear maps
    lowered = min(mapped, frozen) if "weight_precision" in settings else 0.0
    blocks = graph_blocks(settings, depth, int(settings["epochs"]) - 1)
    recomputed, one = bool(settings.get("gradient_checkpointing")), 1 / depth
    casts = 2 * (mapped - lowered) * (one if recomputed else max(one, blocks / depth)) if precision == "bf16" else 0.0
    budget = float(settings.get("token_budget", USUAL["token_budget"]))
    tokens = max(longest, min(budget, settings["batch_size"] * longest))
    kept = kept_of_token(model, precision)
    of_token = (HAND + blocks) * kept if blocks else FORWARD * kept
    if recomputed and blocks:
        of_token = (1 + HAND) * kept + blocks * STREAM.get(model.family, 4) * width_of(model.config)
    attending = int(model.config.get("num_attention_heads") or 0)
    of_token += BIASED.get(model.family, 0) * (2 if precision == "bf16" else 4) * attending * longest
    activations = max(tokens * of_token, max(longest, min(budget, read * longest)) * FORWARD * kept)
    weights = 4 * (trained + frozen) - 2 * lowered
    return Memory(weights, 4 * trained, 8 * trained, 8 * trained, casts, activations, 4 * count, tokens)
