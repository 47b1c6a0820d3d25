# The base of the sandbox image where it cannot be made with mmdebstrap: Debian, Python, fonts and tools.
#
# BASE_IMAGE   any Debian 13
ARG BASE_IMAGE=debian:trixie-slim
FROM ${BASE_IMAGE}
COPY apt-packages.txt /build/
RUN export DEBIAN_FRONTEND=noninteractive \
 && apt-get update \
 && apt-get install -y --no-install-recommends $(sed 's/#.*//' /build/apt-packages.txt) \
 && rm -rf /build /var/lib/apt/lists/* /var/cache/apt/*
