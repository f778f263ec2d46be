"""Tables of people: panels, pedigrees, families and the largest set without relatives."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from foundationless.data.files.tables import read_text_table
from foundationless.errors import UserError

PERSON = ("sample", "sampleid", "individual id", "iid", "individual")  # names of the column of people
_FAMILY = ("family", "family id", "fid", "familyid")
_FATHER = ("fatherid", "paternal id", "father", "pat")
_MOTHER = ("motherid", "maternal id", "mother", "mat")
_UNKNOWN = {"", "0", "NA", "-9"}

# The phase 3 panel and the table of the 3,202 people call the same columns by other names.
_SYNONYMS = {"super_pop": "superpopulation", "pop": "population", "gender": "sex"}


def read_people(path: Path) -> pd.DataFrame:
    """A table of people with a header, separated by tabs or blanks; stray separators at line ends are ignored."""
    table: pd.DataFrame = read_text_table(path, loose=True).fillna("")
    table.columns = table.columns.str.lstrip("#")
    named = [name for name in table.columns if name and not name.startswith("Unnamed: ")]
    table = table[named].apply(lambda cells: cells.str.strip())
    return table[(table != "").any(axis="columns")].reset_index(drop=True)


def column(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """The first column of a table that bears one of `names`, whatever its case."""
    known = {name.lower(): name for name in table.columns}
    return next((known[name] for name in names if name in known), None)


def label_column(table: pd.DataFrame, name: str) -> str | None:
    """The column `name` of a panel, or its synonym (`Superpopulation` for `super_pop`)."""
    return name if name in table.columns else column(table, (name.lower(), _SYNONYMS.get(name.lower(), "")))


class _Person(NamedTuple):
    """A row of a pedigree; "" where nothing is known."""

    name: str
    family: str
    father: str
    mother: str


def _read_pedigree(path: Path) -> list[_Person]:
    table = read_people(path)
    person = column(table, PERSON)
    columns = [column(table, names) for names in (_FAMILY, _FATHER, _MOTHER)]
    if person is None or not any(columns):
        raise UserError(
            f"{path}: no pedigree; a column of people (sample, sampleID, Individual ID) and one of families or parents "
            "(family, Family ID, fatherID, motherID) are needed."
        )
    links = [
        ["" if link in _UNKNOWN else link for link in table[held]] if held else [""] * len(table) for held in columns
    ]
    return [_Person(*row) for row in zip(table[person], *links, strict=True)]


def families(path: Path, samples: Sequence[str]) -> dict[str, str]:
    """The family of every sample: people joined by parents or by a family id in a pedigree; else the sample itself.

    A family bears the name of its first sample. Formats: the pedigree of the 1000 Genomes Project's 3,202 people
    (`sampleID fatherID motherID sex`), its table of samples (`FamilyID SampleID FatherID MotherID ...`), PLINK's.
    """
    edges = [
        (person.name, link)
        for person in _read_pedigree(path)
        for link in (person.family and f"family {person.family}", person.father, person.mother)
        if link
    ]
    names = dict.fromkeys([*samples, *(name for edge in edges for name in edge)])
    nodes = {name: number for number, name in enumerate(names)}
    left, right = [nodes[a] for a, _ in edges], [nodes[b] for _, b in edges]
    graph = coo_array(([1] * len(edges), (left, right)), shape=(len(nodes), len(nodes)))
    component = connected_components(graph, directed=False)[1]
    first: dict[int, str] = {}
    return {sample: first.setdefault(int(component[nodes[sample]]), sample) for sample in samples}


def unrelated(path: Path, samples: Sequence[str]) -> set[str]:
    """A largest set of samples without first-degree relatives, by a pedigree.

    Relatives of the first degree are parents and children, and siblings who share both parents. Among sets of equal
    size, those with fewer recorded parents stay: of a trio the two parents, of a duo the parent. A pedigree that names
    families and no parents leaves one person a family. Kin that it does not record remain.
    """
    parents = {person.name: (person.father, person.mother) for person in _read_pedigree(path)}
    if not any(any(couple) for couple in parents.values()):
        return set(families(path, samples).values())
    kin: dict[str, set[str]] = {sample: set() for sample in samples}
    pairs = [(sample, parent) for sample in samples for parent in parents.get(sample, ())]
    siblings: dict[tuple[str, str], list[str]] = {}
    for sample in samples:
        if all(couple := parents.get(sample, ("", ""))):
            siblings.setdefault(couple, []).append(sample)
    for children in siblings.values():
        pairs += combinations(children, 2)
    for one, other in pairs:
        if other in kin and one != other:
            kin[one].add(other)
            kin[other].add(one)
    houses: dict[str, list[str]] = {}
    house = families(path, samples)
    for sample in sorted(samples, key=lambda name: len([known for known in parents.get(name, ()) if known])):
        houses.setdefault(house[sample], []).append(sample)
    return set().union(*(_independent(members, kin) for members in houses.values()))


def _independent(people: Sequence[str], kin: Mapping[str, set[str]]) -> set[str]:
    """A largest set of `people` no two of whom are kin; exact, the first named preferred."""
    left = dict.fromkeys(people)
    chosen: set[str] = set()
    while left:
        related = {person: kin[person] & left.keys() for person in left}
        # Who has at most one relative left can always be taken: the relative would take no more than that place.
        person = next((name for name in left if len(related[name]) < 2), None)
        if person is None:
            hub = max(left, key=lambda name: len(related[name]))
            without = _independent([name for name in left if name != hub], kin)
            with_it = {hub} | _independent([name for name in left if name != hub and name not in related[hub]], kin)
            return chosen | max(without, with_it, key=len)
        chosen.add(person)
        for name in (person, *related[person]):
            del left[name]
    return chosen
