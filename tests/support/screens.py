"""Screens as effects: two real ones laid out by hand from public files, and planted ones of which the truth is known.

Replicates of the real ones stand in the source's order; the first half is `half_a`.
"""

from pathlib import Path

import numpy as np

from foundationless.perturbation.effects import Effects


def effects_of(
    values: np.ndarray,
    conditions: list[str],
    genes: list[str],
    *,
    order: list[str],
    kind: str,
    direction: str,
    interleaved_control: bool = False,
) -> Effects:
    """Effects of replicates [genes, n] whose conditions are named by their targets, `+` between, `ctrl` the control."""
    names = np.array(conditions)
    means, halves = [], []
    for name in order:
        rows = np.flatnonzero(names == name)
        cut = len(rows) // 2
        parts = (rows[:cut], rows[cut:])
        if interleaved_control and name == "ctrl":
            parts = (rows[::2], rows[1::2])
        means.append(values[:, rows].mean(axis=1))
        halves.append([values[:, part].mean(axis=1) for part in parts])
    targets = [() if name == "ctrl" else tuple(name.split("+")) for name in order]
    return Effects(
        conditions=tuple(order),
        targets=tuple(targets),
        kinds=tuple(("control", "single", "double")[len(each)] for each in targets),
        directions=tuple(direction if each else "unknown" for each in targets),
        cells=np.array([(names == name).sum() for name in order]),
        means=np.array(means, dtype=np.float32),
        halves=np.array(halves, dtype=np.float32).transpose(1, 0, 2),
        genes=tuple(genes),
        symbols=tuple(genes),
        values=kind,
        source="test",
    )


def norman(cells: Path) -> Effects:
    """Norman 2019 (K562, CRISPRa): 1,000 genes, control, 101 singles and 75 doubles, 40 cells each."""
    with np.load(cells, allow_pickle=False) as file:
        values, named = file["X"].astype(np.float64), file["cond"].tolist()
        genes = file["genes"].tolist()
    conditions = [name.replace("+ctrl", "") for name in named]
    order = list(dict.fromkeys(conditions))
    return effects_of(values, conditions, genes, order=order, kind="lognorm", direction="activation")


def l1000(path: Path) -> Effects:
    """L1000 plate LITMUS.KD017 (A549, shRNA): 976 genes, 32 vector wells, 85 targets in 2 to 4 wells; by Entrez id."""
    import rdata

    plate = rdata.read_rda(path)["kd_gct"]
    values, wells = np.asarray(plate.mat.values, dtype=np.float64), plate.cdesc
    symbols = dict(zip(plate.rdesc["pr_gene_id"].astype(str), plate.rdesc["pr_gene_symbol"].astype(str), strict=True))
    ids = wells["pert_univ_id"].astype(str).tolist()
    treated = (wells["pert_type"] == "trt_sh").tolist()
    vector = (wells["pert_type"] == "ctl_vector").tolist()
    conditions = [
        symbols[own] if is_treated else "ctrl" if is_vector else ""
        for own, is_treated, is_vector in zip(ids, treated, vector, strict=True)
    ]
    targets = sorted({own for own, is_treated in zip(ids, treated, strict=True) if is_treated})
    return effects_of(
        values,
        conditions,
        list(symbols.values()),
        order=["ctrl", *(symbols[own] for own in targets)],
        kind="z",
        direction="knockdown",
        interleaved_control=True,
    )


def planted(seed=0, *, genes=60, singles=40, doubles=20, rank=4, noise=0.05, values="lognorm", unread=0):
    """Effects = G W Pᵀ + a shared shift + noise, doubles the sum of both; also the planted vectors of all genes.

    The last `unread` targets are not among the read-out genes.
    """
    generator = np.random.default_rng(seed)
    names = tuple(f"g{place:03d}" for place in range(genes))
    vectors = generator.standard_normal((genes + unread, rank))
    control = generator.uniform(0.5, 3.0, genes)
    targets = [*names[: singles - unread], *(f"unread{place}" for place in range(unread))]
    own = [*range(singles - unread), *range(genes, genes + unread)]
    weights, shift = generator.standard_normal((rank, rank)) * 0.1, generator.standard_normal(genes) * 0.1
    of_single = vectors[own] @ weights @ vectors[:genes].T + shift
    pairs = [tuple(generator.choice(singles, 2, replace=False)) for _ in range(3 * doubles)]
    pairs = list({tuple(sorted(pair)): pair for pair in pairs}.values())[:doubles]
    of_double = np.array([of_single[first] + of_single[second] for first, second in pairs]).reshape(-1, genes)
    changes = np.concatenate([np.zeros((1, genes)), of_single, of_double])
    halves = control + changes + generator.standard_normal((2, *changes.shape)) * noise
    listed = [(), *((name,) for name in targets), *((targets[first], targets[second]) for first, second in pairs)]
    effects = Effects(
        conditions=tuple("+".join(each) or "ctrl" for each in listed),
        targets=tuple(listed),
        kinds=tuple(("control", "single", "double")[len(each)] for each in listed),
        directions=tuple("knockdown" if each else "unknown" for each in listed),
        cells=np.full(len(listed), 40),
        means=halves.mean(axis=0).astype(np.float32),
        halves=halves.astype(np.float32),
        genes=names,
        symbols=tuple(name.upper() for name in names),
        values=values,
        source="planted",
    )
    return effects, vectors
