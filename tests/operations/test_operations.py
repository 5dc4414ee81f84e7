"""What holds for every operation and fact."""

import importlib
import inspect
import pkgutil

import pytest
from pyinfra.api.arguments import all_global_arguments
from pyinfra.api.facts import FactBase

import operations
from operations import facts

RESERVED = {name for name, _ in all_global_arguments()}


def members(package):
    """Everything defined in the modules of a package, by module and name."""
    names = [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(package.__path__) if not found.ispkg]
    modules = [importlib.import_module(name) for name in names]
    return [
        (f"{module.__name__.rpartition('.')[2]}.{name}", member)
        for module in modules
        for name, member in inspect.getmembers(module)
        if getattr(member, "__module__", None) == module.__name__
    ]


OPERATIONS = {name: member for name, member in members(operations) if hasattr(member, "_inner")}
FACTS = {name: member for name, member in members(facts) if inspect.isclass(member) and issubclass(member, FactBase)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_has_a_parameter_that_pyinfra_would_swallow(name):
    parameters = set(inspect.signature(OPERATIONS[name]).parameters)

    assert not parameters & RESERVED


@pytest.mark.parametrize("name", OPERATIONS)
def test_after_the_first_argument_everything_is_by_keyword(name):
    kinds = [parameter.kind for parameter in inspect.signature(OPERATIONS[name]).parameters.values()]

    assert set(kinds[1:]) <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_shows_how_to_call_it(name):
    assert f"{name}(" in inspect.getdoc(OPERATIONS[name])


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_could_not_be_read_is_unknown_not_empty(name):
    assert FACTS[name].default() is None


def test_there_are_operations_and_facts_to_look_at():
    assert "launchd.daemon" in OPERATIONS
    assert "macos.Mac" in FACTS
