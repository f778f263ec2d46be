"""Official checkpoints from the hub (by a pinned revision) or from a directory, turned into weight directories."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.files import sha256
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
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
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
        for weights in (TENSORS, PICKLE):
            found = snapshot_download(
                repository,
                revision=revision,
                allow_patterns=[*_SMALL, weights],
                cache_dir=cache,
                local_files_only=offline,
            )
            directory = Path(found)
            if (directory / weights).is_file():
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
    directory: Path, output: Path, card: Mapping[str, Any], expected_sha256: str | None = None
) -> None:
    """Load an official checkpoint strictly and write it as a weight directory; `card` names family and tokenizer.

    `expected_sha256` is compared with the published weight file before it is read.
    """
    weights = next((directory / name for name in (TENSORS, PICKLE) if (directory / name).is_file()), None)
    if weights is not None and expected_sha256 is not None and sha256(weights) != expected_sha256.lower():
        raise UserError(f"{weights}: sha256 is {sha256(weights)}, not {expected_sha256}; fetch it again.")
    if not (directory / CONFIG).is_file():
        raise UserError(f"{directory}: no {CONFIG}; give the directory of an official checkpoint.")
    pieces = directory / PIECE_FILE if card["tokenizer"] in PIECES else None
    tokenizer = load_tokenizer(card["tokenizer"], directory)
    model = load_checkpoint(directory, card["family"])
    if model.vocabulary_size < tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' emits {tokenizer.size} ids, the embedding table has "
            f"{model.vocabulary_size} rows; they do not belong together."
        )
    published = {"published_sha256": sha256(weights)} if weights is not None else {}
    save_weights(output, model, {**card, **published}, pieces)
