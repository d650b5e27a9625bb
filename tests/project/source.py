"""The package's own sources, parsed once, for the tests that read them."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "homerun"


@cache
def modules() -> dict[str, ast.Module]:
    """Path inside `src/homerun` -> syntax tree, for every module of the package."""
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imported(tree: ast.Module) -> set[str]:
    """Full dotted names of everything a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def called(node: ast.AST) -> str:
    """`"module.name"` or `"name"` of a call's function, else the empty string."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""
