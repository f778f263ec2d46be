"""How published weights lie in files: which files there are, and what their tensors are called."""
