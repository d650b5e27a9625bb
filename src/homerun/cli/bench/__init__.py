"""How fast it is: load against a server, and steps of an engine. Knows no model's maths."""
