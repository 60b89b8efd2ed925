"""The readers, one for each format. A format is recognized by the file's content, not by its name."""
