# stylegan for a CPU, from a checkout:
#
#     docker build -t stylegan .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" stylegan sample
#
# It lies at the top since what it copies does, and builders look for it here.

FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /source
COPY setup.py setup.cfg pyproject.toml MANIFEST.in README.md LICENSE ./
COPY models ./models
COPY stylegan ./stylegan
RUN STYLEGAN_KERNELS=require pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
# More of them for more commands: --build-arg EXTRAS=video,demo, then `docker run -p 7860:7860 ... demo --host 0.0.0.0`.
ARG EXTRAS=video
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "$(echo /wheels/*.whl)[${EXTRAS}]"
# Any user may write what is made and what is downloaded.
RUN useradd stylegan && install -d -m 1777 /work /cache
ENV STYLEGAN_CACHE=/cache
USER stylegan
WORKDIR /work
ENTRYPOINT ["stylegan"]
CMD ["--help"]
