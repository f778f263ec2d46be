"""Fine-tuning on sequences that are longer than the model reads."""
