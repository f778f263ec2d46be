"""Alleles of any length: written in one way, as short and as far left as they can be, and what kind they are."""

from collections.abc import Callable, Collection

INDELS = ("insertion", "deletion", "delins")
KINDS = ("snv", "mnv", *INDELS)
"""Substitutions of one base and of several, pure insertions and deletions, and what changes bases and length at once
(the words of HGVS but for `snv` and `mnv`, which are those of VCF tools)."""
_BLOCK = 64  # bases of the genome that are looked at once


def left_aligned(position: int, ref: str, alt: str, before: Callable[[int, int], str]) -> tuple[int, str, str]:
    """The variant as short and as far left as it can be written, as `bcftools norm` writes it.

    The algorithm of Tan, Abecasis and Kang (2015, Bioinformatics 31, 2202): bases that both alleles end with are cut
    off, and where nothing would be left of one the base before comes in; then bases that both begin with are cut off.
    An insertion or deletion keeps the base before it. `position` is 1-based; alleles are upper-case A, C, G, T and
    differ. `before(start, end)` gives bases [start, end) of the contig, 0-based; nothing moves beyond the contig's
    first base, or over a letter that is no base.
    """
    start, known = position - 1, ""
    while ref[-1] == alt[-1]:
        if min(len(ref), len(alt)) == 1:
            if not known:
                known = before(max(start - _BLOCK, 0), start)
            if known[-1:] not in tuple("ACGT"):
                break
            ref, alt, known, start = known[-1] + ref, known[-1] + alt, known[:-1], start - 1
        ref, alt = ref[:-1], alt[:-1]
    shared = 0
    while shared < min(len(ref), len(alt)) - 1 and ref[shared] == alt[shared]:
        shared += 1
    return start + shared + 1, ref[shared:], alt[shared:]


def kind_of(ref: str, alt: str) -> str:
    """The kind of a variant that `left_aligned` wrote, one of `KINDS`."""
    if len(ref) == len(alt):
        return "snv" if len(ref) == 1 else "mnv"
    short, long = sorted((ref, alt), key=len)
    if len(short) == 1 and short in (long[0], long[-1]):
        return "insertion" if len(alt) > len(ref) else "deletion"
    return "delins"


def named_kinds(words: Collection[str]) -> list[str]:
    """The kinds that words mean, in the order of `KINDS`: its words, `indel` for `INDELS`, and `all`.

    A `ValueError` with any other word, and without one.
    """
    groups = {"all": KINDS, "indel": INDELS} | {kind: (kind,) for kind in KINDS}
    if not words or not set(words) <= set(groups):
        raise ValueError(", ".join(words))
    return [kind for kind in KINDS if any(kind in groups[word] for word in words)]
