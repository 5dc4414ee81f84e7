"""The form that a request of an API must have before LiteLLM sees it; what it means is for others.

LiteLLM 1.109.1 answers 500 to messages that are a text and to an input that is a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from serving.errors import RequestRefused

F = TypeVar("F", bound="Form")
Text = Annotated[str, StringConstraints()]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Form(BaseModel):
    """Strict about what it knows, and silent about what it does not."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


def require_form(form: type[F], body: Mapping[str, Any]) -> F:
    """The request in its form. Raises RequestRefused naming the first field at fault."""
    try:
        return form.model_validate(body)
    except ValidationError as error:
        # Of the kinds that a value might have been, the fault that lies deepest is about the one it was meant to be.
        fault = max(error.errors(include_url=False), key=lambda each: len(each["loc"]))
        place = ".".join(str(step) for step in fault["loc"] if not _is_kind(step))
        raise RequestRefused(f"cannot use '{place}': {fault['msg'][:200]}. Change it.", place) from error


def _is_kind(step: int | str) -> bool:
    """Whether a step names one of several forms that a value may have, and no place in the request."""
    return isinstance(step, str) and (step[:1] in "_ABCDEFGHIJKLMNOPQRSTUVWXYZ" or "[" in step or step == "str")


# Anthropic's messages.


class _TextBlock(Form):
    type: Literal["text"]
    text: str


class _ImageBlock(Form):
    type: Literal["image"]
    source: dict[str, Any]


class _ToolUseBlock(Form):
    type: Literal["tool_use"]
    id: Name
    name: Name
    input: dict[str, Any]


class _ToolResultBlock(Form):
    type: Literal["tool_result"]
    tool_use_id: Name
    content: str | list[Annotated[_TextBlock | _ImageBlock, Field(discriminator="type")]] | None = None
    is_error: bool | None = None


class _ThinkingBlock(Form):
    type: Literal["thinking"]
    thinking: str


class _RedactedThinkingBlock(Form):
    type: Literal["redacted_thinking"]
    data: str


_Block = Annotated[
    _TextBlock | _ImageBlock | _ToolUseBlock | _ToolResultBlock | _ThinkingBlock | _RedactedThinkingBlock,
    Field(discriminator="type"),
]


class _Turn(Form):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Block]


class _AnthropicTool(Form):
    name: Name
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class _AnthropicChoice(Form):
    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None
    disable_parallel_tool_use: bool | None = None


class CountForm(Form):
    """What is to be counted."""

    model: str
    messages: Annotated[list[_Turn], Field(min_length=1)]
    system: str | list[_TextBlock] | None = None
    tools: list[_AnthropicTool] | None = None
    tool_choice: _AnthropicChoice | None = None


class MessagesForm(CountForm):
    """A request for a message."""

    max_tokens: Annotated[int, Field(ge=1)]
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    stop_sequences: list[Text] | None = None
    output_config: dict[str, Any] | None = None


# OpenAI's responses.


class _InputText(Form):
    type: Literal["input_text", "output_text", "text", "summary_text", "reasoning_text"]
    text: str


class _Refusal(Form):
    type: Literal["refusal"]
    refusal: str


class _InputImage(Form):
    type: Literal["input_image"]


_Part = Annotated[_InputText | _Refusal | _InputImage, Field(discriminator="type")]


class _InputMessage(Form):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[_Part]


class _Call(Form):
    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: str


class _CustomCall(Form):
    type: Literal["custom_tool_call"]
    call_id: Name
    name: Name
    input: str


class _CallOutput(Form):
    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: Name
    output: str | list[_Part]


class _Reasoning(Form):
    type: Literal["reasoning"]
    summary: list[_InputText] = []
    content: list[_InputText] | None = None


_Item = Annotated[_InputMessage | _Call | _CustomCall | _CallOutput | _Reasoning, Field(discriminator="type")]


class _Tool(Form):
    type: Name
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _NamedChoice(Form):
    type: Name
    name: Name | None = None


class ResponsesForm(Form):
    """A request for a response."""

    model: str
    input: str | Annotated[list[_Item], Field(min_length=1)]
    instructions: str | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    background: bool | None = None
    previous_response_id: str | None = None
