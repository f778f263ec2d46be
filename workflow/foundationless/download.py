"""Public files of a ledger: from a mirror or the network, retried, resumed, and verified before they get their name.

The ledger is a tab-separated table with a header; its columns are `name` (unique), `file` (unique basename to store
the file under), `url` (https), `sha256` (64 hexadecimal digits), `bytes`, `licence` and `description`.
A mirror is a directory laid out as `wget -x` makes it: `HOST[:PORT]/PATH`.
"""

import csv
import difflib
import random
import re
import shutil
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import tenacity
import urllib3
from tqdm import tqdm

from foundationless.errors import UserError
from foundationless.files import atomic_path, sha256

BACKOFF_SECONDS = 1.0  # before the first retry; doubles with each, up to the ceiling
BACKOFF_CEILING_SECONDS = 60.0
_CHUNK_BYTES = 1 << 17
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_TRANSIENT_STATUS = (408, 425, 429)


@dataclass(frozen=True)
class Dataset:
    """One row of the ledger."""

    name: str
    file: str
    url: str
    sha256: str
    bytes: int
    licence: str
    description: str


class _TransientError(Exception):
    """A failure that another attempt may mend; `wait` is the pause that the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class _Session(requests.Session):
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


def read_ledger(path: Path) -> dict[str, Dataset]:
    """Datasets by name, in the ledger's order; any malformed row is a `UserError` that names the line."""
    columns = [field.name for field in fields(Dataset)]
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
            header = reader.fieldnames or []
            if missing := [column for column in columns if column not in header]:
                raise UserError(f"{path}: the ledger needs the column(s) {', '.join(missing)}, separated by tabs.")
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; --ledger is the table of datasets.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as a tab-separated text table ({error}).") from None
    ledger: dict[str, Dataset] = {}
    files: set[str] = set()
    for line, row in rows:
        where = f"{path}, line {line}"
        if None in row or None in row.values():
            raise UserError(f"{where}: the row must have {len(header)} tab-separated fields, like the header.")
        dataset = _read_row(row, where)
        if dataset.name in ledger:
            raise UserError(f"{where}: name '{dataset.name}' stands more than once; names must be unique.")
        if dataset.file in files:
            raise UserError(f"{where}: file '{dataset.file}' stands more than once; files must be unique.")
        ledger[dataset.name] = dataset
        files.add(dataset.file)
    if not ledger:
        raise UserError(f"{path}: the ledger holds no dataset; add a row.")
    return ledger


def _read_row(row: dict[str, str], where: str) -> Dataset:
    for column in ("name", "file"):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", row[column]):
            raise UserError(
                f"{where}: '{row[column]}' is no {column}; use letters, digits, '_', '.', '+' and '-', no directory."
            )
    if not re.fullmatch("[0-9a-f]{64}", row["sha256"]):
        raise UserError(f"{where}: sha256 '{row['sha256']}' is not 64 lower-case hexadecimal digits.")
    if not re.fullmatch("[1-9][0-9]*", row["bytes"]):
        raise UserError(f"{where}: bytes '{row['bytes']}' is not a positive whole number.")
    try:
        check_url(row["url"])
    except (UserError, ValueError) as error:
        raise UserError(f"{where}: {error}") from None
    if ".." in unquote(urlsplit(row["url"]).path).split("/"):
        raise UserError(f"{where}: the url's path must not hold '..'.")
    text = {column: row[column] for column in ("name", "file", "url", "sha256", "licence", "description")}
    return Dataset(**text, bytes=int(row["bytes"]))


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


def fetch(
    dataset: Dataset,
    output: Path,
    *,
    mirror: Path | None = None,
    offline: bool = False,
    retries: int = 5,
    timeout: float = 60.0,
) -> None:
    """Put a dataset at `output`: nothing to do if it is there, else from `mirror`, else from the network.

    Size and SHA-256 are verified before the file appears under its name. A download grows in `OUTPUT.part`, which a
    later attempt or a later call resumes by HTTP Range. `timeout` is the longest silence in seconds, `retries` the
    number of further attempts after connection errors, truncation, wrong content and the statuses 5xx, 408, 425, 429.
    Every failure is a `UserError`.
    """
    if retries < 0 or not timeout > 0:
        raise UserError(f"--retries {retries} --timeout {timeout}: retries must be 0 or more, the timeout positive.")
    try:
        if output.is_file() and _mismatch(output, dataset) is None:
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        if mirror is not None and _copy_from_mirror(dataset, output, mirror):
            return
        if offline:
            place = mirror_path(mirror, dataset.url) if mirror else "a directory given as --mirror"
            raise UserError(
                f"{dataset.name} is not in a mirror and --offline forbids {dataset.url}; put it at {place}."
            )
        _download(dataset, output, retries, timeout)
    except OSError as error:
        raise UserError(f"{error.filename or output}: {error.strerror or error}.") from None


def _mismatch(path: Path, dataset: Dataset) -> str | None:
    """How the content of `path` differs from the ledger, or None."""
    if (size := path.stat().st_size) != dataset.bytes:
        return f"has {size:,} bytes instead of {dataset.bytes:,}"
    if (digest := sha256(path)) != dataset.sha256:
        return f"has sha256 {digest} instead of {dataset.sha256}"
    return None


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


def _download(dataset: Dataset, output: Path, retries: int, timeout: float) -> None:
    part = output.with_name(f"{output.name}.part")
    backoff = tenacity.wait_exponential(multiplier=BACKOFF_SECONDS, max=BACKOFF_CEILING_SECONDS)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        pause = max(backoff(state), min(getattr(error, "wait", 0.0), BACKOFF_CEILING_SECONDS))
        return pause * random.uniform(1.0, 1.1)  # so that many jobs do not return at the same moment

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_TransientError),
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=wait,
        reraise=True,
    )
    with _Session() as session:
        try:
            attempts(_attempt, session, dataset, part, timeout)
        except _TransientError as error:
            raise UserError(
                f"{dataset.url}: download failed in {retries + 1} attempt(s), the last time because {error}; "
                "try again later, or get the file elsewhere and give its directory as --mirror."
            ) from None
    part.replace(output)


def _attempt(session: requests.Session, dataset: Dataset, part: Path, timeout: float) -> None:
    """Bring `part` from whatever it holds to the verified whole, or raise."""
    held = part.stat().st_size if part.exists() else 0
    if held > dataset.bytes:
        part.unlink()
        held = 0
    if held < dataset.bytes:
        try:
            _transfer(session, dataset, part, held, timeout)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _TransientError(_reason(error)) from None
        except urllib3.exceptions.HTTPError as error:
            raise _TransientError(_reason(error)) from None
        except requests.RequestException as error:
            raise UserError(f"{dataset.url}: {_reason(error)}; correct the url in the ledger.") from None
        if (size := part.stat().st_size) < dataset.bytes:
            raise _TransientError(f"the server sent only {size:,} of {dataset.bytes:,} bytes")
    if problem := _mismatch(part, dataset):
        part.unlink()
        raise _TransientError(f"what the server sent {problem}")


def _transfer(session: requests.Session, dataset: Dataset, part: Path, held: int, timeout: float) -> None:
    # The checksum is of the stored bytes: a compressed transfer would have to be undone, and cannot be resumed.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={held}-"} if held else {})}
    with session.get(dataset.url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == 416:
            part.unlink()
            raise _TransientError("the server has nothing beyond the part that is here")
        if response.status_code >= 500 or response.status_code in _TRANSIENT_STATUS:
            pause = response.headers.get("Retry-After", "")
            raise _TransientError(f"the server answered {response.status_code}", float(pause) if pause.isdigit() else 0)
        if response.status_code not in (200, 206):
            raise UserError(
                f"{dataset.url}: the server answered {response.status_code} ({response.reason}); "
                "correct the url in the ledger, or get the file elsewhere and give its directory as --mirror."
            )
        resumed = response.status_code == 206  # a server that ignores Range answers 200, from the start
        bar = tqdm(
            desc=dataset.file,
            total=dataset.bytes,
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
                if stream.tell() > dataset.bytes:
                    break


def _reason(error: Exception) -> str:
    """One line of a transport error: the innermost reason, without the object addresses that wrap it."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    text = re.sub(r"^<[^>]*>: |^HTTPS?Connection(Pool)?\([^)]*\): ", "", " ".join(str(inner).split()))
    return text.rstrip(".") or type(error).__name__
