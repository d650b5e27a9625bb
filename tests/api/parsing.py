"""Bodies in, requests or sentences out: what the tests of validation share."""

import json

import pytest

from homerun.api.validation import parse_request
from homerun.errors import BadInput
from homerun.service.catalog import Catalog

CATALOG = Catalog.load()
INT8 = CATALOG.find("@cf/meta/llama-2-7b-chat-int8")
USER = {"role": "user", "content": "hi"}
BRANCHES = ({"prompt": "hi"}, {"messages": [USER]})
NOT_MET = "oneOf at '/' not met, 0 matches: "


def parse(body, model=INT8):
    return parse_request(json.dumps(body).encode(), model)


def refusal(body, model=INT8):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(BadInput) as caught:
        parse_request(raw, model)
    return str(caught.value)
