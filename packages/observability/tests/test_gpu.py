from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

pytest.importorskip("pynvml")
pytest.importorskip("prometheus_client")

import pynvml
from prometheus_client import CollectorRegistry

from tijolo.observability.gpu import GPUReader
from tijolo.observability.prometheus.gpu import GPUCollector

UNKNOWN, NOT_SUPPORTED, LOST, UNINITIALIZED, NO_LIBRARY = (
    pynvml.NVML_ERROR_UNKNOWN,
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
)


class Driver:
    """Stands in for the driver behind `pynvml`: devices as dictionaries, errors as codes."""

    def __init__(self, *devices):
        self.devices = list(devices)
        self.inits = self.shutdowns = 0
        self.init_error = self.count_error = None

    def init(self):
        self.inits += 1
        self._raise(self.init_error)

    def shutdown(self):
        self.shutdowns += 1

    def count(self):
        self._raise(self.count_error)
        return len(self.devices)

    def get(self, what):
        def read(device, *_):
            found = device[what]
            if isinstance(found, int):
                self._raise(found)
            return found

        return read

    def _raise(self, code):
        if code is not None:
            raise pynvml.NVMLError(code)

    def handle(self, index):
        device = self.devices[index]
        self._raise(device.get("error"))
        return device


def device(name=b"A100", **more):
    return {
        "name": name,
        "memory": SimpleNamespace(total=100, used=40, free=60),
        "utilization": SimpleNamespace(gpu=25),
        "temperature": "61",
        **more,
    }


@pytest.fixture
def driver(monkeypatch):
    def install(*devices):
        fake = Driver(*devices)
        for name, function in {
            "nvmlInit": fake.init,
            "nvmlShutdown": fake.shutdown,
            "nvmlDeviceGetCount": fake.count,
            "nvmlDeviceGetHandleByIndex": fake.handle,
            "nvmlDeviceGetName": fake.get("name"),
            "nvmlDeviceGetMemoryInfo": fake.get("memory"),
            "nvmlDeviceGetUtilizationRates": fake.get("utilization"),
            "nvmlDeviceGetTemperature": fake.get("temperature"),
        }.items():
            monkeypatch.setattr(pynvml, name, function)
        return fake

    return install


class Clock:
    now = 10.0

    def __call__(self):
        return self.now


def gauges(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_devices_are_read_over_one_connection(driver):
    fake = driver(device(), device(name="H100"))
    reader = GPUReader()
    for _ in range(3):
        first, second = reader.read()
    assert (first.index, first.name, second.name) == (0, "A100", "H100")
    assert (first.memory_total_bytes, first.memory_used_bytes) == (100, 40)
    assert (first.utilization_percent, first.temperature_celsius) == (25.0, 61.0)
    assert (fake.inits, fake.shutdowns, reader.problem) == (1, 0, None)
    reader.close()
    reader.close()
    assert fake.shutdowns == 1


def test_a_failing_device_does_not_hide_the_rest(driver, caplog):
    driver(device(error=LOST), device(memory=UNKNOWN), device(name=b"last"))
    reader = GPUReader()
    with caplog.at_level(logging.WARNING):
        assert [found.name for found in reader.read()] == ["last"]
        reader.read()
    assert sorted(reader.failed) == [0, 1]
    assert len(caplog.records) == 2  # once a device, not once a reading


def test_a_mig_device_is_shown_without_what_it_does_not_tell(driver):
    driver(device(utilization=NOT_SUPPORTED, temperature=NOT_SUPPORTED))
    (found,) = GPUReader().read()
    assert found.memory_used_bytes == 40
    assert (found.utilization_percent, found.temperature_celsius) == (None, None)
    shown = gauges(GPUCollector(GPUReader()))
    assert shown["gpu_device_up", "0"] == 1
    assert ("gpu_utilization_ratio", "0", "A100") not in shown


def test_no_driver_is_no_error_is_said_once_and_is_tried_again_later(driver, caplog):
    fake, clock = driver(device()), Clock()
    fake.init_error = NO_LIBRARY
    reader = GPUReader(retry_seconds=60, clock=clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert reader.read() == []
            clock.now += 19
    assert (fake.inits, len(caplog.records)) == (1, 1)
    assert "Not Found" in str(reader.problem)
    fake.init_error = None
    clock.now += 60
    assert len(reader.read()) == 1
    assert reader.problem is None


def test_a_driver_that_was_reloaded_is_connected_to_again(driver):
    fake, clock = driver(device()), Clock()
    reader = GPUReader(retry_seconds=60, clock=clock)
    reader.read()
    fake.count_error = UNINITIALIZED
    assert reader.read() == []
    assert reader.problem is not None
    fake.count_error = None
    clock.now += 60
    assert len(reader.read()) == 1
    assert (fake.inits, fake.shutdowns) == (2, 1)


def test_gauges_show_what_answers_and_what_does_not(driver):
    fake, clock = driver(device(error=LOST), device()), Clock()
    collector = GPUCollector(GPUReader(), clock=clock)
    shown = gauges(collector)
    assert shown == {
        ("gpu_monitoring_up",): 1,
        ("gpu_device_up", "0"): 0,
        ("gpu_device_up", "1"): 1,
        ("gpu_memory_size_bytes", "1", "A100"): 100,
        ("gpu_memory_used_bytes", "1", "A100"): 40,
        ("gpu_utilization_ratio", "1", "A100"): 0.25,
        ("gpu_temperature_celsius", "1", "A100"): 61,
    }
    fake.devices.clear()
    clock.now += 4
    assert gauges(collector) == shown
    clock.now += 1
    assert gauges(collector) == {("gpu_monitoring_up",): 1}


def test_a_machine_without_driver_has_no_gpus():
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert gauges(GPUCollector(GPUReader())) == {("gpu_monitoring_up",): 0}
    else:
        pytest.skip("this machine has a driver")
