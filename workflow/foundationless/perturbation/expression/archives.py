"""One file of a ZIP or TAR archive, read without trusting the names and links in it."""

import fnmatch
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from foundationless.errors import UserError


@contextmanager
def member_of(path: Path, wanted: str) -> Iterator[Path]:
    """Yield the path of a file: `path` itself, or of an archive the one regular file whose name ends in `wanted`.

    `wanted` is a file name or a pattern (`*.h5ad`, also without a word: then the archive holds one file). The copy
    lies in a new temporary directory under the last part of its name, so no name of the archive can lead elsewhere,
    and links are no files here. It is removed at the end.
    """
    if not _is_archive(path):
        if wanted:
            raise UserError(f"{path}: is no ZIP or TAR archive; leave the option member out.")
        yield path
        return
    try:
        with tempfile.TemporaryDirectory() as directory:
            yield _copied(path, wanted or "*", Path(directory))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError) as error:
        raise UserError(f"{path}: the archive is truncated or damaged ({error}); download it again.") from None


def _is_archive(path: Path) -> bool:
    if path.is_dir() or path.suffix == ".npz":  # which is a ZIP archive of arrays
        return False
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (EOFError, zlib.error, lzma.LZMAError):  # a truncated file of its own kind, for its reader to judge
        return False


def _copied(path: Path, wanted: str, directory: Path) -> Path:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            name = _only(path, wanted, [info.filename for info in infos])
            target = directory / PurePosixPath(name).name
            with archive.open(name) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        return target
    with tarfile.open(path) as bundle:
        files = {member.name: member for member in bundle if member.isreg()}
        name = _only(path, wanted, list(files))
        target, stream = directory / PurePosixPath(name).name, bundle.extractfile(files[name])
        assert stream is not None  # of a regular file
        with stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    return target


def _only(path: Path, wanted: str, names: list[str]) -> str:
    names = [name for name in names if not PurePosixPath(name).name.startswith(("._", ".")) and "__MACOSX" not in name]
    found = [name for name in names if fnmatch.fnmatchcase(f"/{name}", f"*/{wanted}") or name == wanted]
    if len(found) != 1:
        shown = ", ".join((found or names)[:6])
        raise UserError(
            f"{path}: {len(found)} files of the archive are called '{wanted}' (there are {shown}); name one with the "
            "option member."
        )
    return found[0]
