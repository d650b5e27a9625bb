"""Nothing in the package runs data as code: no pickle, eval, exec, unsafe YAML or shell."""

import ast

from tests.project.source import called, imported, modules

MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = {
    *("eval", "exec", "compile", "builtins.eval", "builtins.exec"),
    *("torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
ARGUMENTS = {"shell", "allow_pickle"}


def dangers(tree: ast.Module) -> list[str]:
    """Names of what must not be there, in the order of the source."""
    found = sorted({name.partition(".")[0] for name in imported(tree)} & MODULES)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if called(node) in CALLS:
            found.append(called(node))
        for argument in node.keywords:
            off = isinstance(argument.value, ast.Constant) and argument.value.value is False
            if argument.arg in ARGUMENTS and not off:
                found.append(f"{argument.arg}=")
    return found


def test_the_package_has_none() -> None:
    assert {path: dangers(tree) for path, tree in modules().items() if dangers(tree)} == {}


def test_each_kind_would_be_found() -> None:
    source = """
import pickle
from marshal import loads
eval("1"); exec("1"); torch.load(f); yaml.load(f); os.system("ls")
subprocess.run(c, shell=True); numpy.load(f, allow_pickle=flag)
context.eval("1"); subprocess.run(c, shell=False); re.compile("a")
"""
    assert dangers(ast.parse(source)) == [
        *("marshal", "pickle", "eval", "exec", "torch.load", "yaml.load", "os.system"),
        *("shell=", "allow_pickle="),
    ]
