METRICS = {study.metric(analysis, name) for analysis, tasks in study.by_task.items() for name in tasks}
DIAGNOSTICS = vocabulary.diagnostics_of(METRICS, study.by_task)  # tables of outputs, of variants: where a task has such
MOST_PROCESSES = 4  # of a job that summarises: each holds the predictions of a task
SHOWN = 20  # missing files that are named before anything runs


def get_present(files):
    """Files that tables are made of: all of them, or under `from_records` those that are there."""
    return [file for file in files if os.path.isfile(file)] if FROM_RECORDS else files


def get_cell_path(cell, name):
    *names, seed = cell
    return f"results/{'/'.join(names)}/seed{seed}/{name}"


def get_look_files_so_far(*_):
    """Files of the looks that decided on the number of seeds (`looks.smk`); none where the design is fixed."""
    return get_looks_so_far() if study.looks else []


def get_seeds_in_the_end():
    """With how many seeds a study with looks ended."""
    return study.looks[len(get_looks_so_far()) - 1]


def get_study_cells(*analyses):
    """Cells of these analyses (of all, if none is named), in a study with looks of the seeds that it ended with."""
    fixed = analyses and not any(study.looks_of(name) for name in analyses if name in study.by_task)
    cells = study.cells if fixed or not study.looks else study.cells_until(get_seeds_in_the_end())
    return [cell for cell in cells if not analyses or cell.analysis in analyses]


def get_files(name, *analyses):
    """Files called `name` of every cell of these analyses (of all, if none is named)."""
    return get_present([get_cell_path(cell, name) for cell in get_study_cells(*analyses)])


def get_importances():
    """What every baseline went by."""
    cells = [cell for cell in get_study_cells() if study.rule_of(cell) == "fit_baseline"]
    return get_present([get_cell_path(cell, "importances.parquet") for cell in cells])


def when_known(get, *arguments):
    """The files that `get` lists: at once, or in a study with looks when they have said what there is."""
    return (lambda _: get(*arguments)) if study.looks else get(*arguments)


def get_tasks(wildcards):
    """Tasks of an analysis with their cells."""
    return study.by_task.get(wildcards.analysis, {})


def get_cells(wildcards):
    return describe_cells(get_study_cells(wildcards.analysis))


def describe_cells(cells):
    """JSON of the cells of an analysis: tasks that have the same ones share a line of them."""
    by_task, groups = {}, {}
    for cell in cells:
        by_task.setdefault(cell.task, []).append(f"{cell.model}/{cell.init}/seed{cell.seed}")
    for task, places in by_task.items():
        groups.setdefault((study.metric(cells[0].analysis, task), tuple(places)), []).append(task)
    cells = [study.describe_group(metric, tasks, places, by_task) for (metric, places), tasks in groups.items()]
    return json.dumps(cells, separators=(",", ":"))


def get_summary_flags(wildcards):
    """Whether files may be missing, and of an analysis with looks its numbers of seeds."""
    own = study.looks_of(wildcards.analysis)
    now = study.seeds_at(wildcards.analysis, get_seeds_in_the_end()) if own else 0
    words = ["--partial"] if FROM_RECORDS else []
    return " ".join([*words, *(["--looks", str(own[0]), str(own[-1]), str(now)] if own else [])])


def get_margins():
    """JSON of the equivalence margin of every metric."""
    return json.dumps(read_margins(config["statistics"]), separators=(",", ":"))


def get_processes_of_tasks(wildcards):
    return min(MOST_PROCESSES, len(get_tasks(wildcards)))


def get_summaries(*analyses, name="scores.csv"):
    """Summary tables of these analyses (of all, if none is named)."""
    return [f"results/{analysis}/{name}" for analysis in study.by_task if not analyses or analysis in analyses]


def get_audited(wildcards):
    """Tasks of an analysis with an audit of their own splits; a derived set has others."""
    return [task for task in get_tasks(wildcards) if task in study.audited]


def get_audit_rows(wildcards):
    tasks = get_audited(wildcards)
    return get_present([f"results/audit/{task}/audit.parquet" for task in tasks])


def get_overlap():
    return get_present(["results/audit/overlap.csv"] if study.audited else [])


def get_corpus_audits():
    """Audits of every task against every corpus that a model asked about it, or Markov models beside it, have read."""
    corpora = {name: study.model(name).entry["pretrained"]["corpus"] for name in study.networks_from("workflow")}
    pairs = {}
    for cell in study.cells:
        task, of_bases = names.parse_task(cell.task).base_task, cell.analysis == "bases"
        corpus = study.markov_corpus(cell.model) if of_bases else corpora.get(cell.model)
        if corpus and (of_bases or task in study.audited):
            pairs[task, corpus] = None
    return get_present([f"results/audit/{task}/corpus_{corpus}.json" for task, corpus in pairs])


def get_pretraining_records(wildcards):
    places = [*(f"{name}/seed0" for name in study.networks_from("workflow")), *get_other_pretraining()]
    return get_present([f"results/pretrain/{place}/record.json" for place in places])


def get_weight_names():
    """All weights that the study evaluates."""
    places = dict.fromkeys(
        names.place_of_weights(model, cell.init, study.weight_seed(cell.init, cell.seed), cell.task)
        for cell in get_study_cells()
        if (model := study.weights_of(cell))
    )
    paths = {f"results/weights/{place}/weights.json": place for place in places}
    return [paths[path] for path in get_present(list(paths))]


def get_weight_cards(wildcards):
    return [f"results/weights/{name}/weights.json" for name in get_weight_names()]


def say_what_is_missing():
    """Name the records and predictions that are not there; all of them stand in results/tables/missing.csv."""
    cells = study_looks.cells_so_far(study, Path("results"))
    paths = [get_cell_path(cell, name) for cell in cells for name in ("record.json", "predictions.parquet")]
    missing = [path for path in paths if not os.path.isfile(path)]
    for path in missing[:SHOWN]:
        print(f"foundationless: there is no {path}", file=sys.stderr)
    if more := missing[SHOWN:]:
        print(f"foundationless: and {len(more)} more: results/tables/missing.csv", file=sys.stderr)


if FROM_RECORDS and is_main_process():
    say_what_is_missing()
