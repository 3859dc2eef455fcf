"""The build step of the wheel: copy the packages below `clerk_sync` and rewrite their imports.

Hatchling loads this file, for `make wheel` and for an installation from the address of the repository.
"""

import ast
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "clerk_sync"
PACKAGES = ("accounts", "webhooks", "health", "devclerk")
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
        copy.write_bytes(rewrite_imports(content, name=str(path)) if path.suffix == ".py" else content)


def rewrite_imports(source: bytes, *, name: str) -> bytes:
    """Return the module with its imports of our packages below `clerk_sync`.

    Only the names of modules change; the parser gives their positions. Raises ValueError for
    `import accounts`, which would bind another name.
    """
    lines = source.splitlines(keepends=True)
    for line, column in sorted(find_positions(source, name=name), reverse=True):
        before = lines[line - 1]
        lines[line - 1] = before[:column] + f"{NAME}.".encode() + before[column:]
    return b"".join(lines)


def find_positions(source: bytes, *, name: str) -> list[tuple[int, int]]:
    """Return line and column, in bytes, of each imported module that is one of ours."""
    found = []
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and is_ours(node.module or ""):
            # The formatter leaves one blank after the word `from`.
            found.append((node.lineno, node.col_offset + len("from ")))
        elif isinstance(node, ast.Import):
            ours = [alias for alias in node.names if is_ours(alias.name)]
            if any(alias.asname is None for alias in ours):
                raise ValueError(f"{name}:{node.lineno}: write `from ... import` or `import ... as`")
            found += [(alias.lineno, alias.col_offset) for alias in ours]
    return found


def is_ours(module: str) -> bool:
    """Return whether the module belongs to one of the packages."""
    return module.partition(".")[0] in PACKAGES
