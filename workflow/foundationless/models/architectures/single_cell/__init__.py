"""Networks of single cells: what they read is a cell's genes, not letters (models/cells)."""
