"""Weights: official checkpoints, random initialisations, and the weight directories that everything downstream reads.

A weight directory holds `config.json` (the official keys), `model.safetensors` (official names, each shared tensor
once), `weights.json` (the card) and the files of a tokenizer that is read from some. Pretrained and random arms are the
same kind of directory, so nothing downstream can treat them differently.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import save_file

from foundationless.errors import UserError
from foundationless.models.checkpoints.files import CONFIG, TENSORS, read_tensors
from foundationless.models.contract import GenomicModel, Reading
from foundationless.models.portable_rng import PortableDraws
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import CELL_FILES, CELLS, PUBLISHED, TOKENIZER_FILES, Tokenizer, load_tokenizer
from foundationless.runtime.cards import read_card
from foundationless.runtime.files import atomic_directory, read_json, sha256, write_json
from foundationless.study.families import FAMILIES

CARD, PIECE_FILE = "weights.json", "tokenizer.json"
_CARD_KEYS = ("model", "family", "tokenizer", "init", "seed", "source")


@dataclass(frozen=True)
class Weights:
    """A loaded weight directory: the model in evaluation mode, its tokenizer, and its card.

    The card says model, family, tokenizer, init, seed (None for downloaded weights), source, reading, parameters,
    sha256.
    """

    model: GenomicModel
    tokenizer: Tokenizer
    card: dict[str, Any]


def parse_config(text: str) -> dict[str, Any]:
    """A configuration from a JSON object given as text, or from the JSON file of that name."""
    if not text.strip():
        raise UserError("--config: it is empty; give a JSON object, or the name of a JSON file.")
    if text.lstrip().startswith("{"):
        return _config("--config", lambda: json.loads(text))
    return _config(text, lambda: read_json(text))


def _config(where: str, read: Callable[[], Any]) -> dict[str, Any]:
    """What `read` gives, if it is a JSON object of finite numbers, nested no deeper than Python can follow."""
    try:
        config = read()
        json.dumps(config, allow_nan=False)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not valid JSON ({error}).") from None
    except RecursionError:
        raise UserError(f"{where}: nested too deeply for a configuration.") from None
    except ValueError:
        raise UserError(f"{where}: it holds a number that is not finite, or too long to be read.") from None
    except OSError as error:
        raise UserError(f"{where:.60}: cannot be read ({error.strerror}).") from None
    if not isinstance(config, dict):
        raise UserError(f"{where}: a configuration is a JSON object.")
    return config


def paper_family(family: str, reading: Reading) -> str:
    """The family that a random model of `family` is: under the reading `as_in_paper`, what the paper's code built."""
    built = FAMILIES[family].paper_random if family in FAMILIES else ""
    return built if built and reading == "as_in_paper" else family


def initialise(family: str, config: Mapping[str, Any], seed: int, reading: Reading = "published") -> GenomicModel:
    """A model at its family's published random initialisation, in evaluation mode.

    The seed is set before construction and the global generator is left as it was: the same seed gives the same bytes,
    on every machine. Under the reading `as_in_paper`, what the paper's code built (`paper_family`, `paper_config`).
    """
    model_class = family_class(paper_family(family, reading))
    checked = model_class.check_config(model_class.paper_config(config) if reading == "as_in_paper" else config)
    with torch.random.fork_rng(devices=[]), PortableDraws(seed):
        torch.default_generator.manual_seed(seed)  # for what `PortableDraws` does not know
        model = model_class(checked).eval()
    model.reading = reading
    return model


def load_checkpoint(directory: str | Path, family: str, reading: Reading = "published") -> GenomicModel:
    """Read an official checkpoint (`config.json` with the files of `checkpoints.files`), in evaluation mode.

    Strict: a missing, unexpected or misshaped tensor, an architecture switch that is not implemented, a pickle that
    would run code or a damaged file is a `UserError` that names it. Half-precision tensors become float32. Under the
    reading `as_in_paper`, the function that the paper's code evaluated with it, silent losses included.
    """
    directory = Path(directory)
    model_class = family_class(family)
    config = _config(str(directory / CONFIG), lambda: read_json(directory / CONFIG))
    try:
        checked = model_class.check_config(model_class.paper_config(config) if reading == "as_in_paper" else config)
    except UserError as error:
        raise UserError(f"{directory / CONFIG}: {error}") from None
    path, tensors = read_tensors(directory)
    with torch.random.fork_rng(devices=[]):
        model = model_class.blank(checked)
    model.reading = reading
    model.load_published(tensors, str(path))
    return model.eval()


def retokenized(family: str, config: Mapping[str, Any], tokenizer: Tokenizer) -> dict[str, Any]:
    """`config` with the vocabulary that `tokenizer` needs.

    With the family's own tokenizer, or the checkpoint's, the configuration stays as published (a table too small for it
    is a `UserError`); with any other, and with any vocabulary of genes, the embedding table and the vocabulary head get
    the new size, drawn as all others at initialisation.
    """
    model_class = family_class(family)
    if (model_class.tokenizer == CELLS) != (tokenizer.name == CELLS):
        raise UserError(
            f"family '{family}' reads {'cells' if model_class.tokenizer == CELLS else 'sequences'}; "
            f"tokenizer '{tokenizer.name}' does not fit it."
        )
    if tokenizer.name == CELLS:
        return {**config, **model_class.vocabulary_config(tokenizer)}
    rows = config.get("vocab_size", tokenizer.size)
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise UserError(
            f"configuration of family '{family}': 'vocab_size' is {rows!r:.60}; it must be a positive integer."
        )
    if tokenizer.name in (model_class.tokenizer, PUBLISHED) and "vocab_size" in config:
        if rows < tokenizer.size:
            raise UserError(
                f"tokenizer '{tokenizer.name}' emits {tokenizer.size} ids, the configuration has 'vocab_size' = "
                f"{rows}; they do not belong together."
            )
        model_class.check_tokenizer(config, tokenizer)
        return dict(config)
    return {**config, **model_class.vocabulary_config(tokenizer)}


def save_weights(
    directory: str | Path, model: GenomicModel, card: Mapping[str, Any], tokenizer_files: Iterable[Path] = ()
) -> None:
    """Write a weight directory, whole or not at all; `card` needs model, family, tokenizer, init, seed and source.

    `tokenizer_files` (those that `tokenizers.tokenizer_files` names) are copied beside the weights.
    """
    if missing := [key for key in _CARD_KEYS if key not in card]:
        raise ValueError(f"the card of {directory} lacks {', '.join(missing)}")
    with atomic_directory(directory, (CONFIG, TENSORS, CARD, *TOKENIZER_FILES, *CELL_FILES)) as part:
        write_json(part / CONFIG, model.config)
        save_file(model.published_state(), part / TENSORS, metadata={"format": "pt"})
        for file in tokenizer_files:
            shutil.copyfile(file, part / file.name)
        parameters = sum(p.numel() for p in model.parameters())
        facts = {"reading": model.reading, "parameters": parameters, "sha256": sha256(part / TENSORS)}
        write_json(part / CARD, {**card, **facts})


def load_weights(directory: str | Path, device: str = "cpu") -> Weights:
    """Read a weight directory and check its bytes against its card; a damaged or foreign directory is a `UserError`."""
    directory = Path(directory)
    card = read_card(directory / CARD)
    if missing := [key for key in (*_CARD_KEYS, "parameters", "sha256") if key not in card]:
        raise UserError(
            f"{directory / CARD}: not the card of a weight directory (no '{missing[0]}'); make the weights again."
        )
    good = {key: isinstance(card[key], str) for key in ("model", "family", "tokenizer", "init", "sha256")}
    good["parameters"] = type(card["parameters"]) is int and card["parameters"] >= 0
    good["reading"] = card["reading"] in get_args(Reading)
    for key in good:
        if not good[key]:
            raise UserError(f"{directory / CARD}: '{key}' is {card[key]!r:.60}; make the weights again.")
    tensors = directory / TENSORS
    if not tensors.is_file():
        raise UserError(f"{tensors}: no such file; make the weights again.")
    if sha256(tensors) != card["sha256"]:
        raise UserError(f"{tensors}: the bytes are not those of the card (sha256 differs); make the weights again.")
    model = load_checkpoint(directory, card["family"], card["reading"])
    tokenizer = load_tokenizer(card["tokenizer"], directory)
    if model.vocabulary_size < tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' emits {tokenizer.size} ids, the embedding table has "
            f"{model.vocabulary_size} rows; make the weights again."
        )
    model.check_tokenizer(model.config, tokenizer)
    return Weights(model.to(device), tokenizer, card)
