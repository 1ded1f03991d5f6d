# Carnet in a container: one process, one volume (/data), read-only otherwise.
#
#   docker build -t carnet .
#   docker run --read-only --tmpfs /tmp --volume carnet:/data --publish 8000:8000 carnet
#
# Without CARNET_DATABASE_URL it starts its own PostgreSQL in /data.

FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# The dependencies first: they change less often than the code and stay cached. The names of the
# packages are made up on the spot, so that pip can read pyproject.toml without the code.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN for package in app/carnet client/carnet_client crypto/carnet_crypto graphql/carnet_graphql; do \
        mkdir -p "$package" && touch "$package/__init__.py"; \
    done && \
    python3 -m venv /opt/carnet && \
    /opt/carnet/bin/pip install -c constraints.txt .

COPY app app
COPY client client
COPY crypto crypto
COPY graphql graphql
RUN /opt/carnet/bin/pip wheel --no-deps --wheel-dir /wheels . && \
    /opt/carnet/bin/pip install --no-deps --force-reinstall /wheels/carnet-*.whl && \
    /opt/carnet/bin/pip uninstall --yes --quiet pip && \
    /opt/carnet/bin/carnet --version


FROM python:3.13-slim
LABEL org.opencontainers.image.title="Carnet" \
      org.opencontainers.image.description="An open digital health record server" \
      org.opencontainers.image.licenses="Apache-2.0"

# PostgreSQL wants its user to have a name.
RUN groupadd --gid 10001 carnet && \
    useradd --uid 10001 --gid 10001 --no-create-home --no-log-init --home-dir /data \
        --shell /usr/sbin/nologin carnet && \
    install --directory --owner=10001 --group=10001 --mode=0700 /data

COPY --from=build /opt/carnet /opt/carnet
ENV PATH=/opt/carnet/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CARNET_DATA_DIR=/data \
    CARNET_HOST=0.0.0.0 \
    CARNET_PORT=8000

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['CARNET_PORT'] + '/health/live', timeout=4)"]
ENTRYPOINT ["carnet"]
CMD ["serve"]
