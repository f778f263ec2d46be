"""Vocabularies of genes: which token each gene is, and of ranked ones its median; read, written and made of cells.

A file is one of

- `vocabulary.json`, as written here: {"tokens": {token: id}, "medians": {gene: number}, "namespace": "symbol"};
- `vocab.json`, as scGPT publishes it: {token: id};
- `vocabulary.tsv` or `vocabulary.tsv.gz`: a header, then gene, token and median a line (no median: a special token).

Special tokens are written in angle brackets. `CellVocabulary` stands where a tokenizer of DNA stands.
"""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foundationless.errors import UserError
from foundationless.models.tokenizers.protocol import Side, is_marker
from foundationless.runtime.files import atomic_path
from foundationless.study.families import CELL_FORMS, CELLS

FILE = "vocabulary.json"
FILES = (FILE, "vocab.json", "vocabulary.tsv", "vocabulary.tsv.gz")
_NONE: int | None = None
PAD, MASK, CLS, EOS, EOC = "<pad>", "<mask>", "<cls>", "<eos>", "<eoc>"


class CellVocabulary:
    """Ids of genes and special tokens. `medians`: of a gene's non-zero values, for ranks; empty where none are known.

    `genes` are those without special tokens, in the order of their ids. `namespace` says what they are named by:
    `symbol`, `ensembl`, `entrez` or `own`.
    """

    def __init__(
        self, ids: Mapping[str, int], medians: Mapping[str, float] | None = None, namespace: str = "symbol"
    ) -> None:
        self.ids, self.medians, self.namespace = dict(ids), dict(medians or {}), namespace
        numbers = list(self.ids.values())
        if any(type(number) is not int or number < 0 for number in numbers) or len(set(numbers)) < len(numbers):
            raise UserError("vocabulary: the ids are not different integers from 0 on; correct the file.")
        if PAD not in self.ids:
            raise UserError(f"vocabulary: it has no {PAD}; add the special tokens.")
        if wrong := [gene for gene, median in self.medians.items() if gene not in self.ids or not median > 0]:
            raise UserError(f"vocabulary: the median of '{wrong[0]}' is not above 0, or it has no token.")
        ordinary = (token for token in self.ids if not is_marker(token))
        self.genes = tuple(sorted(ordinary, key=self.ids.__getitem__))
        self.size = max(numbers) + 1
        self.pad_id: int = self.ids[PAD]
        self.mask_id, self.cls_id = self.ids.get(MASK), self.ids.get(CLS)
        self.sep_id = self.ids.get(EOS, self.ids.get(EOC))
        self.special_ids = frozenset(number for token, number in self.ids.items() if is_marker(token))
        # What only letters have.
        self.name, self.k, self.unknown_id = CELLS, _NONE, _NONE
        self.padding_side: Side = "right"
        self.folds_case, self.base_ids, self.unknown_ids = False, dict[str, int](), frozenset[int]()

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """No sequence is read: a `UserError`."""
        raise UserError("a network of single cells reads cells, not sequences; choose a model of DNA for this.")

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """Tokens have no place in a sequence: a `UserError`."""
        raise UserError("a network of single cells reads cells, not sequences; choose a model of DNA for this.")

    def find(self, genes: Sequence[str]) -> np.ndarray:
        """Id of each gene, -1 where it has none; int64."""
        return np.array([-1 if is_marker(gene) else self.ids.get(gene, -1) for gene in genes], dtype=np.int64)


def of_genes(
    genes: Iterable[str], form: str, medians: Mapping[str, float] | None = None, namespace: str = "symbol"
) -> CellVocabulary:
    """The vocabulary of some genes, in their order, with the special tokens of a form of `CELL_FORMS`."""
    if form not in CELL_FORMS:
        raise UserError(f"no form of vocabulary '{form}'; the forms are {', '.join(CELL_FORMS)}.")
    special, first = CELL_FORMS[form]
    plain = list(dict.fromkeys(genes))
    tokens = [*special, *plain] if first else [*plain, *special]
    return CellVocabulary({token: number for number, token in enumerate(tokens)}, dict(medians or {}), namespace)


def nonzero_medians(values: Any, genes: Sequence[str]) -> dict[str, float]:
    """Median over cells of a gene's non-zero counts per 10,000 (float64), as Geneformer's corpus has it.

    `values`: counts [cells, genes], dense or SciPy's sparse; the total of a cell is the sum of its row. Genes that no
    cell has are left out.
    """
    from scipy import sparse

    columns = sparse.csc_matrix(values, dtype=np.float64)
    totals = np.asarray(columns.sum(axis=1)).ravel()
    scaled = (sparse.diags(10_000 / np.where(totals > 0, totals, 1)) @ columns).tocsc()
    parts = np.split(scaled.data, scaled.indptr[1:-1])
    return {gene: float(np.median(part)) for gene, part in zip(genes, parts, strict=True) if (part > 0).any()}


def namespace_of(genes: Iterable[str]) -> str:
    """`ensembl`, `entrez` or `symbol`, by how most of the genes are written."""
    names = [gene for gene in genes if not is_marker(gene)]
    for namespace, fits in (("ensembl", lambda gene: gene.startswith("ENS")), ("entrez", str.isdigit)):
        if 2 * sum(map(fits, names)) > len(names):
            return namespace
    return "symbol"


def read_vocabulary(directory: Path) -> CellVocabulary:
    """The vocabulary in the first of `FILES` that is in a directory, or in the file itself."""
    path = next((directory / name for name in FILES if (directory / name).is_file()), directory)
    if not path.is_file():
        raise UserError(f"{directory}: holds no vocabulary of genes; put one of {', '.join(FILES)} there.")
    try:
        tokens, medians, said = _read_table(path) if ".tsv" in path.suffixes else _read_json(path)
        return CellVocabulary(tokens, medians, said or namespace_of(tokens))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not a vocabulary of genes ({type(error).__name__}); fetch it again.") from None


def _read_json(path: Path) -> tuple[dict[str, int], dict[str, float], str]:
    held = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(held.get("tokens"), dict):
        medians = {gene: float(median) for gene, median in (held.get("medians") or {}).items()}
        return held["tokens"], medians, str(held.get("namespace") or "")
    return dict(held), {}, ""


def _read_table(path: Path) -> tuple[dict[str, int], dict[str, float], str]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows = [line.split("\t") for line in text.splitlines()[1:] if line]
    return {row[0]: int(row[1]) for row in rows}, {row[0]: float(row[2]) for row in rows if row[2:] and row[2]}, ""


def write_vocabulary(path: Path, vocabulary: CellVocabulary) -> None:
    """Write `vocabulary.json`, in the order of ids."""
    tokens = dict(sorted(vocabulary.ids.items(), key=lambda pair: pair[1]))
    held: dict[str, Any] = {"namespace": vocabulary.namespace, "tokens": tokens}
    if vocabulary.medians:
        held["medians"] = dict(vocabulary.medians)
    with atomic_path(path) as part:
        part.write_text(json.dumps(held), encoding="utf-8")
