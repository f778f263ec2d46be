include: "self_pretraining.smk"


rule shuffle_genome:
    input:
        "resources/genomes/{genome}.fa",
    output:
        "resources/shuffled/{corpus}/{genome}.fa",
    log:
        "logs/shuffle_genome/{corpus}/{genome}.log",
    benchmark:
        "benchmarks/shuffle_genome/{corpus}/{genome}.tsv"
    wildcard_constraints:
        corpus=r"[a-z][a-z0-9_]*",
        genome=r"[a-z][a-z0-9_]*",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("shuffle_genome"),
        apart=get_left_out_flags,
        seed=config["seed"],
    message:
        "Shuffle the dinucleotides of the genome {wildcards.genome} of the corpus {wildcards.corpus}"
    shell:
        "python -m foundationless shuffle_genome --genome {input:q} {params.apart:q} --seed {params.seed}"
        " --output {output:q} 2> {log:q}"


rule pretrain_control:
    input:
        tensors="results/weights/{model}/random/seed{seed}/model.safetensors",
        weights="results/weights/{model}/random/seed{seed}/weights.json",
        genomes=get_control_corpus_files,
        people=get_control_people_files,
    output:
        card="results/weights/{model}/{init}/seed{seed}/weights.json",
        config="results/weights/{model}/{init}/seed{seed}/config.json",
        tensors="results/weights/{model}/{init}/seed{seed}/model.safetensors",
        record="results/pretrain/{model}/{init}/seed{seed}/record.json",
        losses="results/pretrain/{model}/{init}/seed{seed}/losses.tsv",
    log:
        "logs/pretrain_control/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/pretrain_control/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        init=OTHER_PRETRAINING,
        model=get_constraint(study.networks_from("workflow")),
    priority: 10
    conda:
        "../../envs/compute.yaml"
    threads: get_processes
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=get_processes,
    params:
        recipe=get_recipe("pretrain_control"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.card, parent=True),
        checkpoints=subpath(output.record, parent=True),
        corpus=get_control_corpus_flags,
        settings=get_pretraining_flags,
        launcher=get_launcher,
    message:
        "Pretrain {wildcards.model} as the control {wildcards.init}"
    shell:
        "{params.launcher:q} python -m foundationless pretrain_control --weights {params.weights:q}"
        " {params.corpus:q} {params.settings:q} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} --checkpoints {params.checkpoints:q}/checkpoints --output {params.directory:q}"
        " --record {output.record:q} --losses {output.losses:q} --threads {threads} 2> {log:q}"


rule score_bases:
    input:
        weights=get_weights,
        sequences="results/sequences/{task}.parquet",
        genomes=get_markov_files,
    output:
        record="results/{analysis}/{task}/{model}/{init}/seed{seed}/record.json",
        predictions="results/{analysis}/{task}/{model}/{init}/seed{seed}/predictions.parquet",
    log:
        "logs/score_bases/{analysis}/{task}/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/score_bases/{analysis}/{task}/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        analysis=get_analyses("score_bases"),
        init=NETWORK_ARMS,
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=1,
    params:
        recipe=get_recipe("score_bases"),
        weights=subpath(input.weights, parent=True),
        compute=EMBEDDING,
        precision=get_precision("embedding"),
        markov=get_markov_flags,
    message:
        "Bits per base of {wildcards.model} ({wildcards.init}, seed {wildcards.seed}) on {wildcards.task}"
    shell:
        "python -m foundationless score_bases --weights {params.weights:q} --sequences {input.sequences:q}"
        " --analysis {wildcards.analysis} --task {wildcards.task} --model {wildcards.model} --init {wildcards.init}"
        " --seed {wildcards.seed} {params.markov:q} --precision {params.precision}"
        " --token-budget {params.compute[token_budget]} --record {output.record:q}"
        " --predictions {output.predictions:q} --threads {threads} 2> {log:q}"
