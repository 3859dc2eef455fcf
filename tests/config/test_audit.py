"""`make audit` asks a database about each locked package, and reports when there is no database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.packages import ROOT
from tests.ports import free_port


def audit(url: str) -> subprocess.CompletedProcess[str]:
    """Run the audit of this project against the database at an address."""
    return subprocess.run(
        [sys.executable, ".ci/audit"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "OSV_URL": url.rstrip("/")},
        check=False,
        capture_output=True,
        text=True,
    )


def serve(database: HTTPServer, vulnerabilities: dict[str, list[str]]) -> list[str]:
    """Answer as the database does; return the list of the packages that it is asked about."""
    asked: list[str] = []

    def answer(request: Request) -> Response:
        addresses = [query["package"]["purl"] for query in request.get_json()["queries"]]
        asked.extend(addresses)
        found = [[{"id": each} for each in vulnerabilities.get(address, ())] for address in addresses]
        results = [{"vulns": vulns} if vulns else {} for vulns in found]
        return Response(json.dumps({"results": results}), content_type="application/json")

    database.expect_request("/v1/querybatch", method="POST").respond_with_handler(answer)
    return asked


def locked(name: str) -> str:
    """Return the version of a Python package in the lock."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (version,) = (package["version"] for package in packages if package["name"] == name)
    return str(version)


def test_each_locked_package_is_asked_about_once(httpserver: HTTPServer) -> None:
    asked = serve(httpserver, {})

    done = audit(httpserver.url_for("/"))

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(asked)} packages audited, 0 with known vulnerabilities.\n"
    assert len(asked) == len(set(asked))
    assert f"pkg:pypi/django@{locked('django')}" in asked
    react = json.loads((ROOT / "examples/nextjs/package-lock.json").read_text())["packages"]
    assert f"pkg:npm/react@{react['node_modules/react']['version']}" in asked
    assert f"pkg:npm/%40clerk/nextjs@{react['node_modules/@clerk/nextjs']['version']}" in asked
    assert [address for address in asked if "django-clerk-sync@" in address] == []


def test_a_vulnerability_is_reported_with_its_lock_file(httpserver: HTTPServer) -> None:
    address = f"pkg:pypi/django@{locked('django')}"
    serve(httpserver, {address: ["GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1"]})

    done = audit(httpserver.url_for("/"))

    assert done.returncode == 1
    advisories = "https://osv.dev/GHSA-aaaa-bbbb-cccc, https://osv.dev/PYSEC-2026-1"
    assert done.stdout.splitlines()[0] == f"{address}: {advisories} (uv.lock)"


def test_an_audit_without_a_database_does_not_pass() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = audit(url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("not audited: ")
    assert f"because {url} did not answer" in done.stderr


def test_an_answer_of_something_else_does_not_pass(httpserver: HTTPServer) -> None:
    for body in ("<html>", "[]", '{"results": [{}]}'):
        httpserver.clear()
        httpserver.expect_request("/v1/querybatch").respond_with_data(body)

        done = audit(httpserver.url_for("/"))

        assert (done.returncode, done.stdout) == (2, ""), body
        assert "not audited: " in done.stderr
