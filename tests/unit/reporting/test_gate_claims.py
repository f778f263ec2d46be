"""The claim of ICLR 2026 in claims.csv: which way round each of its parts is, and where it is open."""

import pandas as pd
import pytest

from foundationless.evaluation.trends.tokenizer_gate import TOKENIZER_GATE
from foundationless.reporting.paper.gate import gate_claims
from foundationless.reporting.tables.catalogue import columns_of


def row(first, second="", word="better", analysis="finetune", basis="models", scope="like-these", variant="", **more):
    known = {"contrast": "difference" if second else "gain", "first": first, "second": second, "verdict": word}
    known |= {"analysis": analysis, "basis": basis, "scope": scope, "variant": variant}
    return (
        known
        | {"members": "a", "metrics": "mcc"}
        | {"delta": 0.1, "low": 0.05, "high": 0.15, "n": 3, "margin": 0.04, "models": 2}
        | more
    )


def claims(*rows):
    return gate_claims(lambda selection: pd.DataFrame(rows, columns=TOKENIZER_GATE))


@pytest.mark.parametrize(
    ("word", "little", "something"),
    [("better", "no", "yes"), ("equivalent", "yes", "no"), ("worse", "yes", "no"), ("undecided", "open", "open"),
     ("one seed", "open", "open"), ("not learned", "open", "open")],
)  # fmt: skip
def test_characters_are_said_to_gain_little_and_all_else_to_gain(word, little, something):
    found = claims(row("character", word=word), row("kmer", word=word), row("bpe", "character", word=word))
    ours = found[found["selection"] == "validation"].set_index("model")
    assert ours["holds"].to_dict() == {"character": little, "kmer": something, "bpe against character": something}
    assert ours.loc["character", "claim"] == "fine-tuned: with characters pretraining gains little"
    assert ours.loc["bpe against character", "claim"].endswith("byte pairs pretraining gains more than with characters")
    assert list(found.columns) == columns_of("claims") and set(found["selection"]) == {"test", "validation"}
    assert not found.duplicated(["claim", "selection", "model"]).any()


def test_tasks_like_these_are_judged_where_families_are_several_and_lengths_are_matched_where_they_can_be():
    found = claims(row("kmer", scope="these", delta=0.2), row("kmer", delta=0.1))
    assert set(found["difference"]) == {0.1}
    found = claims(row("kmer", scope="these", delta=0.2), row("kmer", delta=0.1, low=float("nan"), high=float("nan")))
    assert set(found["difference"]) == {0.2}
    known = {"": 0.1, "matched": 0.3}
    found = claims(*(row("bpe", analysis="biotype", variant=name, delta=value) for name, value in known.items()))
    found = found.set_index("selection")
    assert found["difference"].to_dict() == {"test": 0.1, "validation": 0.3}
    assert "lengths matched" in found.loc["validation", "contrast"]


def test_frozen_features_are_those_of_biotypes_or_else_of_the_analysis_frozen():
    both = claims(row("kmer", analysis="frozen", delta=0.3), row("kmer", analysis="biotype", delta=0.1))
    assert set(both["difference"]) == {0.1} and not both.duplicated(["claim", "selection", "model"]).any()
    alone = claims(row("kmer", analysis="frozen", delta=0.3))
    assert set(alone["difference"]) == {0.3} and alone["claim"].str.startswith("frozen: ").all()


def test_what_has_no_models_has_no_claim():
    assert claims(row("bpe", delta=None, note="no model of byte pairs has both arms")).empty
    assert list(claims().columns) == columns_of("claims")
