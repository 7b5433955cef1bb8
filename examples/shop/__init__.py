"""A small shop: customers, a catalogue, orders and reviews, over an embedded or a real database.

Run it with `make demo` or `python -m examples.shop`. Read `models/` first (what is stored and what
is shown), then `services.py` (what a shop does), then `application.py` (the routes).
"""
