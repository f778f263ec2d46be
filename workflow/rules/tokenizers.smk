rule train_tokenizer:
    input:
        get_tokenizer_corpus_files,
    output:
        "resources/tokenizers/{model}/tokenizer.json",
    log:
        "logs/train_tokenizer/{model}.log",
    benchmark:
        "benchmarks/train_tokenizer/{model}.tsv"
    wildcard_constraints:
        model=get_constraint(study.tokenizers_from("workflow")),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("train_tokenizer"),
        tokenizer=get_tokenizer_name,
        corpus=get_tokenizer_corpus_flags,
        size=lambda w: get_tokenizer_file(w, "size"),
        seed=config["seed"],
    message:
        "Train the byte-pair tokenizer of {wildcards.model}"
    shell:
        "python -m foundationless train_tokenizer --tokenizer {params.tokenizer} {params.corpus:q}"
        " --size {params.size} --seed {params.seed} --output {output:q} 2> {log:q}"


rule download_tokenizer:
    output:
        "resources/tokenizers/{model}/tokenizer.json",
    log:
        "logs/download_tokenizer/{model}.log",
    benchmark:
        "benchmarks/download_tokenizer/{model}.tsv"
    wildcard_constraints:
        model=get_constraint(study.tokenizers_from("hub")),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("download_tokenizer"),
        tokenizer=get_tokenizer_name,
        repository=lambda w: get_tokenizer_file(w, "repository"),
        revision=lambda w: get_tokenizer_file(w, "revision"),
        hub=get_tokenizer_hub_flags,
    message:
        "Download the tokenizer of {params.repository}"
    shell:
        "python -m foundationless download_tokenizer --tokenizer {params.tokenizer}"
        " --repository {params.repository:q} --revision {params.revision:q} {params.hub:q}"
        " --output {output:q} 2> {log:q}"


rule download_own_tokenizer:
    output:
        "resources/tokenizers/{model}/published/files.json",
    log:
        "logs/download_own_tokenizer/{model}.log",
    benchmark:
        "benchmarks/download_own_tokenizer/{model}.tsv"
    wildcard_constraints:
        model=get_constraint(study.published_tokenizers_from("hub")),
    conda:
        "../../envs/compute.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("download_own_tokenizer"),
        repository=lambda w: get_tokenizer_file(w, "repository"),
        revision=lambda w: get_tokenizer_file(w, "revision"),
        hub=lambda w, output: get_hub_flags(w, output, "tokenizer_file"),
    message:
        "Download the own tokenizer of {params.repository}"
    shell:
        "python -m foundationless download_own_tokenizer --repository {params.repository:q}"
        " --revision {params.revision:q} {params.hub:q} --output {output:q} 2> {log:q}"
