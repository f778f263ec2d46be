"""Networks behind one contract: families, checkpoints, weight directories, tokenizers, forward passes."""
