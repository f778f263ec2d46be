rule initialise:
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
        runtime=30,
    params:
        recipe=plan.RECIPES["initialise"],
        model=get_model_flags,
        tokenizer=lambda w: study.model(w.model).tokenizer,
        directory=subpath(output.card, parent=True),
    message:
        "Initialise {wildcards.model} at random, seed {wildcards.seed}"
    shell:
        "python -m foundationless initialise {params.model:q} --tokenizer {params.tokenizer}"
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
        model=get_constraint("hub"),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=240,
    params:
        recipe=plan.RECIPES["download_weights"],
        repository=lambda w: get_pretrained(w, "repository"),
        revision=lambda w: get_pretrained(w, "revision"),
        family=lambda w: study.model(w.model).family,
        tokenizer=lambda w: study.model(w.model).tokenizer,
        directory=subpath(output.card, parent=True),
    message:
        "Download {params.repository} at {params.revision}"
    shell:
        "python -m foundationless download_weights --repository {params.repository:q} --revision {params.revision:q}"
        " --family {params.family} --tokenizer {params.tokenizer} --model {wildcards.model}"
        " --output {params.directory:q} 2> {log:q}"


rule import_weights:
    input:
        lambda w: get_pretrained(w, "path"),
    output:
        card="results/weights/{model}/pretrained/seed{seed}/weights.json",
        config="results/weights/{model}/pretrained/seed{seed}/config.json",
        tensors="results/weights/{model}/pretrained/seed{seed}/model.safetensors",
    log:
        "logs/import_weights/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/import_weights/{model}/seed{seed}.tsv"
    wildcard_constraints:
        model=get_constraint("local"),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=30,
    params:
        recipe=plan.RECIPES["import_weights"],
        family=lambda w: study.model(w.model).family,
        tokenizer=lambda w: study.model(w.model).tokenizer,
        directory=subpath(output.card, parent=True),
    message:
        "Import the checkpoint {input} as {wildcards.model}"
    shell:
        "python -m foundationless import_weights --path {input:q} --family {params.family}"
        " --tokenizer {params.tokenizer} --model {wildcards.model} --output {params.directory:q} 2> {log:q}"
