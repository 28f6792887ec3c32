from __future__ import annotations

import subprocess
import sys

import pytest

BLOCK = """
import sys
sys.modules[{library!r}] = None
import tijolo.observability
from tijolo.core import MissingExtraError
try:
    import {module}
except MissingExtraError as exc:
    print(exc.command)
"""


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("tijolo.observability.prometheus", "prometheus_client", "prometheus"),
        ("tijolo.observability.system", "psutil", "system"),
        ("tijolo.observability.gpu", "pynvml", "gpu"),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(module, library, extra):
    code = BLOCK.format(module=module, library=library)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == f'python -m pip install "tijolo-observability[{extra}]"\n'


def test_importing_the_package_imports_no_extra():
    code = (
        "import sys, tijolo.observability;"
        "print({'prometheus_client', 'psutil', 'pynvml'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


def test_gpus_are_none_without_the_extra():
    pytest.importorskip("psutil")
    code = (
        "import sys; sys.modules['pynvml'] = None;"
        "from tijolo.observability.system import MetricsUtils; print(MetricsUtils.gpus())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
