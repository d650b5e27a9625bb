"""What int8 may cost in accuracy on text that rookie was not trained on."""

import pytest

from benchmarks.int8_accuracy import perplexities


@pytest.mark.nightly
def test_int8_keeps_the_perplexity_of_held_out_answers() -> None:
    (exact, tokens), (int8, _) = perplexities(8, [("fp32", "fp32"), ("int8", "fp32")])
    assert tokens > 500
    assert int8 / exact < 1.005
