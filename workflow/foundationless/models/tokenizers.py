"""Tokenizers: exactly the ids of the published ones, by NumPy look-up instead of a loop over bases.

| name | tokens | special tokens put around a sequence | official padding |
|---|---|---|---|
| `hyenadna` | characters, case-sensitive | ... [SEP] | left |
| `caduceus` | characters, upper-cased | ... [SEP] | left |
| `paper_char` | characters (the study's Mistral) | [CLS] ... [SEP] | left |
| `character` | characters, for any encoder | [CLS] ... [SEP] | right |
| `nt_v1`, `nt_v2` | 6-mers, single letters where none fits | <cls> ... | right |
| `dnabert2`, `gena_lm` | byte-pair pieces, from a `tokenizer.json` | [CLS] ... [SEP] | right |
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from foundationless.errors import UserError

_SPECIAL_SPAN = -1


class Tokenizer(Protocol):
    """What every tokenizer offers; `k` is the k-mer length, 1 for characters, None where tokens vary in length."""

    name: str
    size: int  # rows that the embedding table needs
    pad_id: int
    unknown_id: int
    mask_id: int | None
    cls_id: int | None
    sep_id: int | None
    padding_side: Literal["left", "right"]
    base_ids: dict[str, int]
    special_ids: frozenset[int]
    k: int | None

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Token ids (int64) of a sequence, with (`special`) or without the tokens put around it."""

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """Half-open nucleotide interval of each token, int64 [tokens, 2]; (-1, -1) for special tokens.

        `special` says how `ids` were encoded. Byte-pair tokenizers need the `sequence` too.
        """


def _bytes(sequence: str) -> np.ndarray:
    return np.frombuffer(sequence.encode("ascii", "replace"), dtype=np.uint8)


def _enclosed(ids: np.ndarray, before: int | None, after: int | None) -> np.ndarray:
    parts = [[before]] if before is not None else []
    return np.concatenate([*parts, ids, *([[after]] if after is not None else [])]).astype(np.int64, copy=False)


def _spans(widths: np.ndarray, special: np.ndarray) -> np.ndarray:
    ends = np.cumsum(np.where(special, 0, widths))
    spans = np.stack([ends - widths, ends], axis=1)
    spans[special] = _SPECIAL_SPAN
    return spans


class CharacterTokenizer:
    """One token per character: a table of 256 ids, applied to the sequence's bytes."""

    k: int | None = 1

    def __init__(
        self,
        name: str,
        tokens: Mapping[str, int],
        size: int,
        around: tuple[str | None, str | None],
        padding_side: Literal["left", "right"],
        fold_case: bool,
    ) -> None:
        self.name, self.size, self.padding_side = name, size, padding_side
        self.pad_id, self.unknown_id = tokens["[PAD]"], tokens["[UNK]"]
        self.mask_id, self.cls_id, self.sep_id = (tokens.get(t) for t in ("[MASK]", "[CLS]", "[SEP]"))
        self.base_ids = {base: tokens[base] for base in "ACGTN"}
        self.special_ids = frozenset(i for t, i in tokens.items() if len(t) > 1 and t != "[UNK]")
        self._before, self._after = (tokens[t] if t else None for t in around)
        self._table = np.full(256, self.unknown_id, dtype=np.int64)
        for token, index in tokens.items():
            if len(token) == 1:
                self._table[ord(token)] = index
                if fold_case:
                    self._table[ord(token.lower())] = index

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64 [len(sequence) + special tokens]."""
        ids = self._table[_bytes(sequence)]
        return _enclosed(ids, self._before, self._after) if special else ids

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; an unknown token is one character wide."""
        ids = np.asarray(ids)
        return _spans(np.ones(len(ids), dtype=np.int64), np.isin(ids, list(self.special_ids)))


class KmerTokenizer:
    """Non-overlapping 6-mers of the Nucleotide Transformer, greedy from the left.

    A stretch of A, C, G, T is cut into 6-mers and its rest (fewer than six) into single letters; each N is a token; a
    stretch of anything else (lower case too) is one unknown token; white space separates and is dropped.
    """

    k: int | None = 6
    padding_side: Literal["left", "right"] = "right"
    pad_id, unknown_id = 1, 0
    mask_id: int | None = 2
    cls_id: int | None = 3
    sep_id: int | None = None
    _LETTERS = "ATCG"  # the order of itertools.product in the published vocabulary

    def __init__(self, name: str, first_kmer: int) -> None:
        self.name = name
        self._first = first_kmer
        single = first_kmer + 4**6
        self.base_ids = {letter: single + i for i, letter in enumerate(self._LETTERS + "N")}
        self.size = single + 5
        self.special_ids = frozenset({1, 2, *range(3, first_kmer)})
        self._n, self._other, self._space = 4, 5, 6
        self._codes = np.full(256, self._other, dtype=np.uint8)
        for code, letter in enumerate(self._LETTERS + "N"):
            self._codes[ord(letter)] = code
        self._codes[[ord(c) for c in " \t\n\r\v\f"]] = self._space

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64; the published tokenizer puts <cls> before the sequence and nothing behind it."""
        codes = self._codes[_bytes(sequence)]
        base = codes < self._n
        ids = self._cut(codes) if base.all() else self._mixed(codes, base)
        return _enclosed(ids, self.cls_id, None) if special else ids

    def _kmers(self, codes: np.ndarray) -> np.ndarray:
        """Ids of 6-mers given as codes [n, 6]."""
        index = codes[:, 0].astype(np.int16)  # wide enough for 4**6 k-mers
        for column in range(1, 6):
            index *= 4
            index += codes[:, column]
        return index.astype(np.int64) + self._first

    def _cut(self, codes: np.ndarray) -> np.ndarray:
        whole = len(codes) // 6 * 6
        rest = codes[whole:].astype(np.int64) + self.base_ids["A"]
        return np.concatenate([self._kmers(codes[:whole].reshape(-1, 6)), rest])

    def _mixed(self, codes: np.ndarray, base: np.ndarray) -> np.ndarray:
        edges = np.flatnonzero(np.diff(base.astype(np.int8), prepend=0, append=0))
        starts, lengths = edges[::2], edges[1::2] - edges[::2]
        count = lengths // 6
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        kmer_at = np.repeat(starts, count) + 6 * within
        kmer_ids = self._kmers(codes[kmer_at[:, None] + np.arange(6)])
        left = lengths - 6 * count
        beyond = np.arange(left.sum()) - np.repeat(np.cumsum(left) - left, left)
        single_at = np.repeat(starts + 6 * count, left) + beyond
        other = codes == self._other
        unknown_at = np.flatnonzero(other & ~np.concatenate([[False], other[:-1]]))
        letters_at = np.concatenate([single_at, np.flatnonzero(codes == self._n)])
        at = np.concatenate([kmer_at, letters_at, unknown_at])
        letter_ids = codes[letters_at].astype(np.int64) + self.base_ids["A"]
        ids = np.concatenate([kmer_ids, letter_ids, np.full(len(unknown_at), self.unknown_id)])
        return ids[np.argsort(at, kind="stable")]

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; ids with unknown tokens, which have no known width, are a `UserError`."""
        ids = np.asarray(ids)
        if (ids == self.unknown_id).any():
            raise UserError(
                f"tokenizer {self.name}: the sequence holds letters other than A, C, G, T, N; write N there."
            )
        widths = np.where(ids < self.base_ids["A"], 6, 1)
        return _spans(widths, np.isin(ids, list(self.special_ids)))


class PieceTokenizer:
    """Byte-pair pieces of DNABERT-2 and GENA-LM, by the `tokenizers` library from the published `tokenizer.json`."""

    k: int | None = None
    padding_side: Literal["left", "right"] = "right"

    def __init__(self, name: str, path: Path) -> None:
        import tokenizers  # the only tokenizers that need it are these two

        self.name = name
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{path}: not a readable tokenizer.json ({error}).") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        names = ("[PAD]", "[UNK]", "[MASK]", "[CLS]", "[SEP]")
        if missing := [token for token in names if token not in vocabulary]:
            raise UserError(f"{path}: the token {missing[0]} is missing; this is not the tokenizer of {name}.")
        self.pad_id, self.unknown_id, mask, cls, sep = (vocabulary[token] for token in names)
        self.mask_id: int | None = mask
        self.cls_id: int | None = cls
        self.sep_id: int | None = sep
        self.size = max(vocabulary.values()) + 1
        self.base_ids = {base: vocabulary.get(base, self.unknown_id) for base in "ACGTN"}
        self.special_ids = frozenset({self.pad_id, mask, cls, sep})

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64."""
        return np.array(self._tokenizer.encode(sequence, add_special_tokens=special).ids, dtype=np.int64)

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; `sequence` is what `ids` are an encoding of (padding may follow)."""
        if sequence is None:
            raise UserError(f"tokenizer {self.name}: the spans of byte-pair pieces need the sequence as well.")
        encoding = self._tokenizer.encode(sequence, add_special_tokens=special)
        spans = np.full((len(ids), 2), _SPECIAL_SPAN, dtype=np.int64)
        ordinary = np.flatnonzero(~np.array(encoding.special_tokens_mask, dtype=bool))
        ends = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)[ordinary, 1]
        # Pieces tile the sequence. The library's own starts do not: for a run of N that is one token it names the last.
        tiles = np.stack([np.concatenate([[0], ends[:-1]]), ends], axis=1)
        spans[ordinary[ordinary < len(ids)]] = tiles[ordinary < len(ids)]
        return spans


def _ids(tokens: str) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens.split())}


_HYENA = _ids("[CLS] [SEP] [BOS] [MASK] [PAD] [RESERVED] [UNK] A C G T N")
# The study's tokenizer gives [MASK] the id 12, outside its own 12-row table: there is no usable mask token.
_PAPER = _ids("D N A T G C [CLS] [SEP] [UNK] [PAD] [EOS] [BOS]")
_GENERIC = _ids("[PAD] [UNK] [CLS] [SEP] [MASK] A C G T N")
_CHARACTER: dict[str, tuple[dict[str, int], tuple[str | None, str | None], Literal["left", "right"], bool]] = {
    "hyenadna": (_HYENA, (None, "[SEP]"), "left", False),
    "caduceus": (_HYENA, (None, "[SEP]"), "left", True),
    "paper_char": (_PAPER, ("[CLS]", "[SEP]"), "left", False),
    "character": (_GENERIC, ("[CLS]", "[SEP]"), "right", True),
}
_FIRST_KMER = {"nt_v1": 4, "nt_v2": 6}  # nt_v2 has <eos> and <bos> before its 6-mers, nt_v1 beyond its table
PIECES = ("dnabert2", "gena_lm")
TOKENIZERS = (*_CHARACTER, *_FIRST_KMER, *PIECES)


def load_tokenizer(name: str, directory: Path | None = None) -> Tokenizer:
    """The tokenizer of that name; byte-pair ones read `tokenizer.json` in `directory`. Unknown: `UserError`."""
    if name in _CHARACTER:
        tokens, around, side, fold_case = _CHARACTER[name]
        return CharacterTokenizer(name, tokens, len(tokens), around, side, fold_case)
    if name in _FIRST_KMER:
        return KmerTokenizer(name, _FIRST_KMER[name])
    if name in PIECES:
        path = Path(directory or ".") / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"{path}: tokenizer '{name}' needs this file; give the published tokenizer.json.")
        return PieceTokenizer(name, path)
    raise UserError(f"no tokenizer '{name}'; the tokenizers are {', '.join(TOKENIZERS)}.")
