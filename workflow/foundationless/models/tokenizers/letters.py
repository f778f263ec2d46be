"""Characters: one token each."""

from collections.abc import Mapping

import numpy as np

from foundationless.models.tokenizers.protocol import Side, Specials, as_bytes, make_spans, room


class CharacterTokenizer:
    """One token per character: a table of 256 ids, which the sequence's bytes are translated by."""

    k: int | None = 1

    def __init__(
        self,
        name: str,
        letters: Mapping[str, int],
        specials: Specials,
        padding_side: Side,
        folds_case: bool,
    ) -> None:
        """`letters`: id of every character that has one; all below 256, as is that of the unknown token."""
        self.name, self.padding_side, self.folds_case = name, padding_side, folds_case
        self.pad_id, self.mask_id = specials.pad, specials.mask
        self.cls_id, self.sep_id = specials.cls, specials.sep
        self.size = specials.size(max(letters.values()) + 1)
        if specials.unknown is None or max(specials.unknown, *letters.values()) > 255:
            raise ValueError("an unknown token, and no number of a letter above 255")
        self.unknown_id: int | None = specials.unknown
        known = {**{letter.upper(): index for letter, index in letters.items()}, **letters}
        self.base_ids = {base: known.get(base, specials.unknown) for base in "ACGTN"}
        self.special_ids = frozenset(index for index in specials.every if index < self.size)
        self.unknown_ids = frozenset({specials.unknown, self.base_ids["N"]})
        self._ordinary = ~np.isin(np.arange(self.size), list(self.special_ids))
        self._before, self._after = specials.before, specials.after
        table = bytearray([specials.unknown] * 256)
        for letter, index in letters.items():
            table[ord(letter)] = index
            if folds_case:
                table[ord(letter.swapcase())] = index
        self._table = bytes(table)

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64 [len(sequence) + special tokens]."""
        ids, letters = room(len(sequence), *((self._before, self._after) if special else (None, None)))
        letters[:] = np.frombuffer(as_bytes(sequence).translate(self._table), dtype=np.uint8)
        return ids

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; an unknown token is one character wide."""
        ordinary = self._ordinary[ids].nonzero()[0]
        starts = np.arange(len(ordinary))
        return make_spans(len(ids), ordinary, starts, starts + 1)


def _ids(tokens: str) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens.split())}


_HYENA = _ids("[CLS] [SEP] [BOS] [MASK] [PAD] [RESERVED] [UNK] A C G T N")
# The paper's tokenizer gives [MASK] the id 12, outside its own 12-row table: there is no usable mask token.
_PAPER = _ids("D N A T G C [CLS] [SEP] [UNK] [PAD] [EOS] [BOS]")
_GENERIC = _ids("[PAD] [UNK] [CLS] [SEP] [MASK] A C G T N")
_DECLARED: dict[str, tuple[dict[str, int], tuple[str | None, str | None], Side, bool]] = {
    "hyenadna": (_HYENA, (None, "sep"), "left", False),
    "caduceus": (_HYENA, (None, "sep"), "left", True),
    "paper_char": (_PAPER, ("cls", "sep"), "left", False),
    "character": (_GENERIC, ("cls", "sep"), "right", True),
}
CHARACTERS = tuple(_DECLARED)


def declared_letters(name: str) -> CharacterTokenizer:
    """One of `CHARACTERS`."""
    tokens, around, side, folds_case = _DECLARED[name]
    roles = {role: f"[{role.upper()}]" for role in ("pad", "unk", "mask", "cls", "sep")}
    letters = {token: index for token, index in tokens.items() if len(token) == 1}
    return CharacterTokenizer(name, letters, Specials.named(tokens, roles, *around), side, folds_case)
