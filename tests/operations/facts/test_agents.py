import pytest

from operations.facts.agents import AgentState
from tests.operations.answers import printed


def test_the_last_line_of_json_is_the_state():
    text = 'warming up\n{"release": "agent-1a2b", "replica": {"state": "ready"}}\n'

    assert AgentState().process(printed(state=text)) == {"release": "agent-1a2b", "replica": {"state": "ready"}}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (("", 142), "did not answer within"),
        (("cannot reach the agent on mac-1", 1), "cannot reach the agent on mac-1"),
        (("", 127), "said nothing"),
        ("{half", "{half"),
    ],
)
def test_no_agent_to_ask_is_a_problem_and_no_failure(section, words):
    assert words in AgentState().process(printed(state=section))["problem"]
