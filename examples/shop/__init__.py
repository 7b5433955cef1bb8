"""A small shop: customers, a catalogue, orders and reviews, over an embedded or a real database.

Run it with `make demo` or `python -m examples.shop`. Read `models/` first (what is stored and what
is shown), then `services/` (what a shop does), then `routers/` and `application.py`.

It is what `sqlmodelkit new NAME --size shop` makes: all but `__main__`, `main`, `seed` and
`settings` is written by `make examples` from `src/sqlmodelkit/templates/project/shop/app/`.
"""
