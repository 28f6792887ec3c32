from __future__ import annotations

import logging
import threading

import pytest

pytest.importorskip("psutil")
pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry

from tijolo.observability.cgroups import Cgroup
from tijolo.observability.prometheus import Metrics
from tijolo.observability.prometheus.system import SystemCollector
from tijolo.observability.system import CPUMeter, MetricsUtils, SystemMetrics


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.fixture
def container(tmp_path):
    """A cgroup of half a core and a megabyte, and the call that spends its time."""
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("250000\n")

    def spend(seconds):
        (tmp_path / "cpu.stat").write_text(f"usage_usec {int(seconds * 1e6)}\n")

    spend(0)
    return Cgroup(tmp_path, tmp_path / "none"), spend


def test_a_snapshot_holds_everything_and_turns_into_dictionaries(tmp_path):
    snapshot = MetricsUtils.snapshot(disk_paths=[str(tmp_path)], cpu_interval=0.01)
    assert isinstance(snapshot, SystemMetrics)
    assert 0 <= snapshot.cpu.percent <= 100
    assert 0 < snapshot.cpu.limit_cores <= snapshot.cpu.cores_logical
    memory = snapshot.memory
    assert 0 < memory.used_bytes < memory.total_bytes
    assert 0 < memory.available_bytes < memory.total_bytes
    assert snapshot.disks[0].path == str(tmp_path)
    shown = snapshot.to_dict()
    assert shown["disks"][0]["total_bytes"] > 0
    assert shown["memory"] == memory.to_dict()


async def test_the_async_readings_run_in_another_thread(monkeypatch, tmp_path):
    threads = []
    original = MetricsUtils.memory

    def memory():
        threads.append(threading.current_thread())
        return original()

    monkeypatch.setattr(MetricsUtils, "memory", memory)
    assert (await MetricsUtils.memory_async()).total_bytes > 0
    assert threads[0] is not threading.main_thread()
    assert (await MetricsUtils.cpu_async(interval=0.01)).cores_logical > 0
    assert len(await MetricsUtils.disks_async([str(tmp_path)])) == 1
    assert isinstance(await MetricsUtils.gpus_async(), list)
    snapshot = await MetricsUtils.snapshot_async(disk_paths=[], cpu_interval=0.01)
    assert snapshot.disks == []


def test_a_disk_that_cannot_be_asked_does_not_hide_the_rest(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        disks = MetricsUtils.disks([str(tmp_path / "gone"), str(tmp_path)])
    assert [disk.path for disk in disks] == [str(tmp_path)]
    assert "gone" in caplog.text
    with pytest.raises(OSError, match="gone"):
        MetricsUtils.disk(str(tmp_path / "gone"))
    assert MetricsUtils.disk().total_bytes > 0


def test_in_a_container_the_quota_is_what_can_be_used(container):
    cgroup, spend = container
    clock = Clock()
    meter = CPUMeter(cgroup, clock=clock)
    assert meter.read().percent == 0  # no time has passed
    spend(0.25)
    clock.now += 1  # half a second was there to use, a quarter was used
    first = meter.read()
    assert (first.percent, first.limit_cores) == (50.0, 0.5)
    assert meter.read().percent == 50.0
    spend(99)
    clock.now += 1
    assert meter.read().percent == 100.0


def gauges(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_gauges_show_the_containers_limits(container, tmp_path):
    cgroup, spend = container
    clock = Clock()
    collector = SystemCollector(cgroup=cgroup, clock=clock, disk_paths=[str(tmp_path)])
    spend(0.1)
    clock.now += 1
    found = gauges(collector)
    assert found["system_memory_limit_bytes",] == 1_000_000
    assert found["system_memory_used_bytes",] == 250_000
    assert found["system_memory_available_bytes",] == 750_000
    assert found["system_cpu_limit_cores",] == 0.5
    assert found["system_cpu_utilization_ratio",] == pytest.approx(0.2)
    assert found["system_disk_size_bytes", str(tmp_path)] > 0
    assert ("system_load_average", "15m") in found


def test_a_reading_is_shared_for_some_seconds(container, tmp_path):
    cgroup, _ = container
    clock, path = Clock(), tmp_path / "memory.current"
    collector = SystemCollector(cgroup=cgroup, clock=clock, cache_seconds=5)
    assert gauges(collector)["system_memory_used_bytes",] == 250_000
    path.write_text("900000\n")
    clock.now += 4.9
    assert gauges(collector)["system_memory_used_bytes",] == 250_000
    clock.now += 0.1
    assert gauges(collector)["system_memory_used_bytes",] == 900_000


def test_the_gauges_join_the_services_metrics(container):
    metrics = Metrics(CollectorRegistry(auto_describe=True))
    metrics.add_collector(SystemCollector(cgroup=container[0]))
    assert b"system_memory_limit_bytes 1e+06\n" in metrics.render().content
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.add_collector(SystemCollector(cgroup=container[0]))
