"""Helpers for the tests of tijolo packages and of the services built on them."""
