"""Turns outcomes into examples and examples into frozen datasets."""
