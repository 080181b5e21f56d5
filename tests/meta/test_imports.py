"""Who may import whom: the style of the house, by syntax (lazy imports included) and in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.meta.house import PACKAGES, ROOT, imports, module_of, name_of, python_files, tree

# Module prefix -> the prefixes of ours that it may import; the longest matching key decides.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "golden": ("golden",),
    "golden.spec": ("golden.spec",),
    "cuda_impl": ("cuda_impl", "golden.spec"),
    "verification": ("verification", "vectors", "cuda_impl", "golden"),
    "verification.exact": ("verification.exact", "golden.spec"),
    "vectors": ("vectors", "golden"),
    "quant_gru": ("quant_gru", "cuda_impl", "golden"),
    "qgru": PACKAGES,
}
# The packages of others that arithmetic may use.
MAY_USE: dict[str, tuple[str, ...]] = {
    "golden": ("numpy",),
    "cuda_impl": ("numpy", "numba", "llvmlite", "cuda"),  # cuda: the driver's bindings, which numba-cuda brings
    "verification.exact": ("numpy",),
}
FILES = python_files(*PACKAGES)


def within(module: str, prefix: str) -> bool:
    """Whether module is prefix or below it."""
    return module == prefix or module.startswith(prefix + ".")


def forbidden(module: str, imported: set[str]) -> set[str]:
    """What a module of ours imports of ours and may not."""
    rule = max((p for p in MAY_IMPORT if within(module, p)), key=len)
    ours = {name for name in imported if any(within(name, p) for p in (*PACKAGES, "tests"))}
    return {name for name in ours if not any(within(name, p) for p in MAY_IMPORT[rule])}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_only_what_the_house_allows(path):
    assert forbidden(module_of(path), imports(path)) == set()


@pytest.mark.parametrize("path", [p for p in FILES if any(within(module_of(p), m) for m in MAY_USE)], ids=name_of)
def test_arithmetic_uses_few_packages_of_others(path):
    allowed = next(names for prefix, names in MAY_USE.items() if within(module_of(path), prefix))
    tops = {name.split(".")[0] for name in imports(path)} - set(PACKAGES) - sys.stdlib_module_names
    assert tops - set(allowed) == set()


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("cuda_impl.cell", "golden.rounding.ties_up"),
        ("cuda_impl.cell", "golden"),
        ("verification.exact.cell", "golden.rescale"),
        ("verification.exact.cell", "verification.compare"),
        ("golden.spec.params", "golden.rounding"),
        ("golden.cell", "cuda_impl.cell"),
        ("vectors.writer", "cuda_impl.sequence"),
        ("quant_gru.load", "vectors.reader"),
        ("verification.compare", "qgru.run"),
        ("qgru.cli", "tests.meta.house"),
    ],
)
def test_a_forbidden_import_is_seen(module, imported):
    assert forbidden(module, {imported}) == {imported}


@pytest.mark.parametrize("package", PACKAGES)
def test_top_of_a_package_runs_nothing_heavy(package):
    body = tree(ROOT / package / "__init__.py").body
    assert body, f"{package}/__init__.py has no docstring"
    assert not [name for name in imports(ROOT / package / "__init__.py") if not within(name, package)]


def test_golden_init_is_a_docstring_only():
    (only,) = tree(ROOT / "golden" / "__init__.py").body
    assert only.value.value.startswith("The executable specification")


def loaded(statement: str) -> set[str]:
    """The modules of ours, and the heavy ones, that a fresh interpreter holds after a statement."""
    heavy = ("numba", "torch", "hypothesis", "rich", "onnx", "matplotlib")
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return {m for m in run.stdout.splitlines() if any(within(m, p) for p in (*PACKAGES, *heavy))}


def test_golden_spec_loads_nothing_else_of_ours():
    names = "arrays bounds errors formats layout params profile rounding serial tables trace".split()
    found = loaded("\n".join(f"import golden.spec.{name}" for name in names))
    assert found == {"golden", "golden.spec", *(f"golden.spec.{name}" for name in names)}


def test_the_twin_loads_nothing_of_golden_but_its_vocabulary():
    ours = {m for m in loaded("import cuda_impl.sequence") if any(within(m, p) for p in PACKAGES)}
    assert "cuda_impl.sequence" in ours
    assert {m for m in ours if not within(m, "cuda_impl") and not within(m, "golden.spec")} == {"golden"}


def test_the_judge_loads_nothing_of_golden_but_its_vocabulary():
    found = loaded("import verification.exact.sequence")
    assert "verification.exact.sequence" in found
    allowed = ("verification.exact", "golden.spec")
    assert {m for m in found if not any(within(m, p) for p in allowed)} == {"golden", "verification"}


def test_the_help_of_the_command_loads_nothing_heavy():
    found = loaded("from qgru.cli import main\nassert main(['--help']) == 0")
    assert found == {"qgru", "qgru.cli", "qgru.run"}
