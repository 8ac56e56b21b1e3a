"""Token estimates per model, corrected by what its provider billed."""

from tidegate.policy.estimate import UNCALIBRATED, Calibration, learn

MAX_MODELS = 4096


class Calibrations:
    """One correction per (provider, model) for input text and one for generated text."""

    def __init__(self) -> None:
        self._input: dict[str, Calibration] = {}
        self._output: dict[str, Calibration] = {}

    def of_input(self, model: str) -> Calibration:
        """The correction for prompts of this model."""
        return self._input.get(model, UNCALIBRATED)

    def of_output(self, model: str) -> Calibration:
        """The correction for answers of this model."""
        return self._output.get(model, UNCALIBRATED)

    def learn_input(self, model: str, estimated_raw: int, billed: int) -> None:
        """Take in one bill of a prompt."""
        known = self._input
        if model in known or len(known) < MAX_MODELS:
            known[model] = learn(known.get(model, UNCALIBRATED), estimated_raw=estimated_raw, billed=billed)

    def learn_output(self, model: str, estimated_raw: int, billed: int) -> None:
        """Take in one bill of an answer."""
        known = self._output
        if model in known or len(known) < MAX_MODELS:
            known[model] = learn(known.get(model, UNCALIBRATED), estimated_raw=estimated_raw, billed=billed)
