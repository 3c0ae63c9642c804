"""`python -m persona_cli`."""

from persona_cli.cli import main

main()
