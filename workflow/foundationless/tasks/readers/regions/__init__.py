"""Windows of a genome by what they lie in."""
