"""Corpora made for controls of pretraining: what a network reads that is not the genome itself."""
