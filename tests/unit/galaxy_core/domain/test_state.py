"""The order's state machine, in every step that there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain.errors import InvalidTransition
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import FINAL, TRANSITIONS, OrderEvent, OrderState, transition

states, events = st.sampled_from(OrderState), st.sampled_from(OrderEvent)


@given(state=states, event=events)
def test_transition_is_the_table_and_nothing_else(state: OrderState, event: OrderEvent) -> None:
    """Every pair leads where the table says, or raises: there is no third way."""
    if event in TRANSITIONS[state]:
        assert transition(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(InvalidTransition, match=state.value):
            transition(state, event)


@given(history=st.lists(events, max_size=20))
def test_no_history_leaves_a_final_state(history: list[OrderEvent]) -> None:
    """Whatever happens, an order ends once, and only after somebody held it."""
    state, was_held = OrderState.PENDING, False
    for event in history:
        try:
            state = transition(state, event)
        except InvalidTransition:
            continue
        was_held = was_held or state is OrderState.CLAIMED
        assert was_held or state is OrderState.PENDING
        if state.is_final:
            assert all(not TRANSITIONS[final] for final in FINAL)
            return


def test_table_knows_every_state() -> None:
    """No state is forgotten, and the final ones are those without a way out."""
    assert set(TRANSITIONS) == set(OrderState)
    assert {state for state, steps in TRANSITIONS.items() if not steps} == FINAL


@pytest.mark.parametrize("held", [OrderState.CLAIMED, OrderState.RUNNING])
def test_held_order_always_has_a_way_back_and_every_way_out(held: OrderState) -> None:
    """A worker may give up or die at any time, and may end the order in every way."""
    assert transition(held, OrderEvent.GIVEN_BACK) is OrderState.PENDING
    assert transition(held, OrderEvent.LEASE_EXPIRED) is OrderState.PENDING
    assert {transition(held, outcome.event) for outcome in Outcome} == FINAL


@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_leads_to_its_own_state(outcome: Outcome) -> None:
    """Outcome, event and state of an ending cannot disagree."""
    assert transition(OrderState.RUNNING, outcome.event) is outcome.state
    assert outcome.state.is_final


def test_every_state_can_be_reached() -> None:
    """No state is only on paper."""
    reached, frontier = {OrderState.PENDING}, [OrderState.PENDING]
    while frontier:
        for state in TRANSITIONS[frontier.pop()].values():
            if state not in reached:
                reached.add(state)
                frontier.append(state)
    assert reached == set(OrderState)
