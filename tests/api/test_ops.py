"""Liveness, readiness and metrics."""

import pytest

from homerun.api.app import create_app
from homerun.api.ops import not_ready
from homerun.settings import Settings
from tests.api.asgi import ask
from tests.api.fake_inference import FakeHealth, FakeInference, make_state


@pytest.mark.parametrize(
    ("health", "models", "draining", "database", "reasons"),
    [
        (FakeHealth(), ("m",), False, True, ()),
        (FakeHealth(alive=False), ("m",), False, True, ("the engine does not answer",)),
        (FakeHealth(draining=True), ("m",), False, True, ("the server is shutting down",)),
        (FakeHealth(), ("m",), True, True, ("the server is shutting down",)),
        (FakeHealth(), (), False, True, ("no model is loaded",)),
        (
            FakeHealth(alive=False),
            (),
            False,
            False,
            ("the engine does not answer", "no model is loaded", "the database cannot be read"),
        ),
    ],
)
def test_not_ready(health, models, draining, database, reasons):
    assert not_ready(health, models=models, draining=draining, database=database) == reasons


def test_readiness_follows_the_engine():
    inference = FakeInference()
    app = create_app(make_state(inference))
    assert ask(app, "/readyz").json == {"ready": True, "reasons": []}
    inference.reported = FakeHealth(alive=False)
    answer = ask(app, "/readyz")
    assert answer.status == 503
    assert answer.json == {"ready": False, "reasons": ["the engine does not answer"]}
    assert answer.headers["retry-after"] == "1"
    assert ask(app, "/livez").status == 200


def test_probes_answer_whoever_asks_and_metrics_do_not():
    app = create_app(make_state(settings=Settings(token="s3cret")))
    headers = [("host", "10.0.0.7:11787")]
    assert ask(app, "/livez", headers=headers).status == 200
    assert ask(app, "/readyz", headers=headers).status == 200
    assert ask(app, "/metrics", headers=headers).status == 401
    headers.append(("authorization", "Bearer s3cret"))
    answer = ask(app, "/metrics", headers=headers)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'homerun_build_info{instruction_set="",version="test"} 1.0' in answer.body
