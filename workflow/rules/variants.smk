rule score_sensitivity:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/score_sensitivity/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/score_sensitivity/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("score_sensitivity"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("score_sensitivity"),
        weights=subpath(input.weights, parent=True),
        poolings=lambda w: config["scoring"]["poolings"] + get_kept_layers(w),
        compute=EMBEDDING,
        precision=get_precision("embedding"),
    message:
        "Sensitivity to mutations of {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless score_sensitivity --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --poolings {params.poolings}"
        " --precision {params.precision} --token-budget {params.compute[token_budget]}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"


rule score_similarity:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
        genome=get_genome_files,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/score_similarity/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/score_similarity/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("score_similarity"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("score_similarity"),
        weights=subpath(input.weights, parent=True),
        poolings=config["scoring"]["poolings"],
        compute=EMBEDDING,
        precision=get_precision("embedding"),
        genome=lambda w: get_genome_flags(w) + get_kept_layers(w),
    message:
        "Similarity of variants of {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless score_similarity --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --poolings {params.poolings} {params.genome:q}"
        " --precision {params.precision} --token-budget {params.compute[token_budget]}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"


rule score_likelihood:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/score_likelihood/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/score_likelihood/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("score_likelihood"),
        model=get_constraint_but(study.outside),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("score_likelihood"),
        weights=subpath(input.weights, parent=True),
        compute=EMBEDDING,
        precision=get_precision("embedding"),
        strands=get_strand_flags,
    message:
        "Log-likelihood ratios of {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless score_likelihood --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} {params.strands}"
        " --precision {params.precision} --token-budget {params.compute[token_budget]}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"


rule score_mutagenesis:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/score_mutagenesis/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/score_mutagenesis/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("score_mutagenesis"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("score_mutagenesis"),
        weights=subpath(input.weights, parent=True),
        compute=EMBEDDING,
        precision=get_precision("embedding"),
        windows=config["scoring"]["windows"],
        strands=get_strand_flags,
    message:
        "In-silico mutagenesis with {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless score_mutagenesis --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --windows {params.windows} {params.strands}"
        " --precision {params.precision} --token-budget {params.compute[token_budget]}"
        " --record {output.record:q} --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
