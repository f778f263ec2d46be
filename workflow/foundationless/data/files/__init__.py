"""Files as people have them: what kind they are of, text and tables in them, and the index of a FASTA."""
