"""Canaries: a unique word in every input, and a search in all logs, tables, responses and outputs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping

import psycopg
import requests
from psycopg import sql

from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from devclerk.users import ClerkUser
from devclerk.wire import user_object
from tests.proof.database_faults import FaultInjector, inject_faults
from tests.proof.environment import clerk_instance
from tests.proof.rows import query
from tests.proof.site import MONITORING, Site, database, emulator_settings

SEARCHED_TABLES = (
    "webhooks_webhookevent",
    "health_syncfailure",
    "accounts_syncrun",
    "django_session",
    "django_admin_log",
)


class Canaries:
    """Unique words, one for each input."""

    def __init__(self) -> None:
        self._inputs: dict[str, str] = {}

    def __call__(self, input_name: str) -> str:
        """Return a new word for this input."""
        word = f"canary{len(self._inputs):04d}x"
        self._inputs[word] = input_name
        return word

    def __len__(self) -> int:
        return len(self._inputs)

    def find_in(self, text: str) -> list[str]:
        """Return the names of the inputs whose words are in the text."""
        folded = text.casefold()
        return [input_name for word, input_name in self._inputs.items() if word in folded]


def no_input_is_logged_stored_or_returned(*, seed: int) -> Mapping[str, object]:
    """A canary in each input: none is in a log, response, ledger row, failure row or output of a command."""
    return search_for_canaries(errors=("53100", "23505", "XX000", "die"))


def search_for_canaries(*, errors: tuple[str, ...], with_commands: bool = True) -> Mapping[str, object]:
    """Send canaries, also during these database errors; raise AssertionError if one is found."""
    canaries = Canaries()
    places: dict[str, str] = {}
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=2, CLERK_INSTANCE_ID=clerk.instance_id) as site,
        inject_faults(server.url) as faults,
    ):
        answers = list(_unauthenticated(site, canaries))
        answers += _tokens(site, clerk, canaries)
        answers += _webhooks(site, clerk, canaries)
        users = _create_users(clerk, canaries)
        answers += _send_profiles(site, clerk, users)
        for kind in errors:
            answers += _with_faults(site, clerk, _create_users(clerk, canaries), faults=faults, kind=kind)
        places |= {
            f"answer to {each.request.method} {number}": _full_text(each)
            for number, each in enumerate(answers)
        }
        if with_commands:
            outputs = _commands(site, clerk, canaries, faults=faults)
            places |= {f"output of {name}": text for name, text in outputs}
        for path in ("/health/sync", "/metrics"):
            response = site.get(path, headers=MONITORING)
            assert response.status_code == 200
            places[path] = response.text
        places |= {table: _dump(server.url, table) for table in SEARCHED_TABLES}
        places["log"] = site.log.read_text()
        rows = {table: query(server.url, f"SELECT count(*) FROM {table}")[0][0] for table in SEARCHED_TABLES}  # noqa: S608 - constant names
        secrets = [clerk.secret_key, clerk.webhook_secret, site.environment["DJANGO_SECRET_KEY"]]
    found = {place: words for place, text in places.items() if (words := canaries.find_in(text))}
    assert not found, f"canaries found: {json.dumps(found, indent=1)}"
    exposed = [place for place, text in places.items() if any(secret in text for secret in secrets)]
    assert not exposed, f"a secret is in {exposed}"
    assert rows["health_syncfailure"], "no failure was recorded, so none could hold a canary"
    return {
        "canaries": len(canaries),
        "responses searched": len(answers),
        "log lines searched": places["log"].count("\n"),
        "rows searched": rows,
        "found": 0,
    }


def _full_text(response: requests.Response) -> str:
    path = str(response.request.path_url)
    if response.status_code == 200 and path.startswith("/api/v1/me"):
        return ""  # the response is the caller's own row
    if path.startswith(("/admin/", "/api/docs")):
        return ""  # the redirect to the login contains the requested URL
    return f"{response.status_code} {response.headers} {response.text}"


def _unauthenticated(site: Site, canary: Canaries) -> Iterator[requests.Response]:
    for path in ("/{}", "/api/{}", "/api/v1/me/{}", "/admin/{}/", "/webhooks/{}", "/health/{}", "/static/{}"):
        yield site.get(path.format(canary(f"path {path}")))
    for path in ("/api/v1/me", "/api/v1/users", "/health/sync", "/metrics", "/admin/login/", "/api/docs"):
        word = canary(f"query of {path}")
        yield site.get(f"{path}?{word}={word}&search={word}&page={word}")
    for name in ("Authorization", "Cookie", "User-Agent", "Referer", "Origin", "Accept", "X-Forwarded-Host"):
        yield site.get("/api/v1/me", headers={name: canary(name)})
    for value in ("Bearer {}", "Basic {}", "Bearer a.{}.c", "bearer   {} x", "Bearer mt_{}"):
        yield site.get("/api/v1/me", headers={"Authorization": value.format(canary(value))})
    yield site.get("/api/v1/me", headers={"Host": f"{canary('Host')}.example.test"})
    yield site.get("/api/v1/me", headers={"X-Request-ID": f"{canary('X-Request-ID')} not well formed"})
    yield site.get("/api/v1/me", headers={"Cookie": f"sessionid={canary('session cookie')}"})
    yield site.get("/metrics", headers={"Authorization": f"Bearer {canary('monitoring token')}"})
    for path in ("/api/v1/me", "/webhooks/clerk", "/admin/login/", "/health/live"):
        word = canary(f"body to {path}")
        yield requests.post(site.url + path, data={word: word, "password": word}, timeout=30)
    names = ("svix-id", "svix-timestamp", "svix-signature")
    headers = {name: canary(name) for name in names}
    yield requests.post(
        f"{site.url}/webhooks/clerk", data=canary("unsigned body"), headers=headers, timeout=30
    )


def _tokens(site: Site, clerk: LocalClerk, canary: Canaries) -> Iterator[requests.Response]:
    claims = ("iss", "azp", "sub", "exp", "iat", "nbf", "sts", "sid", "act", "aud", "custom")
    for name in claims:
        yield site.me(site.mint("user_unknown", claims={name: canary(f"claim {name}")}))
    for name in ("kid", "typ", "cat", "alg", "crit", "oiat", "jku", "custom"):
        yield site.me(site.mint("user_unknown", header={name: canary(f"token header {name}")}))
    for fault in Fault:
        yield site.me(site.mint("user_unknown", fault=fault, claims={"first_name": canary(f"token {fault}")}))
    valid = site.mint("user_unknown", claims={"first_name": canary("token with a broken signature")})
    yield site.me(valid[:-6] + "AAAAAA")
    yield site.me(valid + canary("too long") * 1000)
    yield site.me(
        clerk.emulator.keyring.sign(canary("token header").encode(), canary("token payload").encode())
    )


def _webhooks(site: Site, clerk: LocalClerk, canary: Canaries) -> Iterator[requests.Response]:
    def event(**parts: object) -> dict[str, object]:
        whole = {"object": "event", "type": "user.updated", "instance_id": clerk.instance_id}
        return whole | {"data": user_object(clerk.person("ada"))} | parts

    data = user_object(clerk.person("ada"))
    yield site.deliver(canary("signed body that is not JSON").encode())
    yield site.deliver(event(instance_id=canary("instance id")))
    yield site.deliver(event(timestamp=canary("timestamp")))
    yield site.deliver(event(event_attributes={"http_request": canary("event attributes")}))
    yield site.deliver(event(data=canary("data that is not an object")))
    yield site.deliver(event(data=data | {"id": canary("id with a blank") + " x"}))
    for name in data:
        if name != "id":
            yield site.deliver(event(data=data | {name: canary(f"webhook field {name}")}))
    deleted = {"id": clerk.person("alan").id, "deleted": True, "external_id": canary("external id")}
    yield site.deliver(event(type="user.deleted", data=deleted))


def _create_users(clerk: LocalClerk, canary: Canaries) -> list[ClerkUser]:
    def create(**fields: object) -> ClerkUser:
        return clerk.new_person(**{"first_name": canary("first name")} | fields)

    return [
        create(last_name=canary("last name"), email=f"{canary('e-mail')}@example.test"),
        create(image_url=f"https://img.example.test/{canary('image')}"),
        create(last_name=canary("name too long") * 30),
        create(last_name=canary("name with NUL") + "\0"),
        create(email=canary("not an address")),
        create(image_url=f"javascript:{canary('not a picture')}"),
        create(external_id=canary("external id"), raw={"username": canary("username")}),
    ]


def _send_profiles(site: Site, clerk: LocalClerk, users: list[ClerkUser]) -> Iterator[requests.Response]:
    for user in users:
        token = site.mint(user)
        yield site.me(token)
        yield site.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"})
        yield site.deliver(
            {"type": "user.updated", "instance_id": clerk.instance_id, "data": user_object(user)}
        )


def _with_faults(
    site: Site, clerk: LocalClerk, users: list[ClerkUser], *, faults: FaultInjector, kind: str
) -> list[requests.Response]:
    faults.begin(kind)
    answers = list(_send_profiles(site, clerk, users))
    faults.end()
    faults.begin(kind, at="commit")
    answers += _send_profiles(site, clerk, users)
    faults.end()
    assert {response.status_code for response in answers} <= {401, 503}
    return answers


def _commands(
    site: Site, clerk: LocalClerk, canary: Canaries, *, faults: FaultInjector
) -> Iterator[tuple[str, str]]:
    """Run the operator's commands with canaries in Clerk; DEBUG permits the plain http of the emulator."""
    clerk.new_person(raw={"id": None, "first_name": canary("first name without id")})
    environment = site.environment
    site.environment = environment | emulator_settings(clerk)
    token = clerk.mint("user_unknown", claims={"first_name": canary("token for the doctor")})
    try:
        for arguments in (
            ("backfill_users",),
            ("backfill_users", "--dry-run", "--json"),
            ("reconcile_users", "--apply"),
            ("sync_user", clerk.people[-1].id),
            ("link_users", "--json"),
            ("clerk_doctor", "--token", token),
            ("clerk_doctor", "--token", canary("doctor's token")),
            ("sync_health", "--json"),
        ):
            yield " ".join(arguments[:2]), _output(site.manage(*arguments))
        faults.begin("23505")
        clerk.new_person(first_name=canary("name that cannot be written"))
        yield "backfill_users while the database fails", _output(site.manage("backfill_users", "--restart"))
        faults.end()
    finally:
        site.environment = environment


def _output(process: subprocess.CompletedProcess[str]) -> str:
    return process.stdout + process.stderr


def _dump(address: str, table: str) -> str:
    with psycopg.connect(address) as connection:
        statement = sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))
        return "\n".join(row for (row,) in connection.execute(statement).fetchall())
