"""Written by `hatch run compat sync` from tools/compatibility.toml; do not edit."""

COMPAT = {
    "schema": 1,
    "name": "core",
    "supports": {
        "auth": ">=0.1",
        "cache": ">=0.1",
        "db": ">=0.1",
        "email": ">=0.1",
        "http": ">=0.1",
        "observability": ">=0.1",
        "sessions": ">=0.1",
        "web": ">=0.1",
    },
}
