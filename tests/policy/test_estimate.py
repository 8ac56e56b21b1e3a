from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.request import Part, Parts
from tidegate.policy.estimate import (
    MAX_RATIO_MILLI,
    MIN_RATIO_MILLI,
    UNCALIBRATED,
    Calibration,
    corrected,
    estimated,
    learn,
)


def test_no_text_is_no_tokens() -> None:
    got = estimated(Parts(), UNCALIBRATED, messages=0, images=0)
    assert (got.raw, got.parts) == (0, ((0, 0),) * 5)


def test_other_scripts_weigh_more_than_ascii() -> None:  # trap M13
    ascii_part = Part(size_bytes=400, text_bytes=400, ascii_bytes=400)
    other_part = Part(size_bytes=400, text_bytes=400, ascii_bytes=0)
    got = estimated(Parts(system=ascii_part, tools=other_part), UNCALIBRATED, messages=0, images=0)
    assert got.parts[:2] == ((400, 103), (400, 149))
    assert got.raw == 103 + 149


def test_messages_and_images_count_beside_their_text() -> None:
    assert estimated(Parts(), UNCALIBRATED, messages=3, images=2).raw == 3 * 4 + 2 * 800


def test_parts_are_corrected_and_the_whole_is_not() -> None:
    part = Part(size_bytes=390, text_bytes=390, ascii_bytes=390)
    got = estimated(Parts(history=part), Calibration(ratio_milli=1500), messages=0, images=0)
    assert (got.parts[2], got.raw) == ((390, 150), 100)


@given(st.integers(64, 10**7), st.integers(1, 10**8))
def test_the_ratio_stays_within_its_bounds(estimated: int, billed: int) -> None:
    calibration = UNCALIBRATED
    for _ in range(50):
        calibration = learn(calibration, estimated_raw=estimated, billed=billed)
    assert MIN_RATIO_MILLI <= calibration.ratio_milli <= MAX_RATIO_MILLI


def test_bills_move_the_estimate_to_the_truth() -> None:
    calibration = UNCALIBRATED
    for _ in range(100):
        calibration = learn(calibration, estimated_raw=1000, billed=1250)
    assert abs(corrected(1000, calibration) - 1250) <= 20


def test_a_tiny_call_teaches_nothing() -> None:
    assert learn(UNCALIBRATED, estimated_raw=10, billed=500) is UNCALIBRATED


def test_a_record_names_its_calibration() -> None:
    assert Calibration(ratio_milli=1073, calls=12).label == "bytes-1:1073:12"
