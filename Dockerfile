# The image of every role of Squall: one static binary, and nothing else.
#
#   docker build -t squall .
#
# GO_IMAGE may be any image with the Go tools and a shell.
ARG GO_IMAGE=golang:1.26
FROM ${GO_IMAGE} AS build
WORKDIR /src
# The modules are a layer of their own: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/squall ./cmd/squall
# Directories that volumes are mounted on: a new volume takes its owner from here.
RUN for role in coordinator executor gateway client nats prometheus; do mkdir -p /out/auth/$role; done && mkdir /out/data /out/wasm

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/squall /squall
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/auth /auth
COPY --from=build --chown=65532:65532 /out/wasm /wasm
USER 65532:65532
ENV SQUALL_WASM_CACHE=/wasm
ENTRYPOINT ["/squall"]
