"""Genomic foundation models on trial against themselves at random initialisation.

The package holds the science (what is computed); `workflow/rules` holds where it is computed and `config` which arms
and tasks. Nothing heavy is imported here: Snakemake reads `foundationless.study.plan` at every parse.
"""

__version__ = "0.1.0"
