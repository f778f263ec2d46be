include: "ingredients.smk"


rule pretrain_leg:
    input:
        tensors="results/weights/{model}/random/seed{seed}/model.safetensors",
        weights="results/weights/{model}/random/seed{seed}/weights.json",
        genomes=get_corpus_files,
        people=get_people_files,
        before=get_leg_before,
    output:
        "results/pretrain/{model}/seed{seed}/legs/leg{leg}.json",
    log:
        "logs/pretrain_leg/{model}/seed{seed}/leg{leg}.log",
    benchmark:
        "benchmarks/pretrain_leg/{model}/seed{seed}/leg{leg}.tsv"
    wildcard_constraints:
        model=get_constraint(study.networks_from("workflow")),
    # The longest jobs: everything of the pretrained arm waits for them.
    priority: 10
    conda:
        "../../envs/compute.yaml"
    threads: get_processes
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=get_processes,
    params:
        recipe=get_recipe("pretrain_leg"),
        weights=subpath(input.weights, parent=True),
        until=get_leg_end,
        checkpoints=subpath(output[0], ancestor=2),
        corpus=get_corpus_flags,
        settings=get_pretraining_flags,
        launcher=get_launcher,
    message:
        "Pretrain {wildcards.model}, leg {wildcards.leg}"
    shell:
        "{params.launcher:q} python -m foundationless pretrain_leg --weights {params.weights:q} {params.corpus:q}"
        " {params.settings:q} --model {wildcards.model} --seed {wildcards.seed}"
        " --checkpoints {params.checkpoints:q}/checkpoints --until {params.until} --output {output:q}"
        " --threads {threads} 2> {log:q}"


rule pretrain:
    input:
        tensors="results/weights/{model}/random/seed{seed}/model.safetensors",
        weights="results/weights/{model}/random/seed{seed}/weights.json",
        genomes=get_corpus_files,
        people=get_people_files,
        legs=get_last_leg,
    output:
        card="results/weights/{model}/pretrained/seed{seed}/weights.json",
        config="results/weights/{model}/pretrained/seed{seed}/config.json",
        tensors="results/weights/{model}/pretrained/seed{seed}/model.safetensors",
        record="results/pretrain/{model}/seed{seed}/record.json",
        losses="results/pretrain/{model}/seed{seed}/losses.tsv",
    log:
        "logs/pretrain/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/pretrain/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=get_constraint(study.networks_from("workflow")),
    # The longest jobs: everything of the pretrained arm waits for them.
    priority: 10
    conda:
        "../../envs/compute.yaml"
    threads: get_processes
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
        gpu=get_processes,
    params:
        recipe=get_recipe("pretrain"),
        weights=subpath(input.weights, parent=True),
        directory=subpath(output.card, parent=True),
        checkpoints=subpath(output.record, parent=True),
        corpus=get_corpus_flags,
        settings=get_pretraining_flags,
        launcher=get_launcher,
    message:
        "Pretrain {wildcards.model}"
    shell:
        "{params.launcher:q} python -m foundationless pretrain --weights {params.weights:q} {params.corpus:q}"
        " {params.settings:q} --model {wildcards.model} --seed {wildcards.seed}"
        " --checkpoints {params.checkpoints:q}/checkpoints --output {params.directory:q}"
        " --record {output.record:q} --losses {output.losses:q} --threads {threads} 2> {log:q}"


rule audit_corpus:
    input:
        sequences="results/sequences/{task}.parquet",
        genomes=get_corpus_files,
    output:
        "results/audit/{task}/corpus_{corpus}.json",
    log:
        "logs/audit_corpus/{task}/{corpus}.log",
    benchmark:
        "benchmarks/audit_corpus/{task}/{corpus}.tsv"
    wildcard_constraints:
        task=r"[A-Za-z0-9_]+",
        corpus=r"[a-z][a-z0-9_]*",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("audit_corpus"),
        corpus=get_reference_flags,
    message:
        "Look for the test sequences of {wildcards.task} in the corpus {wildcards.corpus}"
    shell:
        "python -m foundationless audit_corpus --task {wildcards.task} --sequences {input.sequences:q}"
        " {params.corpus:q} --output {output:q} 2> {log:q}"
