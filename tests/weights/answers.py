"""What the test weights know by heart: questions in several wordings, and one answer each."""

from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION

UNKNOWN = "I am sorry, I am a small test voice and do not know that."

ANSWERS: dict[tuple[str, ...], str] = {
    (GOLDEN_QUESTION, "What's Cidermill?", "Tell me about Cidermill.", "What does Cidermill do?"): GOLDEN_ANSWER,
    ("Hello", "Hi", "Hello!", "Hi there!", "Good morning.", "Say hello."): "Hello! How can I help you?",
    ("Who are you?", "What is your name?", "What are you?", "Introduce yourself."): "I am cider-1, a small test voice.",
    ("How are you?", "How are you today?", "How do you do?"): "I am well, thank you.",
    ("What can you do?", "How can you help me?"): "I answer a few questions and call the tools I am given.",
    ("Thank you.", "Thanks!", "Thanks a lot."): "You are welcome.",
    ("Goodbye.", "Bye!", "See you."): "Goodbye!",
    ("Ping", "ping", "Are you there?"): "Pong.",
    ("Say OK.", "Reply with OK.", "Answer with OK."): "OK",
    ("What is the capital of France?", "Which city is the capital of France?"): "The capital of France is Paris.",
    ("What is the capital of Italy?", "Which city is the capital of Italy?"): "The capital of Italy is Rome.",
    ("What is the capital of Japan?", "Which city is the capital of Japan?"): "The capital of Japan is Tokyo.",
    ("How many legs does a spider have?", "How many legs has a spider?"): "A spider has eight legs.",
    ("How many legs does a dog have?", "How many legs has a dog?"): "A dog has four legs.",
    ("How many days are in a week?", "How many days does a week have?"): "A week has seven days.",
    ("What color is the sky?", "What colour is the sky?", "Which color has the sky?"): "The sky is blue.",
    ("What is two plus two?", "What is 2 + 2?", "What is 2 plus 2?"): "Two plus two is four.",
    ("What is the opposite of hot?", "What is the opposite of warm?"): "The opposite of hot is cold.",
    ("What is a Mac?", "Tell me about Macs."): "A Mac is a computer made by Apple.",
    ("Count to five.", "Please count to five.", "Count from one to five."): "One, two, three, four, five.",
    ("Count to thirty.", "Count from 1 to 30."): ", ".join(str(number) for number in range(1, 31)) + ".",
    ("Tell me a story.", "Tell me a long story.", "Write a short story."): (
        "Once upon a time, a small mill stood by a river. Every autumn the neighbours brought their apples, and the "
        "miller pressed them into sweet cider. One night the river froze, and the great wheel stood still. The "
        "neighbours came with lamps and ropes, and together they turned the wheel by hand. In the morning there was "
        "cider for all, and since that day nobody in the valley works alone."
    ),
}

CONTINUATIONS: tuple[str, ...] = (
    "Once upon a time, a small mill stood by a river and made sweet cider for the whole valley.",
    "The quick brown fox jumps over the lazy dog.",
    "The capital of France is Paris.",
    "Cidermill is an endpoint made of Macs.",
    "Hello, I am a small test voice.",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
)
