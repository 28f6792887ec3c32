"""``python -m tijolo.db``: migrations from the command line; ``--help`` tells the rest."""

from __future__ import annotations

import sys

from tijolo.db._cli import main

if __name__ == "__main__":
    sys.exit(main())
