"""What agents earn over contexts and seeds, and how methods compare."""
