"""``hatch run demo [--port N]``: the demonstration service, from nothing to its first page.

Its SQLite file is made in the folder of the service and kept between runs.
"""

from __future__ import annotations

import os
import sys

from tools.workspace import ROOT

SHOP = ROOT / "docs" / "examples" / "loja"


def main() -> int:
    """Run the shop as a developer would, with the settings of development."""
    os.environ.setdefault("ENVIRONMENT", "development")
    os.environ.setdefault("LOG_JSON", "false")
    os.chdir(SHOP)  # its .env and ./loja.db
    os.environ.setdefault("DATABASE_URL", "sqlite+aiosqlite:///./loja.db")
    sys.path.insert(0, str(SHOP))
    from loja.__main__ import main as serve

    return serve(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
