"""`homerun doctor`: one page about this machine and this install, for a person in trouble."""
