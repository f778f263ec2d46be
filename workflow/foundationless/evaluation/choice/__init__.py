"""Which arm to use for one set: what was compared, on what it was chosen, and how sure that is."""
