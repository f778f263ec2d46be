"""What the tests skipped on this machine, and the one command that brings it: the last line of `make test`.

Each pytest run appends its reasons to the file that FOUNDATIONLESS_SKIPPED names; this module, run, tells them all.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path

SHARED_DATA = "shared test data"
TOOLS = Path(__file__).parents[1] / "field_tools.tsv"


def summary(reasons: list[str]) -> str:
    """One line on the skipped tests, given the reason of each."""
    if not reasons:
        return "Nothing was skipped."
    packages = dict(line.split("\t") for line in TOOLS.read_text().splitlines()[1:])
    counts = Counter(re.sub(r" \(.*?\)| is not on this machine", "", reason) for reason in reasons)
    tools = sorted(tool for tool in counts if tool in packages)
    install = f"sudo apt-get install -y {' '.join(packages[tool] for tool in tools)} && " if tools else ""
    shared = "FOUNDATIONLESS_SHARED=DIRECTORY " if SHARED_DATA in counts else ""
    bring = f" To run them: {install}{shared}make test" if install or shared else ""
    told = ", ".join(f"{count} for want of {reason}" for reason, count in counts.most_common())
    return f"Skipped {len(reasons)} tests: {told}.{bring}"


def tell(reasons: list[str], write_line) -> None:
    """Keep the reasons of one pytest run for `make test`, or, without it, say them at once."""
    if path := os.environ.get("FOUNDATIONLESS_SKIPPED"):
        with Path(path).open("a") as stream:
            stream.writelines(f"{reason}\n" for reason in reasons)
    elif reasons:
        write_line(summary(reasons))


if __name__ == "__main__":
    kept = Path(sys.argv[1])
    print(summary(kept.read_text().splitlines() if kept.is_file() else []))
