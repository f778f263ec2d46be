"""Predicted effects of perturbations: how far profiles are from what was observed, and what pairs of genes do.

`profiles` measures rows of genes, `interactions` what is not additive, `predictions` reads the vectors of a file once
and keeps these numbers, `tables` lays them out.
"""

from foundationless.evaluation.effects.profiles import measure, skill

__all__ = ["measure", "skill"]
