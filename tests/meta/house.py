"""What the house tests share: where the files are, what they import, which clauses there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("golden", "cuda_impl", "verification", "vectors", "quant_gru", "qgru")
STEPS = ("rounding", "quantize", "rescale", "ranges", "linear", "activation", "gates", "hidden", "cell", "sequence")


def python_files(*folders: str) -> list[Path]:
    """Every Python file below these folders of the repository, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """Path of a file relative to the repository, the id of its test."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """Dotted name of the module in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, lazily or not; `from a import b` gives a.b."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module_of(path).split(".")
                up = node.level - (1 if path.name == "__init__.py" else 0)
                base = ".".join([*package[: len(package) - up], *([base] if base else [])])
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def public_functions(path: Path) -> dict[str, ast.FunctionDef]:
    """The functions of a module without a leading underscore, by name."""
    return {n.name: n for n in tree(path).body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}


@cache
def clauses() -> frozenset[str]:
    """The ids of the clauses in golden/SPEC.md, such as R-2 and GM-1, and of its sections, such as D and G-M."""
    found: set[str] = set()
    text = (ROOT / "golden" / "SPEC.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        match = re.match(r"([A-Z](?:-[MP])?)\. ", section)
        assert match is not None, f"a section without a letter: {section[:40]!r}"
        letter = match[1]
        found.add(letter)
        found.update(re.findall(rf"(?:^- |\. )({letter.replace('-', '')}-\d+)\b", section, flags=re.M))
        found.update(re.findall(rf"^\s+({letter.replace('-', '')}-\d+)\b", section, flags=re.M))
    return frozenset(found)
