"""``hatch run demo [--port N]``: the demonstration service, from nothing to its first page.

Its SQLite file is made in the folder of the service and kept between runs.
"""

from __future__ import annotations

import os
import runpy
import sys

from tools.workspace import ROOT

SHOP = ROOT / "docs" / "examples" / "loja"


def main() -> None:
    """Run the shop as a developer would, with the settings of development."""
    os.environ.setdefault("ENVIRONMENT", "development")
    os.environ.setdefault("LOG_JSON", "false")
    os.environ.setdefault("METRICS_ENABLED", "true")
    os.environ.setdefault("METRICS_NETWORKS", '["127.0.0.0/8", "::1"]')
    os.environ.setdefault("ORDER_MAIL_TO", "orders@example.com")  # shown on the console
    os.chdir(SHOP)  # its .env and ./loja.db
    os.environ.setdefault("DATABASE_URL", "sqlite+aiosqlite:///./loja.db")
    sys.path.insert(0, str(SHOP))
    runpy.run_module("loja", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
