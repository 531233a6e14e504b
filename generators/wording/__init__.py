"""The wordings of questions: a grammar for each, shared by all families."""
