"""A dataset as one HTML page, with linked views that answer a reader. Nothing here runs a simulation."""
