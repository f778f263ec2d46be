# Networks that are trained on few rows, drawn many times: all draws of a cell in one job.


rule finetune_shots:
    input:
        weights=get_weights,
        sequences=get_sequences,
        chosen=get_chosen,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/finetune_shots/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/finetune_shots/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("finetune_shots"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("finetune_shots"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.record, parent=True),
        metric=get_metric,
        settings=get_finetuning,
        precision=get_precision("finetuning"),
        drawn=get_drawn_flags,
        rate=get_rate_flags,
    message:
        "Fine-tune {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on few rows of {wildcards.task}"
    shell:
        "python -m foundationless finetune_shots --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --metric {params.metric} --batch-size {params.settings[batch_size]}"
        " --pooling {params.settings[pooling]} --lora-rank {params.settings[lora][rank]}"
        " --lora-alpha {params.settings[lora][alpha]} --lora-dropout {params.settings[lora][dropout]}"
        " --precision {params.precision} {params.settings.further} {params.drawn}"
        " --steps {params.settings[steps]} {params.rate} --runs {params.directory:q}/runs"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
