"""What is wrong with the settings, said all at once."""

from __future__ import annotations

from collections.abc import Iterable

from galaxy_core.domain.errors import PermanentError


class SettingsError(PermanentError, ValueError):
    """The settings cannot be used as they are; `problems` has a sentence for each fault.

    A sentence begins with where the fault is: a path in the file (`machines.lab.repo_path`), or
    the name of an environment variable.  None of them holds a secret.
    """

    def __init__(self, *problems: str, source: str | None = None) -> None:
        self.problems = problems
        self.source = source
        """The file that was read; None when there is none."""
        head = f"{source}: " if source else ""
        if len(self.problems) == 1:
            super().__init__(head + self.problems[0])
        else:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            super().__init__(f"{head}{len(self.problems)} problems in the settings:\n{lines}")


def nearest(word: str, known: Iterable[str]) -> str:
    """End a sentence with the known word that `word` was probably meant to be, if there is one."""
    import difflib  # only where something is wrong

    folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f'; did you mean "{folded[found[0]]}"?' if found else ""
