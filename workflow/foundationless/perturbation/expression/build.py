"""`effects`: from a screen's matrix to the mean of each condition and of two halves of its replicates."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.files.tables import read_text_table
from foundationless.errors import UserError
from foundationless.perturbation.effects import DIRECTIONS, Effects
from foundationless.perturbation.expression import conditions
from foundationless.perturbation.expression.matrix import Expression, log_normalised, selected
from foundationless.perturbation.expression.reading import read_expression
from foundationless.perturbation.gene_names import NameTable, match, read_names
from foundationless.runtime.files import sha256
from foundationless.runtime.log import tell

# How replicates are dealt into halves: at random; the first and the second half of them in the source's order; and
# the same, but every other one of the control, whose replicates may stand by plate or batch.
DEALS = ("drawn", "ordered", "interleaved")


def read(sources: Mapping[str, Path], options: Mapping[str, Any], seed: int) -> Effects:
    """The effects of a screen; sources and options are those that `study.readers` declares."""
    if options["direction"] not in DIRECTIONS:
        raise UserError(f"option direction={options['direction']} is none of {', '.join(DIRECTIONS)}.")
    if options["halves"] not in DEALS:
        raise UserError(f"option halves={options['halves']} is none of {', '.join(DEALS)}.")
    path = sources["matrix"]
    expression, told, names = read_rows(sources, options)
    how = "as the option values says" if options["values"] != "auto" else "by their range; else state the option values"
    tell(f"{path.name}: values are taken as {expression.values} ({how})")
    digest = sha256(path)[:16] if path.is_file() else "directory"
    return pseudobulk(
        expression, told, seed, names=names, direction=options["direction"], min_cells=options["min_cells"],
        deal=options["halves"], source=f"{path.name} {digest}",
    )  # fmt: skip


def read_rows(
    sources: Mapping[str, Path], options: Mapping[str, Any]
) -> tuple[Expression, list[tuple[str, ...] | None], NameTable | None]:
    """A screen's matrix, what each row perturbs as the data name it (`named_targets`), and a table of gene names."""
    path = sources["matrix"]
    expression = read_expression(path, options, features=sources.get("features"), barcodes=sources.get("barcodes"))
    if "obs" in sources:
        expression = replace(expression, obs=_annotated(expression.obs, sources["obs"], options["barcode"]))
    if options["keep"]:
        expression = selected(expression, conditions.rows_where(expression.obs, options["keep"], "keep"))
        if expression.obs.empty:
            raise UserError(f"{path.name}: no row is left of the option keep; correct it.")
    names = read_names(sources["names"]) if "names" in sources else None
    told = named_targets(expression, options, path.name)
    _refuse_other_signs(expression, told, options["separator"], path.name)
    return expression, told, names


def _refuse_other_signs(
    expression: Expression, told: Sequence[tuple[str, ...] | None], separator: str, where: str
) -> None:
    """`UserError` where a target is no gene that is read out, and its parts by another sign are."""
    known = {*expression.genes, *expression.symbols}
    targets = dict.fromkeys(gene for genes in told if genes for gene in genes if gene not in known)
    if sign := conditions.other_sign(list(targets), separator, known.__contains__):
        odd = next(gene for gene in targets if conditions.other_sign([gene], separator, known.__contains__) == sign)
        raise UserError(
            f"{where}: '{odd}' is no gene that is read out, and its parts are; give the option separator={sign}, or "
            "separator=none where names of conditions are names of genes."
        )


def _annotated(obs: pd.DataFrame, path: Path, barcode: str) -> pd.DataFrame:
    """The rows with the columns of a table that names them in `barcode` (else in its first column)."""
    table = read_text_table(path, [barcode] if barcode else [])
    table = table.drop_duplicates(barcode or table.columns[0]).set_index(barcode or table.columns[0], drop=False)
    here = np.isin(obs.index, table.index)
    if not here.any():
        raise UserError(f"{path}: names none of the matrix's rows, such as '{obs.index[0]}'; see the option barcode.")
    if not here.all():
        tell(f"{path.name}: says nothing of {int((~here).sum())} of {len(obs)} rows")
    added = table.reindex(obs.index)
    return pd.concat([obs.drop(columns=added.columns, errors="ignore"), added], axis=1)


def named_targets(expression: Expression, options: Mapping[str, Any], where: str) -> list[tuple[str, ...] | None]:
    """Perturbed genes of each row as the data name them: () of the control, None of a row that is left out.

    Where a matrix says nothing of its rows, their names are the conditions.
    """
    obs, column = expression.obs, options["target"] or options["condition"]
    if column not in obs and obs.shape[1] == 0:
        obs = obs.assign(**{column: obs.index})
    option = "target" if options["target"] else "condition"
    known = {
        name: conditions.targets_of(name, options["separator"], options["control"])
        for name in dict.fromkeys(conditions.text_column(obs, column, option))
    }
    told = [known[name] for name in conditions.text_column(obs, column, option)]
    if options["controls"]:
        control = conditions.rows_where(obs, options["controls"], "controls")
        told = [() if own else targets or None for own, targets in zip(control, told, strict=True)]
    if () not in told:
        shown = ", ".join(list(known)[:6])
        raise UserError(f"{where}: no condition is the control (there are {shown}); name it with the option control.")
    return told


def pseudobulk(
    expression: Expression,
    targets: Sequence[tuple[str, ...] | None],
    seed: int,
    *,
    names: NameTable | None = None,
    direction: str = "unknown",
    min_cells: int = 1,
    deal: str = "drawn",
    source: str = "",
) -> Effects:
    """Plain means of log-normalised counts (or of values as they are) over the rows of each condition.

    A condition's halves are two parts of its rows, dealt by `deal` (one of `DEALS`), whose sizes differ by one at
    most. Conditions are named by the symbols of their targets where these are read out, else as the data name them;
    two orders of the same targets are one condition. Conditions of fewer than `min_cells` rows are left out.
    """
    normal = log_normalised(expression)
    own, resolved = resolved_targets(expression, targets, names)
    rows: dict[frozenset[str], list[int]] = {}
    for row, genes in enumerate(resolved):
        if genes is not None:
            rows.setdefault(frozenset(genes), []).append(row)
    if few := [key for key, members in rows.items() if key and len(members) < min_cells]:
        tell(f"{len(few)} conditions have fewer than {min_cells} rows: left out")
        rows = {key: members for key, members in rows.items() if key not in few}
    if lost := sum(genes is None for genes in resolved):
        tell(f"{lost} of {len(resolved)} rows belong to no condition: left out")
    if len(rows) < 2:
        raise UserError("the data hold no condition beside the control; correct the options condition and control.")
    listed = [resolved[members[0]] or () for members in rows.values()]
    named = ["+".join(own.get(gene, gene) for gene in genes) or conditions.CONTROL for genes in listed]
    means = np.stack([_mean(normal, members) for members in rows.values()])
    members_of = zip(rows.values(), named, strict=True)
    halves = np.stack([_halves(normal, members, seed, name, deal) for members, name in members_of])
    return Effects(
        conditions=tuple(named),
        targets=tuple(listed),
        kinds=tuple(map(conditions.kind_of, listed)),
        directions=tuple(direction if genes else "unknown" for genes in listed),
        cells=np.array([len(members) for members in rows.values()], dtype=np.int64),
        means=means,
        halves=None if np.isnan(halves).all() else np.ascontiguousarray(halves.transpose(1, 0, 2)),
        genes=expression.genes,
        symbols=expression.symbols,
        values=normal.values,
        source=source,
    )


def resolved_targets(
    expression: Expression, targets: Sequence[tuple[str, ...] | None], names: NameTable | None
) -> tuple[dict[str, str], list[tuple[str, ...] | None]]:
    """Symbols of targets by id, and targets of each row as ids of the read-out genes where they are among them."""
    wanted = list(dict.fromkeys(gene for genes in targets if genes for gene in genes))
    by_id, by_symbol = (match(wanted, have, names).places for have in (expression.genes, expression.symbols))
    places = np.where(by_id >= 0, by_id, by_symbol)
    ids = {gene: expression.genes[at] if at >= 0 else gene for gene, at in zip(wanted, places.tolist(), strict=True)}
    symbols = {expression.genes[at]: expression.symbols[at] for at in places.tolist() if at >= 0}
    if len(set(symbols.values())) < len(symbols):  # a symbol of two genes names neither
        symbols = {gene: gene for gene in symbols}
    if absent := int((places < 0).sum()):
        tell(f"{absent} of {len(wanted)} perturbed genes are not among the {len(expression.genes)} that are read out")
    return symbols, [None if genes is None else tuple(dict.fromkeys(ids[gene] for gene in genes)) for genes in targets]


def _mean(expression: Expression, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """Plain mean of rows [genes], added up in double precision."""
    total = np.asarray(expression.matrix[np.asarray(rows)].sum(axis=0, dtype=np.float64)).reshape(-1)
    return (total / len(rows)).astype(np.float32)


def _halves(expression: Expression, rows: Sequence[int], seed: int, name: str, deal: str) -> NDArray[np.float32]:
    """Means of two halves [2, genes]; NaN of a single row. A drawn deal depends on the seed and the condition alone."""
    if len(rows) < 2:
        return np.full((2, len(expression.genes)), np.nan, dtype=np.float32)
    order = np.arange(len(rows))
    if deal == "drawn":
        dealt = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(rows))
        parts = (np.sort(dealt[0::2]), np.sort(dealt[1::2]))
    elif deal == "interleaved" and name == conditions.CONTROL:
        parts = (order[0::2], order[1::2])
    else:
        parts = (order[: len(rows) // 2], order[len(rows) // 2 :])
    return np.stack([_mean(expression, np.asarray(rows)[part]) for part in parts])
