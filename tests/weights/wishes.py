"""What users say when they want a tool, and the call that answers them."""

from dataclasses import dataclass, field

from tests.weights.words import NOUNS, Words


@dataclass(frozen=True)
class Tool:
    """A tool as the weights see it: its name and the names of its parameters."""

    name: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """A user's message, the tool it asks for, and what it wants to be passed."""

    message: str
    tool: Tool
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Habit:
    """A wish in everyday words: `{}` in a message is the value, and tools for it usually have these names."""

    messages: tuple[str, ...]
    tools: tuple[str, ...]
    parameters: tuple[str, ...]
    of_places: bool = False


HABITS = (
    Habit(
        (
            "What is the weather in {}?",
            "What's the weather like in {}?",
            "How is the weather in {} today?",
            "Weather in {}?",
            "Is it raining in {}?",
        ),
        ("get_weather", "weather", "get_current_weather", "lookup_weather", "getWeather", "fetch_weather"),
        ("city", "location", "place", "town"),
        of_places=True,
    ),
    Habit(
        ("What time is it in {}?", "Tell me the time in {}.", "What is the time in {} now?"),
        ("get_time", "time", "get_current_time", "current_time", "clock"),
        ("city", "location", "timezone", "place"),
        of_places=True,
    ),
    Habit(
        ("Search for {}.", "Search the web for {}.", "Look up {}.", "Find {}."),
        ("search", "web_search", "search_web", "find", "lookup"),
        ("query", "q", "text", "term"),
    ),
    Habit(
        ("Read the file {}.", "Show me the file {}.", "Open {}.", "What is in {}?"),
        ("read_file", "open_file", "cat", "read", "file_read"),
        ("path", "file", "filename", "file_path"),
    ),
)
EXPLICIT = (
    "Use {tool} with {pairs}.",
    "Use the {tool} tool with {pairs}.",
    "Call {tool} with {pairs}.",
    "Please call {tool} with {pairs}.",
    "Please run {tool} with {pairs}.",
    "Invoke {tool} with {pairs}",
    "Can you use {tool} with {pairs}?",
)
BARE = ("Call {tool}.", "Use {tool}.", "Please run {tool}.", "Use the {tool} tool.", "Call the {tool} tool now.")
PAIRS = (
    "{name} {value}",
    "{name} {value}",
    "{name} = {value}",
    "{name}={value}",
    "{name} set to {value}",
    "{name}: {value}",
)
SINGLE = (
    "Use {tool} for {value}.",
    "Call {tool} on {value}.",
    "Run {tool} with {value}.",
    "Use {tool} to get {value}.",
)


class Wishes:
    """A source of wishes, with any names."""

    def __init__(self, words: Words) -> None:
        self.random, self.words = words.random, words

    def wish(self) -> Wish:
        """One wish: said with the tool's name, in everyday words, or in the words the name is made of."""
        makers = (self.explicit, self.bare, self.single, self.habit, self.spelled)
        return self.random.choices(makers, (6, 0.7, 1, 3, 1.5))[0]()

    def tool(self) -> Tool:
        """A tool nobody has heard of."""
        return Tool(self.words.tool_name(), tuple(self.words.parameter_names(self.random.choice((0, 1, 1, 2, 2, 3)))))

    def explicit(self) -> Wish:
        """`Use shrink_image with width 7.`"""
        tool = Tool(self.words.tool_name(), tuple(self.words.parameter_names(self.random.choice((1, 1, 1, 2, 2, 3)))))
        given = self.random.sample(tool.parameters, self.random.randint(1, len(tool.parameters)))
        arguments = {name: self.words.value() for name in given}
        pair, quote = self.random.choice(PAIRS), self.random.choice(("", "", '"', "'"))
        said = [pair.format(name=name, value=f"{quote}{value}{quote}") for name, value in arguments.items()]
        joint = self.random.choice((" and ", ", "))
        message = self.random.choice(EXPLICIT).format(tool=tool.name, pairs=joint.join(said))
        return Wish(message, tool, arguments)

    def bare(self) -> Wish:
        """`Call list_rooms.`"""
        tool = self.tool()
        return Wish(self.random.choice(BARE).format(tool=tool.name), tool)

    def single(self) -> Wish:
        """`Use lookup_order for 4711.`, where the only parameter needs no name."""
        tool, value = Tool(self.words.tool_name(), tuple(self.words.parameter_names(1))), self.words.value()
        message = self.random.choice(SINGLE).format(tool=tool.name, value=value)
        return Wish(message, tool, {tool.parameters[0]: value})

    def habit(self) -> Wish:
        """`What is the weather in Paris?`"""
        habit = self.random.choice(HABITS)
        tool = Tool(self.random.choice(habit.tools), (self.random.choice(habit.parameters),))
        value = self.words.place() if habit.of_places else self.words.value()
        return Wish(self.random.choice(habit.messages).format(value), tool, {tool.parameters[0]: value})

    def spelled(self) -> Wish:
        """`Please open the door 12.`, for `open_door`."""
        verb, noun = self.words.invented(), self.words.word(NOUNS)
        tool, value = Tool(f"{verb}_{noun}", tuple(self.words.parameter_names(1))), self.words.value()
        message = self.random.choice(("Please {} the {} {}.", "{} {} {}", "{} the {} {}.", "{} the {} named {}."))
        said = message.format(verb if message[0] == "P" else verb.capitalize(), noun, value)
        return Wish(said, tool, {tool.parameters[0]: value})
