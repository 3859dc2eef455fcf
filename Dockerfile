# The product alone: no emulator, tests, benchmarks, clients, compiler or secret. `make image` builds and tests it.
# `make digests` renews the digest.
ARG BASE=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements.txt ./
RUN python3 -m venv /venv \
    && /venv/bin/pip install --quiet --no-deps --no-compile --only-binary :all: --require-hashes -r requirements.txt \
    && /venv/bin/pip uninstall --quiet --yes pip \
    && rm requirements.txt
COPY . /sent
# The Python packages that .dockerignore sends, so also the apps of a clone; no other folder and no other file.
RUN cp /sent/manage.py /sent/deploy/gunicorn.conf.py . \
    && for module in /sent/*/__init__.py; do cp -R "${module%/__init__.py}" . || exit 1; done
# Needs no setting: the server reports missing ones when it starts.
RUN /venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && /venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib /app

FROM ${BASE}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PROMETHEUS_MULTIPROC_DIR=/dev/shm/metrics HEALTH_PORT=8081
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# A number, so that Kubernetes can check that it is not root. It owns no file and writes to /dev/shm alone.
USER 10001:10001
EXPOSE 8000 8081
# Liveness, not readiness: an engine must not replace containers because the database is down.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/health/live', timeout=2)"]
# SIGTERM: gunicorn accepts no new connection and finishes the requests in flight (deploy/gunicorn.conf.py).
STOPSIGNAL SIGTERM
LABEL org.opencontainers.image.version="1.0.0"
CMD ["gunicorn", "config.wsgi"]
