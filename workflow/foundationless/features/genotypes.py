"""What the genotypes alone tell of people: allele dosages, and their principal components.

A model reads a person's window as two sequences. All that differs between people there is which ALT alleles the two
carry, so a linear classifier on allele dosage is what a frozen model has to beat. Rows are haplotypes, as in the
sequence set (column `alleles`, see `tasks.readers.people`): the mean of a person's two rows, which `--aggregate sample`
takes, is the dosage divided by the ploidy.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.features.composition import check_names
from foundationless.study.vocabulary import GENOTYPES


def features(family: str, frame: pd.DataFrame, /, **options: Any) -> np.ndarray:
    """Features [rows, d], float32, of a set of people (columns `alleles`, `split` and, for PCA, `sample`).

    They are those of the function of the family's name. `UserError` for an unknown option, a set without alleles or
    without any left.
    """
    if family not in GENOTYPES:
        raise UserError(f"no genotype baseline '{family}'; they are {', '.join(GENOTYPES)}.")
    make: Callable[..., np.ndarray] = globals()[family]
    check_names(family, make, options)
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"baseline family '{family}': '{name}' = {value} is a whole number from 1.")
    if "alleles" not in frame.columns:
        raise UserError(f"baseline family '{family}': the set has no column 'alleles'; it is for sets of people.")
    return make(frame, **options)


def genotype(frame: pd.DataFrame, *, min_count: int = 2) -> np.ndarray:
    """One column per record and ALT allele: 1 where the haplotype carries it, else 0.

    A call that is missing is 0, as in the haplotype's sequence. Alleles that fewer than `min_count` haplotypes of the
    train split carry, or all of them, are left out: nothing about them can be learned.
    """
    return carried(frame["alleles"], (frame["split"] == "train").to_numpy(), min_count)


def genotype_pca(frame: pd.DataFrame, *, min_count: int = 2, components: int = 20) -> np.ndarray:
    """Coordinates on the first `components` principal components of the training people's dosages.

    Each allele (`min_count` as of `genotype`) is centred and divided by sqrt(p(1-p)) with p its frequency among them
    (Patterson et al. 2006, doi:10.1371/journal.pgen.0020190). Validation and test people are projected on what training
    people span; fewer components are made where these have a lower rank.
    """
    train = (frame["split"] == "train").to_numpy()
    return _components(genotype(frame, min_count=min_count), frame["sample"].to_numpy(), train, components)


def carried(alleles: pd.Series, train: np.ndarray, min_count: int) -> np.ndarray:
    """Which ALT alleles each haplotype carries [rows, alleles], float32 0 or 1, of those that training rows vary in."""
    lengths = alleles.map(len)
    if lengths.nunique() != 1 or not train.any():
        raise UserError("genotypes: the rows hold calls of different numbers of records, or none trains; build again.")
    calls = np.stack(alleles.to_list()).astype(np.int8)
    columns = []
    for alt in range(1, int(calls.max(initial=0)) + 1):
        held = calls == alt
        counts = held[train].sum(axis=0)
        columns.append(held[:, (counts >= min_count) & (counts < train.sum())])
    kept = np.concatenate(columns, axis=1) if columns else np.zeros((len(calls), 0))
    if not kept.shape[1]:
        raise UserError(f"genotypes: no allele is carried by {min_count} training haplotypes; use a lower min_count.")
    return kept.astype(np.float32)


def _components(dosages: np.ndarray, people: np.ndarray, train: np.ndarray, components: int) -> np.ndarray:
    """Projection of haplotypes [rows, d] on the principal components of the training people's mean haplotypes."""
    codes, names = pd.factorize(people[train])
    means = np.zeros((len(names), dosages.shape[1]))
    np.add.at(means, codes, dosages[train])
    means /= np.bincount(codes)[:, None]
    frequency = means.mean(axis=0)
    scale = np.sqrt(frequency * (1 - frequency))
    _, values, axes = np.linalg.svd((means - frequency) / scale, full_matrices=False)
    rank = int((values > values[0] * 1e-9).sum())
    axes = axes[: min(components, rank)]
    # The sign of an axis is arbitrary; libraries differ, so it is fixed by the largest loading.
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    places: np.ndarray = ((dosages - frequency) / scale @ axes.T).astype(np.float32)
    return places
