"""Tokenizers: exactly the ids of the published ones, by table look-up instead of a loop over bases.

| name | tokens | special tokens put around a sequence | official padding |
|---|---|---|---|
| `hyenadna` | characters, case-sensitive | ... [SEP] | left |
| `caduceus` | characters, upper-cased | ... [SEP] | left |
| `paper_char` | characters (the paper's Mistral) | [CLS] ... [SEP] | left |
| `character` | characters, for any encoder | [CLS] ... [SEP] | right |
| `nt_v1`, `nt_v2` | 6-mers, single letters where none fits | <cls> ... | right |
| `dnabert2`, `gena_lm` | byte-pair pieces, from a `tokenizer.json` | [CLS] ... [SEP] | right |

What becomes of everything but A, C, G and T, with the ids ("?" is the unknown token, one for each letter):

| name | ? | lower case | N | R Y S W K M B D H V | U | - | . | white space | empty |
|---|---|---|---|---|---|---|---|---|---|
| `hyenadna` | 6 | ? | 11 | ? | ? | ? | ? | ? | 1 |
| `caduceus` | 6 | upper case | 11 | ? | ? | ? | ? | ? | 1 |
| `paper_char` | 8 | ? | 1 | D: 0, others ? | ? | ? | ? | ? | 6 7 |
| `character` | 1 | upper case | 9 | ? | ? | ? | ? | ? | 2 3 |
| `nt_v1` | 0 | ? (a) | 4104 | ? (a) | ? (a) | ? (a) | ? (a) | separates, no token | 3 |
| `nt_v2` | 0 | ? (a) | 4106 | ? (a) | ? (a) | ? (a) | ? (a) | separates, no token | 3 |
| `dnabert2` | 0 | ? | ? | ? | ? | ? | ? | separates, no token | 1 2 |
| `gena_lm` | 0 | ? | 12 (b) | D, H, V: ?, others (b) | ? | 5 | ? | ?, none at the ends | 1 2 |

(a) One for a whole stretch: any run without A, C, G, T, N and white space, whatever it is made of.
(b) In pieces, as A, C, G and T are; ten and more N in a row are one "-" (5).
"""

import os
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
    unknown_ids: frozenset[int]  # tokens that say no letter: [UNK], N, runs of N
    k: int | None

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Token ids (int64) of a sequence, with (`special`) or without the tokens put around it."""

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """Half-open nucleotide interval of each token, int64 [tokens, 2]; (-1, -1) for special tokens.

        `special` says how `ids` were encoded. Byte-pair tokenizers need the `sequence` too.
        """


def _bytes(sequence: str) -> bytes:
    """One byte a character; what is not ASCII becomes "?", which no tokenizer knows."""
    return sequence.encode("ascii", "replace")


def _room(count: int, before: int | None, after: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Ids with the special tokens in place, and the part of them, `count` long, that is to be filled."""
    start = int(before is not None)
    ids = np.empty(start + count + (after is not None), dtype=np.int64)
    if before is not None:
        ids[0] = before
    if after is not None:
        ids[-1] = after
    return ids, ids[start : start + count]


def _edges(inside: np.ndarray) -> np.ndarray:
    """Starts and ends, by turns, of the stretches of True in a bool array."""
    padded = np.zeros(len(inside) + 2, dtype=bool)
    padded[1:-1] = inside
    edges: np.ndarray = (padded[1:] != padded[:-1]).nonzero()[0]
    return edges


def _spans(count: int, ordinary: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    spans = np.full((count, 2), _SPECIAL_SPAN, dtype=np.int64)
    spans[ordinary, 0], spans[ordinary, 1] = starts, ends
    return spans


class CharacterTokenizer:
    """One token per character: a table of 256 ids, which the sequence's bytes are translated by."""

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
        self.unknown_ids = frozenset({self.unknown_id, tokens["N"]})
        self._ordinary = ~np.isin(np.arange(size), list(self.special_ids))
        self._before, self._after = (tokens[t] if t else None for t in around)
        table = bytearray([self.unknown_id] * 256)
        for token, index in tokens.items():
            if len(token) == 1:
                table[ord(token)] = index
                if fold_case:
                    table[ord(token.lower())] = index
        self._table = bytes(table)

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64 [len(sequence) + special tokens]."""
        ids, letters = _room(len(sequence), *((self._before, self._after) if special else (None, None)))
        letters[:] = np.frombuffer(_bytes(sequence).translate(self._table), dtype=np.uint8)
        return ids

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; an unknown token is one character wide."""
        ordinary = self._ordinary[ids].nonzero()[0]
        starts = np.arange(len(ordinary))
        return _spans(len(ids), ordinary, starts, starts + 1)


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
    _N, _OTHER, _SPACE = 4, 5, 6  # codes of what is no base; bases have 0...3

    def __init__(self, name: str, first_kmer: int) -> None:
        self.name = name
        single = first_kmer + 4**6
        self.base_ids = {letter: single + i for i, letter in enumerate(self._LETTERS + "N")}
        self.size = single + 5
        self.special_ids = frozenset({1, 2, *range(3, first_kmer)})
        self.unknown_ids = frozenset({self.unknown_id, self.base_ids["N"]})
        self._ordinary = ~np.isin(np.arange(self.size), list(self.special_ids))
        codes = bytearray([self._OTHER] * 256)
        for code, letter in enumerate(self._LETTERS + "N"):
            codes[ord(letter)] = code
        for letter in " \t\n\r\v\f":
            codes[ord(letter)] = self._SPACE
        self._codes = bytes(codes)
        # A 6-mer is three pairs of bytes; a pair, read as one number of 16 bits, is a row of this table of 0...15.
        pairs = np.frombuffer("".join(x + y for x in self._LETTERS for y in self._LETTERS).encode(), dtype=np.uint16)
        self._pairs = np.zeros(1 << 16, dtype=np.float32)  # exact far beyond 4**6, and multiplied faster than integers
        self._pairs[pairs] = np.arange(16)
        self._weights = np.array([256, 16, 1], dtype=np.float32)
        self._first = first_kmer
        self._single = np.array([*self.base_ids.values(), self.unknown_id, self.unknown_id], dtype=np.int16)

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64; the published tokenizer puts <cls> before the sequence and nothing behind it."""
        text, before = _bytes(sequence), self.cls_id if special else None
        if text.translate(None, b"ACGT"):
            found, _ = self._mixed(text)
            ids, place = _room(len(found), before, None)
            place[:] = found
            return ids
        count = len(text) // 6
        rest = text[6 * count :].translate(self._codes)
        ids, place = _room(count + len(rest), before, None)
        place[:count] = self._kmers(np.frombuffer(text, dtype=np.uint16, count=3 * count))
        for at, code in enumerate(rest, count):  # at most five
            place[at] = self._single[code]
        return ids

    def _kmers(self, pairs: np.ndarray) -> np.ndarray:
        """Ids, float32 [n], of 6-mers over A, C, G, T given as pairs of bytes, uint16 [3 n]."""
        return self._pairs.take(pairs).reshape(-1, 3) @ self._weights + self._first

    def _mixed(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Ids of any text, without special tokens, and the position of each token's first character."""
        codes = np.frombuffer(text.translate(self._codes), dtype=np.uint8)
        edges = _edges(codes < self._N)
        edges[1::2] -= (edges[1::2] - edges[::2]) % 6  # now those of the 6-mers
        bounds = np.zeros(len(edges) + 2, dtype=np.int64)
        bounds[1:-1], bounds[-1] = edges, len(codes)
        turns = np.zeros(len(edges) + 1, dtype=bool)
        turns[1::2] = True
        inside = turns.repeat(bounds[1:] - bounds[:-1])
        letters = np.frombuffer(text, dtype=np.uint8)[inside]
        at = inside.nonzero()[0][::6]
        ids, token = self._single.take(codes), ~inside
        ids[at], token[at] = self._kmers(letters.view(np.uint16)), True
        if text.translate(None, b"ACGTN"):
            other = codes == self._OTHER
            token[1:] &= ~(other[1:] & other[:-1])
            token &= codes != self._SPACE
        places = token.nonzero()[0]
        return ids[places], places

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; the ids do not tell how wide an unknown token is: they need the `sequence` too."""
        ids = np.asarray(ids)
        ordinary = self._ordinary[ids].nonzero()[0]
        widths = np.where(ids[ordinary] < self.base_ids["A"], 6, 1)
        unknown = np.flatnonzero(ids[ordinary] == self.unknown_id)
        if sequence is None and len(unknown):
            raise UserError(
                f"tokenizer {self.name}: the spans of letters other than A, C, G, T, N need the sequence as well."
            )
        starts = np.cumsum(widths) - widths
        if sequence is not None and (text := _bytes(sequence)).translate(None, b"ACGTN"):
            starts = self._mixed(text)[1][: len(ordinary)]
            other = np.frombuffer(text.translate(self._codes), dtype=np.uint8) == self._OTHER
            edges = _edges(other)[: 2 * len(unknown)]
            widths[unknown] = edges[1::2] - edges[::2]
        return _spans(len(ids), ordinary, starts, starts + widths)


class PieceTokenizer:
    """Byte-pair pieces of DNABERT-2 and GENA-LM, by the `tokenizers` library from the published `tokenizer.json`."""

    k: int | None = None
    padding_side: Literal["left", "right"] = "right"

    def __init__(self, name: str, path: Path) -> None:
        import tokenizers  # the only tokenizers that need it are these two

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one sequence a call: threads have nothing to share
        self.name = name
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{path}: not a readable tokenizer.json ({error}).") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        for index, token in enumerate([token for tokens in PIECES[name] for token in tokens]):
            if vocabulary.get(token) != index:
                place = "missing" if token not in vocabulary else f"number {vocabulary[token]}"
                raise UserError(
                    f"{path}: the token {token} is {place} and not number {index}; this is not a tokenizer of {name}."
                )
        if getattr(self._tokenizer.model, "dropout", None):
            raise UserError(f"{path}: it drops merges at random (BPE dropout); set its 'dropout' to null.")
        self.unknown_id, cls, sep, self.pad_id, mask = range(5)
        ids = self._tokenizer.encode("ACGT").ids
        if len(ids) < 3 or (ids[0], ids[-1]) != (cls, sep) or self.unknown_id in ids:
            raise UserError(
                f"{path}: it does not encode ACGT as [CLS], known pieces, [SEP]; this is not a tokenizer of {name}."
            )
        self.mask_id: int | None = mask
        self.cls_id: int | None = cls
        self.sep_id: int | None = sep
        self.size = max(vocabulary.values()) + 1
        self.base_ids = {base: vocabulary.get(base, self.unknown_id) for base in "ACGTN"}
        self.special_ids = frozenset({self.pad_id, mask, cls, sep})
        self.unknown_ids = frozenset({self.unknown_id, *(i for t, i in vocabulary.items() if not t.strip("N-"))})

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64."""
        # Alone among the library's methods, the one for batches can leave out the offsets, a third of the time.
        (encoding,) = self._tokenizer.encode_batch_fast([sequence], add_special_tokens=special)
        return np.array(encoding.ids, dtype=np.int64)

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; `sequence` is what `ids` are an encoding of (padding may follow)."""
        if sequence is None:
            raise UserError(f"tokenizer {self.name}: the spans of byte-pair pieces need the sequence as well.")
        encoding = self._tokenizer.encode(sequence, add_special_tokens=special)
        ordinary = np.flatnonzero(~np.array(encoding.special_tokens_mask, dtype=bool))
        ends = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)[ordinary, 1]
        # Pieces tile the sequence. The library's own starts do not: for a run of N that is one token it names the last.
        starts, kept = np.concatenate([[0], ends])[:-1], ordinary < len(ids)
        return _spans(len(ids), ordinary[kept], starts[kept], ends[kept])


def _ids(tokens: str) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens.split())}


_HYENA = _ids("[CLS] [SEP] [BOS] [MASK] [PAD] [RESERVED] [UNK] A C G T N")
# The paper's tokenizer gives [MASK] the id 12, outside its own 12-row table: there is no usable mask token.
_PAPER = _ids("D N A T G C [CLS] [SEP] [UNK] [PAD] [EOS] [BOS]")
_GENERIC = _ids("[PAD] [UNK] [CLS] [SEP] [MASK] A C G T N")
_CHARACTER: dict[str, tuple[dict[str, int], tuple[str | None, str | None], Literal["left", "right"], bool]] = {
    "hyenadna": (_HYENA, (None, "[SEP]"), "left", False),
    "caduceus": (_HYENA, (None, "[SEP]"), "left", True),
    "paper_char": (_PAPER, ("[CLS]", "[SEP]"), "left", False),
    "character": (_GENERIC, ("[CLS]", "[SEP]"), "right", True),
}
_FIRST_KMER = {"nt_v1": 4, "nt_v2": 6}  # nt_v2 has <eos> and <bos> before its 6-mers, nt_v1 beyond its table
_SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
# Special tokens and letters of the byte-pair tokenizers: their first ids, whatever the pieces are.
PIECES = {"dnabert2": (_SPECIAL, "ACGT"), "gena_lm": ((*_SPECIAL, "-"), "ABCGKMNRSTWY")}
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
