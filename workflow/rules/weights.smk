rule initialise:
    input:
        get_family_files,
        lambda w: [path for path in get_tokenizer_files(w) if get_tracked(path)],
    output:
        card="results/weights/{model}/random/seed{seed}/weights.json",
        config="results/weights/{model}/random/seed{seed}/config.json",
        tensors="results/weights/{model}/random/seed{seed}/model.safetensors",
    log:
        "logs/initialise/{model}/random/seed{seed}.log",
    benchmark:
        "benchmarks/initialise/{model}/random/seed{seed}.tsv"
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("initialise"),
        model=get_model_flags,
        recorded=get_recorded(get_model_flags),
        tokenizer=get_tokenizer_flags,
        directory=subpath(output.card, parent=True),
    message:
        "Initialise {wildcards.model} at random, seed {wildcards.seed}"
    shell:
        "python -m foundationless initialise {params.model:q} {params.tokenizer:q}"
        " --model {wildcards.model} --seed {wildcards.seed} --output {params.directory:q} 2> {log:q}"


rule download_weights:
    output:
        card="results/weights/{model}/pretrained/seed{seed}/weights.json",
        config="results/weights/{model}/pretrained/seed{seed}/config.json",
        tensors="results/weights/{model}/pretrained/seed{seed}/model.safetensors",
    log:
        "logs/download_weights/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/download_weights/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=get_constraint(study.networks_from("hub")),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("download_weights"),
        repository=lambda w: get_pretrained(w, "repository"),
        revision=lambda w: get_pretrained(w, "revision"),
        checkpoint=get_checkpoint_flags,
        recorded=get_recorded(get_checkpoint_flags),
        hub=get_hub_flags,
        directory=subpath(output.card, parent=True),
    message:
        "Download {params.repository} at {params.revision}"
    shell:
        "python -m foundationless download_weights --repository {params.repository:q} --revision {params.revision:q}"
        " {params.checkpoint:q} {params.hub:q} --model {wildcards.model} --output {params.directory:q} 2> {log:q}"


rule import_weights:
    input:
        get_published,
    output:
        card="results/weights/{model}/pretrained/seed{seed}/weights.json",
        config="results/weights/{model}/pretrained/seed{seed}/config.json",
        tensors="results/weights/{model}/pretrained/seed{seed}/model.safetensors",
    log:
        "logs/import_weights/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/import_weights/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=get_constraint(study.networks_from("local")),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("import_weights"),
        path=get_published_directory,
        checkpoint=get_checkpoint_flags,
        recorded=get_recorded(get_checkpoint_flags),
        directory=subpath(output.card, parent=True),
    message:
        "Import the checkpoint in {params.path} as {wildcards.model}"
    shell:
        "python -m foundationless import_weights --path {params.path:q} {params.checkpoint:q}"
        " --model {wildcards.model} --output {params.directory:q} 2> {log:q}"


rule make_control_arm:
    input:
        pretrained="results/weights/{model}/pretrained/seed0/weights.json",
        random="results/weights/{model}/random/seed{seed}/weights.json",
    output:
        card="results/weights/{model}/{init}/seed{seed}/weights.json",
        config="results/weights/{model}/{init}/seed{seed}/config.json",
        tensors="results/weights/{model}/{init}/seed{seed}/model.safetensors",
    log:
        "logs/make_control_arm/{model}/{init}/seed{seed}.log",
    benchmark:
        "benchmarks/make_control_arm/{model}/{init}/seed{seed}.tsv"
    wildcard_constraints:
        init="|".join(vocabulary.CONTROL_ARMS),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("make_control_arm"),
        pretrained=subpath(input.pretrained, parent=True),
        random=subpath(input.random, parent=True),
        directory=subpath(output.card, parent=True),
    message:
        "Control weights of {wildcards.model}: {wildcards.init}, seed {wildcards.seed}"
    shell:
        "python -m foundationless make_control_arm --pretrained {params.pretrained:q} --random {params.random:q}"
        " --init {wildcards.init} --seed {wildcards.seed} --model {wildcards.model}"
        " --output {params.directory:q} 2> {log:q}"
