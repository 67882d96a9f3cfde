"""Generated from proto/c2r/wire/v1/renderer.proto by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "810e45250ba79fabaf360d8296b44da1f2410a920892bea29280edaf285662b8"
