"""Use cases in plain Python. Knows the engine and the text, not HTTP or JSON."""
