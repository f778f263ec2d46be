"""What somebody says of files of their own, and what is found in them."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Given:
    """Files, and what their owner says of them: columns of a table, an INFO field (`label`), a genome, a kind.

    Several columns of labels stand between commas; without a `kind` of labels it is seen from the labels.
    """

    files: tuple[Path, ...]
    label: str = ""
    sequence: str = ""
    group: str = ""
    split: str = ""
    genome: Path | None = None
    kind: str = ""


@dataclass(frozen=True)
class Found:
    """How the files are read: reader, sources (role: file), options, whether a genome is needed; and what they hold.

    `held_out`: contigs of the genome that test and validation take. `sizes`: rows of each split and mean `length`.
    `metric` judges the set, and says the kind of its labels (`vocabulary.labels_of`); `seen` is how that was read, in
    words for the page.
    """

    reader: str
    sources: dict[str, Path]
    options: dict[str, str]
    sentences: tuple[str, ...] = ()
    genome: Path | None = None
    held_out: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    sizes: dict[str, float] = field(default_factory=dict)
    metric: str = "mcc"
    seen: str = ""
