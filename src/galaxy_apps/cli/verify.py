"""`galaxy audit verify`: whether the trail is whole, and whether all that it tells of is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.output import one_line, print_json, warn, write
from galaxy_apps.cli.place import plural, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import NAME, Home
from galaxy_apps.settings import Configuration, load
from galaxy_apps.wiring import Place
from galaxy_core.domain.audit import ChainReport
from galaxy_core.domain.proof import Names, ProofReport

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_SHOWN = 10
"""Names of what waits that are printed; `--json` has the first hundred."""


def verify(
    *,
    config: Path | None,
    machine: str | None,
    anchors: list[str] | None,
    is_chain_only: bool,
    is_json: bool,
) -> ExitCode:
    """Check every line's place in the chain, and every order's way from message to receipt."""
    configuration = load(config)
    place = Place(configuration.settings, configuration.machine(machine))
    file = configuration.settings.audit.anchor_file
    if not anchors and file is not None:
        if file.exists():
            anchors = [str(file)]
        else:
            warn(f"galaxy: there is no {file} (audit.anchor_file): a cut-off end is not found.")
    digests = _digests(anchors or [], _names_here(configuration, place))

    async def check() -> tuple[ChainReport, ProofReport | None]:
        chain = await place.audit_trail(digests).verify()
        return chain, None if is_chain_only else await _prove(configuration, place)

    chain, proof = run(check)
    if is_json:
        print_json(_document(chain, proof))
    else:
        _print_chain(chain)
        if proof is not None:
            _print_proof(proof)
    is_fine = chain.is_intact and (proof is None or proof.is_complete)
    return ExitCode.OK if is_fine else ExitCode.FAILURE


async def _prove(configuration: Configuration, place: Place) -> ProofReport:
    from galaxy_core.services.proof import MessageProof, OrderProof, merged

    reports = []
    home = Home(configuration)
    if home.layout.gateway_notes.exists():
        machines = [Place(configuration.settings, m) for m in configuration.machines()]
        trails = {str(home.layout.audit_log): home.audit_trail()}
        for each in machines:
            trails.setdefault(str(each.layout.audit_log), each.audit_trail())
        async with home.notes() as notes:
            reports.append(await MessageProof(notes, list(trails.values())).check())
    orders = OrderProof(
        place.catalogue(), place.responses(), place.inventory(), place.audit_trail()
    )
    reports.append(await orders.check())
    return merged(reports)


# ---- anchors


def _names_here(configuration: Configuration, place: Place) -> frozenset[str]:
    """What the place's trail is called in files of anchors."""
    names = {
        machine.name
        for machine in configuration.machines()
        if machine.repo_path == place.machine.repo_path
    }
    if Home(configuration).layout.repo_path == place.machine.repo_path:
        names.add(NAME)
    return frozenset(names | {place.machine.name})


def _digests(anchors: list[str], names: frozenset[str]) -> list[str]:
    """Every digest that is meant: as it is written, or each of this trail's in a file.

    Those of a file have the numbers of their lines before them.
    """
    found: list[str] = []
    for anchor in anchors:
        if _DIGEST.fullmatch(anchor.strip()):
            found.append(anchor)
            continue
        try:
            lines = Path(anchor).read_text("utf-8").splitlines()
        except (OSError, ValueError):
            raise UsageError(
                f"--anchor: {anchor!r} is neither a head (64 hexadecimal digits)"
                " nor a file of heads that can be read"
            ) from None
        for line in lines:
            words = line.split()
            digest = next((word for word in words if _DIGEST.fullmatch(word)), None)
            if digest is None:
                continue
            place = words.index(digest)
            name = " ".join(words[place + 1 :])
            if not name or name in names:
                found.append(" ".join(words[max(0, place - 1) : place + 1]))
    return found


# ---- showing


def _print_chain(chain: ChainReport) -> None:
    for fault in chain.faults:
        warn(f"galaxy: {fault}")
    for note in chain.notes:
        write(f"Note: {note}")
    word = "intact" if chain.is_intact else "NOT intact"
    older = f", and {plural(chain.unchained, 'line')} without a chain" * bool(chain.unchained)
    write(f"The trail is {word}: {plural(chain.lines, 'line')}{older}.")
    if chain.head:
        write(f"Head: {chain.head}")


def _print_proof(proof: ProofReport) -> None:
    for gap in proof.gaps:
        warn(f"galaxy: {one_line(gap.sentence)}")
    if proof.gap_count > len(proof.gaps):
        warn(f"galaxy: and {proof.gap_count - len(proof.gaps)} more")
    word = "complete" if proof.is_complete else "NOT complete"
    counted = f"{plural(proof.messages, 'message')}, {plural(proof.orders, 'ended order')}"
    write(f"What it tells of is {word}: {counted}.")
    if proof.older:
        write(
            f"{plural(proof.older, 'order')} from before this trail: nothing is known of their way."
        )
    _print_names("Waiting or running", "order", proof.waiting_orders)
    _print_names("Waiting to be delivered", "letter", proof.waiting_letters)
    _print_names("Nobody could get", "letter", proof.undeliverable)


def _print_names(head: str, noun: str, names: Names) -> None:
    if names.count:
        shown = ", ".join(one_line(name) for name in names.first[:_SHOWN])
        more = ", ..." if names.count > _SHOWN else ""
        write(f"{head}: {plural(names.count, noun)} ({shown}{more})")


def _document(chain: ChainReport, proof: ProofReport | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "is_intact": chain.is_intact,
        "lines": chain.lines,
        "unchained": chain.unchained,
        "head": chain.head,
        "faults": chain.faults,
        "notes": chain.notes,
    }
    if proof is not None:
        document["completeness"] = {
            "is_complete": proof.is_complete,
            "messages": proof.messages,
            "orders": proof.orders,
            "older_orders": proof.older,
            "gap_count": proof.gap_count,
            "gaps": [
                {
                    "kind": gap.kind.value,
                    "subject": gap.subject,
                    "sequence": gap.sequence,
                    "sentence": gap.sentence,
                }
                for gap in proof.gaps
            ],
            "waiting_orders": _names(proof.waiting_orders),
            "waiting_letters": _names(proof.waiting_letters),
            "undeliverable_letters": _names(proof.undeliverable),
        }
    return document


def _names(names: Names) -> dict[str, Any]:
    return {"count": names.count, "order_ids": names.first}
