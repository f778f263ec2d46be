"""What rows to learn from weigh, where they are to stand for rows of another set."""
