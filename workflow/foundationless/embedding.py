"""Frozen features: sequences in, one vector per sequence and pooling out (paper, "Biotype", "Ancestry", Fig 6a).

A sequence that fits the model is read in its official encoding, special tokens included, and the special tokens are
not pooled. A longer one is tokenised without special tokens and cut into chunks of the model's maximum; every chunk is
pooled, and the sequence's vector is the mean over its chunks. Identical inputs run through the network once.

Poolings: `max`, `mean` (over the tokens that stand for nucleotides), `cls` (the study's "cls/last": the [CLS] token
where the encoding starts with one and the model is bidirectional, otherwise the last token, which has seen all others)
and `site` (mean over the tokens that cover given nucleotides).
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from tqdm import tqdm

from foundationless.batching import collate, token_batches
from foundationless.errors import UserError
from foundationless.files import atomic_path

if TYPE_CHECKING:
    from foundationless.models import Weights
    from foundationless.models.tokenizers import Tokenizer

POOLINGS = ("max", "mean", "cls", "site")
METADATA = b"foundationless"


def pool(hidden: Tensor, mask: Tensor, method: str) -> Tensor:
    """Pool hidden states over the tokens that count.

    Args:
        hidden: [batch, tokens, width].
        mask: [batch, tokens]; non-zero where a token counts. Padding never counts; for `max` and `mean` special
            tokens should not either.
        method: `max`, `mean`, `first` or `last` (the first or last token that counts).

    Returns:
        [batch, width]. Every row of `mask` must hold at least one token that counts.
    """
    counts = mask.bool()
    if method == "max":
        return hidden.masked_fill(~counts.unsqueeze(-1), -torch.inf).amax(dim=1)
    if method == "mean":
        weight = counts.unsqueeze(-1).to(hidden.dtype)
        # masked_fill, not a product: what stands in padding may be infinite, and 0 × inf is NaN
        return hidden.masked_fill(~counts.unsqueeze(-1), 0).sum(dim=1) / weight.sum(dim=1)
    if method == "first":
        index = counts.int().argmax(dim=1)
    elif method == "last":
        index = counts.shape[1] - 1 - counts.flip(1).int().argmax(dim=1)
    else:
        raise ValueError(f"unknown pooling '{method}'")
    return hidden[torch.arange(len(hidden), device=hidden.device), index]


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
    handle: Callable[[np.ndarray, Tensor, Tensor], None],
    *,
    token_budget: int,
    device: str | torch.device,
    precision: str,
    label: str = "embedding",
) -> None:
    """Run token ids through the network in batches and hand every batch to `handle(rows, hidden, mask)`.

    Args:
        weights: model and tokenizer; the model is moved to `device` and set to evaluation.
        inputs: token ids, each [tokens]; any integer type.
        handle: gets positions in `inputs`, float32 hidden states [batch, tokens, width] and the padding mask.
        token_budget: tokens of a batch, padding included. Halved, with a message, when CUDA memory is short.
        device: as `choose_device` understands it.
        precision: `fp32`, or `bf16` (autocast).
        label: name on the progress bar.
    """
    place = choose_device(str(device))
    model = weights.model.to(place).eval()
    lengths = np.array([len(ids) for ids in inputs], dtype=np.int64)
    equal = model.padding == "equal"
    todo = token_batches(lengths, token_budget, equal)
    interval = 0.1 if sys.stderr.isatty() else 10
    with tqdm(total=int(lengths.sum()), desc=label, unit="tok", unit_scale=True, mininterval=interval) as bar:
        while todo:
            rows = todo[0]
            ids, mask = collate([inputs[row].astype(np.int64) for row in rows], weights.tokenizer.pad_id)
            try:
                with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, precision == "bf16"):
                    ids, mask = ids.to(place), mask.to(place)
                    hidden = model.encode(ids, mask if model.padding == "mask" else None)
                with torch.inference_mode():
                    handle(rows, hidden.float(), mask)
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
            bar.update(int(lengths[rows].sum()))


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


def cut_sequences(weights: "Weights", sequences: Sequence[str], max_tokens: int | None = None) -> Chunks:
    """Tokenise sequences and cut those that exceed `max_tokens` (default and upper bound: the model's maximum).

    Memory: at most two bytes per distinct token for vocabularies up to 65,536, one up to 256. Raises `UserError` for a
    sequence without tokens and for `max_tokens` outside 1…model maximum.
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
    special: list[bool] = []
    owners: list[dict[int, int]] = []
    parts = np.ones(len(sequences), dtype=np.int64)
    tokens = 0
    for index, sequence in enumerate(sequences):
        if sequence not in cut:
            ids, whole = tokenizer.encode(sequence), True
            if len(ids) > limit:
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
                    special.append(whole)
                    owners.append({})
                cut[sequence].append(place)
        for place in cut[sequence]:
            owners[place][index] = owners[place].get(index, 0) + 1
            tokens += len(inputs[place])
        parts[index] = len(cut[sequence])
    return Chunks(sequences, inputs, special, owners, parts, tokens)


def special_mask(tokenizer: "Tokenizer", ids: np.ndarray) -> np.ndarray:
    """Bool [tokens]: which tokens are special and stand for no nucleotide ([UNK] stands for one)."""
    return np.isin(ids, sorted(tokenizer.special_ids - {tokenizer.unknown_id}))


def site_tokens(tokenizer: "Tokenizer", sequence: str, ids: np.ndarray, sites: Sequence[int]) -> np.ndarray:
    """Positions of the tokens of a sequence's official encoding `ids` that cover any of the 0-based `sites`."""
    spans = tokenizer.spans(np.asarray(ids, dtype=np.int64), sequence=sequence)
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
) -> dict[str, np.ndarray]:
    """Embed what `cut_sequences` cut; arguments, result and errors as in `embed_sequences`."""
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
    total = {name: np.zeros((len(chunks.parts), weights.model.width)) for name in poolings}

    def handle(rows: np.ndarray, hidden: Tensor, mask: Tensor) -> None:
        counts = mask.bool()
        for index, row in enumerate(rows):
            if chunks.special[row]:
                ids = chunks.inputs[row]
                special = special_mask(tokenizer, ids)
                if not special.all():
                    counts[index, : len(ids)] &= ~torch.from_numpy(special).to(counts.device)
        owned = [list(chunks.owners[row].items()) for row in rows]
        members = np.array([sequence for items in owned for sequence, _ in items])
        times = np.array([count for items in owned for _, count in items])
        batch = np.repeat(np.arange(len(rows)), [len(items) for items in owned])
        share = (times / chunks.parts[members])[:, None]
        shares = {}
        for name in poolings:
            if name == "site":
                pooled = torch.stack([site_mean(hidden[i], rows[i], m) for i, m in zip(batch, members, strict=True)])
                shares[name] = pooled.cpu().numpy()
                continue
            if name == "cls":
                starts = weights.model.objective == "masked" and int(chunks.inputs[rows[0]][0]) == tokenizer.cls_id
                pooled = pool(hidden, mask, "first" if starts else "last")
            else:
                pooled = pool(hidden, counts, name)
            shares[name] = pooled.cpu().numpy()[batch] * share
        for name, values in shares.items():  # only now: a batch that ran out of memory must not count twice
            np.add.at(total[name], members, values)

    def site_mean(hidden: Tensor, row: int, member: int) -> Tensor:
        assert sites is not None
        places = site_tokens(tokenizer, chunks.sequences[member], chunks.inputs[row], sites[member])
        if not len(places):
            raise UserError(f"sequence {member + 1}: no token covers its sites; give sites inside the sequence.")
        return hidden[torch.from_numpy(places).to(hidden.device)].mean(dim=0)

    run_network(weights, chunks.inputs, handle, token_budget=token_budget, device=device, precision=precision)
    return {name: values.astype(np.float32) for name, values in total.items()}


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


def write_embeddings(path: Path, ids: Sequence[str], vectors: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write `id` and one fixed-size list<float32> column per pooling; `facts` go into the schema's metadata as JSON."""
    columns: dict[str, pa.Array] = {"id": pa.array(list(ids), pa.string())}
    for name, matrix in vectors.items():
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel(), pa.float32()), matrix.shape[1])
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(facts).encode()})
    with atomic_path(path) as part:
        pq.write_table(table, part, compression="zstd")


def read_embeddings(path: Path, poolings: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray], dict[str, Any]]:
    """Read (ids, {pooling: float32 [n, width]}, facts) as `write_embeddings` wrote them."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; an embedding file is a Parquet file.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not an embedding file ({error}); run embed again.") from None
    absent = sorted({"id", *poolings} - set(table.column_names))
    if absent or METADATA not in (table.schema.metadata or {}):
        raise UserError(f"{path}: holds no '{', '.join(absent) or 'cost of the embedding'}'; run embed with it.")
    vectors = {}
    for name in poolings:
        kind = table.schema.field(name).type
        if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type) or not len(table):
            raise UserError(f"{path}: column '{name}' holds no vectors; run embed again.")
        column = table.column(name).combine_chunks()
        if column.null_count:
            raise UserError(f"{path}: column '{name}' lacks vectors; run embed again.")
        vectors[name] = column.flatten().to_numpy().reshape(len(column), -1)
    ids = table.column("id").to_pylist()
    if len(set(ids)) < len(ids):
        raise UserError(f"{path}: an id stands there more than once; embed the set again.")
    try:
        facts = json.loads(table.schema.metadata[METADATA])
        _ = (
            facts["parameters"],
            facts["max_tokens"],
            facts["precision"],
            facts["cost"]["seconds"],
            facts["cost"]["tokens"],
        )
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: does not say how it was embedded; run embed again.") from None
    return ids, vectors, facts
