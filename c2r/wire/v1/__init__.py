"""Generated from proto/c2r/wire/v1/renderer.proto by proto/generate.py; do not edit.

The protobuf messages and the gRPC service. `c2r.wire` turns them into dataclasses.
"""

PROTO_SHA256 = "4d5ef68db83e8adccc7c138a6799535300002d0fc24b902ae1e13cfb6dd4026f"
