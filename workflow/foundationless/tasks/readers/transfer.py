"""`transfer`: learn on one task, be tested on another: another species, mark or assay (beyond the paper)."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.sequence_sets import read_sequences


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """Train and validation rows of the set `train`, test rows of the set `test`, whose classes must be the same.

    Ids and groups say which set they come from. What stands in both sets, on either strand, is taken out of training
    and validation, so that the score is one of transfer and not of memory.
    """
    columns = ["id", "sequence", "label", "split", "group"]
    learned, asked = (read_sequences(sources[name], columns)[columns] for name in ("train", "test"))
    learned, asked = learned[learned["split"] != "test"], asked[asked["split"] == "test"]
    asked = asked.assign(label=asked["label"].map(lambda label: options["labels"].get(label, label)))
    taught, wanted = set(learned["label"].dropna()), set(asked["label"].dropna())
    if not wanted or not wanted <= taught:
        odd = ", ".join(sorted(wanted - taught)) or "none"
        raise UserError(
            f"{sources['test'].name}: its test labels ({odd}) are no classes of {sources['train'].name} "
            f"({', '.join(sorted(taught)[:8])}); transfer is between tasks of the same classes."
        )

    def both_strands(frame: pd.DataFrame) -> pd.Series:
        return frame["sequence"].map(lambda text: min(text, reverse_complement(text)))

    shared = both_strands(learned).isin(set(both_strands(asked)))
    tell(f"{len(learned)} rows to learn from, {int(shared.sum())} of them left out: they stand in the test set")
    parts = [part.assign(**{key: f"{where}:" + part[key].astype(str) for key in ("id", "group")})
             for where, part in (("train", learned[~shared]), ("test", asked))]  # fmt: skip
    return pd.concat(parts, ignore_index=True)
