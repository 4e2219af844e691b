"""The page of codes."""
