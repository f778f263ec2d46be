"""From raw files to sequence sets: readers, splits, derived sets, and the audit of what leaks between them."""
