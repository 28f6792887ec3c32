"""Does tijolo.br_validators agree with the libraries that judge the same numbers?

``hatch run bench:python -m tests.benchmarks.peers_br_validators`` gives every peer generated
numbers and numbers with one character changed, and counts where the verdicts differ. A difference
that a known bug of the peer explains is counted under the bug's name; any other is shown, and
makes the exit status 1.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

from erpbrasil.base.fiscal import ie as erpbrasil_ie

import tijolo.br_validators as br
from tests.benchmarks.bench_br_validators import CNPJ_PEERS, CPF_PEERS, EITHER_PEERS, OTHERS
from tijolo.br_validators.ie import STATES

Check = Callable[[str], object]
Bug = tuple[str, Callable[[str], bool]]
"""What is wrong with a peer, and for which numbers."""

SAMPLES = 3000


def _remainder(digits: str, weights: range | tuple[int, ...]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False)) % 11


BUGS: dict[tuple[str, str], list[Bug]] = {
    ("cnh", "brutils"): [
        (
            "the deduction after a remainder of 10 is dead code",
            lambda n: _remainder(n, range(9, 0, -1)) == 10,
        ),
    ],
    ("pis", "erpbrasil.base"): [
        (
            "a remainder of 1 gives no check digit 0",
            lambda n: _remainder(n, (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) == 1,
        ),
    ],
    ("titulo_eleitor", "validate-docbr"): [
        ("no rule of its own for São Paulo and Minas Gerais", lambda n: n[8:10] in ("01", "02")),
        ("states above 28", lambda n: not "01" <= n[8:10] <= "28"),
    ],
    ("cnj", "brutils"): [("97 less the remainder, not 98", lambda _: True)],
    ("ibge_municipio", "erpbrasil.base"): [
        (
            "0000 is no municipality: a fact of the table, not of the number",
            lambda n: n[2:6] == "0000",
        ),
    ],
    ("dfe_key", "erpbrasil.base"): [
        ("model 64, the GTV-e, is missing", lambda n: n[20:22] == "64"),
        ("months above 12", lambda n: n[4:6] > "12"),
        ("series are judged", lambda n: n[22:25] >= "890"),
    ],
    ("ie_ce", "erpbrasil.base"): [("any first digits", lambda n: n[:2] != "06")],
    ("ie_go", "erpbrasil.base"): [
        ("15 and 20 to 29 are missing", lambda n: n[:2] == "15" or n[0] == "2"),
        ("the number with two check digits", lambda n: n[:8] == "11094402"),
    ],
    ("ie_pe", "erpbrasil.base"): [
        ("no check digit 0 in the 14 digits of CACEPE", lambda n: len(n) == 14 and n[-1] == "0"),
    ],
    ("ie_sp", "erpbrasil.base"): [("farmers, whose numbers begin with P", lambda n: n[0] == "P")],
    ("ie_to", "erpbrasil.base"): [("the old eleven digits", lambda n: len(n) == 11)],
    ("certidao", "validate-docbr"): [
        ("service and type of book are not looked at", lambda n: n[8:10] != "55" or n[14] == "0"),
    ],
}


def samples(name: str) -> Iterator[str]:
    """Canonical numbers, each followed by itself with one character changed."""
    kind, random = br.KINDS[name], Random(20261122)
    for _ in range(SAMPLES):
        number = kind.normalize(kind.generate(random=random))
        yield number
        at = random.randrange(len(number))
        yield number[:at] + random.choice("0123456789") + number[at + 1 :]


def verdict(check: Check, number: str) -> bool | str:
    """What a peer says, or what it raises."""
    try:
        return bool(check(number))
    except Exception as exc:
        return type(exc).__name__


def compare(name: str, peer: str, check: Check) -> list[str]:
    """Print one line; return the numbers on which nobody knows why they differ."""
    reasons: Counter[str] = Counter()
    unexplained: list[str] = []
    total = 0
    for number in samples(name):
        total += 1
        ours, theirs = br.KINDS[name].is_valid(number), verdict(check, number)
        if ours is theirs:
            continue
        bugs = [what for what, applies in BUGS.get((name, peer), []) if applies(number)]
        if bugs:
            reasons[bugs[0]] += 1
        else:
            unexplained.append(f"{number} (we say {ours}, {peer} {theirs})")
    agreed = total - reasons.total() - len(unexplained)
    known = "".join([f"; {count} {what}" for what, count in reasons.items()])
    print(f"{name:<16}{peer:<16}{agreed:>6} of {total} agree{known}")
    for line in unexplained[:5]:
        print(f"    unexplained: {line}")
    return unexplained


def pairs() -> Iterator[tuple[str, str, Check]]:
    """Every kind with every peer that judges it."""
    kinds = {"cpf": CPF_PEERS, "cnpj": CNPJ_PEERS, "cpf_cnpj": EITHER_PEERS, **OTHERS}
    for name, peers in kinds.items():
        if not name.startswith("ie_"):
            for peer, check in peers.items():
                yield name, peer, check
    for state in STATES:
        yield f"ie_{state.lower()}", "erpbrasil.base", _registration(state.lower())


def _registration(state: str) -> Check:
    return lambda number: erpbrasil_ie.validar(state, number)


def main() -> int:
    """Compare everything; exit status 1 where something is unexplained."""
    unexplained = [line for name, peer, check in pairs() for line in compare(name, peer, check)]
    print(f"\n{len(unexplained)} differences unexplained")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
