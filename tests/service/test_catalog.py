"""The catalog is the published one: names, ids, windows and schemas, byte for byte."""

import hashlib
import json

import pytest

from homerun.errors import InvalidModelName, NoRoute, NoSuchModel
from homerun.service.catalog import MAX_NAME_LENGTH, Catalog, CatalogModel

CATALOG = Catalog.load()
INT8 = "@cf/meta/llama-2-7b-chat-int8"
FP16 = "@cf/meta/llama-2-7b-chat-fp16"
HF_LORA = "@cf/meta-llama/llama-2-7b-chat-hf-lora"
GEMMA_2B = "@cf/google/gemma-2b-it-lora"
GEMMA_7B = "@cf/google/gemma-7b-it-lora"
ROOKIE = "@homerun/rookie"


def test_the_six_models_in_order():
    assert [model.name for model in CATALOG] == [INT8, FP16, HF_LORA, GEMMA_2B, GEMMA_7B, ROOKIE]
    assert len(CATALOG) == 6
    assert len({model.id for model in CATALOG}) == 6


@pytest.mark.parametrize(
    ("name", "id_", "dtype", "window", "lora", "beta", "template", "upstream"),
    [
        (INT8, "9c95c39d-45b3-4163-9631-22f0c0dc3b14", "int8", 8192, False, False,
         "llama2", "meta-llama/Llama-2-7b-chat-hf"),
        (FP16, "ca54bcd6-0d98-4739-9b3b-5c8b4402193d", "fp16", 4096, False, False,
         "llama2", "meta-llama/Llama-2-7b-chat-hf"),
        (HF_LORA, "7ed8d8e8-6040-4680-843a-aef402d6b013", "fp16", 8192, True, True,
         "llama2", "meta-llama/Llama-2-7b-chat-hf"),
        (GEMMA_2B, "e8e8abe4-a372-4c13-815f-4688ba655c8e", "bf16", 8192, True, True,
         "gemma", "google/gemma-2b-it"),
        (GEMMA_7B, "337170b7-bd2f-4631-9a57-688b579cf6d3", "bf16", 3500, True, True,
         "gemma", "google/gemma-7b-it"),
        (ROOKIE, "4d1cf55e-9c0a-4a7b-8d3e-6a1f0c2b7e95", "fp16", 2048, True, False,
         "rookie", None),
    ],
)  # fmt: skip
def test_facts(name, id_, dtype, window, lora, beta, template, upstream):
    model = CATALOG.find(name)
    assert (model.id, model.dtype, model.template) == (id_, dtype, template)
    assert model.context_window == window
    assert (model.lora, model.beta, model.upstream) == (lora, beta, upstream)
    assert model.family == ("gemma" if "gemma" in name else "llama")
    assert (model.bundled == "rookie") is (name == ROOKIE)


# SHA-256 of the canonical JSON (sorted keys, no spaces) of the schemas on the models' pages.
NEWER = "57365a20e5df84c2785f77c3de72792e7594f7d47c091cbabe6184c80cef9cf3"
GEMMA_2B_REVISION = "c05d58759a88dfa794495b0226584d1c6724138e2676afe9704fb3bf059bb5ab"


@pytest.mark.parametrize("model", CATALOG, ids=lambda model: model.name)
def test_schemas_are_the_published_ones(model):
    pair = {"input": model.input_schema, "output": model.output_schema}
    canonical = json.dumps(pair, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    expected = GEMMA_2B_REVISION if model.name == GEMMA_2B else NEWER
    assert hashlib.sha256(canonical.encode()).hexdigest() == expected


@pytest.mark.parametrize("model", CATALOG, ids=lambda model: model.name)
def test_parameter_ranges(model):
    older = model.name == GEMMA_2B
    for branch in model.input_schema["oneOf"]:
        ranges = {
            name: (item["type"], item.get("minimum"), item.get("maximum"), item.get("default"))
            for name, item in branch["properties"].items()
            if item.get("type") in ("number", "integer")
        }
        assert ranges == {
            "max_tokens": ("integer", None, None, 256),
            "temperature": ("number", 0, 5, 0.6),
            "top_p": ("number", 0, 2, None) if older else ("number", 0.001, 1, None),
            "top_k": ("integer", 1, 50, None),
            "seed": ("integer", 1, 9999999999, None),
            "repetition_penalty": ("number", 0, 2, None),
            "frequency_penalty": ("number", 0 if older else -2, 2, None),
            "presence_penalty": ("number", 0 if older else -2, 2, None),
        }


@pytest.mark.parametrize(
    "name",
    ["", "@cf/../secret", "@cf/./x", "@cf//x", "/x", "x/", "..", "@cf\\x", "a\nb", "a\0b", "a\x7f",
     "@" + "a" * MAX_NAME_LENGTH],
)  # fmt: skip
def test_what_cannot_be_a_name(name):
    with pytest.raises(InvalidModelName, match="The model name is invalid"):
        CATALOG.find(name)


def test_unknown_names():
    with pytest.raises(NoSuchModel, match="No such model @cf/no/such or task"):
        CATALOG.find("@cf/no/such")
    with pytest.raises(NoSuchModel):
        CATALOG.find("@" + "a" * (MAX_NAME_LENGTH - 1))
    with pytest.raises(NoRoute):
        CATALOG.find("no/such")


def test_a_served_checkpoint_joins_with_the_newest_schema():
    served = CatalogModel(
        name="my/model",
        id="my/model",
        description="",
        author="",
        family="llama",
        context_window=512,
    )
    catalog = CATALOG.plus([served])
    assert catalog.find("my/model") is served
    assert served.input_schema == CATALOG.find(INT8).input_schema
    assert CATALOG.get("my/model") is None
