# Seeds until decided: a look after each seed, from the first that may end the study on. Studies whose seeds are a list do
# not include this file: their DAG has no checkpoint.
def get_look_cells(seeds):
    """Cells that a look reads: the two arms of every model of the analysis that decides, with fewer seeds than that."""
    own = [cell for cell in study.cells_until(int(seeds)) if cell.analysis == study.deciding]
    arms = [cell for cell in own if cell.init in ("pretrained", "random")]
    return [cell for cell in arms if cell.model not in config["baselines"] and not names.parse_task(cell.task).variant]


def get_look_files(name):
    def get(wildcards):
        return get_present([get_cell_path(cell, name) for cell in get_look_cells(wildcards.seeds)])

    return get


def get_designs(wildcards):
    """JSON: analysis with looks -> its numbers of seeds at the first look, at the last, and at this one."""
    designs = {name: study.looks_of(name) for name in study.by_task if study.looks_of(name)}
    seeds = int(wildcards.seeds)
    return json.dumps({name: [own[0], own[-1], study.seeds_at(name, seeds)] for name, own in designs.items()})


def get_look_flags(wildcards):
    """What tables made of records alone must know: whether there are any of a further seed."""
    if not FROM_RECORDS:
        return ""
    further = [cell for cell in get_look_cells(int(wildcards.seeds) + 1) if cell.seed == int(wildcards.seeds)]
    return (
        "--partial" if get_present([get_cell_path(cell, "record.json") for cell in further]) else "--partial --no-more"
    )


def get_looks_so_far():
    """Files of the looks up to the one that says stop; where none does yet, Snakemake is asked for the next."""
    files = []
    for seeds in study.looks:
        if not study_looks.look_path(Path("results"), seeds).exists():
            make_anew(f"results/{name}/scores.csv" for name in study.by_task if study.looks_of(name))
        files.append(checkpoints.look.get(seeds=seeds).output[0])
        if study_looks.says_stop(Path(files[-1])):
            break
    return files


checkpoint look:
    input:
        records=get_look_files("record.json"),
        predictions=get_look_files("predictions.parquet"),
        pretraining=get_pretraining_records,
        overlap=get_overlap(),
        tasks=config["tables"]["tasks"],
    output:
        "results/looks/seeds{seeds}.json",
    log:
        "logs/look/seeds{seeds}.log",
    benchmark:
        "benchmarks/look/seeds{seeds}.tsv"
    wildcard_constraints:
        seeds="|".join(map(str, study.looks)),
    conda:
        "../../envs/figures.yaml"
    threads: min(MOST_PROCESSES, len(study.by_task[study.deciding]))
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("look"),
        analysis=study.deciding,
        scope=config.get("decide", {}).get("scope", "these"),
        budget=f"--budget {config['budget']}" if "budget" in config else "",
        cells=lambda w: describe_cells(get_look_cells(w.seeds)),
        designs=get_designs,
        baselines=list(config["baselines"]),
        selection=config["selection"],
        resamples=config["statistics"]["resamples"],
        margins=get_margins(),
        partial=get_look_flags,
        seed=config["seed"],
        own=get_own_task_flags,
    message:
        "Look at the study after {wildcards.seeds} seeds"
    shell:
        "python -m foundationless look --analysis {params.analysis} --directory results/{params.analysis}"
        " --cells {params.cells:q} --designs {params.designs:q} --scope {params.scope} {params.budget}"
        " --pretraining {input.pretraining:q} --baselines {params.baselines} {params.partial}"
        " --selection {params.selection} --tasks {input.tasks:q} {params.own:q} --overlap {input.overlap:q}"
        " --resamples {params.resamples} --margins {params.margins:q} --seed {params.seed} --processes {threads}"
        " --output {output:q} 2> {log:q}"
