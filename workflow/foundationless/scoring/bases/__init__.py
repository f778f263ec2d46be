"""Bits per base: how well a model, and what costs nothing, predicts sequences that it has not read."""
