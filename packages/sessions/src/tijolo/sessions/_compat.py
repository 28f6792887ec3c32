"""Written by `hatch run compat sync` from tools/compatibility.toml; do not edit."""

COMPAT = {
    "schema": 1,
    "name": "sessions",
    "requires": {"core": ">=0.1,<1", "web": ">=0.1,<1"},
    "optional": {"auth": ">=0.1,<1", "db": ">=0.1,<1"},
}
