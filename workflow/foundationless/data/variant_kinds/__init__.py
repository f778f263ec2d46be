"""Variants of every kind: one way to write an allele, what kind it is, and REF and ALT windows of one length."""
