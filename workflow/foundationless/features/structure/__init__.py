"""What a frozen model knows of the sequences themselves: maps of its vectors, and facts that a linear probe reads."""
