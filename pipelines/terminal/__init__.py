"""What reaches a terminal."""
