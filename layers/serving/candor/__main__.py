"""`python -m candor` is the `candor` command."""

import sys

from candor.cli.main import main

if __name__ == "__main__":  # a spawned process imports this module, too
    sys.exit(main())
