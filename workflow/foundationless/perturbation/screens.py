"""A screen as a cell of the study sees it: changes from the control, and the genes that each condition perturbs.

Variants of a task change what is seen: under `halves` the second halves of the replicates are the data, and the first
ones are another screen of the same perturbations; under `permuted` effects are dealt anew among perturbations of a
kind, so that nothing can be learned of a target; under `offtarget` perturbed genes are not scored.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.perturbation.effects import Effects
from foundationless.perturbation.linear import GeneScores
from foundationless.study.names import EFFECT_DERIVATIONS

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

FEWEST = 4  # replicates of a condition of which each half is a mean
_DEALT = 13  # the second word of the seed of `permuted`
_KINDS = ("control", "single", "double")


@dataclass(frozen=True)
class Screen:
    """Conditions in the source's order, the control first: row 0. `changes` are from its mean, which is `control`.

    `perturbed`: every perturbed gene, those of singles first; `places`: where each is among the read-out genes, or -1;
    `carries` [conditions, perturbed]: 1 where a condition perturbs a gene. `other`: mean expression of the same
    conditions in another screen.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    targets: tuple[tuple[str, ...], ...]
    directions: tuple[str, ...]
    control: Floats  # [genes]
    changes: Floats  # [conditions, genes]
    other: Floats | None  # [conditions, genes]
    genes: tuple[str, ...]
    symbols: tuple[str, ...]
    values: str
    perturbed: tuple[str, ...]
    places: Places
    carries: Floats

    @cached_property
    def gene_scores(self) -> GeneScores:
        """The vectors that training rows give to genes."""
        return GeneScores(self.control + self.changes)

    @property
    def expressed(self) -> bool:
        """Whether values are of expression, so that genes can be ordered by that of the control."""
        return self.values != "z"

    @property
    def order(self) -> Places:
        """Read-out genes by falling expression of the control; as they are where values are no expression."""
        if not self.expressed:
            return np.arange(len(self.genes))
        return np.asarray(np.argsort(-self.control, kind="stable"))

    @property
    def unread(self) -> tuple[str, ...]:
        """Perturbed genes that are not among the read-out ones."""
        return tuple(gene for gene, place in zip(self.perturbed, self.places, strict=True) if place < 0)

    @cached_property
    def vector_rows(self) -> Places:
        """Rows of the perturbed genes in a table of vectors of the read-out genes and then of the unread ones."""
        behind = len(self.genes) + np.cumsum(self.places < 0) - 1
        return np.asarray(np.where(self.places < 0, behind, self.places), dtype=np.int64)

    def own_genes(self, row: int) -> Places:
        """Places of the genes that a condition perturbs among the read-out ones."""
        places = self.places[self.carries[row] > 0]
        return np.asarray(places[places >= 0])

    def deal(self, seed: int) -> "Screen":
        """Every kind's effects dealt anew among its conditions."""
        generator = np.random.default_rng([seed, _DEALT])
        source = np.arange(len(self.names))
        for kind in _KINDS[1:]:
            rows = np.array([row for row, own in enumerate(self.kinds) if own == kind], dtype=np.int64)
            rows = rows[np.argsort([self.names[row] for row in rows], kind="stable")] if len(rows) else rows
            source[rows] = rows[generator.permutation(len(rows))]
        other = None if self.other is None else self.other[source]
        return replace(self, changes=self.changes[source], other=other)


def see(effects: Effects, variant: str = "") -> Screen:
    """The screen of these effects; conditions of more than two targets are left out."""
    if variant not in ("", *EFFECT_DERIVATIONS):
        raise UserError(f"--variant {variant}: unknown; use {', '.join(EFFECT_DERIVATIONS)}, or leave it out.")
    rows = [row for kinds in (_KINDS[:1], _KINDS[1:]) for row, kind in enumerate(effects.kinds) if kind in kinds]
    means, other = effects.means.astype(np.float64), None
    if variant == "halves":
        if effects.halves is None:
            raise UserError("these effects have one replicate a condition, so there are no halves; leave .halves out.")
        rows = [row for row in rows if effects.cells[row] >= FEWEST and np.isfinite(effects.halves[:, row]).all()]
        if not rows or effects.kinds[rows[0]] != "control":
            raise UserError(f"the control has fewer than {FEWEST} replicates, so it has no halves; leave .halves out.")
        first, means = effects.halves.astype(np.float64)
        other = first[rows]
    targets = tuple(tuple(effects.targets[row]) for row in rows)
    singles = [names for names, row in zip(targets, rows, strict=True) if effects.kinds[row] == "single"]
    perturbed = tuple(dict.fromkeys(gene for names in (*singles, *targets) for gene in names))
    place = {gene: at for at, gene in enumerate(effects.genes)}
    carries = np.array([[gene in names for gene in perturbed] for names in targets], dtype=np.float64)
    return Screen(
        names=tuple(effects.conditions[row] for row in rows),
        kinds=tuple(effects.kinds[row] for row in rows),
        targets=targets,
        directions=tuple(effects.directions[row] for row in rows),
        control=means[rows[0]],
        changes=means[rows] - means[rows[0]],
        other=other,
        genes=effects.genes,
        symbols=effects.symbols,
        values=effects.values,
        perturbed=perturbed,
        places=np.array([place.get(gene, -1) for gene in perturbed], dtype=np.int64),
        carries=carries.reshape(len(rows), len(perturbed)),
    )


def kinds_to_split(screen: Screen) -> list[str]:
    """Kind of each row; none of a double of which a single was not measured, which neither trains nor tests."""
    pairs = measured_pairs(screen)
    return ["" if kind == "double" and row not in pairs else kind for row, kind in enumerate(screen.kinds)]


def measured_pairs(screen: Screen) -> dict[int, tuple[int, int]]:
    """Row of a double -> rows of its two singles, of the doubles of which both were measured, in the double's order."""
    single = {names[0]: row for row, names in enumerate(screen.targets) if screen.kinds[row] == "single"}
    found = {}
    for row, names in enumerate(screen.targets):
        if screen.kinds[row] == "double" and all(name in single for name in names):
            found[row] = (single[names[0]], single[names[1]])
    return found
