"""Predictors of a cell: what they are fitted with, and among what validation chooses.

`Borrowed` is the linear model with one side's vectors borrowed, in any arm, and the other's from the training data; its
candidates are dimensions and strengths. `Nearest` chooses how many neighbours, and `Plain` has nothing to choose.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.perturbation import arms, linear
from foundationless.perturbation.baselines import BASELINES, NEIGHBOURS, nearest
from foundationless.perturbation.screens import Screen

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class Candidate(NamedTuple):
    """What is tried: dimensions and strength of the linear model, neighbours, a rate of learning, or nothing (None)."""

    dims: int | None = None
    strength: float | None = None
    neighbours: int | None = None
    learning_rate: float | None = None

    @property
    def name(self) -> str:
        """As runs are named, such as `dims10 strength0.1`; no exponents, for names hold no hyphens."""
        shown = ((key, value) for key, value in self._asdict().items() if value is not None)
        parts = [f"{key}{np.format_float_positional(value, trim='-')}" for key, value in shown]
        return " ".join(parts) or "only"


class Fitted(NamedTuple):
    """What a predictor says once it knows the training rows.

    `predict(rows, candidate)`: changes [n, genes], NaN where it says nothing. `size(candidate)`: rows and columns of
    the matrix that was fitted, 0 and 0 where there is none.
    """

    predict: Callable[[Places, Candidate], Floats]
    size: Callable[[Candidate], tuple[int, int]] = lambda _: (0, 0)


class Predictor(Protocol):
    """What is fitted to training rows of a screen and predicts others of them."""

    @property
    def candidates(self) -> Sequence[Candidate]:
        """What validation chooses among."""

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which conditions it can say anything of."""

    def fit(self, train: Places) -> Fitted:
        """What it predicts once it knows the rows `train` and the control."""


@dataclass(frozen=True)
class Plain:
    """A baseline of `baselines.BASELINES`."""

    screen: Screen
    name: str
    candidates: Sequence[Candidate] = (Candidate(),)

    @property
    def usable(self) -> NDArray[np.bool_]:
        return np.ones(len(self.screen.names), dtype=bool)

    def fit(self, train: Places) -> Fitted:
        return Fitted(lambda test, _: BASELINES[self.name](self.screen, train, test))


@dataclass(frozen=True)
class Nearest:
    """The training perturbations whose targets are nearest by `vectors` [perturbed, dims]."""

    screen: Screen
    vectors: Floats
    candidates: Sequence[Candidate] = tuple(Candidate(neighbours=count) for count in NEIGHBOURS)

    @property
    def usable(self) -> NDArray[np.bool_]:
        return np.ones(len(self.screen.names), dtype=bool)

    def fit(self, train: Places) -> Fitted:
        return Fitted(lambda test, one: nearest(self.screen, self.vectors, train, test, one.neighbours or 1))


@dataclass(frozen=True)
class Embedding:
    """Where the borrowed side's vectors come from: `table` [genes and perturbed, dims], or None for the training data.

    Rows of `table` are the read-out genes and then the perturbed ones that are not among them, NaN without a vector.
    `control` [dims]: the vector of the control, where the source has one, as another screen has. `of_targets`: the
    table is of the perturbed genes alone, as that of another screen. `drawn`: the table is of this very arm, and no
    other is to be made of it, as of a network at random initialisation.
    """

    table: Floats | None = None
    control: Floats | None = None
    of_targets: bool = False
    drawn: bool = False


class Borrowed:
    """The linear model; `side` is `readout` (G is borrowed), `target` (P is), or empty (both are of the training data).

    Under `paper` (the reading `as_in_paper`) vectors stand as they are, genes without one are dropped, and so are
    perturbations in every arm; random vectors are standard normal, of all genes whatever `embedding` has. Else vectors
    are reduced to `dims`, centred and scaled, and what is missing is zero. `init`, `seed`: the arm and its draw;
    `split`: the split's seed; `pairs`: whether doubles are held out.
    """

    def __init__(
        self,
        screen: Screen,
        side: str,
        embedding: Embedding,
        *,
        init: str,
        seed: int,
        split: int,
        pairs: bool = False,
        paper: bool = False,
        dims: Sequence[int] = (linear.DIMS,),
        strengths: Sequence[float] = (linear.STRENGTH,),
    ) -> None:
        self.screen, self.side, self.embedding, self.paper, self.pairs = screen, side, embedding, paper, pairs
        self.init, self.seed, self.split = init, seed, split
        widths: list[int | None] = [None] if paper and side else [*dict.fromkeys(dims)]  # the paper reduces none
        self.candidates = [Candidate(each, strength) for each in widths for strength in dict.fromkeys(strengths)]
        self._places = screen.vector_rows
        self._borrowed = np.arange(len(self._places)) if embedding.of_targets else self._places
        self._made: dict[int, Floats] = {}
        self._refuse_too_few(dims)

    def _refuse_too_few(self, dims: Sequence[int]) -> None:
        """`UserError` where fewer genes have a vector than it takes to tell so many dimensions apart."""
        table = self.embedding.table
        if table is None or not self.side or self.embedding.of_targets:
            return
        wanted = min(max((each for each in dims if each), default=linear.DIMS), table.shape[1])
        if (known := int(self._told.sum())) <= wanted:
            genes = "read-out genes" if self.side == "readout" else "perturbed genes"
            raise UserError(
                f"{known} of {len(self._told)} {genes} have a vector, and {wanted} dimensions take {wanted + 1}; "
                "borrow other vectors, or give a table of gene names with --names."
            )

    @cached_property
    def missing(self) -> tuple[int, int]:
        """Read-out and perturbed genes that have no vector on their side."""
        rows = self._known
        return int((~rows[0]).sum()), int((~rows[1]).sum())

    @property
    def known_share(self) -> float:
        """Share of the genes of the borrowed side that have a vector."""
        return float(self._told.mean()) if self.side else 1.0

    @cached_property
    def _told(self) -> NDArray[np.bool_]:
        """Which genes of the borrowed side have a vector: read-out ones, or perturbed ones."""
        table = self.embedding.table
        if table is None:
            return np.ones(len(self.screen.genes), dtype=bool) if self.side == "readout" else self.screen.places >= 0
        known: NDArray[np.bool_] = np.asarray(np.isfinite(table).all(axis=1))
        return known[: len(self.screen.genes)] if self.side == "readout" else known[self._borrowed]

    @cached_property
    def _known(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which read-out genes have a vector, and which perturbed ones, the same in every arm.

        But the paper draws random vectors for all read-out genes, and for no other: where they are borrowed for
        targets, it scores in no arm a target that is not read out.
        """
        readout, targets = np.ones(len(self.screen.genes), dtype=bool), self.screen.places >= 0
        if self.side == "readout" and not (self.paper and self.init == "random"):
            readout = self._told
        elif self.side == "target":
            targets = self._told & targets if self.paper and not self.embedding.of_targets else self._told
        return readout, targets

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Under the paper's reading, conditions of whose targets all have a vector; else all."""
        lacking = self.screen.carries @ ~self._known[1]
        return np.asarray(lacking == 0) if self.paper else np.ones(len(self.screen.names), dtype=bool)

    def fit(self, train: Places) -> Fitted:
        rows = np.concatenate([[0], train])
        fitted: dict[int, tuple[linear.Ridge, Floats, NDArray[np.bool_]]] = {}
        for dims in dict.fromkeys(one.dims or 0 for one in self.candidates):
            readout, targets = self._sides(rows, dims)
            kept = np.asarray(np.isfinite(readout).all(axis=1))
            model = linear.fit(self.screen.changes[rows][:, kept], readout[kept], targets[rows])
            fitted[dims] = model, targets, kept

        def predict(test: Places, one: Candidate) -> Floats:
            model, targets, kept = fitted[one.dims or 0]
            found = np.full((len(test), len(kept)), np.nan)
            found[:, kept] = model.predict(targets[test], one.strength or 0.0)
            return found

        return Fitted(predict, lambda one: fitted[one.dims or 0][0].core.shape)

    def _sides(self, rows: Places, dims: int) -> tuple[Floats, Floats]:
        """G [genes, K], NaN where genes are dropped, and P [conditions, L]."""
        size = len(self.screen.genes)
        own = self._whole(self.screen.gene_scores.of(rows, linear.DIMS if self.side else dims or linear.DIMS))
        borrowed = self._arm(own if self.side else None, rows, dims)
        readout = borrowed[:size] if self.side == "readout" else own[:size]
        if not self.paper:
            readout = np.nan_to_num(readout)
        vectors = borrowed[self._borrowed] if self.side == "target" else own[self._places]
        targets = self.screen.carries @ np.nan_to_num(vectors)
        if self.side == "target" and self.embedding.control is not None and self.init in (*arms.SAME, "permuted"):
            targets[0] = self.embedding.control
        return readout, targets

    def _whole(self, scores: Floats) -> Floats:
        """Vectors of the read-out genes, followed by NaN for the perturbed genes that are not among them."""
        extra = int(self._places.max(initial=0)) + 1 - len(scores)
        return np.pad(scores, ((0, max(0, extra)), (0, 0)), constant_values=np.nan)

    def _arm(self, own: Floats | None, rows: Places, dims: int) -> Floats:
        """The borrowed vectors as this arm has them, in rows of `Embedding.table`; nothing where both sides are own."""
        if own is None:
            return np.empty((0, 0))
        table = self.embedding.table
        if table is not None and dims in self._made:
            return self._made[dims]
        whole = own if table is None else table
        if table is None and not self.paper:
            whole = self._whole(self.screen.gene_scores.of(rows, dims or linear.DIMS))
        made = self._paper_arm(whole) if self.paper else self._corrected_arm(whole, dims, table is None)
        if table is not None:
            self._made[dims] = made
        return made

    def _paper_arm(self, table: Floats) -> Floats:
        both = not self.pairs and not self.embedding.of_targets  # a G and a P were drawn for each split
        size = len(table) if self.embedding.of_targets else len(self.screen.genes)
        place = 1 if both and self.side == "target" else 0
        made = arms.paper_arm(table[:size], self.init, (self.split, self.seed), place, 2 if both else 1)
        if self.init in arms.SAME:
            return table
        return np.pad(made, ((0, len(table) - size), (0, 0)), constant_values=np.nan)

    def _corrected_arm(self, table: Floats, dims: int, of_training: bool) -> Floats:
        """The arm of those genes alone that the side is of, so that all arms share out the same vectors."""
        pool = np.arange(len(self.screen.genes)) if self.side == "readout" else self._borrowed
        natural = of_training or self.embedding.of_targets  # of the scale that the paper's strengths were meant for
        short = table[pool] if natural else arms.reduce_dims(table[pool], dims)
        seed = (self.seed, self.split) if of_training else (self.seed,)
        made = np.full((len(table), short.shape[1]), np.nan)
        made[pool] = short if self.embedding.drawn else arms.make_arm(short, self.init, seed)
        return made
