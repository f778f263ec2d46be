"""Tables about pretraining itself: what of it helps, how soon, and how well it predicts bases."""
