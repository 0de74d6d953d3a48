"""How long the rule-based machines look for trouble."""

from hypothesis import Phase, settings


def machine_settings(*, examples: int, steps: int) -> settings:
    """So many random lives of so many steps; what fails is shown as it was found.

    Making a finding smaller, or explaining it, runs its like hundreds of times: that takes longer
    than a test may, and whoever wants it asks for it with `--hypothesis-profile=shrink`.
    """
    phases = tuple(settings().phases)
    if settings.get_current_profile_name() != "shrink":
        phases = tuple(p for p in phases if p not in {Phase.shrink, Phase.explain})
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=phases,
        print_blob=True,
    )
