# What rules ask of files and tasks that a study brings along itself.
from foundationless.runtime.files import sha256
from foundationless.study.own import rows as own_rows


def get_own_file_flags(wildcards, output):
    """Rows of files that the study has beside the ledger; `content` tells them, so derived to Snakemake."""
    mine = [study.datasets[name] for name in config.get("datasets", {}) if not study.local_path(name)]
    return ["--rows", own_rows.as_text(mine)] if mine else []


def get_own_task_flags(wildcards, output):
    """Rows of tasks that the study has beside the table; derived, so that other studies' tables stay as they are."""
    mine = [study.tasks[name] for name in config.get("tasks", {})]
    return ["--own-tasks", own_rows.as_text(mine)] if mine else []


def get_watched(sources):
    """Sources as inputs; a user's path with braces is watched by its checksum alone."""
    return [path for path in map(get_source, sources) if get_tracked(path)]


@functools.cache
def get_checksum(path):
    return sha256(path)


def get_checksum_flags(wildcards):
    """Of files that are read where they lie: another content makes the set anew, whatever their date."""
    sources = study.sources(wildcards.task).items()
    mine = {role: name for role, name in sources if ":" not in name and study.local_path(name)}
    known = {
        role: study.datasets[name]["sha256"] or get_checksum(study.local_path(name)) for role, name in mine.items()
    }
    return [word for role, digest in known.items() for word in ("--sha256", f"{role}={digest}")]


def get_own_tasks():
    """Tasks of one's own that the verdict is of: it says which arm to use for each."""
    asked = study.by_task.get(study.main_analysis, {})
    return [task for task in config.get("tasks", {}) if task in asked and study.task(task)["suite"] == own_rows.SUITE]


def get_contending_cells(task):
    return [cell for cell in get_study_cells(study.main_analysis) if cell.task == task]


def get_other_cells(task):
    """Cells of the same rows under another split: of a task with the same word as its twin, in another analysis."""
    twin = study.task(task).get("twin")
    others = [
        name for name in config.get("tasks", {}) if twin and name != task and study.task(name).get("twin") == twin
    ]
    analyses = [
        name
        for name in study.by_task
        if name != study.main_analysis and others[:1] and others[0] in study.by_task[name]
    ]
    return [cell for cell in get_study_cells(*analyses[:1]) if cell.task == others[0]] if analyses else []


def get_place(cell):
    return f"{cell.model}/{cell.init}/seed{cell.seed}"


def get_contenders(wildcards, name):
    return get_present([get_cell_path(cell, name) for cell in get_contending_cells(wildcards.task)])


def get_other_contenders(wildcards, name):
    return get_present([get_cell_path(cell, name) for cell in get_other_cells(wildcards.task)])


def get_other_flags(wildcards):
    cells = get_other_cells(wildcards.task)
    if not cells:
        return []
    where = f"results/{cells[0].analysis}/{cells[0].task}"
    return ["--other-directory", where, "--other-cells", *map(get_place, cells)]


def get_recommendations(wildcards):
    return [f"results/recommendations/{task}.json" for task in get_own_tasks()]
