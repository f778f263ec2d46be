"""Tokenizers of a `tokenizer.json` (byte pairs, Unigram, WordPiece, words), by the `tokenizers` library."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foundationless.errors import UserError
from foundationless.models.tokenizers.protocol import Side, is_marker, make_spans

if TYPE_CHECKING:
    import tokenizers

_PROBE = "ACGTTGCAAGGCCTTA"
_MARKS = "▁Ġ"  # how a tokenizer writes a space, which it may put before a text
_SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
# Special tokens and letters of the byte-pair tokenizers: their first ids, whatever the pieces are.
PIECES = {"dnabert2": (_SPECIAL, "ACGT"), "gena_lm": ((*_SPECIAL, "-"), "ABCGKMNRSTWY")}
# The first GENA-LM (human, 32,000 pieces) has a line break in place of "-", no N and no normalisation.
_EARLIER = {"gena_lm": [(_SPECIAL, "\nACGT")]}


def read_backend(path: Path) -> "tokenizers.Tokenizer":
    """The library's tokenizer of a `tokenizer.json`, without padding and truncation; a damaged file: `UserError`."""
    import tokenizers  # only what is read from a file needs it

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one sequence a call: threads have nothing to share
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"{path}: not a readable tokenizer.json ({error}).") from None
    backend.no_padding()
    backend.no_truncation()
    if getattr(backend.model, "dropout", None):
        raise UserError(f"{path}: it drops merges at random (BPE dropout); set its 'dropout' to null.")
    return backend


class LibraryTokenizer:
    """What the `tokenizers` library makes of a sequence, special tokens around it included."""

    def __init__(
        self, name: str, backend: "tokenizers.Tokenizer", roles: Mapping[str, str], padding_side: Side, where: Path
    ) -> None:
        """`roles`: the token that plays each of `protocol.ROLES`; `where`: the file, for sentences."""
        self.name, self.padding_side, self._tokenizer = name, padding_side, backend
        vocabulary = backend.get_vocab(with_added_tokens=True)
        # Where the library says which token is unknown, that is it; byte-level pieces have none, whatever is declared.
        said = getattr(backend.model, "unk_token", roles.get("unk"))
        unknown = vocabulary.get(said or "")
        ids = {role: vocabulary[token] for role, token in roles.items() if token in vocabulary}
        bare, whole = (backend.encode(_PROBE, add_special_tokens=special).ids for special in (False, True))
        if not bare or unknown in bare[: max(1, len(bare) - 1)]:  # a rest of k-mers may be unknown
            raise UserError(
                f"{where}: it does not know A, C, G and T (it makes {bare[:8]} of {_PROBE}); only a tokenizer of DNA "
                "can be used."
            )
        before = next((n for n in range(len(whole) - len(bare) + 1) if whole[n : n + len(bare)] == bare), 0)
        around = {*whole[:before], *whole[before + len(bare) :]}
        added = {i: t for i, t in backend.get_added_tokens_decoder().items() if len(t.content) > 1 or i in ids.values()}
        marked = {index for token, index in vocabulary.items() if is_marker(token)}
        every = {i for i, t in added.items() if t.special} | marked | set(ids.values()) | around
        self.unknown_id: int | None = unknown
        self.mask_id: int | None = ids.get("mask")
        self.cls_id: int | None = ids["cls"] if "cls" in ids else ids.get("bos")
        self.sep_id: int | None = ids["sep"] if "sep" in ids else ids.get("eos")
        self.pad_id = next((ids[r] for r in ("pad", "eos", "sep", "unk", "bos", "cls") if r in ids), min(bare))
        ordinary = max(index for index in vocabulary.values() if index not in every)
        used = (*around, *(ids[role] for role in ("pad", "mask") if role in ids), -1 if unknown is None else unknown)
        self.size = max(ordinary, *used, self.pad_id) + 1
        self.special_ids = frozenset(i for i in every - {unknown} if i < self.size)
        silent = {index for token, index in vocabulary.items() if not token.strip("Nn-" + _MARKS)}
        self.unknown_ids = frozenset({i for i in (unknown,) if i is not None} | (silent - self.special_ids))
        self._marks = np.array([i for t, i in vocabulary.items() if t and not t.strip(_MARKS)], dtype=np.int64)
        self.folds_case = backend.encode(_PROBE.lower()).ids == whole
        self.base_ids = {base: self._letter(base, vocabulary) for base in "ACGTN"}
        self.k: int | None = self._width(vocabulary)

    def _letter(self, base: str, vocabulary: Mapping[str, int]) -> int:
        """Id of a base: its own token, or what it is alone."""
        for token in (base, base.lower()):
            if token in vocabulary and (token == base or self.folds_case):
                return vocabulary[token]
        alone = [i for i in self._tokenizer.encode(base, add_special_tokens=False).ids if i not in self._marks]
        missing = self.pad_id if self.unknown_id is None else self.unknown_id
        return alone[0] if len(alone) == 1 else missing

    def _width(self, vocabulary: Mapping[str, int]) -> int | None:
        """Letters of a token, if all k-mers and (but for the rest) nothing else comes of A, C, G and T."""
        kmers = {len(token) for token in vocabulary if token and not token.upper().strip("ACGT")}
        k = max(kmers, default=0)
        if not kmers or kmers - {1, k} or sum(len(token) == k for token in vocabulary) < 4**k:
            return None
        text = (_PROBE * (1 + 5 * k // len(_PROBE)))[: 5 * k + (1 if 1 in kmers else 0)]
        spans = self.spans(self.encode(text, special=False), False, text)
        widths = (spans[:, 1] - spans[:, 0]).tolist()
        return k if widths in ([k] * 5, [k] * 5 + [1], [k] * 6) else None

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
        starts, ends = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)[ordinary].T
        if len(self._marks):  # a space that was put before the text covers nothing
            mark = np.isin(np.array(encoding.ids, dtype=np.int64)[ordinary], self._marks)
            ends = np.where(mark, starts, ends)
        # Pieces tile the sequence. The library's own starts do not: for a run of N that is one token it names the last.
        starts, kept = np.minimum(np.concatenate([[0], ends])[:-1], starts), ordinary < len(ids)
        return make_spans(len(ids), ordinary[kept], starts[kept], ends[kept])


class PieceTokenizer(LibraryTokenizer):
    """Byte-pair pieces of DNABERT-2 and GENA-LM, from the published `tokenizer.json`."""

    def __init__(self, name: str, path: Path) -> None:
        backend = read_backend(path)
        vocabulary = backend.get_vocab(with_added_tokens=True)
        kinds = [[token for tokens in kind for token in tokens] for kind in (PIECES[name], *_EARLIER.get(name, ()))]
        if not any(all(vocabulary.get(token) == index for index, token in enumerate(kind)) for kind in kinds):
            index, token = next((i, t) for i, t in enumerate(kinds[0]) if vocabulary.get(t) != i)
            place = "missing" if token not in vocabulary else f"number {vocabulary[token]}"
            raise UserError(
                f"{path}: the token {token} is {place} and not number {index}; this is not a tokenizer of {name}."
            )
        ids = backend.encode("ACGT").ids
        if len(ids) < 3 or (ids[0], ids[-1]) != (1, 2) or 0 in ids:
            raise UserError(
                f"{path}: it does not encode ACGT as [CLS], known pieces, [SEP]; this is not a tokenizer of {name}."
            )
        roles = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
        super().__init__(name, backend, roles, "right", path)
