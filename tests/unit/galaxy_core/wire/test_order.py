"""Orders on disk: every shape read, nothing lost, every fault a sentence."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import JSONValue, Order, Priority
from galaxy_core.domain.response import Ending, Outcome, Usage
from galaxy_core.wire.ending import ENDING_KEYS
from galaxy_core.wire.order import decode_archived, decode_order, encode_archived, encode_order
from tests.unit.galaxy_core.wire.strategies import objects, orders

NOW = datetime(2026, 2, 2, 18, 0, tzinfo=UTC)
ENDING = Ending(
    outcome=Outcome.SUCCEEDED,
    finished_at=NOW,
    acknowledged_by="Hermes (lab)",
    attempts=2,
    started_at=NOW - timedelta(seconds=5),
    session_id="ses_1",
    usage=Usage(input_tokens=3, cost_usd=0.25),
)


def read(name: str = "test", /, **members: JSONValue) -> Order:
    """The order in a file with these members."""
    return decode_order(json.dumps(members).encode(), name=name, received_at=NOW)


def refusal(**members: JSONValue) -> str:
    """The one sentence by which a file with these members is refused."""
    (sentence,) = read(payload=members.pop("payload", "x"), **members).refusals
    return sentence


class TestRoundTrip:
    """What was read is written as it was, and what is made here is read as it is."""

    @given(orders)
    def test_order_made_here(self, order: Order) -> None:
        """An order made in the program is the same after a trip to the disk."""
        again = decode_order(encode_order(order), name="other", received_at=NOW)
        assert again == order

    @given(objects, st.sampled_from([NOW, NOW + timedelta(days=9)]))
    def test_object_read(self, members: dict[str, JSONValue], later: datetime) -> None:
        """An object that was read keeps every member as its writer wrote it."""
        order = decode_order(json.dumps(members).encode(), name="test", received_at=NOW)
        written = json.loads(encode_order(order))
        # What may be added is what would change with the time of reading, or with the name.
        added = {"not_before", "markers", "order_id"}
        for key, value in members.items():
            assert written[key] == value or (key in added and value in (None, "", 0, "0"))
        assume(members)  # an empty object is written like an order made here
        assert written.keys() - members.keys() <= added
        again = decode_order(encode_order(order), name="test", received_at=later)
        assert evolve(again, refusals=()) == evolve(order, refusals=())

    @given(objects)
    def test_archive(self, members: dict[str, JSONValue]) -> None:
        """The archive keeps the order, every member, and how it ended."""
        order = decode_order(json.dumps(members).encode(), name="test", received_at=NOW)
        again, ending = decode_archived(encode_archived(order, ENDING), name=order.id)
        assert ending == ENDING
        assert again.id == order.id
        own = again.wire.get("as_written", {})
        assert isinstance(own, dict)
        for key, value in members.items():
            kept = own if key in ENDING_KEYS else again.wire
            assert key == "acknowledged" or kept[key] == value

    def test_lone_surrogates_survive(self) -> None:
        """Half of a character, which JSON can carry and UTF-8 cannot, stays what it is."""
        order = decode_order(b'{"payload": "a\\ud83db"}', name="x", received_at=NOW)
        assert order.payload == "a\ud83db"
        assert b"\\ud83d" in encode_order(order)
        assert json.loads(encode_archived(order, ENDING))["payload"] == "a\ud83db"

    def test_people_can_read_what_is_written(self) -> None:
        """Letters outside ASCII are written as themselves, one member a line."""
        data = encode_order(Order(id=OrderId("x"), payload="Ümläut 🔴"))
        assert '\n  "payload": "Ümläut 🔴",\n' in data.decode()

    def test_changed_members_alone_are_written_anew(self) -> None:
        """A new id leaves the rest of the file as it was, a number for a chat too."""
        order = read(payload="x", chat_id=-5, order_id="telegram:5", scheduled_for=None, note=1)
        written = json.loads(encode_order(evolve(order, id=OrderId("telegram:5-2"))))
        assert written == {
            "payload": "x",
            "chat_id": -5,
            "order_id": "telegram:5-2",
            "scheduled_for": None,
            "note": 1,
        }

    def test_older_names_go_with_the_value(self) -> None:
        """A time taken away does not come back through the older name of its member."""
        order = read(payload="x", scheduled_for="2030-01-01")
        assert order.not_before is not None
        again = encode_order(evolve(order, not_before=None))
        assert decode_order(again, name="test", received_at=NOW).not_before is None

    def test_retried_order_is_not_answered_any_more(self) -> None:
        """An order from the archive, enqueued again, carries no marks of its end."""
        archived, ending = decode_archived(encode_archived(read(payload="x"), ENDING), name="a")
        assert ending is not None
        written = json.loads(encode_order(evolve(archived, id=OrderId("a-2"))))
        assert written == {"payload": "x", "order_id": "a-2", "acknowledged": False}
        assert not decode_order(json.dumps(written).encode(), name="a", received_at=NOW).refusals

    def test_archive_is_named_by_its_file(self) -> None:
        """A numbered id is that of the archive's file; the member stays as it was written."""
        order = evolve(read(payload="x", order_id="telegram:5"), id=OrderId("telegram:5-2"))
        data = encode_archived(order, ENDING)
        assert json.loads(data)["order_id"] == "telegram:5"
        assert decode_archived(data, name="telegram:5-2")[0].id == "telegram:5-2"

    def test_members_of_the_archives_names(self) -> None:
        """An order's own `reason` is kept aside from the archive's, and is back at a retry."""
        order = read(payload="x", reason="mine", session_id="s", as_written=[1])
        own = {"reason": "mine", "session_id": "s", "as_written": [1]}
        data = encode_archived(order, ENDING)
        for _ in range(2):  # also when the archive's file is written once more
            archived, ending = decode_archived(data, name="test")
            assert ending == ENDING
            assert archived.wire["as_written"] == own
            data = encode_archived(archived, ENDING)
        assert json.loads(encode_order(archived)).items() >= own.items()

    def test_archive_can_keep_another_object(self) -> None:
        """`source` is what is kept, where the file said something else than the order does."""
        data = encode_archived(read(payload="x"), ENDING, source={"payload": "y", "odd": True})
        assert (
            json.loads(data).items() >= {"payload": "y", "odd": True, "acknowledged": True}.items()
        )

    def test_unended_file_in_the_archive(self) -> None:
        """A file of the archive that says nothing of an end has none."""
        assert decode_archived(b'{"payload": "x"}', name="a")[1] is None

    def test_unknown_outcome_is_no_success(self) -> None:
        """Nothing waits for, or counts, a success that nobody understands."""
        _, ending = decode_archived(b'{"outcome": "great", "attempts": "many"}', name="a")
        assert ending is not None
        assert (ending.outcome, ending.attempts) == (Outcome.FAILED, 1)


class TestReading:
    """Absent, null and empty are the same; each value may be written in several ways."""

    @pytest.mark.parametrize("data", [b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b" \n{ } \n"])
    def test_encodings(self, data: bytes) -> None:
        """A byte order mark and white space do no harm."""
        assert decode_order(data, name="x", received_at=NOW) == Order(id=OrderId("x"), payload="")

    def test_null_is_absent(self) -> None:
        """null and empty texts everywhere give the order of a file without them."""
        bare = Order(id=OrderId("x"), payload="")
        written = json.loads(encode_order(bare))
        optional = (
            *("agent", "model", "project", "media", "chat_id", "channel", "topic", "reply_to"),
            *("session", "not_before", "expires_at", "timeout_s", "after", "idempotency_key"),
            *("sender_id", "scheduled_for", "message_thread_id"),
        )
        assert read("x", **dict.fromkeys((*written, *optional))) == bare
        texts = {*written, *optional} - {"media", "after"}
        assert read("x", **dict.fromkeys(texts, "")) == bare

    @pytest.mark.parametrize("name, order_id", [("a b", "a b"), ("..", "order-"), ("a\nb", "a-b-")])
    def test_id_of_the_file(self, name: str, order_id: str) -> None:
        """Without an `order_id` the file's name is the id, made safe where it must be."""
        assert read(name).id.startswith(order_id)

    @pytest.mark.parametrize(
        "order_id", ["../x", "a/b", "a\nb", "x" * 181, ".hidden", "a\\b", "a\0b", " a", "\ud800"]
    )
    def test_bad_id(self, order_id: str) -> None:
        """An id that cannot be a file's name is refused, under the file's own name."""
        order = read("drop", payload="x", order_id=order_id)
        assert order.id == "drop"
        assert "`order_id` cannot be used" in order.refusals[0]

    def test_chat_as_number_or_text(self) -> None:
        """A chat is the same however its number is written."""
        assert read(chat_id=-1001).chat_id == read(chat_id="-1001").chat_id == "-1001"

    def test_first_of_several_names(self) -> None:
        """The newer name wins over the older one."""
        members: dict[str, JSONValue] = {"from": "a", "sender_id": "b"}
        order = read(**members, topic=1, message_thread_id=2)
        assert (order.sender, order.topic) == ("a", "1")

    def test_one_for_a_list(self) -> None:
        """A single id and a single path count as lists of one."""
        order = read(after="a", media="shot.png")
        assert (order.after, [m.path for m in order.media]) == (("a",), ["shot.png"])

    def test_typos_are_kept_not_refused(self) -> None:
        """A member nobody knows may be somebody else's: it stays and does no harm."""
        order = read(payload="x", prioritty="urgent")
        assert not order.refusals
        assert order.wire["prioritty"] == "urgent"


class TestMarkers:
    """Marks in the text count where no member says otherwise."""

    def test_marks(self) -> None:
        """All marks of one text; the text itself stays whole."""
        order = read(payload="🔴 ⏰30m #docs go", timestamp="2026-02-02T12:00:00Z")
        assert (order.priority, order.project) == (Priority.URGENT, "docs")
        assert order.not_before == datetime(2026, 2, 2, 12, 30, tzinfo=UTC)
        assert order.payload == "🔴 ⏰30m #docs go"

    def test_delay_without_timestamp_counts_from_arrival(self) -> None:
        """An unknown time of writing is the time of arrival."""
        assert read(payload="⏰2h", timestamp=0).not_before == NOW + timedelta(hours=2)

    def test_members_win(self) -> None:
        """An explicit member is never overruled by a mark."""
        order = read(payload="🔴 ⏰30m #a", priority="low", project="b", not_before="2026-03-01")
        assert (order.priority, order.project) == (Priority.LOW, "b")
        assert order.not_before == datetime(2026, 3, 1, tzinfo=UTC)

    def test_members_win_even_when_wrong(self) -> None:
        """A member that cannot be read is refused; no mark steps in for it."""
        order = read(payload="🔴 ⏰30m #a", priority="x", project=[], scheduled_for="then")
        assert (order.priority, order.project, order.not_before) == (Priority.NORMAL, None, None)
        assert len(order.refusals) == 3

    def test_muted(self) -> None:
        """`markers: false` makes the text nothing but a text."""
        order = read(payload="🔴 ⏰30m #a", markers=False)
        assert (order.priority, order.project, order.not_before) == (Priority.NORMAL, None, None)

    def test_order_made_without_marks_stays_so(self) -> None:
        """Who makes an order with such a text and no wishes gets none by writing it down."""
        order = Order(id=OrderId("x"), payload="what does ⏰2h mean? 🔴")
        assert decode_order(encode_order(order), name="x", received_at=NOW) == order

    @pytest.mark.parametrize("delay", ["⏰3661d", "⏰" + "9" * 5000 + "m"])
    def test_absurd_delay(self, delay: str) -> None:
        """A wait nobody can mean is refused, not overflown."""
        assert "longer than 3,660 days" in refusal(payload=delay)


class TestRefusals:
    """What can be read but not accepted: a sentence that says what to do."""

    @pytest.mark.parametrize(
        "member, value, words",
        [
            ("payload", 5, "`payload` is a number: write a text."),
            ("payload", ["x"], "`payload` is a list: write a text."),
            ("priority", "urgnet", "did you mean urgent?"),
            ("priority", 2, "write low, normal, high or urgent"),
            ("priority", "xyzzy", "write low, normal, high or urgent"),
            ("timestamp", "yesterday", "write it like 2026-02-02T12:00:00+00:00"),
            ("timestamp", True, "`timestamp` is no time"),
            ("not_before", "2026-02-30", "`not_before` is no time"),
            ("scheduled_for", [1], "`scheduled_for` is no time"),
            ("expires_at", 10**400, "`expires_at` is no time"),
            ("expires_at", "0001-01-01T00:00:00+14:00", "`expires_at` is no time"),
            ("type", "notification", "galaxy-outbox/"),
            ("type", 7, "write galaxy_order, or leave it out"),
            ("chat_id", True, "`chat_id` is true or false: write a text."),
            ("session", "x" * 1001, "`session` has 1,001 characters"),
            ("timeout_s", 0, "greater than 0"),
            ("timeout_s", 1e300, "greater than 0"),
            ("after", ["a/b"], "list the ids of orders"),
            ("after", ["test"], "would wait for ever"),
            ("media", [{"path": "a", "url": "b"}], "either a path or a url"),
            ("media", {}, "either a path or a url"),
            ("media", [{"path": 1}], "as texts"),
            ("media", 5, "Attachment 1 is a number"),
            ("acknowledged", True, "answered before"),
            ("acknowledged", "true", "answered before"),
        ],
    )
    def test_sentence(self, member: str, value: JSONValue, words: str) -> None:
        """Each fault has its one sentence, which names the member or says what to write."""
        assert words in refusal(**{member: value})

    def test_nothing_is_guessed_from_a_bad_value(self) -> None:
        """A member that is refused counts as absent: the default stands."""
        order = read(payload="x", priority="urgnet", timestamp="yesterday", timeout_s=-1)
        assert (order.priority, order.timestamp, order.timeout) == (Priority.NORMAL, None, None)


@given(st.one_of(st.lists(st.integers()), st.integers(), st.text(), st.none()))
def test_only_objects_are_orders(value: JSONValue) -> None:
    """Anything else in a file is unreadable, and the sentence quotes nothing of it."""
    with pytest.raises(UnreadableFile, match="not a JSON object"):
        decode_order(json.dumps(value).encode(), name="x", received_at=NOW)
