from __future__ import annotations

import itertools

import pytest

from dicomnet.dimse.upper_layer import TABLE, Action, Event, State, step

LOCAL = {Event.LOCAL_ACCEPT, Event.LOCAL_REJECT, Event.LOCAL_ABORT}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_state_and_event_has_a_defined_outcome(state: State, event: Event) -> None:
    action, following = step(state, event)
    assert isinstance(action, Action)
    assert isinstance(following, State)
    if (state, event) not in TABLE:
        # Only what cannot happen, or cannot matter any more, is left out of the table.
        assert action is Action.IGNORE
        assert following is state
        assert state is State.IDLE or event in LOCAL | {Event.ARTIM_EXPIRED}


@pytest.mark.parametrize("state", [s for s in State if s is not State.IDLE])
def test_a_closed_transport_ends_every_state(state: State) -> None:
    assert step(state, Event.TRANSPORT_CLOSED)[1] is State.IDLE


@pytest.mark.parametrize("state", [State.AWAITING_ASSOCIATE, State.AWAITING_LOCAL_ANSWER])
def test_data_before_the_association_is_never_delivered(state: State) -> None:
    action, following = step(state, Event.P_DATA)
    assert action in {Action.SEND_ABORT_USER, Action.SEND_ABORT_PROVIDER}
    assert following is State.AWAITING_CLOSE
