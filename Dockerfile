# syntax=docker/dockerfile:1
# One image for every command: `docker build -t segue:0.1.0 .`, then `docker run --rm segue:0.1.0 --help`.

FROM python:3.11-slim AS build
# hnswlib is compiled; without the next line it would be for this very machine's processor, and might not start on another
ENV HNSWLIB_NO_NATIVE=1
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# what changes seldom comes first, so that a change of our own code builds one wheel only
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip wheel --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt -w /wheels
COPY online_models online_models
COPY streams streams
COPY serving serving
COPY segue segue
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps -w /wheels .

FROM python:3.11-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --disable-pip-version-check --no-index /wheels/*.whl \
    && useradd --create-home --uid 10001 segue
USER segue
WORKDIR /home/segue
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["segue"]
CMD ["--help"]
