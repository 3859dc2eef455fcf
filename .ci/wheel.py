"""The build step of the wheel: copy the packages below `clerk_sync` and rewrite the names of their modules.

Hatchling loads this file, for `make wheel` and for an installation from the address of the repository.
"""

import ast
import re
import tokenize
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "clerk_sync"
PACKAGES = ("accounts", "webhooks", "health", "devclerk")
# The dotted path of a module, as comments and docstrings name it.
PATH = re.compile(rf"(?<![\w/.@-])(?:{'|'.join(PACKAGES)})\.(?=[a-z])")
DOCSTRING = '"""Clerk users as saved Django users, for projects that have users of their own."""\n'


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Write the tree of the wheel into a temporary folder, which the build then includes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the tree. Raises ValueError for an import that cannot be rewritten."""
        self._folder = TemporaryDirectory()
        tree = Path(self._folder.name)
        for package in PACKAGES:
            copy_package(Path(self.root, package), tree / package)
        (tree / "__init__.py").write_text(DOCSTRING)
        (tree / "py.typed").touch()
        build_data["force_include"][str(tree)] = NAME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Delete the temporary folder."""
        self._folder.cleanup()


def copy_package(source: Path, target: Path) -> None:
    """Copy the files of a package, without compiled ones."""
    for path in sorted(source.rglob("*")):
        if path.is_dir() or path.suffix == ".pyc":
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        copy.write_bytes(rewrite_names(content, name=str(path)) if path.suffix == ".py" else content)


def rewrite_names(source: bytes, *, name: str) -> bytes:
    """Return the module with its names of our modules below `clerk_sync`, in imports and docstrings.

    Comments are rewritten too. Strings that are values hold none: `.ci/labels` refuses them. Raises
    ValueError for `import accounts`, which would bind another name.
    """
    tree = ast.parse(source, name)
    lines = source.decode().splitlines(keepends=True)
    found = [*find_imports(tree, name=name), *find_paths(source, tree=tree)]
    for line, column in sorted(found, reverse=True):
        before = lines[line - 1]
        lines[line - 1] = f"{before[:column]}{NAME}.{before[column:]}"
    return "".join(lines).encode()


def find_imports(tree: ast.Module, *, name: str) -> Iterator[tuple[int, int]]:
    """Yield line and column of each imported module that is one of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and is_ours(node.module or ""):
            # The formatter leaves one blank after the word `from`.
            yield node.lineno, node.col_offset + len("from ")
        elif isinstance(node, ast.Import):
            ours = [alias for alias in node.names if is_ours(alias.name)]
            if any(alias.asname is None for alias in ours):
                raise ValueError(f"{name}:{node.lineno}: write `from ... import` or `import ... as`")
            yield from ((alias.lineno, alias.col_offset) for alias in ours)


def find_paths(source: bytes, *, tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield line and column of each dotted path of ours in a comment or docstring."""
    docstrings = {(node.lineno, node.col_offset) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for token in tokenize.tokenize(BytesIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.start in docstrings):
            for number, text in enumerate(token.string.split("\n")):
                first = 0 if number else token.start[1]
                yield from ((token.start[0] + number, first + found.start()) for found in PATH.finditer(text))


def is_ours(module: str) -> bool:
    """Return whether the module belongs to one of the packages."""
    return module.partition(".")[0] in PACKAGES
