"""The page of generalisation."""
