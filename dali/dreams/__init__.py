"""Dreams under another physics, and how true they are."""
