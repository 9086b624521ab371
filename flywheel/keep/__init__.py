"""Keeps what a home holds: backs it up, puts it back, looks whether it is whole, lets go of what nobody needs."""
