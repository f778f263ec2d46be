"""Frozen features: sequences in, one vector per sequence and pooling out (paper, "Biotype", "Ancestry", Fig 6a).

A sequence that fits the model is read in its official encoding, special tokens included, and the special tokens are
not pooled. A longer one is tokenised without special tokens and cut into chunks of the model's maximum; every chunk is
pooled, and the sequence's vector is the mean over its chunks. (The paper's biotype code never used special tokens; the
command `embed` does so with weights read `as_in_paper`.) Identical inputs run through the network
once.

With `chunks` a longer sequence is read in chunks that are encoded as sequences of their own, special tokens included
(`models.batching.cut_in_chunks`), and is pooled as if they were one input: mean and max over the tokens of all its
chunks, but for those chunks that hold nothing but N.

Memory is that of one batch of `token_budget` tokens, whatever their number and the sequences' lengths, and besides it
one or two bytes per distinct token and the vectors. The vocabulary projection is never computed. Of several layers
the vectors lie in a file without a name beside the output until they are written, so that memory does not grow with
the depth of the network but for the states of one batch.

Poolings: `max`, `mean` (over the tokens that stand for nucleotides), `cls` (the paper's "cls/last": the [CLS] token
where the encoding starts with one and the model is bidirectional, otherwise the last token, which has seen all others)
and `site` (mean over the tokens that cover given nucleotides).
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundationless.errors import UserError
from foundationless.features.embedding_checkpoint import Shards
from foundationless.features.layers import columns_of_layers, inner_layers
from foundationless.models.batching import cut_in_chunks, with_letters
from foundationless.models.inference import run_network
from foundationless.models.pooling import POOLINGS, pool, site_tokens, special_mask
from foundationless.models.tokenizers import Tokenizer
from foundationless.models.weights import Weights
from foundationless.runtime.signals import termination
from foundationless.study.vocabulary import NO_CHUNKS


@dataclass(frozen=True)
class Chunks:
    """Distinct network inputs of some sequences, and who owns them.

    `inputs` are token ids in the smallest integer type that holds the vocabulary; `special` says, per input, whether it
    carries special tokens (a whole sequence) or not (a chunk). `owners[i]` lists (sequence, times) of input i, and
    `parts[s]` is the number of chunks of sequence s. `tokens` counts tokens before identical inputs were merged.
    `counted`, where sequences are pooled over the tokens of all chunks: of each input, the tokens that are.
    """

    sequences: Sequence[str]
    inputs: list[np.ndarray]
    special: list[bool]
    owners: list[dict[int, int]]
    parts: np.ndarray
    tokens: int
    counted: np.ndarray | None = None

    @property
    def totals(self) -> np.ndarray:
        """Float64 [sequences]: by what the vectors of a sequence's chunks are divided: their number, or tokens."""
        if self.counted is None:
            return self.parts.astype(np.float64)
        totals = np.zeros(len(self.parts))
        for owned, counted in zip(self.owners, self.counted, strict=True):
            for sequence, times in owned.items():
                totals[sequence] += times * counted
        return totals

    @property
    def unique_fraction(self) -> float:
        """Tokens that run through the network over tokens of all sequences (1: nothing repeats)."""
        return sum(map(len, self.inputs)) / max(self.tokens, 1)


def cut_sequences(
    weights: Weights,
    sequences: Sequence[str],
    max_tokens: int | None = None,
    special: bool = True,
    chunks: str = NO_CHUNKS,
) -> Chunks:
    """Tokenise sequences and cut those that exceed `max_tokens` (default and upper bound: the model's maximum).

    Without `special` tokens, as the paper tokenised for its biotypes, a sequence that fits is a chunk like any other.
    With `chunks` (`mean`) every chunk has them, and chunks without a letter are left out.
    Memory: two bytes per distinct token for vocabularies up to 65,536, one up to 256. Raises `UserError` for a sequence
    without tokens and for `max_tokens` outside 1…model maximum.
    """
    limit = weights.model.max_tokens if max_tokens is None else max_tokens
    if not 1 <= limit <= weights.model.max_tokens:
        raise UserError(
            f"--max-tokens {limit}: the model reads 1 to {weights.model.max_tokens} tokens; choose among them."
        )
    tokenizer = weights.tokenizer
    pooled = _check_chunks(weights, chunks)
    dtype = np.min_scalar_type(max(tokenizer.size - 1, int(tokenizer.pad_id), *map(int, tokenizer.special_ids)))
    merged: dict[bytes, int] = {}
    cut: dict[str, list[int]] = {}
    lengths: dict[str, int] = {}
    inputs: list[np.ndarray] = []
    carries: list[bool] = []
    owners: list[dict[int, int]] = []
    parts = np.ones(len(sequences), dtype=np.int64)
    tokens = 0
    for index, sequence in enumerate(sequences):
        if sequence not in cut:
            pieces, whole = _pieces(tokenizer, sequence, limit, special, pooled)
            if not pieces:
                raise UserError(f"sequence {index + 1} has no tokens; leave empty sequences out of the set.")
            cut[sequence], lengths[sequence] = [], len(pieces)
            for part in with_letters(tokenizer, pieces) if pooled else pieces:
                part = part.astype(dtype)
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
        parts[index] = lengths[sequence]
    counted = np.array([_count(tokenizer, ids) for ids in inputs]) if pooled else None
    return Chunks(sequences, inputs, carries, owners, parts, tokens, counted)


def _check_chunks(weights: Weights, chunks: str) -> bool:
    """Whether chunks are pooled as one input; `UserError` where they cannot be."""
    if chunks == "attention":
        raise UserError(
            "--chunks attention: its query is learned, and nothing is learned in a frozen embedding; use mean here, or "
            "fine-tune."
        )
    if chunks != NO_CHUNKS and weights.model.reading == "as_in_paper":
        raise UserError(f"--chunks {chunks}: these weights are read as in the paper, which has none; leave it out.")
    return chunks != NO_CHUNKS


def _pieces(
    tokenizer: Tokenizer, sequence: str, limit: int, special: bool, pooled: bool
) -> tuple[list[np.ndarray], bool]:
    """Inputs that a sequence is cut into, and whether they carry special tokens."""
    if pooled:
        return [part for part in cut_in_chunks(tokenizer, sequence, limit) if len(part)], True
    ids, whole = tokenizer.encode(sequence, special=special), special
    if whole and len(ids) > limit:
        ids, whole = tokenizer.encode(sequence, special=False), False
    return [ids[start : start + limit] for start in range(0, len(ids), limit)], whole


def _count(tokenizer: Tokenizer, ids: np.ndarray) -> int:
    """Tokens of an input that are pooled: that stand for nucleotides, or all, if none does."""
    return int((~special_mask(tokenizer, ids)).sum()) or len(ids)


def embed_chunks(
    weights: Weights,
    chunks: Chunks,
    poolings: Sequence[str],
    *,
    sites: Sequence[Sequence[int]] | None = None,
    shards: Shards | None = None,
    layers: Sequence[int] = (),
    **compute: Any,
) -> dict[str, np.ndarray]:
    """Embed what `cut_sequences` cut; arguments, result and errors as in `embed_sequences`.

    With `shards` what they hold is not computed again, and SIGTERM and SIGUSR1 end the process after the batch.
    """
    _check_poolings(chunks, poolings, sites)
    vectors = _Vectors(weights, chunks, poolings, sites or (), shards, layers)
    compute["represent"], compute["every"] = True, bool(layers)
    if shards is None:
        run_network(weights, chunks.inputs, vectors.handle, **compute)
        return vectors.total
    keep, compute["done"] = shards.after, shards.resume(vectors.total)
    with termination() as terminated:
        compute["after"] = lambda done: keep(done, terminated.is_set())
        run_network(weights, chunks.inputs, vectors.handle, **compute)
    return vectors.total


def _check_poolings(chunks: Chunks, poolings: Sequence[str], sites: Sequence[Sequence[int]] | None) -> None:
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


def count_states(weights: Weights, chunks: Chunks) -> int:
    """States that the network has, its embedding included: seen on the shortest input."""
    model = weights.model.eval()
    ids = torch.from_numpy(min(chunks.inputs, key=len).astype(np.int64))[None]
    with torch.no_grad():
        states = model.every_state(ids.to(next(model.parameters()).device))
    if odd := [place for place, state in enumerate(states) if state.shape[-1] != model.width]:
        raise UserError(f"layer {odd[0]} has another width than the last one; embed the last layer alone.")
    return len(states)


def settle_layers(
    weights: Weights, chunks: Chunks, words: Sequence[int | str]
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The inner layers that words name, and what a file or record says of them: nothing where no word is given."""
    if not words:
        return (), {}
    last = count_states(weights, chunks) - 1
    inner = inner_layers(words, last + 1)
    return inner, {"layers": [*inner, last], "last_layer": last}


def _room(rows: int, width: int, beside: Path | None) -> np.ndarray:
    """Zeros, float32 [rows, width]: in memory, or in a file without a name in the directory `beside`.

    The file has its bytes from the start: a disk that is full says so here, and not by a signal later.
    """
    if beside is None or not rows * width:
        return np.zeros((rows, width), dtype=np.float32)
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=beside) as file:
        os.posix_fallocate(file.fileno(), 0, 4 * rows * width)
        return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))


class _Vectors:
    """The vectors of some sequences in the making: `total` {column: float32 [sequences, width]}.

    A column is a pooling of the last layer, or of an inner one of `layers` (`columns_of_layers`).
    """

    def __init__(
        self,
        weights: Weights,
        chunks: Chunks,
        poolings: Sequence[str],
        sites: Sequence[Sequence[int]],
        shards: Shards | None,
        layers: Sequence[int],
    ) -> None:
        self.weights, self.chunks, self.sites, self.shards = weights, chunks, sites, shards
        self.layers, self.poolings = layers, poolings
        self.columns = list(columns_of_layers(poolings, layers, -1))
        beside = shards.directory.parent if shards is not None and layers else None
        shape = len(chunks.parts), weights.model.width
        self.total = {name: _room(*shape, beside) for name in self.columns}
        self.largest = {"max"} if chunks.counted is not None else set()  # poolings of which the largest is kept
        self.totals = chunks.totals
        for column, name in zip(self.columns, [*poolings] * (1 + len(layers)), strict=True):
            if name in self.largest:
                self.total[column][:] = -np.inf
        tokenizer = weights.tokenizer
        # Per token id, padding included: does it stand for nucleotides?
        rows_of_table = 1 + max(weights.model.vocabulary_size - 1, tokenizer.size - 1, *tokenizer.special_ids)
        self.counted = torch.from_numpy(~special_mask(tokenizer, np.arange(rows_of_table)))

    def handle(self, rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Any) -> Callable[[], None]:
        """Pool a batch of `run_network`; what is returned adds it to the sequences that own its rows."""
        # The last state first, as the columns are.
        states = [hidden[-1], *(hidden[layer] for layer in self.layers)] if self.layers else [hidden]
        valid = mask.bool()
        counts = valid & self.counted.to(ids.device)[ids]
        counts |= valid & ~counts.any(dim=1, keepdim=True)  # nothing but special tokens: they are what there is
        owned = [list(self.chunks.owners[row].items()) for row in rows]
        members = np.array([sequence for items in owned for sequence, _ in items])
        times = np.array([count for items in owned for _, count in items])
        batch = np.repeat(np.arange(len(rows)), [len(items) for items in owned])
        if self.chunks.counted is not None:
            times = times * self.chunks.counted[rows][batch]
        share = (times / self.totals[members]).astype(np.float32)[:, None]
        pooled = []
        for state in states:
            for name in self.poolings:
                if name == "site":
                    means = [self._site_mean(state[i], rows[i], m) for i, m in zip(batch, members, strict=True)]
                    part = torch.stack(means)
                elif name == "cls":
                    tokenizer, masked = self.weights.tokenizer, self.weights.model.objective == "masked"
                    first = -1 if tokenizer.cls_id is None or not masked else tokenizer.cls_id
                    part = torch.where(ids[:, :1] == first, pool(state, mask, "first"), pool(state, mask, "last"))
                else:
                    part = pool(state, counts, name)
                pooled.append((part.to("cpu", non_blocking=True), name))

        def add() -> None:
            for column, (part, name) in zip(self.columns, pooled, strict=True):
                values = part.numpy()[batch] if name != "site" else part.numpy()
                if name in self.largest:
                    np.maximum.at(self.total[column], members, values)
                else:
                    np.add.at(self.total[column], members, values * share)
            if self.shards is not None:
                self.shards.touch(members)

        return add

    def _site_mean(self, hidden: Tensor, row: int, member: int) -> Tensor:
        sequence, ids, special = self.chunks.sequences[member], self.chunks.inputs[row], self.chunks.special[row]
        places = site_tokens(self.weights.tokenizer, sequence, ids, self.sites[member], special)
        if not len(places):
            raise UserError(f"sequence {member + 1}: no token covers its sites; give sites inside the sequence.")
        return hidden[torch.from_numpy(places).to(hidden.device)].float().mean(dim=0)


def embed_sequences(
    weights: Weights,
    sequences: Sequence[str],
    poolings: Sequence[str],
    *,
    max_tokens: int | None = None,
    sites: Sequence[Sequence[int]] | None = None,
    layers: Sequence[int] = (),
    chunks: str = NO_CHUNKS,
    **compute: Any,
) -> dict[str, np.ndarray]:
    """One vector per sequence and pooling, and per layer where any are named.

    Args:
        weights: model and tokenizer.
        sequences: n sequences over A, C, G, T, N.
        poolings: of `max`, `mean`, `cls`, `site`; the last two only where every sequence fits the model.
        max_tokens: length above which a sequence is cut, and length of its chunks; default the model's maximum.
        sites: for `site`, the 0-based nucleotides of each sequence whose tokens are averaged.
        layers: inner layers (0: the embedding) that are kept beside the last, from the same pass.
        chunks: `mean`: a sequence that is cut is pooled as if its chunks were one input; `none`: see above.
        compute: `token_budget`, `device` and `precision`, as of `run_network`.

    Returns:
        {column: float32 [n, width]}, of the last layer under the pooling's name, of inner ones as
        `names.layer_column` calls them; the vectors do not depend on batch mates or budget (within rounding).
    """
    cut = cut_sequences(weights, sequences, max_tokens, chunks=chunks)
    return embed_chunks(weights, cut, poolings, sites=sites, layers=layers, **compute)
