# Tables that the report of Snakemake shows; the report of our own has all.
from foundationless.reporting.tables.catalogue import SHOWN as REPORTED_TABLES

# Categories of Snakemake's report, which sorts them by name: numbers keep them in this order. The report of our own and
# all.pdf are linked from its first page: it shows files in frames, where browsers take 2 MB at most.
CATEGORIES = (*dict.fromkeys(figure.group for figure in vocabulary.FIGURES.values()), "Tables")


# Figures of the study's analyses and labels: those of gene perturbations, or of numbers, are no business of others.
DRAWN_FIGURES = vocabulary.figures_of(study.by_task, METRICS)


def get_category(name):
    return f"{CATEGORIES.index(name) + 1}. {name}"


def get_reported_table(name):
    """A table that the report shows."""
    labels = {"table": name.replace("_", " ")}
    return report(f"results/tables/{name}.csv", "../report/tables.rst", get_category("Tables"), labels=labels)


def get_reported_figure(name):
    """A figure that the report shows; the caption is the one that was drawn with it."""
    place = list(vocabulary.FIGURES).index(name) + 1
    return report(
        f"results/figures/{name}.png",
        os.path.abspath(f"results/figures/{name}.rst"),
        get_category(vocabulary.FIGURES[name].group),
        labels={"#": f"{place:02}", "figure": name.replace("_", " ")},
    )


def get_second_paper(*names):
    """Files of the second paper's numbers, in a study of gene perturbations."""
    return [f"resources/lists/{name}" for name in names if {*study.by_task} & {*vocabulary.OF_EFFECTS}]
