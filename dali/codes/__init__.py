"""What the codes of an agent hold: of which physics, how cleanly, and when."""
