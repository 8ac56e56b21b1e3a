from tidegate.services.latency import Latencies

S = 1_000_000


def test_a_call_is_running_until_it_ends_once() -> None:
    latencies = Latencies()
    with latencies.start("a") as first, latencies.start("a"):
        assert latencies.running("a") == 2
        first.end()
        first.end()
        assert latencies.running("a") == 1
    assert latencies.running("a") == 0
    assert latencies.latency_us("a", 0) is None


def test_the_first_content_is_measured() -> None:
    latencies = Latencies(decay_us=S)
    with latencies.start("a") as call:
        call.first_content(300_000, 0)
    assert latencies.latency_us("a", 0) == 300_000
    assert latencies.latency_us("a", 100 * S) == 0
    assert latencies.latency_us("b", 0) is None
    assert latencies.running("b") == 0


def test_the_oldest_idle_deployment_is_forgotten() -> None:  # trap V4
    latencies = Latencies(max_deployments=2)
    with latencies.start("a"):
        latencies.start("b").end()
        with latencies.start("c"):
            assert (latencies.running("a"), latencies.running("c"), len(latencies)) == (1, 1, 2)
