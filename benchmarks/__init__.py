"""Measures sqlmodelkit against its peers and against hand-written code: `python -m benchmarks`."""
