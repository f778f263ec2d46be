"""Attributions of a fine-tuned classifier's logit to its tokens, and of tokens to nucleotides.

What is explained is the contrast F of a sequence: the logit of its own class less the mean of the others' (of two
classes their difference). Gradients are taken with respect to what the network first makes of a token: its row of the
embedding table, or its one-hot letter where a network has no table. x is a sequence there, b its baseline: zeros, or
the mean over the nucleotide tokens of all sequences explained (`mean`), in place of every token that is pooled; special
tokens and padding are those of the sequence. No real input looks like either. `shuffled` takes several shuffles of the
sequence in which every dinucleotide is as often as it was, and averages attributions over them (as DeepSHAP, Lundberg
and Lee 2017, arXiv:1705.07874, and expected gradients, Erion et al. 2021, doi:10.1038/s42256-021-00343-w, average over
references): what is left is what the order of letters makes.

- `gradient_input` (Shrikumar et al. 2016, arXiv:1605.01713): ∇F(x) · (x − b), which is gradient × input where b is 0.
- `integrated_gradients` (Sundararajan et al. 2017, arXiv:1703.01365): (x − b) · ∫ ∇F(b + a (x − b)) da, by the midpoint
  rule. It is complete: over all tokens it adds up to F(x) − F(b), but for the error of the rule.
- `mutagenesis`: F(x) less its mean over the three substitutions of a letter, at each letter that was read.
- `rollout` (`rollout`): attention alone, of no class, and never negative.

A token of several letters gives each an equal share of its value, so that sums stay; a letter under several tokens gets
a share of each. Letters that no token stands for, or that were cut off, have NaN. Everything runs in float32.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from foundationless.data.dna import alternative
from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.tokenizers import Tokenizer
from foundationless.scoring.mutagenesis import substitutions
from foundationless.training.classifier import Classifier, tokenise
from foundationless.training.compute import Compute
from foundationless.training.corpora.shuffling import shuffle_known

Inputs = tuple[Tensor, Tensor | None, Tensor]  # of a classifier: ids, mask, which tokens count
Attributions = list[np.ndarray]  # of each sequence, one number a token or a letter


@dataclass(frozen=True)
class Explained:
    """Sequences that are explained: `tokens` of each, the `targets` whose logit is, and what reads them."""

    classifier: Classifier
    tokenizer: Tokenizer
    compute: Compute
    sequences: Sequence[str]
    tokens: Sequence[np.ndarray]
    targets: np.ndarray

    def in_passes(self, function: Callable[[Inputs, Tensor, np.ndarray], None], tokens: Sequence[Any] = ()) -> None:
        """Call with inputs, targets and rows, pass by pass; those that a GPU has no room for again in smaller ones.

        `tokens` may be others than the sequences' own, each of the first sequence's class.
        """
        rows = tokens or self.tokens
        targets = np.repeat(self.targets[:1], len(tokens)) if tokens else self.targets
        lengths, device = np.array([len(ids) for ids in rows]), self.classifier.head.weight.device
        done = np.zeros(len(rows), dtype=bool)
        while not done.all():
            left = np.flatnonzero(~done)
            try:
                for part, longest in self.classifier.passes(lengths[left], self.compute.token_budget):
                    places = left[part]
                    inputs = self.classifier.inputs([rows[place] for place in places], longest)
                    function(inputs, torch.from_numpy(targets[places]).to(device), places)
                    done[places] = True
            except torch.OutOfMemoryError:
                pass
            if not done.all():
                self.compute.halve(int(lengths[~done].max()))

    def contrasts(self, tokens: Sequence[Any] = ()) -> np.ndarray:
        """F of every sequence, float64 [sequences]; or of other `tokens` of the first one's class."""
        values = np.zeros(len(tokens or self.tokens))

        def keep(inputs: Inputs, targets: Tensor, rows: np.ndarray) -> None:
            with torch.no_grad():
                values[rows] = contrast(self.classifier(*inputs), targets).cpu().numpy()

        self.in_passes(keep, tokens)
        return values

    def alone(self, row: int) -> "Explained":
        """One of the sequences."""
        one = slice(row, row + 1)
        given = (self.classifier, self.tokenizer, self.compute, self.sequences[one], self.tokens[one])
        return Explained(*given, self.targets[one])


def contrast(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target less the mean of the others' [rows], of logits [rows, classes]."""
    own = logits.gather(1, targets[:, None])[:, 0]
    return own - (logits.sum(1) - own) / (logits.shape[1] - 1)


def entrance(backbone: GenomicModel) -> nn.Module:
    """The module whose output is the first that a network makes of token ids; `UserError` where none is known."""
    if isinstance(letters := getattr(backbone, "letters", None), nn.Identity):
        return letters
    tables = backbone.embedding_names()
    if not tables:
        raise UserError(f"family '{backbone.family}': it has no embedding table, so gradients have no inputs.")
    return backbone.get_submodule(tables[0].removesuffix(".weight"))


@contextmanager
def _entering(backbone: GenomicModel, change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Within, what enters the network passes `change`, with the number of the call: 1 is the other strand."""
    calls = count()
    handle = entrance(backbone).register_forward_hook(lambda _module, _given, output: change(next(calls), output))
    try:
        yield
    finally:
        handle.remove()


def _turned(backbone: GenomicModel, call: int, ids: Tensor, values: Tensor) -> Tensor:
    """Values [rows, tokens] of a call in the order of the sequence's own tokens, and the other way round."""
    if call == 0:
        return values
    return values.gather(1, backbone.mirror(ids)) if backbone.conjoined else values.flip(1)


def _baselines(given: Explained, kind: str) -> list[Tensor]:
    """What stands for every nucleotide token, of each call that a pass makes: [width]."""
    sums: dict[int, Tensor] = {}
    counted = 0

    def add(inputs: Inputs, _targets: Tensor, _rows: np.ndarray) -> None:
        nonlocal counted
        ids, _, counts = inputs

        def see(call: int, output: Tensor) -> Tensor:
            mine = _turned(given.classifier.backbone, call, ids, counts)
            seen = output.detach().double().masked_fill(~mine.bool()[..., None], 0).sum((0, 1))
            sums[call] = sums.get(call, torch.zeros_like(seen)) + seen
            return output

        with torch.no_grad(), _entering(given.classifier.backbone, see):
            given.classifier(*inputs)
        counted += int(counts.sum())

    given.in_passes(add)
    means = [(sums[call] / counted).float() for call in sorted(sums)]
    return [torch.zeros_like(mean) for mean in means] if kind == "zero" else means


class Sloped(NamedTuple):
    """Attributions of every token of every sequence, float64 [tokens], means over R baselines; and of each baseline the
    sum over tokens and F of it, [R, sequences]."""

    tokens: Attributions
    sums: np.ndarray
    lowest: np.ndarray


def gradients(given: Explained, baseline: str, steps: int, references: Sequence[Attributions] = ()) -> Sloped:
    """Attributions by `steps` of integrated gradients; 0: gradient × input.

    `references` of the baseline `shuffled`: token ids of each, of every sequence (`shuffled_references`).
    """
    classifier, count = given.classifier, max(1, len(references))
    made = [np.zeros(0)] * len(given.tokens)
    sums, lowest = np.zeros((count, len(made))), np.zeros((count, len(made)))
    plain = [] if references else _baselines(given, baseline)
    shares = [(step + 0.5) / steps for step in range(steps)] or [1.0]

    def explain(inputs: Inputs, targets: Tensor, rows: np.ndarray) -> None:
        ids, mask, counts = inputs
        together = torch.zeros(ids.shape, dtype=torch.float64, device=ids.device)
        for number in range(count):
            standing = plain
            if references:
                other, _, _ = classifier.inputs([references[number][row] for row in rows], ids.shape[1])
                standing = _entered(classifier, (other, mask, counts))
            total, low = _along(classifier, inputs, targets, standing, shares)
            lowest[number, rows] = low.cpu().numpy()
            for place, row in enumerate(rows):
                valid = _valid(given, ids[place], len(given.tokens[row]))
                sums[number, row] = total[place][valid].cpu().numpy().sum()
            together += total / count
        for place, row in enumerate(rows):
            made[row] = together[place][_valid(given, ids[place], len(given.tokens[row]))].cpu().numpy()

    given.in_passes(explain)
    return Sloped(made, sums, lowest)


def _entered(classifier: Classifier, inputs: Inputs) -> list[Tensor]:
    """What enters the network, of each call that a pass makes: [rows, tokens, width]."""
    seen: list[Tensor] = []

    def see(_call: int, output: Tensor) -> Tensor:
        seen.append(output.detach())
        return output

    with torch.no_grad(), _entering(classifier.backbone, see):
        classifier(*inputs)
    return seen


def _along(
    classifier: Classifier, inputs: Inputs, targets: Tensor, standing: Sequence[Tensor], shares: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Slopes times ways from a baseline, averaged over `shares` of the way: float64 [rows, tokens], and F of it [rows].

    `standing` of each call that a pass makes: what stands for nucleotide tokens, [width] or [rows, tokens, width].
    """
    ids, _, counts = inputs
    points: list[Tensor] = []
    moved: list[Tensor] = []

    def at(share: float) -> Callable[[int, Tensor], Tensor]:
        def change(call: int, output: Tensor) -> Tensor:
            free = _turned(classifier.backbone, call, ids, counts).bool()[..., None]
            base = torch.where(free, standing[call].to(output.dtype), output.detach())
            points.append((base + share * (output.detach() - base)).requires_grad_())
            moved.append(output.detach() - base)
            return points[-1].clone()

        return change

    total = torch.zeros(ids.shape, dtype=torch.float64, device=ids.device)
    for share in shares:
        points.clear()
        moved.clear()
        with torch.enable_grad(), _entering(classifier.backbone, at(share)):
            value = contrast(classifier(*inputs), targets)
            slopes = torch.autograd.grad(value.sum(), points)
        for call, (slope, way) in enumerate(zip(slopes, moved, strict=True)):
            total += _turned(classifier.backbone, call, ids, (slope.double() * way.double()).sum(2)) / len(shares)
    with torch.no_grad(), _entering(classifier.backbone, at(0.0)):
        return total, contrast(classifier(*inputs), targets)


def shuffled_references(given: Explained, count: int, seed: int) -> list[Attributions]:
    """Token ids of so many shuffles of every sequence, each with all its dinucleotides and as many tokens as it has.

    Tokens that are not pooled are the sequence's own. Where a tokenizer makes fewer tokens of a shuffle those of
    another follow, and where it makes more the last are left out. Drawn by the seed, the sequence and the number alone:
    all arms have the same.
    """
    counted = given.classifier.counted.cpu().numpy()
    made: list[Attributions] = []
    for number in range(count):
        rows = []
        for sequence, ids in zip(given.sequences, given.tokens, strict=True):
            free = counted[ids]
            generator = np.random.default_rng([seed, crc32(sequence.encode()), number])
            drawn = np.zeros(0, dtype=ids.dtype)
            while len(drawn) < free.sum():
                other = given.tokenizer.encode(shuffle_known(sequence, generator))
                drawn = np.concatenate([drawn, other[counted[other]]])
            row = ids.copy()
            row[free] = drawn[: free.sum()]
            rows.append(row)
        made.append(rows)
    return made


def _valid(given: Explained, ids: Tensor, tokens: int) -> slice:
    """Where a row's own tokens stand in a padded one."""
    return slice(0, tokens) if given.classifier.side == "right" else slice(len(ids) - tokens, len(ids))


def mutagenesis(given: Explained, limit: int) -> Attributions:
    """F less its mean over the substitutions of each letter, float64 [letters]; NaN of letters that were not read.

    `limit` of tokens that the model reads. Three inputs a letter, in batches, whatever the length.
    """
    made, whole = [], given.contrasts()
    for row, sequence in enumerate(given.sequences):
        alone = given.alone(row)
        spans = given.tokenizer.spans(given.tokens[row], True, sequence)
        read = int(spans.max(initial=0))
        variants = [variant for variant in substitutions(sequence) if variant[1] < read]
        tokens, _ = tokenise(given.tokenizer, [alternative(*variant) for variant in variants], limit)
        values = np.full(len(sequence), np.nan)
        if variants:
            places = np.array([variant[1] for variant in variants]).reshape(-1, 3)[:, 0]
            values[places] = whole[row] - alone.contrasts(tokens).reshape(-1, 3).mean(1)
        made.append(values)
    return made


def to_letters(given: Explained, attributions: Attributions) -> Attributions:
    """Attributions of tokens as those of letters [letters], each token's in equal shares; NaN where no token stands."""
    made = []
    for sequence, ids, values in zip(given.sequences, given.tokens, attributions, strict=True):
        spans = given.tokenizer.spans(ids, True, sequence)
        sums, covered = np.zeros(len(sequence)), np.zeros(len(sequence), dtype=bool)
        for (start, end), value in zip(spans.tolist(), values.tolist(), strict=True):
            if 0 <= start < end:
                sums[start:end] += value / (end - start)
                covered[start:end] = True
        made.append(np.where(covered, sums, np.nan))
    return made
