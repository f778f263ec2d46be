"""Power before anything runs: which words a study can earn, given how much differences vary."""
