"""k-mers: side by side as the Nucleotide Transformer cuts them, side by side as GENERator does, or overlapping."""

from collections.abc import Mapping
from itertools import pairwise, product

import numpy as np

from foundationless.errors import UserError
from foundationless.models.tokenizers.protocol import Side, Specials, as_bytes, edges_of, make_spans, room


def letter_order(vocabulary: Mapping[str, int], k: int) -> str | None:
    """Order of A, C, G and T in a vocabulary's k-mers, of which all must be there; None: they are not."""
    kmers = {token: index for token, index in vocabulary.items() if len(token) == k and not token.strip("ACGT")}
    if len(kmers) != 4**k:
        return None
    first = min(kmers, key=kmers.__getitem__)[:-1]
    return "".join(sorted("ACGT", key=lambda letter: kmers[first + letter]))


class _Numbered:
    """Ids of k-mers over A, C, G and T, many at once: a k-mer is a number to the base 4."""

    def __init__(self, vocabulary: Mapping[str, int], k: int, letters: str) -> None:
        # Two bytes, read as one number of 16 bits, are a row of this table of 0...15; an odd k goes byte by byte.
        self._unit: type[np.generic] = np.uint16 if k % 2 == 0 else np.uint8
        wide = 2 if k % 2 == 0 else 1
        self._units = k // wide
        places = np.frombuffer("".join(map("".join, product(letters, repeat=wide))).encode(), dtype=self._unit)
        self._digits = np.zeros(1 << 8 * wide, dtype=np.float32)  # exact to 2**24, multiplied faster than integers
        self._digits[places] = np.arange(len(places))
        self._weights = (4.0**wide) ** np.arange(self._units - 1, -1, -1, dtype=np.float32)
        ids = np.array([vocabulary["".join(kmer)] for kmer in product(letters, repeat=k)])
        self._first = int(ids[0])
        self._ids = None if (np.diff(ids) == 1).all() else ids

    def of(self, text: bytes | np.ndarray, count: int) -> np.ndarray:
        """Ids [count] of the first `count` k-mers, side by side, of a text of A, C, G and T (bytes)."""
        units = np.frombuffer(text, dtype=self._unit, count=count * self._units)
        numbers = self._digits.take(units).reshape(-1, self._units) @ self._weights
        return numbers + self._first if self._ids is None else self._ids.take(numbers.astype(np.int64))


class KmerTokenizer:
    """k-mers side by side, greedy from the left: those of the Nucleotide Transformer (`EsmTokenizer`).

    A stretch of A, C, G, T is cut into k-mers and its rest (fewer than k) into single letters; each other letter that
    has a token (N) is one; a stretch of anything else (lower case too) is one unknown token; white space separates and
    is dropped. Other tokens of several letters are not known to it.
    """

    padding_side: Side = "right"
    folds_case = False
    _SPACE, _OTHER = 255, 254  # codes of what has no token; bases have 0...3, other letters 4 and more

    def __init__(self, name: str, vocabulary: Mapping[str, int], specials: Specials, k: int) -> None:
        order = letter_order(vocabulary, k)
        if order is None or specials.unknown is None or not all(base in vocabulary for base in "ACGT"):
            raise ValueError("a vocabulary of all k-mers, of single letters and with an unknown token")
        letters = [*order, *sorted(token for token in vocabulary if len(token) == 1 and token not in order)]
        self.name, self.pad_id, unknown = name, specials.pad, specials.unknown
        self.unknown_id: int | None = unknown
        self.mask_id, self.cls_id, self.sep_id = specials.mask, specials.cls, specials.sep
        self.k: int | None = k
        self.base_ids = {base: vocabulary.get(base, unknown) for base in "ACGTN"}
        ordinary = [vocabulary[token] for token in vocabulary if len(token) == 1 or not token.strip("ACGT")]
        self.size = specials.size(max(ordinary) + 1)
        self.special_ids = frozenset(index for index in specials.every if index < self.size)
        self.unknown_ids = frozenset({unknown, self.base_ids["N"]})
        self._ordinary = ~np.isin(np.arange(self.size), list(self.special_ids))
        self._before, self._after = specials.before, specials.after
        self._k = k
        codes = bytearray([self._OTHER] * 256)
        for letter in " \t\n\r\v\f":
            codes[ord(letter)] = self._SPACE
        for code, letter in enumerate(letters):
            codes[ord(letter)] = code
        self._codes, self._letters = bytes(codes), "".join(letters).encode()
        self._single = np.full(256, unknown, dtype=np.min_scalar_type(-self.size))
        self._single[: len(letters)] = [vocabulary[letter] for letter in letters]
        self._wide = np.zeros(self.size, dtype=np.int64) + 1
        self._wide[[index for token, index in vocabulary.items() if len(token) == k and not token.strip("ACGT")]] = k
        self._kmers = _Numbered(vocabulary, k, order)

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64; the published tokenizers put <cls> before the sequence and nothing behind it."""
        text = as_bytes(sequence)
        before, after = (self._before, self._after) if special else (None, None)
        if text.translate(None, b"ACGT"):
            mixed, _ = self._mixed(text)
            ids, place = room(len(mixed), before, after)
            place[:] = mixed
            return ids
        count = len(text) // self._k
        rest = text[self._k * count :].translate(self._codes)
        ids, place = room(count + len(rest), before, after)
        place[:count] = self._kmers.of(text, count)
        for at, code in enumerate(rest, count):  # fewer than k
            place[at] = self._single[code]
        return ids

    def _mixed(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Ids of any text, without special tokens, and the position of each token's first character."""
        codes = np.frombuffer(text.translate(self._codes), dtype=np.uint8)
        edges = edges_of(codes < 4)
        edges[1::2] -= (edges[1::2] - edges[::2]) % self._k  # now those of the k-mers
        bounds = np.zeros(len(edges) + 2, dtype=np.int64)
        bounds[1:-1], bounds[-1] = edges, len(codes)
        turns = np.zeros(len(edges) + 1, dtype=bool)
        turns[1::2] = True
        inside = turns.repeat(bounds[1:] - bounds[:-1])
        letters = np.frombuffer(text, dtype=np.uint8)[inside]
        at = inside.nonzero()[0][:: self._k]
        ids, token = self._single.take(codes), ~inside
        ids[at], token[at] = self._kmers.of(letters, len(at)), True
        if text.translate(None, self._letters):
            other = codes == self._OTHER
            token[1:] &= ~(other[1:] & other[:-1])
            token &= codes != self._SPACE
        places = token.nonzero()[0]
        return ids[places], places

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; the ids do not tell how wide an unknown token is: they need the `sequence` too."""
        ids = np.asarray(ids)
        ordinary = self._ordinary[ids].nonzero()[0]
        widths = self._wide[ids[ordinary]]
        unknown = np.flatnonzero(ids[ordinary] == self.unknown_id)
        if sequence is None and len(unknown):
            raise UserError(
                f"tokenizer {self.name}: the spans of letters other than A, C, G, T, N need the sequence as well."
            )
        starts = np.cumsum(widths) - widths
        if sequence is not None and (text := as_bytes(sequence)).translate(None, self._letters):
            starts = self._mixed(text)[1][: len(ordinary)]
            other = np.frombuffer(text.translate(self._codes), dtype=np.uint8) == self._OTHER
            edges = edges_of(other)[: 2 * len(unknown)]
            widths[unknown] = edges[1::2] - edges[::2]
        return make_spans(len(ids), ordinary, starts, starts + widths)


class WindowTokenizer:
    """Windows of k letters, each `step` after the last, each looked up whole; what is not known is the unknown token.

    Step 1 (or 2) makes the overlapping k-mers of DNABERT and ProkBERT: what is left over, fewer than k letters, is
    dropped. Step k makes those of GENERator, whose rest is looked up too (`rest`), so that it is one unknown token;
    there a character that is no capital letter is an unknown token of its own, and a k-mer does not go across it.
    """

    padding_side: Side = "right"
    folds_case = False

    def __init__(
        self, name: str, vocabulary: Mapping[str, int], specials: Specials, k: int, step: int, rest: bool = False
    ) -> None:
        order = letter_order(vocabulary, k)
        if order is None or specials.unknown is None:
            raise ValueError("a vocabulary of all k-mers and with an unknown token")
        self.name, self.pad_id, unknown = name, specials.pad, specials.unknown
        self.unknown_id: int | None = unknown
        self.mask_id, self.cls_id, self.sep_id = specials.mask, specials.cls, specials.sep
        self.k: int | None = k
        self._k, self._step, self._rest = k, step, rest
        kmers = [index for token, index in vocabulary.items() if len(token) == k and not token.strip("ACGT")]
        self.size = specials.size(max(kmers) + 1)
        self.base_ids = {base: vocabulary.get(base, unknown) for base in "ACGTN"}
        self.special_ids = frozenset(index for index in specials.every if index < self.size)
        self.unknown_ids = frozenset({unknown, *(i for t, i in vocabulary.items() if not t.strip("N"))})
        self._ordinary = ~np.isin(np.arange(self.size), list(self.special_ids))
        self._before, self._after = specials.before, specials.after
        self._kmers = _Numbered(vocabulary, k, order)
        # k-mers with other letters than A, C, G, T that the vocabulary has all the same.
        self._others = {
            token.encode(): index
            for token, index in vocabulary.items()
            if len(token) == k and token.strip("ACGT") and token.isascii()
        }

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Ids, int64."""
        text = as_bytes(sequence)
        starts, widths = self._windows(text)
        whole = widths == self._k
        ids, place = room(len(starts), *((self._before, self._after) if special else (None, None)))
        place[:] = self.unknown_id
        if text.translate(None, b"ACGT"):
            foreign = np.ones(256, dtype=bool)
            foreign[list(b"ACGT")] = False
            before = np.concatenate([[0], np.cumsum(foreign[np.frombuffer(text, dtype=np.uint8)])])
            ends = starts + widths
            known = whole & (before[ends] == before[starts])
            for at in np.flatnonzero(whole & ~known) if self._others else ():
                place[at] = self._others.get(text[starts[at] : ends[at]], self.unknown_id)
            whole = known
        letters = np.frombuffer(text, dtype=np.uint8)
        if self._step == self._k and whole.all():  # a view is enough
            place[:] = self._kmers.of(text[: self._k * len(starts)], len(starts))
        elif whole.any():
            rows = np.lib.stride_tricks.sliding_window_view(letters, self._k)[starts[whole]]
            place[whole] = self._kmers.of(rows, len(rows))
        return ids

    def _windows(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Starts and widths of the windows of a text."""
        if not self._rest:
            starts = np.arange(0, len(text) - self._k + 1, self._step)
            return starts, np.full(len(starts), self._k)
        parts = [(0, len(text), True)]
        if not text.isalpha() or not text.isupper():
            capital = np.frombuffer(text, dtype=np.uint8)
            inside = (capital >= ord("A")) & (capital <= ord("Z"))
            edges = [0, *edges_of(inside).tolist(), len(text)]
            parts = [(a, b, number % 2 == 1) for number, (a, b) in enumerate(pairwise(edges))]
        starts = np.concatenate([np.arange(a, b, self._k if inside else 1) for a, b, inside in parts])
        ends = np.concatenate(
            [np.minimum(np.arange(a, b, s := self._k if inside else 1) + s, b) for a, b, inside in parts]
        )
        return starts, ends - starts

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """See `Tokenizer.spans`; where a rest may be left over, or a text may be cut, they need the `sequence` too."""
        ids = np.asarray(ids)
        ordinary = self._ordinary[ids].nonzero()[0]
        if not self._rest:
            starts = np.arange(len(ordinary)) * self._step
            return make_spans(len(ids), ordinary, starts, starts + self._k)
        if sequence is None and (ids[ordinary] == self.unknown_id).any():
            raise UserError(f"tokenizer {self.name}: the spans of unknown letters and of a rest need the sequence too.")
        text = as_bytes(sequence) if sequence is not None else b"A" * (self._k * len(ordinary))
        starts, widths = (values[: len(ordinary)] for values in self._windows(text))
        return make_spans(len(ids), ordinary, starts, starts + widths)


def declared_kmers(name: str) -> KmerTokenizer | WindowTokenizer:
    """One of `KMERS`: its vocabulary is all k-mers in the order of itertools.product."""
    leading, trailing, k, step = _DECLARED[name]
    order = "ACGT" if name.startswith("prokbert") else "ATCG"
    tokens = [*leading.split(), *map("".join, product(order, repeat=k)), *trailing]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    roles = next(roles for roles in _ROLES if roles["pad"] in vocabulary and roles["unk"] in vocabulary)
    if not step:
        return KmerTokenizer(name, vocabulary, Specials.named(vocabulary, roles, "cls", None), k)
    if name == "generator":
        return WindowTokenizer(name, vocabulary, Specials.named(vocabulary, roles, "bos", None), k, step, rest=True)
    return WindowTokenizer(name, vocabulary, Specials.named(vocabulary, roles, "cls", "sep"), k, step)


_BERT = "[PAD] [UNK] [CLS] [SEP] [MASK]"
_GENERATOR = """<oov> <s> </s> <pad> <mask> <bog> <eog> <bok> <eok> <+> <-> <cds> <pseudo> <tRNA> <rRNA> <ncRNA>
    <miscRNA> <mam> <vrt> <inv> <pln> <fng> <prt> <arc> <bct> <mit> <plt> <plm> <vir> <sp0> <sp1> <sp2>"""
_ROLES = (
    {"pad": "<pad>", "unk": "<unk>", "mask": "<mask>", "cls": "<cls>"},
    {"pad": "<pad>", "unk": "<oov>", "mask": "<mask>", "bos": "<s>", "eos": "</s>"},
    {"pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]", "cls": "[CLS]", "sep": "[SEP]"},
)
# Tokens before and after the k-mers, k, and the step of overlapping ones. <eos> and <bos> come before the k-mers of NT
# v2, and beyond the table of NT v1.
_DECLARED: dict[str, tuple[str, str, int, int]] = {
    "nt_v1": ("<unk> <pad> <mask> <cls>", "ATCGN", 6, 0),
    "nt_v2": ("<unk> <pad> <mask> <cls> <eos> <bos>", "ATCGN", 6, 0),
    **{f"dnabert_{k}": (_BERT, "", k, 1) for k in (3, 4, 5, 6)},
    "prokbert_k1s1": (_BERT, "", 1, 1),
    "prokbert_k6s1": (_BERT, "", 6, 1),
    "prokbert_k6s2": (_BERT, "", 6, 2),
    "generator": (_GENERATOR, "", 6, 6),
}
KMERS = tuple(_DECLARED)
