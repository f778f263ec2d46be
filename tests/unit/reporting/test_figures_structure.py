"""The figure of structural probes: every arm at its number, with the word of each difference."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from foundationless.reporting.figures import resolve, structure
from foundationless.reporting.figures.inputs import read
from support.figure_tables import SENTENCE
from support.figures import panels


def test_every_fact_stands_at_its_number_with_its_word(full):
    tables = read(full, SENTENCE)
    rows = tables.extra("structure")
    rows = rows[rows["layer"].isna()]
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


def test_every_layer_stands_at_its_depth_and_those_that_were_chosen_are_marked(full):
    tables = read(full, SENTENCE)
    rows = tables.extra("structure")
    rows = rows[rows["layer"].notna()]
    figure = resolve("structure_layers")(tables)
    names, task = tables.order(rows["model"])[: structure.MOST_DEPTHS], tables.task_names(rows["task"])[0]
    facts = [fact for some in structure.FACTS.values() for fact in some]
    drawn = panels(figure)
    assert len(drawn) == len(names) * len(facts)
    for axes, (name, fact) in zip(drawn, [(name, fact) for name in names for fact in facts], strict=True):
        mine = rows[(rows["task"] == task) & (rows["model"] == name) & (rows["fact"] == fact)]
        curves = [line for line in axes.lines if len(line.get_xdata()) == 4]
        for line, arm in zip(curves, structure.DEPTH_ARMS, strict=True):
            own = mine[mine["init"] == arm].sort_values("depth")
            assert line.get_xdata().tolist() == pytest.approx(own["depth"].tolist())
            assert line.get_ydata().tolist() == pytest.approx(own["value"].tolist())
        marked = [part.get_offsets()[:, 0].tolist() for part in axes.collections if isinstance(part, PathCollection)]
        assert marked == [pytest.approx([2 / 3])] * 2, "the third of four layers knows what was chosen"
