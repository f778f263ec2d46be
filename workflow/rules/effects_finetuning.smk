# Networks that read cells, trained on a screen of gene perturbations. Baselines beside them are predicted.
ruleorder: finetune_effects > predict_effects


rule finetune_effects:
    input:
        weights=get_weights,
        effects=get_effects,
        cells=get_task_files,
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
        screen=get_reader_flags,
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
