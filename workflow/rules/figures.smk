rule draw_figure:
    input:
        "results/tables/records.parquet",
    output:
        figure="results/figures/{figure}.pdf",
        picture=report(
            "results/figures/{figure}.png",
            "../report/figure.rst",
            "Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "logs/draw_figure/{figure}.log",
    benchmark:
        "benchmarks/draw_figure/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(plan.FIGURES),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=get_memory,
        runtime=get_runtime,
    params:
        recipe=plan.RECIPES["draw_figure"],
        tables=subpath(input[0], parent=True),
        title=config["title"],
    message:
        "Draw {wildcards.figure}"
    shell:
        "python -m foundationless draw_figure --figure {wildcards.figure} --tables {params.tables:q}"
        " --study {params.title:q} --output {output.figure:q} 2> {log:q}"


rule bind_figures:
    input:
        figures=expand("results/figures/{figure}.pdf", figure=plan.FIGURES),
        records="results/tables/records.parquet",
    output:
        report(
            "results/figures/all.pdf",
            caption="../report/all.rst",
            category="Figures",
            labels={"figure": "all"},
        ),
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
        recipe=plan.RECIPES["bind_figures"],
        tables=subpath(input.records, parent=True),
        title=config["title"],
        notes=config["notes"],
    message:
        "Bind all figures behind a cover page"
    shell:
        "python -m foundationless bind_figures --figures {input.figures:q} --tables {params.tables:q}"
        " --study {params.title:q} --notes {params.notes:q} --output {output:q} 2> {log:q}"
