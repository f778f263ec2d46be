"""What the report reads from tables, without a browser."""

import pandas as pd

from foundationless.reporting.page.contents import read_verification


def test_the_page_says_what_was_checked(tmp_path):
    path = tmp_path / "verification.csv"
    assert read_verification(path) == ""
    counts = {"records": 4, "predictions": 4, "values": 1234, "selections": 8, "pairs": 3, "hashes": 12, "unchecked": 2}
    rows = [{"analysis": "finetune", "task": "a", "model": model, "percent": None} | counts for model in ("x", "y")]
    pd.DataFrame(rows).to_csv(path, index=False)
    said = read_verification(path)
    assert said.startswith(
        "All 8 records fit what lies beside them: 2,468 values and 16 selections were checked, 6 pairs"
    )
    assert "24 hashes are right" in said and "counts 4 (" in said
