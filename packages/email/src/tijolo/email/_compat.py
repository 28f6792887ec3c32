"""Written by `hatch run compat sync` from tools/compatibility.toml; do not edit."""

COMPAT = {
    "schema": 1,
    "name": "email",
    "requires": {"core": ">=0.1,<1"},
    "supports": {"auth": ">=0.1"},
}
