"""`python -m whyport` is the command `whyport`."""

from whyport.cli import main

main(prog_name="whyport")
