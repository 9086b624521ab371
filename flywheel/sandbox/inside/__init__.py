"""What runs inside the box: the standard library alone, read by an interpreter that sees nothing else of flywheel."""
