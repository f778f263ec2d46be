"""What of a network is fine-tuned, at which rates, and how large networks fit a device."""
