# The operator's image: a virtual environment built in one stage, byte-compiled, run by nobody in particular.
# The base image is an argument, so that a release pins it by digest and a mirror or a hardened base can take its place. A
# folder `wheels/` in the build context, if there is one, is used instead of a package index.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
COPY wheel[s] /wheels/
# What builds is pinned by hash as well, and no build fetches another: the second environment does not reach the image.
RUN python3 -m venv /opt/build && python3 -m venv /opt/operator \
    && if [ -d /wheels ]; then set -- --no-index --find-links /wheels; fi \
    && /opt/build/bin/python -m pip install --no-cache-dir "$@" --require-hashes -r requirements-build.lock \
    && /opt/build/bin/python -m pip wheel --no-cache-dir "$@" --require-hashes --no-build-isolation --no-deps \
        --wheel-dir /built -r requirements.lock
COPY types ./types
COPY operator ./operator
RUN /opt/build/bin/python -m pip wheel --no-cache-dir --no-build-isolation --no-deps --wheel-dir /built ./types ./operator \
    && /opt/operator/bin/python -m pip install --no-cache-dir --no-compile --no-index --no-deps /built/*.whl \
    && /opt/operator/bin/python -m pip uninstall --yes --quiet pip \
    && /opt/operator/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/operator/lib

FROM ${BASE}
COPY --from=build /opt/operator /opt/operator
ENV PATH=/opt/operator/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["wasmcloud-operator"]
CMD ["run"]
