"""A simulated screen whose truth is planted: what targets do is a linear function of vectors that one table holds.

The change of expression of a single perturbation is G W p + a shift that all share + the target's own gene, which
rises; p is the target's vector. Of a double it is the sum of both, times a factor where the pair interacts. Replicates
are the mean expression and noise around it. `useful.tsv` holds p of every gene with a little noise, `useless.tsv`
independent numbers of the same size: whoever predicts from the one must beat the mean, from the other must not.
Values lie on the scale of ln(1 + counts per 10,000). Everything is a function of the seed, byte for byte.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.simulate_genome import seeded, staged
from foundationless.errors import UserError
from foundationless.perturbation.expression.conditions import CONTROL
from foundationless.perturbation.expression.h5ad import write_h5ad
from foundationless.perturbation.expression.matrix import Expression, named_rows
from foundationless.tasks.readers.genes import read_annotation

GENES, SINGLES, DOUBLES, DIMS = 300, 80, 30, 10
REPLICATES, CONTROLS = 8, 24
CHANGE, SHIFT, OWN, NOISE = 0.25, 0.15, 1.0, 0.3  # standard deviations of a gene's change; the own gene's rise
BLUR = 0.1  # of the useful vectors, whose entries have variance 1
FACTORS = {"buffering": 0.5, "synergistic": 1.6, "none": 1.0}  # of the sum of the singles' changes
INTERACTING = {"buffering": 6, "synergistic": 6}  # pairs of each kind; the others do not interact


class Planted(NamedTuple):
    """Change of each condition [conditions, genes], with the vectors that made it [genes, dims]."""

    conditions: tuple[str, ...]
    change: NDArray[np.float64]
    vectors: NDArray[np.float64]
    genes: tuple[str, ...]
    interactions: dict[str, str]


def name_genes(gtf: Path | None) -> tuple[str, ...]:
    """The first genes of a GTF, or names that are made up."""
    if gtf is None:
        return tuple(f"SIM{number + 1:03d}" for number in range(GENES))
    names = tuple(dict.fromkeys(read_annotation(gtf)["gene"]))
    if len(names) < GENES:
        raise UserError(f"{gtf}: has {len(names)} genes, and a screen reads out {GENES}; give an annotation with more.")
    return names[:GENES]


def planted(rng: np.random.Generator, genes: tuple[str, ...]) -> Planted:
    """The truth: conditions (control first, singles, doubles), their changes, and the vectors of all genes."""
    vectors, loadings = rng.standard_normal((GENES, DIMS)), rng.standard_normal((GENES, DIMS))
    mixing = rng.standard_normal((DIMS, DIMS)) / np.sqrt(DIMS)
    shift = SHIFT * rng.standard_normal(GENES)
    targets = np.sort(rng.permutation(GENES)[:SINGLES])
    effects = vectors[targets] @ mixing.T @ loadings.T
    effects *= CHANGE / effects.std()
    effects += shift
    effects[np.arange(SINGLES), targets] += OWN
    pairs = [(int(a), int(b)) for a, b in rng.permutation([(a, b) for b in range(SINGLES) for a in range(b)])[:DOUBLES]]
    kinds = [kind for kind, count in INTERACTING.items() for _ in range(count)]
    kinds += ["none"] * (DOUBLES - len(kinds))
    sums = [FACTORS[kind] * (effects[a] + effects[b]) for (a, b), kind in zip(pairs, kinds, strict=True)]
    singles = [genes[target] for target in targets]
    doubles = [f"{singles[a]}+{singles[b]}" for a, b in pairs]
    change = np.vstack([np.zeros(GENES), effects, *sums])
    return Planted((CONTROL, *singles, *doubles), change, vectors, genes, dict(zip(doubles, kinds, strict=True)))


def simulate_effects(directory: Path, seed: int, gtf: Path | None = None) -> None:
    """Write effects.h5ad, useful.tsv, useless.tsv (gene and a column a dimension) and interactions.tsv."""
    rng = seeded(seed)
    screen = planted(rng, name_genes(gtf))
    resting = rng.uniform(2.0, 6.0, size=GENES)
    rows = np.repeat(np.arange(len(screen.conditions)), [CONTROLS] + [REPLICATES] * (len(screen.conditions) - 1))
    rows = rng.permutation(rows)
    noise = NOISE * rng.standard_normal((len(rows), GENES))
    profiles = np.maximum(resting + screen.change[rows] + noise, 0.0).astype(np.float32)
    names = [f"well{number + 1:04d}" for number in range(len(rows))]
    # as published screens write a single perturbation
    written = [name if name == CONTROL or "+" in name else f"{name}+{CONTROL}" for name in screen.conditions]
    obs = named_rows(names, pd.DataFrame({"condition": [written[row] for row in rows]}, dtype=object))
    useful = screen.vectors + BLUR * rng.standard_normal(screen.vectors.shape)
    useless = rng.standard_normal(screen.vectors.shape)
    with staged(directory) as stage:
        write_h5ad(stage / "effects.h5ad", Expression(profiles, screen.genes, screen.genes, obs, "lognorm"))
        for name, table in (("useful", useful), ("useless", useless)):
            frame = pd.DataFrame(table, index=pd.Index(screen.genes, name="gene"))
            frame.columns = pd.Index([f"dim{number + 1}" for number in range(DIMS)])
            frame.to_csv(stage / f"{name}.tsv", sep="\t", float_format="%.6f")
        pairs = pd.DataFrame(list(screen.interactions.items()), columns=["condition", "interaction"])
        pairs.to_csv(stage / "interactions.tsv", sep="\t", index=False)
