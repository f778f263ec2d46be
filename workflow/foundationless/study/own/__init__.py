"""What a study brings along itself: files that lie on this machine, and tasks that stand in no table."""
