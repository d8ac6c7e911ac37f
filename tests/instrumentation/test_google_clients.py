"""google-genai over whichever HTTP client, and what Vertex alone has."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from google import genai
from google.auth.transport.requests import AuthorizedSession
from google.genai import _api_client, types
from google.oauth2.credentials import Credentials

from tests.instrumentation.doubles import Receiver
from tests.instrumentation.google_double import CHUNKS, PIECE, GoogleDouble
from tests.instrumentation.google_ways import IS_OLD, MODEL, QUESTION, Clients, ask, statuses

pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The generate_(images|videos) method"),
]


@pytest.mark.skipif(IS_OLD, reason="google-genai 2 knows httpx alone")
@pytest.mark.parametrize("how", ["client", "environment"])
def test_a_legacy_httpx_client_is_seen_like_any(
    how: str, gemini: Clients, instrumented: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", "httpx" if how == "environment" else "auto")
    with httpx.Client() as legacy:
        made = gemini(http={"httpx_client": legacy} if how == "client" else None)
        assert isinstance(made._api_client._httpx_client, httpx.Client)
        assert ask(made).text == PIECE * CHUNKS
    call = instrumented.only_call()
    assert statuses(call) == [200]
    assert call["outlay.cost.nano_usd"] == 425_000


def on_vertex(gemini: Clients, **http: Any) -> genai.Client:
    return gemini(
        http=http, api_key=None, vertexai=True, project="p-1", location="europe-west4", credentials=Credentials("fake")
    )


def test_vertex_is_a_provider_of_its_own(gemini: Clients, google_double: GoogleDouble, instrumented: Receiver) -> None:
    made = on_vertex(gemini)
    ask(made)
    list(made.models.generate_content_stream(model=MODEL, contents=QUESTION))
    paths = {path.partition("/projects/")[2] for path, _ in google_double.asked}
    assert paths == {
        f"p-1/locations/europe-west4/publishers/google/models/{MODEL}:{verb}"
        for verb in ("generateContent", "streamGenerateContent")
    }
    for call in instrumented.calls():
        assert call["gen_ai.provider.name"] == "gcp.vertex_ai"
        assert call["gen_ai.request.model"] == MODEL
        assert call["outlay.cost.status"] == "exact"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a_client_certificates_session_of_requests_is_seen_too(
    is_stream: bool, gemini: Clients, instrumented: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = on_vertex(gemini)
    monkeypatch.setattr(_api_client.BaseApiClient, "_use_google_auth_sync", lambda self: True)
    with AuthorizedSession(Credentials("fake")) as session:  # as it is once it has the certificate
        session._is_mtls = False
        made._api_client._authorized_session = session
        if is_stream:
            texts = [chunk.text for chunk in made.models.generate_content_stream(model=MODEL, contents=QUESTION)]
            assert texts == [PIECE] * CHUNKS
        else:
            assert ask(made).text == PIECE * CHUNKS
    call = instrumented.only_call()
    assert statuses(call) == [200]
    assert call["gen_ai.usage.output_tokens"] == 50
    assert call["outlay.request.id"] == "req-7"


def test_vertexs_older_embeddings_count_by_vector(gemini: Clients, instrumented: Receiver) -> None:
    on_vertex(gemini).models.embed_content(model="text-embedding-004", contents=[QUESTION, QUESTION])
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == "embeddings"
    assert call["gen_ai.usage.input_tokens"] == 1_000


def test_images_are_billed_by_the_image(gemini: Clients, instrumented: Receiver) -> None:
    asked = types.GenerateImagesConfig(number_of_images=2)
    answer = on_vertex(gemini).models.generate_images(model="imagen-3.0-generate-001", prompt=QUESTION, config=asked)
    assert len(answer.generated_images or ()) == 2
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == "image_generation"
    assert call["outlay.cost.nano_usd"] == 2 * 40_000_000  # $0.04 each


def test_a_video_whose_length_nobody_says_is_a_call_without_a_price(gemini: Clients, instrumented: Receiver) -> None:
    on_vertex(gemini).models.generate_videos(model="veo-3.1-generate-preview", prompt=QUESTION)
    call = instrumented.only_call()
    assert call["gen_ai.operation.name"] == "video_generation"
    assert call["gen_ai.request.model"] == "veo-3.1-generate-preview"
    assert call["outlay.cost.status"] == "unpriced"
