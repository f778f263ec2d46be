"""SentencePiece models (`tokenizer.model`, `spiece.model`) as tokenizers of the `tokenizers` library.

The file is a protocol buffer (`ModelProto` of google/sentencepiece); the few fields that matter are read here, so that
neither of the two libraries is needed. Pieces, their scores and the normalisation are the file's; the conversion is
that of `transformers.convert_slow_tokenizer.SpmConverter`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundationless.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_UNIGRAM, _BPE = 1, 2  # TrainerSpec.ModelType
_CONTROL, _USER_DEFINED = 3, 4  # ModelProto.SentencePiece.Type
_SPACE = "▁"


@dataclass(frozen=True)
class SentencePieces:
    """What a SentencePiece model holds: (piece, score, type) of every id, and its settings."""

    pieces: list[tuple[str, float, int]]
    kind: int
    unknown: int
    byte_fallback: bool
    charsmap: bytes
    prefix: bool  # a space is put before a text
    strip: bool  # spaces at the ends go, and several become one


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(Number, value) of the fields of a message: int, bytes, or float for 32 bits."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, varint()
        elif wire == 2:
            size = varint()
            if at + size > len(data):
                raise ValueError("it ends early")
            yield number, data[at : at + size]
            at += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield number, struct.unpack_from("<d" if wire == 1 else "<f", data, at)[0]
            at += size
        else:
            raise ValueError(f"wire type {wire}")


def read_pieces(path: Path) -> SentencePieces:
    """The model in a file; `UserError` for a file that is none."""
    try:
        message = list(_fields(path.read_bytes()))
        pieces = []
        for held in (dict(_fields(value)) for number, value in message if number == 1):
            pieces.append((held[1].decode(), float(held.get(2, 0.0)), int(held.get(3, 1))))
        trainer, normalizer = (
            dict(_fields(b"".join(value for number, value in message if number == which))) for which in (2, 3)
        )
        unknown, strange = int(trainer.get(40, 0)), int(trainer.get(3, _UNIGRAM)) not in (_UNIGRAM, _BPE)
        if not pieces or unknown >= len(pieces):
            raise ValueError("no pieces")
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, struct.error) as error:
        raise UserError(f"{path}: not a readable SentencePiece model ({error}); fetch it again.") from None
    prefix = bool(normalizer.get(3, 1))
    if prefix and any(kind == _USER_DEFINED and piece.isalpha() for piece, _, kind in pieces):
        raise UserError(
            f"{path}: a SentencePiece model with symbols of its own for letters is not read; put its tokenizer.json "
            "there."
        )
    if strange or trainer.get(24):
        raise UserError(
            f"{path}: a SentencePiece model of words, of characters or with spaces behind words is not read; put its "
            "tokenizer.json there."
        )
    return SentencePieces(
        pieces,
        int(trainer.get(3, _UNIGRAM)),
        unknown,
        bool(trainer.get(35)),
        normalizer.get(2, b""),
        prefix,
        bool(normalizer.get(4, 1)),
    )


def _merges(model: SentencePieces) -> list[tuple[str, str]]:
    """Every way to put a piece together of two, the pieces of the highest score first."""
    ids = {piece: index for index, (piece, _, kind) in enumerate(model.pieces) if kind in (1, _USER_DEFINED)}
    merges = []
    for piece, index in ids.items():
        parts = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        pairs = sorted((pair for pair in parts if set(pair) <= ids.keys()), key=lambda pair: (ids[pair[0]], pair))
        merges += [(-model.pieces[index][1], index, pair) for pair in pairs]
    return [pair for _, _, pair in sorted(merges, key=lambda merge: merge[:2])]


def sentence_pieces(path: Path, around: tuple[str | None, str | None]) -> "tokenizers.Tokenizer":
    """The library's tokenizer of a SentencePiece model; `around`: the tokens put before and after a sequence."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    model = read_pieces(path)
    vocabulary = {piece: index for index, (piece, _, _) in enumerate(model.pieces)}
    unknown = model.pieces[model.unknown][0]
    kind: Any
    if model.kind == _UNIGRAM:
        scores = [(piece, score) for piece, score, _ in model.pieces]
        kind = models.Unigram(scores, unk_id=model.unknown, byte_fallback=model.byte_fallback)
    else:
        kind = models.BPE(
            vocabulary, _merges(model), unk_token=unknown, fuse_unk=True, byte_fallback=model.byte_fallback
        )
    backend = Tokenizer(kind)
    backend.add_tokens(
        [
            AddedToken(piece, normalized=False, special=kind == _CONTROL)
            for piece, _, kind in model.pieces
            if kind in (_CONTROL, _USER_DEFINED)
        ]
    )
    steps: list[Any] = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
    if model.strip:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    scheme = "always" if model.prefix else "never"
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme=scheme, split=False)
    before, after = (token if token in vocabulary else None for token in around)
    if before or after:
        known = [(token, vocabulary[token]) for token in dict.fromkeys((before, after)) if token]
        template = " ".join(token for token in (before, "$A", after) if token)
        backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=known)
    return backend
