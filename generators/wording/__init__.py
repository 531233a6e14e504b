"""Free wording: a grammar shared by all families, and the solutions drawn from it."""
