"""Commands behind the Makefile. They need Python's standard library only."""
