"""What a generation yields -> the bytes of an event stream.

Knows framing, padding and how a stream ends; knows no status codes and no sockets.
"""

import logging
import random
import string
from collections.abc import AsyncIterable, AsyncIterator

import msgspec

from homerun.api.errors import describe
from homerun.api.wire import result_object
from homerun.errors import HomerunError
from homerun.types import Finished, GenerationItem, TextDelta

DONE = b"data: [DONE]\n\n"
WORKING = b": working\n\n"
PADDING_LENGTHS = (8, 41)

_log = logging.getLogger(__name__)
_DIGITS = string.digits + string.ascii_lowercase
_POOL = "".join(random.choices(_DIGITS, k=4096))


def data_frame(event: object) -> bytes:
    """One `data:` frame: a single line of UTF-8 JSON (the encoder escapes line breaks)."""
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


def padding() -> str:
    """Base-36 text of random length, which hides the length of a frame's text from onlookers.

    What it says does not matter, so it is cut from a pool drawn at start.
    """
    start = random.randrange(len(_POOL) - PADDING_LENGTHS[1])
    return _POOL[start : start + random.randint(*PADDING_LENGTHS)]


async def encode_stream(
    items: AsyncIterable[GenerationItem], request_id: str
) -> AsyncIterator[bytes]:
    """Yields the frames of one generation; never raises for a generation that fails.

    `[DONE]` stands at the end of a success only: a stream that fails midway ends with a frame
    that holds the error.
    """
    try:
        async for item in items:
            if isinstance(item, TextDelta):
                yield data_frame({"response": item.text, "p": padding()})
            elif isinstance(item, Finished):
                yield data_frame(result_object("", item))
                yield DONE
            else:
                yield WORKING
    except Exception as error:
        if not isinstance(error, HomerunError):
            _log.exception("request %s failed in its stream", request_id)
        answer = describe(error, request_id)
        errors = [{"code": answer.code, "message": answer.message}]
        yield data_frame({"response": "", "errors": errors})
