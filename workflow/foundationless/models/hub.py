"""Official checkpoints and tokenizers, from the hub (by a pinned revision) or from a directory."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.files import atomic_path, sha256
from foundationless.models.contract import Protocol
from foundationless.models.tokenizers import PIECES, load_tokenizer
from foundationless.models.weights import CONFIG, PICKLE, PIECE_FILE, TENSORS, load_checkpoint, save_weights

_REVISION = re.compile("[0-9a-f]{40}")
_SMALL = (CONFIG, PIECE_FILE, "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


def fetch_checkpoint(
    repository: str,
    revision: str,
    cache: Path | None = None,
    local_hub: Path | None = None,
    offline: bool = False,
) -> Path:
    """Directory with `config.json`, weights and tokenizer files of one hub revision; no other file is ever fetched.

    `local_hub` is a directory laid out as the hub's own paths (`OWNER/NAME/resolve/REVISION/FILE`) for machines without
    network. safetensors is preferred; a pickle is fetched only where there is nothing else.
    """
    return _fetch(repository, revision, [(*_SMALL, TENSORS), (*_SMALL, PICKLE)], cache, local_hub, offline)


def fetch_tokenizer(
    repository: str,
    revision: str,
    cache: Path | None = None,
    local_hub: Path | None = None,
    offline: bool = False,
) -> Path:
    """The `tokenizer.json` of one hub revision, and no other file; arguments as for `fetch_checkpoint`."""
    path = _fetch(repository, revision, [(PIECE_FILE,)], cache, local_hub, offline) / PIECE_FILE
    if not path.is_file():
        place = " in the cache" if offline else ""
        raise UserError(f"{repository}: revision {revision} has no {PIECE_FILE}{place}; check repository and revision.")
    return path


def import_tokenizer(path: Path, output: Path, name: str, expected_sha256: str | None = None) -> None:
    """Copy a published `tokenizer.json` once its bytes are the expected ones and it loads as tokenizer `name`."""
    _check_bytes(path, expected_sha256)
    load_tokenizer(name, path.parent)
    with atomic_path(output) as part:
        shutil.copyfile(path, part)


def _check_bytes(path: Path, expected_sha256: str | None) -> None:
    if expected_sha256 is not None and sha256(path) != expected_sha256.lower():
        raise UserError(f"{path}: sha256 is {sha256(path)}, not {expected_sha256}; fetch it again.")


def _fetch(
    repository: str,
    revision: str,
    choices: Sequence[tuple[str, ...]],
    cache: Path | None,
    local_hub: Path | None,
    offline: bool,
) -> Path:
    """Directory with the first of `choices` (names of files) whose last file is there."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or {".", ".."} & set(repository.split("/")):
        raise UserError(f"repository '{repository}': give OWNER/NAME.")
    if not _REVISION.fullmatch(revision):
        raise UserError(
            f"{repository}: revision '{revision}' is not a full commit hash; pin the 40 hexadecimal digits, because a "
            "branch can change under a study."
        )
    if local_hub is not None:
        directory = local_hub / repository / "resolve" / revision
        if not directory.is_dir():
            raise UserError(f"{directory}: no such directory; copy the files of that revision there.")
        return directory

    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    directory = Path()
    try:
        for files in choices:
            found = snapshot_download(
                repository, revision=revision, allow_patterns=list(files), cache_dir=cache, local_files_only=offline
            )
            directory = Path(found)
            if (directory / files[-1]).is_file():
                break
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise UserError(
            f"{repository}: the hub has no such repository with revision {revision} (or it is private)."
        ) from None
    except LocalEntryNotFoundError:
        raise UserError(
            f"{repository}: revision {revision} is not in the cache and the hub cannot be reached; download it where "
            "there is a network, or give --local-hub."
        ) from None
    except Exception as error:  # besides its own, the library lets the classes of its HTTP client through
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"{repository}: revision {revision} could not be downloaded ({type(error).__name__}: {reason}); run again."
        ) from None
    return directory


def import_checkpoint(
    directory: Path,
    output: Path,
    card: Mapping[str, Any],
    expected_sha256: str | None = None,
    protocol: Protocol = "corrected",
) -> None:
    """Load an official checkpoint strictly and write it as a weight directory; `card` names family and tokenizer.

    `expected_sha256` is compared with the published weight file before it is read; `protocol` as in `load_checkpoint`.
    """
    weights = next((directory / name for name in (TENSORS, PICKLE) if (directory / name).is_file()), None)
    if weights is not None:
        _check_bytes(weights, expected_sha256)
    if not (directory / CONFIG).is_file():
        raise UserError(f"{directory}: no {CONFIG}; give the directory of an official checkpoint.")
    pieces = directory / PIECE_FILE if card["tokenizer"] in PIECES else None
    tokenizer = load_tokenizer(card["tokenizer"], directory)
    model = load_checkpoint(directory, card["family"], protocol)
    if model.vocabulary_size < tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' emits {tokenizer.size} ids, the embedding table has "
            f"{model.vocabulary_size} rows; they do not belong together."
        )
    rows = model.config.get("vocab_size", model.vocabulary_size)
    if tokenizer.name != model.tokenizer and rows != tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' has {tokenizer.size} ids, the checkpoint was made for {rows}, "
            f"and its family is published with tokenizer '{model.tokenizer}'; with other ids it would read noise."
        )
    model.check_tokenizer(model.config, tokenizer)
    published = {"published_sha256": sha256(weights)} if weights is not None else {}
    save_weights(output, model, {**card, **published}, pieces)
