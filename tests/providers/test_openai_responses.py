"""OpenAI's responses, whole and streamed. All bodies are synthetic."""

from __future__ import annotations

from typing import Any

from tests.providers.conftest import Quantities

RESPONSE_USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}


def response(usage: dict[str, Any] | None, *output: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"id": "resp_1", "object": "response", "model": "gpt-x", "status": "completed", "output": list(output)}
    return {**body, "usage": usage, **more}


def test_a_response_counts_the_hosted_tools_of_its_output(quantities: Quantities) -> None:
    search = {"type": "web_search_call", "action": {"type": "search", "query": "q"}}
    page = {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}}
    sandbox = {"type": "code_interpreter_call", "container_id": "cntr_1"}
    items = (search, search, page, {"type": "file_search_call"}, sandbox, sandbox, {"type": "message"})
    assert quantities("openai", response(RESPONSE_USAGE, *items)) == {
        "input": 10,
        "output": 5,
        "web_search": 2,
        "file_search": 1,
        "code_session": 1,
    }


def test_billable_searches_are_believed_where_the_response_counts_them(quantities: Quantities) -> None:
    search = {"type": "web_search_call", "action": {"type": "search"}}
    tool_usage = {"web_search": {"num_requests": 1}}
    assert quantities("openai", response(RESPONSE_USAGE, search, search, tool_usage=tool_usage))["web_search"] == 1


def test_images_a_response_made_are_another_model_s_usage(read: Any) -> None:
    images = {
        "input_tokens": 60,
        "input_tokens_details": {"image_tokens": 10, "text_tokens": 50},
        "output_tokens": 4160,
        "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
        "total_tokens": 4220,
    }
    body = response(
        RESPONSE_USAGE,
        tools=[{"type": "image_generation", "model": "gpt-image-2"}],
        tool_usage={"image_gen": images, "web_search": {"num_requests": 0}},
    )
    usage = read("openai", body).usage
    assert usage.input_tokens == 10
    painted = {unit: n for unit, n in usage.other_models["gpt-image-2"].quantities.items() if n}
    assert painted == {"input": 50, "input_image": 10, "output_image": 4160}


def test_xai_says_how_often_its_tools_ran(quantities: Quantities) -> None:
    ran = {"web_search_calls": 2, "x_search_calls": 1, "code_interpreter_calls": 0, "document_search_calls": 4}
    body = response({**RESPONSE_USAGE, "server_side_tool_usage_details": ran})
    assert quantities("xai", body) == {"input": 10, "output": 5, "web_search": 3, "file_search": 4}


def test_a_response_in_the_background_has_no_usage_yet(read: Any) -> None:
    reading = read("openai", response(None, status="queued"))
    assert (reading.usage, reading.reason_unread) == (None, "the response is queued")


def test_an_incomplete_response_says_why_it_ended(read: Any) -> None:
    body = response(RESPONSE_USAGE, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert read("openai", body).finish_reasons == ("max_output_tokens",)


def test_a_stream_of_responses_ends_with_the_whole_response(fold: Any) -> None:
    started = {"type": "response.created", "response": response(None, status="in_progress")}
    delta = {"type": "response.output_text.delta", "delta": "hello"}
    done = {"type": "response.completed", "response": response(RESPONSE_USAGE, service_tier="priority")}
    broken = fold("openai", [started, delta])
    whole = fold("openai", [started, delta, done])
    assert (broken.finished, broken.output_characters, broken.reading().usage) == (False, 5, None)
    assert broken.reading().response_id == "resp_1"
    assert (whole.finished, whole.reading().usage.output_tokens) == (True, 5)
    assert whole.reading().terms.service_tier == "priority"
