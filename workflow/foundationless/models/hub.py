"""Official checkpoints and tokenizers, from the hub (by a pinned revision) or from a directory."""

import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.models.contract import Reading
from foundationless.models.known import Known, check_known, weight_checksums
from foundationless.models.tokenizers import PUBLISHED, TOKENIZER_FILES, load_tokenizer, tokenizer_files
from foundationless.models.weights import CONFIG, PICKLE, PIECE_FILE, TENSORS, load_checkpoint, save_weights
from foundationless.runtime.files import atomic_path, sha256, write_json
from foundationless.runtime.log import tell

_REVISION = re.compile("[0-9a-f]{40}")
_SMALL = (CONFIG, *TOKENIZER_FILES)


@dataclass(frozen=True)
class Description:
    """What is known of a published checkpoint before its weights are fetched.

    `directory` holds its small files; `revision` is its full commit hash (None: a directory of this machine); `sha256`
    is that of its weight file, where known.
    """

    directory: Path
    revision: str | None
    sha256: str | None


def describe_repository(
    repository: str, revision: str | None = None, cache: Path | None = None, local_hub: Path | None = None
) -> Description:
    """Configuration and tokenizer files of a repository of the hub, at `revision` or at what its main branch is now.

    `local_hub` as for `fetch_checkpoint`: without `revision` it must hold a single one. A private repository is read
    with the token that the hub's library finds (`HF_TOKEN`). `UserError` for a repository without weights.
    """
    _check_address(repository, revision)
    if local_hub is not None:
        held = sorted((local_hub / repository / "resolve").glob("*"))
        if revision is None and len(held) != 1:
            raise UserError(f"{local_hub / repository}: {len(held)} revisions are there; name one of 40 digits.")
        revision = revision or held[0].name
        local = describe_directory(fetch_checkpoint(repository, revision, local_hub=local_hub))
        return Description(local.directory, revision, local.sha256)
    with _hub_errors(repository, revision):
        from huggingface_hub import HfApi

        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
        files = {file.rfilename: file.lfs.sha256 if file.lfs else None for file in info.siblings or ()}
    weights = _weight_file(files, repository)
    # What the branch is called now is what the study is pinned to: a full hash, like every other revision.
    directory = fetch_checkpoint(repository, str(info.sha), cache, choices=((*_SMALL[1:], CONFIG),))
    return Description(directory, str(info.sha), files[weights])


def describe_directory(directory: Path) -> Description:
    """The same of a checkpoint in published layout in a directory of this machine."""
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; give that of a checkpoint, with its {CONFIG}.")
    weights = _weight_file([path.name for path in directory.iterdir()], str(directory))
    return Description(directory, None, sha256(directory / weights))


def _weight_file(files: Collection[str], where: str) -> str:
    """The weight file among `files` that is read."""
    if CONFIG not in files:
        raise UserError(f"{where}: no {CONFIG}; only a checkpoint in published layout can be read.")
    if found := next((name for name in (TENSORS, PICKLE) if name in files), None):
        return found
    raise UserError(f"{where}: neither {TENSORS} nor {PICKLE} (weights in several files are not read).")


def fetch_tokenizer(repository: str, revision: str, **place: Any) -> Path:
    """The `tokenizer.json` of one hub revision, and no other file; `place` as for `fetch_checkpoint`."""
    path = fetch_checkpoint(repository, revision, **place, choices=((PIECE_FILE,),)) / PIECE_FILE
    if not path.is_file():
        where = " in the cache" if place.get("offline") else ""
        raise UserError(f"{repository}: revision {revision} has no {PIECE_FILE}{where}; check repository and revision.")
    return path


def import_tokenizer(path: Path, output: Path, name: str, expected_sha256: str | None = None) -> None:
    """Copy a published `tokenizer.json` once its bytes are the expected ones and it loads as tokenizer `name`."""
    _check_bytes(path, expected_sha256)
    load_tokenizer(name, path.parent)
    with atomic_path(output) as part:
        shutil.copyfile(path, part)


def copy_tokenizer(directory: Path, card: Path, source: str) -> None:
    """Copy the files of a published tokenizer beside `card`, which names them, once they are one that can be read."""
    files = tokenizer_files(PUBLISHED, directory)
    load_tokenizer(PUBLISHED, directory)
    for file in files:
        with atomic_path(card.parent / file.name) as part:
            shutil.copyfile(file, part)
    write_json(card, {"source": source, "files": {file.name: sha256(file) for file in files}})


def _check_bytes(path: Path, expected_sha256: str | None) -> None:
    if expected_sha256 is not None and sha256(path) != expected_sha256.lower():
        raise UserError(f"{path}: sha256 is {sha256(path)}, not {expected_sha256}; fetch it again.")


def fetch_checkpoint(
    repository: str,
    revision: str,
    cache: Path | None = None,
    local_hub: Path | None = None,
    offline: bool = False,
    choices: Sequence[tuple[str, ...]] = ((*_SMALL, TENSORS), (*_SMALL, PICKLE)),
) -> Path:
    """Directory with `config.json`, weights and tokenizer files of one hub revision; no other file is ever fetched.

    `local_hub` is a directory laid out as the hub's own paths (`OWNER/NAME/resolve/REVISION/FILE`) for machines without
    network. Of `choices` (names of files) the first one counts whose last file is there: safetensors is preferred; a
    pickle is fetched only where there is nothing else.
    """
    _check_address(repository, revision)
    if local_hub is not None:
        directory = local_hub / repository / "resolve" / revision
        if not directory.is_dir():
            raise UserError(f"{directory}: no such directory; copy the files of that revision there.")
        return directory

    directory = Path()
    with _hub_errors(repository, revision):
        from huggingface_hub import snapshot_download

        for files in choices:
            snapshot = snapshot_download(
                repository, revision=revision, allow_patterns=list(files), cache_dir=cache, local_files_only=offline
            )
            directory = Path(snapshot)
            if (directory / files[-1]).is_file():
                break
    return directory


def _check_address(repository: str, revision: str | None) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or {".", ".."} & set(repository.split("/")):
        raise UserError(f"repository '{repository}': give OWNER/NAME of the hub, or a directory that exists.")
    if revision is not None and not _REVISION.fullmatch(revision):
        raise UserError(
            f"{repository}: revision '{revision}' is not a full commit hash; pin the 40 hexadecimal digits, because a "
            "branch can change under a study."
        )


@contextmanager
def _hub_errors(repository: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's library raises into a `UserError` of one sentence."""
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    which = f"revision {revision}" if revision else "its main branch"
    try:
        yield
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise UserError(
            f"{repository}: the hub has no such repository with {which} (or it is private: set HF_TOKEN)."
        ) from None
    except LocalEntryNotFoundError:
        raise UserError(
            f"{repository}: {which} is not in the cache and the hub cannot be reached; download it where there is a "
            "network, or give --local-hub."
        ) from None
    except Exception as error:  # besides its own, the library lets the classes of its HTTP client through
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"{repository}: {which} could not be downloaded ({type(error).__name__}: {reason}); run again."
        ) from None


def import_checkpoint(
    directory: Path,
    output: Path,
    card: Mapping[str, Any],
    expected_sha256: str | None = None,
    reading: Reading = "published",
    known: Sequence[Known] = (),
) -> None:
    """Load an official checkpoint strictly and write it as a weight directory; `card` names family and tokenizer.

    `expected_sha256` is compared with the published weight file before it is read; `reading` as in `load_checkpoint`.
    Where its embedding of a sequence is among the `known` ones it must give it; the card and the log say so.
    """
    weights = next((directory / name for name in (TENSORS, PICKLE) if (directory / name).is_file()), None)
    if weights is not None:
        _check_bytes(weights, expected_sha256)
    if not (directory / CONFIG).is_file():
        raise UserError(f"{directory}: no {CONFIG}; give the directory of an official checkpoint.")
    tokenizer = load_tokenizer(card["tokenizer"], directory)
    model = load_checkpoint(directory, card["family"], reading)
    if model.vocabulary_size < tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' emits {tokenizer.size} ids, the embedding table has "
            f"{model.vocabulary_size} rows; they do not belong together."
        )
    rows = model.config.get("vocab_size", model.vocabulary_size)
    if tokenizer.name not in (model.tokenizer, PUBLISHED) and rows != tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' has {tokenizer.size} ids, the checkpoint was made for {rows}, "
            f"and its family is published with tokenizer '{model.tokenizer}'; with other ids it would read noise."
        )
    model.check_tokenizer(model.config, tokenizer)
    published: dict[str, Any] = {"published_sha256": sha256(weights)} if weights is not None else {}
    if reading == "published":
        checksums = list(published.values()) or weight_checksums(directory, known)
        said, proof = check_known(known, model, tokenizer, str(card["source"]), checksums, str(directory))
        tell(said)
        published |= {"known_embedding": proof} if proof else {}
    save_weights(output, model, {**card, **published}, tokenizer_files(tokenizer.name, directory))
