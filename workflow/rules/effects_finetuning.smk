# Networks that read cells, trained on a screen of gene perturbations. Baselines beside them are predicted.
ruleorder: finetune_effects > predict_effects


def get_screen_files(wildcards):
    """The cells behind a screen: the sources of its effects."""
    return [get_source(source) for source in study.sources(names.parse_task(wildcards.task).base_task).values()]


def get_screen_flags(wildcards):
    """How `build_effects` read them."""
    task = names.parse_task(wildcards.task).base_task
    flags = ["--reader", study.task(task)["reader"]]
    for role, source in study.sources(task).items():
        flags += ["--source", f"{role}={get_source(source)}"]
    for option in study.options(task):
        flags += ["--option", option]
    return flags


def get_tuning_flags(wildcards):
    """Splits, as in the other analyses of perturbations, and how a run is trained."""
    effects, tuning = study.perturbation(wildcards.analysis), get_finetuning(wildcards)
    flags = ["--splits", *map(str, effects["splits"]), "--held-out", str(effects["held_out"])]
    flags += ["--inner-folds", str(effects["inner_folds"]), "--top", str(effects["top"])]
    flags += ["--learning-rates", *map(str, tuning["learning_rates"])]
    for key in ("epochs", "patience", "batch_size"):
        flags += [f"--{key.replace('_', '-')}", str(tuning[key])]
    flags += ["--token-budget", str(tuning["token_budget"])] if tuning["token_budget"] else []
    for key in ("sampled_genes", "pairs", "control_cells", "dropout"):
        flags += [f"--{key.replace('_', '-')}", str(effects[key])] if key in effects else []
    variant = names.parse_task(wildcards.task).derivation
    flags += ["--variant", variant] if variant else []
    return [*flags, "--reading", study.model(wildcards.model).reading]


rule finetune_effects:
    input:
        weights=get_weights,
        effects=get_effects,
        cells=get_screen_files,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/finetune_effects/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/finetune_effects/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("finetune_effects"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("finetune_effects"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.record, parent=True),
        screen=get_screen_flags,
        tuning=get_tuning_flags,
        precision=get_precision("finetuning"),
    message:
        "Train {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on the screen {wildcards.task}"
    shell:
        "python -m foundationless finetune_effects --weights {params.weights:q} --effects {input.effects:q}"
        " {params.screen:q} {params.tuning:q} --precision {params.precision}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --runs {params.directory:q}/runs"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
