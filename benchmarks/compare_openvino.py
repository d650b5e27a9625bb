"""Random weights of one Llama shape under homerun and under OpenVINO GenAI, taking turns.

    python benchmarks/compare_openvino.py --peer-python PYTHON --shape llama-1.1b --batch 8

PYTHON is an interpreter with benchmarks/requirements.txt. The graph is written by hand
(`random_openvino.py`), so an exported model may run faster; products' precision, the cache's dtype
and quantization of activations are what the CPU plugin chooses by itself.
"""

import argparse
import json
from pathlib import Path

import turns


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    if case.shape.startswith("gemma"):
        raise SystemExit("the OpenVINO graph is written for Llama's shapes only")
    if case.phase == "prefill" and case.context:
        raise SystemExit("a prefill after a context is not measured")
    directory = options.files / f"{case.shape}-{case.dtype}-openvino"
    turns.made_once(directory, options.peer_python, "random_openvino.py", case)
    versions: set[str] = set()

    def peer() -> float:
        found = measure_openvino(case, directory, options.peer_python)
        versions.add(str(found["version"]))
        return float(found["tokens_per_s"])

    subjects = {"homerun": lambda: turns.homerun(case)["tokens_per_s"], "OpenVINO GenAI": peer}
    runs = turns.take_turns(subjects, options.rounds, quiet=options.json)
    turns.show(case, runs, f"OpenVINO GenAI {' '.join(versions)}", as_json=options.json)


def measure_openvino(case: turns.Case, directory: Path, python: str) -> dict[str, object]:
    """The JSON object of one process of `openvino_peer.py`."""
    script = str(Path(__file__).with_name("openvino_peer.py"))
    command = [python, script, str(directory), "--phase", case.phase]
    for name in ("tokens", "context", "batch", "repeat", "threads"):
        command += [f"--{name}", str(getattr(case, name))]
    return json.loads(turns.output("OpenVINO", command).splitlines()[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("int8", "bf16", "fp16"))
    parser.add_argument("--peer-python", required=True, help="interpreter with openvino-genai")
    parser.add_argument("--files", type=Path, default=Path("peer-files"), help="of the peer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
