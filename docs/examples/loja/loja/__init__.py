"""A small shop, built only from tijolo's packages."""
