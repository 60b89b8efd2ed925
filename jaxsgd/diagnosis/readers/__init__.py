"""One reader for each format, told by what a file holds and not by its name."""
