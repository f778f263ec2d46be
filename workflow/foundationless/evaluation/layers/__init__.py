"""Layers of frozen networks: what each is worth, and how often it was chosen."""
