"""Our verifier compared with PyJWT, joserfc, Authlib and Clerk's SDKs: they accept what we accept.

EXPLAINED has the reason of each difference. A difference without an explanation, or an explanation without a
difference, makes the claim false. `python -m tests.proof.differential` writes the table.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from accounts.clerk.keys import pem_keys
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.tokens import Keyring
from tests.proof.cases import ISSUER, LEEWAY_SECONDS, NOW, PARTY, Case, generate_cases
from tests.proof.verifiers import AUTHLIB, CLERK_JAVASCRIPT, CLERK_PYTHON, JOSERFC, PYJWT, installed_verifiers

REPORT = Path(__file__).parent / "differential.md"
ACCEPTED = "accepted"
GENERAL = (PYJWT, JOSERFC, AUTHLIB)
CLERKS = (CLERK_PYTHON, CLERK_JAVASCRIPT)
ALL = GENERAL + CLERKS


@dataclass(frozen=True, slots=True)
class Explained:
    """The reason why these verifiers differ from us, where we answer `ours` to a token altered at `place`."""

    ours: str
    place: str
    verifiers: Sequence[str]
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Return whether this explains the difference."""
        return (
            difference.ours == self.ours
            and difference.verifier in self.verifiers
            and fnmatchcase(difference.case.place, self.place)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One token that we answer with `ours` (a code, or accepted) and a verifier with the opposite."""

    case: Case
    verifier: str
    ours: str


MALFORMED, TYPE, CLAIMS = "token_malformed", "token_type_mismatch", "token_invalid_claims"
PENDING, PARTIES, ISSUERS = "session_pending", "token_invalid_authorized_party", "token_invalid_issuer"
LIMITS = "our limits are lower: 8,192 characters, and no nesting deeper than the stack"

# What we accept and others refuse. None of it decides the identity of a user or the lifetime of a session.
WIDER = (
    Explained(
        ACCEPTED,
        "claim aud",
        (CLERK_PYTHON,),
        "CLERK_AUDIENCE is not set: we, like Clerk's JavaScript, do not read `aud` then; PyJWT inside the "
        "SDK refuses every audience if none is configured",
    ),
    Explained(ACCEPTED, "claim aud", (JOSERFC,), "CLERK_AUDIENCE is not set: we do not read `aud` then"),
    Explained(
        ACCEPTED,
        "claim jti",
        (PYJWT, JOSERFC, CLERK_PYTHON),
        "we do not read `jti`, so its type does not matter",
    ),
    Explained(
        ACCEPTED,
        "header [cjx]*",
        (JOSERFC,),
        "it checks the type of fields that neither it nor we use",
    ),
    Explained(
        ACCEPTED,
        "claim exp",
        (PYJWT, CLERK_PYTHON, CLERK_JAVASCRIPT),
        "they truncate fractions, we do not: half a second; Clerk writes whole seconds",
    ),
    Explained(ACCEPTED, "claim iat", (AUTHLIB,), "it reads a zero as an absent claim"),
)
# What others accept and we refuse.
NARROWER = (
    Explained(PENDING, "*", ALL, "we refuse a session with an open task (CLERK_ALLOW_PENDING_SESSIONS)"),
    Explained(PARTIES, "*", GENERAL, "`azp` is Clerk's own claim: general libraries do not know it"),
    Explained(ISSUERS, "*", CLERKS, "Clerk's SDKs do not read `iss`: they rely on the key"),
    Explained(
        TYPE,
        "header cat",
        ALL,
        "classes of tokens share one key; only Clerk's JavaScript SDK refuses one of them",
    ),
    Explained(
        TYPE, "fault template", ALL, "a template token is not a session token; the others do not read `cat`"
    ),
    Explained(
        TYPE, "fault machine", GENERAL, "a machine token is not a session token; the others do not read `cat`"
    ),
    Explained(TYPE, "claim sub", ALL, "the id of a machine is not a user id"),
    Explained(TYPE, "header typ", (*GENERAL, CLERK_PYTHON), "they do not read `typ`, or only check its type"),
    Explained(
        CLAIMS, "claim act", ALL, "the others do not read `act`: we report the actor, so its id must be valid"
    ),
    Explained(CLAIMS, "claim sid", ALL, "the others do not read `sid`: we require the id of the session"),
    Explained(CLAIMS, "claim sts", ALL, "the others do not read `sts`"),
    Explained(
        CLAIMS, "claim sub", ALL, "they accept any string; we accept only the format of Clerk's user ids"
    ),
    Explained(
        CLAIMS,
        "claim exp",
        ALL,
        "they accept strings and times beyond any date; the SDK does not require `exp`",
    ),
    Explained(
        CLAIMS,
        "claim iat",
        (PYJWT, *CLERKS),
        "they accept strings, true and absurd times; the SDKs do not require `iat`",
    ),
    Explained(CLAIMS, "claim nbf", (PYJWT, *CLERKS), "they accept strings, true and absurd times"),
    Explained(
        CLAIMS,
        "payload",
        (AUTHLIB, CLERK_JAVASCRIPT),
        "they accept a number that overflows to infinity as `exp`",
    ),
    Explained(
        "token_expired", "claim exp", (AUTHLIB,), "it accepts the exact end of the leeway, RFC 7519 does not"
    ),
    *(
        Explained(
            code, f"claim {claim}", (PYJWT, *CLERKS), "they truncate fractions, we do not: half a second"
        )
        for code, claim in (("token_not_active_yet", "nbf"), ("token_iat_in_the_future", "iat"))
    ),
    Explained(MALFORMED, "header", ALL, "a duplicate name or NaN in the header is ambiguous"),
    Explained(MALFORMED, "payload", ALL, f"duplicate names, NaN, UTF-16, a byte order mark; and {LIMITS}"),
    Explained(
        MALFORMED, "header b64", ALL, "RFC 7797 changes what is signed: we refuse the field with any value"
    ),
    Explained(
        MALFORMED,
        "header kid",
        (AUTHLIB, CLERK_JAVASCRIPT),
        "RFC 7515 4.1.4: a `kid` is a string, also where a configured PEM leaves it unused",
    ),
    Explained(
        MALFORMED,
        "header crit",
        (JOSERFC, AUTHLIB, CLERK_JAVASCRIPT),
        "we support no extension (RFC 7515 4.1.11)",
    ),
    Explained(
        MALFORMED, "header zip", ALL, "tokens are never compressed: we refuse the field with any value"
    ),
    Explained(
        MALFORMED,
        "spelling",
        (AUTHLIB, CLERK_JAVASCRIPT),
        "padding, the other alphabet, unused bits: we accept only the canonical encoding",
    ),
)
EXPLAINED = WIDER + NARROWER


def we_accept_only_what_all_accept(*, seed: int) -> Mapping[str, object]:
    """The other verifiers accept and refuse the same tokens as we do, except for explained differences."""
    generated, used, differences = compare()
    unexplained = [each for each in differences if not any(row.covers(each) for row in EXPLAINED)]
    assert not unexplained, [
        (each.case.place, each.case.name, each.verifier, each.ours) for each in unexplained[:20]
    ]
    unnecessary = [
        row for row in EXPLAINED if set(row.verifiers) & set(used) and not any(map(row.covers, differences))
    ]
    assert not unnecessary or len(used) < len(ALL), unnecessary
    return {
        "tokens": len(generated),
        "verifiers": ", ".join(used),
        "not installed": ", ".join(sorted(set(ALL) - set(used))) or "none",
        "differences, all explained": len(differences),
        "of these, accepted by us": sum(each.ours == ACCEPTED for each in differences),
    }


def compare() -> tuple[list[Case], list[str], list[Difference]]:
    """Return all cases, the names of the installed verifiers, and every difference from us."""
    keyring = Keyring()
    generated = list(generate_cases(keyring, other=Keyring()))
    verifier = SessionVerifier(
        pem_keys(keyring.pem), ISSUER, authorized_parties=(PARTY,), leeway=LEEWAY_SECONDS
    )
    ours = [_our_answer(verifier, case.token) for case in generated]
    verify_functions = installed_verifiers(keyring.pem)
    differences = []
    for name, verify_all in verify_functions.items():
        results = verify_all([case.token for case in generated])
        for case, code, accepted in zip(generated, ours, results, strict=True):
            if accepted != (code == ACCEPTED):
                differences.append(Difference(case=case, verifier=name, ours=code))
    return generated, list(verify_functions), differences


def _our_answer(verifier: SessionVerifier, token: str) -> str:
    try:
        verifier.verify(token, now=NOW)
    except InvalidToken as refusal:
        return refusal.reason
    return ACCEPTED


def report() -> str:
    """Return the table of differences as Markdown."""
    generated, used, differences = compare()
    lines = [
        "# Differences from other verifiers",
        "",
        f"Written by `python -m tests.proof.differential`: {len(generated)} tokens, verified by us and by",
        f"{', '.join(used)}. All have the same key, issuer, leeway and time.",
        "`make proof` fails at a difference that is not listed.",
    ]
    for title, rows in (("We accept, they refuse", WIDER), ("We refuse, they accept", NARROWER)):
        lines += [
            "",
            f"## {title}",
            "",
            "| our answer | altered at | tokens | verifiers | reason |",
            "|---|---|---:|---|---|",
        ]
        for row in rows:
            found = Counter(each.verifier for each in differences if row.covers(each))
            tokens = len({each.case.token for each in differences if row.covers(each)})
            names = ", ".join(name for name in row.verifiers if found[name])
            lines.append(f"| {row.ours} | {row.place} | {tokens} | {names} | {row.reason} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(0 if REPORT.write_text(report()) else 1)
