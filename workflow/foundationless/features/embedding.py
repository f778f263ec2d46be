"""Frozen features: sequences in, one vector per sequence and pooling out (paper, "Biotype", "Ancestry", Fig 6a).

A sequence that fits the model is read in its official encoding, special tokens included, and the special tokens are
not pooled. A longer one is tokenised without special tokens and cut into chunks of the model's maximum; every chunk is
pooled, and the sequence's vector is the mean over its chunks. (The study tokenised without special tokens always in its
biotype code; the command `embed` does so with weights of protocol `paper`.) Identical inputs run through the network
once.

Memory is that of one batch of `token_budget` tokens, whatever their number and the sequences' lengths, and besides it
one or two bytes per distinct token and the vectors. The vocabulary projection is never computed.

Poolings: `max`, `mean` (over the tokens that stand for nucleotides), `cls` (the study's "cls/last": the [CLS] token
where the encoding starts with one and the model is bidirectional, otherwise the last token, which has seen all others)
and `site` (mean over the tokens that cover given nucleotides).
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from foundationless.models.batching import collate, token_batches
from foundationless.errors import UserError
from foundationless.runtime.signals import termination

if TYPE_CHECKING:
    from foundationless.models import Weights
    from foundationless.models.tokenizers import Tokenizer
    from foundationless.features.embedding_checkpoint import Shards

POOLINGS = ("max", "mean", "cls", "site")
# Numbers of a batch's hidden states (tokens × width) beyond which a CPU only gets slower: what its caches hold.
# Measured for widths 128 to 1280; batches of 16,384 tokens take 1.3 to 1.8 times as long.
CACHED = 1 << 19


def pool(hidden: Tensor, mask: Tensor, method: str) -> Tensor:
    """Pool hidden states over the tokens that count.

    Args:
        hidden: [batch, tokens, width].
        mask: [batch, tokens]; non-zero where a token counts. Padding never counts; for `max` and `mean` special
            tokens should not either.
        method: `max`, `mean`, `first` or `last` (the first or last token that counts).

    Returns:
        [batch, width], float32 or wider: bfloat16 states are summed, and tokens counted, in float32. Every row of
        `mask` must hold at least one token that counts.
    """
    counts = mask.bool()
    precise = torch.promote_types(hidden.dtype, torch.float32)
    if method == "max":
        return hidden.masked_fill(~counts.unsqueeze(-1), -torch.inf).amax(dim=1).to(precise)
    if method == "mean":
        # masked_fill, not a product: what stands in padding may be infinite, and 0 × inf is NaN
        total = hidden.masked_fill(~counts.unsqueeze(-1), 0).sum(dim=1, dtype=precise)
        return total / counts.sum(dim=1, keepdim=True)
    if method == "first":
        index = counts.int().argmax(dim=1)
    elif method == "last":
        index = counts.shape[1] - 1 - counts.flip(1).int().argmax(dim=1)
    else:
        raise ValueError(f"unknown pooling '{method}'")
    return hidden[torch.arange(len(hidden), device=hidden.device), index].to(precise)


def choose_device(name: str) -> torch.device:
    """Device for `auto` (CUDA if present), `cpu`, `cuda` or `cuda:N`; one that is not there is a `UserError`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: no such device; use auto, cpu, cuda or cuda:N.") from None
    if device.type not in {"cpu", "cuda"}:
        raise UserError(f"--device {name}: this program runs on cpu and cuda; use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"--device {name}: this machine has no such CUDA device; use --device cpu.")
    return device


def run_network(
    weights: "Weights",
    inputs: Sequence[np.ndarray],
    handle: Callable[[np.ndarray, Tensor, Tensor, Tensor], Callable[[], None] | None],
    *,
    token_budget: int,
    device: str | torch.device,
    precision: str,
    label: str = "embedding",
    done: int = 0,
    after: Callable[[int], None] | None = None,
) -> None:
    """Run token ids through the network in batches and hand every batch to `handle(rows, ids, mask, hidden)`.

    Memory: that of one batch's forward pass, whatever the number of inputs and their lengths.

    Args:
        weights: model and tokenizer; the model is moved to `device` and set to evaluation.
        inputs: token ids, each [tokens]; any integer type.
        handle: gets positions in `inputs`, their padded ids and padding mask [batch, tokens], and the hidden states
            [batch, tokens, width], in bfloat16 or float32 as the network leaves them; runs outside autocast. It may
            start copies to the host (`non_blocking`) and return a function that uses them: that one is called when
            they have arrived, the device being busy with the next batch already.
        token_budget: tokens of a batch, padding included; an input longer than that is a batch of its own. On a CPU
            at most what its caches hold. Halved, with a message, when CUDA memory is short.
        device: as `choose_device` understands it.
        precision: `fp32`, or `bf16` (autocast).
        label: name on the progress bar.
        done: how many inputs, in the order in which they run (longest first), were handled before and are left out; on
            a CPU the batches that follow are those of a run that began at 0.
        after: called with their number, `done` included, whenever a batch is finished.
    """
    place = choose_device(str(device))
    cuda = place.type == "cuda"
    model = weights.model.to(place).eval()
    lengths = np.array([len(ids) for ids in inputs], dtype=np.int64)
    # Models that the study gave no mask see padding under its protocol, and it embedded sequences one by one.
    equal = model.padding == "equal" or (model.protocol == "paper" and not model.study_masked)
    if (longest := int(lengths.max(initial=0))) > token_budget:
        tqdm.write(
            f"{label}: an input of {longest} tokens exceeds --token-budget {token_budget}; it runs by itself.",
            sys.stderr,
        )

    def run(rows: np.ndarray) -> Callable[[], None]:
        """Put one batch through network and `handle`; what remains to be done once its results are on the host."""
        ids, mask = collate([inputs[row] for row in rows], weights.tokenizer.pad_id)
        if cuda:
            ids, mask = (part.pin_memory().to(place, non_blocking=True) for part in (ids, mask))
        # Attention without a mask is faster and needs no memory that grows with the square of the length.
        padded = model.padding == "mask" and lengths[rows[-1]] < lengths[rows[0]]
        hidden = model.encode(ids, mask if padded else None)
        with torch.autocast(place.type, enabled=False):
            following = handle(rows, ids, mask, hidden)
        arrived = torch.cuda.current_stream(place).record_event() if cuda else None

        def finish() -> None:
            nonlocal done
            if arrived is not None:
                arrived.synchronize()
            if following is not None:
                following()
            done += len(rows)
            if after is not None:
                after(done)

        return finish

    if not cuda:
        token_budget = min(token_budget, CACHED // model.width)
    order = np.concatenate([np.zeros(0, dtype=np.int64), *token_batches(lengths, token_budget, equal)])[done:]
    todo = [order[batch] for batch in token_batches(lengths[order], token_budget, equal)]
    finish: Callable[[], None] | None = None
    interval = 0.1 if sys.stderr.isatty() else 10
    with (
        tqdm(total=int(lengths[order].sum()), desc=label, unit="tok", unit_scale=True, mininterval=interval) as bar,
        # Autocast keeps its bfloat16 weights until it is left, hence one context around all batches; under
        # inference_mode it would keep none, hence no_grad.
        torch.no_grad(),
        torch.autocast(place.type, torch.bfloat16, precision == "bf16"),
    ):
        while todo:
            rows = todo[0]
            try:
                following = run(rows)
            except torch.cuda.OutOfMemoryError:
                if len(rows) == 1:
                    raise UserError(
                        f"{label}: one input of {len(inputs[rows[0]])} tokens does not fit the GPU's memory; "
                        "use --precision bf16, a smaller --max-tokens or --device cpu."
                    ) from None
                torch.cuda.empty_cache()
                token_budget = max(1, min(token_budget, int(lengths[rows].max()) * len(rows)) // 2)
                left = np.concatenate(todo)
                todo = [left[batch] for batch in token_batches(lengths[left], token_budget, equal)]
                tqdm.write(f"{label}: GPU memory is short; going on with --token-budget {token_budget}.", sys.stderr)
                continue
            todo.pop(0)
            if finish is not None:
                finish()
            finish = following
            bar.update(int(lengths[rows].sum()))
        if finish is not None:
            finish()


@dataclass(frozen=True)
class Chunks:
    """Distinct network inputs of some sequences, and who owns them.

    `inputs` are token ids in the smallest integer type that holds the vocabulary; `special` says, per input, whether it
    carries special tokens (a whole sequence) or not (a chunk). `owners[i]` lists (sequence, times) of input i, and
    `parts[s]` is the number of chunks of sequence s. `tokens` counts tokens before identical inputs were merged.
    """

    sequences: Sequence[str]
    inputs: list[np.ndarray]
    special: list[bool]
    owners: list[dict[int, int]]
    parts: np.ndarray
    tokens: int

    @property
    def unique_fraction(self) -> float:
        """Tokens that run through the network over tokens of all sequences (1: nothing repeats)."""
        return sum(map(len, self.inputs)) / max(self.tokens, 1)


def cut_sequences(
    weights: "Weights", sequences: Sequence[str], max_tokens: int | None = None, special: bool = True
) -> Chunks:
    """Tokenise sequences and cut those that exceed `max_tokens` (default and upper bound: the model's maximum).

    Without `special` tokens, as the study tokenised for its biotypes, a sequence that fits is a chunk like any other.
    Memory: two bytes per distinct token for vocabularies up to 65,536, one up to 256. Raises `UserError` for a sequence
    without tokens and for `max_tokens` outside 1…model maximum.
    """
    limit = weights.model.max_tokens if max_tokens is None else max_tokens
    if not 1 <= limit <= weights.model.max_tokens:
        raise UserError(
            f"--max-tokens {limit}: the model reads 1 to {weights.model.max_tokens} tokens; choose among them."
        )
    tokenizer = weights.tokenizer
    dtype = np.min_scalar_type(max(tokenizer.size - 1, int(tokenizer.pad_id), *map(int, tokenizer.special_ids)))
    merged: dict[bytes, int] = {}
    cut: dict[str, list[int]] = {}
    inputs: list[np.ndarray] = []
    carries: list[bool] = []
    owners: list[dict[int, int]] = []
    parts = np.ones(len(sequences), dtype=np.int64)
    tokens = 0
    for index, sequence in enumerate(sequences):
        if sequence not in cut:
            ids, whole = tokenizer.encode(sequence, special=special), special
            if whole and len(ids) > limit:
                ids, whole = tokenizer.encode(sequence, special=False), False
            if not len(ids):
                raise UserError(f"sequence {index + 1} has no tokens; leave empty sequences out of the set.")
            cut[sequence] = []
            for start in range(0, len(ids), limit):
                part = ids[start : start + limit].astype(dtype)
                key = blake2b(part.tobytes(), digest_size=16, key=b"whole" if whole else b"chunk").digest()
                place = merged.setdefault(key, len(inputs))
                if place == len(inputs):
                    inputs.append(part)
                    carries.append(whole)
                    owners.append({})
                cut[sequence].append(place)
        for place in cut[sequence]:
            owners[place][index] = owners[place].get(index, 0) + 1
            tokens += len(inputs[place])
        parts[index] = len(cut[sequence])
    return Chunks(sequences, inputs, carries, owners, parts, tokens)


def special_mask(tokenizer: "Tokenizer", ids: np.ndarray) -> np.ndarray:
    """Bool [tokens]: which tokens are special and stand for no nucleotide ([UNK] stands for one)."""
    return np.isin(ids, sorted(tokenizer.special_ids - {tokenizer.unknown_id}))


def site_tokens(
    tokenizer: "Tokenizer", sequence: str, ids: np.ndarray, sites: Sequence[int], special: bool = True
) -> np.ndarray:
    """Positions of the tokens of a sequence's encoding `ids`, made with or without `special` tokens, that cover any of
    the 0-based `sites`."""
    spans = tokenizer.spans(np.asarray(ids, dtype=np.int64), special, sequence)
    covers = np.zeros(len(spans), dtype=bool)
    ordered = np.unique(np.asarray(sites, dtype=np.int64))
    real = spans[:, 0] >= 0
    covers[real] = np.searchsorted(ordered, spans[real, 0]) < np.searchsorted(ordered, spans[real, 1])
    return np.flatnonzero(covers)


def embed_chunks(
    weights: "Weights",
    chunks: Chunks,
    poolings: Sequence[str],
    *,
    token_budget: int,
    device: str | torch.device,
    precision: str,
    sites: Sequence[Sequence[int]] | None = None,
    shards: "Shards | None" = None,
) -> dict[str, np.ndarray]:
    """Embed what `cut_sequences` cut; arguments, result and errors as in `embed_sequences`.

    With `shards` what they hold is not computed again, and SIGTERM and SIGUSR1 end the process after the batch.
    """
    unknown = sorted(set(poolings) - set(POOLINGS))
    if unknown or not poolings:
        raise UserError(f"pooling '{', '.join(unknown)}': choose among {', '.join(POOLINGS)}.")
    whole = sorted({"cls", "site"} & set(poolings))
    if whole and chunks.parts.max(initial=1) > 1:
        raise UserError(
            f"sequence {int(chunks.parts.argmax()) + 1} exceeds the model's maximum, and {' and '.join(whole)} pooling "
            "needs whole sequences; shorten the sequences or pool by max or mean."
        )
    if "site" in poolings and (sites is None or len(sites) != len(chunks.parts)):
        raise UserError("site pooling needs a list of sites for every sequence; the set has none.")
    tokenizer = weights.tokenizer
    total = {name: np.zeros((len(chunks.parts), weights.model.width), dtype=np.float32) for name in poolings}
    # Per token id, padding included: does it stand for nucleotides?
    rows_of_table = 1 + max(weights.model.vocabulary_size - 1, tokenizer.size - 1, *tokenizer.special_ids)
    counted = torch.from_numpy(~special_mask(tokenizer, np.arange(rows_of_table)))

    def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> Callable[[], None]:
        valid = mask.bool()
        counts = valid & counted.to(ids.device)[ids]
        counts |= valid & ~counts.any(dim=1, keepdim=True)  # nothing but special tokens: they are what there is
        owned = [list(chunks.owners[row].items()) for row in rows]
        members = np.array([sequence for items in owned for sequence, _ in items])
        times = np.array([count for items in owned for _, count in items])
        batch = np.repeat(np.arange(len(rows)), [len(items) for items in owned])
        share = (times / chunks.parts[members]).astype(np.float32)[:, None]
        found = {}
        for name in poolings:
            if name == "site":
                pooled = torch.stack([site_mean(hidden[i], rows[i], m) for i, m in zip(batch, members, strict=True)])
            elif name == "cls":
                first = tokenizer.cls_id if weights.model.objective == "masked" else None
                starts = ids[:, :1] == (-1 if first is None else first)
                pooled = torch.where(starts, pool(hidden, mask, "first"), pool(hidden, mask, "last"))
            else:
                pooled = pool(hidden, counts, name)
            found[name] = pooled.to("cpu", non_blocking=True)

        def add() -> None:
            for name, pooled in found.items():
                values = pooled.numpy() if name == "site" else pooled.numpy()[batch]
                np.add.at(total[name], members, values * share)
            if shards is not None:
                shards.touch(members)

        return add

    def site_mean(hidden: Tensor, row: int, member: int) -> Tensor:
        assert sites is not None
        ids = chunks.inputs[row]
        places = site_tokens(tokenizer, chunks.sequences[member], ids, sites[member], chunks.special[row])
        if not len(places):
            raise UserError(f"sequence {member + 1}: no token covers its sites; give sites inside the sequence.")
        return hidden[torch.from_numpy(places).to(hidden.device)].float().mean(dim=0)

    compute: dict[str, Any] = {"token_budget": token_budget, "device": device, "precision": precision}
    if shards is None:
        run_network(weights, chunks.inputs, handle, **compute)
        return total
    keep, done = shards.after, shards.resume(total)
    with termination() as terminated:
        run_network(weights, chunks.inputs, handle, **compute, done=done, after=lambda n: keep(n, terminated.is_set()))
    return total


def embed_sequences(
    weights: "Weights",
    sequences: Sequence[str],
    poolings: Sequence[str],
    *,
    token_budget: int,
    device: str | torch.device,
    precision: str,
    max_tokens: int | None = None,
    sites: Sequence[Sequence[int]] | None = None,
) -> dict[str, np.ndarray]:
    """One vector per sequence and pooling.

    Args:
        weights: model and tokenizer.
        sequences: n sequences over A, C, G, T, N.
        poolings: of `max`, `mean`, `cls`, `site`; the last two only where every sequence fits the model.
        token_budget: tokens of a batch, padding included.
        device: as `choose_device` understands it.
        precision: `fp32` or `bf16`.
        max_tokens: length above which a sequence is cut, and length of its chunks; default the model's maximum.
        sites: for `site`, the 0-based nucleotides of each sequence whose tokens are averaged.

    Returns:
        {pooling: float32 [n, width]}; the vectors do not depend on batch mates or budget (within rounding).
    """
    chunks = cut_sequences(weights, sequences, max_tokens)
    return embed_chunks(
        weights, chunks, poolings, token_budget=token_budget, device=device, precision=precision, sites=sites
    )
