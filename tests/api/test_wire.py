"""The success body, byte for byte."""

import msgspec

from homerun.api.wire import result_object, success_envelope
from homerun.types import Finished, FinishReason, Usage


def test_success_envelope():
    finished = Finished(FinishReason.STOP, Usage(42, 23, cached_tokens=16))
    body = msgspec.json.encode(success_envelope(result_object("Hé \n", finished)))
    assert body.decode() == (
        '{"result":{"response":"Hé \\n",'
        '"usage":{"prompt_tokens":42,"completion_tokens":23,"total_tokens":65,'
        '"prompt_tokens_details":{"cached_tokens":16}},"finish_reason":"stop"},'
        '"success":true,"errors":[],"messages":[]}'
    )
