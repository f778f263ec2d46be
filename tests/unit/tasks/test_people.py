"""People: haplotypes kept once, kin by published pedigrees, splits that families do not leak through."""

import random
from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from foundationless.data import samples
from foundationless.errors import UserError
from foundationless.tasks.derivations import draw_families, keep_unrelated
from foundationless.tasks.readers import build_set
from foundationless.tasks.sequence_sets import read_sequences, write_sequences
from support.commands import built

HEADER = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=3000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{samples}
"""
FOUNDERS = 40
TRIOS = {f"C{number}": (f"P{2 * number}", f"P{2 * number + 1}") for number in range(10)}


@pytest.fixture
def sources(tmp_path):
    """Forty founders and the children of ten couples, who carry one haplotype of each parent; a third of all missing
    at one record; the tables in the two formats of the 1000 Genomes Project."""
    generator = random.Random(3)
    bases = "".join(generator.choices("ACGT", k=3000))
    (tmp_path / "genome.fa").write_text(f">chr1\n{bases}\n")
    names = [*(f"P{number}" for number in range(FOUNDERS)), *TRIOS]
    panel = {name: ("AFR", "EUR")[number % 4 < 2] for number, name in enumerate(names[:FOUNDERS])}
    panel |= {child: panel[father] for child, (father, _) in TRIOS.items()}
    lines = HEADER.format(samples="\t".join(names))
    for position in range(1001, 1901, 15):
        ref = bases[position - 1]
        alts = [base for base in "ACGT" if base != ref][: 1 + position % 2]
        share = {"AFR": generator.random(), "EUR": generator.random()}
        calls = {}
        for name in names[:FOUNDERS]:
            calls[name] = [
                generator.randint(1, len(alts)) if generator.random() < share[panel[name]] else 0 for _ in range(2)
            ]
        for child, (father, mother) in TRIOS.items():
            calls[child] = [calls[father][0], calls[mother][1]]
        texts = [f"{calls[name][0]}|{calls[name][1]}" for name in names]
        if position == 1001:
            texts[7] = ".|0"
        lines += "\t".join(["chr1", str(position), ".", ref, ",".join(alts), ".", ".", ".", "GT", *texts]) + "\n"
    (tmp_path / "people.vcf").write_text(lines)
    rows = [("FamilyID", "SampleID", "FatherID", "MotherID", "Sex", "Population", "Superpopulation")]
    for name in names:
        father, mother = TRIOS.get(name, ("0", "0"))
        family = next((child for child, parents in TRIOS.items() if name in (child, *parents)), name)
        rows.append((f"F{family}", name, father, mother, "1", "x", panel[name]))
    (tmp_path / "population.txt").write_text("".join(" ".join(row) + "\n" for row in rows))
    (tmp_path / "info.txt").write_text("".join(f"{row[1]} {row[2]} {row[3]} {row[4]}\n" for row in rows).replace(
        "SampleID FatherID MotherID Sex", "sampleID fatherID motherID sex"))  # fmt: skip
    table = tmp_path / "population.txt"
    return {"vcf": tmp_path / "people.vcf", "genome": tmp_path / "genome.fa", "panel": table, "families": table}


def build(sources, **options):
    return build_set("people", sources, {"contig": "chr1", "start": "901", "end": "2000"} | options, 1)


def test_published_pedigrees_give_families_and_the_unrelated(sources, tmp_path):
    frame = build(sources)
    other = build(sources | {"families": tmp_path / "info.txt"})
    assert frame.drop(columns="alleles").equals(other.drop(columns="alleles"))
    assert (frame["group"] == frame["sample"]).all() and len(frame) == 100
    one = frame.drop_duplicates("sample").set_index("sample")
    assert set(one.index[~one["unrelated"]]) == set(TRIOS)
    for child, parents in TRIOS.items():
        assert len(set(one.loc[[child, *parents], "family"])) == 1
    assert one["family"].nunique() == FOUNDERS - len(TRIOS)
    without = build({role: path for role, path in sources.items() if role != "families"})
    assert "family" not in without.columns and without["split"].equals(frame["split"])


def test_a_list_of_the_unrelated_rules_over_the_pedigree(sources, tmp_path):
    listed = tmp_path / "panel.txt"
    listed.write_text("sample\tpop\tsuper_pop\tgender\n" + "".join(f"{name}\tx\ty\tz\n" for name in ("C0", "P1", "P9")))
    frame = build(sources | {"unrelated": listed})
    assert set(frame.loc[frame["unrelated"], "sample"]) == {"P1", "P9"}  # of C0 and its mother, she
    with pytest.raises(UserError, match="give families"):
        build({role: path for role, path in (sources | {"unrelated": listed}).items() if role != "families"})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 14))
def test_unrelated_is_a_largest_set_without_kin(tmp_path_factory, seed, count):
    """The size is that of an integer programme, and nobody in it is parent, child or sibling of another."""
    generator = random.Random(seed)
    names = [f"I{number}" for number in range(count)]
    rows, parents = [], {}
    for number, name in enumerate(names):
        if number > 1 and generator.random() < 0.6:
            parents[name] = (generator.choice(names[:number]), generator.choice([*names[:number], "0"]))
        rows.append(f"{name} {' '.join(parents.get(name, ('0', '0')))} 1")
    path = tmp_path_factory.mktemp("ped") / "p.txt"
    path.write_text("\n".join(["sampleID fatherID motherID sex", *rows]))
    kin = {frozenset((child, parent)) for child, pair in parents.items() for parent in pair if parent != "0"}
    known = [name for name in parents if "0" not in parents[name]]
    kin |= {frozenset(pair) for pair in combinations(known, 2) if parents[pair[0]] == parents[pair[1]]}
    found = samples.unrelated(path, names) if parents else set(names)
    assert not any(pair <= found for pair in kin)
    if kin:
        rows = np.array([[name in pair for name in names] for pair in sorted(map(sorted, kin))], dtype=float)
        best = milp(-np.ones(count), constraints=LinearConstraint(rows, ub=1), integrality=np.ones(count),
                    bounds=Bounds(0, 1))  # fmt: skip
        assert len(found) == round(-best.fun)


def test_families_by_name_alone_leave_one_each(tmp_path):
    path = tmp_path / "ped"
    path.write_text("Family ID\tIndividual ID\nF1\tA\nF1\tB\nF2\tC\n")
    assert samples.unrelated(path, ["B", "A", "C"]) == {"B", "C"}


def test_random_split_tears_families_and_the_derivations_mend_it(sources):
    frame = build(sources)
    torn = frame.groupby("family")["split"].nunique() > 1
    assert torn.any()
    apart, text = draw_families(frame, 5)
    assert (apart.groupby("family")["split"].nunique() == 1).all() and (apart["group"] == apart["family"]).all()
    assert f"{torn.sum()} of" in text and list(apart["id"]) == list(frame["id"])
    before, after = (table.drop_duplicates("sample")["split"].value_counts() for table in (frame, apart))
    assert (before - after).abs().max() <= 4 and apart["split"].ne(frame["split"]).any()
    assert draw_families(frame, 5)[0]["split"].equals(apart["split"])
    alone, text = keep_unrelated(frame)
    assert set(alone["sample"]) == {f"P{number}" for number in range(FOUNDERS)} and "removed" in text
    kept = frame.set_index("id").loc[alone["id"], "split"]
    assert list(kept) == list(alone["split"])
    for derive in (keep_unrelated, lambda table: draw_families(table, 1)):
        with pytest.raises(UserError, match=r"no column 'family'.*source families"):
            derive(frame.drop(columns="family"))


def test_alleles_are_the_calls_of_the_file(sources):
    import pysam

    frame = build(sources).set_index("id")
    with pysam.VariantFile(str(sources["vcf"])) as vcf:
        for column, record in enumerate(vcf):
            for name, sample in record.samples.items():
                for copy, allele in enumerate(sample["GT"]):
                    assert frame.loc[f"{name}.{copy + 1}", "alleles"][column] == (-1 if allele is None else allele)
    assert {len(calls) for calls in frame["alleles"]} == {column + 1}
    calls = frame["alleles"].map(lambda held: tuple(np.maximum(held, 0)))
    assert calls.groupby(frame["sequence"]).nunique().eq(1).all() and calls.nunique() < len(calls)


def test_repeated_haplotypes_cost_little_on_disk_and_in_memory(tmp_path, capsys, sources):
    generator = random.Random(1)
    distinct = ["".join(generator.choices("ACGT", k=30_000)) for _ in range(40)]
    rows = [generator.randrange(40) for _ in range(4_000)]
    frame = pd.DataFrame({"sequence": pd.Series([distinct[row] for row in rows], dtype=object)})
    frame = frame.assign(id=frame.index.astype(str), label="x", split="test", group="g")
    write_sequences(tmp_path / "many.parquet", frame)
    write_sequences(tmp_path / "once.parquet", frame[~pd.Series(rows).duplicated()])
    many, once = ((tmp_path / name).stat().st_size for name in ("many.parquet", "once.parquet"))
    assert many < once + 40_000  # numbers and ids; 120 MB of letters otherwise
    assert pq.read_schema(tmp_path / "many.parquet").field("sequence").type == "string"
    read = read_sequences(tmp_path / "many.parquet")
    assert list(read["sequence"]) == list(frame["sequence"]) and len(set(map(id, read["sequence"]))) == 40
    carried = Counter(built(tmp_path / "set.parquet", "people", sources, ["contig=chr1"])["sequence"])
    error = capsys.readouterr().err
    assert f"100 haplotypes, {len(carried)} of them distinct" in error and len(carried) < 100
