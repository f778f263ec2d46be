rule draw_figures:
    input:
        rules.collect_tables.output,
    output:
        figures=expand("results/figures/{figure}.pdf", figure=DRAWN_FIGURES),
        pictures=[get_reported_figure(name) for name in DRAWN_FIGURES],
        captions=expand("results/figures/{figure}.rst", figure=DRAWN_FIGURES),
    log:
        "logs/draw_figures.log",
    benchmark:
        "benchmarks/draw_figures.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 4
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("draw_figures"),
        tables=subpath(input[0], parent=True),
        title=lambda w: config["title"],
        figures=DRAWN_FIGURES,
    message:
        "Draw the figures"
    shell:
        "python -m foundationless draw_figures --figures {params.figures} --tables {params.tables:q} --study {params.title:q}"
        " --processes {threads} --output results/figures 2> {log:q}"


rule bind_figures:
    input:
        figures=rules.draw_figures.output.figures,
        records="results/tables/records.parquet",
        verdict="results/verdict.json",
    output:
        "results/figures/all.pdf",
    log:
        "logs/bind_figures.log",
    benchmark:
        "benchmarks/bind_figures.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("bind_figures"),
        tables=subpath(input.records, parent=True),
        title=lambda w: config["title"],
        notes=lambda w: config["notes"],
    message:
        "Bind all figures behind a cover page"
    shell:
        "python -m foundationless bind_figures --figures {input.figures:q} --tables {params.tables:q}"
        " --verdict {input.verdict:q} --study {params.title:q} --notes {params.notes:q} --output {output:q} 2> {log:q}"


rule write_report:
    input:
        records="results/tables/records.parquet",
        pictures=rules.draw_figures.output.pictures,
        captions=rules.draw_figures.output.captions,
        verdict="results/verdict.json",
        datasets=config["tables"]["datasets"],
    output:
        "results/report.html",
    log:
        "logs/write_report.log",
    benchmark:
        "benchmarks/write_report.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=get_recipe("write_report"),
        tables=subpath(input.records, parent=True),
        config=lambda w: json.dumps(config),  # a function, for text may hold braces
    message:
        "Write the report"
    shell:
        "python -m foundationless write_report --tables {params.tables:q} --figures results/figures"
        " --verdict {input.verdict:q} --config {params.config:q} --datasets {input.datasets:q}"
        " --output {output:q} 2> {log:q}"
