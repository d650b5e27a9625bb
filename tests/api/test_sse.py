"""The event stream, frame by frame."""

import asyncio
import logging
import re

import pytest

from homerun.api.sse import DONE, encode_stream, padding
from homerun.errors import RequestAborted
from homerun.types import Finished, FinishReason, TextDelta, Usage, Working

ID = "63371b53-4237-44f1-baec-b690284ac214"
FINISHED = Finished(FinishReason.LENGTH, Usage(755, 10))
LAST = (
    b'data: {"response":"","usage":{"prompt_tokens":755,"completion_tokens":10,'
    b'"total_tokens":765,"prompt_tokens_details":{"cached_tokens":0}},"finish_reason":"length"}\n\n'
)


def frames(*items):
    async def generation():
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    async def collect():
        return [frame async for frame in encode_stream(generation(), ID)]

    return asyncio.run(collect())


def test_a_whole_stream():
    working, first, second, last, done = frames(
        Working(), TextDelta("Hello"), TextDelta(" at a\r\nwebpage\u2028é😀"), FINISHED
    )
    assert working == b": working\n\n"
    assert re.fullmatch(rb'data: {"response":"Hello","p":"[0-9a-z]{8,41}"}\n\n', first)
    text = " at a\\r\\nwebpage\u2028é😀".encode()
    assert second.startswith(b'data: {"response":"' + text + b'","p":"')
    assert last == LAST
    assert done == DONE == b"data: [DONE]\n\n"


def test_every_frame_is_one_line_of_utf8():
    text = "".join(map(chr, [*range(0x20), 0x7F, 0x85, 0x2028, 0x2029, 0xFEFF, 0x10FFFF]))
    for frame in frames(TextDelta(text), FINISHED):
        assert frame.endswith(b"\n\n")
        assert b"\n" not in frame[:-2]
        assert b"\r" not in frame
        frame.decode()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RequestAborted("The server is shutting down"), 3008, "The server is shutting down"),
        (ValueError("a secret"), 3043, "Internal server error"),
    ],
)
def test_an_error_ends_the_stream_without_done(error, code, message, caplog):
    with caplog.at_level(logging.ERROR):
        *_, last = frames(TextDelta("a"), error)
    assert last.decode() == (
        f'data: {{"response":"","errors":[{{"code":{code},'
        f'"message":"AiError: AiError: {message} ({ID})"}}]}}\n\n'
    )
    assert bool(caplog.records) is isinstance(error, ValueError)


def test_a_stream_without_its_end_has_no_done():
    assert DONE not in frames(TextDelta("a"))


def test_padding_lengths():
    drawn = [padding() for _ in range(2000)]
    assert {len(text) for text in drawn} == set(range(8, 42))
    assert len(set(drawn)) > 1500
