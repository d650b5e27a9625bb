"""The import rule: that its contracts hold, that they can fail, and what they cannot express."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project.source import PACKAGE, ROOT, called, imported, modules

LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"

# A module that breaks the rule, and the contract that must notice.
VIOLATIONS = {
    "upward": ("model/broken.py", "import homerun.engine", "downward"),
    "upward at the base": ("errors.py", "import homerun.settings", "downward"),
    "sideways": ("text/broken.py", "import homerun.model", "sideways"),
    "an unlisted room": ("attic/__init__.py", "import homerun.errors", "Rooms"),
    "web framework": ("service/broken.py", "import starlette.routing", "web framework"),
    "NumPy": ("engine/broken.py", "import numpy as np", "NumPy"),
    "NumPy in a function": ("api/broken.py", "def f():\n    import numpy", "NumPy"),
    "Ray": ("service/broken.py", "from ray import serve", "Ray"),
    "PyTorch": ("model/broken.py", "import torch.nn", "PyTorch"),
    "downloads": ("service/broken.py", "def f():\n    import huggingface_hub", "Downloads"),
    "oracle": ("model/broken.py", "from safetensors import safe_open", "oracles"),
}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    # -S: an editable install of homerun would otherwise be found before root / "src".
    path = os.pathsep.join([str(root / "src"), sysconfig.get_path("purelib")])
    return subprocess.run(
        [sys.executable, "-S", "-c", LINTER, "--no-logo", "--no-cache"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small package with every room of the rule, under the contracts of pyproject.toml."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "homerun"
    rooms = "cli cluster api service engine functions store model grammar text"
    for name in ["", *rooms.split()]:
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    for name in ("types", "settings", "files", "native", "machine", "errors"):
        (package / f"{name}.py").touch()
    return tmp_path


def write(tree: Path, module: str, text: str) -> None:
    path = tree / "src" / "homerun" / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")


def test_the_package_keeps_the_rule() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_the_rule_allows_passes(tree: Path) -> None:
    write(tree, "cli/main.py", "import homerun.api.app\nimport homerun.settings")
    write(tree, "api/app.py", "import starlette, uvicorn\nimport homerun.service")
    write(tree, "cluster/app.py", "import ray, starlette\nimport homerun.api.app")
    write(tree, "engine/runner.py", "import numpy\nimport homerun.model, homerun.native")
    write(tree, "model/ops/torch_ops.py", "import torch, triton, numpy")
    write(tree, "model/ops/__init__.py", "")
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_what_the_rule_forbids_fails(tree: Path, violation: str) -> None:
    module, text, contract = VIOLATIONS[violation]
    write(tree, module, text)
    result = lint(tree)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert any(contract in line for line in broken), result.stdout


# What import-linter cannot express.


def offenders(rule: Callable[[str, ast.Module], object]) -> list[str]:
    return [path for path, tree in modules().items() if rule(path, tree)]


def test_only_the_kernels_own_modules_touch_the_extension() -> None:
    allowed = {"native.py", "model/ops/native.py"}
    users = offenders(
        lambda _, tree: any(name.startswith("homerun._native") for name in imported(tree))
    )
    assert set(users) <= allowed


def test_no_module_is_imported_by_a_computed_name() -> None:
    """Such an import would go past the contracts."""
    forbidden = {"__import__", "importlib.import_module", "import_module"}
    assert not offenders(lambda _, tree: forbidden & {called(node) for node in ast.walk(tree)})


def test_the_package_needs_nothing_of_the_rest_of_the_repository() -> None:
    outside = {"tests", "training", "benchmarks", "examples"}
    assert not offenders(
        lambda _, tree: outside & {name.partition(".")[0] for name in imported(tree)}
    )


def test_imports_are_absolute() -> None:
    assert not offenders(
        lambda _, tree: any(
            isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree)
        )
    )


def test_every_module_says_what_it_knows() -> None:
    assert not offenders(lambda _, tree: tree.body and not ast.get_docstring(tree))


def test_no_module_is_longer_than_400_lines() -> None:
    assert not offenders(
        lambda path, _: (PACKAGE / path).read_text(encoding="utf-8").count("\n") > 400
    )
