"""A wasmCloud component in Python: answers every HTTP request with a greeting.

The modules of `wit_world` and `componentize_py_types` come from the WIT files; componentize-py makes them when it
builds the component.
"""

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    """What the component exports: wasi:http/incoming-handler."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        """Answer one request; the body may be written after the response has been handed over."""
        greeting = f"Hello from Python, you asked for {request.path_with_query() or '/'}\n".encode()
        headers = Fields.from_list(
            [("content-type", b"text/plain; charset=utf-8"), ("content-length", str(len(greeting)).encode())]
        )
        response = OutgoingResponse(headers)
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(greeting)
        OutgoingBody.finish(body, None)
