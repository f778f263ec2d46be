"""Cells before a network: vocabularies of genes, values as bins or ranks, batches; and what such a network promises."""
