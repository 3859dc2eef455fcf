"""Clerk's own scripts for browsers, from the npm packages that the developer has installed."""

from __future__ import annotations

import re
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from devclerk.frontend.browser import cors_headers
from devclerk.web import Answer, Request

# Clerk's addresses name a version; the installed one is served.
ADDRESS = re.compile(r"/npm/@clerk/(clerk-js|ui)@[\w.^~-]+/dist/((?:[\w-][\w.-]*/)*[\w-][\w.-]*)")
CONTENT_TYPES = {".js": "text/javascript; charset=utf-8", ".map": "application/json", ".css": "text/css"}
NOT_INSTALLED = (
    "Clerk's script is not installed: {missing}. Run `npm install @clerk/{package}` in the project of your "
    "frontend, and name its node_modules folder with --node-modules or CLERK_NODE_MODULES."
)
WITHOUT = {"ui": " Without Clerk's ready-made components set prefetchUI={false} on <ClerkProvider>."}


def script_answer(request: Request, *, node_modules: Path | None) -> Answer | None:
    """Return a script of an installed package, or None for another address."""
    match = ADDRESS.fullmatch(request.path)
    if match is None:
        return None
    answer = _find(node_modules, package=match[1], name=match[2])
    # Browsers load these scripts with `crossorigin` and hide an answer without the headers.
    return replace(answer, headers=cors_headers(request))


def _find(node_modules: Path | None, *, package: str, name: str) -> Answer:
    if node_modules is None:
        return _refusal("no node_modules folder is named", package=package)
    folder = node_modules / "@clerk" / package / "dist"
    if not folder.is_dir():
        return _refusal(f"there is no folder {folder}", package=package)
    file = folder / name
    if file.suffix not in CONTENT_TYPES or not file.is_file():
        detail = f"The installed @clerk/{package} has no file {name}."
        return Answer.refusal(detail, status=HTTPStatus.NOT_FOUND)
    return Answer(body=file.read_bytes(), content_type=CONTENT_TYPES[file.suffix])


def _refusal(missing: str, *, package: str) -> Answer:
    detail = NOT_INSTALLED.format(missing=missing, package=package) + WITHOUT.get(package, "")
    return Answer.refusal(detail, status=HTTPStatus.NOT_FOUND)
