"""How the embedded policy was trained and examined."""
