"""What the scripted agent remembers."""

from pathlib import Path

from galaxy_adapters.dispatch_scripted.memory import Memory, Message


def test_memory_does_not_grow_without_end(tmp_path: Path) -> None:
    """A script may give each of its orders a conversation of its own; those in use stay."""
    memory = Memory(tmp_path / "memory.json")
    for number in range(600):
        memory.use(f"session-{number}", prompts=1)
        memory.messages[f"message-{number}"] = Message(session="s", digest="d")
        memory.use("session-0", prompts=1)
    memory.save()
    again = Memory(tmp_path / "memory.json")
    assert len(again.sessions) == len(again.messages) == 500
    assert again.sessions["session-0"] == 601
    assert "message-599" in again.messages
