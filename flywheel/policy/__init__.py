"""Loads the policies and judges intents against facts. Pure, but for `loading`."""
