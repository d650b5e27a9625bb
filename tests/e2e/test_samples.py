"""The samples of the documentation, as they stand but for scheme and host, by real clients."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from .server import Server

README = (Path(__file__).parents[2] / "README.md").read_text()
MODELS = [
    "@cf/meta/llama-2-7b-chat-int8",
    "@cf/meta/llama-2-7b-chat-fp16",
    "@cf/meta-llama/llama-2-7b-chat-hf-lora",
    "@cf/google/gemma-2b-it-lora",
    "@cf/google/gemma-7b-it-lora",
    "@homerun/rookie",
]

CURL = """curl -sS {url}/client/v4/accounts/$CLOUDFLARE_ACCOUNT_ID/ai/run/{model} \\
  -X POST \\
  -H "Authorization: Bearer $CLOUDFLARE_AUTH_TOKEN" \\
  -d '{{ "messages": [{{ "role": "system", "content": "You are a friendly assistant" }}, """
CURL += """{{ "role": "user", "content": "Why is pizza so good" }}]}}'"""

NODE = """
async function run(model, prompt) {
  const messages = [
    { role: "system", content: "You are a friendly assistant" },
    { role: "user", content: prompt },
  ];
  const response = await fetch(`URL/client/v4/accounts/your-account-id/ai/run/${model}`, {
    headers: { Authorization: "Bearer {API_TOKEN}" },
    method: "POST",
    body: JSON.stringify({ messages }),
  });
  const result = await response.json();
  return result;
}
run("MODEL", "Tell me a story").then((response) => console.log(JSON.stringify(response)));
"""

NODE_STREAM = """
const response = await fetch("URL/client/v4/accounts/your-account-id/ai/run/MODEL", {
  method: "POST",
  body: JSON.stringify({ prompt: "Tell me a story", stream: true, seed: 5 }),
});
if (response.headers.get("content-type") !== "text/event-stream") throw new Error("no stream");
let text = "", done = false, buffer = "", usage;
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  buffer += chunk;
  let end;
  while ((end = buffer.indexOf("\\n\\n")) >= 0) {
    const line = buffer.slice(0, end);
    buffer = buffer.slice(end + 2);
    if (!line.startsWith("data: ")) continue;
    if (line === "data: [DONE]") { done = true; continue; }
    const data = JSON.parse(line.slice(6));
    text += data.response;
    usage = data.usage ?? usage;
  }
}
console.log(JSON.stringify({ text, done, usage }));
"""


def check(body: dict[str, object]) -> str:
    assert list(body) == ["result", "success", "errors", "messages"]
    assert body["success"] is True
    result = body["result"]
    assert isinstance(result, dict)
    usage = result["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert result["finish_reason"] in ("stop", "length")
    assert re.match(r"[A-Z]", result["response"])
    return result["response"]


@pytest.mark.parametrize("model", MODELS)
def test_curl(model: str, server: Server) -> None:
    """curl labels the body as a form; it is read as JSON all the same."""
    command = CURL.format(url=server.url, model=model)
    environment = {
        **server.environment,
        "CLOUDFLARE_ACCOUNT_ID": "023e105f4ecef8ad9ca31a8372d0c353",
        "CLOUDFLARE_AUTH_TOKEN": "None",
    }
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=environment, check=True)
    assert "pizza" in check(json.loads(done.stdout)).lower()


@pytest.mark.parametrize("model", MODELS)
def test_python(model: str, server: Server) -> None:
    response = requests.post(
        f"{server.url}/client/v4/accounts/your-account-id/ai/run/{model}",
        headers={"Authorization": "Bearer None"},
        json={
            "messages": [
                {"role": "system", "content": "You are a friendly assistant"},
                {"role": "user", "content": "Tell me all about PEP-8"},
            ]
        },
        timeout=60,
    )
    assert response.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["cf-ai-req-id"])
    stand_in = response.headers.get("homerun-stand-in")
    assert stand_in == (None if model == "@homerun/rookie" else "@homerun/rookie")
    check(response.json())


def node(program: str, server: Server, model: str) -> dict[str, object]:
    assert shutil.which("node"), "Node.js is needed for this test"
    text = program.replace("URL", server.url).replace("MODEL", model)
    done = subprocess.run(
        ["node", "--input-type=module", "-e", text], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_node(server: Server) -> None:
    check(node(NODE, server, MODELS[0]))


def test_node_stream_is_the_answer_in_pieces(server: Server) -> None:
    streamed = node(NODE_STREAM, server, MODELS[0])
    whole = server.run(MODELS[0], {"prompt": "Tell me a story", "seed": 5}).json()["result"]
    assert streamed["done"] is True
    assert streamed["text"] == whole["response"]
    streamed["usage"].pop("prompt_tokens_details")  # type: ignore[attr-defined]
    whole["usage"].pop("prompt_tokens_details")
    assert streamed["usage"] == whole["usage"]


def test_slashes_of_a_model_name_may_be_encoded(server: Server) -> None:
    check(server.run("@cf%2Fmeta%2Fllama-2-7b-chat-int8", {"prompt": "Hello"}).json())


@pytest.mark.parametrize("language", ["sh", "python", "js"])
def test_the_samples_of_the_readme_run(language: str, server: Server) -> None:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    samples = [block for block in blocks if "/client/v4/" in block]
    assert samples
    runner = {"sh": ["bash", "-c"], "python": [sys.executable, "-c"]}
    for sample in samples:
        text = sample.replace("http://127.0.0.1:11787", server.url)
        command = [*runner.get(language, ["node", "--input-type=module", "-e"]), text]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert re.search(r"response['\"]?: ?['\"][A-Z]", done.stdout), done.stdout
