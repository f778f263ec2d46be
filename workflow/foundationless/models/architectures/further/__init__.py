"""Families that people ask for beyond those of the paper."""
