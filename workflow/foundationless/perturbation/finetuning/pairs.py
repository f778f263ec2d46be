"""What a network is trained on: pairs of a control cell and a perturbed one, and the genes that a batch reads.

As the second paper's scGPT: a perturbed cell is paired with a control cell drawn at random, a control cell with itself,
and a batch reads a random part of the genes. There a perturbed gene is flagged only where it happens to be drawn; here
the perturbed genes of a batch are always read, and so is one that the screen does not read out: it stands behind the
genes with the value 0, and no error is counted of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from foundationless.errors import UserError
from foundationless.models.tokenizers.genes import CellVocabulary
from foundationless.perturbation.effects import Effects
from foundationless.perturbation.expression.cells import Cells
from foundationless.perturbation.gene_names import match
from foundationless.perturbation.screens import Screen

FEWEST = 32  # pairs of a condition an epoch where a screen has few rows of each; every batch reads other genes

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """A screen as a network reads it. Rows of `values` are cells, or replicates, or means of conditions.

    Places are the read-out genes, then the perturbed ones that are not read out; `tokens` are their ids, that of
    padding where the vocabulary lacks the gene. `rows` and `flagged`: of each condition of the screen, its rows and the
    places that it perturbs. `control` [genes]: the mean that effects are changes from. `repeated`: whether conditions
    have few rows, each of which stands several times in an epoch.
    """

    values: NDArray[np.float32] | sparse.csr_matrix  # [rows, genes]
    rows: tuple[Places, ...]
    tokens: Places
    flagged: tuple[Places, ...]
    genes: int
    control: NDArray[np.float64]
    repeated: bool
    unknown_genes: int  # read out, and not in the vocabulary
    unknown_targets: int  # perturbed, and not in the vocabulary

    def take(self, rows: Places) -> NDArray[np.float32]:
        """Values of rows at all places, [rows, places]."""
        part = self.values[rows]
        dense = part.toarray() if sparse.issparse(part) else part  # type: ignore[union-attr]
        return np.pad(np.asarray(dense, dtype=np.float32), ((0, 0), (0, len(self.tokens) - self.genes)))

    def flags(self, conditions: Places) -> NDArray[np.int64]:
        """1 where a condition perturbs a place, [conditions, places]."""
        flags = np.zeros((len(conditions), len(self.tokens)), dtype=np.int64)
        for row, condition in enumerate(conditions):
            flags[row, self.flagged[condition]] = 1
        return flags


def read_screen(
    screen: Screen, effects: Effects, cells: Cells | None, vocabulary: CellVocabulary, dealt: Places | None = None
) -> Reading:
    """What a network with this vocabulary reads of a screen, its conditions first the control.

    Without `cells` the means of conditions are rows. `dealt`: whose cells each condition has, where effects are dealt
    anew.
    """
    extra = screen.unread
    known = _tokens(screen.genes, screen.symbols, vocabulary)
    if (known < 0).all():
        raise UserError(
            f"the network knows none of the {len(known)} genes that are read out ({screen.genes[0]}, …): its names are "
            f"{', '.join(vocabulary.genes[:2])}, …; give effects that name genes alike."
        )
    behind = _tokens(extra, extra, vocabulary)
    tokens = np.concatenate([known, behind])
    place = {gene: at for at, gene in enumerate((*screen.genes, *extra))}
    flagged = tuple(np.array(sorted(place[gene] for gene in names), dtype=np.int64) for names in screen.targets)
    lost = int((tokens[screen.vector_rows] < 0).sum())
    if cells is None:
        values = (screen.control + screen.changes).astype(np.float32)
        rows = tuple(np.array([row], dtype=np.int64) for row in range(len(values)))
    else:
        source = np.arange(len(screen.names)) if dealt is None else dealt
        row_of = {name: row for row, name in enumerate(effects.conditions)}
        values = cells.values
        rows = tuple(cells.rows[row_of[screen.names[origin]]] for origin in source)
    if min(map(len, rows)) < 1:
        raise UserError("a condition of the effects has no cell; give the cells that the effects were made of.")
    return Reading(
        values=values,
        rows=rows,
        tokens=np.where(tokens < 0, vocabulary.pad_id, tokens),
        flagged=flagged,
        genes=len(screen.genes),
        control=screen.control,
        repeated=bool(np.median([len(own) for own in rows[1:]]) < FEWEST),
        unknown_genes=int((known < 0).sum()),
        unknown_targets=lost,
    )


def _tokens(genes: Sequence[str], symbols: Sequence[str], vocabulary: CellVocabulary) -> Places:
    """Token of each gene by its id, else by its symbol, -1 where the vocabulary has neither."""
    ids = vocabulary.find(vocabulary.genes)
    by_id, by_symbol = (match(names, vocabulary.genes).places for names in (genes, symbols))
    places = np.where(by_id >= 0, by_id, by_symbol)
    return np.where(places >= 0, ids[places] if len(ids) else -1, -1)


def as_in_paper(reading: Reading) -> Reading:
    """The same without perturbed genes that are not read out, of which the paper's code knows nothing."""
    flagged = tuple(places[places < reading.genes] for places in reading.flagged)
    return replace(reading, tokens=reading.tokens[: reading.genes], flagged=flagged)


def dealt_from(screen: Screen, seed: int) -> Places:
    """Whose effects each condition has after `screen.deal(seed)`: [conditions]."""
    own = np.arange(len(screen.names), dtype=np.float64)[:, None]
    return np.asarray(replace(screen, changes=own, other=None).deal(seed).changes[:, 0], dtype=np.int64)


def pair_up(reading: Reading, conditions: Sequence[int], draws: np.random.Generator, most: int) -> Places:
    """Pairs of an epoch in random order, [pairs, 3]: row of the control cell, row of the perturbed one, condition.

    One of each row of the conditions, at most `most` a condition (0: all); of a screen of few rows, `most` (0:
    `FEWEST`) of each condition, or one of each of its rows.
    """
    parts = []
    for condition in conditions:
        rows = reading.rows[condition]
        if most and len(rows) > most:
            rows = draws.choice(rows, most, replace=False)
        elif reading.repeated:
            rows = np.resize(draws.permutation(rows), max(len(rows), most or FEWEST))
        partners = rows if condition == 0 else draws.choice(reading.rows[0], len(rows))
        parts.append(np.stack([partners, rows, np.full(len(rows), condition)], axis=1))
    return draws.permutation(np.concatenate(parts))


def choose_places(
    reading: Reading, conditions: Places, most: int, draws: np.random.Generator, flagged: bool = True
) -> Places:
    """Places that a batch of conditions reads: at most `most` (0: all) drawn from the genes, ascending.

    `flagged`: the perturbed genes of the batch are among them, all, however many they are.
    """
    own = np.zeros(0, dtype=np.int64)
    if flagged:
        own = np.unique(np.concatenate([reading.flagged[condition] for condition in np.unique(conditions)]))
    others = np.setdiff1d(np.arange(reading.genes), own, assume_unique=True)
    if most:
        others = draws.permutation(others)[: max(0, most - len(own))]
    return np.sort(np.concatenate([own, others])).astype(np.int64)


def control_rows(reading: Reading, count: int, draws: np.random.Generator) -> Places:
    """So many of the control's rows, none twice; all where there are not more."""
    rows = reading.rows[0]
    return rows if len(rows) <= count else np.sort(draws.choice(rows, count, replace=False))
