"""Written by `hatch run compat sync` from tools/compatibility.toml; do not edit."""

COMPAT = {
    "schema": 1,
    "name": "web",
    "requires": {"core": ">=0.1,<1", "observability": ">=0.1,<1"},
    "supports": {"auth": ">=0.1", "sessions": ">=0.1"},
}
