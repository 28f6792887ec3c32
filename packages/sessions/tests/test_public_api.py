from __future__ import annotations

import subprocess
import sys

import tijolo.sessions

PUBLIC = """
    MAX_DATA_BYTES MemorySessionStore Session SessionDataTooLargeException SessionStore
    SessionStoreUnavailableException __version__ new_session_id
"""


def test_the_public_names_are_these() -> None:
    """Losing one is a diff that somebody signs."""
    assert tijolo.sessions.__all__ == PUBLIC.split()
    assert all(hasattr(tijolo.sessions, name) for name in PUBLIC.split())


def test_the_package_imports_no_extra() -> None:
    code = (
        "import sys, tijolo.sessions;"
        "found = {'sqlalchemy', 'redis', 'pytest', 'tijolo.auth'} & set(sys.modules);"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
