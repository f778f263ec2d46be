"""Readers that make labels of outputs and nothing else: tracks of several tables, measured values."""
