"""A checkpoint's own tokenizer, from its own files; rules that the hub keeps in remote code are written out here."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.models.tokenizers.kmers import KmerTokenizer, WindowTokenizer, declared_kmers, letter_order
from foundationless.models.tokenizers.letters import CharacterTokenizer, declared_letters
from foundationless.models.tokenizers.pieces import LibraryTokenizer, read_backend
from foundationless.models.tokenizers.protocol import ROLES, Side, Specials, Tokenizer
from foundationless.models.tokenizers.sentencepieces import read_pieces, sentence_pieces

PUBLISHED = "published"
LIBRARY, VOCABULARY, SENTENCE_PIECES = "tokenizer.json", "vocab.txt", ("tokenizer.model", "spiece.model", "spm.model")
# Files that a published tokenizer is read from; they go with the weights of both arms.
VOCABULARIES = (LIBRARY, VOCABULARY, *SENTENCE_PIECES)
TOKENIZER_FILES = (
    *VOCABULARIES, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
)  # fmt: skip
# How special tokens are called where no file says it, the names that a vocabulary has first.
_USUAL = {
    "pad": ("[PAD]", "<pad>", "<|pad|>"),
    "unk": ("[UNK]", "<unk>", "<oov>", "<|unk|>"),
    "mask": ("[MASK]", "<mask>", "<|mask|>"),
    "cls": ("[CLS]", "<cls>"),
    "sep": ("[SEP]", "<sep>"),
    "bos": ("<s>", "<bos>", "[BOS]", "<|startoftext|>"),
    "eos": ("</s>", "<eos>", "[EOS]", "<|endoftext|>"),
}


class Files:
    """The tokenizer files of a directory: what `tokenizer_config.json` and its like say, and which there are."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.present = [name for name in TOKENIZER_FILES if (directory / name).is_file()]
        self.settings = self._object("tokenizer_config.json")
        self._roles = self._object("special_tokens_map.json")
        self.model = self._object("config.json")

    def _object(self, name: str) -> dict[str, Any]:
        path = self.directory / name
        try:
            held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: not valid JSON ({error}); mend it, or fetch it again.") from None
        return held if isinstance(held, dict) else {}

    @property
    def kind(self) -> str:
        """Name of the class that the checkpoint asks for, remote or not, without a final Fast; "" where none is."""
        classes = self.settings.get("auto_map")
        remote = (classes.get("AutoTokenizer") if isinstance(classes, dict) else classes) or ""
        named = next((str(name) for name in (remote if isinstance(remote, list) else [remote]) if name), "")
        return str(self.settings.get("tokenizer_class") or re.sub(r".*\W", "", named)).removesuffix("Fast")

    @property
    def side(self) -> Side:
        return "left" if self.settings.get("padding_side") == "left" else "right"

    def roles(self, vocabulary: Mapping[str, int], usual: bool = True) -> dict[str, str]:
        """The token of each role: as the files say (null: none), or as it is usually called; by id in config.json."""
        tokens = {index: token for token, index in vocabulary.items()}
        roles: dict[str, str] = {}
        for role in ROLES:
            said = [held[f"{role}_token"] for held in (self._roles, self.settings) if f"{role}_token" in held]
            if said:
                token = next((t.get("content") if isinstance(t, dict) else t for t in said if t is not None), None)
            else:
                token = next((name for name in _USUAL[role] if usual and name in vocabulary), None)
            if token is None and role == "pad":
                number = self.model.get("pad_token_id")
                token = tokens.get(number) if isinstance(number, int) else None
                token = token if token and token.upper().strip("ACGTN") else None  # a letter pads nothing
            if isinstance(token, str) and token in vocabulary:
                roles[role] = token
        return roles

    def vocabulary(self) -> dict[str, int]:
        """Tokens of `vocab.txt`: one a line, or each with its number behind it."""
        path = self.directory / VOCABULARY
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error}); fetch it again.") from None
        while lines and not lines[-1].strip():
            lines.pop()
        pairs = [line.rsplit(maxsplit=1) for line in lines]
        if lines and all(len(pair) == 2 and pair[1].isdigit() for pair in pairs):
            vocabulary = {token: int(index) for token, index in pairs}
        else:
            vocabulary = {line.strip(): index for index, line in enumerate(lines)}
        if len(vocabulary) < len(lines) or sorted(vocabulary.values()) != list(range(len(lines))):
            raise UserError(f"{path}: a token or a number stands in it twice; fetch it again.")
        return vocabulary

    def seen(self) -> str:
        return ", ".join(self.present) or "no file of a tokenizer"


def read_published(directory: Path) -> Tokenizer:
    """The tokenizer whose files are in `directory`; `UserError` says which there are where none fits."""
    files = Files(directory)
    if LIBRARY in files.present:
        return _from_library(files)
    if VOCABULARY in files.present:
        try:
            return _from_vocabulary(files)
        except ValueError as needed:
            raise UserError(
                f"{directory / VOCABULARY}: {files.kind or 'its rule'} needs {needed}; put the checkpoint's {LIBRARY} "
                "there, or name another with --tokenizer."
            ) from None
    if pieces := [name for name in SENTENCE_PIECES if name in files.present]:
        return _from_sentence_pieces(files, pieces[0])
    if files.kind in _WITHOUT_FILES:
        return _WITHOUT_FILES[files.kind](files)
    asked = f", which asks for {files.kind}" if files.kind else ""
    raise UserError(
        f"{directory}: its tokenizer cannot be read (there is {files.seen()}{asked}); put its {LIBRARY} or "
        f"{VOCABULARY} there, or name a tokenizer of the program with --tokenizer."
    )


def _from_library(files: Files) -> Tokenizer:
    path = files.directory / LIBRARY
    backend = read_backend(path)
    roles = files.roles(backend.get_vocab(with_added_tokens=True))
    return LibraryTokenizer(PUBLISHED, backend, roles, files.side, path)


def _from_sentence_pieces(files: Files, name: str) -> Tokenizer:
    """Of a SentencePiece model, with the special tokens that the class asked for puts around a sequence."""
    path, kind = files.directory / name, files.kind
    if kind in _SHIFTED:
        raise UserError(
            f"{path}: {kind} gives its pieces other numbers than the file; put the checkpoint's {LIBRARY} there."
        )
    model = read_pieces(path)
    roles = files.roles({piece: index for index, (piece, _, _) in enumerate(model.pieces)})
    roles["unk"] = model.pieces[model.unknown][0]
    around = ("cls", "sep") if {"cls", "sep"} <= roles.keys() else ("bos", "eos")
    added = {"bos": not kind.startswith("T5"), "eos": kind.startswith("T5"), "cls": True, "sep": True}
    added |= {role: value for role in ("bos", "eos") if (value := files.settings.get(f"add_{role}_token")) is not None}
    before, after = (roles.get(role) if added[role] else None for role in around)
    return LibraryTokenizer(PUBLISHED, sentence_pieces(path, (before, after)), roles, files.side, path)


def _from_vocabulary(files: Files) -> Tokenizer:
    """Of `vocab.txt`: by the class that is asked for, or by what its tokens are."""
    vocabulary, path = files.vocabulary(), files.directory / VOCABULARY
    roles = files.roles(vocabulary)
    k = max((len(token) for token in vocabulary if token and not token.upper().strip("ACGT")), default=0)
    if not {"unk"} <= roles.keys() or not {"pad", "sep", "eos"} & roles.keys() or not k:
        raise UserError(
            f"{path}: not a vocabulary of DNA with tokens for padding and for what is unknown (there is "
            f"{files.seen()}); put the checkpoint's {LIBRARY} there, or name another with --tokenizer."
        )
    kind = files.kind
    if kind == "DNAKmerTokenizer":
        around = [role if files.settings.get(f"add_{role}_token", True) else None for role in ("bos", "eos")]
        specials = Specials.named(vocabulary, roles, *around)
        return WindowTokenizer(PUBLISHED, vocabulary, specials, _number(files, "k", k), _number(files, "k", k), True)
    if kind == "EsmTokenizer" and letter_order(vocabulary, k) and all(base in vocabulary for base in "ACGT"):
        if "eos" not in roles and "eos_token" not in files.settings and "<eos>" in vocabulary:
            roles["eos"] = "<eos>"
        return KmerTokenizer(PUBLISHED, vocabulary, Specials.named(vocabulary, roles, "cls", "eos"), k)
    around = [next((role for role in pair if role in roles), None) for pair in (("cls", "bos"), ("sep", "eos"))]
    specials = Specials.named(vocabulary, roles, *around)
    if kind == "LCATokenizer":
        step = _number(files, "shift", 0)
        if not step:
            raise ValueError("a number of letters from one k-mer to the next (shift)")
        return WindowTokenizer(PUBLISHED, vocabulary, specials, _number(files, "kmer", k), step)
    if k == 1:
        letters = {token: index for token, index in vocabulary.items() if len(token) == 1 and token.isascii()}
        folds = not any(letter.isupper() for letter in letters)
        return CharacterTokenizer(PUBLISHED, letters, specials, files.side, folds)
    if letter_order(vocabulary, k) and not any(1 < len(t) < k for t in vocabulary if not t.strip("ACGT")):
        return WindowTokenizer(PUBLISHED, vocabulary, specials, k, 1)
    raise UserError(
        f"{path}: its tokens of A, C, G and T are neither all k-mers of one length nor single letters, and "
        f"{kind or 'no class'} does not say how they are cut; put the checkpoint's {LIBRARY} there."
    )


def _number(files: Files, key: str, otherwise: int) -> int:
    """A positive number of `tokenizer_config.json` or `config.json`."""
    values = (held.get(key) for held in (files.settings, files.model))
    return next((value for value in values if isinstance(value, int) and value > 0), otherwise)


# Classes whose ids are not the positions of the pieces in the file.
_SHIFTED = ("XLMRobertaTokenizer", "CamembertTokenizer", "MBartTokenizer", "XGLMTokenizer", "BarthezTokenizer")
_WITHOUT_FILES: dict[str, Callable[[Files], Tokenizer]] = {
    "HyenaDNATokenizer": lambda files: declared_letters("hyenadna"),
    "CharacterTokenizer": lambda files: declared_letters("hyenadna"),
    "CaduceusTokenizer": lambda files: declared_letters("caduceus"),
    "DNAKmerTokenizer": lambda files: declared_kmers("generator"),
}
