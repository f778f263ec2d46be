rule fetch:
    input:
        ledger=ancient(config["tables"]["datasets"]),
    output:
        "resources/datasets/{file}",
    log:
        "logs/fetch/{file}.log",
    benchmark:
        "benchmarks/fetch/{file}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        name=lambda w: study.files[w.file]["name"],
        content=lambda w: study.files[w.file]["sha256"] or study.files[w.file]["url"],
        mirror=get_mirror_flags,
        own=get_own_file_flags,
    message:
        "Fetch {wildcards.file}"
    shell:
        "python -m foundationless fetch --ledger {input.ledger:q} --name {params.name:q} --output {output:q}"
        " {params.mirror:q} {params.own:q} 2> {log:q}"


rule fetch_region:
    input:
        ledger=ancient(config["tables"]["datasets"]),
    output:
        vcf="resources/regions/{dataset}/{contig}.{start}-{end}.vcf.gz",
        index="resources/regions/{dataset}/{contig}.{start}-{end}.vcf.gz.tbi",
    log:
        "logs/fetch_region/{dataset}/{contig}.{start}-{end}.log",
    benchmark:
        "benchmarks/fetch_region/{dataset}/{contig}.{start}-{end}.tsv"
    wildcard_constraints:
        contig=r"[A-Za-z0-9_]+",
        start=r"\d+",
        end=r"\d+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("fetch_region"),
        url=lambda w: study.datasets[w.dataset]["url"],
        mirror=get_mirror_flags,
    message:
        "Fetch {wildcards.contig}:{wildcards.start}-{wildcards.end} of {wildcards.dataset}"
    shell:
        "python -m foundationless fetch_region --ledger {input.ledger:q} --name {wildcards.dataset}"
        " --contig {wildcards.contig} --start {wildcards.start} --end {wildcards.end} --output {output.vcf:q}"
        " {params.mirror:q} 2> {log:q}"
