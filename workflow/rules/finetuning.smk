include: "explanations.smk"
include: "shots.smk"


rule finetune_part:
    input:
        weights=get_weights,
        sequences=get_sequences,
        before=get_part_before,
    output:
        "results/{analysis}/{task}/{model}/{init}/seed{seed}/parts/part{part}.json",
    log:
        "logs/finetune_part/{analysis}/{task}/{model}/{init}/seed{seed}/part{part}.log",
    benchmark:
        "benchmarks/finetune_part/{analysis}/{task}/{model}/{init}/seed{seed}/part{part}.tsv"
    wildcard_constraints:
        analysis=get_analyses("finetune_model"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("finetune_part"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output[0], ancestor=2),
        part=get_part_flags,
        metric=get_metric,
        settings=get_finetuning,
        precision=get_precision("finetuning"),
    message:
        "Fine-tune {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}, part {wildcards.part}"
    shell:
        "python -m foundationless finetune_part --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --metric {params.metric} --learning-rates {params.settings[learning_rates]}"
        " --extend {params.settings[extend]} --fold-count {params.settings[fold_count]} --folds {params.settings[folds]}"
        " --epochs {params.settings[epochs]} --patience {params.settings[patience]}"
        " --batch-size {params.settings[batch_size]} --pooling {params.settings[pooling]}"
        " --rungs {params.settings[rungs]}"
        " --lora-rank {params.settings[lora][rank]} --lora-alpha {params.settings[lora][alpha]}"
        " --lora-dropout {params.settings[lora][dropout]} --precision {params.precision} {params.part}"
        " {params.settings.further}"
        " --runs {params.directory:q}/parts/runs{params.part[1]} --known {params.directory:q}/runs --output {output:q}"
        " --threads {threads} 2> {log:q}"


rule finetune_model:
    input:
        weights=get_weights,
        sequences=get_sequences,
        parts=get_parts,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/finetune_model/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/finetune_model/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("finetune_model"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=get_gpus_asked,
    params:
        recipe=get_recipe("finetune_model"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.record, parent=True),
        metric=get_metric,
        settings=get_finetuning,
        precision=get_precision("finetuning"),
    message:
        "Fine-tune {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless finetune_model --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --metric {params.metric} --learning-rates {params.settings[learning_rates]}"
        " --extend {params.settings[extend]} --fold-count {params.settings[fold_count]} --folds {params.settings[folds]}"
        " --epochs {params.settings[epochs]} --patience {params.settings[patience]}"
        " --batch-size {params.settings[batch_size]} --pooling {params.settings[pooling]}"
        " --rungs {params.settings[rungs]}"
        " --lora-rank {params.settings[lora][rank]} --lora-alpha {params.settings[lora][alpha]}"
        " --lora-dropout {params.settings[lora][dropout]} --precision {params.precision} --runs {params.directory:q}/runs"
        " --parts {input.parts:q} {params.settings.further}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"


rule fit_baseline:
    input:
        sequences=get_sequences,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
        importances="results/{analysis}/{task}/{model}/{init}/seed{seed}/importances.parquet",
    log:
        "logs/fit_baseline/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/fit_baseline/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_constraint(vocabulary.CLASSIFICATIONS),
        init="baseline",
        model=get_constraint_but(study.outside),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("fit_baseline"),
        baseline=get_baseline_flags,
        metric=get_metric,
        trees=get_tree_flags,
        people=get_aggregate_flags,
    message:
        "Fit baseline {wildcards.model} on {wildcards.task}"
    shell:
        "python -m foundationless fit_baseline --sequences {input.sequences:q} {params.baseline:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --metric {params.metric} {params.trees} {params.people:q}"
        " --record {output.record:q} --predictions {output.predictions:q} --importances {output.importances:q}"
        " --threads {threads} 2> {log:q}"
