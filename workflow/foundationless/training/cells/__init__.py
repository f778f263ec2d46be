"""Networks of single cells: pretraining on cells, and fine-tuning to the effects of perturbations."""
