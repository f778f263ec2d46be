"""What scores and gains depend on: how much there is to learn from, how large a network is, and what its tokens are."""
