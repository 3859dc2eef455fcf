"""A word of its own in every input, and then a look at all that is written down or answered."""

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
from proof.rows import query
from proof.site import MONITORING, Site, against, database
from proof.stage import clerk_instance
from proof.trouble import Trouble, trouble_in

WRITTEN = (
    "webhooks_webhookevent",
    "health_syncfailure",
    "accounts_syncrun",
    "django_session",
    "django_admin_log",
)


class Canaries:
    """Words that nobody else uses, one for each input."""

    def __init__(self) -> None:
        self._inputs: dict[str, str] = {}

    def __call__(self, where: str) -> str:
        """Give the word for this input."""
        word = f"kanarie{len(self._inputs):04d}x"
        self._inputs[word] = where
        return word

    def __len__(self) -> int:
        return len(self._inputs)

    def in_(self, text: str) -> list[str]:
        """Name the inputs whose words are in the text."""
        folded = text.casefold()
        return [where for word, where in self._inputs.items() if word in folded]


def no_word_of_a_stranger_or_a_person_is_written_down(*, seed: int) -> Mapping[str, object]:
    """A canary in each input: none in a log, an answer, the ledger, a failure row, a command's output."""
    return sing(errors=("53100", "23505", "XX000", "die"))


def sing(*, errors: tuple[str, ...], with_commands: bool = True) -> Mapping[str, object]:
    """Put canaries everywhere, also while the database fails in each of these ways, and look for them."""
    canaries = Canaries()
    places: dict[str, str] = {}
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=2, CLERK_INSTANCE_ID=clerk.instance_id) as site,
        trouble_in(server.url) as trouble,
    ):
        answers = list(_strangers(site, canaries))
        answers += _tokens(site, clerk, canaries)
        answers += _webhooks(site, clerk, canaries)
        people = _people(clerk, canaries)
        answers += _visits(site, clerk, people)
        for kind in errors:
            answers += _in_trouble(site, clerk, _people(clerk, canaries), trouble=trouble, kind=kind)
        places |= {
            f"answer to {each.request.method} {number}": _all_of(each) for number, each in enumerate(answers)
        }
        if with_commands:
            outputs = _commands(site, clerk, canaries, trouble=trouble)
            places |= {f"output of {name}": text for name, text in outputs}
        for path in ("/health/sync", "/metrics"):
            response = site.get(path, headers=MONITORING)
            assert response.status_code == 200
            places[path] = response.text
        places |= {table: _dump(server.url, table) for table in WRITTEN}
        places["log"] = site.log.read_text()
        rows = {table: query(server.url, f"SELECT count(*) FROM {table}")[0][0] for table in WRITTEN}  # noqa: S608 - our own names
        secrets = [clerk.secret_key, clerk.webhook_secret, site.environment["DJANGO_SECRET_KEY"]]
    found = {place: words for place, text in places.items() if (words := canaries.in_(text))}
    assert not found, f"canaries got out: {json.dumps(found, indent=1)}"
    shown = [place for place, text in places.items() if any(secret in text for secret in secrets)]
    assert not shown, f"a secret stands in {shown}"
    assert rows["health_syncfailure"], "no failure was recorded, so none could hold a canary"
    return {
        "canaries": len(canaries),
        "answers looked at": len(answers),
        "log lines looked at": places["log"].count("\n"),
        "rows looked at": rows,
        "found": 0,
    }


def _all_of(response: requests.Response) -> str:
    path = str(response.request.path_url)
    if response.status_code == 200 and path.startswith("/api/v1/me"):
        return ""  # one's own row is what the address is for
    if path.startswith(("/admin/", "/api/docs")):
        return ""  # the way to the login names, to whoever asked, where he wanted to go
    return f"{response.status_code} {response.headers} {response.text}"


def _strangers(site: Site, canary: Canaries) -> Iterator[requests.Response]:
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
        yield site.me(site.mint("user_strange", claims={name: canary(f"claim {name}")}))
    for name in ("kid", "typ", "cat", "alg", "crit", "oiat", "jku", "custom"):
        yield site.me(site.mint("user_strange", header={name: canary(f"token header {name}")}))
    for fault in Fault:
        yield site.me(site.mint("user_strange", fault=fault, claims={"first_name": canary(f"token {fault}")}))
    good = site.mint("user_strange", claims={"first_name": canary("token with a broken signature")})
    yield site.me(good[:-6] + "AAAAAA")
    yield site.me(good + canary("too long") * 1000)
    yield site.me(
        clerk.emulator.keyring.sign(canary("token header").encode(), canary("token payload").encode())
    )


def _webhooks(site: Site, clerk: LocalClerk, canary: Canaries) -> Iterator[requests.Response]:
    def event(**parts: object) -> dict[str, object]:
        whole = {"object": "event", "type": "user.updated", "instance_id": clerk.instance_id}
        return whole | {"data": user_object(clerk.person("ada"))} | parts

    data = user_object(clerk.person("ada"))
    yield site.deliver(canary("signed body that is no JSON").encode())
    yield site.deliver(event(instance_id=canary("instance id")))
    yield site.deliver(event(timestamp=canary("timestamp")))
    yield site.deliver(event(event_attributes={"http_request": canary("event attributes")}))
    yield site.deliver(event(data=canary("data that is no object")))
    yield site.deliver(event(data=data | {"id": canary("id with a blank") + " x"}))
    for name in data:
        if name != "id":
            yield site.deliver(event(data=data | {name: canary(f"webhook field {name}")}))
    deleted = {"id": clerk.person("alan").id, "deleted": True, "external_id": canary("external id")}
    yield site.deliver(event(type="user.deleted", data=deleted))


def _people(clerk: LocalClerk, canary: Canaries) -> list[ClerkUser]:
    def somebody(**fields: object) -> ClerkUser:
        return clerk.new_person(**{"first_name": canary("first name")} | fields)

    return [
        somebody(last_name=canary("last name"), email=f"{canary('e-mail')}@example.test"),
        somebody(image_url=f"https://img.example.test/{canary('image')}"),
        somebody(last_name=canary("name too long") * 30),
        somebody(last_name=canary("name with NUL") + "\0"),
        somebody(email=canary("no address")),
        somebody(image_url=f"javascript:{canary('no picture')}"),
        somebody(external_id=canary("external id"), raw={"username": canary("username")}),
    ]


def _visits(site: Site, clerk: LocalClerk, people: list[ClerkUser]) -> Iterator[requests.Response]:
    for person in people:
        token = site.mint(person)
        yield site.me(token)
        yield site.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"})
        yield site.deliver(
            {"type": "user.updated", "instance_id": clerk.instance_id, "data": user_object(person)}
        )


def _in_trouble(
    site: Site, clerk: LocalClerk, people: list[ClerkUser], *, trouble: Trouble, kind: str
) -> list[requests.Response]:
    trouble.begin(kind)
    answers = list(_visits(site, clerk, people))
    trouble.end()
    trouble.begin(kind, at="commit")
    answers += _visits(site, clerk, people)
    trouble.end()
    assert {response.status_code for response in answers} <= {401, 503}
    return answers


def _commands(
    site: Site, clerk: LocalClerk, canary: Canaries, *, trouble: Trouble
) -> Iterator[tuple[str, str]]:
    """Run the operator's commands against a Clerk full of canaries; debug is what permits its plain http."""
    clerk.new_person(raw={"id": None, "first_name": canary("first name of nobody")})
    known = site.environment
    site.environment = known | against(clerk)
    token = clerk.mint("user_strange", claims={"first_name": canary("token for the doctor")})
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
        trouble.begin("23505")
        clerk.new_person(first_name=canary("name that cannot be written"))
        yield "backfill_users while the database fails", _output(site.manage("backfill_users", "--restart"))
        trouble.end()
    finally:
        site.environment = known


def _output(ended: subprocess.CompletedProcess[str]) -> str:
    return ended.stdout + ended.stderr


def _dump(address: str, table: str) -> str:
    with psycopg.connect(address) as connection:
        statement = sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table))
        return "\n".join(row for (row,) in connection.execute(statement).fetchall())
