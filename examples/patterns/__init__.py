"""How things are done: one file for each pattern, over the models of the shop.

Every function is called by tests/acceptance/test_patterns.py, on every engine.
"""
