"""The catalogue of tables: light enough for the workflow, and whole."""

import subprocess
import sys

import pytest

from foundationless.reporting.tables.catalogue import SHOWN, TABLES, captions_by_group, columns_of

# Some analyses bring columns of their own to these, which tell their rows apart.
WIDER = ("scores", "records", "table_05_similarity")


def test_the_workflow_may_import_it():
    code = "from foundationless.reporting.tables import catalogue\nimport sys\n"
    code += "print([name for name in ('numpy', 'pandas', 'foundationless.evaluation') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("name", TABLES)
def test_keys_are_columns_and_every_column_stands_once(name):
    columns, table = columns_of(name), TABLES[name]
    assert len(columns) == len(set(columns)) > 0 and table.caption
    assert table.keys and (set(table.keys) <= set(columns) or name in WIDER)


def test_every_table_has_one_place_in_the_report():
    listed = [name for tables in captions_by_group().values() for name in tables]
    assert sorted(listed) == sorted(name for name, table in TABLES.items() if table.csv)
    assert {name for name, table in TABLES.items() if not table.csv} == {"maps", "mutagenesis"}
    assert {"across_tasks", "claims", "defects", "missing"} < set(SHOWN) <= set(listed)
