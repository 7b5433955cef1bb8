"""`python -m sqlmodelkit` is the command `sqlmodelkit`. Ring 15."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
