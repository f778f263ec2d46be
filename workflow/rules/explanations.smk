# Explanations of classifiers that are fine-tuned once more, for fine-tuning keeps no weights.
include: "explanations_lookups.smk"


rule explain:
    input:
        weights=get_weights,
        sequences=get_sequences,
        motifs=get_motif_files,
        chosen=get_chosen,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/explain/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/explain/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("explain"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("explain"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.record, parent=True),
        metric=get_metric,
        settings=get_finetuning,
        precision=get_precision("finetuning"),
        motifs=get_motif_flags,
        explaining=get_explaining_flags,
        chosen=get_chosen_flags,
    message:
        "Explain {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless explain --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --metric {params.metric} --learning-rates {params.settings[learning_rates]}"
        " --extend {params.settings[extend]} --fold-count {params.settings[fold_count]} --folds {params.settings[folds]}"
        " --epochs {params.settings[epochs]} --patience {params.settings[patience]}"
        " --batch-size {params.settings[batch_size]} --pooling {params.settings[pooling]}"
        " --rungs {params.settings[rungs]}"
        " --lora-rank {params.settings[lora][rank]} --lora-alpha {params.settings[lora][alpha]}"
        " --lora-dropout {params.settings[lora][dropout]} --precision {params.precision} {params.settings.further}"
        " {params.motifs:q} {params.explaining} {params.chosen:q} --runs {params.directory:q}/runs"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
