"""What a probability is worth: temperature scaling, ensembles of seeds, conformal sets, and what they change."""
