"""Our verifier beside PyJWT, joserfc, Authlib and Clerk's own SDKs: what we accept, all of them accept.

Wherever one judges otherwise than we do, EXPLAINED says why; a difference that nobody has explained, and an
explanation that nothing needs, makes the claim false. `python -m tests.proof.differential` writes the table.
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
from tests.proof.cases import ISSUER, LEEWAY, NOW, PARTY, Case, cases
from tests.proof.judges import AUTHLIB, CLERK_JAVASCRIPT, CLERK_PYTHON, JOSERFC, PYJWT, judges

REPORT = Path(__file__).parent / "differential.md"
ACCEPTED = "accepted"
GENERAL = (PYJWT, JOSERFC, AUTHLIB)
CLERKS = (CLERK_PYTHON, CLERK_JAVASCRIPT)
ALL = GENERAL + CLERKS


@dataclass(frozen=True, slots=True)
class Explained:
    """Why these judges answer otherwise than we, where we say `ours` of a token altered at `place`."""

    ours: str
    place: str
    judges: Sequence[str]
    why: str

    def covers(self, difference: Difference) -> bool:
        """Tell whether this explains the difference."""
        return (
            difference.ours == self.ours
            and difference.judge in self.judges
            and fnmatchcase(difference.case.place, self.place)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One token of which we said `ours` (a code, or that it is accepted), and a judge the opposite."""

    case: Case
    judge: str
    ours: str


MALFORMED, TYPE, CLAIMS = "token_malformed", "token_type_mismatch", "token_invalid_claims"
PENDING, PARTIES, ISSUERS = "session_pending", "token_invalid_authorized_party", "token_invalid_issuer"
LIMITS = "our bounds are narrower: 8,192 characters, and nested no deeper than the stack"

# What we accept and others refuse. None of it decides who somebody is or for how long.
WIDER = (
    Explained(
        ACCEPTED,
        "claim aud",
        (CLERK_PYTHON,),
        "CLERK_AUDIENCE is not set: we, like Clerk's JavaScript, do not look at `aud` then; PyJWT inside the "
        "SDK refuses every audience that nobody named",
    ),
    Explained(ACCEPTED, "claim aud", (JOSERFC,), "CLERK_AUDIENCE is not set: nobody reads `aud` here"),
    Explained(
        ACCEPTED, "claim jti", (PYJWT, JOSERFC, CLERK_PYTHON), "nobody reads `jti` here, so any type will do"
    ),
    Explained(
        ACCEPTED,
        "header kid",
        (PYJWT, JOSERFC, CLERK_PYTHON),
        "with a configured PEM the `kid` is not used; with JWKS these are refused (token_unknown_key)",
    ),
    Explained(
        ACCEPTED,
        "header [cjx]*",
        (JOSERFC,),
        "it minds the type of fields that neither it nor we would follow",
    ),
    Explained(
        ACCEPTED,
        "claim exp",
        (PYJWT, CLERK_PYTHON, CLERK_JAVASCRIPT),
        "they cut a fraction off, we count it: half a second; Clerk writes whole seconds",
    ),
    Explained(ACCEPTED, "claim iat", (AUTHLIB,), "it takes a zero, the second in which 1970 began, for none"),
)
# What others accept and we refuse.
NARROWER = (
    Explained(
        PENDING, "*", ALL, "a session with an open task is no session here (CLERK_ALLOW_PENDING_SESSIONS)"
    ),
    Explained(PARTIES, "*", GENERAL, "`azp` is Clerk's own claim: general libraries do not know it"),
    Explained(ISSUERS, "*", CLERKS, "Clerk's SDKs never look at `iss`: the key is meant to say it"),
    Explained(
        TYPE,
        "header cat",
        ALL,
        "classes of token share one key; only Clerk's JavaScript knows one of them as foreign",
    ),
    Explained(TYPE, "fault template", ALL, "a template token is no session; no other looks at `cat` for it"),
    Explained(
        TYPE, "fault machine", GENERAL, "a machine's token is no session; no other looks at `cat` for it"
    ),
    Explained(TYPE, "claim sub", ALL, "a machine's id is nobody's"),
    Explained(TYPE, "header typ", (*GENERAL, CLERK_PYTHON), "they do not look at `typ`, or only at its type"),
    Explained(CLAIMS, "claim act", ALL, "no other reads `act`: we name the actor, so there must be one"),
    Explained(CLAIMS, "claim sid", ALL, "no other reads `sid`: a session without an id is none"),
    Explained(CLAIMS, "claim sts", ALL, "no other reads `sts`"),
    Explained(CLAIMS, "claim sub", ALL, "any text is somebody there; here only an id as Clerk forms it"),
    Explained(
        CLAIMS,
        "claim exp",
        ALL,
        "text, or a time that no date can hold, passes for a number; the SDK needs no `exp`",
    ),
    Explained(
        CLAIMS,
        "claim iat",
        (PYJWT, *CLERKS),
        "text, true and absurd times pass for a number; the SDKs need no `iat`",
    ),
    Explained(CLAIMS, "claim nbf", (PYJWT, *CLERKS), "text, true and absurd times pass for a number"),
    Explained(
        CLAIMS, "payload", (AUTHLIB, CLERK_JAVASCRIPT), "a number that overflows to infinity passes as `exp`"
    ),
    Explained(
        "token_expired", "claim exp", (AUTHLIB,), "at the very end of the leeway it says yes, RFC 7519 no"
    ),
    *(
        Explained(
            code, f"claim {claim}", (PYJWT, *CLERKS), "they cut a fraction off, we count it: half a second"
        )
        for code, claim in (("token_not_active_yet", "nbf"), ("token_iat_in_the_future", "iat"))
    ),
    Explained(
        MALFORMED, "header", ALL, "a name twice, or NaN, in the header: which of two would others read?"
    ),
    Explained(MALFORMED, "payload", ALL, f"a name twice, NaN, UTF-16, a byte order mark; and {LIMITS}"),
    Explained(
        MALFORMED, "header b64", ALL, "RFC 7797 changes what is signed: we refuse its word whatever it says"
    ),
    Explained(
        MALFORMED,
        "header crit",
        (JOSERFC, AUTHLIB, CLERK_JAVASCRIPT),
        "we understand no extension (RFC 7515 4.1.11)",
    ),
    Explained(MALFORMED, "header zip", ALL, "a token is never compressed: the word alone is refused"),
    Explained(
        MALFORMED,
        "spelling",
        (AUTHLIB, CLERK_JAVASCRIPT),
        "padding, the other alphabet, unused bits: one text per token",
    ),
)
EXPLAINED = WIDER + NARROWER


def we_accept_only_what_all_accept(*, seed: int) -> Mapping[str, object]:
    """Whatever we accept all others accept, and whatever we refuse they refuse, but for what is explained."""
    made, asked, differences = compared()
    unexplained = [each for each in differences if not any(row.covers(each) for row in EXPLAINED)]
    assert not unexplained, [
        (each.case.place, each.case.name, each.judge, each.ours) for each in unexplained[:20]
    ]
    needless = [
        row for row in EXPLAINED if set(row.judges) & set(asked) and not any(map(row.covers, differences))
    ]
    assert not needless or len(asked) < len(ALL), needless
    return {
        "tokens": len(made),
        "judges": ", ".join(asked),
        "not installed": ", ".join(sorted(set(ALL) - set(asked))) or "none",
        "differences, all explained": len(differences),
        "of these, accepted by us": sum(each.ours == ACCEPTED for each in differences),
    }


def compared() -> tuple[list[Case], list[str], list[Difference]]:
    """Judge all cases; give them, the names of the judges, and every difference from us."""
    keyring = Keyring()
    made = list(cases(keyring, stranger=Keyring()))
    verifier = SessionVerifier(pem_keys(keyring.pem), ISSUER, authorized_parties=(PARTY,), leeway=LEEWAY)
    ours = [_ours(verifier, case.token) for case in made]
    asked = judges(keyring.pem)
    differences = []
    for name, judge in asked.items():
        for case, code, accepted in zip(made, ours, judge([case.token for case in made]), strict=True):
            if accepted != (code == ACCEPTED):
                differences.append(Difference(case=case, judge=name, ours=code))
    return made, list(asked), differences


def _ours(verifier: SessionVerifier, token: str) -> str:
    try:
        verifier.verify(token, now=NOW)
    except InvalidToken as refusal:
        return refusal.reason
    return ACCEPTED


def report() -> str:
    """Give the table of differences as Markdown."""
    made, asked, differences = compared()
    lines = [
        "# Differences from other verifiers",
        "",
        f"Written by `python -m tests.proof.differential`: {len(made)} made tokens, judged by us and by",
        f"{', '.join(asked)}. All have the same key, issuer, leeway and moment.",
        "`make proof` fails at a difference that is not here.",
    ]
    for title, rows in (("We accept, they refuse", WIDER), ("We refuse, they accept", NARROWER)):
        lines += [
            "",
            f"## {title}",
            "",
            "| our answer | altered at | tokens | who | why |",
            "|---|---|---:|---|---|",
        ]
        for row in rows:
            found = Counter(each.judge for each in differences if row.covers(each))
            tokens = len({each.case.token for each in differences if row.covers(each)})
            who = ", ".join(judge for judge in row.judges if found[judge])
            lines.append(f"| {row.ours} | {row.place} | {tokens} | {who} | {row.why} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(0 if REPORT.write_text(report()) else 1)
