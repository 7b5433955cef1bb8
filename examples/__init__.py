"""Applications built with sqlmodelkit, to run and to copy."""
