"""Effects of gene perturbations: read from screens, predicted by baselines and by a linear model of borrowed vectors.

The second paper's question: Ahlmann-Eltze, Huber and Anders, "Deep-learning-based gene perturbation effect prediction
does not yet outperform simple linear baselines", Nature Methods 22:1657 (2025), doi:10.1038/s41592-025-02772-6.
"""
