# One image for every Airflow component: the locked packages, KWikSync, and no compiler.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# gcc: quickjs comes as source where it has no wheel.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY requirements.txt ./
RUN pip install --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md CHANGELOG.md ./
COPY kwiksync_ops ./kwiksync_ops
RUN pip install --no-deps --no-build-isolation .

FROM python:3.11.13-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/kwiksync \
    KWIKSYNC_HOME=/opt/kwiksync
# A named volume takes the owner of the folder that it is mounted on.
RUN useradd --uid 50000 --gid 0 --no-create-home --home-dir /opt/kwiksync kwiksync \
    && install --directory --owner kwiksync --group 0 \
        /opt/kwiksync /opt/kwiksync/logs /opt/kwiksync/stage /opt/kwiksync/auth
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/kwiksync
USER kwiksync
CMD ["airflow", "version"]
