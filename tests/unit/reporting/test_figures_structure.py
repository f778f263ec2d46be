"""The figure of structural probes: every arm at its number, with the word of each difference."""

import numpy as np
import pytest

from foundationless.reporting.figures import resolve, structure
from foundationless.reporting.figures.inputs import read
from support.figure_tables import SENTENCE
from support.figures import panels


def test_every_fact_stands_at_its_number_with_its_word(full):
    tables = read(full, SENTENCE)
    rows = tables.extra("structure")
    figure = resolve("structure")(tables)
    drawn = [axes for axes in panels(figure) if axes.get_xlabel() in ("Pearson's r", "AUROC")]
    names = tables.order(rows["model"])[: structure.MOST_MODELS]
    tasks = tables.task_names(rows["task"])
    assert len(drawn) == 2 * len(names) * len(tasks) > 2
    first = drawn[0]
    assert [tick.get_text() for tick in first.get_yticklabels()] == list(structure.FACTS["pearson"].values())
    mine = rows[(rows["task"] == tasks[0]) & (rows["model"] == names[0]) & (rows["metric"] == "pearson")]
    scores = mine[mine["versus"].fillna("") == ""]
    marks = [float(line.get_xdata()[0]) for line in first.lines if len(line.get_xdata()) == 1]
    assert sorted(marks) == pytest.approx(sorted(scores["value"]))
    words = mine[(mine["versus"] == "random") & (mine["init"] == "pretrained")].set_index("fact")["verdict"]
    said = {round(text.xy[1]): text.get_text() for text in first.texts}
    facts = list(structure.FACTS["pearson"])
    assert said == {facts.index(fact): structure.WORDS[word] for fact, word in words.items()}
    assert "better" in set(words) and np.isfinite(scores[["low", "high"]]).all(axis=None)
