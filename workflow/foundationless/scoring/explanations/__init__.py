"""What a fine-tuned classifier goes by: attributions of its logit to nucleotides, held against known motifs."""
