"""Template sets of natural word problems: text with variables, drawn under conditions, with a worked answer."""
