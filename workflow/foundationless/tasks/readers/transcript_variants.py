"""`transcript_variants`: variants that are named on a transcript (`c.340+5G>A`), as MaveDB has genome editing."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.reference import Genome
from foundationless.data.variant_kinds.transcripts import (
    OtherTranscript,
    Transcript,
    Unplaced,
    changed,
    placed,
    read_transcripts,
    unversioned,
)
from foundationless.data.variant_kinds.windows import allele_windows
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.readers.variant_tables import check_columns, numbers_or_text, read_measured

EXON = "exon"  # column of the exon, as X2: a variant in an intron is of the exon that its name counts from
DISTANCE = "splice_distance"


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The variant set; see `variant_kinds.windows.allele_windows`.

    Beside the columns of every variant set: `kind`, `exon`, `splice_distance` (bases to the nearest splice site of the
    transcript), `consequence` where it is named, and the columns named `columns`. `group` and `gene` are the gene of
    the annotation.
    """
    check_columns(options["columns"], EXON, DISTANCE, "variant", "row", "part")
    frame = read_places(sources, options)
    for name in options["columns"]:
        frame[name] = numbers_or_text(frame[name])
    return frame


def read_places(sources: dict[str, Path], options: dict[str, Any]) -> pd.DataFrame:
    """Variants of all parts as windows of REF and ALT; options as of `read`, those that make labels may be absent."""
    columns = {role: options[role] for role in ("variant", "label", "score", "consequence") if options.get(role)}
    paths = [path for role, path in sorted(sources.items()) if role not in ("genome", "genes")]
    settings = {"labels": {}, "below": None, "above": None, "columns": []} | options
    parts = [read_measured(path, columns, settings).assign(part=path.name) for path in paths]
    rows = pd.concat(parts).reset_index(names="row")
    genome, where = Genome(sources["genome"]), paths[0].name
    rows = _on_the_genome(rows, sources["genes"], genome, options, where)
    if not options.get("unlabelled", True):
        rows = rows[rows["label"].notna()]
    frame = allele_windows(
        rows, genome, options["length"], where, options["kinds"], options["longest"], options["mismatches"]
    )
    places = frame[[DISTANCE, "position", "ref", "alt"]].itertuples(index=False, name=None)
    frame[DISTANCE] = [
        transcript.splice_distance(*changed(position, ref, alt)) for transcript, position, ref, alt in places
    ]
    return frame


def _on_the_genome(
    rows: pd.DataFrame, genes: Path, genome: Genome, options: dict[str, Any], where: str
) -> pd.DataFrame:
    """The rows that have a place, with contig, position, ref, alt, gene and exon; `splice_distance` is the transcript.

    Others are left out and counted; more of those that the transcript cannot have than the share `mismatches` are a
    `UserError`, for then the annotation has another transcript under that name.
    """
    named = rows["variant"].str.rpartition(":")
    coding = named[2].str.startswith("c.")
    if not coding.any():
        said = rows["variant"].iloc[0][:40]
        raise UserError(f"{where}: no variant is named on coding DNA (c.), the first is '{said}'; name their column.")
    names = named[0].str.replace(r"\(.*\)$", "", regex=True).where(named[0] != "", options["transcript"])[coding]
    if (nameless := coding & (names.reindex(rows.index) == "")).any():
        row, name = rows.loc[nameless, ["row", "variant"]].iloc[0]
        said = f"row {row} ('{name[:40]}')"
        raise UserError(f"{where}: {said} names no transcript; say which by the option transcript.")
    transcripts = _transcripts(names, genes, genome, where)
    fetch = {stem: partial(genome.fetch, one.contig) for stem, one in transcripts.items()}
    lost: Counter[str] = Counter({"whose name is not of coding DNA (c.)": int((~coding).sum())})
    strange, kept, found = [], [], []
    for place, stem, change in zip(names.index, names.map(unversioned), named[2][coding], strict=True):
        one = transcripts[stem]
        try:
            position, ref, alt, exon = placed(change, one, fetch[stem], options["longest"])
        except Unplaced as error:
            lost[str(error)] += 1
            strange += [change] * isinstance(error, OtherTranscript)
            continue
        kept.append(place)
        found.append((one.contig, position, ref, alt, one.gene, f"X{exon}", one))
    said = "; ".join(f"{count} {what}" for what, count in lost.items() if count)
    if len(strange) > options["mismatches"] * len(names) or not kept:
        first = f", the first of these {strange[0]}" if strange else ""
        raise UserError(
            f"{where}: of the variants are {said}{first}; give the annotation with the transcript that they were named "
            "on, or, where so many are wrong, raise mismatches."
        )
    if said:
        tell(f"{where}: left out of the variants: {said}")
    places = pd.DataFrame(found, kept, ["contig", "position", "ref", "alt", "gene", EXON, DISTANCE])
    return rows.loc[kept].drop(columns=["variant", "row", "part"]).join(places)


def _transcripts(names: pd.Series, genes: Path, genome: Genome, where: str) -> dict[str, Transcript]:
    """The transcripts of these names by their names without version, all on contigs of the genome."""
    known = read_transcripts(genes, set(names.map(unversioned)))
    for name in names.unique():
        found = known[unversioned(name)].name
        if unversioned(name) != name != found:
            tell(f"{where}: variants are named on {name}, and {genes.name} has {found}: REF is held to the genome")
    for one in known.values():
        genome.resolve(one.contig)
    return known
