"""Generated from proto/c2r/wire/v1/renderer.proto by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "a811b2d60bea34acaaadbc408aacf4fdfc58ea7289f0585b01e477c02726c85e"
