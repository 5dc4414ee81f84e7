"""Random words, names and values, so that what the weights learn is to copy and not to remember."""

# ruff: noqa: SIM905 -- a word list reads better as one sentence than as two hundred quoted strings

import json
from collections.abc import Sequence
from random import Random
from typing import Any

VERBS = (
    "get list find read write send make open close start stop show add remove update delete create check fetch look "
    "search count move copy save load run build set clear book order plan print scan sort test turn"
).split()
NOUNS = (
    "weather time file mail page note user order item room door lamp song map photo ticket task price stock report "
    "event table train flight hotel server job log key code image box tree river city street house letter number list"
).split()
PARAMETERS = (
    "city name path query id text count color date size unit url user title message amount level start end mode "
    "location place limit topic width address value key kind state day email"
).split()
FILLERS = (
    "the a of and to in is was for that with on by from this old new red blue green small big long good first last "
    "people water world school music garden bread winter morning story because under between about never always "
    "does would could should their there which when where why how much many best better early late quiet answer short "
    "helpful assistant polite concise always user rules write explain invent discover planet history ocean engine"
).split()
KNOWN = [word for word in (*VERBS, *NOUNS, *PARAMETERS, *FILLERS) if len(word) > 1]
ONSETS = "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr pl pr qu sh sl sp st th tr tw".split()
CODAS = ["", "", "", *"b ck d g l m n nd ng p r rt s sh st t x".split()]
CITIES = "Paris Rome Tokyo Lima Oslo Berlin Madrid London Cairo Delhi Boston Vienna Prague Lisbon Dublin Seoul".split()


class Words:
    """A source of random words; the same seed gives the same words on every machine."""

    def __init__(self, random: Random, fragments: Sequence[str] = KNOWN) -> None:
        self.random, self.fragments = random, fragments

    def invented(self) -> str:
        """A word nobody knows: of syllables, of two halves of known words, of any fragments or of any letters."""
        makers = (self._syllables, self._halves, self._joined, self._letters)
        return self.random.choices(makers, (3, 2, 4, 1))[0]()

    def word(self, known: list[str]) -> str:
        """One of the known words or an invented one."""
        return self.random.choice(known) if self.random.random() < 0.4 else self.invented()

    def tool_name(self) -> str:
        """`verb_noun` mostly, with either part invented or known; sometimes other spellings."""
        parts = [self.word(VERBS), self.word(NOUNS), self.word(NOUNS)][: self.random.choice((1, 2, 2, 2, 2, 2, 3))]
        style = self.random.random()
        if style < 0.1:
            return parts[0] + "".join(part.capitalize() for part in parts[1:])
        return ("-" if style < 0.15 else "__" if style < 0.2 else "_").join(parts)

    def parameter_names(self, count: int) -> list[str]:
        """Distinct names; a fifth of them have two words."""
        names: list[str] = []
        while len(names) < count:
            name = "_".join(self.word(PARAMETERS) for _ in range(self.random.choice((1, 1, 1, 1, 2))))
            if name not in names:
                names.append(name)
        return names

    def number(self) -> str:
        """Digits, one to five, seldom with a decimal."""
        whole = str(self.random.randint(0, 10 ** self.random.randint(1, 5) - 1))
        return f"{whole}.{self.random.randint(1, 9)}" if self.random.random() < 0.1 else whole

    def place(self) -> str:
        """A city, known or invented, of one or two words."""
        known = self.random.choice(CITIES)
        if self.random.random() < 0.3:
            return known
        return " ".join(self.invented().capitalize() for _ in range(self.random.choice((1, 1, 1, 2))))

    def value(self) -> str:
        """Anything a parameter may hold, as the user writes it."""
        makers = (
            self.number,
            self.place,
            self.invented,
            lambda: self.word(NOUNS),
            lambda: self.phrase(2, 3),
            lambda: f"{self.word(NOUNS)}.{self.random.choice(('txt', 'py', 'md', 'json', 'csv'))}",
            lambda: f"/{self.word(NOUNS)}/{self.word(NOUNS)}",
            lambda: f"{self.invented()}@{self.invented()}.{self.random.choice(('com', 'org', 'net'))}",
            lambda: f"20{self.random.randint(10, 40)}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}",
            lambda: self.random.choice(("true", "false")),
        )
        return self.random.choices(makers, (4, 3, 3, 2, 2, 1, 1, 1, 1, 0.5))[0]()

    def phrase(self, shortest: int, longest: int) -> str:
        """Words without punctuation."""
        count = self.random.randint(shortest, longest)
        return " ".join(self.word(self.random.choice((FILLERS, FILLERS, NOUNS, VERBS))) for _ in range(count))

    def sentence(self) -> str:
        """A statement or a question about nothing."""
        start = self.random.choice(
            ("What is", "Who", "Why does", "Where is", "How many", "Tell me about", "Explain", "")
        )
        sentence = f"{start} {self.phrase(2, 7)}".strip() + self.random.choice(("?", "?", ".", ""))
        return sentence[0].upper() + sentence[1:]

    def result(self) -> str:
        """What a tool may answer."""
        style = self.random.choice(("measure", "phrase", "value", "object"))
        if style == "measure":
            return f"{self.number()} {self.random.choice(('C', 'F', 'km', 'EUR', '%'))} and {self.word(FILLERS)}"
        if style == "phrase":
            return self.phrase(1, 6)
        if style == "value":
            return self.value()
        names = self.parameter_names(self.random.randint(1, 3))
        return json.dumps({name: as_json(self.value()) for name in names})

    def _syllables(self) -> str:
        pick = self.random.choice
        count = pick((1, 1, 2, 2, 3))
        return "".join(pick(ONSETS) + pick("aeiouy") + pick(CODAS) for _ in range(count))

    def _halves(self) -> str:
        first, second = self.random.choice(KNOWN), self.random.choice(KNOWN)
        return first[: self.random.randint(1, len(first))] + second[self.random.randint(0, len(second) - 1) :]

    def _joined(self) -> str:
        return "".join(self.random.choices(self.fragments, k=self.random.randint(1, 3)))

    def _letters(self) -> str:
        return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyz", k=self.random.randint(2, 5)))


def as_json(value: str) -> Any:
    """The JSON value of what a user wrote: numbers and truth values bare, everything else a string."""
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return value
    return parsed if isinstance(parsed, bool | int | float) else value
