"""Measures adapters on suites and says pass, fail or insufficient evidence."""
