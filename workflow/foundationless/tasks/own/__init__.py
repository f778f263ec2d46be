"""Data of one's own on trial: what a file holds, in plain words, and the study that tries it."""
