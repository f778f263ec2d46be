"""What a network of single cells promises beside what every network does (`models.contract`)."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundationless.errors import UserError
from foundationless.models.checkpoints.names import first_part
from foundationless.models.contract import GenomicModel
from foundationless.models.tokenizers import CELLS, Tokenizer
from foundationless.models.tokenizers.genes import CellVocabulary


class CellModel(GenomicModel):
    """A network whose tokens are genes; configuration, strict weights and initialisation are those of every network.

    Its vocabulary (`models.tokenizers.genes`) stands where the tokenizer of a DNA model stands: beside the weights.
    Parts that only make predictions (`vocabulary_heads`) may be absent from a file, each as a whole: it is then left
    out, and noted in `absent`. Any other tensor more or less is a `UserError`.
    """

    tokenizer = CELLS
    absent: frozenset[str] = frozenset()

    def gene_vectors(self) -> Tensor:
        """What the network knows of each token before it sees a cell, [vocabulary, width]: what others borrow."""
        raise NotImplementedError

    def settle(self, where: str, missing: Collection[str], unexpected: Collection[str]) -> None:
        """`UserError` for any tensor more or less, but for whole parts that make predictions alone."""
        shared = self.shared_names()
        held = self.state_dict().keys() - shared.keys() - set(missing)
        absent = {first_part(name) for name in missing if self.is_head(name)} - {first_part(name) for name in held}
        lacking = sorted(name for name in missing if first_part(name) not in absent)
        for what, names in (("is unexpected", sorted(unexpected)), ("is missing", lacking)):
            if names:
                more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
                raise UserError(f"{where}: tensor '{names[0]}' {what}{more}; is this a checkpoint of the family named?")
        for part in absent:
            del self._modules[part]
        self.absent = frozenset(absent)

    def part(self, name: str) -> Any:
        """A part that makes predictions; `UserError` where the checkpoint had none."""
        if name not in self._modules:
            raise UserError(f"family '{self.family}': this network has no part '{name}'; use a checkpoint that has it.")
        return self._modules[name]

    @property
    def has_head(self) -> bool:
        return not self.absent


def named_vectors(model: GenomicModel, tokenizer: Tokenizer) -> tuple[tuple[str, ...], np.ndarray, str]:
    """(Genes, the vector of each [genes, width] float32, what they are named by), special tokens left out."""
    if not isinstance(model, CellModel) or not isinstance(tokenizer, CellVocabulary):
        raise UserError(f"family '{model.family}' has no vectors of genes; embed the sequences of genes with it.")
    genes = tokenizer.genes
    with torch.no_grad():
        matrix = model.gene_vectors()[torch.from_numpy(tokenizer.find(genes))].float().cpu().numpy()
    return genes, matrix, tokenizer.namespace


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str], where: str) -> dict[str, Tensor]:
    """The tensors with every pattern of `names` replaced; two names of one tensor must hold the same numbers."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new = name
        for pattern, other in names.items():
            new = re.sub(pattern, other, new)
        if new in found and not (tensor.is_meta or found[new].is_meta or torch.equal(tensor, found[new])):
            raise UserError(f"{where}: '{name}' and another name of it hold different numbers; fetch the file again.")
        found[new] = tensor
    return found
