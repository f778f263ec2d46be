"""Public files of a ledger: from a mirror or the network, retried, resumed, and verified before they get their name.

The ledger is a tab-separated table with a header; its columns are `name` (unique), `file` (unique basename to store
the file under), `url` (https), `sha256` (64 hexadecimal digits), `bytes`, `licence` and `description`, and where
wanted `md5` (32 digits), `checksums` (URL of a published list of checksums) and `index` (URL of the tabix index of a
file that is read by regions). `sha256` and `bytes` may be empty: then `md5` or `checksums` verifies the file, and the
first fetch writes the sha256 of what came to `OUTPUT.sha256`, which every later fetch must equal (trust on first use)
until it is forgotten (`forget`). What no checksum of the ledger vouches for must be of the kind that `file` says by its
ending (`file_kinds`): servers send pages of theirs in place of files.
A URL of a hub names a commit of 40 digits, unless the row has a checksum: a branch would change under the study.
A mirror is a directory laid out as `wget -x` makes it: `HOST[:PORT]/PATH`.
"""

import difflib
import hashlib
import random
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import requests
import tenacity
import urllib3
from tqdm import tqdm

from foundationless.data.files.kinds import misfit
from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path, read_table, sha256
from foundationless.runtime.log import tell

BACKOFF_SECONDS = 1.0  # before the first retry; doubles with each, up to the ceiling
BACKOFF_CEILING_SECONDS = 60.0
_CHUNK_BYTES = 1 << 17
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_TRANSIENT_STATUS = (408, 425, 429)
P = ParamSpec("P")
T = TypeVar("T")
_HUBS = ("huggingface.co", "raw.githubusercontent.com")
_LARGEST_LIST_BYTES = 1 << 24  # of a published list of checksums


@dataclass(frozen=True)
class Dataset:
    """One row of the ledger."""

    name: str
    file: str
    url: str
    sha256: str  # empty: not published
    bytes: int | None
    licence: str
    description: str
    md5: str = ""
    checksums: str = ""
    index: str = ""
    ledger: str = ""  # path of the ledger that it stands in
    record: str = ""  # path of the record that gave the sha256; empty: the ledger or nobody did

    @property
    def is_known(self) -> bool:
        """Whether the ledger itself says what the content is."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True)
class Access:
    """How files are reached: in `mirror`, else, unless `offline`, over the network.

    `timeout` is the longest silence in seconds, `retries` the number of further attempts after connection errors,
    truncation, wrong content and the statuses 5xx, 408, 425, 429.
    """

    mirror: Path | None = None
    offline: bool = False
    retries: int = 5
    timeout: float = 60.0

    def place(self, url: str) -> Path | str:
        """Where the file of `url` would be looked for before the network."""
        return mirror_path(self.mirror, url) if self.mirror else "a directory given as --mirror"


class TransientError(Exception):
    """A failure that another attempt may mend; `wait` is the pause that the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class Session(requests.Session):
    """A session that refuses unencrypted transport, for the first request and for every redirect."""

    def get_adapter(self, url: str) -> requests.adapters.BaseAdapter:
        check_url(url)
        return super().get_adapter(url)


def check_url(url: str) -> None:
    """Raise `UserError` unless `url` is https with a host and a path (http is for this machine only)."""
    parts = urlsplit(url)
    allowed = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS)
    if not allowed or not parts.hostname or parts.path in ("", "/"):
        raise UserError(f"{url}: not a full https URL of a file; give one (http is for localhost only).")


def read_ledger(path: Path, further: Sequence[dict[str, str]] = ()) -> dict[str, Dataset]:
    """Datasets by name, in the ledger's order, and those of `further` rows; any malformed row is a `UserError` that
    names it. Rows that name a path of this machine are no downloads."""
    ledger: dict[str, Dataset] = {}
    files: set[str] = set()
    columns = ("name", "file", "url", "sha256", "bytes", "licence", "description")
    for number, row in enumerate([*read_table(path, columns), *further], 1):
        if row["url"] and "://" not in row["url"]:
            continue  # a file of this machine, which is read where it lies
        dataset = _read_row(row, f"{path}, row {number}", str(path))
        if dataset.file in files:
            raise UserError(f"{path}: file '{dataset.file}' stands more than once; files must be unique.")
        ledger[dataset.name] = dataset
        files.add(dataset.file)
    if not ledger:
        raise UserError(f"{path}: the ledger holds no dataset; add a row.")
    return ledger


def _read_row(row: dict[str, str], where: str, ledger: str) -> Dataset:
    for column in ("name", "file"):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", row[column]):
            raise UserError(
                f"{where}: '{row[column]}' is no {column}; use letters, digits, '_', '.', '+' and '-', no directory."
            )
    for column, digits in (("sha256", 64), ("md5", 32)):
        if row.get(column) and not re.fullmatch(f"[0-9a-f]{{{digits}}}", row[column]):
            raise UserError(f"{where}: {column} '{row[column]}' is not {digits} lower-case hexadecimal digits.")
    if row["bytes"] and not re.fullmatch("[1-9][0-9]*", row["bytes"]):
        raise UserError(f"{where}: bytes '{row['bytes']}' is not a positive whole number.")
    for url in filter(None, (row["url"] or "-", row.get("checksums"), row.get("index"))):
        try:
            check_url(url)
        except (UserError, ValueError) as error:
            raise UserError(f"{where}: {error}") from None
        if ".." in re.split(r"[/?\\]", unquote(url)):
            raise UserError(f"{where}: the url must not hold '..'.")
    pinned = re.search("/[0-9a-f]{40}/", row["url"]) or row["sha256"] or row.get("md5")
    if urlsplit(row["url"]).hostname in _HUBS and not pinned:
        raise UserError(
            f"{where}: {row['url']} follows a branch; name a commit of 40 digits, or give the file's sha256 or md5."
        )
    names = ("name", "file", "url", "sha256", "licence", "description", "md5", "checksums", "index")
    text = {column: row[column] for column in names if column in row}
    return Dataset(**text, bytes=int(row["bytes"]) if row["bytes"] else None, ledger=ledger)


def get_dataset(ledger: dict[str, Dataset], name: str) -> Dataset:
    """The dataset called `name`; an unknown name is a `UserError` with the nearest known ones."""
    if name not in ledger:
        near = difflib.get_close_matches(name, ledger, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`fetch --list` shows what there is."
        raise UserError(f"dataset '{name}' is not in the ledger; {hint}")
    return ledger[name]


def mirror_path(mirror: Path, url: str) -> Path:
    """Where `wget -x` puts `url` below the directory `mirror`."""
    parts = urlsplit(url)
    return mirror / parts.netloc / (unquote(parts.path).lstrip("/") + (f"?{parts.query}" if parts.query else ""))


def fetch(dataset: Dataset, output: Path, access: Access, record: bool = True) -> None:
    """Put a dataset at `output`: nothing to do if it is there, else from the mirror, else from the network.

    Size and checksum (see the module) are verified before the file appears under its name. A download grows in
    `OUTPUT.part`, which a later attempt resumes by HTTP Range, and a later call too where the ledger knows the content.
    `record=False` leaves no record of a first fetch. Every failure is a `UserError`.
    """
    if access.retries < 0 or not access.timeout > 0:
        given = f"--retries {access.retries} --timeout {access.timeout}"
        raise UserError(f"{given}: retries must be 0 or more, the timeout positive.")
    try:
        dataset = _recorded(dataset, output)
        if output.is_file() and dataset.is_known and _mismatch(output, dataset) is None:
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        if not dataset.is_known and dataset.checksums:
            dataset = _published(dataset, access)
        _retrieve(dataset, output, access)
        if record and not dataset.sha256:
            _record(dataset, output)
    except OSError as error:
        raise UserError(f"{error.filename or output}: {error.strerror or error}.") from None


def _record_path(output: Path) -> Path:
    return output.with_name(f"{output.name}.sha256")


def _recorded(dataset: Dataset, output: Path) -> Dataset:
    """The dataset with the sha256 that an earlier fetch recorded, where the ledger has none."""
    path = _record_path(output)
    if dataset.sha256 or not path.is_file():
        return dataset
    digest = path.read_text(errors="replace").partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UserError(f"{path}: holds no sha256; restore the record of the first fetch, or delete it to trust anew.")
    return replace(dataset, sha256=digest, record=str(path))


def forget(dataset: Dataset, output: Path) -> None:
    """Remove the record of the first fetch to `output`, and what was fetched: the next fetch is a first one.

    `UserError` where there is no such record.
    """
    record = _record_path(output)
    if not record.is_file():
        raise UserError(
            f"{dataset.name}: no first fetch to {output} is recorded ({record}); there is nothing to forget."
        )
    digest = record.read_text(errors="replace").partition(" ")[0]
    output.unlink(missing_ok=True)
    record.unlink()
    tell(f"{dataset.name}: sha256 {digest}, recorded in {record}, is forgotten, and {output} removed")


def _record(dataset: Dataset, output: Path) -> None:
    """Write down the sha256 of a first fetch, in the format of `sha256sum`, and say so."""
    digest, path = sha256(output), _record_path(output)
    with atomic_path(path) as part:
        part.write_text(f"{digest}  {output.name}\n")
    how = "its published md5 agrees" if dataset.md5 else "no checksum is published"
    tell(f"{dataset.name}: {how}; sha256 {digest} recorded in {path}, later fetches must equal it.")


def _retrieve(dataset: Dataset, output: Path, access: Access) -> None:
    """Put a dataset at `output`, from the mirror or the network."""
    if access.mirror is None or not _copy_from_mirror(dataset, output, access.mirror):
        refuse_offline(dataset, access)
        _download(dataset, output, access)


def refuse_offline(dataset: Dataset, access: Access) -> None:
    """`UserError` where the network must not be used."""
    if access.offline:
        place = access.place(dataset.url)
        raise UserError(f"{dataset.name} is not in a mirror and --offline forbids {dataset.url}; put it at {place}.")


def _published(dataset: Dataset, access: Access) -> Dataset:
    """The dataset with the checksum that its published list names."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "checksums"
        name = f"{dataset.name}, list of checksums"
        table = replace(dataset, name=name, file="checksums", url=dataset.checksums, bytes=None)
        _retrieve(table, path, access)
        if path.stat().st_size > _LARGEST_LIST_BYTES:
            raise UserError(f"{dataset.checksums}: too large for a list of checksums; correct the ledger.")
        lines = path.read_text(errors="replace").splitlines()
    wanted = unquote(urlsplit(dataset.url).path).rpartition("/")[2]
    for line in lines:  # `DIGEST  NAME` as md5sum writes it, or `NAME DIGEST`
        words = line.replace("*", " ").split()
        digests = [word.lower() for word in words if re.fullmatch("[0-9a-fA-F]{32}|[0-9a-fA-F]{64}", word)]
        if digests and any(word.rpartition("/")[2] == wanted for word in words):
            return replace(dataset, **{"md5" if len(digests[0]) == 32 else "sha256": digests[0]})  # type: ignore[arg-type]
    raise UserError(f"{dataset.checksums}: names no checksum of {wanted}; correct the column checksums of the ledger.")


def _mismatch(path: Path, dataset: Dataset) -> str | None:
    """How the content of `path` differs from what is known of it, or None."""
    size, kind, wrong = path.stat().st_size, misfit(path, dataset.file), ""
    if dataset.bytes is not None and size != dataset.bytes:
        wrong = f"has {size:,} bytes instead of {dataset.bytes:,}"
    elif dataset.sha256 and (digest := sha256(path)) != dataset.sha256:
        wrong = f"has sha256 {digest} instead of {dataset.sha256}{_recorder(dataset)}"
    elif dataset.md5 and (digest := _md5(path)) != dataset.md5:
        wrong = f"has md5 {digest} instead of {dataset.md5}"
    elif dataset.md5 or (dataset.sha256 and not dataset.record):
        return None
    return " and ".join(filter(None, (kind, wrong))) or None


def _recorder(dataset: Dataset) -> str:
    """Who says the sha256, and how to be rid of it, where a first fetch does."""
    if not dataset.record:
        return ""
    output = dataset.record.removesuffix(".sha256")
    command = shlex.join(["--ledger", dataset.ledger, "--name", dataset.name, "--output", output])
    return (
        f", which the first fetch recorded in {dataset.record} (`python -m foundationless fetch --forget {command}` "
        "forgets it)"
    )


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copy_from_mirror(dataset: Dataset, output: Path, mirror: Path) -> bool:
    if not mirror.is_dir():
        raise UserError(f"{mirror}: no such directory; --mirror is laid out as host/path, as `wget -x` makes it.")
    source = mirror_path(mirror, dataset.url)
    if not source.is_file():
        return False
    with atomic_path(output) as part:
        shutil.copyfile(source, part)
        if problem := _mismatch(part, dataset):
            raise UserError(f"{source}: the mirror's file {problem}; delete it or replace it by the published one.")
    return True


def retried(url: str, retries: int, attempt: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `attempt(*arguments)` returns, tried again after each `TransientError`; a `UserError` after the last."""
    backoff = tenacity.wait_exponential(multiplier=BACKOFF_SECONDS, max=BACKOFF_CEILING_SECONDS)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        pause = max(backoff(state), min(getattr(error, "wait", 0.0), BACKOFF_CEILING_SECONDS))
        return pause * random.uniform(1.0, 1.1)  # so that many jobs do not return at the same moment

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=wait,
        reraise=True,
    )
    try:
        return attempts(attempt, *arguments, **named)
    except TransientError as error:
        raise UserError(
            f"{url}: download failed in {retries + 1} attempt(s), the last time because {error}; "
            "try again later, or get the file elsewhere and give its directory as --mirror."
        ) from None


def _download(dataset: Dataset, output: Path, access: Access) -> None:
    part = output.with_name(f"{output.name}.part")
    if not dataset.is_known:  # what is there may be of another version, and nothing could tell
        part.unlink(missing_ok=True)
    with Session() as session:
        retried(dataset.url, access.retries, _attempt, session, dataset, part, access.timeout)
    part.replace(output)


def _attempt(session: requests.Session, dataset: Dataset, part: Path, timeout: float) -> None:
    """Bring `part` from whatever it holds to the verified whole, or raise."""
    held = part.stat().st_size if part.exists() else 0
    if held and (not dataset.is_known or (dataset.bytes is not None and held > dataset.bytes)):
        part.unlink()
        held = 0
    if dataset.bytes is None or held < dataset.bytes:
        with transport_errors(dataset.url):
            total = _transfer(session, dataset, part, held, timeout)
        if (size := part.stat().st_size) < total:
            raise TransientError(f"the server sent only {size:,} of {total:,} bytes")
    if problem := _mismatch(part, dataset):
        part.unlink()
        raise TransientError(f"what the server sent {problem}")


@contextmanager
def transport_errors(url: str) -> Iterator[None]:
    """Turn the errors of requests and urllib3 into a `TransientError`, or a `UserError` for a broken url."""
    try:
        yield
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise TransientError(_reason(error)) from None
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(_reason(error)) from None
    except requests.RequestException as error:
        raise UserError(f"{url}: {_reason(error)}; correct the url in the ledger.") from None


def check_status(response: requests.Response, url: str) -> None:
    """Raise for every status but 200 and 206: `TransientError` for 5xx, 408, 425, 429, `UserError` for the others."""
    if response.status_code >= 500 or response.status_code in _TRANSIENT_STATUS:
        pause = response.headers.get("Retry-After", "")
        raise TransientError(f"the server answered {response.status_code}", float(pause) if pause.isdigit() else 0)
    if response.status_code not in (200, 206):
        raise UserError(
            f"{url}: the server answered {response.status_code} ({response.reason}); "
            "correct the url in the ledger, or get the file elsewhere and give its directory as --mirror."
        )


def _transfer(session: requests.Session, dataset: Dataset, part: Path, held: int, timeout: float) -> int:
    """Append to `part` what it lacks, and return the size of the whole in bytes."""
    # The checksum is of the stored bytes: a compressed transfer would have to be undone, and cannot be resumed.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={held}-"} if held else {})}
    with session.get(dataset.url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416:
            part.unlink()
            raise TransientError("the server has nothing beyond the part that is here")
        check_status(response, dataset.url)
        resumed = response.status_code == 206  # a server that ignores Range answers 200, from the start
        total = dataset.bytes
        if total is None:
            length = response.headers.get("Content-Length", "")
            total = (held if resumed else 0) + int(length) if length.isdigit() else None
            chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
            if total is None and not dataset.is_known and not chunked:  # the last chunk says that it is the last
                raise UserError(
                    f"{dataset.url}: neither the server nor the ledger says how long the file is; add bytes or sha256."
                )
        bar = tqdm(
            desc=dataset.file,
            total=total,
            initial=held if resumed else 0,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            mininterval=0.1 if sys.stderr.isatty() else 10,
        )
        with part.open("ab" if resumed else "wb") as stream, bar:
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                stream.write(chunk)
                bar.update(len(chunk))
                if total is not None and stream.tell() > total:
                    break
    return total or 0


def _reason(error: Exception) -> str:
    """One line of a transport error: the innermost reason, without the object addresses that wrap it."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    text = re.sub(r"^<[^>]*>: |^HTTPS?Connection(Pool)?\([^)]*\): ", "", " ".join(str(inner).split()))
    return text.rstrip(".") or type(error).__name__
