include: "structure.smk"


rule embed:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
    output:
        "results/embeddings/{task}/{model}/{init}/seed{seed}/embeddings.parquet",
    log:
        "logs/embed/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/embed/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
        model=get_constraint_but(study.outside),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("embed"),
        weights=subpath(input.weights, parent=True),
        poolings=lambda w: study.poolings(w.task, w.model),
        settings=EMBEDDING,
        precision=get_precision("embedding"),
        chunks=lambda w: get_chunk_flags(w) + get_kept_layers(w),
    message:
        "Embed {wildcards.task} with {wildcards.model} ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless embed --weights {params.weights:q} --sequences {input.sequences:q}"
        " --poolings {params.poolings} --precision {params.precision} {params.chunks}"
        " --token-budget {params.settings[token_budget]} --threads {threads} --output {output:q} 2> {log:q}"


rule probe:
    input:
        embeddings=get_embeddings,
        sequences=get_sequences,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/probe/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/probe/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("probe"),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("probe"),
        metric=get_metric,
        probes=get_probe_flags,
        trees=get_tree_flags,
        people=get_aggregate_flags,
    message:
        "Probe {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless probe --embeddings {input.embeddings:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --metric {params.metric} {params.probes} {params.trees} {params.people:q}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"


rule cluster_embeddings:
    input:
        embeddings=get_embeddings,
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        map="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/cluster_embeddings/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/cluster_embeddings/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("cluster_embeddings"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("cluster_embeddings"),
        people=lambda w: get_cluster_flags(w) + get_kept_layers(w),
    message:
        "Cluster {wildcards.task} as {wildcards.model} embeds it ({wildcards.init}, seed {wildcards.seed})"
    shell:
        "python -m foundationless cluster_embeddings --embeddings {input.embeddings:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} {params.people:q} --record {output.record:q} --map {output.map:q} --threads {threads} 2> {log:q}"
