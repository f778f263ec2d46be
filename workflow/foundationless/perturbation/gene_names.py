"""Names of genes: Ensembl ids, Entrez numbers, symbols and what they were called before, as one gene.

A table of names is what genenames.org publishes (HGNC complete set: symbol, prev_symbol, alias_symbol, entrez_id,
ensembl_gene_id), a table of annotables (ensgene, entrez, symbol), or a GTF (gene_id, gene_name). Without one, names
match where they are written alike, then where they are in upper case.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.data.files.tables import read_text_table
from foundationless.data.files.text import read_lines
from foundationless.errors import UserError
from foundationless.tasks.readers.transcripts import read_gene_table

# Names of a gene, from those that decide to those that give way.
_RANKS = (
    ("symbol", ("symbol", "Approved symbol", "gene_name")),
    ("ensembl", ("ensembl_gene_id", "ensgene", "Ensembl gene ID", "gene_id")),
    ("entrez", ("entrez_id", "entrez", "NCBI Gene ID", "ncbi_id")),
    ("previous", ("prev_symbol", "Previous symbols")),
    ("alias", ("alias_symbol", "Alias symbols")),
)

_ATTRIBUTE = re.compile(r'(gene_id|gene_name) "([^"]+)"')


def stripped(name: str) -> str:
    """A name without blanks, an Ensembl id without its version."""
    name = name.strip()
    found = re.fullmatch(r"(ENS[A-Z]{0,4}G[0-9]{11})\.[0-9]+(_PAR_Y)?", name)
    return found[1] if found else name


@dataclass(frozen=True)
class NameTable:
    """Names of genes -> the number of the gene; `symbols` are the current ones, by number."""

    numbers: dict[str, int] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()

    def key(self, name: str) -> int | None:
        """The gene of a name; None where the table does not know it, or more than one gene by it."""
        bare = stripped(name)
        return self.numbers.get(bare, self.numbers.get(bare.upper()))

    def symbol(self, name: str) -> str:
        """The current symbol of a gene by any of its names; the name where it is not known."""
        number = self.key(name)
        return stripped(name) if number is None else self.symbols[number]


def read_names(path: Path) -> NameTable:
    """The table of a file: text with a header or a GTF (also .gz), or R data with one data frame."""
    table: Any
    if path.name.lower().removesuffix(".gz").endswith(".gtf"):
        table = _names_of_gtf(path)
    elif path.suffix.lower() in (".rda", ".rdata"):
        table = read_gene_table(path, ["ensgene", "entrez", "symbol"])
    else:
        table = read_text_table(path)
    columns = {rank: next((name for name in names if name in table), "") for rank, names in _RANKS}
    if not columns["symbol"] or not (columns["ensembl"] or columns["entrez"] or columns["previous"]):
        raise UserError(f"{path}: is no table of gene names; it needs symbol, and ensembl_gene_id or entrez_id.")
    text = {rank: [_cell(value) for value in table[name]] for rank, name in columns.items() if name}
    genes: dict[str, int] = {}
    for symbol in filter(None, text["symbol"]):
        genes.setdefault(symbol, len(genes))
    numbers: dict[str, int] = {}
    for rank, _ in _RANKS:
        pairs = zip(text["symbol"], text.get(rank, ()), strict=False)
        _enter(numbers, [(word, genes[symbol]) for symbol, cell in pairs if symbol for word in _words(cell)])
    return NameTable(numbers, tuple(genes))


def _names_of_gtf(path: Path) -> dict[str, list[str]]:
    """Ids and names of the genes of a GTF, each once; those without a name are left out."""
    found: dict[str, str] = {}
    for line in read_lines(path, "a GTF"):
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) == 9 and not line.startswith("#"):
            said = dict(_ATTRIBUTE.findall(fields[8]))
            if "gene_id" in said and "gene_name" in said:
                found.setdefault(said["gene_id"], said["gene_name"])
    if not found:
        raise UserError(f"{path}: has no gene_id with a gene_name; give another table of gene names.")
    return {"gene_id": list(found), "gene_name": list(found.values())}


def _cell(value: object) -> str:
    """Text of a cell; numbers with missing ones beside them are read as fractions."""
    text = str(value)
    return "" if text in ("nan", "None", "<NA>", "NA") else text.removesuffix(".0")


def _words(cell: str) -> list[str]:
    return [word for word in (stripped(part.strip('" ')) for part in re.split(r"[|,]", cell)) if word]


def _enter(numbers: dict[str, int], pairs: Iterable[tuple[str, int]]) -> None:
    """Names of one rank: those that a better rank gave stay, and those of several genes are nobody's."""
    owners: dict[str, set[int]] = {}
    for name, gene in pairs:
        for form in (name, name.upper()):
            owners.setdefault(form, set()).add(gene)
    numbers |= {name: min(genes) for name, genes in owners.items() if len(genes) == 1 and name not in numbers}


@dataclass(frozen=True)
class Matches:
    """`places` [wanted]: where each wanted gene stands among those there are, -1 where it does not."""

    places: NDArray[np.int64]
    unmatched: tuple[str, ...]


def match(wanted: Sequence[str], have: Sequence[str], table: NameTable | None = None) -> Matches:
    """Where wanted genes stand: as written, else in upper case, else by the table; of equal names the first counts."""
    exact: dict[str, int] = {}
    upper: dict[str, int] = {}
    known: dict[int, int] = {}
    for place, name in enumerate(have):
        exact.setdefault(stripped(name), place)
        upper.setdefault(stripped(name).upper(), place)
        if table is not None and (number := table.key(name)) is not None:
            known.setdefault(number, place)
    places = []
    for name in wanted:
        bare = stripped(name)
        place = exact.get(bare, upper.get(bare.upper(), -1))
        if place < 0 and table is not None and (number := table.key(name)) is not None:
            place = known.get(number, -1)
        places.append(place)
    found = np.array(places, dtype=np.int64)
    return Matches(found, tuple(name for name, place in zip(wanted, places, strict=True) if place < 0))
