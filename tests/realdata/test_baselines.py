"""What cheap rules reach on published sets, dev to test: figures that were measured before, by other code."""

import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.evaluation.records import read_record
from support.commands import built, words


@pytest.fixture(scope="module")
def reached(mirror, tmp_path_factory):
    """`reached(file, classifier)`: test MCC learned on the dev file alone, without validation, and the importances."""
    folder = tmp_path_factory.mktemp("baselines")

    def fit(name: str, classifier: str) -> tuple[float, pd.DataFrame]:
        path = folder / f"{name}.parquet"
        if not path.exists():
            sources = {"train": mirror(f"gue_{name}_dev"), "test": mirror(f"gue_{name}_test")}
            built(path, "table", sources, ["validation_fraction=0"])
        outputs = {
            "record": folder / "r.json",
            "predictions": folder / "p.parquet",
            "importances": folder / "i.parquet",
        }
        flags = {"family": "bases", "classifier": classifier, "metric": "mcc", "seed": 0, "init": "baseline"}
        flags |= {"analysis": "finetune", "task": name, "model": classifier, "sequences": path}
        assert main(words("fit_baseline", **flags, **outputs)) == 0
        results = read_record(outputs["record"])["results"]
        (value,) = (r["value"] for r in results if r["metric"] == "mcc" and r["selection"] == "run")
        return value, pd.read_parquet(outputs["importances"])

    return fit


@pytest.mark.parametrize(("name", "measured"), [("emp_H3", 0.597), ("prom_300_all", 0.626)])
def test_a_chain_of_order_3_reaches_what_was_measured(reached, name, measured):
    assert reached(name, "markov")[0] == pytest.approx(measured, abs=0.01)


def test_a_few_positional_words_tell_splice_sites(reached):
    """Four indicators reached 0.567 by another search; ours are the two sites that define the classes."""
    value, weights = reached("splice", "positional_kmer")
    assert value == pytest.approx(0.567, abs=0.05)
    first = weights.sort_values("importance", ascending=False).head(2)
    assert dict(zip(first["class"], first["feature"], strict=True)) == {"1": "201:GT", "0": "199:AG"}


def test_a_weight_matrix_tells_splice_sites_and_memory_does_not(reached):
    assert reached("splice", "pwm")[0] > 0.5
    assert reached("splice", "nearest")[0] < 0.25
