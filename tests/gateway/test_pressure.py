import pytest

from tests.support.guarded_server import HOST, run, site, status
from tidegate.gateway.limits import Gate, Limits
from tidegate.gateway.pressure import CALM_LAG_S, LOOKS, SHED_LAG_S, Pressure

POST = b"POST /v1/x HTTP/1.1\r\nconnection: close\r\n" + HOST + b"content-length: 0\r\n\r\n"
PROBE = b"GET /healthz HTTP/1.1\r\nconnection: close\r\n" + HOST + b"\r\n"


def pressed(*lags_s: float) -> bool:
    gate = Gate(Limits())
    pressure = Pressure(gate)
    for lag_s in lags_s:
        pressure.observe(lag_s)
    return gate.overloaded


@pytest.mark.parametrize(
    ("lags_s", "expected"),
    [
        ((), False),
        ((SHED_LAG_S,) * (LOOKS - 1), False),
        ((SHED_LAG_S,) * LOOKS, True),
        ((SHED_LAG_S, 0.0) * LOOKS, False),
        ((*(SHED_LAG_S,) * LOOKS, SHED_LAG_S / 2), True),
        ((*(SHED_LAG_S,) * LOOKS, CALM_LAG_S), False),
    ],
)
def test_only_a_loop_that_stays_late_turns_calls_away(lags_s: tuple[float, ...], expected: bool) -> None:
    assert pressed(*lags_s) is expected


def test_a_process_that_is_behind_refuses_calls_and_answers_probes() -> None:
    async def main() -> tuple[bytes, int, int]:
        async with site() as here:
            gate = here.running._server.gate
            gate.overloaded = True
            refused, probe = await here.talk(POST), await here.talk(PROBE)
            gate.overloaded = False
            return refused, status(probe), status(await here.talk(POST))

    refused, probe, later = run(main())
    assert (status(refused), probe, later) == (503, 200, 200)
    assert b"retry-after: 1\r\n" in refused
