"""Byte-pair tokenizers made here: the kind of DNABERT-2 or GENA-LM, with a vocabulary learned from other sequence.

Everything but the vocabulary is as in the published `tokenizer.json`: special tokens and letters with their ids,
normalisation (GENA-LM: white space off both ends, ten and more N in a row to "-"), cutting (DNABERT-2: at white space;
GENA-LM: around "-") and the special tokens put around a sequence.
"""

import re
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from foundationless.errors import UserError
from foundationless.models.tokenizers import PIECES

_CLS, _SEP = ("[CLS]", 1), ("[SEP]", 2)


def train_pieces(name: str, sequences: Iterable[str], size: int) -> str:
    """The text of a `tokenizer.json` of tokenizer `name` with `size` tokens, merged from the most frequent pairs.

    `sequences` hold A, C, G, T, N; the same ones give the same text. `UserError` for another tokenizer, for a size that
    the special tokens and letters alone exceed, and for sequences with too few distinct pieces.
    """
    if name not in PIECES:
        raise UserError(f"tokenizer '{name}' has a fixed vocabulary; {' and '.join(PIECES)} have pieces to train.")
    specials, letters = PIECES[name]
    if size < (least := len(specials) + len(letters)):
        raise UserError(f"--size {size}: the special tokens and letters of '{name}' alone are {least}; give more.")
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    if name == "gena_lm":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Strip(left=True, right=True), normalizers.Replace(Regex("N{10,}"), "-")]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Split("-", behavior="isolated")
        tokenizer.post_processor = processors.BertProcessing(_SEP, _CLS)
        tokenizer.decoder = decoders.BPEDecoder(suffix=" ")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[_CLS, _SEP]
        )
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(specials), initial_alphabet=list(letters), show_progress=False
    )
    tokenizer.train_from_iterator(_known(sequences, letters), trainer)
    if (pieces := tokenizer.get_vocab_size()) < size:
        raise UserError(f"--size {size}: the windows give only {pieces} tokens; draw more windows or lower the size.")
    return tokenizer.to_str(pretty=True)


def _known(sequences: Iterable[str], letters: str) -> Iterator[str]:
    """The stretches of sequences that consist of the tokenizer's letters: no other may get an id."""
    for sequence in sequences:
        yield from re.findall(f"[{letters}]+", sequence)
