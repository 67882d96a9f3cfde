"""Generated from proto/c2r/wire/v1/renderer.proto by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "6699fd0630ff4b9e3a5dc1d18f7e0f914c2104b1ca64d253d80072113be94874"
