"""Build people's haplotypes of a window against `bcftools consensus`, and print the ratio of one run.

The field's way: one process per person and haplotype, which reads the file anew. The program's way: the file is read
once, and each distinct haplotype is built once. People and variants are simulated as for the demo (a published human
demography, phased, with indels), at the size of the study: 3,202 people and 32 kb. bcftools is timed on some people and
scaled; every sequence that it makes is compared.
"""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from setting import call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.data.reference import Genome
from foundationless.data.simulate_population import simulate_population
from foundationless.data.variants import haplotypes
from foundationless.errors import UserError

POPULATIONS = 4  # that are simulated
HEADER = ["people", "records", "distinct", "program (s)"]
HEADER += ["bcftools, one (s)", "bcftools, all (s)", "bcftools / program"]


def by_bcftools(bcftools: str, reference: Path, vcf: Path, sample: str, copy: int) -> tuple[str, float]:
    """The haplotype and the seconds that one process took for it."""
    command = [bcftools, "consensus", "-f", str(reference), "-s", sample, "-H", str(copy), str(vcf)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise UserError(f"bcftools consensus failed ({' '.join(done.stderr.split())}); use another version.")
    return "".join(done.stdout.splitlines()[1:]), seconds


def main(argv: Sequence[str] | None = None) -> None:
    made = plain_parser(__doc__, "few people and a short window")
    made.add_argument("--people", type=count, default=3202, help="people (default 3202)")
    made.add_argument("--length", type=count, default=32_000, help="bp of the window (default 32000)")
    made.add_argument("--compared", type=count, default=10, help="people whom bcftools builds, both haplotypes")
    arguments = made.parse_args(argv)
    if (bcftools := shutil.which("bcftools")) is None:
        raise UserError("bcftools is not on this machine; install it to compare with.")
    version = subprocess.run([bcftools, "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    if arguments.smoke:
        arguments.people, arguments.length, arguments.compared = 12, 5_000, 2
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        reference = directory / "genome.fa"
        bases = "".join(random.Random(0).choices("ACGT", k=arguments.length))
        reference.write_text(f">chr1\n{bases}\n")
        each = -(-arguments.people // POPULATIONS)
        simulate_population(reference, "chr1", 0, arguments.length, each, 0, directory)
        vcf = directory / "population.vcf.gz"
        start = time.perf_counter()
        found = haplotypes(vcf, Genome(reference), "chr1", 0, arguments.length)
        seconds = time.perf_counter() - start
        step = max(1, len(found.samples) // arguments.compared)
        theirs = []
        for number in range(0, len(found.samples), step)[: arguments.compared]:
            for copy in (1, 2):
                text, one = by_bcftools(bcftools, reference, vcf, found.samples[number], copy)
                if text != found.sequences[found.index[number, copy - 1]]:
                    raise UserError(f"haplotype {copy} of '{found.samples[number]}' is not what bcftools makes of it.")
                theirs.append(one)
    mean = sum(theirs) / len(theirs)
    total = mean * found.index.size
    print(
        f"Haplotypes of {arguments.length:,} bp, {len(theirs)} of them by bcftools too, and equal; {date.today()}, "
        f"{version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    row = [len(found.samples), found.counts["records"], len(found.sequences), seconds, mean, total, total / seconds]
    print(table(HEADER, [row]))


if __name__ == "__main__":
    call(main)
