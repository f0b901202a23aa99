"""Second opinions: a network through other tools, their integers beside the golden model's (docs/crosscheck.md)."""
