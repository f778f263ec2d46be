"""Log-likelihood ratios of REF and ALT windows: what a model finds likelier, in nats.

The sign is that of log P(ALT) − log P(REF): below 0 the model prefers REF. Tokens vary in length with a byte-pair
tokenizer, so REF and ALT windows may be cut differently: see `retokenised`.

Where alleles differ in length, the sum over the tokens of the longer one has more terms, each below 0, whatever they
are: it says that the longer allele is the unlikelier. Of a set with such variants both windows have one length, and the
score is that of all that stands in them (`window`): the log-likelihood of a causal model; of a masked one the
pseudo-log-likelihood (`masked_windows`). All variants of the set are ranked by it, the substitutions too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from foundationless.data.dna import alternative, reverse_complement
from foundationless.errors import UserError
from foundationless.models.inference import run_network
from foundationless.models.pooling import site_tokens, special_mask
from foundationless.models.weights import Weights

PROJECTED = 4096  # tokens whose logits over the vocabulary are held at once
STRIDE = 7  # of so many tokens one is masked at a time: 14 %, where pretraining masks 15 %

Substitution = tuple[str, int, str, str]  # REF window, offset, REF, ALT
# and where alleles of a set differ in length ALT window, offset of ALT in it
Variant = Substitution | tuple[str, int, str, str, str, int]


def variants_of(frame: pd.DataFrame) -> list[Variant]:
    """The variants of a checked set, with ALT windows of their own where alleles differ in length."""
    offsets = frame["offset"].astype(int)
    columns = [frame["sequence"], offsets, frame["ref"], frame["alt"]]
    if "alternative" in frame.columns:
        columns += [frame["alternative"], offsets]
    return list(zip(*columns, strict=True))


def sides(variant: Variant) -> tuple[tuple[str, int, str], tuple[str, int, str]]:
    """(window, 0-based offset, allele) of REF and of ALT."""
    sequence, offset, ref, alt = variant[:4]
    window, start = variant[4:] or (alternative(sequence, offset, ref, alt), offset)
    return (sequence, offset, ref), (window, start, alt)


def flip(variant: Variant) -> Variant:
    """The same variant on the other strand."""
    ref, alt = (
        (reverse_complement(window), len(window) - offset - len(allele), reverse_complement(allele))
        for window, offset, allele in sides(variant)
    )
    return (*ref, alt[2]) if len(variant) == 4 else (*ref, alt[2], alt[0], alt[1])


def ratios(
    weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any], both_strands: bool = False
) -> dict[str, np.ndarray]:
    """{score: log-likelihood ratio [n] in nats}, the reported one first; scores are those of `score_likelihood`.

    It is `window` where the variants have ALT windows of their own: alleles of the set differ in length.

    With `both_strands` a ratio is the mean of the window's and its reverse complement's. NaN: a causal model has no
    left context for the allele.
    """
    if both_strands:
        one, other = (ratios(weights, some, compute) for some in (variants, [flip(variant) for variant in variants]))
        return {name: (values + other[name]) / 2 for name, values in one.items()}
    uneven = any(len(variant) > 4 for variant in variants)
    if weights.model.objective == "causal":
        scores = causal_ratios(weights, variants, compute)
        return {name: scores[name] for name in (("window", "site") if uneven else ("site", "window"))}
    scores = {"window": masked_windows(weights, variants, compute)} if uneven else {}
    if (weights.tokenizer.k or 1) > 1 and all(len(v[2]) == len(v[3]) == 1 for v in variants):
        scores["marginal"] = marginal_ratios(weights, variants, compute)
    return scores | {"site": masked_ratios(weights, variants, compute)}


def retokenised(weights: Weights, variants: Sequence[Variant]) -> np.ndarray:
    """Bool [n]: whether ALT changes tokens that do not cover the allele.

    Never so for an SNV with characters or k-mers. Byte-pair tokens may be cut anew beside the site, so that the two
    windows condition the allele on different tokens and their ratio also measures the cut.
    """

    def beside(window: str, offset: int, allele: str) -> tuple[bytes, bytes]:
        ids = encode(weights, window)
        places = site_tokens(weights.tokenizer, window, ids, range(offset, offset + len(allele)))
        return ids[: places[0]].tobytes(), ids[places[-1] + 1 :].tobytes()

    pairs = (sides(variant) for variant in variants)
    return np.array([beside(*ref) != beside(*alt) for ref, alt in pairs], dtype=bool)


def encode(weights: Weights, sequence: str) -> np.ndarray:
    """Token ids of a window; one that the model cannot read whole is a `UserError`."""
    ids = weights.tokenizer.encode(sequence)
    if len(ids) > weights.model.max_tokens:
        raise UserError(
            f"a window of {len(sequence)} bp has {len(ids)} tokens, and the model reads {weights.model.max_tokens}; "
            "build the set with shorter windows."
        )
    return ids


def log_probabilities(weights: Weights, hidden: Tensor, targets: Tensor) -> Tensor:
    """Log probability [tokens] of `targets` [tokens] given hidden states [tokens, width]; logits are made in parts."""
    parts = []
    for start in range(0, len(hidden), PROJECTED):
        logits = weights.model.project(hidden[None, start : start + PROJECTED].float())[0]
        chosen = logits.gather(1, targets[start : start + PROJECTED, None])[:, 0]
        parts.append(chosen - logits.logsumexp(dim=1))
    return torch.cat(parts)


def _merge(keys: Iterable[bytes]) -> tuple[list[int], np.ndarray]:
    """(Positions of the first of each distinct key, index of each key among the distinct ones)."""
    values = pd.Series(list(keys), dtype=object)
    return np.flatnonzero(~values.duplicated()).tolist(), pd.factorize(values)[0]


def causal_ratios(weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Log-likelihood ratios [n] of a causal model: {`site`, `window`}.

    A token's log probability is that given all tokens left of it; the first token of an encoding has none and does not
    count, special tokens neither. `site` sums the tokens that cover the allele in its own window, NaN where the first
    is one of them; `window` sums all.
    """
    both = [side for number in (0, 1) for side in (sides(variant)[number] for variant in variants)]
    windows = [text for text, _, _ in both]
    firsts, index = _merge(window.encode() for window in windows)
    inputs = [encode(weights, windows[position]) for position in firsts]
    scores: list[np.ndarray] = [np.zeros(0)] * len(inputs)

    def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> None:
        for place, row in enumerate(rows):
            length = len(inputs[row])
            given = log_probabilities(weights, hidden[place, : length - 1], ids[place, 1:length])
            scores[row] = np.concatenate([[np.nan], given.double().cpu().numpy()])

    run_network(weights, inputs, handle, label="likelihood", **compute)
    whole = np.array(
        [np.nansum(np.where(special_mask(weights.tokenizer, inputs[i]), 0, scores[i])) for i in range(len(inputs))]
    )
    local = np.zeros(len(windows))
    for position, (text, offset, allele) in enumerate(both):
        ids = inputs[index[position]]
        places = site_tokens(weights.tokenizer, text, ids, range(offset, offset + len(allele)))
        local[position] = scores[index[position]][places].sum()
    site, window = np.split(local, 2), np.split(whole[index], 2)
    return {"site": site[1] - site[0], "window": window[1] - window[0]}


def read_masked(
    weights: Weights,
    masked: Sequence[tuple[np.ndarray, np.ndarray]],
    read: Callable[[int, Tensor], None],
    compute: Mapping[str, Any],
) -> None:
    """Mask tokens and hand logits to `read(request, logits [masked tokens, vocabulary])`; equal inputs run once.

    `masked` lists (token ids, positions to mask). Raises `UserError` for a tokenizer without a mask token.
    """
    mask_id = weights.tokenizer.mask_id
    if mask_id is None:
        raise UserError(f"tokenizer '{weights.tokenizer.name}' has no mask token; masked scoring needs one.")
    inputs = []
    for ids, places in masked:
        inputs.append(ids.copy())
        inputs[-1][places] = mask_id
    firsts, index = _merge(ids.tobytes() for ids in inputs)
    owners: Any = pd.Series(index).groupby(index).indices  # requests of each input

    def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> None:
        for place, row in enumerate(rows):
            at = torch.from_numpy(masked[firsts[row]][1]).to(hidden.device)
            logits = weights.model.project(hidden[None, place, at].float())[0]
            for request in owners[int(row)]:
                read(request, logits)

    run_network(weights, [inputs[position] for position in firsts], handle, label="likelihood", **compute)


def masked_ratios(weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Log-likelihood ratio [n] of a masked model: the exact tokens of ALT against those of REF.

    In each allele's own window all tokens that cover the allele are masked together, and their log probabilities are
    summed. For SNVs and characters this is log P(ALT) − log P(REF) at one masked position; for k-mers it compares two
    tokens that share the other k − 1 bases. An allele of other length shifts later k-mers, which then differ as well.
    """
    requests = []
    targets = []
    for variant in variants:
        for window, offset, allele in sides(variant):
            ids = encode(weights, window)
            places = site_tokens(weights.tokenizer, window, ids, range(offset, offset + len(allele)))
            requests.append((ids, places))
            targets.append(ids[places])
    scores = _sums_of_masked(weights, requests, targets, compute)
    ratio: np.ndarray = scores[1::2] - scores[0::2]
    return ratio


def _sums_of_masked(
    weights: Weights,
    requests: Sequence[tuple[np.ndarray, np.ndarray]],
    targets: Sequence[np.ndarray],
    compute: Mapping[str, Any],
) -> np.ndarray:
    """Sum [n] of the log probabilities of `targets`, ids or -1 for none, at the masked positions of each request."""
    scores = np.zeros(len(requests))

    def read(request: int, logits: Tensor) -> None:
        wanted = torch.from_numpy(targets[request]).to(logits.device)
        given = logits.log_softmax(dim=1).gather(1, wanted.clamp(min=0)[:, None])
        scores[request] = float(given[wanted >= 0].double().sum())

    read_masked(weights, requests, read, compute)
    return scores


def disjoint(spans: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Of tokens, in order, those that share no base with one taken before: all but of overlapping k-mers."""
    if (spans[places[1:], 0] >= spans[places[:-1], 1]).all():
        return places
    kept, end = [], 0
    for place in places.tolist():
        if spans[place, 0] >= end:
            kept.append(place)
            end = spans[place, 1]
    return np.array(kept, dtype=np.int64)


def overlapping(spans: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Positions of `disjoint` tokens and of all that share a base with one of them."""
    # A token ends after more of them begin than those that end before it.
    begun = np.searchsorted(spans[places, 0], spans[:, 1], "left")
    over = np.searchsorted(spans[places, 1], spans[:, 0], "right")
    return np.union1d(places, np.flatnonzero((spans[:, 1] > spans[:, 0]) & (begun > over)))


def token_log_likelihoods(
    weights: Weights,
    inputs: Sequence[np.ndarray],
    spans: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    compute: Mapping[str, Any],
    turns: int = 1,
) -> np.ndarray:
    """Sum [n] of the log probabilities of the tokens at `places` of each input; 0 where there are none.

    A causal model reads all tokens left of each; the first has none and must not be asked. Of a masked model they must
    be `disjoint`: the i-th is masked in turn i mod `turns`, and with it every token that has one of its bases, because
    overlapping k-mers would spell it.
    """
    if weights.model.objective == "causal":
        sums = np.zeros(len(inputs))

        def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> None:
            for place, row in enumerate(rows):
                if len(places[row]):
                    length = len(inputs[row])
                    given = log_probabilities(weights, hidden[place, : length - 1], ids[place, 1:length])
                    sums[row] = given.double().cpu().numpy()[places[row] - 1].sum()

        run_network(weights, inputs, handle, label="likelihood", **compute)
        return sums
    requests: list[tuple[np.ndarray, np.ndarray]] = []
    targets: list[np.ndarray] = []
    owners: list[int] = []
    for owner, (ids, ends, wanted) in enumerate(zip(inputs, spans, places, strict=True)):
        for turn in range(min(turns, len(wanted))):
            hidden = overlapping(ends, wanted[turn::turns])
            requests.append((ids, hidden))
            targets.append(np.where(np.isin(hidden, wanted[turn::turns]), ids[hidden], -1))
            owners.append(owner)
    found = _sums_of_masked(weights, requests, targets, compute)
    return np.bincount(np.array(owners, dtype=np.int64), weights=found, minlength=len(inputs))


def masked_windows(weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Pseudo-log-likelihood ratio [n] of a masked model: of all tokens of the ALT window less those of the REF window.

    The pseudo-log-likelihood of a window is the sum of log P(token | the others) over all its tokens that are no
    special ones (Salazar et al. 2020, ACL, 2699; of indels Brandes et al. 2023, Nat Genet 55, 1512). Tokens are masked
    not one by one but every seventh at once (`STRIDE`), so a window takes seven passes, not one for each token; the
    masked share is nearly that of pretraining. Windows of one length hold as many bases, and as many tokens but for
    those of byte pairs. Of overlapping k-mers those count that tile the window from its first base, so that each base
    counts once; fewer than k bases at its end do not.
    """
    windows = [window for variant in variants for window, _, _ in sides(variant)]
    firsts, index = _merge(window.encode() for window in windows)
    inputs = [encode(weights, windows[position]) for position in firsts]
    spans, places = [], []
    for ids, position in zip(inputs, firsts, strict=True):
        spans.append(weights.tokenizer.spans(ids, sequence=windows[position]))
        places.append(disjoint(spans[-1], np.flatnonzero(~special_mask(weights.tokenizer, ids))))
    whole = token_log_likelihoods(weights, inputs, spans, places, compute, STRIDE)[index]
    ratio: np.ndarray = whole[1::2] - whole[0::2]
    return ratio


def carriers(weights: Weights, length: int) -> np.ndarray:
    """Token ids [length, 4, tokens]: those of `length` bases that have A, C, G or T at an offset.

    `length` is the tokenizer's k, or 1 for the single bases that a k-mer tokenizer falls back to.
    """
    kmers = ["".join(letters) for letters in product("ACGT", repeat=length)]
    ids = np.array([weights.tokenizer.encode(kmer, special=False)[0] for kmer in kmers])
    letters = np.array([list(kmer) for kmer in kmers])
    return np.array([[ids[letters[:, place] == base] for base in "ACGT"] for place in range(length)])


def marginal_ratios(weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Log-likelihood ratio [n] of SNVs for a masked model with k-mer tokens: log P(ALT) − log P(REF) of the base.

    The k-mer over the site is masked. P(base) is the sum of the probabilities of all k-mers that carry the base at the
    site's offset, whatever their other bases, which the mask hides too.
    """
    tokenizer = weights.tokenizer
    lists: dict[int, Tensor] = {}
    requests = []
    wanted = []
    for variant in variants:
        sequence, offset, ref, alt = variant[:4]
        ids = encode(weights, sequence)
        places = site_tokens(tokenizer, sequence, ids, [offset])
        start, stop = tokenizer.spans(ids, sequence=sequence)[places[0]]
        requests.append((ids, places))
        wanted.append((int(stop - start), int(offset - start), "ACGT".index(ref), "ACGT".index(alt)))
        if int(stop - start) not in lists:
            lists[int(stop - start)] = torch.from_numpy(carriers(weights, int(stop - start)))
    scores = np.zeros(len(requests))

    def read(request: int, logits: Tensor) -> None:
        length, place, ref, alt = wanted[request]
        members = lists[length].to(logits.device)[place]
        bases = logits[0].double()[members].logsumexp(dim=1)
        scores[request] = float(bases[alt] - bases[ref])

    read_masked(weights, requests, read, compute)
    return scores
