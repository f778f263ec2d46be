"""One split of a cell: what predicts there, what inner folds choose, and how well the chosen does on the test set.

Every candidate (dimensions and strength of the linear model, number of neighbours) is tried in inner folds over the
training perturbations, by mean skill; the test perturbations choose for the selection `test` alone, which is the
paper's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.effects import measure, skill
from foundationless.perturbation import arms, linear
from foundationless.perturbation.baselines import additive_scale, mean_change
from foundationless.perturbation.borrowed import Borrowed, Candidate, Embedding, Nearest, Plain, Predictor
from foundationless.perturbation.effects import Effects
from foundationless.perturbation.gene_names import read_names
from foundationless.perturbation.screens import Screen
from foundationless.perturbation.splits import Split, inner_folds
from foundationless.perturbation.vectors import read_vectors
from foundationless.study.vocabulary import EFFECT_BASELINES, PERTURBATION

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

Hide = Callable[[Floats, Places], Floats]

METRIC = "skill"


@dataclass(frozen=True)
class EffectSettings:
    """How a cell is computed. `kind`: what is held out; `baseline` or `side` and `source` say what predicts.

    `splits`: seeds; `held_out`: share held out; `dims`, `strengths`: candidates; `inner_folds` 0 tries the candidates
    on the test perturbations alone; `reading`: `published` or `as_in_paper`; `variant`: see `screens`.

    A linear model read as_in_paper has what the paper had, whatever is asked: one strength, no choice, ten dimensions
    of what is made of the training data or drawn, and all of a table (0).
    """

    kind: str
    baseline: str = ""
    side: str = ""
    source: str = "training"
    splits: tuple[int, ...] = tuple(PERTURBATION["splits"])
    held_out: float = PERTURBATION["held_out"]
    dims: tuple[int, ...] = (linear.DIMS,)
    strengths: tuple[float, ...] = (linear.STRENGTH,)
    inner_folds: int = PERTURBATION["inner_folds"]
    reading: str = "published"
    variant: str = ""
    top: int = PERTURBATION["top"]

    def __post_init__(self) -> None:
        """Settle what the paper fixed, and refuse what cannot be computed."""
        if self.side and self.reading == "as_in_paper":
            fixed: dict[str, Any] = {"strengths": (linear.STRENGTH,), "inner_folds": 0}
            fixed["dims"] = (0,) if self.source == "table" else (linear.DIMS,)
            for name, value in fixed.items():
                object.__setattr__(self, name, value)
        if bool(self.baseline) == bool(self.side):
            raise UserError("give either --baseline or --side, and not both.")
        if self.baseline and self.kind not in EFFECT_BASELINES[self.baseline].splits:
            raise UserError(f"--baseline {self.baseline}: says nothing of --kind {self.kind}; leave it out there.")
        if not self.splits or len(set(self.splits)) < len(self.splits):
            raise UserError("--splits: give one or more seeds, each once.")
        if not 0 < self.held_out < 1:
            raise UserError("--held-out lies above 0 and below 1.")
        several = self.baseline in ("", "linear") and len(self.dims) * len(self.strengths) > 1
        if not self.inner_folds and (several or self.baseline == "nearest_go"):
            raise UserError("--inner-folds 0: nothing chooses among candidates; give one of --dims and --strengths.")
        if min(self.inner_folds, *self.dims) < 0:
            raise UserError("--inner-folds and --dims: none is below 0.")
        if self.inner_folds == 1:
            raise UserError("--inner-folds 1: one fold leaves nothing to train on; give 0, or at least 2.")
        if self.source == "halves" and (self.variant != "halves" or self.side != "target"):
            raise UserError("--source halves: is for --variant halves and --side target, where the other half is kept.")


class Tried(NamedTuple):
    """A candidate of a split: its mean skill on validation (None: not asked) and on the test set.

    Of one that is chosen also the predicted changes [n, genes] of the test perturbations, and every metric [n].
    """

    candidate: Candidate
    validation: float | None
    test: float | None
    predicted: Floats | None = None
    metrics: Mapping[str, Floats] = MappingProxyType({})


class Outcome(NamedTuple):
    """A split's tries, and the names of those that validation and the test set choose.

    `usual` [genes]: what the mean of all `trained` training perturbations predicts; `validated`: how many perturbations
    validation had; `dropped`: how many of the split the predictor can say nothing of; `facts`: what else was fitted;
    `sizes`: candidate -> numbers of its fitted matrix, rows and columns (0, 0 of what has none).
    """

    split: Split
    screen: Screen
    tried: list[Tried]
    chosen: dict[str, str]
    usual: Floats
    trained: int
    validated: int
    dropped: int
    facts: dict[str, Any]
    sizes: dict[str, tuple[int, int]]


def embed(
    effects: Effects, screen: Screen, genes: Path | None, settings: EffectSettings, names: Path | None = None
) -> tuple[Embedding, str]:
    """The borrowed vectors of a cell, and the arm that their file is of; `names`: a table of names of genes."""
    if settings.source == "halves" and screen.other is not None:
        rows = np.array([row for row, kind in enumerate(screen.kinds) if kind != "double"])
        scores = linear.components(screen.other[rows], linear.DIMS)  # conditions as observations
        table = np.full((len(screen.perturbed), scores.shape[1]), np.nan)
        places = screen.carries[rows[1:]].argmax(axis=1)
        table[places] = scores[1:]
        return Embedding(table, scores[0], of_targets=True), "pretrained"
    if genes is None and settings.side and settings.source == "table":
        raise UserError("--source table: reads vectors of genes; give --genes.")
    if genes is None or (settings.source == "training" and not _reads_genes(settings.baseline)):
        return Embedding(), "pretrained"
    vectors = read_vectors(genes)
    symbol = dict(zip(effects.genes, effects.symbols, strict=True))
    named = [*effects.genes, *screen.unread]
    table = arms.align(vectors, named, [symbol.get(gene, gene) for gene in named],
                       read_names(names) if names else None)  # fmt: skip
    return Embedding(table), arm_of(genes)


def _reads_genes(baseline: str) -> bool:
    """Whether a baseline, if it is one, reads vectors of genes."""
    return bool(baseline) and EFFECT_BASELINES[baseline].reads_genes


def arm_of(genes: Path) -> str:
    """The arm that a file of vectors says it is of: that of its network's weights; `pretrained` where it says none."""
    stated = json.loads((pq.read_schema(genes).metadata or {}).get(b"foundationless", b"{}"))
    return str(stated.get("init", "pretrained"))


def make_predictor(
    screen: Screen, embedding: Embedding, settings: EffectSettings, init: str, seed: int, split: int
) -> Predictor:
    """What predicts in this cell and split."""
    if settings.baseline == "nearest_go":
        if embedding.table is None:
            raise UserError("--baseline nearest_go: reads vectors of genes; give --genes.")
        return Nearest(screen, embedding.table[screen.vector_rows])
    if settings.baseline and settings.baseline != "linear":
        return Plain(screen, settings.baseline)
    options: dict[str, Any] = {"pairs": settings.kind == "doubles", "paper": settings.reading == "as_in_paper"}
    options |= {"dims": settings.dims, "strengths": settings.strengths}
    return Borrowed(screen, settings.side, embedding, init=init, seed=seed, split=split, **options)


def run_split(screen: Screen, predictor: Predictor, split: Split, settings: EffectSettings) -> Outcome:
    """Choose among the predictor's candidates and predict the held out perturbations of a split."""
    usable = predictor.usable
    kept = Split(split.seed, *(rows[usable[rows]] for rows in split[1:]))
    if not len(kept.test) or not len(kept.train):
        raise UserError("no perturbation is left to train on or to test, for none has a vector; borrow others.")
    hide = _targets_hidden(screen, settings.variant)
    values: dict[str, float | None] = dict.fromkeys((one.name for one in predictor.candidates), None)
    folds = inner_folds(kept, settings.inner_folds) if settings.inner_folds else []
    if folds:
        values |= _validate(screen, predictor, folds, hide)
    fitted, usual = predictor.fit(kept.train), mean_change(screen, split.train)
    observed = hide(screen.changes[kept.test], kept.test)
    on_test = {}
    for one in predictor.candidates:
        on_test[one.name] = mean_known(skill(observed, fitted.predict(kept.test, one), usual))
    chosen = {"validation": _best(values if folds else on_test), "test": _best(on_test)}
    tried = []
    for one in predictor.candidates:
        made = Tried(one, values[one.name], on_test[one.name])
        if one.name in chosen.values():
            predicted = hide(fitted.predict(kept.test, one), kept.test)
            metrics = _measure(screen, kept.test, predicted, usual, settings.top)
            made = made._replace(predicted=predicted, metrics=metrics, test=mean_known(metrics[METRIC]))
        tried.append(made)
    facts = {"alpha": additive_scale(screen, split.train)} if settings.baseline == "scaled_additive" else {}
    sizes = {one.name: fitted.size(one) for one in predictor.candidates}
    dropped = len(split.train) + len(split.test) - len(kept.train) - len(kept.test)
    validated = sum(len(held) for _, held in folds)
    return Outcome(kept, screen, tried, chosen, usual, len(split.train), validated, dropped, facts, sizes)


def _measure(screen: Screen, rows: Places, predicted: Floats, usual: Floats, top: int) -> dict[str, Floats]:
    """Every metric of predictions of these rows; a gene that is not predicted counts for none."""
    order = screen.order
    rank = np.argsort(order)
    known = np.isfinite(predicted)
    truth, mean = (np.where(known, each, np.nan)[:, order] for each in (screen.changes[rows], usual))
    targets = [rank[screen.own_genes(row)].tolist() for row in rows]
    # In the precision in which they are kept, so that whoever reads the predictions finds the same numbers.
    truth, guess, mean = (each.astype(np.float32) for each in (truth, predicted[:, order], mean))
    return measure(truth, guess, mean, targets, top_of(screen, top))


def top_of(screen: Screen, top: int) -> int:
    """How many genes the paper's L2 is of: the most expressed, or all where values are no expression."""
    return min(top, len(screen.genes)) if screen.expressed else len(screen.genes)


def _targets_hidden(screen: Screen, variant: str) -> Hide:
    """A function of (changes [n, genes], rows) that makes NaN of the perturbed genes' own changes under `offtarget`."""

    def hide(changes: Floats, rows: Places) -> Floats:
        if variant != "offtarget":
            return changes
        hidden = changes.copy()
        for at, row in enumerate(rows):
            hidden[at, screen.own_genes(row)] = np.nan
        return hidden

    return hide


def _validate(
    screen: Screen, predictor: Predictor, folds: Sequence[tuple[Places, Places]], hide: Hide
) -> dict[str, float | None]:
    """Mean skill of every candidate over the perturbations that the inner folds hold out."""
    skills: dict[str, list[Floats]] = {one.name: [] for one in predictor.candidates}
    for train, held in folds:
        fitted, usual = predictor.fit(train), mean_change(screen, train)
        observed = hide(screen.changes[held], held)
        for one in predictor.candidates:
            skills[one.name].append(skill(observed, fitted.predict(held, one), usual))
    return {name: mean_known(np.concatenate(values)) for name, values in skills.items()}


def mean_known(values: Floats) -> float | None:
    """Mean of the values that are defined; None where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _best(values: Mapping[str, float | None]) -> str:
    """The name of the largest value; ties: the first; None is less than any."""
    return max(values, key=lambda name: -np.inf if (value := values[name]) is None else value)
