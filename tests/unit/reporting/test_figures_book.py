"""All figures in one file behind a cover: bookmarks, the verdict in words, what is missing; the same bytes twice."""

import shutil

import pandas as pd
from pypdf import PdfReader

from foundationless.__main__ import main
from foundationless.reporting.figures import book
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables.verdict import build, write
from foundationless.study.vocabulary import FIGURES
from support.figure_tables import SENTENCE
from support.figures import faults, laid_out, texts


def test_the_cover_names_what_is_missing(small, tmp_path):
    rows = [("finetune", task, "hyenadna", "random", seed) for task in ("H3", "H4") for seed in (0, 2)]
    rows += [("biotype", f"task{i}", f"model{i}", "random", 0) for i in range(80)]
    cells = pd.DataFrame(rows, columns=["analysis", "task", "model", "init", "seed"])
    directory = shutil.copytree(small, tmp_path / "tables")
    cells.assign(what="record", note="it is not there").to_csv(directory / "missing.csv", index=False)
    lines = book.missing(read(directory))
    assert lines[0] == "84 missing." and "51 more" in lines[-1]
    assert lines[1] == "Record: finetune/hyenadna/random: H3 (seed 0, 2), H4 (seed 0, 2)."
    figure = laid_out(book.cover(read(directory, SENTENCE), build(directory, SENTENCE, ""), ""))
    assert any(text.get_text().startswith("Record: finetune/hyenadna/random") for text in texts(figure))
    assert all(fault.startswith("the page is") for fault in faults(figure))  # as long as what it has to name
    assert book.missing(read(small)) == ["None: no cell of the design is missing."]


def test_commands_draw_and_bind(small, tmp_path):
    names = ["biotype", "figure_08_nt"]
    pdfs = [tmp_path / f"{name}.pdf" for name in names]
    drawn = ["draw_figures", "--figures", *names, "--tables", str(small), "--study", SENTENCE]
    assert main([*drawn, "--output", str(tmp_path)]) == 0
    verdict = tmp_path / "verdict.json"
    write(verdict, build(small, SENTENCE, SENTENCE))
    outputs = [tmp_path / "all.pdf", tmp_path / "again.pdf"]
    for output in outputs:
        code = main(
            ["bind_figures", "--figures", *map(str, pdfs), "--tables", str(small), "--study", SENTENCE,
             "--verdict", str(verdict), "--notes", "Notes of the study. " * 12, "--output", str(output)]
        )  # fmt: skip
        assert code == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert not list(tmp_path.glob("*cover*"))
    reader = PdfReader(outputs[0])
    assert len(reader.pages) == 3
    cover, more, biotype, paper, figures_of_paper = reader.outline
    groups = (FIGURES["biotype"].group, FIGURES["figure_08_nt"].group)
    assert (cover.title, more.title, paper.title) == ("Cover", *groups)
    assert [item.title for item in biotype] == ["Biotype"]
    assert [item.title for item in figures_of_paper] == ["Figure 8: NT benchmark"]
    assert [reader.get_destination_page_number(item) for item in (more, biotype[0], paper)] == [1, 1, 2]
    text = " ".join(reader.pages[0].extract_text().split())
    for sentence in build(small, SENTENCE, SENTENCE)["sentences"]:
        assert " ".join(sentence.split()) in text
    across = read(small).across.query("suite == 'all' and versus == 'random'")
    assert f"{across['delta'].max():+.3f}" in text
    assert "foundationless" in text and "Notes of the study." in text


def test_a_study_without_pairs_has_a_cover_without_a_verdict(empty):
    figure = laid_out(book.cover(read(empty, SENTENCE), build(empty, SENTENCE, ""), ""))
    assert any("nothing is judged" in text.get_text() for text in texts(figure))
    assert not faults(figure)


def test_the_cover_says_the_truth_first(small):
    frames = read(small, SENTENCE)
    model = next(iter(build(small, SENTENCE, "")["models"]))
    case = {"model": model, "word": "worse", "why": "Weights pretrained on letters in random order."}
    figure = laid_out(book.cover(frames, build(small, SENTENCE, "", [case]), ""))
    said = [text.get_text() for text in texts(figure)]
    assert said.index("Truth") < said.index("Question") < said.index("Verdict")
    assert "truth: worse — found: " in " ".join(said) and "letters in random order" in " ".join(said)
    assert "Truth" not in [
        text.get_text() for text in texts(laid_out(book.cover(frames, build(small, SENTENCE, ""), "")))
    ]
