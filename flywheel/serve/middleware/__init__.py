"""What runs inside a model server: its folder is put on the server's PYTHONPATH and imports nothing of flywheel."""
