"""Labels of several outputs in sequence sets: how they are read, what each must hold, and when two agree."""
