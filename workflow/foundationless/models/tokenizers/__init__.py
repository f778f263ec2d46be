"""Tokenizers: exactly the ids of the published ones, by table look-up instead of a loop over bases.

| name | tokens | special tokens put around a sequence | official padding |
|---|---|---|---|
| `hyenadna` | characters, case-sensitive | ... [SEP] | left |
| `caduceus` | characters, upper-cased | ... [SEP] | left |
| `paper_char` | characters (the paper's Mistral) | [CLS] ... [SEP] | left |
| `character` | characters, for any encoder | [CLS] ... [SEP] | right |
| `nt_v1`, `nt_v2` | 6-mers, single letters where none fits | <cls> ... | right |
| `dnabert_3` ... `dnabert_6` | overlapping k-mers | [CLS] ... [SEP] | right |
| `prokbert_kKsS` | k-mers, S letters apart (mini-long: k6s2, mini-c: k1s1) | [CLS] ... [SEP] | right |
| `generator` | 6-mers, one unknown token for the letters left over | <s> ... | right |
| `dnabert2`, `gena_lm` | byte-pair pieces, from a `tokenizer.json` | [CLS] ... [SEP] | right |
| `published` | the checkpoint's own, from its own files (`TOKENIZER_FILES`) | as its files say | as they say |
| `cells` | genes of a cell, from a vocabulary file (`models.cells`); it reads no sequence | <cls> ... [<eos>] | right |

What becomes of everything but A, C, G and T, with the ids ("?" is the unknown token, one for each letter):

| name | ? | lower case | N | R Y S W K M B D H V | U | - | . | white space | empty |
|---|---|---|---|---|---|---|---|---|---|
| `hyenadna` | 6 | ? | 11 | ? | ? | ? | ? | ? | 1 |
| `caduceus` | 6 | upper case | 11 | ? | ? | ? | ? | ? | 1 |
| `paper_char` | 8 | ? | 1 | D: 0, others ? | ? | ? | ? | ? | 6 7 |
| `character` | 1 | upper case | 9 | ? | ? | ? | ? | ? | 2 3 |
| `nt_v1` | 0 | ? (a) | 4104 | ? (a) | ? (a) | ? (a) | ? (a) | separates, no token | 3 |
| `nt_v2` | 0 | ? (a) | 4106 | ? (a) | ? (a) | ? (a) | ? (a) | separates, no token | 3 |
| `dnabert_k`, `prokbert_...` | 1 | ? (c) | ? (c) | ? (c) | ? (c) | ? (c) | ? (c) | ? (c) | 2 3 |
| `generator` | 0 | ?, one each | ? (c) | ? (c) | ? (c) | ?, one each | ?, one each | ?, one each | 1 |
| `dnabert2` | 0 | ? | ? | ? | ? | ? | ? | separates, no token | 1 2 |
| `gena_lm` | 0 | ? | 12 (b) | D, H, V: ?, others (b) | ? | 5 | ? | ?, none at the ends | 1 2 |

(a) One for a whole stretch: any run without A, C, G, T, N and white space, whatever it is made of.
(b) In pieces, as A, C, G and T are; ten and more N in a row are one "-" (5). The first GENA-LM (human, 32,000 pieces)
    knows A, C, G and T alone, and cuts and drops nothing.
(c) Every k-mer that holds one.

`published` reads the first of these that is there: `tokenizer.json` (of any kind; what it says is done, whatever class
`tokenizer_config.json` names); `vocab.txt` by that class (`EsmTokenizer`: k-mers side by side, or letters;
`DNAKmerTokenizer`: as `generator`; `LCATokenizer`, `BertTokenizer`, none: overlapping k-mers, or letters); a
SentencePiece model; no file, where the class is one of remote code whose rule is known (HyenaDNA, Caduceus, GENERator).
Code of a checkpoint is never run. Special tokens are those of `special_tokens_map.json`, else of
`tokenizer_config.json`, else those that are usually called so.
"""

from pathlib import Path

from foundationless.errors import UserError
from foundationless.models.tokenizers.genes import FILES as CELL_FILES
from foundationless.models.tokenizers.genes import read_vocabulary
from foundationless.models.tokenizers.kmers import KMERS, KmerTokenizer, WindowTokenizer, declared_kmers
from foundationless.models.tokenizers.letters import CHARACTERS, CharacterTokenizer, declared_letters
from foundationless.models.tokenizers.pieces import PIECES, LibraryTokenizer, PieceTokenizer
from foundationless.models.tokenizers.protocol import Tokenizer
from foundationless.models.tokenizers.published import PUBLISHED, TOKENIZER_FILES, VOCABULARIES, read_published
from foundationless.study.families import CELLS

TOKENIZERS = (*CHARACTERS, *KMERS, *PIECES, PUBLISHED)  # that read sequences

__all__ = [
    "CELLS",
    "CELL_FILES",
    "PIECES",
    "PUBLISHED",
    "TOKENIZERS",
    "TOKENIZER_FILES",
    "VOCABULARIES",
    "CharacterTokenizer",
    "KmerTokenizer",
    "LibraryTokenizer",
    "PieceTokenizer",
    "Tokenizer",
    "WindowTokenizer",
    "load_tokenizer",
    "tokenizer_files",
]


def tokenizer_files(name: str, directory: Path | None) -> list[Path]:
    """Files in `directory` that the tokenizer of that name is read from; they belong beside the weights."""
    names = {PUBLISHED: TOKENIZER_FILES, CELLS: CELL_FILES}.get(name, ("tokenizer.json",) if name in PIECES else ())
    return [directory / file for file in names if (directory / file).is_file()] if directory else []


def load_tokenizer(name: str, directory: Path | None = None) -> Tokenizer:
    """The tokenizer of that name; byte-pair and published ones are read from `directory`. Unknown: `UserError`."""
    if name in CHARACTERS:
        return declared_letters(name)
    if name in KMERS:
        return declared_kmers(name)
    if name == PUBLISHED:
        return read_published(Path(directory or "."))
    if name == CELLS:
        return read_vocabulary(Path(directory or "."))
    if name in PIECES:
        path = Path(directory or ".") / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"{path}: tokenizer '{name}' needs this file; give the published tokenizer.json.")
        return PieceTokenizer(name, path)
    raise UserError(f"no tokenizer '{name}'; the tokenizers are {', '.join((*TOKENIZERS, CELLS))}.")
