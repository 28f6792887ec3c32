"""The repository's own commands; each is a script of hatch.toml and is run from the root."""
