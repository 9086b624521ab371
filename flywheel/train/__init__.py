"""Turns a spec into a supervised run and a run into a published adapter."""
