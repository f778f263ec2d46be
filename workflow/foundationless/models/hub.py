"""Official checkpoints and tokenizers, from the hub (by a pinned revision) or from a directory."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from foundationless.errors import UserError
from foundationless.models.checkpoints.files import CHOICES, CONFIG, choose, outlines, outlines_of, parts, weight_files
from foundationless.models.contract import Reading
from foundationless.models.known import Known, check_known
from foundationless.models.tokenizers import PUBLISHED, TOKENIZER_FILES, load_tokenizer, tokenizer_files
from foundationless.models.weights import PIECE_FILE, load_checkpoint, save_weights
from foundationless.runtime.files import atomic_path, sha256, write_json
from foundationless.runtime.log import tell

Hashes = str | dict[str, str]  # SHA-256 of a file, or of each of several by name

_REVISION = re.compile("[0-9a-f]{40}")
_SMALL = (CONFIG, *TOKENIZER_FILES)
_CHOICES = tuple((*_SMALL, name) for name in CHOICES)


@dataclass(frozen=True)
class Description:
    """What is known of a published checkpoint before its weights are fetched.

    `directory` holds its small files; `revision` is its full commit hash (None: a directory of this machine); `sha256`
    is that of its weight file, or of each of several by name, where known. `outlines`: its tensors without their
    numbers (None: they are known when the weights are there). `licence`: that of the weights, where its card states it.
    """

    directory: Path
    revision: str | None
    sha256: Hashes | None
    outlines: Mapping[str, Tensor] | None = None
    licence: str | None = None


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
        return replace(local, revision=revision)
    with _hub_errors(repository, revision):
        from huggingface_hub import HfApi

        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
        files = {file.rfilename: file.lfs.sha256 if file.lfs else None for file in info.siblings or ()}
    weights = choose(files, repository)
    # What the branch is called now is what the study is pinned to: a full hash, like every other revision.
    small = (*_SMALL[1:], CONFIG)
    several = weights.endswith(".index.json")
    wanted = (*small, weights) if several else small
    directory = fetch_checkpoint(repository, str(info.sha), cache, choices=(wanted,), whole=False)
    licence = str(info.card_data.license) if info.card_data and info.card_data.get("license") else None
    names = sorted(set(parts(directory / weights).values())) if several else [weights]
    if absent := [name for name in names if name not in files]:
        raise UserError(f"{repository}: {weights} names {absent[0]}, which is not there; tell its owner.")
    known = {name: digest for name in names if (digest := files[name])}
    hashes = (known if several else known[weights]) if len(known) == len(names) else None
    return Description(directory, str(info.sha), hashes, _fetch_outlines(repository, str(info.sha), names), licence)


def _fetch_outlines(repository: str, revision: str, names: Sequence[str]) -> dict[str, Tensor] | None:
    """The tensors of safetensors files of the hub, from their headers alone; None where they cannot be had so."""
    from huggingface_hub import HfApi

    held: dict[str, tuple[str, Sequence[int]]] = {}
    try:
        for name in names:
            header = HfApi().parse_safetensors_file_metadata(repository, name, revision=revision)
            held |= {tensor: (info.dtype, info.shape) for tensor, info in header.tensors.items()}
        return outlines_of(held)
    except Exception:  # a pickle, or a hub that gives no part of a file: the weights are looked at when they are there
        return None


def describe_directory(directory: Path) -> Description:
    """The same of a checkpoint in published layout in a directory of this machine."""
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; give that of a checkpoint, with its {CONFIG}.")
    choose([path.name for path in directory.iterdir()], str(directory))
    return Description(directory, None, _hashes(weight_files(directory)), outlines(directory), _licence(directory))


def _licence(directory: Path) -> str | None:
    """What the card (README.md) of a checkpoint states, in the lines of settings that it begins with."""
    card = directory / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    stated = re.search(r"\A---\n(?:.*\n)*?license: *[\"']?([\w.+-]+)", text.partition("\n---")[0] + "\n")
    return stated[1] if stated else None


def _hashes(files: Sequence[Path]) -> Hashes:
    return sha256(files[0]) if len(files) == 1 else {file.name: sha256(file) for file in files}


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


def _check_hashes(files: Sequence[Path], expected: Hashes | None) -> None:
    if isinstance(expected, dict):
        if odd := sorted({file.name for file in files} ^ expected.keys()):
            raise UserError(
                f"{files[0].parent}: {odd[0]} is not among both the weights and the hashes expected of them."
            )
        for file in files:
            _check_bytes(file, expected[file.name])
    elif expected is not None and len(files) > 1:
        raise UserError(
            f"{files[0].parent}: its weights are {len(files)} files; give the hash of each, as FILE=SHA256."
        )
    else:
        _check_bytes(files[0], expected)


def is_padded(size: int, rows: int) -> bool:
    """Whether a table of so many rows is one for `size` tokens, perhaps filled up to a multiple of 8 to 128."""
    return any(rows == -(-size // multiple) * multiple for multiple in (1, 8, 16, 32, 64, 128))


def fetch_checkpoint(
    repository: str,
    revision: str,
    cache: Path | None = None,
    local_hub: Path | None = None,
    offline: bool = False,
    choices: Sequence[tuple[str, ...]] = _CHOICES,
    whole: bool = True,
) -> Path:
    """Directory with `config.json`, weights and tokenizer files of one hub revision; no other file is ever fetched.

    `local_hub` is a directory laid out as the hub's own paths (`OWNER/NAME/resolve/REVISION/FILE`) for machines without
    network. Of `choices` (names of files) the first one counts whose last file is there: safetensors is preferred; a
    pickle is fetched only where there is nothing else. With the index of several files come those that it names, if
    `whole`.
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

        def fetch(names: Sequence[str]) -> Path:
            place: Any = {"revision": revision, "cache_dir": cache, "local_files_only": offline}
            return Path(str(snapshot_download(repository, allow_patterns=list(names), **place)))

        for files in choices:
            directory = fetch(files)
            if (directory / files[-1]).is_file():
                break
        if whole and (index := directory / files[-1]).is_file() and index.name.endswith(".index.json"):
            fetch(sorted(set(parts(index).values())))
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
    expected_sha256: Hashes | None = None,
    reading: Reading = "published",
    known: Sequence[Known] = (),
) -> None:
    """Load an official checkpoint strictly and write it as a weight directory; `card` names family and tokenizer.

    `expected_sha256` is compared with the published weight file before it is read, or with each of several; `reading`
    as in `load_checkpoint`. Where its embedding of a sequence is among the `known` ones it must give it; the card and
    the log say so, and which tensors were left out.
    """
    if not (directory / CONFIG).is_file():
        raise UserError(f"{directory}: no {CONFIG}; give the directory of an official checkpoint.")
    weights = weight_files(directory)
    _check_hashes(weights, expected_sha256)
    tokenizer = load_tokenizer(card["tokenizer"], directory)
    model = load_checkpoint(directory, card["family"], reading)
    if model.vocabulary_size < tokenizer.size:
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' emits {tokenizer.size} ids, the embedding table has "
            f"{model.vocabulary_size} rows; they do not belong together."
        )
    rows = model.config.get("vocab_size", model.vocabulary_size)
    if tokenizer.name not in (model.tokenizer, PUBLISHED) and not is_padded(tokenizer.size, rows):
        raise UserError(
            f"{directory}: tokenizer '{tokenizer.name}' has {tokenizer.size} ids, the checkpoint was made for {rows}, "
            f"and its family is published with tokenizer '{model.tokenizer}'; with other ids it would read noise."
        )
    model.check_tokenizer(model.config, tokenizer)
    hashes = _hashes(weights)
    facts: dict[str, Any] = {"published_sha256": hashes}
    if model.left_out:
        facts["left_out"] = model.left_out
        more = f" and {len(model.left_out) - 1} more" if len(model.left_out) > 1 else ""
        tell(f"{directory}: {model.left_out[0]}{more} left out: no state and no logit depends on it.")
    if not model.has_head:
        tell(f"{directory}: it has no vocabulary head; it can be fine-tuned and embedded, nothing else.")
    if reading == "published":
        checksums = [hashes] if isinstance(hashes, str) else list(hashes.values())
        said, proof = check_known(known, model, tokenizer, str(card["source"]), checksums, str(directory))
        tell(said)
        facts |= {"known_embedding": proof} if proof else {}
    save_weights(output, model, {**card, **facts}, tokenizer_files(tokenizer.name, directory))
