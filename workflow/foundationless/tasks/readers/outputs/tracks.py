"""`tracks`: windows of a genome and a BED of peaks per track: which tracks have a peak at the centre of each.

As DeepSEA and Basset make their sets (Zhou and Troyanskaya 2015, doi:10.1038/nmeth.3547; Kelley et al. 2016,
doi:10.1101/gr.200535.115): a track is 1 where one of its peaks covers at least `overlap` of the bin in the middle of
the window, as `bedtools intersect -u -f` has it.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.outputs import format_outputs
from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import TRACKS
from foundationless.tasks.readers.intervals import read_bed
from foundationless.tasks.readers.outputs.blocks import centred, split_by_place, with_groups
from foundationless.tasks.readers.places import covered_places, extract
from foundationless.tasks.sequence_sets import with_outputs
from foundationless.tasks.splits import legible

PREFIX = "track."
Ints = NDArray[np.int64]
Marks = NDArray[np.bool_]
Peaks = dict[str, tuple[Ints, Ints]]


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are CONTIG:START-END of the windows, 0-based and half-open, and `group` is the block of a megabase.

    Windows stand on a grid of `step` over the contigs that have peaks (or those of the option `contigs`), as far as the
    genome holds them, or around the middles of the intervals of the source `windows`. Of those at which no track has a
    peak at most the share `empty` of the set is kept, drawn at random.
    """
    genome = Genome(sources["genome"])
    names = [name.removeprefix(PREFIX) for name in sources if name.startswith(PREFIX)]
    if len(names) < 2:
        raise UserError(f"{len(names)} tracks are given; add --source {PREFIX}NAME=FILE for each, two at least.")
    if options["bin"] > options["length"]:
        raise UserError(f"option bin={options['bin']} is longer than the window, length={options['length']}.")
    peaks = {name: read_peaks(sources[f"{PREFIX}{name}"], genome, options["contigs"]) for name in names}
    places = _grid(genome, peaks, options) if "windows" not in sources else _given(genome, sources["windows"], options)
    values = np.column_stack([covered(places, peaks[name], options["bin"], options["overlap"]) for name in names])
    keep = _kept(values, options["empty"], seed)
    places, values = places[keep].reset_index(drop=True), values[keep]
    text = places.astype(str)
    frame = places.assign(
        id=text["contig"] + ":" + text["start"] + "-" + text["end"],
        sequence=extract(genome, places.assign(strand="+")),
        label=format_outputs(values),
    )
    frame = split_by_place(with_groups(legible(frame)), options, seed, "the windows")
    return with_outputs(frame[["id", "sequence", "label", "split", "group"]], TRACKS, names)


def read_peaks(path: Path, genome: Genome, contigs: list[str]) -> Peaks:
    """Starts and ends of the peaks of a BED by contig, as the genome calls it, sorted by start.

    Peaks elsewhere (on `contigs` alone, where any are named) are counted; `UserError` where nothing is left.
    """
    rows = read_bed(path, 3)
    known = {name: genome.find(name) for name in {fields[0] for fields in rows}}
    if contigs:
        wanted = {genome.resolve(name) for name in contigs}
        known = {name: found if found in wanted else None for name, found in known.items()}
    held = pd.DataFrame(
        [(known[fields[0]], int(fields[1]), int(fields[2])) for fields in rows if known[fields[0]]],
        columns=["contig", "start", "end"],
    )
    if held.empty:
        what = "of the option contigs" if contigs else f"of {genome.path.name}"
        raise UserError(f"{path}: none of its {len(rows)} peaks lies on a contig {what}; check the build.")
    if len(held) < len(rows):
        tell(f"{path.name}: {len(rows) - len(held)} of {len(rows)} peaks are on other contigs: left out")
    held = held.sort_values(["contig", "start"], kind="stable")
    return {
        str(contig): (part["start"].to_numpy(dtype=np.int64), part["end"].to_numpy(dtype=np.int64))
        for contig, part in held.groupby("contig", sort=False)
    }


def covered(places: pd.DataFrame, peaks: Peaks, size: int, overlap: float) -> Marks:
    """Whether one peak covers at least the share `overlap` of the bin of `size` in the middle of a window [n].

    A peak covers `least` bases of a bin exactly if it has as many, begins `least` bases or more before the bin's end
    and ends as many after its start: of the peaks that begin early enough the one that ends last decides.
    """
    least = max(1, math.ceil(overlap * size - 1e-9))
    bins = centred(places, size)
    found = np.zeros(len(places), dtype=np.bool_)
    for contig, rows in bins.groupby("contig", sort=False).indices.items():
        starts, ends = peaks.get(str(contig), (np.zeros(0, np.int64), np.zeros(0, np.int64)))
        long = ends - starts >= least
        starts, last = starts[long], np.maximum.accumulate(ends[long])
        if not len(starts):
            continue
        begin, end = (bins[name].to_numpy()[rows] for name in ("start", "end"))
        before = np.searchsorted(starts, end - least, side="right")
        found[rows] = (before > 0) & (last[np.maximum(before, 1) - 1] >= begin + least)
    return found


def _grid(genome: Genome, peaks: dict[str, Peaks], options: dict[str, Any]) -> pd.DataFrame:
    """Windows (`contig`, `start`, `end`) whose starts are multiples of `step`, wholly held by the genome."""
    length, step, parts = options["length"], options["step"], []
    peaked = {contig for each in peaks.values() for contig in each}
    for contig in (name for name in genome.contigs if name in peaked):
        for start, end in genome.coverage(contig):
            starts = np.arange(-(-start // step) * step, end - length + 1, step, dtype=np.int64)
            parts.append(pd.DataFrame({"contig": contig, "start": starts, "end": starts + length}))
    places = pd.concat(parts, ignore_index=True)
    if places.empty:
        raise UserError(f"{genome.path.name}: no contig with peaks holds a window of {length} bases; shorten length.")
    return places


def _given(genome: Genome, path: Path, options: dict[str, Any]) -> pd.DataFrame:
    """Windows around the middles of a BED's intervals, each once, as far as the genome covers them by half."""
    rows = [(fields[0], int(fields[1]), int(fields[2])) for fields in read_bed(path, 3)]
    places = centred(pd.DataFrame(rows, columns=["contig", "start", "end"]), options["length"])
    places = covered_places(genome, places, path.name)
    places["contig"] = places["contig"].map({name: genome.resolve(name) for name in places["contig"].unique()})
    if options["contigs"]:
        places = places[places["contig"].isin({genome.resolve(name) for name in options["contigs"]})]
    repeated = places.duplicated()
    if repeated.any():
        tell(f"{path.name}: {repeated.sum()} of {len(places)} windows are repeated: kept once")
    return places[~repeated].reset_index(drop=True)


def _kept(values: Marks, share: float, seed: int) -> Marks:
    """Which windows are kept [n]: all with a peak, and of the others at most `share` of the set that results."""
    keep: Marks = np.asarray(values.any(axis=1))
    if not keep.any():
        raise UserError(f"none of the {len(values)} windows has a peak of any track at its centre; check the build.")
    others = np.flatnonzero(~keep)
    number = min(len(others), int(share / (1 - share) * keep.sum()))
    keep[np.random.default_rng(seed).permutation(others)[:number]] = True
    tell(f"of {len(values)} windows {len(values) - len(others)} have a peak; {number} of the others are kept")
    return keep
