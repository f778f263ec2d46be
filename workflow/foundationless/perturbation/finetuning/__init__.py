"""Networks that read cells, trained on a screen: pairs of cells, the generator, its runs, and what they predict."""
