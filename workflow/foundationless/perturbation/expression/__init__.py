"""Matrices of expression as others write them, and the effects of perturbations that they hold."""
