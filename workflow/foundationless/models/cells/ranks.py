"""Cells as Geneformer reads them: tokens of the expressed genes, from the highest value for that gene to the lowest.

The value is count / total of the cell x 10,000 / the gene's non-zero median, in float64 (`TranscriptomeTokenizer` of
huggingface.co/ctheodoris/Geneformer). Single precision would confuse close ranks. Equal values stand in the order of
the genes here; the official order of those is not defined.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from foundationless.errors import UserError
from foundationless.models.tokenizers.genes import CellVocabulary

TARGET_SUM = 10_000


class Ranker:
    """Turns the counts of cells with given genes into tokens.

    `mapping`: from an upper-cased gene id to that of the vocabulary; counts of ids that become the same gene are added
    up, and what it lacks is dropped (V2). Without it ids are taken as they are (V1).
    """

    def __init__(
        self, genes: Sequence[str], vocabulary: CellVocabulary, mapping: Mapping[str, str] | None = None
    ) -> None:
        if not vocabulary.medians:
            raise UserError("vocabulary: it says no median of any gene, which ranks need; choose one that does.")
        names = list(genes) if mapping is None else [mapping.get(gene.upper(), "") for gene in genes]
        known = [name if name in vocabulary.medians else "" for name in names]
        columns = dict.fromkeys(filter(None, known))
        places = {name: place for place, name in enumerate(columns)}
        self._vocabulary = vocabulary
        self._kept = np.array([bool(name) for name in known], dtype=bool)
        self._places = np.array([places[name] for name in known if name], dtype=np.int64)
        self._tokens = np.array([vocabulary.ids[name] for name in columns], dtype=np.int64)
        self._medians = np.array([vocabulary.medians[name] for name in columns], dtype=np.float64)

    def __len__(self) -> int:
        return len(self._tokens)

    def rank(
        self, counts: np.ndarray, total: float | None = None, most: int = 2048, special: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, counts per 10,000) of a cell, cut to `most`; special tokens count 0 and have their place in `most`.

        `counts` [genes]; `total` is the cell's over all its genes, known or not (default: the sum of `counts`). A cell
        without any known gene gives no token at all: it is to be left out.
        """
        whole = float(counts.sum()) if total is None else total
        summed = np.zeros(len(self._tokens))
        np.add.at(summed, self._places, counts[self._kept].astype(np.float64))
        found = summed.nonzero()[0]
        if not len(found):
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        unscaled = summed[found] / whole * TARGET_SUM
        order = np.argsort(-(unscaled / self._medians[found]), kind="stable")[: most - 2 * special]
        tokens, values = self._tokens[found[order]], unscaled[order]
        if special:
            opens, closes = self._vocabulary.cls_id, self._vocabulary.sep_id
            if opens is None or closes is None:
                raise UserError("vocabulary: it has no <cls> or no <eos>; read cells without special tokens.")
            tokens, values = np.r_[opens, tokens, closes], np.r_[0.0, values, 0.0]
        return tokens, values


def pool_cell(states: np.ndarray, mask: np.ndarray, special: bool = False) -> np.ndarray:
    """Mean of a hidden layer [cells, tokens, width] over each cell's genes: Geneformer's embedding, [cells, width].

    Padding stays out, and so do <cls> and <eos>, the first and the last token, where there are `special` ones.
    """
    valid = mask.astype(bool)
    if special:
        valid = valid.copy()
        last = valid.sum(axis=1) - 1
        valid[:, 0] = False
        valid[np.arange(len(valid)), last] = False
    summed = (states * valid[:, :, None]).sum(axis=1)
    pooled: np.ndarray = (summed / valid.sum(axis=1, keepdims=True)).astype(states.dtype)
    return pooled
