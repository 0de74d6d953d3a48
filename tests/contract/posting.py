"""Letters, brought to where the suites want them."""

from galaxy_core.domain.letter import Letter
from galaxy_core.ports.inventory import LetterPlace
from galaxy_core.ports.outbox import Outbox
from galaxy_core.testing.factories import make_receipt


async def bring(
    outbox: Outbox, letter: Letter, place: LetterPlace, *, has_receipt: bool = False
) -> None:
    """Post a letter and bring it to its place, after one chat has got it or before."""
    await outbox.post(letter)
    if has_receipt:
        letter = await outbox.record(letter, make_receipt(is_last=True))
    if place is LetterPlace.SENT:
        await outbox.mark_sent(letter)
    elif place is LetterPlace.UNDELIVERABLE:
        await outbox.set_aside(letter, "nobody is there")
