"""Files as what they are: made by somebody, perhaps damaged, perhaps being written by another process just now."""
