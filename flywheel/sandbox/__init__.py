"""The executor: model-written programs run in a box that holds; what was expected never enters it."""
