"""What explanations say together: how well motifs are found by arm and method, and how they look there."""
