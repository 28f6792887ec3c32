from __future__ import annotations

import asyncio
import gc
import logging
import math
import threading

import pytest

pytest.importorskip("prometheus_client")

import prometheus_client
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tijolo.observability.prometheus import OVERFLOW, Metrics, make_prometheus_registry

OPENMETRICS = "application/openmetrics-text"
BUCKETS = (0.1, 1.0, 1e7)
label_values = st.text(max_size=12) | st.sampled_from(['"', "\\", "\n", 'a\\"\nb', "%d%s", "ção"])
floats = st.floats(allow_nan=False, width=64)


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


def samples_of(text, parse=parse_text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(label_values, floats, st.floats(min_value=0, max_value=1e300)), max_size=12)
)
def test_what_is_rendered_reads_as_what_the_client_renders(operations):
    metrics, theirs = Metrics(CollectorRegistry()), CollectorRegistry()
    ours = (
        metrics.counter("shop_orders_total", 'Orders "paid"\\\nor not.', ["who"]),
        metrics.gauge("shop_stock", "Stock.", ["who"]),
        metrics.histogram("shop_wait_seconds", "Wait.", ["who"], buckets=BUCKETS),
    )
    client = (
        prometheus_client.Counter(
            "shop_orders_total", 'Orders "paid"\\\nor not.', ["who"], registry=theirs
        ),
        prometheus_client.Gauge("shop_stock", "Stock.", ["who"], registry=theirs),
        prometheus_client.Histogram(
            "shop_wait_seconds", "Wait.", ["who"], registry=theirs, buckets=BUCKETS
        ),
    )
    for who, anything, positive in operations:
        for counter, gauge, histogram in (ours, client):
            counter.labels(who).inc(positive)
            gauge.labels(who).set(anything)
            histogram.labels(who).observe(positive)

    text = metrics.render().content.decode()
    assert samples_of(text) == pytest.approx(samples_of(generate_latest(theirs).decode()))
    open_text = metrics.render(accept=OPENMETRICS).content.decode()
    assert samples_of(open_text, parse_openmetrics) == pytest.approx(
        samples_of(generate_openmetrics(theirs).decode(), parse_openmetrics)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(), max_size=20))
def test_the_clients_own_functions_see_the_same_samples(values):
    metrics = Metrics(CollectorRegistry())
    histogram = metrics.histogram("wait_seconds", "Wait.", buckets=BUCKETS)
    for value in values:
        histogram.observe(value)

    ours = samples_of(metrics.render().content.decode())
    assert samples_of(generate_latest(metrics.registry).decode()) == pytest.approx(
        ours, nan_ok=True
    )
    assert metrics.registry.get_sample_value("wait_seconds_count") == len(values)


def test_values_that_are_no_numbers_are_written_as_prometheus_reads_them(metrics):
    gauge = metrics.gauge("g", "G.", ["x"])
    for name, value in {"a": math.inf, "b": -math.inf, "c": math.nan}.items():
        gauge.labels(name).set(value)
    histogram = metrics.histogram("h", "H.", buckets=[1])
    histogram.observe(math.nan)

    lines = metrics.render(prefix="g").content.decode().splitlines()
    assert lines[2:] == ['g{x="a"} +Inf', 'g{x="b"} -Inf', 'g{x="c"} NaN']
    assert 'h_bucket{le="1.0"} 0\nh_bucket{le="+Inf"} 1\nh_count 1\nh_sum 0.0' in (
        metrics.render().content.decode()
    )


def test_a_histogram_of_negative_numbers_has_no_sum_as_openmetrics_wants_it(metrics):
    histogram = metrics.histogram("change_percent", "%.", ["x"], buckets=[-1, 0, 1])
    histogram.labels("50%").observe(-3)
    histogram.labels("50%").observe(0.5)
    content = metrics.render(accept=OPENMETRICS).content.decode()
    assert 'change_percent_bucket{x="50%",le="1.0"} 2' in content
    assert "_sum" not in content
    assert samples_of(content, parse_openmetrics) == samples_of(
        generate_latest(metrics.registry).decode()
    )


def test_a_counter_only_goes_up(metrics):
    counter = metrics.counter("c_total", "C.")
    for amount in (-1, math.nan):
        with pytest.raises(ValueError, match="only goes up"):
            counter.inc(amount)
    counter.inc(2)
    assert metrics.registry.get_sample_value("c_total") == 2


def test_series_beyond_the_limit_share_one_that_is_counted_and_warned_about_once(metrics, caplog):
    counter = metrics.counter("logins_total", "Logins.", ["user", "how"], max_series=3)
    with caplog.at_level(logging.WARNING):
        for number in range(50):
            counter.labels(f"user{number}", "password").inc()

    assert len(counter) == 3
    value = metrics.registry.get_sample_value
    assert value("logins_total", {"user": OVERFLOW, "how": OVERFLOW}) == 47
    assert value("logins_total", {"user": "user2", "how": "password"}) == 1
    assert value("metrics_overflow_total", {"metric": "logins_total"}) == 47
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "logins_total reached its limit of 3 series" in caplog.text


def test_hostile_label_values_are_bounded_and_never_break_the_scrape(metrics):
    counter = metrics.counter("c_total", "C.", ["x"])
    for value in ("\ud800", "a" * 1_000_000, "", "\x00", "\u2028", 7, None):
        counter.labels(value).inc()
    counter.labels("\ud800").inc()

    content = metrics.render().content
    assert len(content) < 2_000
    found = samples_of(content.decode())
    assert found["c_total", (("x", "\\ud800"),)] == 2
    assert len(found) == 7


def test_labels_are_checked(metrics):
    counter = metrics.counter("c_total", "C.", ["a", "b"])
    assert counter.labels("1", "2") is counter.labels(b="2", a="1")
    for wrong in (lambda: counter.labels("1"), lambda: counter.labels(a="1"), counter.labels):
        with pytest.raises(ValueError, match="has the labels"):
            wrong()
    with pytest.raises(ValueError, match="call labels"):
        counter.inc()


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "é", "a:b", "a\n"])
def test_names_that_prometheus_does_not_take_are_refused(metrics, name):
    with pytest.raises(ValueError, match="metric name"):
        metrics.gauge(name, "G.")
    with pytest.raises(ValueError, match="label name"):
        metrics.gauge("g", "G.", [name])


def test_reserved_and_repeated_labels_are_refused(metrics):
    for labels in (["le"], ["__x"], ["pid"]):
        with pytest.raises(ValueError, match="no label name"):
            metrics.counter("c", "C.", labels)
    with pytest.raises(ValueError, match="twice"):
        metrics.counter("c", "C.", ["a", "a"])
    with pytest.raises(TypeError, match="list of names"):
        metrics.counter("c", "C.", "route")


@pytest.mark.parametrize("buckets", [[], [2, 1], [1, 1], [math.nan], [math.inf]])
def test_buckets_must_ascend(metrics, buckets):
    with pytest.raises(ValueError, match="ascend"):
        metrics.histogram("h", "H.", buckets=buckets)


def test_the_same_metric_asked_for_twice_is_one_and_a_different_one_is_refused(metrics):
    first = metrics.counter("orders", "Orders.", ["a"])
    assert metrics.counter("orders_total", "Orders.", ["a"]) is first
    for other in (
        lambda: metrics.counter("orders", "Orders.", ["b"]),
        lambda: metrics.gauge("orders", "Orders."),
        lambda: metrics.gauge("orders_total", "Clashes with the counter's sample."),
    ):
        with pytest.raises(ValueError, match="orders"):
            other()


def test_one_registry_has_one_metrics():
    registry = CollectorRegistry()
    metrics = Metrics.of(registry)
    assert Metrics.of(registry) is metrics
    with pytest.raises(ValueError, match=r"Metrics\.of"):
        Metrics(registry)


def test_a_new_registry_keeps_the_metrics_of_process_and_garbage_collector():
    names = {family.name for family in make_prometheus_registry().collect()}
    assert {"process_resident_memory_bytes", "python_info", "python_gc_collections"} <= names


def test_metrics_of_a_registry_go_when_it_goes():
    registry = CollectorRegistry()
    hub = Metrics.of(registry)
    gone = threading.Event()
    import weakref

    weakref.finalize(registry, gone.set)
    del registry, hub
    gc.collect()
    assert gone.is_set()


def test_counts_are_exact_under_threads(metrics):
    counter = metrics.counter("c_total", "C.", ["x"])
    gauge = metrics.gauge("g", "G.")
    histogram = metrics.histogram("h", "H.", buckets=[0.5])
    start = threading.Barrier(24)

    def work():
        start.wait()
        for number in range(300):
            counter.labels(number % 3).inc()
            gauge.inc()
            gauge.dec(0.5)
            histogram.observe(number % 2)

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    value = metrics.registry.get_sample_value
    assert [value("c_total", {"x": str(n)}) for n in range(3)] == [2400, 2400, 2400]
    assert value("g") == 3600
    assert (value("h_count"), value("h_sum")) == (7200, 3600)
    assert value("h_bucket", {"le": "0.5"}) == 3600


def test_exemplars_are_shown_in_openmetrics_only(metrics):
    counter = metrics.counter("c_total", "C.")
    histogram = metrics.histogram("h", "H.", buckets=[1, 2])
    counter.inc(exemplar={"trace_id": "abc"})
    histogram.observe(1.5, {"trace_id": "def"})

    families = {
        f.name: f for f in parse_openmetrics(metrics.render(accept=OPENMETRICS).content.decode())
    }
    assert families["c"].samples[0].exemplar.labels == {"trace_id": "abc"}
    (bucket,) = [s for s in families["h"].samples if s.exemplar]
    assert (bucket.labels["le"], bucket.exemplar.value) == ("2.0", 1.5)
    assert bucket.exemplar.labels == {"trace_id": "def"}
    assert "abc" not in metrics.render().content.decode()
    with pytest.raises(ValueError, match="128 characters"):
        counter.inc(exemplar={"trace_id": "x" * 200})
    assert metrics.registry.get_sample_value("c_total") == 1


def test_a_histogram_times_a_block_that_raises_too(metrics):
    histogram = metrics.histogram("h", "H.", ["what"])
    with histogram.time("a"):
        pass
    with pytest.raises(KeyError), histogram.time(what="a"):
        raise KeyError
    assert metrics.registry.get_sample_value("h_count", {"what": "a"}) == 2


def test_samplers_run_and_one_that_fails_is_logged_once(metrics, caplog):
    gauge, broken = metrics.gauge("g", "G."), [True]

    def sampler():
        if broken[0]:
            raise ConnectionError
        gauge.set(5)

    metrics.add_sampler(sampler)
    with caplog.at_level(logging.WARNING):
        metrics.sample()
        metrics.sample()
    assert len(caplog.records) == 1
    broken[0] = False
    metrics.sample()
    assert metrics.registry.get_sample_value("g") == 5


async def test_rendering_while_everybody_counts_is_consistent(metrics):
    histogram = metrics.histogram("h", "H.", ["x"], buckets=[0.5])
    stop = threading.Event()

    def work():
        number = 0
        while not stop.is_set():
            histogram.labels(number % 50).observe(1)
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            content = (await asyncio.to_thread(metrics.render)).content.decode()
            found = samples_of(content)
            for (name, labels), value in found.items():
                if name == "h_count":
                    assert found["h_sum", labels] == value
    finally:
        stop.set()
        thread.join()


class NumberOfALibrary(float):
    """Like numpy's: sums stay of its kind, and write themselves in their own way."""

    def __add__(self, other):
        return NumberOfALibrary(float(self) + float(other))

    __radd__ = __add__

    def __rsub__(self, other):
        return NumberOfALibrary(float(other) - float(self))

    def __repr__(self):
        return f"np.float64({float(self)})"


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_numbers_of_other_libraries_leave_the_metrics_readable(metrics, accept):
    amount = NumberOfALibrary(2)
    metrics.counter("shop_orders_total", "O.").inc(amount, {"trace_id": "a"})
    metrics.gauge("shop_stock", "S.").inc(amount)
    metrics.gauge("shop_room", "R.").dec(amount)
    metrics.histogram("shop_wait_seconds", "W.").observe(amount, {"trace_id": "a"})

    text = metrics.render(accept=accept).content.decode()
    found = samples_of(text, parse_openmetrics if accept else parse_text)
    assert found["shop_orders_total", ()] == found["shop_stock", ()] == 2
    assert found["shop_room", ()] == -2
    assert found["shop_wait_seconds_sum", ()] == 2


def test_no_text_of_a_caller_makes_the_whole_scrape_fail(metrics):
    counter = metrics.counter("shop_orders_total", "Half a pair: \ud800.")
    counter.inc(1, {"who": "\ud800"})
    for name in ("two words", "a\nb", "", "1st", "naïve"):
        with pytest.raises(ValueError, match="label name"):
            counter.inc(1, {name: "x"})
    for write in (generate_latest, generate_openmetrics):
        assert b"shop_orders_total 1.0" in write(metrics.registry)
    text = metrics.render(accept=OPENMETRICS).content.decode()
    assert samples_of(text, parse_openmetrics)["shop_orders_total", ()] == 1
    assert b"shop_orders_total 1.0" in metrics.render().content
