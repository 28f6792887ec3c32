"""Written by `hatch run compat sync` from tools/compatibility.toml; do not edit."""

COMPAT = {
    "schema": 1,
    "name": "auth",
    "requires": {"core": ">=0.1,<1", "web": ">=0.1,<1"},
    "optional": {"db": ">=0.1,<1", "email": ">=0.1,<1", "http": ">=0.1,<1"},
}
