"""Chinook, a database that people know: its tables, few of its rows, and a program on them."""
