"""`python -m homerun`: the same as the `homerun` command."""

from homerun.cli.main import main

main()
