"""Scores of variants beyond the likelihood ratio: distances, a supervised probe, features that cost nothing.

Every arm of a task, baselines too, is held out by the same folds (`folds`), so that out-of-fold scores pair.
"""

from foundationless.scoring.probes.arms import probe_baseline, probe_network

__all__ = ["probe_baseline", "probe_network"]
