"""Finished reviews of Dialog on their way to Nmbrs: which may be filed, under what name, and each once."""
