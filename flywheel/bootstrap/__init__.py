"""The room of the cold start: makes examples from git histories, open datasets and teachers, before there are outcomes.

What it makes lies on a shelf, `bootstrap.db`, and comes into the pool by the door that logged outcomes come by.
"""
