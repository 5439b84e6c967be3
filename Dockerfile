# The image of the command `roompass`, and with `--target lambda` the image of the Lambda function (docs/containers.md).

# Compiles the programs. Its glibc must not be newer than that of BASE.
ARG RUST=docker.io/library/rust:1.95-slim-bookworm
# Runs them: glibc, libgcc and CA certificates, without a shell.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot
# `build` compiles the programs, and `prebuilt` takes them from the build context: a folder with `roompass` or `bootstrap`.
ARG PROGRAM=build

FROM ${RUST} AS source
WORKDIR /source
COPY . .
# A profile of Cargo.
ARG PROFILE=release
ARG TARGETPLATFORM

FROM source AS build
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=roompass-${TARGETPLATFORM},sharing=locked \
    cargo build --locked --profile "$PROFILE" --bin roompass --target-dir "target/$PROFILE" \
    && install -D target/"$PROFILE"/*/roompass /program/roompass

FROM source AS build-lambda
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,id=roompass-lambda-${TARGETPLATFORM},sharing=locked \
    cargo build --locked --profile "$PROFILE" --bin roompass-lambda --no-default-features --features lambda \
        --target-dir "target/$PROFILE" \
    && install -D target/"$PROFILE"/*/roompass-lambda /program/bootstrap

FROM scratch AS prebuilt
COPY --chmod=755 roompass /program/

FROM scratch AS prebuilt-lambda
COPY --chmod=755 bootstrap /program/

FROM ${PROGRAM}-lambda AS lambda-program
FROM ${PROGRAM} AS program

FROM ${BASE} AS lambda
COPY --from=lambda-program /program/bootstrap /usr/bin/bootstrap
USER 65532:65532
ENTRYPOINT ["/usr/bin/bootstrap"]

FROM ${BASE} AS roompass
COPY --from=program /program/roompass /usr/bin/roompass
# The command reads roompass.toml in its working folder, if there is one.
WORKDIR /etc/roompass
USER 65532:65532
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s CMD ["/usr/bin/roompass", "health"]
ENTRYPOINT ["/usr/bin/roompass"]
CMD ["serve", "--listen", "0.0.0.0:3000", "--log", "json"]
