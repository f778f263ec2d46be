"""What is lost where a model is asked about another species, mark or assay than it learned from."""
