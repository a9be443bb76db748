# The operator's image: a virtual environment built in one stage, byte-compiled, run by nobody in particular.
# Base images are arguments, so that a mirror or a hardened base can take their place. A folder `wheels/` in the build
# context, if there is one, is used instead of a package index.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.lock ./
COPY wheel[s] /wheels/
RUN python3 -m venv /opt/operator \
    && if [ -d /wheels ]; then set -- --no-index --find-links /wheels; fi \
    && /opt/operator/bin/python -m pip install --no-cache-dir --no-compile "$@" --require-hashes -r requirements.lock
COPY types ./types
COPY operator ./operator
RUN if [ -d /wheels ]; then set -- --no-index --find-links /wheels; fi \
    && /opt/operator/bin/python -m pip install --no-cache-dir --no-compile "$@" --no-deps ./types ./operator \
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
