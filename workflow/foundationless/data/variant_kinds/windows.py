"""Variants of every kind as REF and ALT windows of one length."""

from collections import Counter
from collections.abc import Collection
from functools import partial

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.data.variant_kinds.alleles import INDELS, KINDS, kind_of, left_aligned
from foundationless.data.variants import known_places
from foundationless.errors import UserError
from foundationless.runtime.log import tell

COLUMNS = ("id", "sequence", "label", "split", "group", "contig", "position", "offset", "ref", "alt", "gene", "score")
ALTERNATIVE = "alternative"  # column of ALT windows, of sets in which alleles differ in length


def allele_windows(
    frame: pd.DataFrame,
    genome: Genome,
    length: int,
    where: str,
    kinds: Collection[str] = KINDS,
    longest: int = 50,
    mismatches: float = 0.0,
) -> pd.DataFrame:
    """Turn variants of any kind into a variant set (see `tasks.sequence_sets`).

    `frame` has `contig`, `position` (1-based), `ref`, `alt`, `gene`, `label` (or null), `score`, perhaps `group` (what
    is resampled together; the gene without it), and further columns, which the set keeps. Alleles are written as
    `left_aligned` does. Adds `kind`, and what `variants.variant_windows` adds: of SNVs the same. Where an allele of the
    set differs in length from the other, ALT windows stand in the column `alternative`.

    Both windows have `length` bases and begin at the same base of the genome; the first base of an allele is at
    `length // 2` in either. An ALT window whose allele is shorter is refilled on the right with the bases that follow
    in the genome, and one whose allele is longer loses as many there.

    Left out, counted and told: rows of several alleles (`A,C`); symbolic alleles (`<DEL>`, `*`) and letters other than
    A, C, G, T; alleles of more than `longest` bases, or longer than their half of the window; what changes nothing;
    other kinds; contigs and bases that the genome does not know; a variant that stands there with two labels. A REF
    that is not the genome's is a `UserError`, unless at most the share `mismatches` are so: those are left out.
    """
    if frame.empty:
        raise UserError(f"{where}: no variants are left; check the filters.")
    lost: Counter[str] = Counter()
    frame = known_places(_spelled(frame, longest, lost, where), genome, where, mismatches)
    written = []
    for contig, place, ref, alt in frame[["contig", "position", "ref", "alt"]].itertuples(index=False, name=None):
        written.append(left_aligned(place, ref, alt, partial(genome.fetch, contig)))
    new = pd.DataFrame(written, columns=["position", "ref", "alt"])
    if moved := int((new != frame[list(new.columns)]).any(axis=1).sum()):
        tell(f"{where}: {moved} variants are written shorter or further left than they stand there")
    frame = frame.assign(**{name: new[name] for name in new.columns}, kind=list(map(kind_of, new["ref"], new["alt"])))
    frame = _without(frame, ~frame["kind"].isin(list(kinds)), "of other kinds", lost)
    fits = frame["ref"].str.len().combine(frame["alt"].str.len(), max) <= length - length // 2
    frame = _windows(_without(frame, ~fits, "too long for the window", lost), genome, length)
    rows = zip(frame["sequence"], frame["offset"], frame["ref"], strict=True)
    unknown = [text[offset : offset + len(ref)] != ref for text, offset, ref in rows]
    frame = _without(frame, unknown, "at letters that are no base", lost)
    labels = frame.assign(label=frame["label"].fillna("")).groupby("id")["label"].transform("nunique")
    frame = _without(frame, labels > 1, "with two labels", lost)
    if (twice := int((frame.groupby("id")["score"].nunique() > 1).sum())) > 0:
        tell(f"{where}: {twice} variants stand there with several scores; the first of each is read")
    frame = frame.drop_duplicates("id")
    if said := [f"{count} {what}" for what, count in lost.items() if count]:
        tell(f"{where}: left out of the variants: {', '.join(said)}")
    if frame.empty:
        raise UserError(f"{where}: no variant is left ({', '.join(said)}); check filters, kinds and length.")
    further = [name for name in frame.columns if name not in (*COLUMNS, ALTERNATIVE)]
    uneven = [ALTERNATIVE] if frame["kind"].isin(INDELS).any() else []
    return frame[[*COLUMNS, *further, *uneven]].reset_index(drop=True)


def _spelled(frame: pd.DataFrame, longest: int, lost: Counter[str], where: str) -> pd.DataFrame:
    """The variants whose alleles are plain and not too long, in upper case; what is left out is counted in `lost`."""
    frame = frame.assign(ref=frame["ref"].astype(str).str.upper(), alt=frame["alt"].astype(str).str.upper())
    plain = frame["ref"].str.fullmatch("[ACGT]+") & frame["alt"].str.fullmatch("[ACGT]+")
    letters = frame["ref"].str.fullmatch("[A-Z]+") & frame["alt"].str.fullmatch("[A-Z]+")
    several = frame["alt"].str.contains(",", regex=False)
    frame = _without(frame, several, "with several alleles (write one allele a row)", lost)
    frame = _without(frame, ~letters[~several], "with a symbolic allele", lost)
    frame = _without(frame, ~plain[letters], "with a letter that is no base", lost)
    frame = _without(frame, frame["ref"] == frame["alt"], "that change nothing", lost)
    long = (frame["ref"].str.len() > longest) | (frame["alt"].str.len() > longest)
    frame = _without(frame, long, f"of more than {longest} bases", lost)
    if frame.empty:
        told = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
        raise UserError(f"{where}: no variant is left ({told}); check the alleles, or read longer ones.")
    return frame


def _without(frame: pd.DataFrame, bad: Collection[bool], what: str, lost: Counter[str]) -> pd.DataFrame:
    """The rows that are not `bad`; how many are is counted."""
    wrong = np.asarray(bad, dtype=bool)
    lost[what] += int(wrong.sum())
    return frame[~wrong]


def _windows(frame: pd.DataFrame, genome: Genome, length: int) -> pd.DataFrame:
    """The variants with `id`, `sequence`, `alternative`, `offset`, `split` and `group`; see `allele_windows`."""
    offset = length // 2
    sequences, others = [], []
    for contig, position, ref, alt in frame[["contig", "position", "ref", "alt"]].itertuples(index=False, name=None):
        start = position - 1 - offset
        text = genome.fetch(contig, start, start + length + max(len(ref) - len(alt), 0))
        sequences.append(text[:length])
        others.append((text[:offset] + alt + text[offset + len(ref) :])[:length])
    ids = frame["contig"] + ":" + frame["position"].astype(str) + ":" + frame["ref"] + ":" + frame["alt"]
    group = frame["group"] if "group" in frame.columns else frame["gene"]
    return frame.assign(id=ids, sequence=sequences, offset=offset, split="test", group=group, **{ALTERNATIVE: others})
