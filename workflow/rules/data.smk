rule prepare_genome:
    input:
        get_pieces,
    output:
        genome="resources/genomes/{genome}.fa",
        index="resources/genomes/{genome}.fa.fai",
    log:
        "logs/prepare_genome/{genome}.log",
    benchmark:
        "benchmarks/prepare_genome/{genome}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory_of_input,
        runtime=get_runtime,
    params:
        recipe=get_recipe("prepare_genome"),
        pieces=get_piece_flags,
    message:
        "Merge and index genome {wildcards.genome}"
    shell:
        "python -m foundationless prepare_genome {params.pieces:q} --output {output.genome:q} 2> {log:q}"


rule simulate_genome:
    output:
        genome="resources/simulated/genome.fa",
        genes="resources/simulated/genes.gtf",
        mark="resources/simulated/mark.bed",
        promoter="resources/simulated/promoter.bed",
        enhancer="resources/simulated/enhancer.bed",
        truth="resources/simulated/truth.tsv",
    log:
        "logs/simulate_genome.log",
    benchmark:
        "benchmarks/simulate_genome.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("simulate_genome"),
        seed=config["seed"],
        directory=subpath(output.genome, parent=True),
    message:
        "Simulate a genome with planted motifs and genes"
    shell:
        "python -m foundationless simulate_genome --seed {params.seed} --output {params.directory:q} 2> {log:q}"


rule simulate_words:
    output:
        words="resources/simulated/words.fa",
        shuffled="resources/simulated/shuffled.fa",
        monotone="resources/simulated/monotone.fa",
        windows=expand(
            "resources/simulated/{kind}_{about}.bed",
            kind=["vocabulary", "decay", "strand", "insert", "mixture"],
            about=["words", "letters"],
        ),
        tables=expand("resources/simulated/{table}.tsv", table=["amounts", "amounts_far", "topics"]),
    log:
        "logs/simulate_words.log",
    benchmark:
        "benchmarks/simulate_words.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("simulate_words"),
        seed=config["seed"],
        directory=subpath(output.words, parent=True),
    message:
        "Simulate a genome that is written in words, and questions about them"
    shell:
        "python -m foundationless simulate_words --seed {params.seed} --output {params.directory:q} 2> {log:q}"


rule simulate_population:
    input:
        genome="resources/genomes/simulated.fa",
    output:
        vcf="resources/simulated/population.vcf.gz",
        index="resources/simulated/population.vcf.gz.tbi",
        panel="resources/simulated/panel.tsv",
        pedigree="resources/simulated/pedigree.tsv",
    log:
        "logs/simulate_population.log",
    benchmark:
        "benchmarks/simulate_population.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("simulate_population"),
        seed=config["seed"],
        place=config["simulation"],
        directory=subpath(output.vcf, parent=True),
    message:
        "Simulate people of four superpopulations under a published demography"
    shell:
        "python -m foundationless simulate_population --genome {input.genome:q} --contig {params.place[contig]:q}"
        " --start {params.place[start]} --length {params.place[length]}"
        " --people-per-population {params.place[people_per_population]}"
        " --children-per-population {params.place[children_per_population]}"
        " --seed {params.seed} --output {params.directory:q} 2> {log:q}"


rule simulate_variants:
    input:
        genome="resources/genomes/simulated.fa",
        truth="resources/simulated/truth.tsv",
    output:
        vcf="resources/simulated/variants.vcf.gz",
        index="resources/simulated/variants.vcf.gz.tbi",
        indels="resources/simulated/indels.vcf.gz",
        indels_index="resources/simulated/indels.vcf.gz.tbi",
    log:
        "logs/simulate_variants.log",
    benchmark:
        "benchmarks/simulate_variants.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("simulate_variants"),
        seed=config["seed"],
        directory=subpath(output.vcf, parent=True),
    message:
        "Simulate clinical variants of known effect"
    shell:
        "python -m foundationless simulate_variants --genome {input.genome:q} --truth {input.truth:q}"
        " --seed {params.seed} --output {params.directory:q} 2> {log:q}"
