"""The numbers that serving is scaled on: time in the queue per request since the last look."""

from __future__ import annotations

from serve_config.cloud_metrics import Look, metric_data, queue_ms, read_page

PAGE = """
# HELP skylift_workers Workers that are ready
# TYPE skylift_workers gauge
skylift_workers 2.0
# HELP skylift_rollout_percentage Share
# TYPE skylift_rollout_percentage gauge
skylift_rollout_percentage 25.0
# HELP skylift_refused_info The release that is refused now
# TYPE skylift_refused_info gauge
skylift_refused_info{name="tiny",version="b",reason="golden"} 1.0
# HELP ts_queue_latency_microseconds Cumulative queue duration in microseconds
# TYPE ts_queue_latency_microseconds counter
ts_queue_latency_microseconds{model_name="tiny",model_version="default",hostname="vm",} 120000.0
# HELP ts_inference_requests_total Total number of inference requests.
# TYPE ts_inference_requests_total counter
ts_inference_requests_total{model_name="tiny",model_version="default",hostname="vm",} 24.0
# HELP haproxy_backend_http_requests_total Total
# TYPE haproxy_backend_http_requests_total counter
haproxy_backend_http_requests_total{proxy="torchserve"} 20
haproxy_backend_http_requests_total{proxy="pages"} 7
# HELP haproxy_backend_queue_time_average_seconds Avg. queue time
# TYPE haproxy_backend_queue_time_average_seconds gauge
haproxy_backend_queue_time_average_seconds{proxy="torchserve"} 0.012500
haproxy_backend_queue_time_average_seconds{proxy="pages"} 9.000000
"""


def test_a_page_is_read() -> None:
    """The model's backend counts, the pages' does not."""
    assert read_page(PAGE, 5.0) == Look(
        seconds=5.0,
        queued_us=120000.0,
        answered=24.0,
        front_queue_seconds=0.0125,
        requests=20.0,
        workers=2.0,
        refused=1.0,
        percentage=25.0,
    )
    assert read_page("", 1.0) == Look(seconds=1.0)


def test_the_queue_is_what_was_waited_since() -> None:
    """2 seconds of waiting for 100 more requests are 20 ms each, and 5 ms in front of them."""
    before = Look(seconds=0, queued_us=1_000_000, answered=50)
    now = Look(seconds=60, queued_us=3_000_000, answered=150, front_queue_seconds=0.005)
    assert queue_ms(before, now) == 25.0


def test_an_idle_node_has_no_queue() -> None:
    """HAProxy's mean of the last requests stays for ever: it does not count without new ones."""
    look = Look(seconds=0, queued_us=1_000_000, answered=50, front_queue_seconds=3.0)
    assert queue_ms(look, look) == 0.0


def test_a_server_that_was_started_again_counts_from_nothing() -> None:
    """A counter that fell is a new one."""
    before = Look(seconds=0, queued_us=9_000_000, answered=900)
    assert queue_ms(before, Look(seconds=60, queued_us=40_000, answered=4)) == 10.0


def test_what_cloudwatch_is_told() -> None:
    """Four numbers, of the group alone."""
    before = Look(seconds=0, queued_us=0, answered=0, requests=10)
    now = Look(seconds=60, queued_us=120_000, answered=60, requests=130, workers=2, refused=1)
    dimensions = [{"Name": "Group", "Value": "serve"}]
    assert metric_data(before, now, "serve") == [
        {"MetricName": "QueueMilliseconds", "Value": 2.0, "Unit": "Milliseconds", "Dimensions": dimensions},
        {"MetricName": "RequestsPerSecond", "Value": 2.0, "Unit": "Count/Second", "Dimensions": dimensions},
        {"MetricName": "WorkersReady", "Value": 2, "Unit": "Count", "Dimensions": dimensions},
        {"MetricName": "Refused", "Value": 1, "Unit": "Count", "Dimensions": dimensions},
    ]
