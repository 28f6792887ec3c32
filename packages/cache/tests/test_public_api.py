from __future__ import annotations

import subprocess
import sys

import tijolo.cache

NAMES = {
    *("Backend", "BackendRefusedError", "BackendUnavailableError", "BoundFunction", "Cache"),
    *("CacheEvent", "CachePolicy", "CacheSettings", "CacheStats", "CachedFunction", "Codec"),
    *("FunctionCodec", "MemoryBackend", "NotConnectedError", "Observer", "RedisSettings"),
    *("SQLiteBackend", "Snapshot", "TypedCodec", "UnfaithfulValueError", "UnkeyableArgumentError"),
    *("__version__", "cached"),
}


def test_the_public_names_are_these():
    assert set(tijolo.cache.__all__) == NAMES
    assert all(hasattr(tijolo.cache, name) for name in NAMES)


def test_importing_the_package_imports_no_extra():
    code = "import sys, tijolo.cache; print({'redis', 'fastapi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_missing_library_names_its_extra():
    code = """
import sys
sys.modules["redis"] = sys.modules["fastapi"] = None
for module in ("redis", "fastapi"):
    try:
        __import__(f"tijolo.cache.{module}")
    except ImportError as exc:
        print(exc.command)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        'python -m pip install "tijolo-cache[redis]"',
        'python -m pip install "tijolo-cache[web]"',
    ]
